"""Makes a copy of ONNX Runtime that believes the operating system keeps no AVX-512 registers.

ONNX Runtime has no setting for its instruction sets, so its question is answered differently. Before it uses AVX-512
(or AMX) it asks with XGETBV, register 0, which registers the system saves. In the copy that instruction, 0F 01 D0, is
replaced by `push 7; pop rax`, 6A 07 58: x87, SSE and AVX are saved, nothing else, as on a processor without AVX-512.
Nothing else is changed. AVX-VNNI in 256-bit registers is asked for elsewhere and stays in use where a processor has it.

    python hold_to_avx2.py FOLDER        # then PYTHONPATH=FOLDER
"""

import importlib.util
import shutil
import sys
from pathlib import Path

# XOR ECX, ECX; XGETBV: also keeps data that happens to contain the three bytes from being touched.
QUESTION, ANSWER = b"\x31\xc9\x0f\x01\xd0", b"\x31\xc9\x6a\x07\x58"
# In the wheel of version 1.32.0 for x86-64 Linux: the kernels' choice, the processor's description, one more.
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
