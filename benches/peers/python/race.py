"""Runs all measurements and writes benches/RESULTS.md, benches/results.svg and results.json."""

import argparse
import json
import subprocess
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

import avx2
import files
import machine
import opening
import report
import session
import texts
from systems import ORT_INT8, Builds

CONTROL_LENGTHS = (32, 128)
CHECKED_SENTENCES = 16
SMOKE_SENTENCES = 64


def arguments():
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="few repeats, two lengths: shows that everything works")
    parser.add_argument("--sentences", type=Path, metavar="FILE", help="sentence<TAB>label with a header, e.g. SST-2 dev.tsv")
    parser.add_argument("--avx2", action="store_true", help="also electra-edge and ONNX Runtime held to AVX2 (x86-64 Linux)")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write [default: benches, for a smoke run target/peers]")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = arguments()
    root, work = options.root, options.root / "target/peers"
    output = options.output or (work if options.smoke else root / "benches")
    lengths = (8, 128) if options.smoke else session.LENGTHS
    rounds, repeats, fresh = (2, 2, 1) if options.smoke else (15, 4, 7)
    builds, models = Builds(work), work / "models"
    real = models / "real"

    rows = texts.read(options.sentences) if options.sentences else texts.generate()
    rows = rows[:SMOKE_SENTENCES] if options.smoke else rows
    path = work / "sentences.tsv"
    texts.write(rows, path)
    source = options.sentences.name if options.sentences else "put together from benches/peers/clauses.txt"
    tokenizer = BertWordPieceTokenizer(str(real / "vocab.txt"), lowercase=True)
    checked = [(text, tokenizer.encode(text).ids) for text, _ in rows[:CHECKED_SENTENCES]]

    results = {"smoke": options.smoke, "machine": machine.describe(root, source), "runs": {}, "missing": {}}
    opening.page_in([real, models / "random"])
    session.log("which files and settings are the fastest")
    choices, results["trials"] = {}, []
    for threads in (1, 2):
        choices[threads], trials = session.choose(builds, real, threads, rounds)
        results["trials"] += trials
    results["choices"] = {str(threads): {name: str(choice) for name, choice in chosen.items()} for threads, chosen in choices.items()}
    for model in ("real", "random"):
        results["runs"][model] = []
        for threads in (1, 2):
            session.log(f"the interleaved session: {model} model")
            with session.Session(builds, models / model, threads, choices[threads]) as running:
                results["missing"][f"{model}, {threads}"] = running.missing
                if (model, threads) == ("real", 1):
                    results["differences"], problems = session.check(running, checked)
                    if problems:
                        raise SystemExit("the systems do not run the same model:\n" + "\n".join(problems))
                wanted = lengths if model == "real" else CONTROL_LENGTHS
                results["runs"][model] += session.measure(running, wanted, rounds, repeats, threads)
    session.log("opening and memory")
    results["opening"] = opening.measure(builds, real, choices[1], fresh)
    encoded = tokenizer.encode(opening.TEXT).ids
    results["first_labels"] = opening.first_labels(builds, root, real, choices[1], fresh, encoded)
    session.log("a file of sentences")
    graphs = {choices[threads][ORT_INT8].file for threads in (1, 2)}
    results["throughput"] = files.throughput(root, real, sorted(graphs), path, rows, fresh)
    session.log("tokenizing")
    results["tokenizing"] = files.tokenizing(builds, real, path, 3 * rounds)
    if options.avx2:
        session.log("held to AVX2")
        results["avx2"] = avx2.measure(builds, work, real, checked, lengths, rounds, repeats)

    data = work / "results.json"
    data.write_text(json.dumps(results, indent=1))
    report.write(output / "RESULTS.md", results)
    subprocess.run([builds.shipped / "chart", data, output / "results.svg"], check=True)
    session.log(f"written: {output / 'RESULTS.md'}")


if __name__ == "__main__":
    main()
