"""Dropout of entries, and of whole channels."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...creation import ones


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Any = None) -> Any:
    """In training, zero entries with probability p and scale the others by 1/(1 − p). Srivastava et al. 2014."""
    return ops.dropout(input, p, training, generator)


def _channels(d: int, input: Any, p: float, training: bool, generator: Any) -> Any:
    """Whole channels of (N, C, …) zeroed; without N if there are as few dimensions as that takes."""
    if input.ndim < 2:
        raise ops.ShapeError(f"dropout{d}d: an input of shape {tuple(input.shape)} has no channels, (N, C, …)")
    if not training or p == 0:
        return ops.dropout(input, p, training)  # checks p
    lead = 1 if input.ndim == d + 1 and d != 2 else 2
    mask = ops.dropout(ones(input.shape[:lead], dtype=input.dtype), p, True, generator)
    return input * mask.reshape(*mask.shape, *[1] * (input.ndim - lead))


def dropout1d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Any = None
) -> Any:
    """`dropout` of whole channels of (N, C, L) or (C, L)."""
    return _channels(1, input, p, training, generator)


def dropout2d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Any = None
) -> Any:
    """`dropout` of whole channels of (N, C, …). Tompson et al. 2015."""
    return _channels(2, input, p, training, generator)


def dropout3d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Any = None
) -> Any:
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    return _channels(3, input, p, training, generator)


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, *,
                  generator: Any = None) -> Any:  # fmt: skip
    """Dropout for `selu`: dropped entries take its lower limit, and mean and variance stay. Klambauer et al. 2017."""
    if not training or p == 0:
        return ops.dropout(input, p, training)
    low = -1.7580993408473766  # −λα
    kept = ops.dropout(ones(input.shape, dtype=input.dtype), p, True, generator) != 0
    scale = (1 - p + p * (1 - p) * low * low) ** -0.5 if p < 1 else 0.0
    return ops.where(kept, input, low) * scale - scale * p * low
