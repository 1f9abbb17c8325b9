"""Losses that ask for a margin: between classes, between a pair, or between three."""

from __future__ import annotations

import math
from typing import Any

from ... import ops
from ...creation import arange
from ...errors import InputError, RangeError
from .linear import pairwise_distance
from .loss import check_pair, reduced, spoken, weighted


def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0, size_average: bool | None = None,
                         reduce: bool | None = None, reduction: str = "mean") -> Any:  # fmt: skip
    """x where the target is 1, max(0, margin − x) where it is −1."""
    check_pair(input, target, "hinge_embedding_loss")
    near = ops.where(target != -1, input, 0.0)
    far = ops.where(target != 1, (margin - input).clamp(min=0), 0.0)
    return reduced(near + far, spoken(size_average, reduce, reduction), "hinge_embedding_loss")


def margin_ranking_loss(input1: Any, input2: Any, target: Any, margin: float = 0, size_average: bool | None = None,
                        reduce: bool | None = None, reduction: str = "mean") -> Any:  # fmt: skip
    """max(0, margin − t·(x₁ − x₂)): t = 1 wants x₁ larger, t = −1 x₂."""
    check_pair(input1, input2, "margin_ranking_loss")
    check_pair(input1, target, "margin_ranking_loss")
    losses = (margin - target * (input1 - input2)).clamp(min=0)
    return reduced(losses, spoken(size_average, reduce, reduction), "margin_ranking_loss")


def cosine_embedding_loss(input1: Any, input2: Any, target: Any, margin: float = 0, size_average: bool | None = None,
                          reduce: bool | None = None, reduction: str = "mean") -> Any:  # fmt: skip
    """1 − cos(x₁, x₂) where the target is 1, max(0, cos − margin) where it is −1; inputs (N, D), target (N,)."""
    check_pair(input1, input2, "cosine_embedding_loss")
    if input1.ndim not in (1, 2) or tuple(target.shape) != tuple(input1.shape[:-1]):
        raise ops.ShapeError(
            f"cosine_embedding_loss: inputs of shape {tuple(input1.shape)} and a target of shape "
            f"{tuple(target.shape)}: they must be (N, D) and (N,), or (D,) and ()"
        )
    squares = ((input1 * input1).sum(-1) + 1e-12) * ((input2 * input2).sum(-1) + 1e-12)
    cosine = (input1 * input2).sum(-1) / squares.sqrt()
    near = ops.where(target == 1, 1 - cosine, 0.0)
    far = ops.where(target == -1, (cosine - margin).clamp(min=0), 0.0)
    return reduced(near + far, spoken(size_average, reduce, reduction), "cosine_embedding_loss")


def triplet_margin_loss(anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2,
                        eps: float = 1e-6, swap: bool = False, size_average: bool | None = None,
                        reduce: bool | None = None, reduction: str = "mean") -> Any:  # fmt: skip
    """max(0, margin + d(a, p) − d(a, n)); `swap` takes d(p, n) where it is smaller. Balntas et al. 2016."""
    check_pair(anchor, positive, "triplet_margin_loss")
    check_pair(anchor, negative, "triplet_margin_loss")
    if margin <= 0:
        raise InputError(f"triplet_margin_loss: margin is {margin}; it must be positive")
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = ops.minimum(far, pairwise_distance(positive, negative, p, eps))
    losses = (margin + near - far).clamp(min=0)
    return reduced(losses, spoken(size_average, reduce, reduction), "triplet_margin_loss")


def multi_margin_loss(input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None,
                      size_average: bool | None = None, reduce: bool | None = None,
                      reduction: str = "mean") -> Any:  # fmt: skip
    """Σ_{c≠t} weight[t]·max(0, margin − x[t] + x[c])ᵖ/C for scores (N, C) and classes (N,), or (C,) and ()."""
    if input.ndim not in (1, 2) or tuple(target.shape) != tuple(input.shape[:-1]):
        raise ops.ShapeError(
            f"multi_margin_loss: scores of shape {tuple(input.shape)} and classes of shape {tuple(target.shape)}: "
            f"they must be (N, C) and (N,), or (C,) and ()"
        )
    if p not in (1, 2):
        raise InputError(f"multi_margin_loss: p is {p}; it can be 1 or 2")
    classes = input.shape[-1]
    if target.numel() and not 0 <= target.min().item() <= target.max().item() < classes:
        raise RangeError(f"multi_margin_loss: classes must lie in [0, {classes - 1}]")
    place = target.long().unsqueeze(-1)
    gaps = (margin - input.gather(-1, place) + input).clamp(min=0)
    gaps = gaps if p == 1 else gaps * gaps
    if weight is not None:
        gaps = gaps * weight[place]
    losses = ops.where(arange(classes, device=place.device) == place, 0.0, gaps).sum(-1) / classes
    return reduced(losses, spoken(size_average, reduce, reduction), "multi_margin_loss")


def soft_margin_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None,
                     reduction: str = "mean") -> Any:  # fmt: skip
    """ln(1 + e^{−t·x}) for targets ±1."""
    check_pair(input, target, "soft_margin_loss")
    losses = ops.softplus(-target * input, threshold=math.inf)
    return reduced(losses, spoken(size_average, reduce, reduction), "soft_margin_loss")


def multilabel_soft_margin_loss(input: Any, target: Any, weight: Any = None, size_average: bool | None = None,
                                reduce: bool | None = None, reduction: str = "mean") -> Any:  # fmt: skip
    """Binary cross-entropy with logits, averaged over the classes (last dimension)."""
    check_pair(input, target, "multilabel_soft_margin_loss")
    positive = target * ops.softplus(-input, threshold=math.inf)
    losses = positive + (1 - target) * ops.softplus(input, threshold=math.inf)
    losses = weighted(losses, weight, "multilabel_soft_margin_loss").mean(-1)
    return reduced(losses, spoken(size_average, reduce, reduction), "multilabel_soft_margin_loss")


def triplet_margin_with_distance_loss(anchor: Any, positive: Any, negative: Any, *, distance_function: Any = None,
                                      margin: float = 1.0, swap: bool = False,
                                      reduction: str = "mean") -> Any:  # fmt: skip
    """`triplet_margin_loss` with any distance of two tensors; `pairwise_distance` by default."""
    check_pair(anchor, positive, "triplet_margin_with_distance_loss")
    check_pair(anchor, negative, "triplet_margin_with_distance_loss")
    if margin <= 0:
        raise InputError(f"triplet_margin_with_distance_loss: margin is {margin}; it must be positive")
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    return reduced((margin + near - far).clamp(min=0), reduction, "triplet_margin_with_distance_loss")


def multilabel_margin_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None,
                           reduction: str = "mean") -> Any:  # fmt: skip
    """Σ max(0, 1 − x[t] + x[c])/C over classes t that are targets and c that are not, for scores (N, C) or (C,).

    `target` (N, C) lists each row's classes; the list ends at the first −1.
    """
    check_pair(input, target, "multilabel_margin_loss")
    classes = input.shape[-1]
    listed = (target < 0).long().cumsum(-1) == 0
    if listed.any() and target.max().item() >= classes:
        raise RangeError(f"multilabel_margin_loss: classes must lie in [0, {classes - 1}]")
    marks = listed  # (…, C): which entries of `target` count
    is_target = ((target.unsqueeze(-1) == arange(classes, device=target.device)) & marks.unsqueeze(-1)).any(-2)
    pairs = marks.unsqueeze(-1) & is_target.logical_not().unsqueeze(-2)  # (…, t, c); a class listed twice counts twice
    chosen = input.gather(-1, target.clamp(min=0))  # the score of each listed class
    gaps = (1 - chosen.unsqueeze(-1) + input.unsqueeze(-2)).clamp(min=0)
    losses = ops.where(pairs, gaps, 0.0).sum((-2, -1)) / classes
    return reduced(losses, spoken(size_average, reduce, reduction), "multilabel_margin_loss")
