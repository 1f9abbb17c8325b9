"""Pools over windows of one, two or three dimensions."""

from __future__ import annotations

import math
from typing import Any

from ... import ops
from ...creation import arange, zeros
from ...errors import InputError, RangeError


def _max_pool(d: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
              return_indices: bool) -> Any:  # fmt: skip
    y, indices = ops.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, d)
    return (y, indices) if return_indices else y


def max_pool1d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:  # fmt: skip
    """The largest entry of each window of (N, C, L); with `return_indices` also its position."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:  # fmt: skip
    """The largest entry of each window of (N, C, H, W); with `return_indices` also its position in the plane."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:  # fmt: skip
    """The largest entry of each window of (N, C, D, H, W); with `return_indices` also its position in the volume."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool1d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True) -> Any:  # fmt: skip
    """The mean of each window of (N, C, L)."""
    return ops.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1)


def avg_pool2d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: int | None = None) -> Any:  # fmt: skip
    """The mean of each window of (N, C, H, W), or its sum over `divisor_override`."""
    return ops.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 2)


def avg_pool3d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: int | None = None) -> Any:  # fmt: skip
    """The mean of each window of (N, C, D, H, W), or its sum over `divisor_override`."""
    return ops.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 3)


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """Means of as many windows as asked for."""
    return ops.adaptive_avg_pool(input, output_size, 1)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """Means of as many windows as asked for; None keeps a size."""
    return ops.adaptive_avg_pool(input, output_size, 2)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """Means of as many windows as asked for; None keeps a size."""
    return ops.adaptive_avg_pool(input, output_size, 3)


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest entries of as many windows as asked for."""
    y, indices = ops.adaptive_max_pool(input, output_size, 1)
    return (y, indices) if return_indices else y


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest entries of as many windows as asked for; None keeps a size."""
    y, indices = ops.adaptive_max_pool(input, output_size, 2)
    return (y, indices) if return_indices else y


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest entries of as many windows as asked for; None keeps a size."""
    y, indices = ops.adaptive_max_pool(input, output_size, 3)
    return (y, indices) if return_indices else y


def _max_unpool(d: int, input: Any, indices: Any, kernel: Any, stride: Any, padding: Any, output_size: Any) -> Any:
    operation = f"max_unpool{d}d"
    if tuple(input.shape) != tuple(indices.shape) or input.ndim not in (d + 1, d + 2):
        raise ops.ShapeError(
            f"{operation}: input {tuple(input.shape)} and indices {tuple(indices.shape)} must have one shape, "
            f"(N, C, {d} spatial sizes) or the same without N"
        )
    kernel = ops.per_dimension(kernel, d, operation, "kernel_size", 1)
    stride = ops.per_dimension(kernel if stride is None else stride, d, operation, "stride", 1)
    padding = ops.per_dimension(padding, d, operation, "padding", 0)
    around = zip(input.shape[-d:], kernel, stride, padding, strict=True)
    size = tuple([(n - 1) * s + k - 2 * p for n, k, s, p in around])
    if output_size is not None:
        wanted = tuple(output_size)[-d:]
        if any(not n - s < w < n + s for n, w, s in zip(size, wanted, stride, strict=False)) or len(wanted) != d:
            raise InputError(f"{operation}: output_size {tuple(output_size)} is not within one stride of {size}")
        size = wanted
    entries, lead = math.prod(size), input.shape[:-d]
    if indices.numel() and not (indices.min().item() >= 0 and indices.max().item() < entries):
        raise RangeError(
            f"{operation}: indices reach from {indices.min().item()} to {indices.max().item()}; "
            f"an output of {size} has {entries} entries"
        )
    planes, count = math.prod(lead), math.prod(input.shape[-d:])
    image = zeros(planes, entries, dtype=input.dtype, device=input.device)
    rows = arange(planes).reshape(planes, 1)
    # assigned, not added: windows that overlap hold the same entry
    image[rows, indices.reshape(planes, count)] = input.reshape(planes, count)
    return image.reshape(*lead, *size)


def max_unpool1d(input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
                 output_size: Any = None) -> Any:  # fmt: skip
    """Zeros with each entry put back where `max_pool1d(…, return_indices=True)` found it."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
                 output_size: Any = None) -> Any:  # fmt: skip
    """Zeros with each entry put back where `max_pool2d(…, return_indices=True)` found it."""
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
                 output_size: Any = None) -> Any:  # fmt: skip
    """Zeros with each entry put back where `max_pool3d(…, return_indices=True)` found it."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


def _lp_pool(d: int, input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Any:
    entries = math.prod(ops.per_dimension(kernel_size, d, f"lp_pool{d}d", "kernel_size", 1))
    mean = ops.avg_pool(input**norm_type, kernel_size, stride, 0, ceil_mode, True, None, d)
    return (ops.sign(mean) * ops.relu(mean.abs()) * entries) ** (1.0 / norm_type)


def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """(Σ xᵖ)^{1/p} of each window of (N, C, L)."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """(Σ xᵖ)^{1/p} of each window of (N, C, H, W)."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """(Σ xᵖ)^{1/p} of each window of (N, C, D, H, W)."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)
