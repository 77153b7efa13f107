"""Compares calls from Python with the same calls from Rust, in turns.

    cargo build --release -p electra-benches --example calls
    cargo build --release -p electra-cli
    python benches/python/overhead.py SENTENCES.tsv

The package electra-edge must be installed. SENTENCES.tsv has a header and a sentence per line before
the first tab. The script prints the medians of 60 rounds for one text of 32 tokens, and of 10 rounds
for the file with two threads.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import electra_edge

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models/electra-small-sentiment/model.electra"
TEXT = (
    "The battery lasts for days, the screen is bright, and it charges while I make coffee, so I would "
    "buy it again today for my sister."
)
CALLS, ROUNDS, FILE_ROUNDS = 100, 60, 10


def one_text():
    tokens = len(electra_edge.Tokenizer(MODEL).encode(TEXT))
    command = [ROOT / "target/release/examples/calls", MODEL, TEXT]
    rust = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    classify = electra_edge.Classifier(MODEL, threads=1).classify
    times = {"Rust": [], "Python": []}
    for _ in range(ROUNDS):
        rust.stdin.write(f"{CALLS}\n")
        rust.stdin.flush()
        times["Rust"].append(int(rust.stdout.readline()))
        start = time.perf_counter_ns()
        for _ in range(CALLS):
            classify(TEXT)
        times["Python"].append((time.perf_counter_ns() - start) // CALLS)
    rust.stdin.close()
    rust.wait()
    medians = {name: statistics.median(values) / 1000 for name, values in times.items()}
    difference = statistics.median(p - r for p, r in zip(times["Python"], times["Rust"])) / 1000
    print(f"{tokens} tokens: Rust {medians['Rust']:.1f} us, Python {medians['Python']:.1f} us, difference {difference:.1f} us")


def file_of_sentences(path):
    sentences = [line.split("\t")[0] for line in Path(path).read_text(encoding="utf-8").splitlines()[1:]]
    rows = ROOT / "target/overhead.txt"
    rows.write_text("\n".join(sentences) + "\n", encoding="utf-8")
    command = [ROOT / "target/release/electra", "classify", "--model", MODEL, "--threads", "2", "--input", rows]
    classifier = electra_edge.Classifier(MODEL, threads=2)
    classifier.classify_batch(sentences)
    times = {"electra classify --input": [], "classify_batch": []}
    for _ in range(FILE_ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times["electra classify --input"].append(time.perf_counter() - start)
        start = time.perf_counter()
        classifier.classify_batch(rows.read_text(encoding="utf-8").splitlines())
        times["classify_batch"].append(time.perf_counter() - start)
    for name, values in times.items():
        print(f"{name}: {len(sentences) / statistics.median(values):.0f} sentences per second with 2 threads")


one_text()
file_of_sentences(sys.argv[1])
