"""Writes the tables of a session."""

from itertools import groupby
from textwrap import fill

from systems import CTRANSLATE2, CTRANSLATE2_INT8, DIRECT, OPENVINO, OPENVINO_INT8, ORT, SYSTEMS

WIDTH = 100
WHOLE_WORDS = {"break_long_words": False, "break_on_hyphens": False}

RESTRICTED = {
    "ELECTRA_KERNELS": "electra-edge",
    "ONEDNN_MAX_CPU_ISA": "OpenVINO and CTranslate2",
    "CT2_FORCE_CPU_ISA": "CTranslate2",
}


def write(path, chart, results):
    path.write_text("\n".join(wrapped(render(results, chart.name))).rstrip() + "\n")


def wrapped(lines):
    """Fills paragraphs and the items of lists. Other lines stay as they are."""
    for is_text, group in groupby(lines, lambda line: line != "" and line[0] not in "|#!-"):
        for line in [" ".join(group)] if is_text else group:
            is_item = line.startswith("- ")
            indent = "  " if is_item else ""
            yield fill(line, WIDTH, subsequent_indent=indent, **WHOLE_WORDS) if is_text or is_item else line


def render(results, chart):
    yield f"# Session on a processor of the class {results['class']}"
    yield ""
    yield "Written by `benches/peers/run`. [The overview](../RESULTS.md) describes how a session measures."
    yield ""
    yield from smoke(results)
    yield from best(results)
    yield from machine(results)
    yield from systems(results)
    for title, model in (("the repository's model", "real"), ("random weights, as a control", "random")):
        yield from times(results, title, model)
        if model == "real":
            yield f"![time of a run by length]({chart})"
            yield ""
    yield from opening(results)
    yield from throughput(results)
    yield from tokenizing(results)
    yield from avx2(results)


def table(header, rows):
    yield "| " + " | ".join(header) + " |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def smoke(results):
    if results["smoke"]:
        yield "**A smoke run: too few repeats to say anything about speed.**"
        yield ""


def best(results):
    """The fastest peer at each length."""
    yield "## Best of the peers, as a multiple of our time"
    yield ""
    yield f"Time of the fastest peer in any precision, as a multiple of that of {DIRECT}. Above 1, electra-edge"
    yield "is faster."
    if takes_part(results, CTRANSLATE2_INT8):
        yield "CTranslate2 computes the encoder only. Its time is a lower bound."
    yield ""
    groups = [("", results["runs"]["real"])]
    if "avx2" in results:
        groups.append((", held to AVX2", results["avx2"]["runs"]))
    lengths = sorted({row["tokens"] for row in results["runs"]["real"]})
    rows = []
    for suffix, runs in groups:
        for threads in (1, 2):
            found = {(row["system"], row["tokens"]): row for row in runs if row["threads"] == threads}
            if ours_ran(found):
                rows.append((f"{threads} thread{'s' * (threads > 1)}{suffix}", *(fastest(found, tokens) for tokens in lengths)))
    yield from table(("tokens", *map(str, lengths)), rows)


def fastest(found, tokens):
    peers = [system.name for system in SYSTEMS if not system.ours and (system.name, tokens) in found]
    name = min(peers, key=lambda name: found[name, tokens]["median"])
    return f"{ratio(found[name, tokens], found)} ({name})"


def takes_part(results, name):
    return name in results["systems"]


def taking_part(results):
    return [system for system in SYSTEMS if takes_part(results, system.name)]


def machine(results):
    found = results["machine"]
    kind = "a virtual machine" if found["virtual"] else "no virtual machine"
    packages = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
    yield "## Machine"
    yield ""
    yield from table(
        ("", ""),
        [
            ("processor", f"{found['processor']} ({found['family']}), {found['cores']} cores, {kind}"),
            ("extensions", " ".join(found["flags"])),
            ("memory, frequency governor", f"{found['memory']}, {found['governor']}"),
            ("system", found["system"]),
            ("electra-edge", f"commit {found['commit']}, {found['kernels']}"),
            ("compiler", found["rustc"]),
            ("Python", f"{found['python']}: {packages}"),
            ("load before the start", f"{found['load']:.2f}"),
        ],
    )


def systems(results):
    yield "## Systems"
    yield ""
    absent = [system.name for system in SYSTEMS if not takes_part(results, system.name)]
    if absent:
        yield f"These systems did not take part: {', '.join(absent)}."
        yield ""
    yield "All systems run the model of the repository. For systems in f32, its int8 weights were multiplied by"
    yield "their scales. electra-edge is compiled as it is shipped, peers in Rust are compiled for this"
    yield "processor (`-C target-cpu=native`), and the others are the published wheels."
    yield ""
    families = {system.family for system in taking_part(results)}
    if OPENVINO in families:
        yield f"NNCF quantized the model for OpenVINO int8. It was calibrated with {results['calibration']}."
        yield "OpenVINO takes inputs of any shape."
        yield ""
    if CTRANSLATE2 in families:
        yield "CTranslate2 has neither ELECTRA's projection of the embeddings nor its head. It runs the encoder. The"
        yield "result of the embedding block is looked up in a table that was made in advance. For the comparison of"
        yield "logits, numpy computes the head, outside the measured time."
        yield ""
    yield "The last two columns show the allowed and the largest difference from the logits of ONNX Runtime in"
    yield "f32, on real sentences:"
    yield ""
    versions = {row["system"]: row["version"] for row in results["opening"]}
    rows = []
    for system in taking_part(results):
        difference = results["differences"][system.name]
        files = (results["choices"][threads][system.name] for threads in ("1", "2"))
        rows.append((system.name, versions[system.name], *files, f"{system.tolerance}", f"{difference:.5f}"))
    yield from table(("system", "version", "1 thread", "2 threads", "allowed", "found"), rows)
    yield "If a system has several files or settings, the fastest one at 32 and 128 tokens was kept. The table"
    yield "shows medians in ms. `plain` is the graph that an exporter writes, and `fused` is the graph after"
    yield "onnxruntime.transformers.optimizer. In `cut` the last layer computes only the rows that a classifier"
    yield "reads. No exporter writes such a graph, but electra-edge computes in this way, and the runner of"
    yield "candle was programmed to do so. `performance` and `mixed` are presets of NNCF:"
    yield ""
    found = {}
    for trial in results["trials"]:
        medians = found.setdefault((trial["system"], str(trial["threads"]), trial["choice"]), {})
        if "failed" in trial:
            medians[32] = f"does not run: {trial['failed'].replace('|', '/')}"
        else:
            medians[trial["tokens"]] = f"{trial['median']:.2f}"
    rows = ((*key, medians[32], medians.get(128, "")) for key, medians in found.items())
    yield from table(("system", "threads", "file, setting", "32 tokens", "128 tokens"), rows)


def times(results, title, model):
    for threads in (1, 2):
        rows = [row for row in results["runs"].get(model, []) if row["threads"] == threads]
        if not rows:
            continue
        lengths = sorted({row["tokens"] for row in rows})
        found = {(row["system"], row["tokens"]): row for row in rows}
        yield f"## Time of a run in ms, {threads} thread{'s' * (threads > 1)}: {title}"
        yield ""
        if model == "real":
            yield "Median, with the 10th and 90th percentile in parentheses, from token ids to logits, one sequence."
            yield ""
            yield from table(("tokens", *map(str, lengths)), grid(lengths, found, spread))
        yield f"Time as a multiple of that of {DIRECT}:" if ours_ran(found) else f"{DIRECT} does not run with {threads} threads: no ratios."
        yield ""
        if ours_ran(found):
            yield from table(("tokens", *map(str, lengths)), grid(lengths, found, lambda row: ratio(row, found)))
        for name, reason in results["missing"].get(f"{model}, {threads}", {}).items():
            yield f"Not measured: {name} ({reason})."
            yield ""


def grid(lengths, found, show):
    for system in SYSTEMS:
        cells = [found.get((system.name, tokens)) for tokens in lengths]
        if any(cells):
            yield (system.name, *(show(cell) if cell else "-" for cell in cells))


def spread(row):
    return f"{row['median']:.2f} ({row['p10']:.2f}-{row['p90']:.2f})"


def ours_ran(found):
    return any(system == DIRECT for system, _ in found)


def ratio(row, found):
    return f"{row['median'] / found[DIRECT, row['tokens']]['median']:.2f}"


def opening(results):
    yield "## Opening and memory"
    yield ""
    yield "- Load: time from opening the file to the first logits of 128 tokens, in a running process."
    yield (
        "- Resident: peak memory of a new process that opened the model and ran 128 tokens (VmHWM, which "
        "includes mapped files). ONNX Runtime, OpenVINO and CTranslate2 include Python; the others are "
        "small programs."
    )
    yield "- Allocations: in one run of 128 tokens after warming up."
    yield (
        "- First label: time from the start of a process. electra-edge and ONNX Runtime start from text, "
        "the others from token ids."
    )
    yield ""
    first = {row["system"]: row for row in results["first_labels"]}
    rows = []
    for row in results["opening"]:
        counted = row["allocations"]
        allocations = f"{counted[0]:,} ({counted[1]:,} bytes)" if counted else "not counted"
        resident = f"{row['resident'] / 1e6:.1f}"
        rows.append((row["system"], spread(row["load"]), resident, allocations, spread(first[row["system"]])))
    yield from table(("system", "load, ms", "resident, MB", "allocations per run", "first label, ms"), rows)


def throughput(results):
    found = results["throughput"]
    yield "## A file of sentences, 2 threads"
    yield ""
    yield f"{found['sentences']} sentences ({results['machine']['sentences']}), from text to labels. The label NEUTRAL is left out."
    yield "The time of electra-edge is that of `electra classify --input`, including the start of the process,"
    yield "opening the model, and output. The time of a peer is that of its fastest way below with `tokenizers`,"
    yield "including tokenization, but without the start of the process and opening the model. The time of"
    yield "CTranslate2 also lacks its embedding block and its head. \"Same labels\" is the share that agrees with"
    yield "ONNX Runtime int8."
    yield ""
    rows = []
    for row in found["table"]:
        accuracy = f"{100 * row['accuracy']:.2f} %" if "accuracy" in row else "no labels"
        rate = f"{row['median']:.0f} ({row['p10']:.0f}-{row['p90']:.0f})"
        rows.append((row["system"], rate, accuracy, f"{100 * row['same_labels']:.2f} %", row["way"]))
    yield from table(("system", "sentences per second", "accuracy", "same labels", "way"), rows)
    rows = [(trial["system"], trial["way"], f"{trial['sentences_per_second']:.0f}") for trial in found["trials"]]
    yield from table(("system", "way, sorted by length", "sentences per second, best of 2"), rows)


def tokenizing(results):
    found = results["tokenizing"]
    yield "## Tokenizing, 1 thread"
    yield ""
    yield f"The same {found['bytes']:,} bytes, {found['tokens']:,} tokens, with equal ids; `tokenizers` is the Rust crate, without offsets."
    yield ""
    rows = [(row["system"], f"{row['median']:.1f} ({row['p10']:.1f}-{row['p90']:.1f})") for row in found["rows"]]
    yield from table(("tokenizer", "MB per second"), rows)
    yield f"electra-edge takes 1/{found['ratio']:.1f} of the time (median of the ratios of neighbouring rounds)."
    yield ""


def avx2(results):
    yield "## Held to 256-bit registers"
    yield ""
    if "avx2" not in results:
        yield "Not measured in this run (`benches/peers/run --avx2` does)."
        return
    found = results["avx2"]
    yield "ONNX Runtime is the copy that `benches/peers/python/hold_to_avx2.py` makes: it assumes that the system"
    yield "does not save AVX-512 registers, and is otherwise unchanged. Variables hold the others:"
    yield ""
    for name, value in found["variables"].items():
        yield f"- {RESTRICTED[name]}: `{name}={value}`"
    yield ""
    if OPENVINO_INT8 in found["differences"]:
        yield "OpenVINO computes LayerNorm with AVX-512 in spite of its variable, if the processor has it."
        yield ""
    yield from table(
        ("system", "1 thread", "2 threads", f"largest difference from {ORT} under the same restriction"),
        ((name, *(found["choices"][threads][name] for threads in ("1", "2")), f"{worst:.4f}") for name, worst in found["differences"].items()),
    )
    for problem in found["problems"]:
        yield f"- beyond the tolerance: {problem}"
    if found["problems"]:
        yield ""
    for threads in (1, 2):
        rows = {(row["system"], row["tokens"]): row for row in found["runs"] if row["threads"] == threads}
        lengths = sorted({tokens for _, tokens in rows})
        yield f"{threads} thread{'s' * (threads > 1)}, ms:"
        yield ""
        yield from table(("tokens", *map(str, lengths)), grid(lengths, rows, spread))
        if ours_ran(rows):
            yield f"Time as a multiple of that of {DIRECT}:"
            yield ""
            yield from table(("tokens", *map(str, lengths)), grid(lengths, rows, lambda row: ratio(row, rows)))
