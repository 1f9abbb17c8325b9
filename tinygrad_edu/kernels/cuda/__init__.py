"""The kernel table on a GPU: launch code for the CUDA kernels in `csrc/cuda/`, which CuPy compiles on first use.

Arrays are `cupy.ndarray`s. Only our own kernels, allocation and copies run on the device, so that everything here can
be executed without one: `use(gpu)` takes what stands for it. Signatures and meanings: `protocol.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import StateError
from . import elementwise, heads, indexing, optimisers, order, products, recurrent, reductions, rows, windows
from .elementwise import bits, to_device, to_host
from .gpu import Device, Gpu, device, in_use, real_gpu, use
from .indexing import pick, put
from .layout import expanded, reshaped
from .signatures import FILES, KERNELS

name = "cuda"
TABLE: dict[str, Callable[..., Any]] = {
    **elementwise.TABLE, **reductions.TABLE, **products.TABLE, **optimisers.TABLE,
    **windows.TABLE, **rows.TABLE, **heads.TABLE,
    **recurrent.TABLE, **order.TABLE, **indexing.TABLE,
}  # fmt: skip


def __getattr__(kernel: str) -> Callable[..., Any]:
    """A kernel of the table by its name; StateError for one that has not been written for the GPU."""
    if kernel.startswith("__"):
        raise AttributeError(kernel)
    try:
        return TABLE[kernel]
    except KeyError:
        raise StateError(f"{kernel}: there is no GPU kernel for it yet; compute it on the CPU, as in x.cpu()") from None


__all__ = [
    "FILES", "KERNELS", "TABLE", "Device", "Gpu", "bits", "device", "expanded", "in_use", "name", "pick", "put",
    "real_gpu", "reshaped", "to_device", "to_host", "use",
]  # fmt: skip
