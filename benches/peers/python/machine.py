"""Describes the machine that the results depend on: processor, kernel, versions."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("onnxruntime", "onnx", "openvino", "nncf", "ctranslate2", "numpy", "tokenizers")
# Extensions that determine the choice of kernels.
TELLING = ("sse4_1 avx avx2 fma avx_vnni avx512f avx512bw avx512vl avx512_vnni avx512_bf16 amx_int8 asimd asimddp i8mm sve").split()


def processor():
    """Returns the fields of /proc/cpuinfo, and the set of extensions as `flags`."""
    info = Path("/proc/cpuinfo").read_text()
    fields = dict(re.findall(r"^([^\t:]+?)\s*: (.*)$", info, re.M))
    return fields | {"flags": set((fields.get("flags") or fields.get("Features") or "").split())}


def describe(root, sentences):
    fields = processor()
    flags = fields["flags"]
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    kernels = output([str(root / "target/release/electra"), "inspect"])
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "family": " ".join(f"{key} {fields[key]}" for key in ("cpu family", "model", "stepping") if key in fields),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in flags,
        "flags": [flag for flag in TELLING if flag in flags],
        "governor": governor.read_text().strip() if governor.exists() else "not visible",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}",
        "kernels": next((line.strip() for line in kernels.splitlines() if "kernel" in line.lower()), ""),
        "rustc": output(["rustc", "--version"]).strip(),
        "commit": output(["git", "-C", str(root), "describe", "--always", "--dirty"]).strip(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "load": os.getloadavg()[0],
        "sentences": sentences,
    }


def output(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
