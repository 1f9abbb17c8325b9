"""Kullback–Leibler divergences: one closed form for each pair of distributions."""

from __future__ import annotations

from typing import Any

from ..nn import functional as F
from ..ops import sigmoid
from .continuous import Exponential, Laplace, Normal
from .discrete import Bernoulli, Categorical
from .distribution import Distribution, Independent


def kl_divergence(p: Distribution, q: Distribution) -> Any:
    """KL(p ‖ q) = E_p[log p − log q] of each element of a batch; NotImplementedError where there is no formula."""
    if isinstance(p, Independent) and isinstance(q, Independent):
        if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
            raise NotImplementedError(
                "kl_divergence: the two Independent take different numbers of dimensions together"
            )
        return p._summed(kl_divergence(p.base_dist, q.base_dist))
    if type(p) is not type(q) or type(p) not in FORMULAS:
        raise NotImplementedError(f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}")
    return FORMULAS[type(p)](p, q)


def _normal(p: Normal, q: Normal) -> Any:
    ratio, shift = p.scale / q.scale, (p.loc - q.loc) / q.scale
    return 0.5 * (ratio * ratio + shift * shift - 1) - ratio.log()


def _laplace(p: Laplace, q: Laplace) -> Any:
    ratio, gap = p.scale / q.scale, (p.loc - q.loc).abs()
    return ratio * (-gap / p.scale).exp() + gap / q.scale - ratio.log() - 1


def _exponential(p: Exponential, q: Exponential) -> Any:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


def _categorical(p: Categorical, q: Categorical) -> Any:
    return (p.probs * (p.logits - q.logits)).sum(-1)


def _bernoulli(p: Bernoulli, q: Bernoulli) -> Any:
    return sigmoid(p.logits) * (p.logits - q.logits) + F.softplus(q.logits) - F.softplus(p.logits)


FORMULAS: dict[type, Any] = {
    Normal: _normal,
    Laplace: _laplace,
    Exponential: _exponential,
    Categorical: _categorical,
    Bernoulli: _bernoulli,
}
