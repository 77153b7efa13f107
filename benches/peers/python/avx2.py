"""Measures electra-edge and some peers without AVX-512."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import session
from machine import processor


def measure(builds, work, folder, systems, checked, lengths, rounds, repeats):
    copy = work / "avx2"
    script = Path(__file__).parent / "hold_to_avx2.py"
    subprocess.run([sys.executable, str(script), str(copy)], check=True)
    # The copy of ONNX Runtime still uses AVX-VNNI if the processor has it, so the others may use it
    # too.
    vnni = "avx_vnni" in processor()["flags"]
    held = {
        "ELECTRA_KERNELS": "avx-vnni" if vnni else "avx2",
        "PYTHONPATH": str(copy),
        "CT2_FORCE_CPU_ISA": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2_VNNI" if vnni else "AVX2",
    }
    systems = tuple(replace(system, settings=system.held) for system in systems if system.held)
    results = {"variables": {name: value for name, value in held.items() if name != "PYTHONPATH"}, "runs": [], "choices": {}}
    for threads in (1, 2):
        choices, _ = session.choose(builds, folder, threads, rounds, systems, held)
        results["choices"][str(threads)] = {name: str(choice) for name, choice in choices.items()}
        with session.Session(builds, folder, threads, choices, systems, held) as running:
            if threads == 1:
                results["differences"], results["problems"] = session.check(running, checked)
            results["runs"] += session.measure(running, lengths, rounds, repeats, threads)
    return results
