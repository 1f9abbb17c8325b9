"""Pools over windows, and windows by position: gather from, and scatter to, the planes of a batch of images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import Operation
from ..autograd.variable import Variable
from ..errors import InputError, KindError
from ..kernels import K
from ..kernels.geometry import pooled
from ._common import Array, ShapeError, only_on_cpu, per_dimension
from .indexing import gather
from .shape import cat

Sizes = tuple[int, ...]


class MaxPool(Operation):
    """The largest entry of each window and its position;  g goes to that position."""

    @staticmethod
    def forward(ctx: Any, x: Array, *geometry: Any) -> Any:
        y, indices = K.max_pool(x, *geometry)
        ctx.save_for_backward(indices)
        ctx.spatial = x.shape[2:]
        ctx.mark_non_differentiable(indices)
        ctx.set_materialize_grads(False)
        return y, indices

    @staticmethod
    def backward(ctx: Any, g: Any, _: Any) -> Any:
        return (ScatterPlanes.apply(g, ctx.saved_tensors[0].detach(), ctx.spatial), *[None] * 5)

    @staticmethod
    def fused_backward(ctx: Any, g: Array, _: Any) -> Any:
        return (K.scatter_planes(g, ctx.saved_arrays[0], ctx.spatial), *[None] * 5)


class ScatterPlanes(Operation):
    """Zeros (N, C, *S) with x (N, C, *S') added at positions in each plane;  dx = g gathered there."""

    @staticmethod
    def forward(ctx: Any, x: Array, indices: Array, spatial: Sizes) -> Array:
        ctx.save_for_backward(indices)
        return K.scatter_planes(x, indices, spatial)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return gather_planes(g, ctx.saved_tensors[0].detach()), None, None


class AvgPool(Operation):
    """The mean of each window;  dx spreads each g evenly over its window."""

    @staticmethod
    def forward(ctx: Any, x: Array, *geometry: Any) -> Array:
        ctx.spatial, ctx.geometry = x.shape[2:], geometry
        return K.avg_pool(x, *geometry)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return (SpreadMeans.apply(g, ctx.spatial, *ctx.geometry), *[None] * 6)

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        return (K.avg_pool_backward(g, ctx.spatial, *ctx.geometry), *[None] * 6)


class SpreadMeans(Operation):
    """The transpose of `AvgPool`, and so differentiated by it."""

    @staticmethod
    def forward(ctx: Any, g: Array, spatial: Sizes, *geometry: Any) -> Array:
        ctx.geometry = geometry
        return K.avg_pool_backward(g, spatial, *geometry)

    @staticmethod
    def backward(ctx: Any, u: Any) -> Any:
        return (AvgPool.apply(u, *ctx.geometry), *[None] * 7)


# -- positions -----------------------------------------------------------------------------------------------


def flat_planes(x: Any, lead: int = 2) -> Any:
    """(N, C, *S) → (N, C, ΠS)."""
    return x.reshape(*x.shape[:lead], math.prod(x.shape[lead:]))


def gather_planes(x: Any, indices: Any) -> Any:
    """Entries of x (N, C, *S) at positions (N, C, *S') within each flattened plane."""
    return gather(flat_planes(x), 2, flat_planes(indices)).reshape(indices.shape)


def scatter_planes(x: Any, indices: Any, spatial: Sizes) -> Any:
    """Zeros (N, C, *spatial) with x added, in order, at positions (x's shape) within each flattened plane."""
    return ScatterPlanes.apply(x, indices, spatial)


def window_positions(spatial: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """Flat positions (*k, *S') within a plane of the entries that each window sees."""
    d = len(spatial)
    total: Any = np.zeros((), np.int64)
    for i, (n, k, s, e) in enumerate(zip(spatial, kernel, stride, dilation, strict=True)):
        along = np.arange(k)[:, None] * e + np.arange(0, n - e * (k - 1), s)  # (k, S')
        shape = [1] * (2 * d)
        shape[i], shape[d + i] = along.shape
        total = total * n + along.reshape(shape)
    return np.asarray(total, np.int64)


# -- pools ---------------------------------------------------------------------------------------------------


def _checked(x: Any, d: int, operation: str, kernel: Any, stride: Any, padding: Any, dilation: Any,
             ceil_mode: bool) -> tuple[Sizes, Sizes, Sizes, Sizes]:  # fmt: skip
    """The four sizes as tuples; ShapeError or ValueError for a pool that has no meaning."""
    if not hasattr(x, "_array"):
        raise KindError(f"{operation}: expected a tensor, got {type(x).__name__}")
    if x.ndim not in (d + 1, d + 2):
        raise ShapeError(
            f"{operation}: the input has shape {tuple(x.shape)}; it must be (batch, channels, {d} spatial sizes), "
            f"or the same without the batch"
        )
    if x.dtype.kind != "f":
        raise KindError(f"{operation}: the input is {x.dtype}; convert it first: x.float()")
    kernel = per_dimension(kernel, d, operation, "kernel_size", 1)
    stride = per_dimension(kernel if stride is None else stride, d, operation, "stride", 1)
    padding = per_dimension(padding, d, operation, "padding", 0)
    dilation = per_dimension(dilation, d, operation, "dilation", 1)
    for n, k, s, p, e in zip(x.shape[-d:], kernel, stride, padding, dilation, strict=True):
        if p > (e * (k - 1) + 1 if d == 1 else k) // 2:  # dilation counts in one dimension only, as in PyTorch
            raise InputError(f"{operation}: padding {padding} is more than half of the window {kernel}")
        windows = pooled(n, k, s, p, e, ceil_mode)
        if n == 0 or windows < 1:
            raise ShapeError(
                f"{operation}: a window of {kernel} does not fit an input of {tuple(x.shape[-d:])}, padding {padding}"
            )
        starts = range(-p, windows * s - p, s)
        if e > 1 and any(not any(0 <= a + j * e < n for j in range(k)) for a in starts):
            raise InputError(f"{operation}: with dilation {dilation} and padding {padding} a window sees padding only")
    return kernel, stride, padding, dilation


def max_pool(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, d: int) -> Any:
    """(the largest entries, their int64 positions within each plane) of x (N, C, *S) or (C, *S)."""
    sizes = _checked(x, d, f"max_pool{d}d", kernel, stride, padding, dilation, ceil_mode)
    batch = x if x.ndim == d + 2 else x.unsqueeze(0)
    y, indices = MaxPool.apply(batch, *sizes, ceil_mode)
    return (y, indices) if x.ndim == d + 2 else (y.squeeze(0), indices.squeeze(0))


def avg_pool(x: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
             divisor: int | None, d: int) -> Any:  # fmt: skip
    """Means of the windows of x (N, C, *S) or (C, *S); sums over `divisor` if it is given."""
    kernel, stride, padding, _ = _checked(x, d, f"avg_pool{d}d", kernel, stride, padding, 1, ceil_mode)
    if divisor == 0:
        raise InputError(f"avg_pool{d}d: divisor_override is 0; it must be another number, or None")
    batch = x if x.ndim == d + 2 else x.unsqueeze(0)
    y = AvgPool.apply(batch, kernel, stride, padding, ceil_mode, count_include_pad, divisor)
    return y if x.ndim == d + 2 else y.squeeze(0)


def adaptive_sizes(x: Any, output_size: Any, d: int, operation: str) -> Sizes:
    """The output sizes, None meaning the input's."""
    _checked(x, d, operation, 1, 1, 0, 1, False)
    wanted = (output_size,) * d if not isinstance(output_size, tuple | list) else tuple(output_size)
    if len(wanted) != d:
        raise ShapeError(f"{operation}: output_size {output_size} must have {d} entries")
    sizes = tuple([int(n if w is None else w) for n, w in zip(x.shape[-d:], wanted, strict=True)])
    if min(sizes) < 0:
        raise InputError(f"{operation}: output_size {sizes} must not be negative")
    return sizes


def edges(n: int, m: int) -> list[tuple[int, int]]:
    """m windows, as equal as can be, that cover n entries: [⌊i·n/m⌋, ⌈(i + 1)·n/m⌉)."""
    return [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]


def adaptive_avg_pool(x: Any, output_size: Any, d: int) -> Any:
    """Means of windows chosen to give `output_size`. A mean over a box is a mean of means along each dimension."""
    sizes = adaptive_sizes(x, output_size, d, f"adaptive_avg_pool{d}d")
    spatial = tuple(x.shape[-d:])
    if all(m and n % m == 0 for n, m in zip(spatial, sizes, strict=True)):
        kernel = tuple([n // m for n, m in zip(spatial, sizes, strict=True)])
        return avg_pool(x, kernel, kernel, 0, False, True, None, d)
    for dim, (n, m) in enumerate(zip(spatial, sizes, strict=True), start=x.ndim - d):
        lead = (slice(None),) * dim
        parts = [x[(*lead, slice(a, b))].mean(dim, keepdim=True) for a, b in edges(n, m)]
        x = cat(parts, dim) if parts else x[(*lead, slice(0))]
    return x


def adaptive_max_pool(x: Any, output_size: Any, d: int) -> Any:
    """(the largest entries of windows chosen to give `output_size`, their positions within each plane)."""
    sizes = adaptive_sizes(x, output_size, d, f"adaptive_max_pool{d}d")
    only_on_cpu(f"adaptive_max_pool{d}d", x)
    places: Any = np.zeros((), np.int64)  # (*outputs, *window): windows of one size, the last entry repeated
    for i, (n, m) in enumerate(zip(x.shape[-d:], sizes, strict=True)):
        starts, ends = np.array(edges(n, m), np.int64).reshape(m, 2).T[:, :, None]
        along = np.minimum(starts + np.arange((ends - starts).max(initial=1)), ends - 1)
        shape = [1] * (2 * d)
        shape[i], shape[d + i] = along.shape
        places = places * n + along.reshape(shape)
    places = places.reshape(*sizes, -1) if min(sizes) else np.zeros((*sizes, 1), np.int64)
    batch = x if x.ndim == d + 2 else x.unsqueeze(0)
    seen = flat_planes(batch).detach()._array[:, :, places]  # (N, C, *outputs, window)
    chosen = K.argmax(seen, d + 2, True) if seen.size else np.zeros((*seen.shape[:-1], 1), np.int64)
    indices = Variable.wrap(np.take_along_axis(np.broadcast_to(places, seen.shape), chosen, d + 2)[..., 0])
    y = gather_planes(batch, indices)
    return (y, indices) if x.ndim == d + 2 else (y.squeeze(0), indices.squeeze(0))
