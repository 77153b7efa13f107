"""Sentences to classify: a user's file of `sentence<TAB>label`, or as many sentences as SST-2 dev
has, generated from the clauses in clauses.txt. Generated sentences have no labels, so accuracy is
only reported for a user's file."""

import random
from pathlib import Path

CLAUSES = Path(__file__).parent.parent / "clauses.txt"
SENTENCES = 872
# Peers truncate longer sentences, in tokens.
LONGEST = 512
# Weights of sentences with one, two and three clauses. Their lengths are about those of SST-2 dev.
WEIGHTS = (3, 5, 4)
JOINTS = (" , and ", " , but ", " ; ", " , although ")


def generate():
    choose = random.Random(7)
    clauses = CLAUSES.read_text().splitlines()
    rows = []
    for _ in range(SENTENCES):
        first, *rest = choose.sample(clauses, choose.choices((1, 2, 3), WEIGHTS)[0])
        rows.append((first + "".join(choose.choice(JOINTS) + clause for clause in rest) + " .", None))
    return rows


def read(path):
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    if lines[0] != "sentence\tlabel":
        raise SystemExit(f"{path}: line 1: {lines[0]!r} found, expected the header 'sentence<TAB>label'")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        sentence, tab, label = line.partition("\t")
        if not tab or label not in ("0", "1"):
            raise SystemExit(f"{path}: line {number}: label {label!r} found, expected 0 or 1 behind a tab")
        rows.append((sentence, int(label)))
    return rows


def write(rows, path):
    """Writes a file that all pipelines can read: a header, then one sentence per line. It is a
    valid table of one column and a valid text."""
    path.write_text("sentence\n" + "".join(f"{sentence}\n" for sentence, _ in rows), encoding="utf-8")
