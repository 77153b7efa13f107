"""The compared systems, their files, and the commands that start them."""

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
    """Files of the model that it can run, and settings of its runner. The fastest of several is
    kept."""
    files: tuple
    settings: tuple = ("",)
    """Smallest number of threads at which the settings differ."""
    settings_from: int = 1
    ours: bool = False
    """Largest permitted difference of a logit from ONNX Runtime in f32 on the real model."""
    tolerance: float = 1e-3


ORT, ORT_INT8 = "ONNX Runtime f32", "ONNX Runtime int8"
# Actions of ONNX Runtime's threads while they wait. With one thread they do not differ.
SPINNING = ("spin-while-running", "spin", "block")
ALL_GRAPHS = ("plain", "plain-cut", "fused", "fused-cut")
STANDARD_GRAPHS = ALL_GRAPHS[:2]


def graphs(precision, names):
    return tuple(f"{precision}-{name}.onnx" for name in names)


SYSTEMS = (
    System("electra-edge, direct", "runner-electra", ("model.electra",), ("direct",), ours=True, tolerance=0.25),
    System("electra-edge, tract", "runner-electra", ("model.electra",), ("tract",), ours=True, tolerance=0.25),
    System(ORT_INT8, "runner_onnxruntime.py", graphs("int8", ALL_GRAPHS), SPINNING, 2, tolerance=0.25),
    System(ORT, "runner_onnxruntime.py", graphs("f32", ALL_GRAPHS), SPINNING, 2),
    System("rten int8", "runner-rten", graphs("int8", ALL_GRAPHS), tolerance=0.25),
    System("rten f32", "runner-rten", graphs("f32", ALL_GRAPHS)),
    System("tract int8", "runner-tract", graphs("int8", STANDARD_GRAPHS), tolerance=0.25),
    System("tract f32", "runner-tract", graphs("f32", STANDARD_GRAPHS)),
    System("candle f32", "runner-candle", (".",), ("in-runs", "once")),
)


@dataclass(frozen=True)
class Choice:
    """A file and a setting for a system."""

    file: str
    setting: str

    def __str__(self):
        return ", ".join(part for part in (self.file, self.setting) if part and part != ".") or "the folder"


class Builds:
    """Folders of the executables."""

    def __init__(self, folder):
        self.shipped, self.native = folder / "shipped/shipped", folder / "native/release"

    def command(self, system, folder, choice, threads):
        arguments = [str(folder / choice.file), str(threads), choice.setting]
        if system.runner.endswith(".py"):
            return [sys.executable, str(PYTHON / system.runner), *arguments]
        folder = self.shipped if system.ours else self.native
        return [str(folder / system.runner), *arguments]


def environment(threads, held=None):
    """Returns the environment of a runner. candle gets its number of threads from it. electra-edge
    must not get a model or kernels from it. `held` has variables that restrict systems to older
    instruction sets."""
    variables = dict(os.environ, RAYON_NUM_THREADS=str(threads))
    for name in ("ELECTRA_MODEL", "ELECTRA_KERNELS", "PYTHONPATH"):
        variables.pop(name, None)
    return variables | (held or {})
