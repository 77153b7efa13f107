"""Measures sentences per second from a file, and tokenization alone."""

import json
import subprocess
import sys
import time
from pathlib import Path

from runners import Runner
from session import log, summary
from systems import ORT_INT8, SYSTEMS, environment

THREADS = 2


def throughput(root, folder, peers, path, rows, rounds):
    """Compares `electra classify --input` with the fastest way of each of `peers`, with
    `tokenizers`. `peers` has the files of the model by system. The time of electra-edge includes the
    start of the process and opening the model. The processes of the peers are already running, and
    their models are open."""
    vocabulary, pipelines, trials, ways = folder / "vocab.txt", {}, [], {}
    for system, files in peers.items():
        script, module = Path(__file__).parent / "pipeline.py", Path(system.runner).stem
        models = [str(folder / file) for file in files]
        command = [sys.executable, str(script), module, str(vocabulary), str(path), *models]
        peer = pipelines[system.name] = Runner(system.name, command, environment(THREADS))
        found = []
        for way in peer.ask("ways").split("|"):
            seconds = min(float(peer.ask("time", way)) for _ in range(2))
            found.append({"system": system.name, "way": way, "sentences_per_second": len(rows) / seconds})
            log(f"  {len(rows) / seconds:8.0f} sentences a second: {system.name}, {way}")
            peer.wait_until_idle()
        ways[system.name] = max(found, key=lambda trial: trial["sentences_per_second"])["way"]
        trials += found
    ours = {system.name: classify(root, folder, system, path) for system in SYSTEMS if system.ours}
    times = {name: [] for name in [*ours, *pipelines]}
    for _ in range(rounds):
        for name, command in ours.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment(1))
            times[name].append(time.perf_counter() - start)
        for name, peer in pipelines.items():
            times[name].append(float(peer.ask("time", ways[name])))
            peer.wait_until_idle()
    labels = {name: [int(label) for label in peer.ask("labels", ways[name]).split()] for name, peer in pipelines.items()}
    for peer in pipelines.values():
        peer.close()
    for name, command in ours.items():
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(1)).stdout
        labels[name] = [int(json.loads(line)["label"] == "POSITIVE") for line in output.splitlines()]
    table = []
    for name, seconds in times.items():
        row = {"system": name, "way": ways.get(name, "")} | summary([len(rows) / second for second in seconds])
        if len(labels[name]) != len(rows):
            sys.exit(f"{name}: {len(labels[name])} labels for {len(rows)} sentences")
        if rows[0][1] is not None:
            row["accuracy"] = sum(found == row[1] for found, row in zip(labels[name], rows)) / len(rows)
        row["same_labels"] = sum(a == b for a, b in zip(labels[name], labels[ORT_INT8])) / len(rows)
        table.append(row)
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
