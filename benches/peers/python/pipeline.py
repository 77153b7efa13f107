"""Runs a peer with `tokenizers` on a file of sentences, with two threads, in several ways. It is a
runner with its own requests:

    python pipeline.py RUNNER VOCABULARY FILE MODEL [MODEL ...]

RUNNER is the module with the function `workers`.

| request | answer |
|---|---|
| `ways` | the available ways, separated by bars |
| `time WAY` | seconds from the file on disk to the results, with model and tokenizer open |
| `labels WAY` | the labels without NEUTRAL, 0 or 1, in the order of the file |
"""

import importlib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

from texts import LONGEST

THREADS = 2
BATCHES = (1, 8, 32)


class Pipeline:
    """Sorts sentences by length and divides them into batches. Workers run batches at the same time,
    with `THREADS / workers` threads each. A worker is a function from the token ids of the sentences
    of a batch to a function, which returns their logits: [batch, labels]."""

    def __init__(self, tokenizer, workers, batch):
        self.tokenizer, self.workers, self.batch = tokenizer, workers, batch
        self.pool = ThreadPoolExecutor(len(workers))

    def run(self, path):
        """Returns pairs of the numbers of the sentences of a batch and the function of the worker."""
        sentences = Path(path).read_text(encoding="utf-8").splitlines()[1:]
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(sentences)]
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]), reverse=True)
        batches = [order[at : at + self.batch] for at in range(0, len(order), self.batch)]

        def work(number):
            mine = batches[number :: len(self.workers)]
            return [(batch, self.workers[number]([encoded[index] for index in batch])) for batch in mine]

        return [result for results in self.pool.map(work, range(len(self.workers))) for result in results]


def labels(results, kept):
    found = {}
    for batch, logits in results:
        found |= zip(batch, logits()[:, kept].argmax(axis=1), strict=True)
    return [found[index] for index in range(len(found))]


def main():
    runner, vocabulary, path, *models = sys.argv[1:]
    tokenizer = BertWordPieceTokenizer(vocabulary, lowercase=True)
    tokenizer.enable_truncation(LONGEST)
    names = json.loads(Path(vocabulary).with_name("config.json").read_text())["id2label"]
    kept = [int(index) for index, label in names.items() if label != "NEUTRAL"]
    ways = {
        f"{Path(model).stem}, batches of {batch}, {workers} at a time with {THREADS // workers} thread(s)": (model, batch, workers)
        for model in models
        for batch in BATCHES
        for workers in (1, THREADS)
    }
    name, pipeline = None, None
    for line in sys.stdin:
        request, _, way = line.strip().partition(" ")
        if request == "quit":
            return
        if request == "ways":
            print("ways", "|".join(ways), flush=True)
            continue
        if way != name:
            model, batch, workers = ways[way]
            open_workers = importlib.import_module(runner).workers
            name, pipeline = way, Pipeline(tokenizer, open_workers(model, workers, THREADS // workers), batch)
            pipeline.run(path)
        start = time.perf_counter()
        results = pipeline.run(path)
        took = time.perf_counter() - start
        print(request, took if request == "time" else " ".join(map(str, labels(results, kept))), flush=True)


main()
