"""The compared systems, their files, and the commands that start them."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from machine import processor

PYTHON = Path(__file__).parent


@dataclass(frozen=True)
class System:
    name: str
    """Name by which `--systems` selects it."""
    family: str
    """Name of the runner's executable, or of its Python file."""
    runner: str
    """Files of the model that it can run, and settings of its runner. The fastest of several is
    kept."""
    files: tuple
    settings: tuple = ("",)
    """Smallest number of threads at which the settings differ."""
    settings_from: int = 1
    """Settings when it is held to AVX2. Systems without any do not take part then."""
    held: tuple = ()
    """Largest permitted difference of a logit from ONNX Runtime in f32 on the real model."""
    tolerance: float = 1e-3
    """Extension of the processor without which it cannot take part."""
    needs: str | None = None

    @property
    def ours(self):
        return self.family == OURS


OURS, ONNX_RUNTIME, OPENVINO, CTRANSLATE2 = "electra-edge", "onnxruntime", "openvino", "ctranslate2"
# The other families have a runner in Rust with a feature of this name.
RUST_FAMILIES = ("rten", "tract", "candle")
FAMILIES = (OURS, ONNX_RUNTIME, OPENVINO, CTRANSLATE2, *RUST_FAMILIES)
# All times and logits are compared with those of these families.
ALWAYS = (OURS, ONNX_RUNTIME)

DIRECT, ORT, ORT_INT8 = "electra-edge, direct", "ONNX Runtime f32", "ONNX Runtime int8"
OPENVINO_INT8, CTRANSLATE2_INT8 = "OpenVINO int8", "CTranslate2 int8"
# Actions of threads while they wait. With one thread they do not differ.
ORT_WAITING = ("spin-while-running", "spin", "block")
CTRANSLATE2_WAITING = ("short", "spin", "block")
ALL_GRAPHS = ("plain", "plain-cut", "fused", "fused-cut")
STANDARD_GRAPHS = ALL_GRAPHS[:2]


def graphs(precision, names, ending="onnx"):
    return tuple(f"{precision}-{name}.{ending}" for name in names)


STATIC_GRAPHS = tuple(path for preset in ("performance", "mixed") for path in graphs(f"int8-{preset}", STANDARD_GRAPHS, "xml"))


def electra(engine):
    name, files = f"electra-edge, {engine}", ("model.electra",)
    return System(name, OURS, "runner-electra", files, (engine,), held=(engine,), tolerance=0.25)


def onnx_runtime(name, precision, tolerance):
    files = graphs(precision, ALL_GRAPHS)
    return System(name, ONNX_RUNTIME, "runner_onnxruntime.py", files, ORT_WAITING, 2, ORT_WAITING, tolerance)


SYSTEMS = (
    electra("direct"),
    electra("tract"),
    onnx_runtime(ORT_INT8, "int8", 0.5),
    onnx_runtime(ORT, "f32", 1e-3),
    # Held to AVX2, it would still choose bf16 for a processor with AVX-512, and then lack kernels.
    System(OPENVINO_INT8, OPENVINO, "runner_openvino.py", STATIC_GRAPHS, ("automatic", "f32", "pinned"), held=("f32",), tolerance=0.5),
    System("OpenVINO bf16", OPENVINO, "runner_openvino.py", graphs("f32", STANDARD_GRAPHS), ("bf16",), tolerance=0.25, needs="avx512_bf16"),
    System("OpenVINO f32", OPENVINO, "runner_openvino.py", graphs("f32", STANDARD_GRAPHS), ("f32",)),
    System(CTRANSLATE2_INT8, CTRANSLATE2, "runner_ctranslate2.py", ("ctranslate2",), CTRANSLATE2_WAITING, 2, CTRANSLATE2_WAITING, 0.25),
    System("rten int8", "rten", "runner-rten", graphs("int8", ALL_GRAPHS), tolerance=0.5),
    System("rten f32", "rten", "runner-rten", graphs("f32", ALL_GRAPHS)),
    System("tract int8", "tract", "runner-tract", graphs("int8", STANDARD_GRAPHS), tolerance=0.5),
    System("tract f32", "tract", "runner-tract", graphs("f32", STANDARD_GRAPHS)),
    System("candle f32", "candle", "runner-candle", (".",), ("in-runs", "once")),
)


def taking_part(families):
    """Returns the systems of `families` that this processor can run."""
    flags = processor()["flags"]
    return tuple(system for system in SYSTEMS if system.family in families and (system.needs is None or system.needs in flags))


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
    for name in ("ELECTRA_MODEL", "ELECTRA_KERNELS", "PYTHONPATH", "CT2_FORCE_CPU_ISA", "ONEDNN_MAX_CPU_ISA"):
        variables.pop(name, None)
    return variables | (held or {})
