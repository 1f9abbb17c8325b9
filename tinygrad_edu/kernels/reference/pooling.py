"""Pools: the largest or the mean of every window, and how gradients go back."""

from __future__ import annotations

import math

import numpy as np

from ...errors import RangeError
from ..geometry import pooled
from ..protocol import Array, Axes
from .basic import quiet
from .convolution import overlapped, windows


def reach(
    spatial: Axes, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, ceil_mode: bool
) -> tuple[Axes, Axes]:
    """The sizes of the result, and the padding after x that the last windows need."""
    sizes = list(zip(spatial, kernel, stride, padding, dilation, strict=True))
    outputs = tuple([pooled(n, k, s, p, d, ceil_mode) for n, k, s, p, d in sizes])
    ends = [(m - 1) * s + d * (k - 1) + 1 - n - p for m, (n, k, s, p, d) in zip(outputs, sizes, strict=True)]
    return outputs, tuple([max(end, 0) for end in ends])


@quiet
def max_pool(
    x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, ceil_mode: bool
) -> tuple[Array, Array]:
    spatial, d = x.shape[2:], len(kernel)
    outputs, after = reach(spatial, kernel, stride, padding, dilation, ceil_mode)
    cut = (slice(None), slice(None), *[slice(m) for m in outputs])
    shape = (*x.shape[:2], *outputs, math.prod(kernel))
    values = windows(x, kernel, stride, dilation, padding, after, -np.inf)[cut].reshape(shape)
    plane = np.arange(math.prod(spatial), dtype=np.int64).reshape(1, 1, *spatial)
    places = windows(plane, kernel, stride, dilation, padding, after, -1)[cut].reshape(1, 1, *shape[2:])
    # among entries of −inf, padding (place −1) must not be chosen: the first entry of x is
    best = np.argmax(values, axis=-1)[..., None]
    best = np.where(np.take_along_axis(np.broadcast_to(places, shape), best, d + 2) < 0,
                    np.argmax(places >= 0, axis=-1)[..., None], best)  # fmt: skip
    indices = np.take_along_axis(np.broadcast_to(places, shape), best, d + 2)[..., 0]
    return np.take_along_axis(values, best, d + 2)[..., 0], indices


def scatter_planes(g: Array, indices: Array, spatial: Axes) -> Array:
    planes, size = g.shape[0] * g.shape[1], math.prod(spatial)
    wrong = (indices < 0) | (indices >= size)
    if wrong.any():
        raise RangeError(
            f"scatter_planes: index {int(indices[wrong][0])} lies outside a plane of {spatial}, {size} entries"
        )
    out = np.zeros((planes, size), g.dtype)
    np.add.at(out, (np.arange(planes)[:, None], indices.reshape(planes, -1 if g.size else 0)),
              g.reshape(planes, -1 if g.size else 0))  # fmt: skip
    return out.reshape(*g.shape[:2], *spatial)


def entries(n: int, k: int, s: int, p: int, outputs: int, include_pad: bool) -> Array:
    """How many entries each window has along one dimension."""
    first = np.arange(outputs) * s - p
    last = np.minimum(first + k, n + p)
    return last - first if include_pad else np.minimum(last, n) - np.maximum(first, 0)


def divisors(
    spatial: Axes, kernel: Axes, stride: Axes, padding: Axes, outputs: Axes, include_pad: bool, divisor: int | None
) -> Array:
    """What each window's sum is divided by, (*S')."""
    if divisor is not None:
        return np.full(outputs, divisor)
    counts = np.ones((), np.int64)
    for n, k, s, p, m in zip(spatial, kernel, stride, padding, outputs, strict=True):
        counts = counts[..., None] * entries(n, k, s, p, m, include_pad)
    return counts


@quiet
def avg_pool(
    x: Array, kernel: Axes, stride: Axes, padding: Axes, ceil_mode: bool, count_include_pad: bool, divisor: int | None
) -> Array:
    ones = (1,) * len(kernel)
    outputs, after = reach(x.shape[2:], kernel, stride, padding, ones, ceil_mode)
    cut = (slice(None), slice(None), *[slice(m) for m in outputs])
    seen = windows(x, kernel, stride, ones, padding, after, 0)[cut]
    total = seen.sum(axis=tuple(range(x.ndim, seen.ndim)), dtype=np.float64)
    counts = divisors(x.shape[2:], kernel, stride, padding, outputs, count_include_pad, divisor)
    return np.asarray(total / counts, x.dtype)


@quiet
def avg_pool_backward(
    g: Array, spatial: Axes, kernel: Axes, stride: Axes, padding: Axes, ceil_mode: bool, count_include_pad: bool,
    divisor: int | None,
) -> Array:  # fmt: skip
    counts = divisors(spatial, kernel, stride, padding, g.shape[2:], count_include_pad, divisor)
    share = (g / counts).astype(g.dtype)
    spread = share.reshape(*g.shape[:2], *(1,) * len(kernel), *g.shape[2:])
    parts = np.broadcast_to(spread, (*g.shape[:2], *kernel, *g.shape[2:]))
    return overlapped(parts, spatial, stride, padding, (1,) * len(kernel))
