"""Measures electra-edge and ONNX Runtime without AVX-512."""

import subprocess
import sys
from pathlib import Path

import session
from systems import SYSTEMS

HELD = tuple(system for system in SYSTEMS if system.ours or system.runner == "runner_onnxruntime.py")


def measure(builds, work, folder, checked, lengths, rounds, repeats):
    copy = work / "avx2"
    script = Path(__file__).parent / "hold_to_avx2.py"
    subprocess.run([sys.executable, str(script), str(copy)], check=True)
    # The copy of ONNX Runtime still uses AVX-VNNI if the processor has it, so electra-edge may use
    # it too.
    kernels = "avx-vnni" if "avx_vnni" in Path("/proc/cpuinfo").read_text() else "avx2"
    held = {"ELECTRA_KERNELS": kernels, "PYTHONPATH": str(copy)}
    results = {"kernels": kernels, "runs": []}
    for threads in (1, 2):
        choices, _ = session.choose(builds, folder, threads, rounds, HELD, held)
        with session.Session(builds, folder, threads, choices, HELD, held) as running:
            if threads == 1:
                results["differences"], results["problems"] = session.check(running, checked)
            results["runs"] += session.measure(running, lengths, rounds, repeats, threads)
    return results
