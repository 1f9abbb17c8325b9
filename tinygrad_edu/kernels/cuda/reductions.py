"""Reductions, softmax and losses. Signatures and meanings: `protocol.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..protocol import Axes
from .elementwise import copy, empty, squared
from .gpu import device
from .layout import contiguous, copied, merged, named, result_of, steps_of, suffix

Array = Any
F64 = np.dtype(np.float64)
INT64 = np.dtype(np.int64)


def threads_for(n: int) -> int:
    """A power of two from 32 to 256: threads that have a few of n entries each."""
    return max(32, min(256, 1 << max((n // 2).bit_length(), 0)))


def _two(shape: tuple[int, ...], steps: list[int]) -> tuple[int, int, int] | None:
    """(inner size, outer step, inner step) of one or two dimensions; None if there are more."""
    sizes, (merged_steps,) = merged(shape, steps)
    if len(sizes) > 2:
        return None
    if len(sizes) < 2:
        return (sizes or [1])[0], 0, (merged_steps or [0])[0]
    return sizes[1], merged_steps[0], merged_steps[1]


def reduced(x: Array, axes: Axes, kernels: tuple[str, str, str], out: Array, middle: Any) -> None:
    """Reduce x over axes into `out` (contiguous) with the first of `kernels`, in one pass.

    Where few rows are long, the second reduces them in parts, to results of dtype `middle` (None: never), and the third
    reduces these.
    """
    gpu = device()
    kept = [d for d in range(x.ndim) if d not in axes]
    rows, columns = (math.prod([x.shape[d] for d in some]) for some in (kept, axes))
    if not rows:
        return
    turned = x.transpose([*kept, *axes])
    row, column = _halves(turned, len(kept))
    if row is None or column is None:
        turned = copied(gpu, turned)
        row, column = _halves(turned, len(kept))
    assert row is not None
    assert column is not None
    across = row[2] == 1 and column[2] != 1 and rows >= 16
    blocks = -(-rows // 32) if across else rows
    parts = 1 if middle is None else max(1, min(columns // 2048, 512 // blocks, 256))
    way, block = ("across", (32, 8)) if across else ("along", (threads_for(columns // parts),))
    target = out if parts == 1 else gpu.empty((rows, parts), middle)
    gpu.launch(f"{kernels[parts > 1]}_{way}", (blocks, parts), block, target, turned, rows, columns, *row, *column)
    if parts > 1:
        layout = (rows, 0, parts, parts, 0, 1)  # (rows, parts), contiguous
        gpu.launch(f"{kernels[2]}_along", (rows,), (threads_for(parts),), out, target, rows, parts, *layout)


def _halves(x: Array, n: int) -> tuple[tuple[int, int, int] | None, tuple[int, int, int] | None]:
    """The layouts of the first n dimensions and of the others."""
    steps = steps_of(x, x.shape)
    return _two(x.shape[:n], steps[:n]), _two(x.shape[n:], steps[n:])


def _shape(x: Array, axes: Axes, keepdims: bool) -> tuple[int, ...]:
    if keepdims:
        return tuple([1 if d in axes else n for d, n in enumerate(x.shape)])
    return tuple([n for d, n in enumerate(x.shape) if d not in axes])


def _finished(operation: str, result: Array, out: Array | None) -> Array:
    return result if out is None else copy(result, out=result_of(operation, device(), out, result.shape, result.dtype))


def sum(x: Array, axes: Axes, keepdims: bool, *, out: Array | None = None) -> Array:
    s = suffix("sum", x.dtype)
    if x.dtype.kind != "f":
        result = empty(_shape(x, axes, keepdims), INT64)
        reduced(x, axes, (f"sum_{s}_i64", f"sum_{s}_i64", "sum_i64_i64"), result, INT64)
    else:
        result = empty(_shape(x, axes, keepdims), x.dtype)
        reduced(x, axes, (f"sum_{s}_{s}", f"sum_{s}_f64", f"sum_f64_{s}"), result, F64)
    return _finished("sum", result, out)


def _extreme(name: str) -> Callable[..., Array]:
    def kernel(x: Array, axes: Axes, keepdims: bool, *, out: Array | None = None) -> Array:
        k = f"{name}_{suffix(name, x.dtype)}"
        result = empty(_shape(x, axes, keepdims), x.dtype)
        reduced(x, axes, (k, k, k), result, x.dtype)
        return _finished(name, result, out)

    return kernel


def _position(name: str) -> Callable[..., Array]:
    def kernel(x: Array, axis: int, keepdims: bool) -> Array:
        k = f"{name}_{suffix(name, x.dtype)}"
        result = empty(_shape(x, (axis,), keepdims), INT64)
        reduced(x, (axis,), (k, k, k), result, None)
        return result

    return kernel


# -- softmax family ----------------------------------------------------------------------------------------------
def _along(name: str, inputs: int) -> Callable[..., Array]:
    def kernel(*values: Any, out: Array | None = None) -> Array:
        gpu = device()
        arrays, axis = [contiguous(a) for a in values[:inputs]], values[inputs]
        x = arrays[0]
        result = gpu.empty(x.shape, x.dtype)
        if x.size:
            n, inner = x.shape[axis], math.prod(x.shape[axis + 1 :])
            rows = x.size // n
            gpu.launch(named(name, x.dtype), (rows,), (threads_for(n),), result, *arrays, rows, n, inner)
        return _finished(name, result, out)

    return kernel


# -- losses ------------------------------------------------------------------------------------------------------
def cross_entropy(
    x: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float, reduction: str
) -> tuple[Array, Array, Any]:
    """As `protocol.py` has it, but that Σ w[t] stays on the GPU, as an array of one entry: nothing waits for it."""
    gpu = device()
    n, classes = x.shape
    x, target = contiguous(x), contiguous(target)
    weight = None if weight is None else contiguous(weight)
    loss, lse, share = gpu.empty((n,), x.dtype), gpu.empty((n,), x.dtype), gpu.empty((n,), F64)
    if n:
        gpu.launch(named("cross_entropy", x.dtype), (n,), (threads_for(classes),), loss, lse, share, x, target, weight,
                   gpu.fault(), n, classes, ignore_index, float(smoothing))  # fmt: skip
    total = sum(share, (0,), False)
    if reduction == "none":
        return loss, lse, total
    return _divided(_summed(loss), total if reduction == "mean" else 1.0, x.dtype), lse, total


def _summed(x: Array) -> Array:
    """The sum of all entries, in float64."""
    result = empty((), F64)
    s = suffix("sum", x.dtype)
    reduced(x.reshape(-1), (0,), (f"sum_{s}_f64", f"sum_{s}_f64", "sum_f64_f64"), result, F64)
    return result


def _divided(total: Array, by: Any, dtype: Any) -> Array:
    """A 0-d float64 array over a number, or over another such array."""
    result = empty((), dtype)
    array, number = (None, by) if isinstance(by, float) else (by, 1.0)
    device().launch(named("quotient", dtype), (1,), (32,), result, total, array, number)
    return result


def cross_entropy_backward(
    g: Array, x: Array, target: Array, lse: Array, weight: Array | None, ignore_index: int, smoothing: float,
    reduction: str, total: Any,
) -> Array:  # fmt: skip
    gpu = device()
    n, classes = x.shape
    dx = gpu.empty(x.shape, x.dtype)
    if dx.size:
        weight = None if weight is None else contiguous(weight)
        gpu.launch(
            named("cross_entropy_backward", x.dtype), (n,), (threads_for(classes),), dx, contiguous(g), contiguous(x),
            contiguous(target), contiguous(lse), weight, total if reduction == "mean" else None, n, classes,
            ignore_index, float(smoothing), int(g.ndim > 0),
        )  # fmt: skip
    return dx


def mse(x: Array, y: Array, reduction: str) -> Array:
    squares = squared(x, y)
    if reduction == "none":
        return squares
    return _divided(_summed(squares), float(x.size) if reduction == "mean" else 1.0, x.dtype)


TABLE: dict[str, Callable[..., Any]] = {
    "sum": sum,
    **{name: _extreme(name) for name in ("amax", "amin")},
    **{name: _position(name) for name in ("argmax", "argmin")},
    **{name: _along(name, 1) for name in ("softmax", "log_softmax")},
    **{name: _along(name, 2) for name in ("softmax_backward", "log_softmax_backward")},
    "cross_entropy": cross_entropy,
    "cross_entropy_backward": cross_entropy_backward,
    "mse": mse,
}
