"""A short program that labels one text with ONNX Runtime and `tokenizers`: MODEL VOCABULARY
TEXT."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import BertWordPieceTokenizer

model, vocabulary, text = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 3
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
row = np.array([BertWordPieceTokenizer(vocabulary, lowercase=True).encode(text).ids], np.int64)
values = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
logits = session.run(["logits"], {node.name: values[node.name] for node in session.get_inputs()})[0][0]
labels = json.loads(Path(vocabulary).with_name("config.json").read_text())["id2label"]
print(labels[str(int(np.argmax(logits)))], flush=True)
