#!/usr/bin/env python3
"""Makes texts of one to three words, like "Awful." or "not bad", from the phrases of SST-2 with
five labels. A phrase with an opinion is NEGATIVE or POSITIVE. One NEUTRAL phrase is drawn for each
three of them, since two thirds of the short phrases are neutral. Each phrase is written as it is,
and once more as a sentence, with a capital and "." or "!". Writes a table with the columns text and
label to standard output. The same phrases give the same texts.

    make.py train_phrases_fine.tsv > short-texts.tsv

The file has the columns label5 (0 very negative to 4 very positive) and phrase.
"""

import argparse
import csv
import random
import sys

SEED = 3
LABELS = {"0": "NEGATIVE", "1": "NEGATIVE", "2": "NEUTRAL", "3": "POSITIVE", "4": "POSITIVE"}
OPINIONS_PER_NEUTRAL = 3


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("phrases")
    phrases = list(read_short_phrases(arguments.parse_args().phrases))
    source = random.Random(SEED)
    opinions = [row for row in phrases if row[1] != "NEUTRAL"]
    neutral = [row for row in phrases if row[1] == "NEUTRAL"]
    source.shuffle(neutral)
    chosen = opinions + neutral[: len(opinions) // OPINIONS_PER_NEUTRAL]
    rows = [(form, label) for phrase, label in chosen for form in forms(source, phrase)]
    source.shuffle(rows)
    print("text\tlabel")
    for text, label in rows:
        print(f"{text}\t{label}")


def read_short_phrases(path):
    with open(path, encoding="utf-8", newline="") as file:
        table = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
        if not {"label5", "phrase"} <= set(table.fieldnames or []):
            sys.exit(f"{path}: found the columns {table.fieldnames}, expected label5 and phrase")
        for row in table:
            if row["label5"] not in LABELS:
                sys.exit(f"{path}:{table.line_num}: label5 is {row['label5']!r}, expected 0 to 4")
            if 1 <= sum(any(map(str.isalpha, word)) for word in row["phrase"].split()) <= 3:
                yield row["phrase"], LABELS[row["label5"]]


def forms(source, phrase):
    return phrase, phrase[0].upper() + phrase[1:] + source.choice(".!")


if __name__ == "__main__":
    main()
