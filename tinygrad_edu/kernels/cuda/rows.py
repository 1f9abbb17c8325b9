"""Rows of a table, and normalisation. Signatures and meanings: `protocol.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .gpu import device
from .layout import contiguous, named
from .reductions import sum, threads_for

Array = Any


# -- rows of a table ---------------------------------------------------------------------------------------------
def take(weight: Array, index: Array) -> Array:
    gpu, (rows, width) = device(), weight.shape
    y = gpu.empty((*index.shape, width), weight.dtype)
    gpu.flat(named("take", y.dtype), y.size, y, contiguous(weight), contiguous(index), gpu.fault(), index.size, rows,
             width)  # fmt: skip
    return y


def take_backward(g: Array, index: Array, rows: int, padding_idx: int) -> Array:
    gpu, width = device(), g.shape[-1]
    d = gpu.empty((rows, width), g.dtype)
    if d.size:
        grid = (-(-width // 64), min(rows, 256))
        gpu.launch(named("take_backward", g.dtype), grid, (64,), d, contiguous(g), contiguous(index), gpu.fault(),
                   index.size, rows, width, padding_idx)  # fmt: skip
    return d


# -- normalisation -----------------------------------------------------------------------------------------------
def _normalize(
    x: Array, weight: Array | None, bias: Array | None, eps: float, sets: tuple[int, int, int], by_set: bool,
    centred: bool, statistics: tuple[int, ...],
) -> tuple[Array, Array | None, Array]:  # fmt: skip
    """(y, mean or None, rstd) of x seen as `sets` (outer, sets, inner)."""
    gpu, x = device(), contiguous(x)
    y, rstd = gpu.empty(x.shape, x.dtype), gpu.empty(statistics, x.dtype)
    mean = gpu.empty(statistics, x.dtype) if centred else None
    weight, bias = (None if p is None else contiguous(p) for p in (weight, bias))
    if sets[1]:
        gpu.launch(named("normalize", x.dtype), (sets[1],), (threads_for(sets[0] * sets[2]),), y, mean, rstd, x, weight,
                   bias, eps, int(by_set), int(centred), *sets)  # fmt: skip
    return y, mean, rstd


def _backward(
    g: Array, x: Array, mean: Array | None, rstd: Array, weight: Array | None, sets: tuple[int, int, int], by_set: bool
) -> tuple[Array, Array | None, Array | None, Array | None]:
    """(dx, dweight, dbias, g·x̂): the first two sums where weights are by set, else the product for one."""
    gpu, g, x = device(), contiguous(g), contiguous(x)
    dx = gpu.empty(x.shape, x.dtype)
    dweight, dbias = (gpu.empty((sets[1],), x.dtype) if by_set else None for _ in range(2))
    seen = None if by_set or weight is None else gpu.empty(x.shape, x.dtype)
    known = [None if p is None else contiguous(p) for p in (mean, rstd, weight)]
    if sets[1]:
        gpu.launch(named("normalize_backward", x.dtype), (sets[1],), (threads_for(sets[0] * sets[2]),), dx, dweight,
                   dbias, seen, g, x, *known, int(by_set), *sets)  # fmt: skip
    return dx, dweight, dbias, seen


def _rows(x: Array) -> tuple[int, int, int]:
    return 1, math.prod(x.shape[:-1]), x.shape[-1]


def layer_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array | None, Array]:
    return _normalize(x, weight, bias, eps, _rows(x), False, True, x.shape[:-1])


def layer_norm_backward(
    g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None
) -> tuple[Array, Array | None, Array | None]:
    dx, _, _, seen = _backward(g, x, mean, rstd, weight, _rows(x), False)
    over = tuple(range(x.ndim - 1))
    return (dx, None, None) if seen is None else (dx, sum(seen, over, False), sum(g, over, False))


def rms_norm(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    y, _, rstd = _normalize(x, weight, None, eps, _rows(x), False, False, x.shape[:-1])
    return y, rstd


def rms_norm_backward(g: Array, x: Array, rstd: Array, weight: Array | None) -> tuple[Array, Array | None]:
    dx, _, _, seen = _backward(g, x, None, rstd, weight, _rows(x), False)
    return dx, None if seen is None else sum(seen, tuple(range(x.ndim - 1)), False)


def batch_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array | None, Array]:
    return _normalize(x, weight, bias, eps, x.shape, True, True, x.shape[1:2])


def batch_norm_backward(
    g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None
) -> tuple[Array, Array | None, Array | None]:
    return _backward(g, x, mean, rstd, weight, x.shape, True)[:3]


TABLE: dict[str, Callable[..., Any]] = {
    "take": take,
    "take_backward": take_backward,
    "layer_norm": layer_norm,
    "layer_norm_backward": layer_norm_backward,
    "rms_norm": rms_norm,
    "rms_norm_backward": rms_norm_backward,
    "batch_norm": batch_norm,
    "batch_norm_backward": batch_norm_backward,
}
