"""Attention. Signatures and meanings: `protocol.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .elementwise import full
from .gpu import device
from .layout import contiguous, named
from .products import product
from .reductions import threads_for

Array = Any
# For heads up to so wide there is a kernel with tiles in shared memory: (rows of its tiles, forward and backward)
FUSED = {("f", 4): {64: (64, 32), 128: (32, 16)}, ("f", 8): {64: (32, 16)}}


def _fused(q: Array, v: Array) -> tuple[str, int, int] | None:
    """(the width in the kernels' names, rows of a block forward, and backward) that serve these heads, if any do."""
    wanted = max(q.shape[2], v.shape[2])
    for width, tiles in FUSED[q.dtype.kind, q.dtype.itemsize].items():
        if wanted <= width:
            return str(width), *tiles
    return None


def _asked(q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float) -> tuple[Any, ...]:
    """The last parameters of each kernel."""
    heads = 1 if mask is None else len(q) // max(len(mask), 1)
    return float(scale), int(causal), q.shape[1], k.shape[1], heads, q.shape[2], v.shape[2]


def _flat(x: Array) -> Array:
    """Samples and heads as one dimension; x has one dimension more behind them than its rows."""
    return contiguous(x).reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def attention(q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float) -> tuple[Array, Array]:
    if q.ndim == 4:
        y, lse = attention(_flat(q), _flat(k), _flat(v), mask, causal, scale)
        return y.reshape(*q.shape[:2], *y.shape[1:]), lse.reshape(q.shape[:3])
    found = _fused(q, v)
    if found is None:
        return _wide(q, k, v, mask, causal, scale)
    gpu, (batch, rows, _) = device(), q.shape
    y, lse = gpu.empty((batch, rows, v.shape[2]), q.dtype), gpu.empty((batch, rows), q.dtype)
    if lse.size:
        width, tile, _ = found
        q, k, v, mask = (None if x is None else contiguous(x) for x in (q, k, v, mask))
        gpu.launch(named(f"attention{width}", q.dtype), (batch * -(-rows // tile),), (256,), y, lse, q, k, v, mask,
                   *_asked(q, k, v, mask, causal, scale))  # fmt: skip
    return y, lse


def attention_backward(
    g: Array, q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float, y: Array, lse: Array
) -> tuple[Array, Array, Array]:
    if q.ndim == 4:
        given = _flat(q), _flat(k), _flat(v), mask, causal, scale, _flat(y), _flat(lse)
        dq, dk, dv = attention_backward(_flat(g), *given)
        return dq.reshape(q.shape), dk.reshape(k.shape), dv.reshape(v.shape)
    found = _fused(q, v)
    if found is None:
        return _wide_backward(g, q, k, v, mask, causal, scale, y, lse)
    gpu, (batch, rows, _), keys = device(), q.shape, k.shape[1]
    dq, dk, dv = (gpu.empty(x.shape, x.dtype) for x in (q, k, v))
    delta, (width, _, tile) = gpu.empty(lse.shape, q.dtype), found
    g, q, k, v, y, lse = (contiguous(x) for x in (g, q, k, v, y, lse))
    mask = None if mask is None else contiguous(mask)
    asked = _asked(q, k, v, mask, causal, scale)
    if batch * rows:
        gpu.launch(named(f"attention_rows{width}", q.dtype), (batch * -(-rows // tile),), (256,), dq, delta, g, q, k, v,
                   mask, y, lse, *asked)  # fmt: skip
    if batch * keys:
        gpu.launch(named(f"attention_keys{width}", q.dtype), (batch * -(-keys // tile),), (256,), dk, dv, g, q, k, v,
                   mask, lse, delta, *asked)  # fmt: skip
    return dq, dk, dv


# -- wide heads: matrix products, and T × S weights between them -----------------------------------------------------
def _weights(q: Array, k: Array, mask: Array | None, causal: bool, scale: float) -> tuple[Array, Array]:
    """(P (B, T, S), L (B, T)) of `attention`."""
    gpu, (batch, rows, _), keys = device(), q.shape, k.shape[1]
    p = product(gpu.empty((batch, rows, keys), q.dtype), q, k.swapaxes(1, 2))
    if not p.size:
        return p, full((batch, rows), -math.inf, q.dtype)
    lse = gpu.empty((batch, rows), q.dtype)
    heads = 1 if mask is None else batch // len(mask)
    added = None if mask is None else contiguous(mask)
    gpu.launch(named("attention_weights", q.dtype), (batch * rows,), (threads_for(keys),), p, lse, added, float(scale),
               int(causal), batch, rows, keys, heads)  # fmt: skip
    return p, lse


def _wide(q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float) -> tuple[Array, Array]:
    p, lse = _weights(q, k, mask, causal, scale)
    return product(device().empty((*q.shape[:2], v.shape[2]), q.dtype), p, v), lse


def _wide_backward(
    g: Array, q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float, y: Array, lse: Array
) -> tuple[Array, Array, Array]:
    gpu, (batch, rows, width) = device(), g.shape
    p, _ = _weights(q, k, mask, causal, scale)
    ds = product(gpu.empty(p.shape, q.dtype), g, v.swapaxes(1, 2))
    if ds.size:
        gpu.launch(named("attention_slope", q.dtype), (batch * rows,), (threads_for(p.shape[2]),), ds, p, contiguous(g),
                   contiguous(y), float(scale), batch * rows, p.shape[2], width)  # fmt: skip
    dq = product(gpu.empty(q.shape, q.dtype), ds, k)
    dk = product(gpu.empty(k.shape, q.dtype), ds.swapaxes(1, 2), q)
    return dq, dk, product(gpu.empty(v.shape, q.dtype), p.swapaxes(1, 2), g)


TABLE: dict[str, Callable[..., Any]] = {"attention": attention, "attention_backward": attention_backward}
