"""The parts of ELECTRA before and after the encoder of CTranslate2. ctranslate2_model.py writes their
files into the folder of the model:

    pairs.npy   token id and position of each row of the table of embeddings: [rows, 2]
    head.npz    weights of the head
"""

import math
from pathlib import Path

import numpy as np

PAIRS, HEAD = "pairs.npy", "head.npz"


class Rows:
    """Finds the rows of token ids in the table of embeddings."""

    def __init__(self, folder):
        pairs = np.load(Path(folder) / PAIRS)
        self.numbers = {(int(token), int(position)): row for row, (token, position) in enumerate(pairs)}
        self.folder = folder

    def of(self, ids):
        try:
            return [self.numbers[token, position] for position, token in enumerate(ids)]
        except KeyError as error:
            token, position = error.args[0]
            raise SystemExit(f"error {self.folder}/{PAIRS}: no row for token id {token} at position {position}") from error


class Head:
    """The head of the classifier, from hidden states of [CLS] to logits."""

    def __init__(self, folder):
        self.tensors = dict(np.load(Path(folder) / HEAD))

    def logits(self, rows):
        """Returns [batch, labels] for `rows`: [batch, hidden]."""
        inner = self.linear(rows, "classifier.dense")
        return self.linear(gelu(inner), "classifier.out_proj")

    def linear(self, rows, name):
        return rows @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]


def gelu(values):
    return values * (1 + np.vectorize(math.erf)(values / np.sqrt(2))) / 2
