"""What this machine computes with; for `tge info` and a run's env.json."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np

import tinygrad_edu as tg


def describe() -> dict[str, Any]:
    """Version, kernels, instruction set, threads, GPU, Python, NumPy."""
    return {
        "tinygrad_edu": tg.__version__,
        "kernels": tg.kernels.K.name,
        "instruction_set": tg.kernels.isa(),
        "threads": tg.get_num_threads(),
        "cpus": os.cpu_count(),
        "gpu": gpu(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }


def gpu() -> str | None:
    """The name of the first GPU that CuPy finds, or None."""
    try:
        import cupy  # type: ignore[import-not-found]

        return str(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())
    except Exception:  # no CuPy, no driver, no device, or a broken one: there is none to be used
        return None
