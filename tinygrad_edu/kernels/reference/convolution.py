"""Convolution and its two gradients: every window becomes a row, and one matrix product per group does the rest."""

from __future__ import annotations

import math

import numpy as np

from ...errors import InputError
from ..geometry import convolved
from ..protocol import Array, Axes
from .basic import quiet


def windows(x: Array, kernel: Axes, stride: Axes, dilation: Axes, before: Axes, after: Axes, fill: float) -> Array:
    """x (N, C, *S), padded with `fill`, seen as its windows (N, C, *S', *k): a view that repeats entries."""
    padded = np.pad(x, [(0, 0), (0, 0), *zip(before, after, strict=True)], constant_values=fill)
    extent = tuple([d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)])
    view = np.lib.stride_tricks.sliding_window_view(padded, extent, axis=tuple(range(2, x.ndim)))  # type: ignore[call-overload]
    steps = [slice(None, None, s) for s in (*stride, *dilation)]
    return np.asarray(view[(slice(None), slice(None), *steps)])


def columns(x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, groups: int) -> Array:
    """x (N, C, *S) as one matrix per group, (groups, N·S', C/groups·k): a row holds what one output is made of."""
    view = windows(x, kernel, stride, dilation, padding, padding, 0)
    n, c, d = x.shape[0], x.shape[1], len(kernel)
    split = view.reshape(n, groups, c // groups, *view.shape[2:])  # (N, G, C/G, *S', *k)
    order = (1, 0, *range(3, 3 + d), 2, *range(3 + d, 3 + 2 * d))
    rows = n * math.prod(view.shape[2 : 2 + d])
    return split.transpose(order).reshape(groups, rows, c // groups * math.prod(kernel))


def channels_last(g: Array, groups: int) -> Array:
    """g (N, O, *S') as one matrix per group, (groups, N·S', O/groups)."""
    n, o = g.shape[:2]
    split = (
        g.reshape(n, groups, o // groups, -1) if g.size else g.reshape(n, groups, o // groups, math.prod(g.shape[2:]))
    )
    return split.transpose(1, 0, 3, 2).reshape(groups, n * split.shape[3], o // groups)


@quiet
def convolve(x: Array, w: Array, bias: Array | None, stride: Axes, padding: Axes, dilation: Axes, groups: int) -> Array:
    kernel, n, o = w.shape[2:], x.shape[0], w.shape[0]
    sizes = zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    spatial = tuple([convolved(*size) for size in sizes])
    rows = columns(x, kernel, stride, padding, dilation, groups)
    weights = w.reshape(groups, o // groups, rows.shape[2])
    y = np.matmul(rows, weights.swapaxes(1, 2))  # (G, N·S', O/G)
    y = y.reshape(groups, n, math.prod(spatial), o // groups).transpose(1, 0, 3, 2).reshape(n, o, *spatial)
    return np.ascontiguousarray(y if bias is None else y + bias.reshape(-1, *[1] * len(kernel)), x.dtype)


@quiet
def convolve_weight_gradient(
    g: Array, x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, groups: int
) -> Array:
    rows = columns(x, kernel, stride, padding, dilation, groups)
    dw = np.matmul(channels_last(g, groups).swapaxes(1, 2), rows)  # (G, O/G, C/G·k)
    return np.ascontiguousarray(dw.reshape(g.shape[1], x.shape[1] // groups, *kernel), x.dtype)


@quiet
def convolve_parameter_gradients(
    g: Array, x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, groups: int
) -> tuple[Array, Array]:
    dw = convolve_weight_gradient(g, x, kernel, stride, padding, dilation, groups)
    return dw, np.asarray(np.sum(g, (0, *range(2, g.ndim))), g.dtype)


@quiet
def convolve_input_gradient(
    g: Array, w: Array, spatial: Axes, stride: Axes, padding: Axes, dilation: Axes, groups: int
) -> Array:
    kernel, n, o = w.shape[2:], g.shape[0], w.shape[0]
    expected = tuple([convolved(*size) for size in zip(spatial, kernel, stride, padding, dilation, strict=True)])
    if g.shape[2:] != expected:
        raise InputError(f"convolve_input_gradient: {spatial} gives outputs of {expected}, not {g.shape[2:]}")
    taps = w.shape[1] * math.prod(kernel)
    dcolumns = np.matmul(channels_last(g, groups), w.reshape(groups, o // groups, taps))  # (G, N·S', C/G·k)
    split = dcolumns.reshape(groups, n, *expected, w.shape[1], *kernel)
    d = len(kernel)
    order = (1, 0, 2 + d, *range(3 + d, 3 + 2 * d), *range(2, 2 + d))
    parts = split.transpose(order).reshape(n, groups * w.shape[1], *kernel, *expected)
    return overlapped(parts, spatial, stride, padding, dilation)


def overlapped(parts: Array, spatial: Axes, stride: Axes, padding: Axes, dilation: Axes) -> Array:
    """Windows (N, C, *k, *S') added up where they lie, without the padding: (N, C, *spatial)."""
    d = len(spatial)
    kernel, outputs = parts.shape[2 : 2 + d], parts.shape[2 + d :]
    reach = [(m - 1) * s + e * (k - 1) + 1 for m, s, e, k in zip(outputs, stride, dilation, kernel, strict=True)]
    room = [max(n + 2 * p, r) for n, p, r in zip(spatial, padding, reach, strict=True)]
    total = np.zeros((*parts.shape[:2], *room), parts.dtype)
    for tap in np.ndindex(*kernel):
        starts = [j * e for j, e in zip(tap, dilation, strict=True)]
        where = tuple([slice(a, a + (m - 1) * s + 1, s) for a, m, s in zip(starts, outputs, stride, strict=True)])
        total[(slice(None), slice(None), *where)] += parts[(slice(None), slice(None), *tap)]
    inside = tuple([slice(p, p + n) for p, n in zip(padding, spatial, strict=True)])
    return np.ascontiguousarray(total[(slice(None), slice(None), *inside)])
