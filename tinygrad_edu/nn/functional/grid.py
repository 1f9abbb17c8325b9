"""Images looked at through a grid: spatial transformers (Jaderberg et al. 2015)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from ... import ops
from ...creation import linspace, ones
from ...errors import InputError


def affine_grid(theta: Any, size: Sequence[int], align_corners: bool | None = None) -> Any:
    """The places (N, *S, d) that affine maps theta (N, d, d+1) send the pixels of an output of `size` (N, C, *S) to.

    Coordinates go from −1 to 1, the last dimension's first; ±1 are the corner pixels' centres if `align_corners`, else
    their outer edges.
    """
    spatial = tuple(size[2:])
    d = len(spatial)
    if d not in (2, 3) or tuple(theta.shape) != (size[0], d, d + 1):
        raise ops.ShapeError(f"affine_grid: theta of shape {tuple(theta.shape)} does not fit the size {tuple(size)}")
    axes = []
    for i, n in enumerate(spatial):
        ends = 1.0 if align_corners else (n - 1) / n
        axis = linspace(-ends, ends, n, dtype=theta.dtype) if n > 1 else ones(1, dtype=theta.dtype) * 0
        axes.append(axis.reshape(*(1,) * i, n, *(1,) * (d - 1 - i)).expand(*spatial))
    places = ops.stack([*axes[::-1], ones(*spatial, dtype=theta.dtype)], -1)  # (*S, d+1)
    return (places.reshape(1, -1, d + 1) @ theta.mT).reshape(size[0], *spatial, d)


def grid_sample(input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros",
                align_corners: bool | None = None) -> Any:  # fmt: skip
    """The values of images (N, C, *S) at the places of a grid (N, *T, d), as (N, C, *T); see `affine_grid`.

    `mode`: "bilinear" between the nearest pixels, or "nearest". `padding_mode` says what lies outside: "zeros", the
    "border" pixels, or a "reflection".
    """
    d = input.ndim - 2
    if d not in (2, 3) or grid.ndim != d + 2 or grid.shape[-1] != d or grid.shape[0] != input.shape[0]:
        raise ops.ShapeError(f"grid_sample: a grid of shape {tuple(grid.shape)} does not fit {tuple(input.shape)}")
    if mode not in ("bilinear", "nearest"):
        raise InputError(f'grid_sample: mode is "{mode}"; it can be "bilinear" or "nearest"')
    if padding_mode not in ("zeros", "border", "reflection"):
        raise InputError(f'grid_sample: padding_mode is "{padding_mode}"; choose "zeros", "border" or "reflection"')
    sizes = tuple(input.shape[2:])
    at = [_position(grid[..., d - 1 - i], n, padding_mode, bool(align_corners)) for i, n in enumerate(sizes)]
    flat = input.flatten(2)
    if mode == "nearest":
        return _pixels(flat, [p.detach().round() for p in at], sizes)
    low = [p.detach().floor() for p in at]
    result: Any = 0
    for corner in itertools.product((0, 1), repeat=d):
        weight: Any = 1
        for p, start, side in zip(at, low, corner, strict=True):
            weight = weight * (p - start if side else 1 - (p - start))
        pixels = _pixels(flat, [start + side for start, side in zip(low, corner, strict=True)], sizes)
        result = result + pixels * weight.unsqueeze(1)
    return result


def _position(g: Any, size: int, padding_mode: str, align_corners: bool) -> Any:
    """Coordinates from −1 to 1 as numbers of pixels, brought inside unless zeros lie outside."""
    p = (g + 1) * ((size - 1) / 2) if align_corners else ((g + 1) * size - 1) / 2
    if padding_mode == "reflection":
        low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
        if span == 0:
            return p * 0
        distance = (p - low).abs()
        turns = (distance.detach() / span).floor()
        rest = distance - turns * span
        p = ops.where(turns % 2 == 0, rest, span - rest) + low
    return p if padding_mode == "zeros" else p.clamp(0, size - 1)


def _pixels(flat: Any, at: list[Any], sizes: tuple[int, ...]) -> Any:
    """The pixels (N, C, *T) of images (N, C, ΠS) at whole positions; 0 for those outside."""
    inside, index = None, None
    for p, n in zip(at, sizes, strict=True):
        here = (p >= 0) & (p <= n - 1)
        whole = p.clamp(0, n - 1).long()
        inside = here if inside is None else inside & here
        index = whole if index is None else index * n + whole
    assert index is not None
    assert inside is not None
    n, c = flat.shape[:2]
    found = flat.gather(2, index.reshape(n, 1, -1).expand(n, c, -1)).reshape(n, c, *index.shape[1:])
    return found * inside.unsqueeze(1).to(flat.dtype)
