"""Runs all measurements of one session. Writes tables and a chart to benches/results, named by the
class of the processor, and the data to target/peers/results.json."""

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

import avx2
import files
import machine
import opening
import report
import session
import systems
import texts

CONTROL_LENGTHS = (32, 128)
CHECKED_SENTENCES = 16
# NNCF's default.
CALIBRATION_SENTENCES = 300
SMOKE_SENTENCES = 64


def arguments():
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__)
    parser.add_argument("--systems", type=families, metavar="NAME,...", default=systems.FAMILIES,
                        help=f"peers to race, of {', '.join(systems.FAMILIES)}; {' and '.join(systems.ALWAYS)} always take part [default: all]")
    parser.add_argument("--class", dest="processor", metavar="NAME", default=processor_class(),
                        help="class of the processor, the name of the files [default here: %(default)s]")
    parser.add_argument("--smoke", action="store_true", help="few repeats, two lengths: shows that everything works")
    parser.add_argument("--sentences", type=Path, metavar="FILE", help="sentence<TAB>label with a header, e.g. SST-2 dev.tsv")
    parser.add_argument("--calibration", type=Path, metavar="FILE",
                        help="sentences from which OpenVINO's ranges of activations are taken, e.g. SST-2 train.tsv [default: the other sentences]")
    parser.add_argument("--avx2", action="store_true", help="also systems held to AVX2 (x86-64 Linux)")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write [default: benches/results, for a smoke run target/peers]")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--print-rust-peers", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def families(text):
    names = text.split(",")
    for name in names:
        if name not in systems.FAMILIES:
            raise argparse.ArgumentTypeError(f"{name!r} found, expected one of {', '.join(systems.FAMILIES)}")
    return tuple(name for name in systems.FAMILIES if name in names or name in systems.ALWAYS)


def processor_class():
    fields = machine.processor()
    numbers = [fields[key] for key in ("vendor_id", "cpu family", "model") if key in fields]
    return "-".join(numbers).lower() or "unknown"


def main():
    options = arguments()
    if options.print_rust_peers:
        print(*(family for family in systems.RUST_FAMILIES if family in options.systems))
        return
    root, work = options.root, options.root / "target/peers"
    output = options.output or (work if options.smoke else root / "benches/results")
    lengths = (8, 128) if options.smoke else session.LENGTHS
    rounds, repeats, fresh = (2, 2, 1) if options.smoke else (15, 4, 7)
    builds, models = systems.Builds(work), work / "models"
    real = models / "real"
    racing = systems.taking_part(options.systems)

    rows = texts.read(options.sentences) if options.sentences else texts.generate()
    calibration = texts.read(options.calibration) if options.calibration else rows
    calibration = random.Random(7).sample(calibration, min(CALIBRATION_SENTENCES, len(calibration)))
    rows = rows[:SMOKE_SENTENCES] if options.smoke else rows
    path = work / "sentences.tsv"
    texts.write(rows, path)
    tokenizer = BertWordPieceTokenizer(str(real / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(texts.LONGEST)
    encode = lambda sentences: [encoding.ids for encoding in tokenizer.encode_batch(sentences)]
    sentences = encode([text for text, _ in rows])
    checked = [(text, ids) for (text, _), ids in zip(rows[:CHECKED_SENTENCES], sentences)]
    (welcome,) = encode([opening.TEXT])
    prepare(work, models, options.systems, encode([text for text, _ in calibration]), [*sentences, welcome])

    source = options.sentences.name if options.sentences else "put together from benches/peers/clauses.txt"
    results = {"smoke": options.smoke, "class": options.processor, "machine": machine.describe(root, source)}
    results |= {"systems": [system.name for system in racing], "runs": {}, "missing": {}}
    results["calibration"] = f"{len(calibration)} sentences ({options.calibration.name if options.calibration else source})"
    opening.page_in([real, models / "random"])
    session.log("which files and settings are the fastest")
    choices, results["trials"] = {}, []
    for threads in (1, 2):
        choices[threads], trials = session.choose(builds, real, threads, rounds, racing)
        results["trials"] += trials
    results["choices"] = {str(threads): {name: str(choice) for name, choice in chosen.items()} for threads, chosen in choices.items()}
    for model in ("real", "random"):
        results["runs"][model] = []
        for threads in (1, 2):
            session.log(f"the interleaved session: {model} model")
            with session.Session(builds, models / model, threads, choices[threads], racing) as running:
                results["missing"][f"{model}, {threads}"] = running.missing
                if (model, threads) == ("real", 1):
                    results["differences"], problems = session.check(running, checked)
                    if problems:
                        raise SystemExit("the systems do not run the same model:\n" + "\n".join(problems))
                wanted = lengths if model == "real" else CONTROL_LENGTHS
                results["runs"][model] += session.measure(running, wanted, rounds, repeats, threads)
    session.log("opening and memory")
    results["opening"] = opening.measure(builds, real, racing, choices[1], fresh)
    results["first_labels"] = opening.first_labels(builds, root, real, racing, choices[1], fresh, welcome)
    session.log("a file of sentences")
    peers = {
        system: sorted({choices[threads][system.name].file for threads in (1, 2)})
        for system in racing
        if system.name in (systems.ORT_INT8, systems.OPENVINO_INT8, systems.CTRANSLATE2_INT8)
    }
    results["throughput"] = files.throughput(root, real, peers, path, rows, fresh)
    session.log("tokenizing")
    results["tokenizing"] = files.tokenizing(builds, real, path, 3 * rounds)
    if options.avx2:
        session.log("held to AVX2")
        results["avx2"] = avx2.measure(builds, work, real, racing, checked, lengths, rounds, repeats)

    data, tables, chart = work / "results.json", output / f"{options.processor}.md", output / f"{options.processor}.svg"
    data.write_text(json.dumps(results, indent=1))
    output.mkdir(exist_ok=True)
    report.write(tables, chart, results)
    subprocess.run([builds.shipped / "chart", data, chart], check=True)
    session.log(f"written: {tables}")


def prepare(work, models, wanted, calibration, sentences):
    """Makes the models that depend on the sentences."""
    if systems.OPENVINO in wanted:
        path = work / "calibration.json"
        path.write_text(json.dumps(calibration))
        for model in ("real", "random"):
            script = Path(__file__).parent / "openvino_model.py"
            subprocess.run([sys.executable, str(script), str(models / model), str(path)], check=True, stdout=subprocess.DEVNULL)
    if systems.CTRANSLATE2 in wanted:
        import ctranslate2_model

        sequences = [*sentences, *(session.ids(tokens) for tokens in session.LENGTHS)]
        for model in ("real", "random"):
            ctranslate2_model.write(models / model, models / model / "ctranslate2", sequences)


if __name__ == "__main__":
    main()
