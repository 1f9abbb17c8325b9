"""Scaled dot-product attention, forward and backward, with the whole matrix of weights at once."""

from __future__ import annotations

import math

import numpy as np

from ..protocol import Array
from .basic import quiet


def attention_scores(q: Array, k: Array, mask: Array | None, causal: bool, scale: float) -> Array:
    """scale·q·kᵀ + mask (B, T, S), −inf where a key is hidden."""
    scores = np.matmul(q, k.swapaxes(-1, -2)) * q.dtype.type(scale)
    if mask is not None:
        batch = math.prod(q.shape[:-2])
        scores = scores + np.repeat(mask, batch // max(len(mask), 1), axis=0).reshape(scores.shape)
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=np.bool_), scores, -np.inf)
    return np.asarray(scores, q.dtype)


@quiet
def attention(q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float) -> tuple[Array, Array]:
    scores = attention_scores(q, k, mask, causal, scale)
    top = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    top = np.where(top == -np.inf, 0, top)  # a row that sees nothing: its weights become 0, not NaN
    e = np.exp(scores - top)
    total = np.sum(e, axis=-1, keepdims=True)
    y = np.where(total == 0, 0, np.matmul(e, v) / total)
    return np.asarray(y, q.dtype), np.asarray(top + np.log(total), q.dtype)[..., 0]


@quiet
def attention_backward(
    g: Array,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    causal: bool,
    scale: float,
    y: Array,
    lse: Array,
) -> tuple[Array, Array, Array]:
    scores = attention_scores(q, k, mask, causal, scale)
    p = np.where(lse[..., None] == -np.inf, 0, np.exp(scores - lse[..., None]))
    ds = p * (np.matmul(g, v.swapaxes(-1, -2)) - np.sum(g * y, axis=-1, keepdims=True)) * scale
    dq, dk, dv = np.matmul(ds, k), np.matmul(ds.swapaxes(-1, -2), q), np.matmul(p.swapaxes(-1, -2), g)
    return np.asarray(dq, q.dtype), np.asarray(dk, q.dtype), np.asarray(dv, q.dtype)
