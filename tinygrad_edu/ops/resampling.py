"""Images in other sizes: every new entry is a weighted sum of few old ones, along one dimension at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._common import Array, ShapeError, constant
from .indexing import getitem

CUBIC = -0.75  # Keys 1981: the slope of the cubic kernel at distance 1


def along(x: Any, dim: int, places: Array) -> Any:
    """The entries of x at `places` along one dimension."""
    return getitem(x, (*[slice(None)] * dim, places))


def nearest(x: Any, dim: int, size: int, scale: float | None, exact: bool) -> Any:
    """Each new entry copies the old one below it: ⌊i·ratio⌋, or, `exact`, ⌊(i + ½)·ratio⌋."""
    n = x.shape[dim]
    if size % n == 0 and scale in (None, size // n):  # every entry repeated: a view, and a sum on the way back
        repeated = x.unsqueeze(dim + 1).expand(*x.shape[: dim + 1], size // n, *x.shape[dim + 1 :])
        return repeated.reshape(*x.shape[:dim], size, *x.shape[dim + 1 :])
    ratio = np.float32(1 / scale if scale else n / size)  # float32 as in PyTorch: it decides what ties round to
    position = (np.arange(size, dtype=np.float32) + np.float32(0.5 if exact else 0)) * ratio
    return along(x, dim, np.minimum(position.astype(np.int64), n - 1))


def positions(n: int, size: int, scale: float | None, align_corners: bool, dtype: Any) -> Array:
    """Where the new entries lie among the old: corners on corners, or edges on edges (then pixel i covers [i, i+1))."""
    i = np.arange(size, dtype=dtype)
    if align_corners:
        return np.asarray(i * dtype.type((n - 1) / (size - 1) if size > 1 else 0))
    return np.asarray((i + dtype.type(0.5)) * dtype.type(1 / scale if scale else n / size) - dtype.type(0.5))


def weighted(x: Any, dim: int, places: list[Array], weights: list[Array]) -> Any:
    """Σ_k weights[k]·x[places[k]] along one dimension."""
    n, column = x.shape[dim], (-1, *[1] * (x.ndim - dim - 1))
    total = None
    for place, weight in zip(places, weights, strict=True):
        factor = constant(np.asarray(weight, x.dtype).reshape(column), x)
        term = along(x, dim, np.clip(place, 0, n - 1)) * factor
        total = term if total is None else total + term
    return total


def linear(x: Any, dim: int, size: int, scale: float | None, align_corners: bool) -> Any:
    """A straight line between neighbours; a size that stays is left alone, whatever the factor, as in PyTorch."""
    if size == x.shape[dim]:
        return x
    position = np.maximum(positions(x.shape[dim], size, scale, align_corners, x.dtype), 0)
    low = np.minimum(position.astype(np.int64), x.shape[dim] - 1)
    share = position - low.astype(x.dtype)
    return weighted(x, dim, [low, low + 1], [1 - share, share])


def cubic(x: Any, dim: int, size: int, scale: float | None, align_corners: bool) -> Any:
    """A cubic polynomial through four neighbours; the border is repeated outside."""
    position = positions(x.shape[dim], size, scale, align_corners, x.dtype)
    low = np.floor(position).astype(np.int64)
    t = position - low.astype(x.dtype)

    def near(s: Array) -> Array:  # distance up to 1
        return np.asarray(((CUBIC + 2) * s - (CUBIC + 3)) * s * s + 1)

    def far(s: Array) -> Array:  # distance from 1 to 2
        return np.asarray(((CUBIC * s - 5 * CUBIC) * s + 8 * CUBIC) * s - 4 * CUBIC)

    return weighted(x, dim, [low - 1, low, low + 1, low + 2], [far(t + 1), near(t), near(1 - t), far(2 - t)])


def resample(x: Any, size: Sequence[int], scales: Sequence[float | None], mode: str, align_corners: bool) -> Any:
    """x (N, C, *S) in the spatial sizes `size`; `scales` are the factors asked for, None where only a size was."""
    d = len(size)
    if min(x.shape[1:]) == 0 or min(size) < 1:
        raise ShapeError(f"interpolate: an input of shape {tuple(x.shape)} cannot become {tuple(size)}")
    for dim, (m, scale) in enumerate(zip(size, scales, strict=True), start=x.ndim - d):
        if mode in ("nearest", "nearest-exact"):
            x = nearest(x, dim, m, scale, mode == "nearest-exact")
        else:
            x = (cubic if mode == "bicubic" else linear)(x, dim, m, scale, align_corners)
    return x


def pixel_shuffle(x: Any, factor: int) -> Any:
    """(…, C·r², H, W) → (…, C, H·r, W·r): channels become pixels. Shi et al. 2016."""
    if factor < 1 or x.ndim < 3 or x.shape[-3] % factor**2:
        raise ShapeError(
            f"pixel_shuffle: shape {tuple(x.shape)} needs (…, channels, height, width) with channels a multiple of "
            f"upscale_factor² = {factor**2}"
        )
    *lead, c, h, w = x.shape
    n = len(lead)
    parts = x.reshape(*lead, c // factor**2, factor, factor, h, w)
    return parts.permute(*range(n + 1), n + 3, n + 1, n + 4, n + 2).reshape(
        *lead, c // factor**2, h * factor, w * factor
    )


def pixel_unshuffle(x: Any, factor: int) -> Any:
    """(…, C, H·r, W·r) → (…, C·r², H, W): the inverse of `pixel_shuffle`."""
    if factor < 1 or x.ndim < 3 or x.shape[-1] % factor or x.shape[-2] % factor:
        raise ShapeError(
            f"pixel_unshuffle: shape {tuple(x.shape)} needs (…, channels, height, width) with height and width "
            f"multiples of downscale_factor = {factor}"
        )
    *lead, c, h, w = x.shape
    n = len(lead)
    parts = x.reshape(*lead, c, h // factor, factor, w // factor, factor)
    return parts.permute(*range(n + 1), n + 2, n + 4, n + 1, n + 3).reshape(
        *lead, c * factor**2, h // factor, w // factor
    )
