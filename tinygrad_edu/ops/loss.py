"""Losses that deserve a kernel of their own; the others are composed in `nn.functional`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Operation
from ..autograd.function import applied
from ..autograd.variable import Variable
from ..errors import InputError, KindError, StateError
from ..kernels import K, on_gpu
from ._common import INT64, Array, ShapeError, floating, promoted, wrap_array
from .activation import softmax

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(reduction: str, operation: str) -> None:
    """ValueError unless `reduction` is one of mean, sum, none."""
    if reduction not in REDUCTIONS:
        raise InputError(f'{operation}: reduction is "{reduction}"; it can be "mean", "sum" or "none"')


class CrossEntropy(Operation):
    """Σ_c q_c·(ln Σeˣ − x_c), q the target distribution;  dx = g·(Σq·softmax(x) − q)."""

    @staticmethod
    def forward(
        ctx: Any, x: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float, reduction: str
    ) -> Array:
        loss, lse, total = K.cross_entropy(x, target, weight, ignore_index, smoothing, reduction)
        ctx.save_for_backward(x, target, lse, weight)
        ctx.constants = ignore_index, smoothing, reduction, total
        return loss

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, target, _, weight = ctx.saved_tensors
        ignore_index, smoothing, reduction, total = ctx.constants
        q = wrap_array(
            target_distribution(x._array, target._array, None if weight is None else weight._array, ignore_index,
                                smoothing)
        )  # fmt: skip
        scale = g / total if reduction == "mean" else g
        scale = scale.unsqueeze(1) if reduction == "none" else scale
        return scale * (q.sum(1, keepdim=True) * softmax(x, 1) - q), None, None, None, None, None

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        x, target, lse, weight = ctx.saved_arrays
        ignore_index, smoothing, reduction, total = ctx.constants
        dx = K.cross_entropy_backward(g, x, target, lse, weight, ignore_index, smoothing, reduction, total)
        return dx, None, None, None, None, None


def target_distribution(x: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float) -> Array:
    """q (N, C): each row's target as (smoothed, weighted) class weights; zero in ignored rows."""
    n, classes = x.shape
    if on_gpu(x):
        raise StateError("cross_entropy: its second derivative has no GPU kernel yet; compute it on the CPU: x.cpu()")
    counts = target != ignore_index
    q = K.full((n, classes), smoothing / classes, x.dtype)
    K.index_add(q, (np.arange(n), np.where(counts, target, 0)), K.full((n,), 1 - smoothing, x.dtype))
    if weight is not None:
        q = K.mul(q, weight, out=q)
    return K.mul(q, counts[:, None].astype(x.dtype), out=q)


class MSE(Operation):
    """(x − y)², reduced;  dx = g·2(x − y)[/n], dy = −dx."""

    @staticmethod
    def forward(ctx: Any, x: Array, y: Array, reduction: str) -> Array:
        ctx.save_for_backward(x, y)
        ctx.constants = reduction
        return K.mse(x, y, reduction)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        dx = g * (2 / max(x.numel(), 1) if ctx.constants == "mean" else 2) * (x - y)
        return dx, -dx if ctx.needs_input_grad[1] else None, None

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        x, y = ctx.saved_arrays
        dx = K.mse_backward(g, x, y, ctx.constants)
        return dx, K.neg(dx) if ctx.needs_input_grad[1] else None, None


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Cross-entropy between logits and class indices, in nats.

    `input` (N, C), (C,) or (N, C, d₁, …); `target` the same without C: integers in [0, C), `ignore_index` for rows
    that do not count, or floats of input's shape: a probability for each class. `weight` (C,) scales each class;
    "mean" divides by the summed weights of the targets. Targets outside [0, C) raise IndexError.
    """
    check_reduction(reduction, "cross_entropy")
    if not 0 <= label_smoothing <= 1:
        raise InputError(f"cross_entropy: label_smoothing is {label_smoothing}; it lies in [0, 1]")
    input = floating(input)
    shape = input._array.shape
    if not shape:
        raise ShapeError("cross_entropy: the logits are one number; they need a dimension of classes, (N, C)")
    classes = shape[1 if len(shape) > 1 else 0]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ShapeError(f"cross_entropy: weight has shape {tuple(weight.shape)}; it must be {(classes,)}, one a class")
    kind = target._array.dtype.kind
    if kind == "f":
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    if kind not in "iu":
        raise KindError(f"cross_entropy: targets are class numbers, got {target.dtype}; convert: target.long()")
    expected = shape[:1] + shape[2:] if len(shape) > 1 else ()
    if target._array.shape != expected:
        hint = ""
        if tuple(target.shape) == tuple(input.shape):
            hint = "; for one-hot rows pass them as floats, or target.argmax(1)"
        elif target.numel() == input.shape[0]:
            hint = f"; did you mean target.reshape({input.shape[0]})?"
        raise ShapeError(
            f"cross_entropy: logits of shape {tuple(input.shape)} need targets of shape {expected}, "
            f"got {tuple(target.shape)}{hint}"
        )
    rows = input if len(shape) == 2 else _classes_last(input, classes)
    labels = target if len(expected) == 1 else target.reshape(-1)
    if labels._array.dtype is not INT64:
        labels = labels.to(INT64)
    loss = applied(CrossEntropy, (rows, labels, weight, int(ignore_index), float(label_smoothing), reduction))
    return loss.reshape(expected) if reduction == "none" else loss


def _classes_last(input: Any, classes: int) -> Any:
    """(N, C, d…) or (C,) as rows (N·d…, C)."""
    if input.ndim == 1:
        return input.reshape(1, classes)
    return input.permute(0, *range(2, input.ndim), 1).reshape(-1, classes)


def _soft_cross_entropy(input: Any, target: Any, weight: Any, reduction: str, smoothing: float) -> Any:
    """Cross-entropy with a probability for each class; composed, since nobody trains on it in a hurry."""
    if tuple(target.shape) != tuple(input.shape):
        raise ShapeError(
            f"cross_entropy: float targets are probabilities and need the logits' shape {tuple(input.shape)}, "
            f"got {tuple(target.shape)}; class numbers are integers: target.long()"
        )
    dim = 1 if input.ndim > 1 else 0
    if smoothing:
        target = target * (1 - smoothing) + smoothing / input.shape[dim]
    terms = target * input.log_softmax(dim)
    if weight is not None:
        terms = terms * weight.reshape([-1 if i == dim else 1 for i in range(input.ndim)])
    losses = -terms.sum(dim)
    if reduction == "none":
        return losses
    return losses.sum() / max(input.numel() // max(input.shape[dim], 1), 1) if reduction == "mean" else losses.sum()


_alike = getattr(K, "alike", None)  # says quickly that two arrays have one shape and dtype; nothing else


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """(input − target)², averaged, summed, or each. Shapes must be equal: broadcasting here is nearly always a bug."""
    check_reduction(reduction, "mse_loss")
    if not isinstance(input, Variable) or not isinstance(target, Variable):
        raise KindError(f"mse_loss: expected two tensors, got {type(input).__name__} and {type(target).__name__}")
    x, y = input, target
    if _alike is None or not _alike(x._array, y._array):
        check_same_shape(input, target, "mse_loss")
        input, target = promoted(input, target, at_least=2)
    return applied(MSE, (input, target, reduction))


def check_same_shape(input: Any, target: Any, operation: str) -> None:
    """ShapeError unless both have one shape; the message proposes the likeliest mend."""
    si, st = input._array.shape, target._array.shape
    if si == st:
        return
    hint = f"target.reshape{st and si}" if target.numel() == input.numel() else "check which of the two is meant"
    raise ShapeError(
        f"{operation}: input has shape {si} and target {st}; they would be broadcast against each other, "
        f"which is nearly always a mistake; make them equal: {hint}"
    )
