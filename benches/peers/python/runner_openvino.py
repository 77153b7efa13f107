"""OpenVINO as a runner with the protocol of src/protocol.rs: `MODEL THREADS SETTING`.

The setting names the precision of everything that is not in int8: `f32`, `bf16`, or `automatic`,
which is bf16 if the processor has instructions for it. With `pinned`, the precision is automatic
and the threads are pinned to cores.
"""

import sys
from functools import partial
from importlib.metadata import version

import numpy as np
import openvino

import protocol

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SETTINGS = {
    "automatic": {},
    "f32": {"INFERENCE_PRECISION_HINT": "f32"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16"},
    "pinned": {"ENABLE_CPU_PINNING": True},
}


def compile_model(path, threads, setting):
    """Opens the model with inputs of any batch and length."""
    properties = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
    }
    return openvino.Core().compile_model(path, "CPU", properties | SETTINGS[setting])


def set_inputs(request, sentences):
    """Lets `request` read the arrays [batch, tokens] of the sentences in place. Returns the arrays,
    which must be kept until the end of the run."""
    tokens, mask = protocol.padded(sentences)
    arrays = dict(zip(INPUTS, (tokens, mask, np.zeros_like(tokens)), strict=True))
    for port in request.model_inputs:
        name = port.get_any_name()
        request.set_tensor(name, openvino.Tensor(arrays[name], shared_memory=True))
    return arrays


def workers(path, count, threads):
    """Returns `count` workers of a pipeline (pipeline.py)."""

    def worker(request, sentences):
        arrays = set_inputs(request, sentences)
        request.infer(share_outputs=True)
        logits = request.get_tensor("logits").data.copy()
        del arrays
        return lambda: logits

    return [partial(worker, compile_model(path, threads, "automatic").create_infer_request()) for _ in range(count)]


class OpenVino(protocol.Engine):
    def __init__(self, path, threads, setting):
        self.how, self.request, self.arrays = (path, threads, setting), None, None

    def open(self):
        self.request = None
        self.request = compile_model(*self.how).create_infer_request()

    def logits(self, ids):
        self.bind(ids)()
        return self.request.get_tensor("logits").data.ravel()

    def bind(self, ids):
        self.arrays = set_inputs(self.request, [ids])
        return lambda: self.request.infer(share_outputs=True)

    def version(self):
        return f"OpenVINO {version('openvino')}"


if __name__ == "__main__":
    protocol.serve(OpenVino(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
