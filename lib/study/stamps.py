"""Where and with what something is computed, for stamps: the class of machine, and versions."""

import os
import platform
from importlib import metadata
from pathlib import Path

LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "torch", "numba", "pyjaspar")
VECTORS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "asimd")  # the widest first


def machine() -> str:
    """The class of machine: system, processor, cores and widest vector instructions; no name."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text("utf-8").splitlines() if told.is_file() else []
    said = dict(
        reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line])
    )
    flags = said.get("flags", said.get("Features", "")).split()  # x86, Arm
    vectors = next((name for name in VECTORS if name in flags), "")
    words = platform.system(), platform.machine(), said.get("model name", platform.processor())
    return ", ".join(filter(None, (*words, f"{os.cpu_count()} cores", vectors)))


def versions() -> dict[str, str]:
    """Of Python and of what a result depends on besides this package."""
    found = {name: metadata.version(name) for name in LIBRARIES}
    return {"python": platform.python_version()} | found
