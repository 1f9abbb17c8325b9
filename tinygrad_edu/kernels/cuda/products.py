"""Products of matrices and linear layers. Signatures and meanings: `protocol.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import InputError, ShapeError
from .elementwise import TABLE as ELEMENTWISE
from .elementwise import copy
from .gpu import device
from .layout import broadcast_shape, copied, expanded, merged, named, reshaped, result_of, steps_of
from .reductions import sum

Array = Any
ACTIVATIONS = ["none", "relu", "sigmoid", "tanh", "gelu", "gelu_tanh", "silu"]  # numbered as in gemm.cu
FROM_INPUT = ("gelu", "gelu_tanh", "silu")  # their derivative is a function of their input
LADDER = {"tile16": (16, (16, 16)), "block64": (64, (256,)), "block128": (128, (256,))}  # block of C, threads
step = ["block128"]  # the highest one in use; `bench` compares them
# How exact products of float32 are, in PyTorch's words; and the format that tensor cores are given then.
precision = ["highest"]
FORMATS = {"high": "tf32", "medium": "bf16"}


def product(c: Array, a: Array, b: Array, *, bias: Array | None = None, before: Array | None = None,
            activation: str = "none") -> Array:  # fmt: skip
    """c (…, M, N), contiguous, = f(a·b + bias); the leading dimensions of a and b broadcast to c's."""
    gpu = device()
    (m, k), n = a.shape[-2:], b.shape[-1]
    parts = _parts(m, n, k) if c.ndim == 2 and bias is None and activation == "none" else 1
    if parts > 1:  # split along k, as a batch of products that are summed in order
        left, right = a.reshape(m, parts, k // parts).swapaxes(0, 1), b.reshape(parts, k // parts, n)
        return sum(product(gpu.empty((parts, m, n), c.dtype), left, right), (0,), False, out=c)
    batch, (a_batch, b_batch) = 1, (0, 0)
    if c.ndim > 2:
        lead = c.shape[:-2]
        a, b = expanded(a, (*lead, m, k)), expanded(b, (*lead, k, n))
        found = _batch(lead, a, b)
        if found is None:
            a, b = copied(gpu, a), copied(gpu, b)
            found = _batch(lead, a, b)
        assert found is not None
        batch, a_batch, b_batch = found
    if not c.size:
        return c
    (am, ak), (bk, bn) = (steps_of(x, x.shape)[-2:] for x in (a, b))
    layout = (m, n, k, am, ak, bk, bn, a_batch, b_batch, batch)
    how = _wide(c, a, b, bias, layout) if step[0] == "block128" else None
    name = "block64" if how is None and step[0] == "block128" else step[0]
    size, threads = LADDER[name]
    grid = (-(-n // size), -(-m // size), min(batch, 65535))
    if how is None:
        gpu.launch(named(f"gemm_{name}", c.dtype), grid, threads, c, before, a, b, bias, *layout,
                   ACTIVATIONS.index(activation))  # fmt: skip
        return c
    tensor_cores = step[0] == "block128" and gpu.gpu.capability >= 80
    family = FORMATS.get(precision[0], "block128") if tensor_cores else "block128"
    gpu.launch(f"gemm_{family}_{how}", grid, threads, c if before is None else before, a, b, bias, *layout[:-1])
    if activation != "none":
        form = (activation == "gelu_tanh",) if activation.startswith("gelu") else ()
        ELEMENTWISE[activation.removesuffix("_tanh")](c if before is None else before, *form, out=c)
    return c


def _parts(m: int, n: int, k: int) -> int:
    """Into how many a small result of long sums is split, so that there is work for the whole GPU; by shape alone."""
    blocks, parts = max(1, -(-m // 64) * -(-n // 64)), 1
    while k % (2 * parts) == 0 and k // (2 * parts) >= 256 and 2 * parts * blocks <= 256:
        parts *= 2
    return parts


def _wide(c: Array, a: Array, b: Array, bias: Array | None, layout: tuple[int, ...]) -> str | None:
    """How `gemm128.cu` takes the operands: "nn", "nt", "tn" or "tt"; None if they are not for it."""
    m, n, k, am, ak, bk, bn, a_batch, b_batch, batch = layout
    if c.dtype != np.float32 or min(m, n) < 128 or batch > 65535 or not k:
        return None
    if k % 8 or n % 4 or a_batch % 4 or b_batch % 4:
        return None
    if any(x is not None and x.data.ptr % 16 for x in (c, a, b, bias)):
        return None
    left = "n" if ak == 1 and am % 4 == 0 else "t" if am == 1 and ak % 4 == 0 and m % 4 == 0 else None
    right = "n" if bn == 1 and bk % 4 == 0 else "t" if bk == 1 and bn % 4 == 0 else None
    return None if left is None or right is None else left + right


def _batch(lead: tuple[int, ...], a: Array, b: Array) -> tuple[int, int, int] | None:
    """(products, step of a, step of b), if the leading dimensions are one in memory."""
    d = len(lead)
    sizes, steps = merged(lead, steps_of(a, a.shape)[:d], steps_of(b, b.shape)[:d])
    if len(sizes) > 1:
        return None
    return (sizes[0], steps[0][0], steps[1][0]) if sizes else (math.prod(lead), 0, 0)


def matmul(a: Array, b: Array, *, out: Array | None = None) -> Array:
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(f"matmul: shapes {a.shape} and {b.shape}: the inner sizes differ")
    lead = broadcast_shape("matmul", [a.shape[:-2], b.shape[:-2]])
    return _written("matmul", out, (*lead, a.shape[-2], b.shape[-1]), a.dtype, lambda c: product(c, a, b))


def _written(
    name: str, out: Array | None, shape: tuple[int, ...], dtype: Any, compute: Callable[[Array], Any]
) -> Array:
    """`out`, or a new array, after `compute` has filled it, or a contiguous one in its place."""
    result = result_of(name, device(), out, shape, dtype)
    if result.flags.c_contiguous:
        compute(result)
        return result
    fresh = device().empty(shape, dtype)
    compute(fresh)
    return copy(fresh, out=result)


def _layer(y: Array, x: Array, w: Array, b: Array | None, activation: str, before: Array | None) -> None:
    """y (…, O) = f(x·wᵀ + b)."""
    rows = math.prod(x.shape[:-1])
    bias = b if b is None or b.flags.c_contiguous else copied(device(), b)
    product(y.reshape(rows, w.shape[0]), reshaped(x, (rows, x.shape[-1])), w.T, bias=bias, activation=activation,
            before=None if before is None else before.reshape(rows, w.shape[0]))  # fmt: skip


def linear(x: Array, w: Array, b: Array | None, *, out: Array | None = None) -> Array:
    shape = (*x.shape[:-1], w.shape[0])
    return _written("linear", out, shape, x.dtype, lambda y: _layer(y, x, w, b, "none", None))


def linear_activation(x: Array, w: Array, b: Array | None, activation: str) -> tuple[Array, Array | None]:
    if activation not in ACTIVATIONS:
        raise InputError(f"linear_activation: activation is {activation!r}: it can be {', '.join(ACTIVATIONS)}")
    gpu, shape = device(), (*x.shape[:-1], w.shape[0])
    y = gpu.empty(shape, x.dtype)
    z = gpu.empty(shape, x.dtype) if activation in FROM_INPUT else None
    _layer(y, x, w, b, activation, z)
    return y, z


def linear_backward(
    g: Array, x: Array | None, w: Array | None, saved: Array | None, activation: str, bias: bool
) -> tuple[Array | None, Array | None, Array | None]:
    s = g
    if saved is not None and activation in ("gelu", "gelu_tanh"):
        s = ELEMENTWISE["gelu_backward"](g, saved, activation == "gelu_tanh")
    elif saved is not None and activation != "none":
        s = ELEMENTWISE[f"{activation}_backward"](g, saved)
    gpu = device()
    rows = reshaped(s, (math.prod(s.shape[:-1]), s.shape[-1]))  # (N, O)
    dx = dw = None
    if w is not None:
        dx = product(gpu.empty((rows.shape[0], w.shape[1]), g.dtype), rows, w).reshape(*s.shape[:-1], w.shape[1])
    if x is not None:
        inputs = reshaped(x, (rows.shape[0], x.shape[-1]))
        dw = product(gpu.empty((rows.shape[1], inputs.shape[1]), g.dtype), rows.T, inputs)
    return dx, dw, sum(rows, (0,), False) if bias else None


TABLE: dict[str, Callable[..., Any]] = {
    "matmul": matmul,
    "linear": linear,
    "linear_activation": linear_activation,
    "linear_backward": linear_backward,
}
