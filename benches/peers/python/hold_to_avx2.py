"""Makes a copy of ONNX Runtime that behaves as if the system did not save AVX-512 registers.

ONNX Runtime has no setting for its instruction sets. Before it uses AVX-512 (or AMX), it reads with
XGETBV, register 0, which registers the operating system saves. In the copy this instruction,
0F 01 D0, is replaced by `push 7; pop rax`, 6A 07 58. The result then says that only x87, SSE and
AVX registers are saved, as on a processor without AVX-512. Nothing else is changed. AVX-VNNI in
256-bit registers is detected separately and stays in use if the processor has it.

    python hold_to_avx2.py FOLDER        # then PYTHONPATH=FOLDER
"""

import importlib.util
import shutil
import sys
from pathlib import Path

# XOR ECX, ECX; XGETBV. Data that contains the three bytes of XGETBV by chance is not changed.
QUESTION, ANSWER = b"\x31\xc9\x0f\x01\xd0", b"\x31\xc9\x6a\x07\x58"
# Occurrences in the wheel of version 1.32.0 for x86-64 Linux: the choice of kernels, the
# description of the processor, and one more.
EXPECTED = 3


def main():
    folder = Path(sys.argv[1])
    installed = Path(importlib.util.find_spec("onnxruntime").origin).parent
    copy = folder / "onnxruntime"
    if copy.exists():
        shutil.rmtree(copy)
    shutil.copytree(installed, copy)
    (library,) = (copy / "capi").glob("onnxruntime_pybind11_state*.so")
    data = library.read_bytes()
    if data.count(QUESTION) != EXPECTED:
        sys.exit(f"{library}: asks for the saved registers in {data.count(QUESTION)} places, expected {EXPECTED}: another version")
    library.write_bytes(data.replace(QUESTION, ANSWER))


main()
