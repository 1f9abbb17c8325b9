"""Convolutions and pools. Signatures and meanings: `protocol.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import InputError
from ..geometry import convolved, pooled
from ..protocol import Axes
from .elementwise import TABLE as ELEMENTWISE
from .gpu import device
from .layout import contiguous, expanded, named
from .products import product
from .reductions import sum

Array = Any
INT64 = np.dtype(np.int64)


def _windows(
    planes: int, spatial: Axes, kernel: Axes, outputs: Axes, stride: Axes, padding: Axes, dilation: Axes
) -> Axes:
    """What the kernels want to know of a geometry: of missing dimensions, that they have one entry."""
    lead = 3 - len(spatial)
    found: list[int] = [planes]
    for values, missing in ((spatial, 1), (kernel, 1), (outputs, 1), (stride, 1), (padding, 0), (dilation, 1)):
        found += [*[missing] * lead, *values]
    return tuple(found)


def _flat(name: str, result: Array, *args: Any) -> Array:
    device().flat(named(name, result.dtype), result.size, result, *args)
    return result


# -- convolution -------------------------------------------------------------------------------------------------
def _sizes(operation: str, spatial: Axes, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes) -> Axes:
    sizes = zip(spatial, kernel, stride, padding, dilation, strict=True)
    return tuple([convolved(*size) for size in sizes])


def _columns(x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, groups: int) -> Array:
    """x (N, C, *S) as (N, G, C/G·k, S'): a column is what one output is made of."""
    n, c, spatial = x.shape[0], x.shape[1], x.shape[2:]
    outputs = _sizes("convolve", spatial, kernel, stride, padding, dilation)
    y = device().empty((n, groups, c // groups * math.prod(kernel), math.prod(outputs)), x.dtype)
    return _flat("columns", y, contiguous(x), *_windows(n * c, spatial, kernel, outputs, stride, padding, dilation))


def _grouped(w: Array, n: int, groups: int) -> Array:
    """w (O, C/G, *k) as (N, G, O/G, C/G·k), the same for each of the batch."""
    o = w.shape[0]
    matrices = contiguous(w).reshape(groups, o // groups, math.prod(w.shape[1:]))
    return expanded(matrices, (n, *matrices.shape))


def convolve(x: Array, w: Array, bias: Array | None, stride: Axes, padding: Axes, dilation: Axes, groups: int) -> Array:
    n, o, kernel = x.shape[0], w.shape[0], w.shape[2:]
    columns = _columns(x, kernel, stride, padding, dilation, groups)
    y = device().empty((n, groups, o // groups, columns.shape[3]), x.dtype)
    product(y, _grouped(w, n, groups), columns)
    y = y.reshape(n, o, *_sizes("convolve", x.shape[2:], kernel, stride, padding, dilation))
    return y if bias is None else ELEMENTWISE["add"](y, bias.reshape(-1, *[1] * len(kernel)), out=y)


def convolve_input_gradient(
    g: Array, w: Array, spatial: Axes, stride: Axes, padding: Axes, dilation: Axes, groups: int
) -> Array:
    n, o, outputs, kernel = g.shape[0], g.shape[1], g.shape[2:], w.shape[2:]
    expected = _sizes("convolve_input_gradient", spatial, kernel, stride, padding, dilation)
    if outputs != expected:
        raise InputError(f"convolve_input_gradient: {spatial} gives outputs of {expected}, not {outputs}")
    channels = w.shape[1] * groups
    columns = device().empty((n, groups, w.shape[1] * math.prod(kernel), math.prod(outputs)), g.dtype)
    split = contiguous(g).reshape(n, groups, o // groups, math.prod(outputs))
    product(columns, _grouped(w, n, groups).swapaxes(2, 3), split)
    dx = device().empty((n, channels, *spatial), g.dtype)
    return _flat("overlap", dx, columns, *_windows(n * channels, spatial, kernel, outputs, stride, padding, dilation))


def convolve_weight_gradient(
    g: Array, x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, groups: int
) -> Array:
    n, o = g.shape[:2]
    columns = _columns(x, kernel, stride, padding, dilation, groups)
    split = contiguous(g).reshape(n, groups, o // groups, columns.shape[3])
    each = device().empty((n, groups, o // groups, columns.shape[2]), g.dtype)  # one product for each of the batch …
    product(each, split, columns.swapaxes(2, 3))
    return sum(each, (0,), False).reshape(o, x.shape[1] // groups, *kernel)  # … summed in order


def convolve_parameter_gradients(
    g: Array, x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, groups: int
) -> tuple[Array, Array]:
    dw = convolve_weight_gradient(g, x, kernel, stride, padding, dilation, groups)
    return dw, sum(g, (0, *range(2, g.ndim)), False)


# -- pools -------------------------------------------------------------------------------------------------------
def _pooled(spatial: Axes, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, ceil_mode: bool) -> Axes:
    sizes = zip(spatial, kernel, stride, padding, dilation, strict=True)
    return tuple([pooled(*size, ceil_mode) for size in sizes])


def max_pool(
    x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, ceil_mode: bool
) -> tuple[Array, Array]:
    outputs = _pooled(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    shape = (*x.shape[:2], *outputs)
    places = device().empty(shape, INT64)
    windows = _windows(x.shape[0] * x.shape[1], x.shape[2:], kernel, outputs, stride, padding, dilation)
    return _flat("max_pool", device().empty(shape, x.dtype), places, contiguous(x), *windows), places


def scatter_planes(g: Array, indices: Array, spatial: Axes) -> Array:
    planes, each = g.shape[0] * g.shape[1], math.prod(g.shape[2:])
    y = device().empty((*g.shape[:2], *spatial), g.dtype)
    device().flat(named("scatter", g.dtype), planes if y.size else 0, y, contiguous(g), contiguous(indices),
                  device().fault(), planes, math.prod(spatial), each)  # fmt: skip
    return y


def avg_pool(
    x: Array, kernel: Axes, stride: Axes, padding: Axes, ceil_mode: bool, count_include_pad: bool, divisor: int | None
) -> Array:
    ones = (1,) * len(kernel)
    outputs = _pooled(x.shape[2:], kernel, stride, padding, ones, ceil_mode)
    windows = _windows(x.shape[0] * x.shape[1], x.shape[2:], kernel, outputs, stride, padding, ones)
    y = device().empty((*x.shape[:2], *outputs), x.dtype)
    return _flat("avg_pool", y, contiguous(x), divisor or 0, int(count_include_pad), *windows)


def avg_pool_backward(
    g: Array, spatial: Axes, kernel: Axes, stride: Axes, padding: Axes, ceil_mode: bool, count_include_pad: bool,
    divisor: int | None,
) -> Array:  # fmt: skip
    windows = _windows(g.shape[0] * g.shape[1], spatial, kernel, g.shape[2:], stride, padding, (1,) * len(kernel))
    dx = device().empty((*g.shape[:2], *spatial), g.dtype)
    return _flat("avg_pool_backward", dx, contiguous(g), divisor or 0, int(count_include_pad), *windows)


TABLE: dict[str, Callable[..., Any]] = {
    "convolve": convolve,
    "convolve_input_gradient": convolve_input_gradient,
    "convolve_weight_gradient": convolve_weight_gradient,
    "convolve_parameter_gradients": convolve_parameter_gradients,
    "max_pool": max_pool,
    "scatter_planes": scatter_planes,
    "avg_pool": avg_pool,
    "avg_pool_backward": avg_pool_backward,
}
