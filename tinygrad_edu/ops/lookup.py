"""Rows of a table by number: what an embedding is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Operation
from ..autograd.variable import Variable
from ..errors import KindError
from ..kernels import K
from ._common import Array, ShapeError

INT64 = np.dtype(np.int64)


class Take(Operation):
    """y = weight[index];  dweight = Σ g over equal indices, but nothing for the row `padding_idx` (−1: none)."""

    @staticmethod
    def forward(ctx: Any, weight: Array, index: Array, padding_idx: int) -> Array:
        ctx.save_for_backward(index)
        ctx.constants = weight.shape[0], padding_idx
        return K.take(weight, index)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return SumRows.apply(g, ctx.saved_tensors[0], *ctx.constants), None, None

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        return K.take_backward(g, ctx.saved_arrays[0], *ctx.constants), None, None


class SumRows(Operation):
    """The transpose of `Take`: g (…, D) summed into the rows of a table;  dg = the rows of its gradient."""

    @staticmethod
    def forward(ctx: Any, g: Array, index: Array, rows: int, padding_idx: int) -> Array:
        ctx.save_for_backward(index)
        ctx.padding_idx = padding_idx
        return K.take_backward(g, index, rows, padding_idx)

    @staticmethod
    def backward(ctx: Any, u: Any) -> Any:
        (index,) = ctx.saved_tensors
        rows = Take.apply(u, index, ctx.padding_idx)
        return rows * (index != ctx.padding_idx).to(u.dtype).unsqueeze(-1), None, None, None


def take(weight: Any, index: Any, padding_idx: int = -1) -> Any:
    """Rows of weight (R, D) at integers `index` (…) as (…, D); the row `padding_idx` gets no gradient."""
    if not isinstance(weight, Variable) or not isinstance(index, Variable):
        raise KindError(f"embedding: expected two tensors, got {type(index).__name__} and {type(weight).__name__}")
    if weight.ndim != 2:  # type: ignore[attr-defined]
        raise ShapeError(f"embedding: the table has shape {tuple(weight._array.shape)}; it needs (rows, width)")
    if index._array.dtype.kind not in "iu":
        raise KindError(f"embedding: row numbers are integers, got {index._array.dtype}; convert: x.long()")
    if index._array.dtype != INT64:
        index = index.to(INT64)  # type: ignore[attr-defined]
    return Take.apply(weight, index, padding_idx)
