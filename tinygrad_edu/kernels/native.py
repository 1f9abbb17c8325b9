"""The kernel table served by compiled C++: `tinygrad_edu.kernels._native`, built from `csrc/`.

Each compiled function takes float32 and float64 arrays of any layout. What it has no compiled code for (integers,
mixed dtypes, byte-swapped arrays, …) it hands to the function of the same name in `reference.py`, and a kernel that no
C++ was written for comes from there altogether; `explain()` counts both. Signatures and meanings: `protocol.py`.

`TGE_ISA=baseline|avx2|avx512|amx` forces an instruction set; the default is the best that the processor has.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from ..errors import InputError
from . import _native, reference
from .devices import all_dispatched, dispatched
from .protocol import KERNELS

name = "native"
_not_compiled: dict[str, int] = {}  # calls of the kernels that no C++ has been written for


def _counted(kernel: str) -> Callable[..., Any]:
    """The reference's `kernel`, counting its calls for `explain()`."""
    function = getattr(reference, kernel)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        _not_compiled[kernel] = _not_compiled.get(kernel, 0) + 1
        return function(*args, **kwargs)

    return call


for _kernel in KERNELS:
    globals()[_kernel] = getattr(_native, _kernel, None) or dispatched(_kernel, _counted(_kernel))

# -- beyond the table
isa, available_isas = _native.isa, _native.available_isas
set_num_threads, get_num_threads = _native.set_num_threads, _native.get_num_threads
memory_stats, empty_cache = _native.memory_stats, _native.empty_cache
hide_node, show_node = _native.hide_node, _native.show_node
alike, linear_fits, of_one_dtype = _native.alike, _native.linear_fits, _native.of_one_dtype
is_plain, weight_and_bias = _native.is_plain, _native.weight_and_bias
same_places, same_shape = _native.same_places, _native.same_shape


def explain() -> str:
    """Which implementation has served each kernel so far, as a table in text."""
    lines = [f"instruction set: {isa()}, threads: {get_num_threads()}", f"{'kernel':24} {'calls':>10}  served by"]
    for kernel, (served, fallbacks) in sorted(_native.counters().items()):
        if served:
            lines.append(f"{kernel:24} {served:>10}  native")
        lines += [f"{kernel:24} {count:>10}  reference fallback: {why}" for why, count in sorted(fallbacks.items())]
    lines += [f"{kernel:24} {count:>10}  reference (not compiled)" for kernel, count in sorted(_not_compiled.items())]
    return "\n".join(lines)


_native.set_fallbacks(all_dispatched("reference"))
if os.environ.get("TGE_ISA"):
    try:
        _native.use_isa(os.environ["TGE_ISA"])
    except ValueError as error:
        raise InputError(f"TGE_ISA: {error}") from None
