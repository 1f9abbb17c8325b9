"""Optimisers and random numbers. Signatures and meanings: `protocol.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from .elementwise import copy, mixed
from .gpu import device
from .layout import contiguous, named, result_of

Array = Any


def _checked(name: str, *lists: Sequence[Array] | None) -> None:
    """Everything is looked at before anything is changed."""
    gpu = device()
    given = [arrays for arrays in lists if arrays is not None]
    if len({len(arrays) for arrays in given}) > 1:
        raise InputError(f"{name}: lists of {[len(arrays) for arrays in given]} arrays; they must be equally long")
    for p, *others in zip(*given, strict=True):
        named(name, p.dtype)
        for other in (p, *others):
            if not isinstance(other, gpu.array_type):
                raise mixed(name)
            if other.shape != p.shape or other.dtype != p.dtype:
                raise InputError(f"{name}: a parameter of shape {p.shape} and {p.dtype} beside an array of shape "
                                 f"{other.shape} and {other.dtype}")  # fmt: skip


def _in_place(name: str, changed: list[Array | None], gradient: Array, *numbers: Any) -> None:
    """The kernel over contiguous arrays; what it changes is copied back where it lies otherwise."""
    work = [None if a is None else contiguous(a) for a in changed]
    p = work[0]
    assert p is not None
    device().flat(named(name, p.dtype), p.size, p, contiguous(gradient), *work[1:], p.size, *numbers)
    for original, fresh in zip(changed, work, strict=True):
        if fresh is not original:
            copy(fresh, out=original)


def sgd(params: Sequence[Array], grads: Sequence[Array], momenta: Sequence[Array] | None, *, lr: float,
        momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool,
        first: bool) -> None:  # fmt: skip
    _checked("sgd", params, grads, momenta)
    for i, p in enumerate(params):
        m = None if momenta is None else momenta[i]
        _in_place("sgd", [p, m], grads[i], lr, momentum, dampening, weight_decay, int(nesterov), int(maximize),
                  int(first))  # fmt: skip


def adam(params: Sequence[Array], grads: Sequence[Array], exp_avgs: Sequence[Array], exp_avg_sqs: Sequence[Array],
         max_exp_avg_sqs: Sequence[Array] | None, *, lr: float, beta1: float, beta2: float, eps: float,
         weight_decay: float, step: int, decoupled: bool, maximize: bool) -> None:  # fmt: skip
    _checked("adam", params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs)
    shrink, decay = (1 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    numbers = (lr / (1 - beta1**step), math.sqrt(1 - beta2**step), beta1, beta2, eps, shrink, decay, int(maximize))
    for i, p in enumerate(params):
        largest = None if max_exp_avg_sqs is None else max_exp_avg_sqs[i]
        _in_place("adam", [p, exp_avgs[i], exp_avg_sqs[i], largest], grads[i], *numbers)


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
    "philox": philox,
    "uniform": _draw("uniform"),
    "normal": _draw("normal"),
    "dropout": dropout,
}
