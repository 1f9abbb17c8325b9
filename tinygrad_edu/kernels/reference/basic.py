"""Memory, elementwise arithmetic, activations, reductions, softmax, losses, products, random numbers, optimisers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError, RangeError
from ..protocol import Array, Axes

name = "reference"
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)


def quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Infinities and NaN are values here, as they are in the compiled kernels: NumPy need not warn about them."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return wrapped


def into(out: Array | None, value: Any, dtype: Any = None) -> Array:
    """The result as an array of its own: written to `out` if there is one."""
    if out is not None:
        np.copyto(out, value, casting="unsafe")
        return out
    return np.asarray(value, dtype)


# -- memory --------------------------------------------------------------------------------------------------


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    return np.empty(shape, dtype)


def full(shape: tuple[int, ...], value: Any, dtype: Any) -> Array:
    return np.full(shape, value, dtype)


def copy(x: Array, *, out: Array | None = None) -> Array:
    return x.copy() if out is None else into(out, x)


@quiet
def cast(x: Array, dtype: Any) -> Array:
    return x.astype(dtype, order="C")


# -- elementwise ---------------------------------------------------------------------------------------------


def elementwise(ufunc: Any) -> Callable[..., Array]:
    """A NumPy function that computes in, and returns, the dtype it was given."""

    @quiet
    def kernel(*arrays: Array, out: Array | None = None) -> Array:
        return np.asarray(ufunc(*arrays, out=out, order="C"))

    return kernel


add, sub, mul, div = (elementwise(f) for f in (np.add, np.subtract, np.multiply, np.divide))
maximum, minimum = (elementwise(f) for f in (np.maximum, np.minimum))
eq, ne, lt = (elementwise(f) for f in (np.equal, np.not_equal, np.less))
le, gt, ge = (elementwise(f) for f in (np.less_equal, np.greater, np.greater_equal))
neg, abs, sign = (elementwise(f) for f in (np.negative, np.absolute, np.sign))
exp, log, log1p, sqrt, sin, cos = (elementwise(f) for f in (np.exp, np.log, np.log1p, np.sqrt, np.sin, np.cos))
tanh = elementwise(np.tanh)


_power = elementwise(np.power)


def pow(a: Array, b: Array, *, out: Array | None = None) -> Array:
    if a.dtype.kind != "i" or not (b < 0).any():
        return _power(a, b, out=out)
    negative = b < 0  # the fraction 1/a⁻ᵇ, rounded to zero: 0, but for a = ±1
    unit = np.where(np.equal(a, 1) | np.equal(a, -1), a, 0)
    return _power(np.where(negative, unit, a), np.where(negative, b % 2 + 2 * (b % 2 == 0), b), out=out)


def where(condition: Array, a: Array, b: Array, *, out: Array | None = None) -> Array:
    return into(out, np.where(condition, a, b))


# -- activations ---------------------------------------------------------------------------------------------


def relu(x: Array, *, out: Array | None = None) -> Array:
    return np.asarray(np.maximum(x, x.dtype.type(0), out=out))  # NaN wins in np.maximum


def relu_backward(g: Array, y: Array, *, out: Array | None = None) -> Array:
    return into(out, np.where(y > 0, g, 0), g.dtype)


@quiet
def leaky_relu(x: Array, slope: float, *, out: Array | None = None) -> Array:
    return into(out, np.where(x > 0, x, x * slope), x.dtype)


@quiet
def leaky_relu_backward(g: Array, x: Array, slope: float, *, out: Array | None = None) -> Array:
    return into(out, np.where(x > 0, g, g * slope), g.dtype)


@quiet
def sigmoid(x: Array, *, out: Array | None = None) -> Array:
    z = np.exp(-np.abs(x))  # never overflows
    return into(out, np.where(x >= 0, 1 / (1 + z), z / (1 + z)), x.dtype)


@quiet
def sigmoid_backward(g: Array, y: Array, *, out: Array | None = None) -> Array:
    return into(out, g * y * (1 - y), g.dtype)


@quiet
def tanh_backward(g: Array, y: Array, *, out: Array | None = None) -> Array:
    return into(out, g * (1 - y * y), g.dtype)


def erf(x: Array, *, out: Array | None = None) -> Array:
    return into(out, np.vectorize(math.erf, otypes=[np.float64])(x) if x.size else x, x.dtype)


def erfc(x: Array, *, out: Array | None = None) -> Array:
    return into(out, np.vectorize(math.erfc, otypes=[np.float64])(x) if x.size else x, x.dtype)


@quiet
def gelu(x: Array, tanh_form: bool, *, out: Array | None = None) -> Array:
    # Φ(x) = erfc(−x/√2)/2 keeps its digits where x is very negative; 1 + erf(x/√2) would cancel there.
    phi = 0.5 * (1 + np.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x**3))) if tanh_form else 0.5 * erfc(-x / math.sqrt(2))
    return into(out, np.where(phi == 0, 0 * phi, x * phi), x.dtype)  # −inf · 0 is 0 here: the limit


@quiet
def gelu_backward(g: Array, x: Array, tanh_form: bool, *, out: Array | None = None) -> Array:
    if tanh_form:
        t = np.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x**3))
        slope = SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x * x)
        phi, density = 0.5 * (1 + t), 0.5 * (1 - t * t) * slope
    else:
        phi, density = 0.5 * erfc(-x / math.sqrt(2)), np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    tail = np.where(np.isinf(x), 0, x * density)
    return into(out, g * (phi + tail), g.dtype)


@quiet
def silu(x: Array, *, out: Array | None = None) -> Array:
    return into(out, np.where(x == -np.inf, 0, x * sigmoid(x)), x.dtype)


@quiet
def silu_backward(g: Array, x: Array, *, out: Array | None = None) -> Array:
    s = sigmoid(x)
    return into(out, g * (s + np.where(np.isinf(x), 0, x * s * (1 - s))), g.dtype)


@quiet
def softplus(x: Array, beta: float, threshold: float, *, out: Array | None = None) -> Array:
    z = x * beta
    soft = (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / beta
    return into(out, np.where(z > threshold, x, soft), x.dtype)


@quiet
def softplus_backward(g: Array, x: Array, beta: float, threshold: float, *, out: Array | None = None) -> Array:
    z = x * beta
    return into(out, np.where(z > threshold, g, g * sigmoid(z)), g.dtype)


@quiet
def elu(x: Array, alpha: float, *, out: Array | None = None) -> Array:
    return into(out, np.where(x > 0, x, alpha * np.expm1(x)), x.dtype)


@quiet
def elu_backward(g: Array, x: Array, alpha: float, *, out: Array | None = None) -> Array:
    return into(out, np.where(x > 0, g, g * alpha * np.exp(x)), g.dtype)


# -- reductions ----------------------------------------------------------------------------------------------


@quiet
def sum(x: Array, axes: Axes, keepdims: bool, *, out: Array | None = None) -> Array:
    # float64 inside: at least as good as pairwise float32, whatever the memory order
    total = np.sum(x, axis=axes, keepdims=keepdims, dtype=np.float64 if x.dtype.kind == "f" else np.int64)
    return into(out, total, x.dtype if x.dtype.kind == "f" else np.int64)


def amax(x: Array, axes: Axes, keepdims: bool, *, out: Array | None = None) -> Array:
    return into(out, np.max(x, axis=axes, keepdims=keepdims), x.dtype)


def amin(x: Array, axes: Axes, keepdims: bool, *, out: Array | None = None) -> Array:
    return into(out, np.min(x, axis=axes, keepdims=keepdims), x.dtype)


def argmax(x: Array, axis: int, keepdims: bool) -> Array:
    return np.asarray(np.argmax(x, axis=axis, keepdims=keepdims), np.int64)


def argmin(x: Array, axis: int, keepdims: bool) -> Array:
    return np.asarray(np.argmin(x, axis=axis, keepdims=keepdims), np.int64)


# -- softmax family ------------------------------------------------------------------------------------------


@quiet
def softmax(x: Array, axis: int, *, out: Array | None = None) -> Array:
    if x.size == 0:
        return into(out, x.copy(), x.dtype)
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return into(out, e / np.sum(e, axis=axis, keepdims=True), x.dtype)


@quiet
def softmax_backward(g: Array, y: Array, axis: int, *, out: Array | None = None) -> Array:
    return into(out, y * (g - np.sum(g * y, axis=axis, keepdims=True)), g.dtype)


@quiet
def log_softmax(x: Array, axis: int, *, out: Array | None = None) -> Array:
    if x.size == 0:
        return into(out, x.copy(), x.dtype)
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return into(out, shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)), x.dtype)


@quiet
def log_softmax_backward(g: Array, y: Array, axis: int, *, out: Array | None = None) -> Array:
    return into(out, g - np.exp(y) * np.sum(g, axis=axis, keepdims=True), g.dtype)


# -- losses --------------------------------------------------------------------------------------------------


def checked_classes(target: Array, classes: int, ignore_index: int) -> Array:
    """Which rows count; IndexError for a class that does not exist."""
    counts = target != ignore_index
    wrong = counts & ((target < 0) | (target >= classes))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise RangeError(
            f"cross_entropy: target[{row}] is {int(target[row])}, but the logits have {classes} classes: "
            f"targets must lie in [0, {classes - 1}]" + (f" or be ignore_index {ignore_index}")
        )
    return counts


@quiet
def cross_entropy(
    x: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float, reduction: str
) -> tuple[Array, Array, float]:
    n, classes = x.shape
    counts = checked_classes(target, classes, ignore_index)
    if n == 0:
        zero = np.full((), np.nan if reduction == "mean" else 0, x.dtype)
        return (np.zeros(0, x.dtype) if reduction == "none" else zero), np.zeros(0, x.dtype), 0.0
    rows, t = np.arange(n), np.where(counts, target, 0)
    w = np.ones(classes, x.dtype) if weight is None else weight
    top = x.max(axis=1)
    e = np.exp(x - top[:, None])
    lse = top + np.log(e.sum(axis=1))
    others = e.copy()
    others[rows, t] = 0
    near = np.where(x[rows, t] == top, np.log1p(others.sum(axis=1)), lse - x[rows, t])
    loss = w[t] * near
    if smoothing:
        loss = (1 - smoothing) * loss + smoothing / classes * (w * (lse[:, None] - x)).sum(axis=1)
    loss = np.where(counts, loss, 0)
    total = float(np.where(counts, w[t], 0).sum())
    if reduction == "none":
        return loss.astype(x.dtype), lse.astype(x.dtype), total
    summed = loss.sum(dtype=np.float64)
    return np.asarray(summed / total if reduction == "mean" else summed, x.dtype), lse.astype(x.dtype), total


@quiet
def cross_entropy_backward(
    g: Array,
    x: Array,
    target: Array,
    lse: Array,
    weight: Array | None,
    ignore_index: int,
    smoothing: float,
    reduction: str,
    total: float,
) -> Array:
    n, classes = x.shape
    counts = checked_classes(target, classes, ignore_index)
    rows, t = np.arange(n), np.where(counts, target, 0)
    w = np.ones(classes, x.dtype) if weight is None else weight
    scale = np.where(counts, np.broadcast_to(g, (n,)), 0)
    if reduction == "mean":
        scale = scale / np.float64(total)
    # Row loss = Σ_c q_c·(L − x_c) with q the (smoothed, weighted) target, so d/dx_c = (Σq)·softmax_c − q_c.
    q = np.zeros((n, classes), np.float64) + smoothing / classes * w
    q[rows, t] += (1 - smoothing) * w[t]
    dx = q.sum(axis=1, keepdims=True) * np.exp(x - lse[:, None]) - q
    return np.where(counts[:, None], dx * scale[:, None], 0).astype(x.dtype)


@quiet
def mse(x: Array, y: Array, reduction: str) -> Array:
    squares = np.square(x - y)
    if reduction == "none":
        return np.asarray(squares, x.dtype)
    total = squares.sum(dtype=np.float64)
    return np.asarray(total / x.size if reduction == "mean" else total, x.dtype)


@quiet
def mse_backward(g: Array, x: Array, y: Array, reduction: str) -> Array:
    return np.asarray(g * (2 / x.size if reduction == "mean" and x.size else 2) * (x - y), x.dtype)


# -- matrix products -----------------------------------------------------------------------------------------


@quiet
def matmul(a: Array, b: Array, *, out: Array | None = None) -> Array:
    return into(out, np.matmul(a, b), a.dtype)


@quiet
def linear(x: Array, w: Array, b: Array | None, *, out: Array | None = None) -> Array:
    y = np.matmul(x, w.T)
    return into(out, y if b is None else y + b, x.dtype)


def activated(z: Array, activation: str) -> Array:
    """f(z) of `linear_activation`."""
    if activation in ("gelu", "gelu_tanh"):
        return gelu(z, activation == "gelu_tanh")
    functions: dict[str, Callable[[Array], Array]] = {
        "none": np.asarray,
        "relu": relu,
        "sigmoid": sigmoid,
        "tanh": tanh,
        "silu": silu,
    }
    if activation not in functions:
        raise ValueError(f"activation is {activation!r}: it can be {', '.join([*functions, 'gelu', 'gelu_tanh'])}")
    return np.asarray(functions[activation](z))


def linear_activation(x: Array, w: Array, b: Array | None, activation: str) -> tuple[Array, Array | None]:
    z = linear(x, w, b)
    return activated(z, activation), z if activation in ("gelu", "gelu_tanh", "silu") else None


@quiet
def linear_backward(
    g: Array, x: Array | None, w: Array | None, saved: Array | None, activation: str, bias: bool
) -> tuple[Array | None, Array | None, Array | None]:
    s = g
    if saved is not None and activation in ("gelu", "gelu_tanh"):
        s = gelu_backward(g, saved, activation == "gelu_tanh")
    elif saved is not None and activation != "none":
        slopes = {"relu": relu_backward, "sigmoid": sigmoid_backward, "tanh": tanh_backward, "silu": silu_backward}
        if not isinstance(activation, str) or activation not in slopes:
            known = ", ".join(["none", "gelu", "gelu_tanh", *slopes])
            raise InputError(f"linear_backward: activation is {activation!r}; it can be {known}")
        s = slopes[activation](g, saved)
    rows = s.reshape(math.prod(s.shape[:-1]), s.shape[-1])
    dx = None if w is None else np.matmul(s, w)
    dw = None if x is None else np.matmul(rows.T, x.reshape(len(rows), x.shape[-1]))
    return dx, dw, np.asarray(np.sum(rows, 0), g.dtype) if bias else None


# -- indexing ------------------------------------------------------------------------------------------------


def index_add(target: Array, index: Any, values: Array) -> None:
    np.add.at(target, index, values)


# -- random numbers ------------------------------------------------------------------------------------------


def philox(n: int, seed: int, stream: int, offset: int) -> Array:
    blocks = np.arange((n + 3) // 4, dtype=np.uint64) + np.uint64(offset)
    low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1 = blocks & low, blocks >> high
    c2, c3 = np.full_like(blocks, stream & 0xFFFFFFFF), np.zeros_like(blocks)
    k0, k1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (p1 >> high) ^ c1 ^ np.uint64(k0), p1 & low, (p0 >> high) ^ c3 ^ np.uint64(k1), p0 & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).reshape(-1)[:n].astype(np.uint32)


def uniform(shape: tuple[int, ...], low: float, high: float, dtype: Any, seed: int, stream: int, offset: int) -> Array:
    u = (philox(math.prod(shape), seed, stream, offset) >> np.uint32(8)) * 2.0**-24
    return (low + (high - low) * u).astype(dtype).reshape(shape)


def normal(shape: tuple[int, ...], mean: float, std: float, dtype: Any, seed: int, stream: int, offset: int) -> Array:
    n = math.prod(shape)
    words = philox(n + n % 2, seed, stream, offset).astype(np.float64)
    radius = np.sqrt(-2 * np.log((words[0::2] + 1) * 2.0**-32))
    angle = 2 * math.pi * (words[1::2] * 2.0**-32)
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:n]
    return (mean + std * z).astype(dtype).reshape(shape)


@quiet
def dropout(x: Array, p: float, seed: int, stream: int, offset: int, *, out: Array | None = None) -> Array:
    keep = uniform(x.shape, 0.0, 1.0, np.float64, seed, stream, offset) >= p
    return into(out, np.where(keep, x * x.dtype.type(1 / (1 - p) if p < 1 else 0), 0), x.dtype)


# -- optimisers ----------------------------------------------------------------------------------------------


@quiet
def sgd(
    params: Sequence[Array],
    grads: Sequence[Array],
    momenta: Sequence[Array] | None,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first: bool,
) -> None:
    for i, (p, grad) in enumerate(zip(params, grads, strict=True)):
        g = -grad if maximize else grad
        if weight_decay:
            g = g + weight_decay * p
        if momenta is not None:
            m = momenta[i]
            m[...] = g if first else momentum * m + (1 - dampening) * g
            g = g + momentum * m if nesterov else m
        p -= lr * g


@quiet
def adam(
    params: Sequence[Array],
    grads: Sequence[Array],
    exp_avgs: Sequence[Array],
    exp_avg_sqs: Sequence[Array],
    max_exp_avg_sqs: Sequence[Array] | None,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
    decoupled: bool,
    maximize: bool,
) -> None:
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    for i, (p, grad, m, v) in enumerate(zip(params, grads, exp_avgs, exp_avg_sqs, strict=True)):
        g = -grad if maximize else grad
        if weight_decay and decoupled:
            p *= 1 - lr * weight_decay
        elif weight_decay:
            g = g + weight_decay * p
        m[...] = beta1 * m + (1 - beta1) * g
        v[...] = beta2 * v + (1 - beta2) * g * g
        if max_exp_avg_sqs is not None:
            v = np.maximum(max_exp_avg_sqs[i], v, out=max_exp_avg_sqs[i])
        p -= lr / correction1 * m / (np.sqrt(v) / math.sqrt(correction2) + eps)
