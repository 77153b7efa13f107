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
    """Files of the model that it can run, and settings of its runner. Where there are several, the fastest is kept."""
    files: tuple
    settings: tuple = ("",)
    ours: bool = False
    """Largest difference of a logit from ONNX Runtime in f32 on the real model."""
    tolerance: float = 1e-3


ORT = "ONNX Runtime f32"
# What its threads do while they wait; with one thread there is nothing to choose.
SPINNING = ("spin-while-running", "spin", "block")
SYSTEMS = (
    System("electra-edge, direct", "runner-electra", ("model.electra",), ("direct",), ours=True, tolerance=0.25),
    System("electra-edge, tract", "runner-electra", ("model.electra",), ("tract",), ours=True, tolerance=0.25),
    System("ONNX Runtime int8", "runner_onnxruntime.py", ("int8-plain.onnx", "int8-fused.onnx"), SPINNING, tolerance=0.25),
    System(ORT, "runner_onnxruntime.py", ("f32-plain.onnx", "f32-fused.onnx"), SPINNING),
    System("rten int8", "runner-rten", ("int8-plain.onnx", "int8-fused.onnx"), tolerance=0.25),
    System("rten f32", "runner-rten", ("f32-plain.onnx", "f32-fused.onnx")),
    System("tract int8", "runner-tract", ("int8-plain.onnx",), tolerance=0.25),
    System("tract f32", "runner-tract", ("f32-plain.onnx",)),
    System("candle f32", "runner-candle", (".",)),
)


@dataclass(frozen=True)
class Choice:
    """A file and a setting for a system."""

    file: str
    setting: str

    def __str__(self):
        return ", ".join(part for part in (self.file, self.setting) if part and part != ".") or "the folder"

    @staticmethod
    def all(system, threads):
        settings = system.settings if threads > 1 else system.settings[:1]
        return [Choice(file, setting) for file in system.files for setting in settings]


class Builds:
    """Where the executables are."""

    def __init__(self, folder):
        self.shipped, self.native = folder / "shipped/shipped", folder / "native/release"

    def command(self, system, folder, choice, threads):
        arguments = [str(folder / choice.file), str(threads), choice.setting]
        if system.runner.endswith(".py"):
            return [sys.executable, str(PYTHON / system.runner), *arguments]
        folder = self.shipped if system.ours else self.native
        return [str(folder / system.runner), *arguments]


def environment(threads, held=None):
    """candle's number of threads comes from the environment; ours must not take a model or kernels from there.
    `held` are variables that hold systems to older instruction sets."""
    variables = dict(os.environ, RAYON_NUM_THREADS=str(threads))
    for name in ("ELECTRA_MODEL", "ELECTRA_KERNELS", "PYTHONPATH"):
        variables.pop(name, None)
    return variables | (held or {})
