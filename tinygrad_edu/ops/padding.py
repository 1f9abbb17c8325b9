"""Padding: entries around a tensor, constant or taken from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import Operation
from ..errors import InputError
from ..kernels import K, beside
from ._common import Array, ShapeError
from .indexing import getitem

_NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


class Pad(Operation):
    """x amid a constant, at `index`;  dx = g there."""

    @staticmethod
    def forward(ctx: Any, x: Array, index: tuple[slice, ...], shape: tuple[int, ...], value: float) -> Array:
        ctx.index = index
        y = beside(x).full(shape, value, x.dtype)
        if x.size:
            K.copy(x, out=y[index])
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return getitem(g, ctx.index), None, None, None


def pairs(x: Any, amounts: Sequence[int]) -> list[tuple[int, int]]:
    """PyTorch's flat list, last dimension first, as (before, after) for every dimension of x."""
    amounts = [int(n) for n in amounts]
    if len(amounts) % 2 or len(amounts) > 2 * x.ndim:
        raise ShapeError(
            f"pad: {len(amounts)} amounts for a tensor of shape {tuple(x.shape)}; give two for each dimension, "
            f"the last dimension first: (left, right, top, bottom, …)"
        )
    listed = list(zip(amounts[0::2], amounts[1::2], strict=True))
    return [(0, 0)] * (x.ndim - len(listed)) + listed[::-1]


def pad_constant(x: Any, amounts: Sequence[int], value: float = 0.0) -> Any:
    """Entries of one value around x; negative amounts cut entries off."""
    around = pairs(x, amounts)
    shape = tuple([n + a + b for n, (a, b) in zip(x.shape, around, strict=True)])
    if min(shape, default=0) < 0:
        raise ShapeError(f"pad: {tuple(amounts)} cuts more off shape {tuple(x.shape)} than there is")
    if any(a < 0 or b < 0 for a, b in around):
        x = getitem(x, tuple([slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, around, strict=True)]))
    if tuple(x.shape) == shape:
        return x
    index = tuple([slice(max(a, 0), max(a, 0) + n) for n, (a, _) in zip(x.shape, around, strict=True)])
    return Pad.apply(x, index, shape, value)


def pad(x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """x with entries around it; `pad` is (before, after) of the last dimension, then of the one before it, …

    `mode`: "constant" (of `value`, 0 by default; negative amounts cut off), "reflect" (mirrored, without repeating
    the border), "replicate" (the border repeated), "circular" (from the other end).
    """
    if mode == "constant":
        return pad_constant(x, pad, 0.0 if value is None else value)
    if mode not in _NUMPY_MODES:
        raise InputError(f'pad: mode is "{mode}"; it can be "constant", "reflect", "replicate" or "circular"')
    if value is not None and value != 0:
        raise InputError(f'pad: mode "{mode}" takes its entries from the tensor; leave value={value} out')
    for dim, (before, after) in enumerate(pairs(x, pad)):
        n = x.shape[dim]
        if before == after == 0:
            continue
        most = {"reflect": n - 1, "circular": n}.get(mode, max(before, after) if n else -1)
        if max(before, after) > most:
            raise ShapeError(f'pad: mode "{mode}" cannot add {before} and {after} to dim {dim} of size {n}')
        inside = np.arange(max(-before, 0), n - max(-after, 0))  # negative amounts cut off
        places = np.pad(inside, (max(before, 0), max(after, 0)), mode=_NUMPY_MODES[mode])  # type: ignore[call-overload]
        x = getitem(x, (*[slice(None)] * dim, places))
    return x
