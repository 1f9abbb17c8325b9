"""Linear maps, and distances between vectors."""

from __future__ import annotations

from typing import Any

from ... import ops


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """input·weightᵀ + bias: input (…, in), weight (out, in), bias (out,)."""
    return ops.linear(input, weight, bias)


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """x₁ᵀ·W_k·x₂ + b_k for each of O outputs: inputs (…, I₁), (…, I₂), weight (O, I₁, I₂)."""
    if (
        tuple(input1.shape[:-1]) != tuple(input2.shape[:-1])
        or weight.ndim != 3
        or (tuple(weight.shape[1:]) != (input1.shape[-1], input2.shape[-1]))
    ):
        raise ops.ShapeError(
            f"bilinear: inputs {tuple(input1.shape)} and {tuple(input2.shape)} do not fit a weight of shape "
            f"{tuple(weight.shape)}: it must be (outputs, first size, second size)"
        )
    lead = tuple(input1.shape[:-1])
    left = input1.reshape(*lead, 1, 1, input1.shape[-1])
    y = (left @ weight @ input2.reshape(*lead, 1, input2.shape[-1], 1)).reshape(*lead, weight.shape[0])
    return y if bias is None else y + bias


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """x₁·x₂/(max(‖x₁‖, eps)·max(‖x₂‖, eps)) along `dim`."""
    lengths = [(x * x).sum(dim).clamp(min=eps * eps).sqrt() for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (lengths[0] * lengths[1])


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """‖x₁ − x₂ + eps‖ₚ over the last dimension."""
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)
