"""Optimisers and random numbers. Signatures and meanings: `protocol.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .elementwise import cast, copy
from .gpu import device
from .layout import contiguous, named, result_of
from .lists import by_dtype, check_lists, in_place, table_of

Array = Any


def sgd(params: Sequence[Array], grads: Sequence[Array], momenta: Sequence[Array] | None, *, lr: float,
        momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool,
        first: bool) -> None:  # fmt: skip
    lists = (params, grads, momenta)
    check_lists("sgd", lists)
    in_place("sgd", lists, (0, 2), lr, momentum, dampening, weight_decay, int(nesterov), int(maximize), int(first))


def adam(params: Sequence[Array], grads: Sequence[Array], exp_avgs: Sequence[Array], exp_avg_sqs: Sequence[Array],
         max_exp_avg_sqs: Sequence[Array] | None, *, lr: float, beta1: float, beta2: float, eps: float,
         weight_decay: float, step: int, decoupled: bool, maximize: bool) -> None:  # fmt: skip
    lists = (params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs)
    check_lists("adam", lists)
    shrink, decay = (1 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    in_place("adam", lists, (0, 2, 3, 4), lr / (1 - beta1**step), math.sqrt(1 - beta2**step), beta1, beta2, eps, shrink,
             decay, int(maximize))  # fmt: skip


# -- clipping ------------------------------------------------------------------------------------------------------
def total_norm(arrays: Sequence[Array]) -> Array:
    gpu = device()
    check_lists("squares", [arrays])
    lists = [(dtype, [contiguous(x) for x in some or ()]) for dtype, (some,) in by_dtype([arrays])]
    tables = [(dtype, *table_of(gpu, [some])) for dtype, some in lists]
    sums, done = gpu.empty((sum([pieces for _, _, pieces in tables]),), np.float64), 0
    for dtype, table, pieces in tables:
        part = sums[done : done + pieces]
        gpu.launch(named("squares", dtype), (min(pieces, 65535),), (256,), part, table, pieces)
        done += pieces
    norm = gpu.empty((), arrays[0].dtype)
    gpu.launch(named("norm", norm.dtype), (1,), (256,), norm, sums, done)
    return norm


def limit_norm(arrays: Sequence[Array], norm: Array, most: float) -> None:
    check_lists("limit_norm", [arrays])
    for dtype, some in by_dtype([arrays]):
        in_place("limit_norm", some, (0,), norm if norm.dtype == dtype else cast(norm, dtype), float(most))


# -- random numbers ------------------------------------------------------------------------------------------------
def _fours(name: str, count: int, *args: Any) -> None:
    if count:
        device().flat(name, -(-count // 4), *args)


def philox(n: int, seed: int, stream: int, offset: int) -> Array:
    y = device().empty((n,), np.uint32)
    _fours("philox_u32", n, y, n, seed, stream, offset)
    return y


def _draw(name: str) -> Callable[..., Array]:
    def kernel(shape: tuple[int, ...], a: float, b: float, dtype: Any, seed: int, stream: int, offset: int) -> Array:
        y = device().empty(shape, dtype)
        second = b - a if name == "uniform" else b
        _fours(named(name, y.dtype), y.size, y, y.size, seed, stream, offset, float(a), float(second))
        return y

    return kernel


def dropout(x: Array, p: float, seed: int, stream: int, offset: int, *, out: Array | None = None) -> Array:
    gpu, source = device(), contiguous(x)
    y = gpu.empty(x.shape, x.dtype)
    _fours(named("dropout", x.dtype), x.size, y, source, x.size, seed, stream, offset, float(p))
    return y if out is None else copy(y, out=result_of("dropout", gpu, out, x.shape, x.dtype))


TABLE: dict[str, Callable[..., Any]] = {
    "sgd": sgd,
    "adam": adam,
    "total_norm": total_norm,
    "limit_norm": limit_norm,
    "philox": philox,
    "uniform": _draw("uniform"),
    "normal": _draw("normal"),
    "dropout": dropout,
}
