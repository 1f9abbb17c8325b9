"""Products of matrices and linear layers. Signatures and meanings: `protocol.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...errors import InputError, ShapeError
from .elementwise import TABLE as ELEMENTWISE
from .elementwise import copy
from .gpu import device
from .layout import broadcast_shape, copied, expanded, merged, named, reshaped, result_of, steps_of
from .reductions import sum

Array = Any
ACTIVATIONS = ["none", "relu", "sigmoid", "tanh", "gelu", "gelu_tanh", "silu"]  # numbered as in gemm.cu
FROM_INPUT = ("gelu", "gelu_tanh", "silu")  # their derivative is a function of their input
LADDER = {"tile16": (16, (16, 16)), "block64": (64, (256,))}  # block of C in both directions, threads
step = ["block64"]  # the one in use; `bench` compares them


def product(c: Array, a: Array, b: Array, *, bias: Array | None = None, before: Array | None = None,
            activation: str = "none") -> Array:  # fmt: skip
    """c (…, M, N), contiguous, = f(a·b + bias); the leading dimensions of a and b broadcast to c's."""
    gpu = device()
    (m, k), n = a.shape[-2:], b.shape[-1]
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
    size, threads = LADDER[step[0]]
    grid = (-(-n // size), -(-m // size), min(batch, 65535))
    gpu.launch(named(f"gemm_{step[0]}", c.dtype), grid, threads, c, before, a, b, bias, m, n, k, am, ak, bk, bn,
               a_batch, b_batch, batch, ACTIVATIONS.index(activation))  # fmt: skip
    return c


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
