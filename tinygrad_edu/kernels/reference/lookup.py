"""Rows of a table by number, and the sums that go back to them."""

from __future__ import annotations

import numpy as np

from ...errors import RangeError
from ..protocol import Array


def checked(name: str, index: Array, rows: int) -> None:
    """IndexError for a row that does not exist."""
    wrong = (index < 0) | (index >= rows)
    if wrong.any():
        raise RangeError(f"{name}: index {int(index[wrong][0])} is out of range for a table of {rows} rows")


def take(weight: Array, index: Array) -> Array:
    checked("take", index, weight.shape[0])
    return np.asarray(weight[index])


def take_backward(g: Array, index: Array, rows: int, padding_idx: int) -> Array:
    checked("take_backward", index, rows)
    dweight = np.zeros((rows, g.shape[-1]), g.dtype)
    counts = index != padding_idx
    np.add.at(dweight, index[counts], g[counts])
    return dweight
