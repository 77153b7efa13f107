#!/usr/bin/env python3
"""Measures how well models find wrong words in sentences that they were not trained on.

    measure.py ELECTRA TEXT MODEL ...

ELECTRA is the command `electra`, TEXT a plain text whose last 9 MB the models have not seen, MODEL
a model file. One word of each of 3,000 sentences is spoilt in one of three ways, the same for every
model: it is written twice, exchanged with the next word, or replaced by a word of another sentence.
Prints how often the most suspicious word of the sentence is a spoilt one, how often a spoilt word
is marked as replaced, and how many of the other words are marked.
"""

import json
import random
import re
import subprocess
import sys
import tempfile

UNSEEN_BYTES = 9_000_000
SENTENCES = 3_000
SEED = 5


def main(electra, text, *models):
    spoilt = [spoil(*it) for it in zip(*sentences_and_words(text))]
    spoilt = [it for it in spoilt if it]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for _, words, _ in spoilt:
            print(json.dumps({"text": " ".join(words)}), file=file)
        file.flush()
        for model in models:
            command = [electra, "detect", "--model", model, "--json", "--input", file.name]
            lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
            report(model, spoilt, [json.loads(line) for line in lines])


def sentences_and_words(text):
    """Returns sentences of 8 to 25 plain words, and for each a word of another sentence."""
    with open(text, "rb") as file:
        file.seek(max(0, file.seek(0, 2) - UNSEEN_BYTES))
        end = file.read().decode(errors="replace").replace("\n", " ")
    found = [
        it
        for it in re.split(r"(?<=[.])\s+", end)
        if 8 <= len(it.split()) <= 25 and re.fullmatch(r"[A-Za-z ,.'-]+", it)
    ]
    if len(found) <= SENTENCES:
        sys.exit(f"{text}: {len(found)} sentences of plain words at its end, expected more than {SENTENCES}")
    random.seed(SEED)
    random.shuffle(found)
    sentences, rest = found[:SENTENCES], found[SENTENCES:]
    words = [word for sentence in rest for word in sentence.split() if word.isalpha()]
    return sentences, random.choices(words, k=len(sentences))


def spoil(sentence, other):
    """Returns (how, words, indices of the spoilt words), or None if nothing would change."""
    words = sentence.split()
    candidates = [index for index, word in enumerate(words[:-1]) if word.isalpha()]
    if not candidates:
        return None
    index = random.choice(candidates)
    how = random.choice(["written twice", "exchanged", "replaced"])
    if how == "written twice":
        words.insert(index + 1, words[index].lower())
        return how, words, {index, index + 1}
    if how == "replaced":
        if words[index].lower() == other.lower():
            return None
        words[index] = other.lower()
        return how, words, {index}
    if words[index].lower() == words[index + 1].lower():
        return None
    words[index], words[index + 1] = words[index + 1], words[index]
    return how, words, {index, index + 1}


def report(model, spoilt, detections):
    first, marked, count = {}, {}, {}
    untouched = untouched_marked = 0
    for (how, words, wrong), detection in zip(spoilt, detections, strict=True):
        score = scores(words, detection["tokens"])
        count[how] = count.get(how, 0) + 1
        first[how] = first.get(how, 0) + (score.index(max(score)) in wrong)
        marked[how] = marked.get(how, 0) + any(score[index] > 0.5 for index in wrong)
        others = [it for index, it in enumerate(score) if index not in wrong]
        untouched += len(others)
        untouched_marked += sum(it > 0.5 for it in others)
    print(model)
    for how, total in sorted(count.items()):
        print(f"  {how:14} {total:5}: most suspicious {first[how] / total:.1%}, marked {marked[how] / total:.1%}")
    print(f"  untouched words marked: {untouched_marked / untouched:.2%} of {untouched}")


def scores(words, tokens):
    """Returns, for each word, the largest probability of its tokens."""
    score, start, position = [], 0, 0
    for word in words:
        end = start + len(word)
        score.append(0.0)
        while position < len(tokens) and tokens[position]["start"] < end:
            score[-1] = max(score[-1], tokens[position]["probability"])
            position += 1
        start = end + 1
    return score


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
