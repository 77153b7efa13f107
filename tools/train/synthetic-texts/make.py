#!/usr/bin/env python3
"""Makes short texts of templates.txt and words.txt: texts in which negation, time, other people's
opinions and questions decide the label, neutral statements, and texts that name persons and cities.
Writes a table with the columns text, label and kind to standard output. The same arguments give the
same texts.

    make.py > labelled.tsv
    make.py --times 20 --unlabelled --extend pos_adj=positive-words.txt --extend neg_adj=FILE > texts.txt

--times N        makes N times as many texts of each kind.
--extend L=FILE  adds the words of a file, one per line, to the list L. To lists of adjectives it adds
                 only words with an ending of adjectives. Lines that begin with ';' are skipped.
--unlabelled     writes the texts alone, one per line, for `electra-train label`: with words from
                 elsewhere a template's label is not certain.
"""

import argparse
import random
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
SEED = 20261129
# Attempts for each text that is wanted, after which a kind counts as exhausted.
ATTEMPTS = 50
ADJECTIVE = re.compile(r"[a-z-]+(ful|ous|able|ible|ive|less|ing|ish|ent|ant|ic|al|(?<!l)y|ed)")
# Words that begin with a vowel but take "a".
SOUNDED = re.compile(r"\b([Aa])n (?=(?:European|unique|useful|usable|one|used|uni)\b)")


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--times", type=int, default=1)
    arguments.add_argument("--extend", action="append", default=[], metavar="LIST=FILE")
    arguments.add_argument("--unlabelled", action="store_true")
    arguments = arguments.parse_args()
    words = read_words(HERE / "words.txt")
    for extension in arguments.extend:
        name, _, file = extension.partition("=")
        if name not in words or not file:
            sys.exit(f"--extend {extension}: expected LIST=FILE with LIST one of {', '.join(words)}")
        words[name] += extra_words(name, Path(file))
    source = random.Random(SEED)
    rows = {}
    for kind, count, labels, templates in read_templates(HERE / "templates.txt"):
        for text in texts(source, count * arguments.times, templates, words):
            rows.setdefault(text, (source.choice(labels), kind))
    rows = list(rows.items())
    source.shuffle(rows)
    if not arguments.unlabelled:
        print("text\tlabel\tkind")
    for text, (label, kind) in rows:
        print(text if arguments.unlabelled else f"{text}\t{label}\t{kind}")


def read_words(path):
    words = {}
    for line in lines(path):
        name, _, rest = line.partition(":")
        words.setdefault(name, []).extend(word.strip() for word in rest.split(";"))
    return words


def extra_words(name, path):
    found = path.read_text(encoding="utf-8", errors="replace").split("\n")
    found = [word.strip() for word in found if word.strip() and not word.startswith(";")]
    return [word for word in found if not name.endswith("adj") or ADJECTIVE.fullmatch(word)]


def read_templates(path):
    """Yields the kind, the number of texts, the labels and the templates of each section."""
    sections = []
    for line in lines(path):
        head = re.fullmatch(r"\[(.+)\] (\d+) ([A-Z ]+)", line)
        if head:
            sections.append((head[1], int(head[2]), head[3].split(), []))
        else:
            sections[-1][3].append(line)
    return sections


def lines(path):
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def texts(source, count, templates, words):
    found = {}
    for _ in range(ATTEMPTS * count):
        if len(found) == count:
            break
        found[fill(source, source.choice(templates), words)] = None
    return found


def fill(source, template, words):
    chosen = {}

    def word(slot):
        if slot[1] not in chosen:
            chosen[slot[1]] = source.choice(words[slot[1].rstrip("2")])
        return chosen[slot[1]]

    text = re.sub(r"\{(\w+)\}", word, template)
    text = re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)
    text = SOUNDED.sub(r"\1 ", text)
    return re.sub(r"(^|[.?!] )([a-z])", lambda start: start[1] + start[2].upper(), text)


if __name__ == "__main__":
    main()
