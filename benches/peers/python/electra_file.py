"""Reads a `.electra` file (docs/model-format.md) into f32 weights with Hugging Face's names."""

import struct
from pathlib import Path

import numpy as np

SECTIONS = {1: "config", 2: "labels", 4: "vocabulary", 5: "embeddings", 6: "encoder", 7: "head"}
ALIGNMENT = 64


class Parts:
    """Reads the arrays of one section in order. Each is padded to a multiple of 64 bytes."""

    def __init__(self, data):
        self.data, self.offset = data, 0

    def take(self, kind, count):
        array = np.frombuffer(self.data, kind, count, self.offset)
        self.offset += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        return array

    def rows(self, count, width):
        """Returns int8 rows, multiplied by the scale of each row: f32 [count, width]."""
        rows = self.take(np.int8, count * width).reshape(count, width)
        return rows.astype(np.float32) * self.take("<f4", count)[:, None]

    def linear(self, inputs, outputs):
        """Returns weight [outputs, inputs] and bias, unpacked from blocks of 16 outputs by 4
        inputs."""
        padded = -(-outputs // 16) * 16
        packed = self.take(np.int8, padded * inputs).reshape(padded // 16, inputs // 4, 16, 4)
        weight = packed.transpose(0, 2, 1, 3).reshape(padded, inputs).astype(np.float32)
        weight *= self.take("<f4", padded)[:, None]
        self.take("<i4", padded)
        bias = self.take("<f4", padded)
        return weight[:outputs], bias[:outputs].copy()

    def vector(self, count):
        return self.take("<f4", count).copy()


def read(path):
    """Returns the configuration with Hugging Face's names, and the tensors by name."""
    data = Path(path).read_bytes()
    if data[:8] != b"ELECTRA\0":
        raise SystemExit(f"{path}: begins with {data[:8]!r}, expected b'ELECTRA\\0'")
    version, count, layout = struct.unpack_from("<12xI8xII", data, 0)
    if (version, layout) != (2, 1):
        raise SystemExit(f"{path}: version {version}, layout {layout} found, expected 2 and 1 (docs/model-format.md)")
    sections = {}
    for index in range(count):
        kind, offset, length = struct.unpack_from("<I4xQQ", data, 64 + 32 * index)
        if kind in SECTIONS:
            sections[SECTIONS[kind]] = data[offset : offset + length]
    config = read_config(path, sections)
    return config, read_tensors(config, sections)


def read_config(path, sections):
    words = struct.unpack("<16I", sections["config"][:64])
    if words[0] != 1:
        raise SystemExit(f"{path}: head {words[0]} found, expected a classifier (1)")
    labels, offset = [], 0
    for _ in range(words[9]):
        (length,) = struct.unpack_from("<I", sections["labels"], offset)
        labels.append(sections["labels"][offset + 4 : offset + 4 + length].decode())
        offset += 4 + length
    names = "vocab_size embedding_size hidden_size num_hidden_layers num_attention_heads intermediate_size"
    names += " max_position_embeddings type_vocab_size"
    epsilon = struct.unpack("<f", struct.pack("<I", words[10]))[0]
    return dict(zip(names.split(), words[1:9])) | {"labels": labels, "layer_norm_eps": float(f"{epsilon:.6g}")}


def read_tensors(config, sections):
    embedding, hidden, inner = config["embedding_size"], config["hidden_size"], config["intermediate_size"]
    tensors = {}

    def put(name, weight, bias=None):
        tensors[f"{name}.weight"] = weight
        if bias is not None:
            tensors[f"{name}.bias"] = bias

    parts = Parts(sections["embeddings"])
    prefix = "electra.embeddings"
    put(f"{prefix}.word_embeddings", parts.rows(config["vocab_size"], embedding))
    put(f"{prefix}.position_embeddings", parts.rows(config["max_position_embeddings"], embedding))
    types = parts.vector(config["type_vocab_size"] * embedding)
    put(f"{prefix}.token_type_embeddings", types.reshape(config["type_vocab_size"], embedding))
    put(f"{prefix}.LayerNorm", parts.vector(embedding), parts.vector(embedding))
    if embedding != hidden:
        put("electra.embeddings_project", *parts.linear(embedding, hidden))
    parts = Parts(sections["encoder"])
    for layer in range(config["num_hidden_layers"]):
        prefix = f"electra.encoder.layer.{layer}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            put(f"{prefix}.attention.{name}", *parts.linear(hidden, hidden))
        put(f"{prefix}.attention.output.LayerNorm", parts.vector(hidden), parts.vector(hidden))
        put(f"{prefix}.intermediate.dense", *parts.linear(hidden, inner))
        put(f"{prefix}.output.dense", *parts.linear(inner, hidden))
        put(f"{prefix}.output.LayerNorm", parts.vector(hidden), parts.vector(hidden))
    parts = Parts(sections["head"])
    put("classifier.dense", *parts.linear(hidden, hidden))
    put("classifier.out_proj", *parts.linear(hidden, len(config["labels"])))
    return tensors
