"""Measures load time, resident memory, allocations, and the time from process start to first label,
each in new processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

from runners import Runner
from session import ids, milliseconds, summary
from systems import ONNX_RUNTIME, environment

TOKENS = 128
TEXT = "ELECTRA is surprisingly fast and accurate."


def measure(builds, folder, systems, choices, rounds):
    """Returns one row per system. The rounds are interleaved. Load time is measured within the
    process, with the file in the page cache."""
    rows = {system.name: {"system": system.name, "load": [], "resident": []} for system in systems}
    for _ in range(rounds):
        for system in systems:
            row = rows[system.name]
            command = builds.command(system, folder, choices[system.name], 1)
            runner = Runner(system.name, command, environment(1))
            row["version"] = runner.version()
            row["load"].append(runner.load(ids(TOKENS)))
            runner.run(3, ids(TOKENS))
            row["resident"].append(runner.peak_resident())
            row["allocations"] = runner.allocations(ids(TOKENS))
            runner.close()
    for row in rows.values():
        row["load"] = summary(milliseconds(row["load"]))
        row["resident"] = max(row["resident"])
    return list(rows.values())


def first_labels(builds, root, folder, systems, choices, rounds, tokens_of_text):
    """Measures the time from the start of a process to its first label. electra-edge and ONNX
    Runtime start from the text. The other runners have no tokenizer and get token ids, which saves
    them the tokenization."""
    model = root / "models/electra-small-sentiment"
    commands = {}
    for system in systems:
        choice = choices[system.name]
        if system.ours:
            electra = root / "target/release/electra"
            engine = ["--engine", choice.setting, "--model", str(model / "model.electra")]
            commands[system.name] = ([str(electra), "classify", *engine, TEXT], None)
        elif system.family == ONNX_RUNTIME:
            script = Path(__file__).parent / "first_label_onnxruntime.py"
            commands[system.name] = ([sys.executable, str(script), str(folder / choice.file), str(model / "vocab.txt"), TEXT], None)
        else:
            request = f"logits {' '.join(map(str, tokens_of_text))}\n"
            commands[system.name] = (builds.command(system, folder, choice, 1), request)
    times = {name: [] for name in commands}
    for _ in range(rounds):
        for name, (command, request) in commands.items():
            times[name].append(first_line(name, command, request))
    return [{"system": name} | summary(milliseconds(nanoseconds)) for name, nanoseconds in times.items()]


def first_line(name, command, request):
    start = time.perf_counter_ns()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(1))
    if request:
        process.stdin.write(request)
        process.stdin.flush()
    line = process.stdout.readline()
    took = time.perf_counter_ns() - start
    process.communicate()
    if not line or line.startswith("error") or process.returncode != 0:
        sys.exit(f"{name}: {line!r}, exit code {process.returncode}, expected a label")
    return took


def page_in(paths):
    """Reads files once, so that no system is the first to read them."""
    for path in paths:
        for file in [path] if path.is_file() else path.iterdir():
            if file.is_file():
                with open(file, "rb") as handle:
                    while handle.read(1 << 20):
                        pass
                    os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
