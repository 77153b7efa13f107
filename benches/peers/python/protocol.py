"""The protocol of a runner (src/protocol.rs) for engines with a Python interface."""

import sys
import time

import numpy as np


def padded(sentences):
    """Returns token ids and mask of sentences, padded to the longest: [batch, tokens] each."""
    tokens = np.zeros((len(sentences), max(map(len, sentences))), np.int64)
    mask = np.zeros_like(tokens)
    for row, ids in enumerate(sentences):
        tokens[row, : len(ids)] = ids
        mask[row, : len(ids)] = 1
    return tokens, mask


class Engine:
    """An engine with one model. Subclasses implement the methods."""

    def open(self):
        """Opens the model. An earlier opened model is closed."""
        raise NotImplementedError

    def logits(self, ids):
        """Returns the logits of one sequence of token ids, as a list."""
        raise NotImplementedError

    def bind(self, ids):
        """Returns a function that runs the model once on these ids. Only calls of the
        function are timed, not `bind` itself."""
        raise NotImplementedError

    def version(self):
        """Returns name and version of the engine."""
        raise NotImplementedError


def serve(engine):
    """Answers requests until `quit` or the end of the input."""
    is_open = False
    for line in sys.stdin:
        request, *words = line.split()
        if request == "quit":
            return
        numbers = [int(word) for word in words]
        if not is_open and request in ("logits", "run"):
            engine.open()
            is_open = True
        print(request, answer(engine, request, numbers), flush=True)
        is_open = is_open or request == "load"


def answer(engine, request, numbers):
    if request == "load":
        start = time.perf_counter_ns()
        engine.open()
        engine.bind(numbers)()
        return time.perf_counter_ns() - start
    if request == "logits":
        return " ".join(str(float(logit)) for logit in engine.logits(numbers))
    if request == "run":
        repeats, run, times = numbers[0], engine.bind(numbers[1:]), []
        for _ in range(repeats):
            start = time.perf_counter_ns()
            run()
            times.append(time.perf_counter_ns() - start)
        return " ".join(map(str, times))
    if request == "allocations":
        return "not counted"
    if request == "version":
        return engine.version()
    sys.exit(f"error request {request} found, expected load, logits, run, allocations, version or quit")
