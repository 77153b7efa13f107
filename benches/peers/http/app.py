"""A service as people write it: FastAPI over ONNX Runtime and `tokenizers`, with the request and the
answer of Text Embeddings Inference's `/predict`.

    MODEL=int8-fused-cut.onnx VOCABULARY=vocab.txt uvicorn app:app
"""

import os

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import BertWordPieceTokenizer

LABELS = os.environ["LABELS"].split(",")

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
names = [node.name for node in session.get_inputs()]
tokenizer = BertWordPieceTokenizer(os.environ["VOCABULARY"], lowercase=True)
tokenizer.enable_truncation(512)
app = FastAPI()


class Request(BaseModel):
    inputs: str


# An asynchronous function runs in the thread of the server. A synchronous one, in a pool of
# threads, was slower.
@app.post("/predict")
async def predict(request: Request):
    encoding = tokenizer.encode(request.inputs)
    tokens = np.array([encoding.ids], np.int64)
    values = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "token_type_ids": np.zeros_like(tokens)}
    logits = session.run(["logits"], {name: values[name] for name in names})[0][0]
    scores = np.exp(logits - logits.max())
    scores /= scores.sum()
    order = np.argsort(-scores)
    return [{"label": LABELS[index], "score": float(scores[index])} for index in order]
