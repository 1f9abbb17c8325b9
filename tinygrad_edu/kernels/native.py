"""The kernel table served by compiled C++: `tinygrad_edu.kernels._native`, built from `csrc/`.

Each function takes float32 and float64 arrays of any layout. What it has no compiled code for (integers, mixed dtypes,
byte-swapped arrays, …) it hands to the function of the same name in `reference.py`; `explain()` counts both.
Signatures and meanings: `protocol.py`.

`TGE_ISA=baseline|avx2|avx512` forces an instruction set; the default is the best that the processor has.
"""

from __future__ import annotations

import os

from . import _native, reference

name = "native"

# -- memory -----------------------------------------------------------------------------------------------------------
empty, full, copy, cast = _native.empty, _native.full, _native.copy, _native.cast

# -- elementwise ------------------------------------------------------------------------------------------------------
add, sub, mul, div, pow = _native.add, _native.sub, _native.mul, _native.div, _native.pow
maximum, minimum, where = _native.maximum, _native.minimum, _native.where
eq, ne, lt, le, gt, ge = _native.eq, _native.ne, _native.lt, _native.le, _native.gt, _native.ge
neg, abs, sign, sqrt, sin, cos = _native.neg, _native.abs, _native.sign, _native.sqrt, _native.sin, _native.cos
exp, log, log1p, erf = _native.exp, _native.log, _native.log1p, _native.erf

# -- activations ------------------------------------------------------------------------------------------------------
relu, relu_backward = _native.relu, _native.relu_backward
leaky_relu, leaky_relu_backward = _native.leaky_relu, _native.leaky_relu_backward
sigmoid, sigmoid_backward = _native.sigmoid, _native.sigmoid_backward
tanh, tanh_backward = _native.tanh, _native.tanh_backward
gelu, gelu_backward = _native.gelu, _native.gelu_backward
silu, silu_backward = _native.silu, _native.silu_backward
softplus, softplus_backward = _native.softplus, _native.softplus_backward
elu, elu_backward = _native.elu, _native.elu_backward

# -- reductions, softmax, losses --------------------------------------------------------------------------------------
sum, amax, amin, argmax, argmin = _native.sum, _native.amax, _native.amin, _native.argmax, _native.argmin
softmax, softmax_backward = _native.softmax, _native.softmax_backward
log_softmax, log_softmax_backward = _native.log_softmax, _native.log_softmax_backward
cross_entropy, cross_entropy_backward = _native.cross_entropy, _native.cross_entropy_backward
mse, mse_backward = _native.mse, _native.mse_backward

# -- matrix products, indexing, random numbers, optimisers ------------------------------------------------------------
matmul, linear = _native.matmul, _native.linear
index_add = reference.index_add
philox, uniform, normal, dropout = _native.philox, _native.uniform, _native.normal, _native.dropout
sgd, adam = _native.sgd, _native.adam

# -- beyond the table -------------------------------------------------------------------------------------------------
isa, available_isas = _native.isa, _native.available_isas
set_num_threads, get_num_threads = _native.set_num_threads, _native.get_num_threads
memory_stats, empty_cache = _native.memory_stats, _native.empty_cache


def explain() -> str:
    """Which implementation has served each kernel so far, as a table in text."""
    lines = [f"instruction set: {isa()}, threads: {get_num_threads()}", f"{'kernel':24} {'calls':>10}  served by"]
    for kernel, (served, fallbacks) in sorted(_native.counters().items()):
        if served:
            lines.append(f"{kernel:24} {served:>10}  native")
        lines += [f"{kernel:24} {count:>10}  reference fallback: {why}" for why, count in sorted(fallbacks.items())]
    lines.append(f"{'index_add':24} {'':>10}  reference (always)")
    return "\n".join(lines)


_native.set_fallbacks(reference)
if os.environ.get("TGE_ISA"):
    try:
        _native.use_isa(os.environ["TGE_ISA"])
    except ValueError as error:
        raise ValueError(f"TGE_ISA: {error}") from None
