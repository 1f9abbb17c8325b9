"""Losses: those without a kernel of their own are composed here. Shapes must be equal; broadcasting is refused."""

from __future__ import annotations

import math
from typing import Any

from ... import ops
from ...autograd import Function
from ...creation import full_like
from ...errors import InputError, KindError, RangeError
from ...ops import check_reduction
from ...tensor import Tensor


def check_pair(input: Any, target: Any, operation: str) -> None:
    """TypeError unless both are tensors, ShapeError unless they have one shape: broadcasting here is a bug."""
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        raise KindError(
            f"{operation}: expected two tensors, got {type(input).__name__} and {type(target).__name__}; "
            f"make them tensors with tg.tensor(…)"
        )
    ops.check_same_shape(input, target, operation)


def weighted(losses: Any, weight: Any, operation: str) -> Any:
    """losses · weight; a weight that would make the losses larger is refused."""
    if weight is None:
        return losses
    result = losses * weight
    if result.shape != losses.shape:
        raise ops.ShapeError(
            f"{operation}: weight of shape {tuple(weight.shape)} does not fit losses of shape {tuple(losses.shape)}; "
            f"give one number for each entry, or a shape that broadcasts to it"
        )
    return result


def reduced(losses: Any, reduction: str, operation: str) -> Any:
    """Mean, sum, or each."""
    check_reduction(reduction, operation)
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def spoken(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction, also where it is asked for by PyTorch's old pair of arguments."""
    if isinstance(size_average, str):
        raise KindError(f'the reduction is given by name here: reduction="{size_average}"')
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def mse_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None,
             reduction: str = "mean", weight: Any = None) -> Any:  # fmt: skip
    """(input − target)²; shapes must be equal."""
    reduction = spoken(size_average, reduce, reduction)
    if weight is None:
        return ops.mse_loss(input, target, reduction)
    losses = weighted(ops.mse_loss(input, target, "none"), weight, "mse_loss")
    return _weighted_mean(losses, weight, reduction, "mse_loss")


def l1_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None,
            reduction: str = "mean", weight: Any = None) -> Any:  # fmt: skip
    """|input − target|; shapes must be equal."""
    check_pair(input, target, "l1_loss")
    losses = weighted((input - target).abs(), weight, "l1_loss")
    return _weighted_mean(losses, weight, spoken(size_average, reduce, reduction), "l1_loss")


def _weighted_mean(losses: Any, weight: Any, reduction: str, operation: str) -> Any:
    if weight is None or reduction != "mean":
        return reduced(losses, reduction, operation)
    return losses.sum() / weight.expand(*losses.shape).sum()


def cross_entropy(input: Any, target: Any, weight: Any = None, size_average: bool | None = None,
                  ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Any:  # fmt: skip
    """Cross-entropy in nats between logits (N, C), (C,) or (N, C, d₁, …) and class numbers without the C.

    Or probabilities for each class, floats in the logits' shape. `ignore_index` marks targets that do not count;
    `weight` (C,) scales each class; "mean" divides by the summed weights of the targets. Classes that do not exist
    are an IndexError.
    """
    reduction = spoken(size_average, reduce, reduction)
    return ops.cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Any:
    """d²/2 for |d| < delta, else delta·(|d| − delta/2), d = input − target. Huber 1964."""
    check_pair(input, target, "huber_loss")
    if not delta > 0:
        raise InputError(f"huber_loss: delta is {delta}; it must be positive")
    losses = weighted(_huber(input, target, delta), weight, "huber_loss")
    return _weighted_mean(losses, weight, reduction, "huber_loss")


def _huber(input: Any, target: Any, delta: float) -> Any:
    distance = (input - target).abs()
    inside = distance < delta
    near = ops.where(inside, distance, 0.0)  # what is far away is not squared: its inf would reach the gradient
    return ops.where(inside, near * near * 0.5, (distance - 0.5 * delta) * delta)


def smooth_l1_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None,
                   reduction: str = "mean", beta: float = 1.0) -> Any:  # fmt: skip
    """d²/(2·beta) for |d| < beta, else |d| − beta/2, d = input − target; beta 0 is l1_loss."""
    check_pair(input, target, "smooth_l1_loss")
    reduction = spoken(size_average, reduce, reduction)
    if not beta >= 0:
        raise InputError(f"smooth_l1_loss: beta is {beta}; it must not be negative")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return reduced(_huber(input, target, beta) / beta, reduction, "smooth_l1_loss")


def nll_loss(input: Any, target: Any, weight: Any = None, size_average: bool | None = None, ignore_index: int = -100,
             reduce: bool | None = None, reduction: str = "mean") -> Any:  # fmt: skip
    """−weight[target]·input[target] for log-probabilities; "mean" divides by the summed weights of the targets.

    `input` (N, C), (C,) or (N, C, d₁, …); `target` the same without C: integers in [0, C), or `ignore_index`.
    """
    reduction = spoken(size_average, reduce, reduction)
    check_reduction(reduction, "nll_loss")
    dim = 1 if input.ndim > 1 else 0
    expected = (*input.shape[:dim], *input.shape[dim + 1 :])
    if input.ndim == 0 or tuple(target.shape) != expected:
        raise ops.ShapeError(
            f"nll_loss: log-probabilities of shape {tuple(input.shape)} need targets of shape {expected}, "
            f"got {tuple(target.shape)}; classes are dimension {dim} of the input"
        )
    if target.dtype.kind not in "iu":
        raise KindError(f"nll_loss: targets are class numbers, got {target.dtype}; convert: target.long()")
    classes = input.shape[dim]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ops.ShapeError(f"nll_loss: {classes} classes need a weight {(classes,)}, not {tuple(weight.shape)}")
    counts = target != ignore_index
    labels = ops.where(counts, target.long(), 0)
    if labels.numel() and (labels.min().item() < 0 or labels.max().item() >= classes):
        raise RangeError(f"nll_loss: targets must lie in [0, {classes - 1}], they reach from {labels.min().item()} "
                         f"to {labels.max().item()}")  # fmt: skip
    picked = input.gather(dim, labels.unsqueeze(dim)).squeeze(dim)
    scale = counts.to(input.dtype) if weight is None else weight[labels] * counts.to(input.dtype)
    losses = ops.where(counts, -picked * scale, 0.0)
    return losses.sum() / scale.sum() if reduction == "mean" else reduced(losses, reduction, "nll_loss")


class BinaryCrossEntropy(Function):
    """−t·ln p − (1 − t)·ln(1 − p), logarithms ≥ −100;  dp = g·(p − t)/(p·(1 − p)), dt = g·(ln(1 − p) − ln p).

    The bounds (PyTorch's) keep a certain and wrong prediction from giving inf, and 0 · inf from giving NaN.
    """

    @staticmethod
    def forward(ctx: Any, p: Any, t: Any) -> Any:
        ctx.save_for_backward(p, t)
        hit, miss = BinaryCrossEntropy.logarithms(p)
        return -(t * hit + (1 - t) * miss)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        p, t = ctx.saved_tensors
        dp = g * (p - t) / (p * (1 - p)).clamp(min=1e-12)
        if not ctx.needs_input_grad[1]:
            return dp, None
        hit, miss = BinaryCrossEntropy.logarithms(p)
        return dp, g * (miss - hit)

    @staticmethod
    def logarithms(p: Any) -> Any:
        """ln p and ln(1 − p), each at least −100."""
        return p.log().clamp(min=-100), (-p).log1p().clamp(min=-100)


def binary_cross_entropy(input: Any, target: Any, weight: Any = None, size_average: bool | None = None,
                         reduce: bool | None = None, reduction: str = "mean") -> Any:  # fmt: skip
    """−t·ln p − (1 − t)·ln(1 − p) for probabilities p and targets t of one shape; see `BinaryCrossEntropy`."""
    check_pair(input, target, "binary_cross_entropy")
    if input.numel() and not (input.min().item() >= 0 and input.max().item() <= 1):
        raise InputError("binary_cross_entropy: input holds numbers outside [0, 1]; for logits use …_with_logits")
    losses = BinaryCrossEntropy.apply(input, target.to(input.dtype))
    losses = weighted(losses, weight, "binary_cross_entropy")
    return reduced(losses, spoken(size_average, reduce, reduction), "binary_cross_entropy")


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", pos_weight: Any = None,
) -> Any:  # fmt: skip
    """`binary_cross_entropy` of sigmoid(input) without overflow; `pos_weight` scales the terms of positive targets."""
    operation = "binary_cross_entropy_with_logits"
    check_pair(input, target, operation)
    # −ln sigmoid(x) = softplus(−x) and −ln(1 − sigmoid(x)) = softplus(x): no digits are lost at either end.
    positive = weighted(target * ops.softplus(-input, threshold=math.inf), pos_weight, operation)
    losses = positive + (1 - target) * ops.softplus(input, threshold=math.inf)
    return reduced(weighted(losses, weight, operation), spoken(size_average, reduce, reduction), operation)


def kl_div(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None,
           reduction: str = "mean", log_target: bool = False) -> Any:  # fmt: skip
    """t·(ln t − x) for log-probabilities x and probabilities t (log_target: their logarithms).

    "batchmean" divides the sum by the first size: the divergence itself, per row. Kullback & Leibler 1951.
    """
    check_pair(input, target, "kl_div")
    if log_target:
        losses = target.exp() * (target - input)
    else:
        positive = target > 0  # 0·ln 0 is 0
        losses = target * (ops.where(positive, target, 1.0).log() - input)
    reduction = spoken(size_average, reduce, reduction)
    if reduction == "batchmean":
        return losses.sum() / (input.shape[0] if input.ndim else 1)
    return reduced(losses, reduction, "kl_div")


def poisson_nll_loss(input: Any, target: Any, log_input: bool = True, full: bool = False,
                     size_average: bool | None = None, eps: float = 1e-8, reduce: bool | None = None,
                     reduction: str = "mean") -> Any:  # fmt: skip
    """−ln of a Poisson probability of counts t, up to a constant: eˣ − t·x, or x − t·ln(x + eps) without log_input.

    `full` adds Stirling's approximation of ln t! where t > 1.
    """
    check_pair(input, target, "poisson_nll_loss")
    losses = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        many = target > 1
        t = ops.where(many, target, 1.0)
        losses = losses + ops.where(many, t * t.log() - t + 0.5 * (2 * math.pi * t).log(), 0.0)
    return reduced(losses, spoken(size_average, reduce, reduction), "poisson_nll_loss")


def gaussian_nll_loss(input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Any:  # fmt: skip
    """−ln of a normal density: (ln v + (x − t)²/v)/2 with v = max(var, eps); `full` adds ln(2π)/2. Nix & Weigend 1994.

    `var`: a number, or a tensor in the input's shape, or in that shape without its last size or with 1 there.
    """
    check_pair(input, target, "gaussian_nll_loss")
    if not isinstance(var, Tensor):
        var = full_like(input, var)
    if tuple(var.shape) == tuple(input.shape[:-1]) and var.ndim < input.ndim:
        var = var.unsqueeze(-1)
    if tuple(var.shape) not in (tuple(input.shape), (*input.shape[:-1], 1)):
        raise ops.ShapeError(f"gaussian_nll_loss: var has shape {tuple(var.shape)}, the input {tuple(input.shape)}")
    if var.numel() and (var < 0).any().item():
        raise InputError("gaussian_nll_loss: var has negative entries")
    var = var + (var.detach().clamp(min=eps) - var.detach())  # the gradient passes as if there were no limit
    losses = 0.5 * (var.log() + (input - target) ** 2 / var)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction, "gaussian_nll_loss")
