"""Normalisation: entries brought to mean 0 and variance 1 (or mean square 1), then scaled and shifted.

Forward and backward are one kernel each. `backward` is written from x itself, so that it can be differentiated again.
"""

from __future__ import annotations

import math
from typing import Any

from ..autograd import Operation
from ..errors import KindError
from ..kernels import K
from ._common import Array, ShapeError
from .elementwise import sqrt


def standardized(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    """(x̂, rstd) over the axes, as tensors in the graph."""
    centred = x - x.mean(axes, keepdim=True)
    rstd = 1 / sqrt((centred * centred).mean(axes, keepdim=True) + eps)
    return centred * rstd, rstd


class LayerNorm(Operation):
    """y = w·x̂ + b over the last axis;  dx = rstd·(h − mean h − x̂·mean(h·x̂)) with h = w·g, dw = Σ g·x̂, db = Σ g."""

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array | None, b: Array | None, eps: float) -> Array:
        y, mean, rstd = K.layer_norm(x, w, b, eps)
        ctx.save_for_backward(x, w, mean, rstd)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w, _, _ = ctx.saved_tensors
        xhat, rstd = standardized(x, (x.ndim - 1,), ctx.eps)
        h = g if w is None else g * w
        dx = rstd * (h - h.mean(-1, keepdim=True) - xhat * (h * xhat).mean(-1, keepdim=True))
        rows = tuple(range(x.ndim - 1))
        _, dw, db, _ = ctx.needs_input_grad
        return dx, _over(g * xhat, rows) if dw else None, _over(g, rows) if db else None, None

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        x, w, mean, rstd = ctx.saved_arrays
        dx, dw, db = K.layer_norm_backward(g, x, mean, rstd, w)
        if db is None and ctx.needs_input_grad[2]:
            db = K.sum(g, tuple(range(g.ndim - 1)), False)
        return dx, dw, db, None


class RMSNorm(Operation):
    """y = w·x̂ with x̂ = x·rstd over the last axis;  dx = rstd·(h − x̂·mean(h·x̂)) with h = w·g, dw = Σ g·x̂."""

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array | None, eps: float) -> Array:
        y, rstd = K.rms_norm(x, w, eps)
        ctx.save_for_backward(x, w, rstd)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w, _ = ctx.saved_tensors
        rstd = 1 / sqrt((x * x).mean(-1, keepdim=True) + ctx.eps)
        xhat, h = x * rstd, g if w is None else g * w
        dx = rstd * (h - xhat * (h * xhat).mean(-1, keepdim=True))
        return dx, _over(g * xhat, tuple(range(x.ndim - 1))) if ctx.needs_input_grad[1] else None, None

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        x, w, rstd = ctx.saved_arrays
        return (*K.rms_norm_backward(g, x, rstd, w), None)


class BatchNorm(Operation):
    """y = w·x̂ + b for x (N, C, L), statistics over N and L; also the mean and rstd (C,) of this batch."""

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array | None, b: Array | None, eps: float) -> Any:
        y, mean, rstd = K.batch_norm(x, w, b, eps)
        ctx.save_for_backward(x, w, mean, rstd)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, rstd)
        ctx.set_materialize_grads(False)
        return y, mean, rstd

    @staticmethod
    def backward(ctx: Any, g: Any, *_: Any) -> Any:
        x, w, _, _ = ctx.saved_tensors
        xhat, rstd = standardized(x, (0, 2), ctx.eps)
        h = g if w is None else g * w.reshape(-1, 1)
        dx = rstd * (h - h.mean((0, 2), keepdim=True) - xhat * (h * xhat).mean((0, 2), keepdim=True))
        _, dw, db, _ = ctx.needs_input_grad
        return dx, _over(g * xhat, (0, 2)) if dw else None, _over(g, (0, 2)) if db else None, None

    @staticmethod
    def fused_backward(ctx: Any, g: Array, *_: Any) -> Any:
        x, w, mean, rstd = ctx.saved_arrays
        return (*K.batch_norm_backward(g, x, mean, rstd, w), None)


def _over(x: Any, axes: tuple[int, ...]) -> Any:
    return x.sum(axes) if axes else x


def _check(operation: str, x: Any, size: int, **parameters: Any) -> None:
    """ShapeError or TypeError unless each parameter is (size,) in x's float dtype."""
    for name, value in parameters.items():
        if value is not None and tuple(value.shape) != (size,):
            raise ShapeError(f"{operation}: {name} has shape {tuple(value.shape)}; {(size,)} goes with this input")
        if value is not None and value.dtype != x.dtype:
            raise KindError(
                f"{operation}: input is {x.dtype}, {name} {value.dtype}: they must be one float dtype; "
                f"convert the input (x.to(weight.dtype)) or the module (model.double())"
            )
    if x.dtype.kind != "f":
        raise KindError(f"{operation}: the input is {x.dtype}; convert it first: x.float()")


def _flat(operation: str, x: Any, shape: Any, *parameters: Any) -> tuple[Any, ...]:
    """x (…, *shape) as (…, Πshape), and each parameter of that shape as a vector."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if not shape or tuple(x.shape[-len(shape) :]) != shape:
        raise ShapeError(
            f"{operation}: the input has shape {tuple(x.shape)}, but is normalised over {shape}: "
            f"these must be its last sizes"
        )
    for value in parameters:
        if value is not None and tuple(value.shape) != shape:
            raise ShapeError(f"{operation}: weight and bias must have shape {shape}, got {tuple(value.shape)}")
    if len(shape) == 1:
        return (x, *parameters)
    size = math.prod(shape)
    flat = [None if value is None else value.reshape(size) for value in parameters]
    return (x.reshape(*x.shape[: -len(shape)], size), *flat)


def layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """weight·(x − mean)/√(variance + eps) + bias over the last dimensions, whose sizes are `shape`. Ba et al. 2016."""
    rows, w, b = _flat("layer_norm", x, shape, weight, bias)
    _check("layer_norm", rows, rows.shape[-1], weight=w, bias=b)
    y = LayerNorm.apply(rows, w, b, float(eps))
    return y if rows is x else y.reshape(x.shape)


def rms_norm(x: Any, shape: Any, weight: Any, eps: float) -> Any:
    """weight·x/√(mean(x²) + eps) over the last dimensions, whose sizes are `shape`. Zhang & Sennrich 2019."""
    rows, w = _flat("rms_norm", x, shape, weight)
    _check("rms_norm", rows, rows.shape[-1], weight=w)
    y = RMSNorm.apply(rows, w, float(eps))
    return y if rows is x else y.reshape(x.shape)


def batch_norm(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    """(weight·x̂ + bias, mean (C,), rstd (C,)) of x (N, C, …), normalised over all but the channels."""
    _check("batch_norm", x, x.shape[1], weight=weight, bias=bias)
    planes = x if x.ndim == 3 else x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    y, mean, rstd = BatchNorm.apply(planes, weight, bias, float(eps))
    return y if planes is x else y.reshape(x.shape), mean, rstd


def channel_affine(x: Any, scale: Any, shift: Any) -> Any:
    """scale·x + shift for x (N, C, …) and one number per channel, or None."""
    shape = (-1, *[1] * (x.ndim - 2))
    x = x if scale is None else x * scale.reshape(shape)
    return x if shift is None else x + shift.reshape(shape)
