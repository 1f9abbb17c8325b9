"""Convolutions over one, two or three dimensions, their transposes, and windows as columns."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...tensor import Tensor


def conv1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
           groups: int = 1) -> Any:  # fmt: skip
    """Cross-correlation of (N, C, L) with weight (O, C/groups, k); `padding` numbers, "same" or "valid"."""
    return ops.conv(input, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
           groups: int = 1) -> Any:  # fmt: skip
    """Cross-correlation of (N, C, H, W) with weight (O, C/groups, kH, kW); `padding` numbers, "same" or "valid"."""
    return ops.conv(input, weight, bias, stride, padding, dilation, groups, 2)


def conv3d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
           groups: int = 1) -> Any:  # fmt: skip
    """Cross-correlation of (N, C, D, H, W) with weight (O, C/groups, kD, kH, kW)."""
    return ops.conv(input, weight, bias, stride, padding, dilation, groups, 3)


def conv_transpose1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:  # fmt: skip
    """The transpose of `conv1d`: (N, C, L) and weight (C, O/groups, k)."""
    return ops.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation, 1)


def conv_transpose2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:  # fmt: skip
    """The transpose of `conv2d`: (N, C, H, W) and weight (C, O/groups, kH, kW)."""
    return ops.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation, 2)


def conv_transpose3d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:  # fmt: skip
    """The transpose of `conv3d`: (N, C, D, H, W) and weight (C, O/groups, kD, kH, kW)."""
    return ops.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation, 3)


def _windows(operation: str, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """(padded sizes, kernel, padding, positions (*k, *S') within a padded plane)."""
    kernel, dilation, stride = (
        ops.per_dimension(v, 2, operation, name, 1)
        for v, name in ((kernel, "kernel_size"), (dilation, "dilation"), (stride, "stride"))
    )
    padding = ops.per_dimension(padding, 2, operation, "padding", 0)
    padded = tuple([n + 2 * p for n, p in zip(size, padding, strict=True)])
    if any(n < d * (k - 1) + 1 for n, d, k in zip(padded, dilation, kernel, strict=True)):
        raise ops.ShapeError(f"{operation}: a window of {kernel} does not fit {tuple(size)} with padding {padding}")
    return padded, kernel, padding, ops.window_positions(padded, kernel, stride, dilation)


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Windows of images (N, C, H, W) as columns (N, C·kH·kW, number of windows); also without N."""
    if input.ndim not in (3, 4):
        raise ops.ShapeError(f"unfold: an image is (N, C, H, W) or (C, H, W), not {tuple(input.shape)}")
    batch = input if input.ndim == 4 else input.unsqueeze(0)
    _, _, (down, across), places = _windows("unfold", batch.shape[2:], kernel_size, dilation, padding, stride)
    n, c = batch.shape[:2]
    planes = ops.pad(batch, (across, across, down, down)).flatten(2)
    taps, count = places[:, :, 0, 0].size, places[0, 0].size
    columns = planes[:, :, places.reshape(taps, count)].reshape(n, c * taps, count)
    return columns if input.ndim == 4 else columns.squeeze(0)


def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Columns (N, C·kH·kW, L) added up where the windows of an image (N, C, *output_size) lie: `unfold` transposed."""
    if input.ndim not in (2, 3):
        raise ops.ShapeError(f"fold: columns are (N, C·kH·kW, L) or (C·kH·kW, L), not {tuple(input.shape)}")
    size = ops.per_dimension(output_size, 2, "fold", "output_size", 1)
    padded, _, (down, across), places = _windows("fold", size, kernel_size, dilation, padding, stride)
    taps, count = places[:, :, 0, 0].size, places[0, 0].size
    batch = input if input.ndim == 3 else input.unsqueeze(0)
    n, rows = batch.shape[:2]
    if rows % taps or batch.shape[2] != count:
        raise ops.ShapeError(
            f"fold: columns of shape {tuple(input.shape)} do not fit: an output of {size} has {count} windows "
            f"of {taps} entries per channel"
        )
    channels = rows // taps
    indices = Tensor(places.reshape(taps, count), device=input.device).expand(n, channels, taps, count)
    planes = ops.scatter_planes(batch.reshape(n, channels, taps, count), indices, padded)
    image = ops.pad(planes, (-across, -across, -down, -down))
    return image if input.ndim == 3 else image.squeeze(0)
