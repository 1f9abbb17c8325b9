"""The kernel table in use: `K.matmul(a, b)` calls the C++ kernel, or NumPy where there is none.

`TGE_KERNELS=reference` takes the NumPy reference for everything; `explain()` says who served what.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from ..errors import InputError
from . import devices, reference
from .devices import device_of, expanded, host, moved, on_gpu
from .protocol import Array, Kernels

__all__ = [
    "Array", "K", "Kernels", "beside", "device_of", "expanded", "explain", "host", "moved", "on", "on_gpu", "reference",
    "reshaped",
]  # fmt: skip


def choose() -> Kernels:
    """The backend that `TGE_KERNELS` asks for: "native" (C++, the default where it was built) or "reference"."""
    wanted = os.environ.get("TGE_KERNELS", "")
    if wanted not in ("", "native", "reference"):
        raise InputError(f'TGE_KERNELS is "{wanted}": it can be "native" or "reference"')
    built = importlib.util.find_spec(f"{__name__}._native") is not None
    if wanted == "native" and not built:
        raise ImportError("TGE_KERNELS=native, but the C++ kernels are not built; install g++, then reinstall")
    if wanted != "reference" and built:  # one that is built and does not load is heard of
        from . import native

        return native  # type: ignore[return-value]
    return devices.all_dispatched("reference")  # type: ignore[no-any-return]


K: Kernels = choose()


def reshaped(x: Any, shape: tuple[int, ...]) -> Any:
    """The entries in another shape: a view where the memory allows one, else a copy in memory that is used again."""
    view = devices.reshaped(x, shape)
    return K.copy(x).reshape(shape) if view is None else view


def on(device: object) -> Kernels:
    """The kernels that make arrays on a device, "cpu" (also None) or "cuda"; RuntimeError if there is none."""
    return devices.on(device, K)


def beside(array: object) -> Kernels:
    """The kernels that make arrays where `array` is."""
    return devices.cuda if on_gpu(array) else K  # type: ignore[return-value]


def explain() -> str:
    """Which implementation has served each kernel so far, as a table in text."""
    report = getattr(K, "explain", None)
    text: str = report() if report else "every kernel: NumPy reference"
    gpu = devices.cuda.in_use()
    launches = sorted(gpu.launches.items()) if gpu else []
    return "\n".join([text, *(f"{kernel:24} {count:>10}  launched on the GPU" for kernel, count in launches)])


def isa() -> str:
    """The instruction set that the compiled kernels use: "amx", "avx512", "avx2", "baseline"; "numpy" without."""
    return getattr(K, "isa", lambda: "numpy")()


def set_num_threads(n: int) -> None:
    """How many threads the compiled kernels may use; results do not depend on it."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError(f"set_num_threads: {n!r} is not a positive integer")
    getattr(K, "set_num_threads", lambda n: None)(n)


def get_num_threads() -> int:
    """How many threads the compiled kernels may use; 1 on the NumPy reference."""
    return getattr(K, "get_num_threads", lambda: 1)()


def memory_stats() -> dict[str, int]:
    """Figures of the caching allocator in bytes and calls; empty on the NumPy reference."""
    return getattr(K, "memory_stats", dict)()


def empty_cache() -> None:
    """Give memory that the allocator holds back for reuse to the operating system."""
    getattr(K, "empty_cache", lambda: None)()
