"""Matrix products."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ..autograd import Operation
from ..autograd.function import applied
from ..autograd.variable import Variable
from ..errors import KindError
from ..kernels import K
from ._common import Array, ShapeError, own_result, same_dtype
from .activation import Gelu, Relu, Sigmoid, Silu, Tanh
from .elementwise import to_input


class MatMul(Operation):
    """C = A·B for (…, M, K)·(…, K, N);  dA = G·Bᵀ, dB = Aᵀ·G, summed over broadcast batches."""

    @staticmethod
    def forward(ctx: Any, a: Array, b: Array) -> Array:
        ctx.save_for_backward(a if ctx.needs_input_grad[1] else None, b if ctx.needs_input_grad[0] else None)
        return K.matmul(a, b)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_tensors
        return (
            None if b is None else to_input(ctx, 0, matmul(g, b.mT)),
            None if a is None else to_input(ctx, 1, matmul(a.mT, g)),
        )

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        a, b = ctx.saved_arrays
        return (
            None if b is None else to_input(ctx, 0, K.matmul(g, b.swapaxes(-1, -2))),
            None if a is None else to_input(ctx, 1, K.matmul(a.swapaxes(-1, -2), g)),
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
        return K.linear_backward(g, x, w, None, "none", ctx.needs_input_grad[2])


class LinearActivation(Operation):
    """Y = f(X·Wᵀ + b), in one pass over Y;  the derivative is f's, then that of `Linear`, again in one kernel."""

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array, b: Array | None, activation: str) -> Array:
        y, z = K.linear_activation(x, w, b, activation)
        ctx.save_for_backward(x, w, b, y if z is None else z)
        ctx.constants = activation
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w, b, y = ctx.saved_tensors
        operation = ACTIVATIONS[ctx.constants]
        z = linear(x, w, b)  # again, as a function of x, w and b: what was saved of it is mere numbers
        known = SimpleNamespace(
            saved_tensors=(z if operation in (Gelu, Silu) else y,), tanh_form="tanh" in ctx.constants
        )
        slope = operation.backward(known, g)
        dx, dw, db, _ = ctx.needs_input_grad
        layer = SimpleNamespace(saved_tensors=(x if dw else None, w if dx else None), needs_input_grad=(dx, dw, db))
        return (*Linear.backward(layer, slope[0] if isinstance(slope, tuple) else slope), None)

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        (x, w, _, saved), (dx, dw, db, _) = ctx.saved_arrays, ctx.needs_input_grad
        return (*K.linear_backward(g, x if dw else None, w if dx else None, saved, ctx.constants, db), None)


_fits = getattr(K, "linear_fits", None)  # says quickly that all is well; nothing else

ACTIVATIONS = {"relu": Relu, "sigmoid": Sigmoid, "tanh": Tanh, "gelu": Gelu, "gelu_tanh": Gelu, "silu": Silu}


def matmul(input: Any, other: Any) -> Any:
    """Matrix product as `@`: vectors, matrices (…, M, K)·(…, K, N), batches broadcast."""
    if not isinstance(input, Variable) or not isinstance(other, Variable):
        raise KindError(f"matmul: expected two tensors, got {type(input).__name__} and {type(other).__name__}")
    if input._array.dtype != other._array.dtype:
        raise KindError(f"matmul: {input._array.dtype} and {other._array.dtype} differ; convert one: a @ b.to(a.dtype)")
    sa, sb = input._array.shape, other._array.shape
    if not sa or not sb:
        raise ShapeError(f"matmul: shapes {sa} and {sb}: a 0-d tensor has no rows; use * to scale")
    if sa[-1] != (sb[-2] if len(sb) > 1 else sb[0]):
        raise ShapeError(_mismatch(sa, sb))
    if len(sa) > 1 and len(sb) > 1:
        try:
            return MatMul.apply(input, other)
        except ValueError:
            raise ShapeError(f"matmul: the batch dimensions of {sa} and {sb} do not broadcast") from None
    left = input.unsqueeze(0) if len(sa) == 1 else input  # type: ignore[attr-defined]
    right = other.unsqueeze(1) if len(sb) == 1 else other  # type: ignore[attr-defined]
    shape = sa[:-1] if len(sb) == 1 else (*sb[:-2], sb[-1])
    if len(sa) == 1 and len(sb) == 1:
        shape = ()
    return own_result(MatMul.apply(left, right).reshape(shape))


def _mismatch(sa: tuple[int, ...], sb: tuple[int, ...]) -> str:
    inner = sb[-2] if len(sb) > 1 else sb[0]
    message = f"matmul: shapes {sa} and {sb} do not fit: the inner sizes {sa[-1]} and {inner} differ"
    if len(sb) > 1 and sa[-1] == sb[-1]:
        return message + "; did you mean a @ b.T?"
    if len(sa) > 1 and sa[-2] == inner:
        return message + "; did you mean a.T @ b?"
    return message


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """x·weightᵀ + bias: x (…, in), weight (out, in), bias (out,)."""
    _check_linear(input, weight, bias)
    return applied(Linear, (input, weight, bias))


def linear_activation(x: Any, weight: Any, bias: Any, activation: str) -> Any:
    """f(x·weightᵀ + bias) in one step; f is "relu", "sigmoid", "tanh", "gelu", "gelu_tanh" or "silu"."""
    _check_linear(x, weight, bias)
    if activation not in ACTIVATIONS:
        raise ValueError(f"linear_activation: {activation!r} is unknown; choose one of {[*ACTIVATIONS]}")
    return applied(LinearActivation, (x, weight, bias, activation))


def _check_linear(input: Any, weight: Any, bias: Any) -> None:
    tensors = isinstance(input, Variable) and isinstance(weight, Variable)
    if not tensors or not (bias is None or isinstance(bias, Variable)):
        raise KindError(
            f"linear: input, weight and bias are {type(input).__name__}, {type(weight).__name__} and "
            f"{type(bias).__name__}; they must be tensors, or None for no bias: make them such with tg.tensor(…)"
        )
    x, w, b = input, weight, bias
    arrays = x._array, w._array, None if b is None else b._array
    if _fits is None or not _fits(*arrays):
        _check_carefully(*arrays)


def _check_carefully(x: Array, w: Array, b: Array | None) -> None:
    sx, sw, dtype = x.shape, w.shape, x.dtype  # asked for once: each makes an object
    if len(sw) != 2 or not sx or sx[-1] != sw[1]:
        hint = "; did you mean weight.T?" if len(sw) == 2 and sx and sx[-1] == sw[0] else ""
        raise ShapeError(
            f"linear: input of shape {sx} and weight of shape {sw} do not fit: "
            f"the input's last size must be the weight's second{hint}"
        )
    if b is not None and b.shape != sw[:1]:
        raise ShapeError(f"linear: bias has shape {b.shape}; {sw[:1]} goes with this weight")
    if not same_dtype(dtype, w.dtype) or dtype.kind != "f" or (b is not None and not same_dtype(b.dtype, dtype)):
        raise KindError(
            f"linear: input is {dtype}, weight {w.dtype}: they must be one float dtype; "
            f"convert the input (x.to(weight.dtype)) or the module (model.double())"
        )
