"""Fixtures. The package under test is the one that is installed."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "models"

TEXTS = [
    "A warm, funny and quietly moving film.",
    "What a waste of money.",
    "",
    "Ünïcödé 😀 and the 東京 tower, don't mind!",
    "The battery lasts for days.",
    "It was fine, I guess.",
] + [f"Chapter {number} is {word}." for number, word in enumerate(["dull", "great"] * 20)]


@pytest.fixture(scope="session")
def detector_model():
    return MODELS / "electra-small-rtd" / "model.electra"


@pytest.fixture(scope="session")
def command():
    """Runs the command `electra`, an independent door to the same engine; returns its JSON rows."""
    executable = os.environ.get("ELECTRA_COMMAND", str(ROOT / "target" / "debug" / "electra"))

    def run(subcommand, texts, *arguments):
        # A JSON file keeps texts with line breaks and empty texts.
        rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        path = Path(os.environ.get("TMPDIR", "/tmp")) / f"electra-edge-{os.getpid()}.jsonl"
        path.write_text(rows)
        try:
            command = [executable, subcommand, "--json", "--input", str(path), *arguments]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        finally:
            path.unlink()
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run
