"""Runs ONNX Runtime int8 with `tokenizers` on a file of sentences, with two threads, in several
ways. It is a runner with its own requests:

    python pipeline_onnxruntime.py VOCABULARY FILE MODEL [MODEL ...]

| request | answer |
|---|---|
| `ways` | the available ways, separated by bars |
| `time WAY` | seconds from the file on disk to the labels, with model and tokenizer open |
| `labels WAY` | the labels without NEUTRAL, 0 or 1, in the order of the file |
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tokenizers import BertWordPieceTokenizer

from runner_onnxruntime import open_session

THREADS = 2
LONGEST = 512
BATCHES = (1, 8, 32)


class Pipeline:
    """Sorts sentences by length and divides them into batches, which are padded to their longest
    sentence. `sessions` sessions run batches at the same time, with `THREADS / sessions` threads
    each."""

    def __init__(self, tokenizer, kept, model, batch, sessions):
        self.tokenizer, self.kept, self.batch = tokenizer, kept, batch
        self.sessions = [open_session(model, THREADS // sessions, "spin") for _ in range(sessions)]
        self.pool = ThreadPoolExecutor(sessions)

    def run(self, path):
        sentences = Path(path).read_text(encoding="utf-8").splitlines()[1:]
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(sentences)]
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]), reverse=True)
        batches = [order[at : at + self.batch] for at in range(0, len(order), self.batch)]
        labels = np.empty(len(encoded), np.int64)

        def work(session_number):
            session = self.sessions[session_number]
            names = [node.name for node in session.get_inputs()]
            for batch in batches[session_number :: len(self.sessions)]:
                tokens = np.zeros((len(batch), len(encoded[batch[0]])), np.int64)
                mask = np.zeros_like(tokens)
                for row, index in enumerate(batch):
                    tokens[row, : len(encoded[index])] = encoded[index]
                    mask[row, : len(encoded[index])] = 1
                values = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
                logits = session.run(["logits"], {name: values[name] for name in names})[0]
                labels[batch] = logits[:, self.kept].argmax(axis=1)

        list(self.pool.map(work, range(len(self.sessions))))
        return labels


def main():
    vocabulary, path, *models = sys.argv[1:]
    tokenizer = BertWordPieceTokenizer(vocabulary, lowercase=True)
    tokenizer.enable_truncation(LONGEST)
    names = json.loads(Path(vocabulary).with_name("config.json").read_text())["id2label"]
    kept = [int(index) for index, label in names.items() if label != "NEUTRAL"]
    ways = {
        f"{Path(model).stem}, batches of {batch}, {sessions} session(s) of {THREADS // sessions} thread(s)": (model, batch, sessions)
        for model in models
        for batch in BATCHES
        for sessions in (1, THREADS)
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
            model, batch, sessions = ways[way]
            name, pipeline = way, Pipeline(tokenizer, kept, model, batch, sessions)
            pipeline.run(path)
        start = time.perf_counter()
        labels = pipeline.run(path)
        took = time.perf_counter() - start
        print(request, took if request == "time" else " ".join(map(str, labels)), flush=True)


main()
