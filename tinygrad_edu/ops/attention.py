"""Scaled dot-product attention: one fused operation, or its parts where a gradient or a dropout needs them.

Vaswani et al. 2017; the fused kernel keeps one number per row, the logarithm of its softmax's sum, in place of the
T × S weights, and computes them again in the backward pass (Dao et al. 2022).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import Operation
from ..autograd.variable import Variable
from ..errors import KindError, StateError
from ..kernels import K, on_gpu
from ._common import Array, ShapeError, constant
from .activation import dropout, softmax
from .elementwise import where
from .linalg import matmul


class Attention(Operation):
    """y = P·v, P = softmax(scale·q·kᵀ + mask);  dv = Pᵀ·g, dS = P·(g·vᵀ − Σ g·y), dq = scale·dS·k, dk = scale·dSᵀ·q."""

    @staticmethod
    def forward(ctx: Any, q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float) -> Array:
        y, lse = K.attention(q, k, v, mask, causal, scale)
        ctx.save_for_backward(q, k, v, mask, y, lse)
        ctx.constants = causal, scale
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        q, k, v, mask, y, _ = ctx.saved_tensors
        causal, scale = ctx.constants
        if mask is not None and q.ndim == 4:  # as many masks as there are samples and heads, or ones to be broadcast
            mask = mask.repeat_interleave(q.shape[0] * q.shape[1] // len(mask), 0).unflatten(0, q.shape[:2])
        p = weights(matmul(q, k.mT) * scale, mask, causal)
        ds = p * (matmul(g, v.mT) - (g * y).sum(-1, keepdim=True)) * scale
        return matmul(ds, k), matmul(ds.mT, q), matmul(p.mT, g), None, None, None

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        q, k, v, mask, y, lse = ctx.saved_arrays
        causal, scale = ctx.constants
        return (*K.attention_backward(g, q, k, v, mask, causal, scale, y, lse), None, None, None)


def weights(scores: Any, mask: Any, causal: bool) -> Any:
    """softmax(scores + mask) over the last dimension; zeros, not NaN, where a row sees no key."""
    if mask is not None:
        if mask.ndim == 3 and scores.ndim == 3 and 1 < len(mask) < len(scores):  # heads that share their sample's mask
            scores = (scores.unflatten(0, (len(mask), -1)) + mask.unsqueeze(1)).flatten(0, 1)
        else:
            scores = scores + mask
    if causal:
        scores = where(constant(np.tri(*scores.shape[-2:], dtype=np.bool_), scores), scores, -math.inf)
    if scores.numel() == 0:
        return scores
    blind = scores.detach().amax(-1, keepdim=True) == -math.inf
    return where(blind, 0.0, softmax(where(blind, 0.0, scores), -1))


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(scale·query·keyᵀ + mask)·value: query (…, T, D), key (…, S, D), value (…, S, E) give (…, T, E).

    `attn_mask`, broadcast to (…, T, S): bool (True takes part) or float (added). `is_causal`: row t sees keys s ≤ t.
    `scale` is 1/√D unless given. `dropout_p` zeroes weights whether or not anything is in training. `enable_gqa`:
    each key and value head serves several query heads. A row that sees no key gives zeros. Vaswani et al. 2017.
    """
    _check(query, key, value, attn_mask, dropout_p, is_causal)
    scale = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else float(scale)
    if enable_gqa:
        key, value = _repeated(key, query, "key"), _repeated(value, query, "value")
    lead = _lead(query, key, value)
    query, key, value = (x if x.shape[:-2] == lead else x.expand(*lead, *x.shape[-2:]) for x in (query, key, value))
    rows, keys = query.shape[-2], key.shape[-2]
    mask = None if attn_mask is None else _additive(attn_mask, query, (*lead, rows, keys))

    if dropout_p > 0 or (mask is not None and mask.requires_grad):
        p = weights(matmul(query, key.mT) * scale, mask, is_causal)
        return matmul(dropout(p, dropout_p), value)
    shared = None if mask is None else _shared(mask, lead, rows, keys)
    if len(lead) == 2 and not on_gpu(query._array):  # samples and heads, read where they lie
        return Attention.apply(query, key, value, shared, bool(is_causal), scale)
    count = math.prod(lead)
    q, k, v = (x.reshape(count, *x.shape[-2:]) for x in (query, key, value))
    y = Attention.apply(q, k, v, shared, bool(is_causal), scale)
    return y.reshape(*lead, rows, value.shape[-1])


def _check(query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool) -> None:
    """The complaints about what the arguments are, before anything is computed."""
    name = "scaled_dot_product_attention"
    for which, x in (("query", query), ("key", key), ("value", value)):
        if not isinstance(x, Variable):
            raise KindError(f"{name}: {which} must be a tensor, got {type(x).__name__}")
        if len(x._array.shape) < 2:
            raise ShapeError(f"{name}: {which} has shape {x._array.shape}; it needs (…, length, features)")
    kinds = [x._array.dtype for x in (query, key, value)]
    if not kinds[0] == kinds[1] == kinds[2] or kinds[0].kind != "f":
        raise StateError(f"{name}: query, key and value must have one float dtype, got {', '.join(map(str, kinds))}")
    (*_, _, d), (*_, s, dk), (*_, sv, _) = query.shape, key.shape, value.shape
    if d != dk or s != sv:
        raise ShapeError(
            f"{name}: query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)} do not fit: "
            f"query and key share the last size, key and value the one before it"
        )
    if not 0 <= dropout_p <= 1:
        raise StateError(f"{name}: dropout_p is {dropout_p}; a probability lies in [0, 1]")
    if mask is not None and is_causal:
        raise StateError(f"{name}: give attn_mask or is_causal=True, not both; put the causal part into the mask")


def _repeated(x: Any, query: Any, which: str) -> Any:
    """Each head of x as often as it takes to have one for each query head."""
    wanted, heads = (t.shape[-3] if t.ndim > 2 else 1 for t in (query, x))
    if heads == 0 or wanted % heads or x.ndim < 3:
        raise ShapeError(
            f"scaled_dot_product_attention: enable_gqa needs (…, heads, length, features) with query heads a multiple "
            f"of {which} heads, got {tuple(query.shape)} and {tuple(x.shape)}"
        )
    times = wanted // heads
    spread = x.unsqueeze(-3).expand(*x.shape[:-2], times, *x.shape[-2:])
    return spread.reshape(*x.shape[:-3], wanted, *x.shape[-2:])


def _lead(*tensors: Any) -> tuple[int, ...]:
    """The broadcast of all dimensions but the last two."""
    first = tensors[0].shape[:-2]
    if all(x.shape[:-2] == first for x in tensors):
        return tuple(first)  # nearly always
    try:
        return np.broadcast_shapes(*[tuple(x.shape[:-2]) for x in tensors])
    except ValueError:
        shapes = ", ".join(str(tuple(x.shape)) for x in tensors)
        raise ShapeError(f"scaled_dot_product_attention: the leading sizes of {shapes} do not broadcast") from None


def _additive(mask: Any, query: Any, shape: tuple[int, ...]) -> Any:
    """A mask as something to add to scores of `shape`, with all its dimensions."""
    name = "scaled_dot_product_attention"
    if not isinstance(mask, Variable):
        raise KindError(f"{name}: attn_mask must be a tensor, got {type(mask).__name__}")
    if mask._array.dtype.kind == "b":
        zero = Variable.wrap(K.full((), 0, query.dtype))
        mask = where(mask, zero, -math.inf)
    elif mask._array.dtype != query.dtype:
        if str(mask._array.dtype) != "float32":
            raise StateError(
                f"{name}: attn_mask is {mask._array.dtype}; it must be bool (True takes part), float32 or the query's "
                f"{query.dtype}"
            )
        mask = mask.to(query.dtype)  # type: ignore[attr-defined]
    found = tuple(mask.shape)  # type: ignore[attr-defined]
    fits = len(found) <= len(shape) and all(n in (1, m) for n, m in zip(found[::-1], shape[::-1], strict=False))
    if not fits:
        raise ShapeError(f"{name}: attn_mask of shape {found} does not broadcast to the scores' shape {shape}")
    return mask.reshape((1,) * (len(shape) - len(found)) + found)  # type: ignore[attr-defined]


def _shared(mask: Any, lead: tuple[int, ...], rows: int, keys: int) -> Any:
    """The mask as (M, T, S) for the kernel: M is the product of as few leading sizes as tell different masks apart."""
    differs = [i for i, n in enumerate(mask.shape[:-2]) if n != 1]
    depth = differs[-1] + 1 if differs else 0
    own = lead[:depth]
    wide = mask.expand(*own, *mask.shape[depth:-2], rows, keys)
    return wide.reshape(math.prod(own), rows, keys)
