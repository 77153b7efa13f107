"""CTranslate2 as a runner with the protocol of src/protocol.rs: `MODEL THREADS SETTING`.

Only the encoder is timed, from rows of the table of embeddings to hidden states
(ctranslate2_model.py). For `logits`, numpy computes the head.

The setting determines how long the threads of GNU OpenMP spin while they wait for work: `short` is
its default, some milliseconds, `spin` is some ten times as long, and with `block` they never spin.
"""

import ctypes
import os
import sys
from importlib.metadata import version

import numpy as np

import protocol
from around_encoder import Head, Rows

SPINNING = {"short": {}, "spin": {"GOMP_SPINCOUNT": "3000000"}, "block": {"OMP_WAIT_POLICY": "passive"}}
# Parameters of glibc's mallopt: M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD, in bytes.
KEEP_MEMORY = {-1: 1 << 30, -2: 1 << 26, -3: 1 << 25}


def open_encoder(folder, encoders, threads, setting):
    """Opens the model for `encoders` batches at the same time, with `threads` threads each."""
    # CTranslate2 allocates its buffers in every run. A run of 128 tokens takes 1.7 times as long if
    # glibc returns their pages to the system each time.
    for parameter, value in KEEP_MEMORY.items():
        ctypes.CDLL(None).mallopt(parameter, value)
    # OpenMP reads the variables when it is loaded.
    os.environ |= SPINNING[setting]
    import ctranslate2

    return ctranslate2.Encoder(folder, device="cpu", inter_threads=encoders, intra_threads=threads, compute_type="int8")


def workers(folder, count, threads):
    """Returns `count` workers of a pipeline (pipeline.py). CTranslate2 itself pads a batch, and
    leaves the padding out of its matrix products. The returned functions compute the head."""
    encoder, rows, head = open_encoder(folder, count, threads, "short"), Rows(folder), Head(folder)

    def worker(sentences):
        output = encoder.forward_batch([rows.of(ids) for ids in sentences])
        return lambda: head.logits(np.array(output.last_hidden_state)[:, 0])

    return [worker] * count


class CTranslate2(protocol.Engine):
    def __init__(self, folder, threads, setting):
        self.how, self.encoder = (folder, 1, threads, setting), None
        self.rows, self.head = Rows(folder), Head(folder)

    def open(self):
        self.encoder = None
        self.encoder = open_encoder(*self.how)

    def logits(self, ids):
        states = np.array(self.bind(ids)().last_hidden_state)
        return self.head.logits(states[:, 0])[0]

    def bind(self, ids):
        batch = [self.rows.of(ids)]
        return lambda: self.encoder.forward_batch(batch)

    def version(self):
        return f"CTranslate2 {version('ctranslate2')}"


if __name__ == "__main__":
    protocol.serve(CTranslate2(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
