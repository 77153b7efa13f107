"""The systems that are compared: how each is started, and on which files."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

PYTHON = Path(__file__).parent


@dataclass(frozen=True)
class System:
    name: str
    """Name of the runner's executable, or of its Python file."""
    runner: str
    """Files of the model that it can run; the fastest is kept. Several where the best one is not known beforehand."""
    files: tuple
    precision: str
    variant: str = ""
    ours: bool = False
    """Largest difference of a logit from ONNX Runtime in f32 on the real model."""
    tolerance: float = 1e-3


ORT, ORT_INT8 = "ONNX Runtime f32", "ONNX Runtime int8"
SYSTEMS = (
    System("electra-edge, direct", "runner-electra", ("model.electra",), "int8", "direct", True, 0.25),
    System("electra-edge, tract", "runner-electra", ("model.electra",), "int8", "tract", True, 0.25),
    System(ORT_INT8, "runner_onnxruntime.py", ("int8-plain.onnx", "int8-fused.onnx"), "int8", tolerance=0.25),
    System(ORT, "runner_onnxruntime.py", ("f32-plain.onnx", "f32-fused.onnx"), "f32"),
    System("rten int8", "runner-rten", ("int8-plain.onnx",), "int8", tolerance=0.25),
    System("rten f32", "runner-rten", ("f32-plain.onnx",), "f32"),
    System("tract int8", "runner-tract", ("int8-plain.onnx",), "int8", tolerance=0.25),
    System("tract f32", "runner-tract", ("f32-plain.onnx",), "f32"),
    System("candle f32", "runner-candle", (".",), "f32"),
)


class Builds:
    """Where the executables are."""

    def __init__(self, folder):
        self.shipped, self.native = folder / "shipped/shipped", folder / "native/release"

    def command(self, system, model, threads):
        arguments = [str(model), str(threads)] + ([system.variant] if system.variant else [])
        if system.runner.endswith(".py"):
            return [sys.executable, str(PYTHON / system.runner), *arguments]
        folder = self.shipped if system.ours else self.native
        return [str(folder / system.runner), *arguments]


def environment(threads, kernels=None):
    """candle's number of threads comes from the environment; ours must not take a model from there."""
    variables = dict(os.environ, RAYON_NUM_THREADS=str(threads))
    variables.pop("ELECTRA_MODEL", None)
    variables.pop("ELECTRA_KERNELS", None)
    if kernels:
        variables["ELECTRA_KERNELS"] = kernels
    return variables
