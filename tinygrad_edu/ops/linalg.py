"""Matrix products."""

from __future__ import annotations

from typing import Any

from ..autograd import Operation, Variable
from ..kernels import K
from ._common import Array, ShapeError, promoted, unbroadcast


class MatMul(Operation):
    """C = A·B for (…, M, K)·(…, K, N);  dA = G·Bᵀ, dB = Aᵀ·G, summed over broadcast batches."""

    @staticmethod
    def forward(ctx: Any, a: Array, b: Array) -> Array:
        ctx.save_for_backward(a if ctx.needs_input_grad[1] else None, b if ctx.needs_input_grad[0] else None)
        ctx.shapes = a.shape, b.shape
        return K.matmul(a, b)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (a, b), (sa, sb) = ctx.saved_tensors, ctx.shapes
        return (
            None if b is None else unbroadcast(matmul(g, b.mT), sa),
            None if a is None else unbroadcast(matmul(a.mT, g), sb),
        )

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        (a, b), (sa, sb) = ctx.saved_arrays, ctx.shapes
        return (
            None if b is None else unbroadcast(K.matmul(g, b.swapaxes(-1, -2)), sa),
            None if a is None else unbroadcast(K.matmul(a.swapaxes(-1, -2), g), sb),
        )


class Linear(Operation):
    """Y = X·Wᵀ + b for X (…, I), W (O, I), b (O,);  dX = G·W, dW = Gᵀ·X, db = Σ G over rows."""

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array, b: Array | None) -> Array:
        dx, dw, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if dw else None, w if dx else None)
        return K.linear(x, w, b)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        rows = g.reshape(-1, g.shape[-1]) if g.numel() else g.reshape(0, g.shape[-1])
        return (
            None if w is None else matmul(g, w) if g.ndim > 1 else matmul(rows, w).reshape(-1),
            None if x is None else matmul(rows.T, x.reshape(rows.shape[0], x.shape[-1])),
            rows.sum(0) if ctx.needs_input_grad[2] else None,
        )

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        x, w = ctx.saved_arrays
        count = 1
        for n in g.shape[:-1]:
            count *= n
        rows = g.reshape(count, g.shape[-1])
        return (
            None if w is None else K.matmul(rows, w).reshape(*g.shape[:-1], w.shape[1]),
            None if x is None else K.matmul(rows.T, x.reshape(count, x.shape[-1])),
            K.sum(rows, (0,), False) if ctx.needs_input_grad[2] else None,
        )


def matmul(a: Any, b: Any) -> Any:
    """Matrix product as `@`: vectors, matrices (…, M, K)·(…, K, N), batches broadcast."""
    if not isinstance(a, Variable) or not isinstance(b, Variable):
        raise TypeError(f"matmul: expected two tensors, got {type(a).__name__} and {type(b).__name__}")
    a, b = promoted(a, b)
    sa, sb = a._array.shape, b._array.shape
    if not sa or not sb:
        raise ShapeError(f"matmul: shapes {sa} and {sb}: a 0-d tensor has no rows; use * to scale")
    if sa[-1] != (sb[-2] if len(sb) > 1 else sb[0]):
        raise ShapeError(_mismatch(sa, sb))
    if len(sa) > 1 and len(sb) > 1:
        try:
            return MatMul.apply(a, b)
        except ValueError:
            raise ShapeError(f"matmul: the batch dimensions of {sa} and {sb} do not broadcast") from None
    left = a.unsqueeze(0) if len(sa) == 1 else a  # type: ignore[attr-defined]
    right = b.unsqueeze(1) if len(sb) == 1 else b  # type: ignore[attr-defined]
    shape = sa[:-1] if len(sb) == 1 else (*sb[:-2], sb[-1])
    if len(sa) == 1 and len(sb) == 1:
        shape = ()
    return MatMul.apply(left, right).reshape(shape)


def _mismatch(sa: tuple[int, ...], sb: tuple[int, ...]) -> str:
    inner = sb[-2] if len(sb) > 1 else sb[0]
    message = f"matmul: shapes {sa} and {sb} do not fit: the inner sizes {sa[-1]} and {inner} differ"
    if len(sb) > 1 and sa[-1] == sb[-1]:
        return message + "; did you mean a @ b.T?"
    if len(sa) > 1 and sa[-2] == inner:
        return message + "; did you mean a.T @ b?"
    return message


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x·weightᵀ + bias: x (…, in), weight (out, in), bias (out,)."""
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        hint = "; did you mean weight.T?" if weight.ndim == 2 and x.ndim and x.shape[-1] == weight.shape[0] else ""
        raise ShapeError(
            f"linear: input of shape {tuple(x.shape)} and weight of shape {tuple(weight.shape)} do not fit: "
            f"the input's last size must be the weight's second{hint}"
        )
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise ShapeError(f"linear: bias has shape {tuple(bias.shape)}; {(weight.shape[0],)} goes with this weight")
    kinds = {t._array.dtype for t in (x, weight, bias) if t is not None}
    if len(kinds) > 1 or next(iter(kinds)).kind != "f":
        raise TypeError(
            f"linear: input is {x.dtype}, weight {weight.dtype}: they must be one float dtype; "
            f"convert the input (x.to(weight.dtype)) or the module (model.double())"
        )
    return Linear.apply(x, weight, bias)
