"""Compiles `csrc/ladder/` for this machine, once, and loads it: the ladder's steps and the probes of its limits."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "csrc" / "ladder"


@functools.cache
def ladder() -> ctypes.CDLL:
    """The compiled ladder, from `build/` if it is there already; RuntimeError if no compiler can make it."""
    compiler = shlex.split(os.environ.get("CXX", "g++"))
    flags = ["-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-pthread", "-fno-math-errno", "-Wno-psabi"]
    flags += ["-mprefer-vector-width=512"] if platform.machine().lower() in ("x86_64", "amd64") else []
    files = sorted(SOURCES.glob("*.cpp"))
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir()))
    name = hashlib.sha256((text + processor() + " ".join([*compiler, *flags])).encode()).hexdigest()[:16]
    library = ROOT / "build" / f"ladder-{name}.so"
    if not library.exists():
        library.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            made = Path(folder) / "ladder.so"
            try:
                subprocess.run([*compiler, *flags, *map(str, files), "-o", str(made)], check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                raise RuntimeError(
                    f"csrc/ladder cannot be compiled ({error}): the benchmarks need a C++ compiler"
                ) from None
            made.replace(library)
    loaded = ctypes.CDLL(str(library))
    loaded.probe_fma.restype = loaded.probe_copy.restype = loaded.probe_unit.restype = ctypes.c_double
    loaded.probe_copy.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_int]
    return loaded


def processor() -> str:
    """The processor's name as it gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def limits(threads: int, quick: bool = False) -> dict[str, float]:
    """`flops` a second of the vector units, those of a matrix unit (`unit`) if the library uses one, and `bandwidth` in
    bytes a second: the best of some tries."""
    from tinygrad_edu.kernels import isa

    library, tries = ladder(), 1 if quick else 5
    size, times = (1 << 20, 1) if quick else (1 << 26, 4)
    return {
        "flops": max(library.probe_fma(threads) for _ in range(tries)),
        "unit": max(library.probe_unit(threads) for _ in range(tries)) if isa() == "amx" else 0.0,
        "bandwidth": max(library.probe_copy(threads, size, times) for _ in range(tries)),
    }
