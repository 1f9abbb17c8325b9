"""Elementary functions beyond the basic ones, running sums, and order, as NumPy has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..protocol import Array
from .basic import erf, erfc, into, quiet


def _of_one(function: Callable[..., Any]) -> Callable[..., Array]:
    @quiet
    def kernel(x: Array, *, out: Array | None = None) -> Array:
        return into(out, function(x), x.dtype)

    return kernel


exp2, expm1, log2, log10 = _of_one(np.exp2), _of_one(np.expm1), _of_one(np.log2), _of_one(np.log10)
tan, sinh, cosh = _of_one(np.tan), _of_one(np.sinh), _of_one(np.cosh)
asin, acos, atan = _of_one(np.arcsin), _of_one(np.arccos), _of_one(np.arctan)
asinh, acosh, atanh = _of_one(np.arcsinh), _of_one(np.arccosh), _of_one(np.arctanh)
floor, ceil, trunc, round = _of_one(np.floor), _of_one(np.ceil), _of_one(np.trunc), _of_one(np.rint)
rsqrt = _of_one(lambda x: 1 / np.sqrt(x))


@quiet
def erfinv(x: Array, *, out: Array | None = None) -> Array:
    # Winitzki's closed formula (2008), right to 0.4 %, then Halley's steps on erfc, which has all digits near ±1.
    y = np.abs(np.asarray(x, np.float64))
    log = np.log1p(-y * y)
    half = 2 / (np.pi * 0.147) + log / 2
    z = np.sqrt(np.sqrt(half * half - log / 0.147) - half)
    for _ in range(3):
        error = np.where(y < 0.5, y - erf(z), erfc(z) - (1 - y)) * (np.sqrt(np.pi) / 2) * np.exp(z * z)
        z = z + np.where(np.isfinite(error), error / (1 + z * error), 0)
    return into(out, np.copysign(z, x), x.dtype)


@quiet
def atan2(y: Array, x: Array, *, out: Array | None = None) -> Array:
    return into(out, np.arctan2(y, x), y.dtype)


@quiet
def cumsum(x: Array, axis: int) -> Array:
    return np.cumsum(x, axis, dtype=np.int64 if x.dtype.kind in "iub" else x.dtype)


def argsort(x: Array, axis: int, descending: bool) -> Array:
    if not descending:
        return np.argsort(x, axis, kind="stable").astype(np.int64, copy=False)
    turned = np.flip(x, axis)  # a stable sort of the reversed row, read backwards, keeps equal entries in order
    found = np.flip(np.argsort(turned, axis, kind="stable"), axis)
    return np.ascontiguousarray(x.shape[axis] - 1 - found, np.int64)
