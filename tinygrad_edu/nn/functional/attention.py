"""Attention with several heads, and the projections around it (Vaswani et al. 2017)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...tensor import Tensor

Weights = tuple[Any, Any, Any]


def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    batch_first: bool = False,
) -> tuple[Any, Any]:
    """(output, weights or None): what `nn.MultiheadAttention` computes, from all its parts.

    query (L, N, E), key (S, N, K), value (S, N, V) give (L, N, E) and (N, L, S); without N if there is no batch, and
    with N before L and S if `batch_first`. `static_k`, `static_v` (N·heads, S, E/heads) stand in for projected ones.
    """
    tensors = query, key, value
    batched = _check(tensors, embed_dim_to_check, num_heads, batch_first)
    if not batched:
        one = 0 if batch_first else 1
        tensors, key_padding_mask = (
            _each(tensors, lambda x: x.unsqueeze(one)),
            None if key_padding_mask is None else key_padding_mask.unsqueeze(0),
        )
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _projected(tensors, in_proj_weight, separate, in_proj_bias, num_heads, batch_first)
    k, v = (x if static is None else _static(static, q) for x, static in ((k, static_k), (v, static_v)))
    n, _, rows, head = q.shape
    keys = k.shape[2]
    if is_causal and attn_mask is None:
        raise RuntimeError("multi_head_attention_forward: is_causal says what attn_mask is; give that mask too")
    attn_mask = _attention_mask(attn_mask, n, num_heads, rows, keys, q.dtype)
    padding = _padding_mask(key_padding_mask, n, keys, q.dtype)
    extra = 0
    if bias_k is not None:  # one learned key and value for all
        k, v = (_appended(x, b.reshape(1, num_heads, 1, head)) for x, b in ((k, bias_k), (v, bias_v)))
        extra += 1
    if add_zero_attn:  # one of zeros
        k, v = (_appended(x, Tensor(np.zeros((1, num_heads, 1, head), q.dtype), device=q.device)) for x in (k, v))
        extra += 1
    causal = is_causal and padding is None and not need_weights and not extra
    mask = None if causal else _added(attn_mask, padding, extra)
    p = dropout_p if training else 0.0
    if need_weights:
        scores = (q * (1 / math.sqrt(head))) @ k.mT  # (N, heads, L, S)
        weights = ops.softmax(scores if mask is None else scores + mask, -1)
        weights = ops.dropout(weights, p) if p > 0 else weights
        y = weights @ v
    else:
        weights, y = None, ops.scaled_dot_product_attention(q, k, v, mask, p, causal)
    y = y.permute(0, 2, 1, 3) if batch_first else y.permute(2, 0, 1, 3)
    y = ops.linear(y.flatten(2), out_proj_weight, out_proj_bias)
    if weights is not None and average_attn_weights:
        weights = weights.mean(1)
    if not batched:
        y, weights = y.squeeze(0 if batch_first else 1), None if weights is None else weights.squeeze(0)
    return y, weights


def _each(tensors: Any, f: Any) -> Any:
    """f of three tensors; those that are one tensor stay one."""
    done = {id(x): f(x) for x in tensors}
    return tuple(done[id(x)] for x in tensors)


def _check(tensors: Any, width: int, heads: int, batch_first: bool) -> bool:
    """Whether there is a batch dimension; complaints about shapes."""
    query, key, value = tensors
    name = "multi_head_attention_forward"
    shapes = ", ".join(str(tuple(x.shape)) for x in tensors)
    if {x.ndim for x in tensors} not in ({2}, {3}):
        raise ops.ShapeError(
            f"{name}: query, key and value must all be (length, batch, features) or all (length, features), got "
            f"{shapes}"
        )
    if query.shape[-1] != width:
        raise ops.ShapeError(f"{name}: the query has {query.shape[-1]} features, the layer was made for {width}")
    if heads <= 0 or width % heads:
        raise ops.ShapeError(f"{name}: {width} features do not divide into {heads} heads")
    batch = 0 if batch_first else 1
    batches = {x.shape[batch] for x in tensors} if query.ndim == 3 else {1}
    if tuple(key.shape[:-1]) != tuple(value.shape[:-1]) or len(batches) > 1:
        raise ops.ShapeError(
            f"{name}: query, key and value of shapes {shapes} do not fit: key and value have one length, all one batch"
        )
    return bool(query.ndim == 3)


def _projected(
    tensors: Any, packed: Any, separate: Weights | None, bias: Any, heads: int, batch_first: bool
) -> Weights:
    """Query, key and value after their linear maps, as (N, heads, length, E/heads)."""
    query, key, value = tensors
    # (N, L, parts, heads, E/heads) or (L, N, …) → (parts, N, heads, L, E/heads)
    order = (2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4)

    def mapped(x: Any, weight: Any, bias: Any, parts: int) -> Any:
        return ops.unbind(ops.linear(x, weight, bias).unflatten(-1, (parts, heads, -1)).permute(order))

    if separate is None and query is key is value:
        q, k, v = mapped(query, packed, bias, 3)
        return q, k, v
    wq, wk, wv = ops.split(packed, query.shape[-1]) if separate is None else separate
    bq, bk, bv = (None, None, None) if bias is None else ops.split(bias, query.shape[-1])
    if separate is None and key is value:
        width = query.shape[-1]
        (q,) = mapped(query, wq, bq, 1)
        k, v = mapped(key, packed[width:], None if bias is None else bias[width:], 2)
        return q, k, v
    ((q,), (k,), (v,)) = mapped(query, wq, bq, 1), mapped(key, wk, bk, 1), mapped(value, wv, bv, 1)
    return q, k, v


def _static(x: Any, q: Any) -> Any:
    n, heads, _, head = q.shape
    if x.ndim != 3 or x.shape[0] != n * heads or x.shape[2] != head:
        raise ops.ShapeError(
            f"multi_head_attention_forward: a static key or value must be {(n * heads, 'S', head)}, got "
            f"{tuple(x.shape)}"
        )
    return x.reshape(n, heads, -1, head)


def _appended(x: Any, last: Any) -> Any:
    """(N, heads, S, D) with one more entry along S."""
    return ops.cat([x, last.expand(x.shape[0], *last.shape[1:])], 2)


def _canonical(mask: Any, what: str, dtype: Any) -> Any:
    """A mask as something to add: a bool one says what is left out, as −inf."""
    if mask._array.dtype.kind not in "bf":
        raise RuntimeError(
            f"multi_head_attention_forward: {what} must be bool (True is left out) or float, got {mask.dtype}"
        )
    if mask._array.dtype.kind == "f":
        return mask.to(dtype)
    return ops.where(mask, Tensor._wrap(np.full((), -np.inf, dtype)), Tensor._wrap(np.zeros((), dtype)))


def _attention_mask(mask: Any, n: int, heads: int, rows: int, keys: int, dtype: Any) -> Any:
    """The mask (L, S) or (N·heads, L, S) as (1, 1, L, S) or (N, heads, L, S) to be added."""
    if mask is None:
        return None
    if tuple(mask.shape) not in ((rows, keys), (n * heads, rows, keys)):
        raise ops.ShapeError(
            f"multi_head_attention_forward: attn_mask has shape {tuple(mask.shape)}; it must be {(rows, keys)} or "
            f"{(n * heads, rows, keys)}"
        )
    mask = _canonical(mask, "attn_mask", dtype)
    return mask.reshape(1, 1, rows, keys) if mask.ndim == 2 else mask.reshape(n, heads, rows, keys)


def _padding_mask(mask: Any, n: int, keys: int, dtype: Any) -> Any:
    """The mask (N, S) as (N, 1, 1, S) to be added."""
    if mask is None:
        return None
    if tuple(mask.shape) != (n, keys):
        raise ops.ShapeError(
            f"multi_head_attention_forward: key_padding_mask has shape {tuple(mask.shape)}; it must be {(n, keys)}"
        )
    return _canonical(mask, "key_padding_mask", dtype).reshape(n, 1, 1, keys)


def _added(first: Any, second: Any, extra: int) -> Any:
    """Two masks as one; the keys that were appended are seen by all."""
    mask = second if first is None else first if second is None else first + second
    return mask if mask is None or not extra else ops.pad(mask, (0, extra))
