"""The functions behind the modules: activations, `linear`, `dropout`, losses. PyTorch's `nn.functional`."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..ops import check_reduction, check_same_shape, cross_entropy, linear, mse_loss

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dropout",
    "elu",
    "gelu",
    "huber_loss",
    "l1_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "tanh",
]

elu, gelu, leaky_relu, relu = ops.elu, ops.gelu, ops.leaky_relu, ops.relu
sigmoid, silu, softplus, tanh = ops.sigmoid, ops.silu, ops.softplus, ops.tanh


def dropout(input: Any, p: float = 0.5, training: bool = True, generator: Any = None) -> Any:
    """In training, zero entries with probability p and scale the others by 1/(1 − p)."""
    return ops.dropout(input, p, training, generator)


def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """eˣ/Σeˣ along `dim`."""
    return ops.softmax(input if dtype is None else input.to(dtype), dim)


def log_softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """ln softmax along `dim`."""
    return ops.log_softmax(input if dtype is None else input.to(dtype), dim)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """int64 rows with a single 1, at the position that the entry names."""
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"one_hot: class numbers are integers, got {tensor.dtype}")
    if tensor.numel() and tensor.min().item() < 0:
        raise ValueError(f"one_hot: class numbers are not negative, got {tensor.min().item()}")
    classes = int(tensor.max().item()) + 1 if num_classes == -1 else num_classes
    if tensor.numel() and tensor.max().item() >= classes:
        raise ValueError(f"one_hot: class {tensor.max().item()} does not fit {classes} classes")
    numbers = type(tensor)(list(range(classes)), "int64")
    return (tensor.unsqueeze(-1) == numbers).long()


def reduce(losses: Any, reduction: str, operation: str) -> Any:
    """Mean, sum, or each."""
    check_reduction(reduction, operation)
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """|input − target|; shapes must be equal."""
    check_same_shape(input, target, "l1_loss")
    return reduce((input - target).abs(), reduction, "l1_loss")


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """d²/2 for |d| < delta, else delta·(|d| − delta/2), d = input − target. Huber 1964."""
    check_same_shape(input, target, "huber_loss")
    if not delta > 0:
        raise ValueError(f"huber_loss: delta is {delta}; it must be positive")
    distance = (input - target).abs()
    losses = ops.where(distance < delta, distance * distance * 0.5, (distance - 0.5 * delta) * delta)
    return reduce(losses, reduction, "huber_loss")


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """d²/(2·beta) for |d| < beta, else |d| − beta/2, d = input − target; beta 0 is l1_loss."""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta is {beta}; it must not be negative")
    if beta == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction, beta) / beta


def nll_loss(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """−input[target] for log-probabilities (N, C) and class numbers (N,); "mean" divides by the summed weights."""
    check_reduction(reduction, "nll_loss")
    if input.ndim != 2 or tuple(target.shape) != tuple(input.shape[:1]):
        raise ops.ShapeError(
            f"nll_loss: log-probabilities (N, C) and targets (N,) are needed, got {tuple(input.shape)} and "
            f"{tuple(target.shape)}"
        )
    counts = target != ignore_index
    labels = ops.where(counts, target, 0)
    if target.numel() and (labels.min().item() < 0 or labels.max().item() >= input.shape[1]):
        raise IndexError(f"nll_loss: targets must lie in [0, {input.shape[1] - 1}]")
    picked = input.gather(1, labels.unsqueeze(1)).squeeze(1)
    scale = counts.to(input.dtype) if weight is None else weight[labels] * counts.to(input.dtype)
    losses = ops.where(counts, -picked * scale, 0.0)
    return losses.sum() / scale.sum() if reduction == "mean" else reduce(losses, reduction, "nll_loss")


def binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    """−t·ln p − (1 − t)·ln(1 − p) for probabilities p, each logarithm at least −100 so that 0 · inf is 0."""
    check_same_shape(input, target, "binary_cross_entropy")
    if input.numel() and not (input.min().item() >= 0 and input.max().item() <= 1):
        raise ValueError("binary_cross_entropy: input holds numbers outside [0, 1]; for logits use …_with_logits")
    losses = -(target * input.log().clamp(min=-100) + (1 - target) * (1 - input).log().clamp(min=-100))
    return reduce(losses if weight is None else losses * weight, reduction, "binary_cross_entropy")


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """`binary_cross_entropy` of sigmoid(input), computed without overflow: softplus(x) − t·x."""
    check_same_shape(input, target, "binary_cross_entropy_with_logits")
    # ln(1 + e⁻ˣ) = softplus(−x); beyond the threshold they agree to the last digit anyway.
    positive = ops.softplus(-input, threshold=math.inf)
    losses = (1 - target) * (input + positive) + (target if pos_weight is None else target * pos_weight) * positive
    return reduce(losses if weight is None else losses * weight, reduction, "binary_cross_entropy_with_logits")
