"""Roundings, conversions and comparisons as PTX has them and NumPy has not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

F32 = np.float32
SMALLEST = F32(1.1754944e-38)


def flushed(x: Any) -> Any:
    """float32 subnormals become zeros of their sign (.ftz)."""
    x = np.asarray(x)
    return np.where(np.abs(x) < SMALLEST, np.copysign(F32(0), x), x) if x.dtype == F32 else x


def rounded(x: np.ndarray, how: str) -> np.ndarray:
    """float64 to float32: rn to the nearest, rz towards zero, rm down, rp up."""
    y = x.astype(F32)
    if how == "rn":
        return y
    far = {"rz": np.abs(y) > np.abs(x), "rm": y > x, "rp": y < x}[how]
    to = {"rz": F32(0), "rm": F32(-np.inf), "rp": F32(np.inf)}[how]
    return np.where(far, np.nextafter(y, to), y)


def clamped(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """.sat: floats to [0, 1] and NaN to 0, integers to the range of the type."""
    if x.dtype.kind == "f":
        return np.clip(np.where(np.isnan(x), x.dtype.type(0), x), x.dtype.type(0), x.dtype.type(1))
    info = np.iinfo(dtype)
    return np.clip(x, info.min, info.max)


def to_integer(x: np.ndarray, how: str | None, dtype: np.dtype | None) -> np.ndarray:
    """Floats to whole numbers, and with a dtype to it: too large ones saturate, NaN becomes 0."""
    x = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}[how or "rzi"](x)
    if dtype is None:
        return x
    info = np.iinfo(dtype)
    wide = np.asarray(x, np.float64)
    inside = (wide > float(info.min)) & (wide < float(info.max))
    result = np.where(inside, wide, 0).astype(dtype)
    result = np.where(wide >= float(info.max), dtype.type(info.max), result)
    return np.where(wide <= float(info.min), dtype.type(info.min), result)


def split(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A float64 as the sum of two with half the digits (Veltkamp)."""
    t = 134217729.0 * x
    high = t - (t - x)
    return high, x - high


def fma64(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a b + c with the product's error added (Dekker 1971): almost always the correctly rounded result."""
    product = a * b
    (ah, al), (bh, bl) = split(a), split(b)
    error = ((ah * bh - product) + ah * bl + al * bh) + al * bl
    total = product + c
    back = total - product
    rest = (product - (total - back)) + (c - back)
    result = total + (rest + error)
    return np.where(np.isfinite(result), result, total)


def unordered(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a != a) | (b != b)


ORDERED: dict[str, Callable[..., Any]] = {
    "eq": np.equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lo": np.less,
    "ls": np.less_equal,
    "hi": np.greater,
    "hs": np.greater_equal,
}
COMPARE: dict[str, Callable[..., Any]] = {
    **ORDERED,
    "ne": lambda a, b: (a != b) & ~unordered(a, b),
    "num": lambda a, b: ~unordered(a, b),
    "nan": unordered,
    "neu": lambda a, b: a != b,
    **{
        f"{name}u": (lambda f: lambda a, b: f(a, b) | unordered(a, b))(ORDERED[name])
        for name in ("eq", "lt", "le", "gt", "ge")
    },
}
