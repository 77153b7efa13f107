"""Measures sentences per second from a file, and tokenization alone."""

import json
import subprocess
import sys
import time
from pathlib import Path

from runners import Runner
from session import log, summary
from systems import SYSTEMS, environment

THREADS = 2


def throughput(root, folder, graphs, path, rows, rounds):
    """Compares `electra classify --input` with the fastest way of ONNX Runtime with `tokenizers`.
    The time of electra-edge includes the start of the process and opening the model. The process of
    ONNX Runtime is already running, and its model is open."""
    vocabulary = folder / "vocab.txt"
    script = Path(__file__).parent / "pipeline_onnxruntime.py"
    models = [str(folder / graph) for graph in graphs]
    peer = Runner("pipeline", [sys.executable, str(script), str(vocabulary), str(path), *models], environment(THREADS))
    trials = []
    for way in peer.ask("ways").split("|"):
        seconds = min(float(peer.ask("time", way)) for _ in range(2))
        trials.append({"way": way, "sentences_per_second": len(rows) / seconds})
        log(f"  {len(rows) / seconds:8.0f} sentences a second: {way}")
    best = max(trials, key=lambda trial: trial["sentences_per_second"])["way"]
    ours = {system.name: classify(root, folder, system, path) for system in SYSTEMS if system.ours}
    times = {name: [] for name in [*ours, "peer"]}
    for _ in range(rounds):
        for name, command in ours.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment(1))
            times[name].append(time.perf_counter() - start)
        times["peer"].append(float(peer.ask("time", best)))
        peer.wait_until_idle()
    labels = {"peer": [int(label) for label in peer.ask("labels", best).split()]}
    peer.close()
    for name, command in ours.items():
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(1)).stdout
        labels[name] = [int(json.loads(line)["label"] == "POSITIVE") for line in output.splitlines()]
    table = []
    for name, seconds in times.items():
        row = {"system": name if name != "peer" else "ONNX Runtime int8 + tokenizers", "way": best if name == "peer" else ""}
        rates = summary([len(rows) / second for second in seconds])
        if len(labels[name]) != len(rows):
            sys.exit(f"{name}: {len(labels[name])} labels for {len(rows)} sentences")
        if rows[0][1] is not None:
            row["accuracy"] = sum(found == row[1] for found, row in zip(labels[name], rows)) / len(rows)
        row["same_labels"] = sum(a == b for a, b in zip(labels[name], labels["peer"])) / len(rows)
        table.append(row | rates)
    return {"sentences": len(rows), "trials": trials, "table": table}


def classify(root, folder, system, path):
    electra, model = root / "target/release/electra", folder / "model.electra"
    labels = json.loads((folder / "config.json").read_text())["id2label"].values()
    without = ["--without", "NEUTRAL"] if "NEUTRAL" in labels else []
    options = ["--format", "tsv", "--threads", str(THREADS), "--engine", system.settings[0], "--model", str(model), "--json", *without]
    return [str(electra), "classify", "--input", str(path), *options]


def tokenizing(builds, folder, path, rounds):
    """Runs the executable that checks that both tokenizers give the same ids, and then times them
    in turn."""
    command = [str(builds.shipped / "tokenizing"), str(folder / "model.electra"), str(folder / "vocab.txt"), str(path)]
    variables = environment(1) | {"TOKENIZERS_PARALLELISM": "false"}
    output = subprocess.run([*command, str(rounds)], check=True, capture_output=True, text=True, env=variables)
    found = json.loads(output.stdout)
    ratios = sorted(theirs / ours for ours, theirs in zip(found["ours"], found["theirs"], strict=True))
    rows = []
    for name, key in (("electra-edge", "ours"), (found["peer"], "theirs")):
        rates = [1e3 * found["bytes"] / time for time in found[key]]
        rows.append({"system": name} | summary(rates))
    return {"rows": rows, "ratio": ratios[len(ratios) // 2], "tokens": found["tokens"], "bytes": found["bytes"]}
