"""Images in other sizes."""

from __future__ import annotations

import math
from typing import Any

from ... import ops
from ...errors import InputError

_DIMENSIONS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_MODES = ("nearest", "nearest-exact", "area", *_DIMENSIONS)


def interpolate(input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
                antialias: bool = False) -> Any:  # fmt: skip
    """(N, C, *S) resampled to `size`, or to ⌊scale_factor·S⌋.

    `mode`: "nearest", "nearest-exact", "linear" (3-D input), "bilinear", "bicubic" (4-D), "trilinear" (5-D), "area".
    `align_corners` (linear and cubic modes) puts the centres of the corner pixels upon each other.
    """
    d = input.ndim - 2
    if mode not in _MODES:
        raise InputError(f'interpolate: mode is "{mode}"; it can be one of {", ".join(_MODES)}')
    if not 1 <= d <= 3 or _DIMENSIONS.get(mode, d) != d:
        raise InputError(f'interpolate: mode "{mode}" does not fit an input of shape {tuple(input.shape)}')
    if antialias:
        raise InputError("interpolate: antialias=True is not supported; blur first, or use mode='area'")
    if align_corners is not None and mode not in _DIMENSIONS:
        raise InputError(f'interpolate: align_corners has no meaning for mode "{mode}"; leave it out')
    if (size is None) == (scale_factor is None):
        raise InputError("interpolate: give either size or scale_factor")
    scales: list[float | None] = [None] * d
    if size is not None:
        if recompute_scale_factor:
            raise InputError("interpolate: recompute_scale_factor has no meaning where size is given")
        size = ops.per_dimension(size, d, "interpolate", "size", 1)
    else:
        scales = list(scale_factor) if isinstance(scale_factor, tuple | list) else [scale_factor] * d
        if len(scales) != d:
            raise InputError(f"interpolate: scale_factor {scale_factor} must be a number, or {d} of them")
        size = [math.floor(n * s) for n, s in zip(input.shape[2:], scales, strict=True)]  # type: ignore[operator]
        if recompute_scale_factor:
            scales = [None] * d
    if mode == "area":
        return ops.adaptive_avg_pool(input, tuple(size), d)
    return ops.resample(input, size, scales, mode, bool(align_corners))


def upsample(input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
             align_corners: bool | None = None) -> Any:  # fmt: skip
    """`interpolate` under its old name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """(…, C·r², H, W) → (…, C, H·r, W·r). Shi et al. 2016."""
    return ops.pixel_shuffle(input, upscale_factor)


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """(…, C, H·r, W·r) → (…, C·r², H, W)."""
    return ops.pixel_unshuffle(input, downscale_factor)


def channel_shuffle(input: Any, groups: int) -> Any:
    """The channels of (N, C, …) dealt out anew, one from each group in turn. Zhang et al. 2018."""
    if input.ndim < 3 or groups < 1 or input.shape[1] % groups:
        raise ops.ShapeError(f"channel_shuffle: shape {tuple(input.shape)} needs (N, C, …), C a multiple of {groups}")
    n, c, *rest = input.shape
    return input.reshape(n, groups, c // groups, *rest).transpose(1, 2).reshape(input.shape)
