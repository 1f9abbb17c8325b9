"""Activations, softmax and dropout: each a kernel forward, a kernel backward, and the derivative as mathematics."""

from __future__ import annotations

import math
from typing import Any

from ..autograd import Operation
from ..autograd.variable import Variable
from ..errors import InputError, KindError
from ..kernels import K, beside
from ..random import DROPOUT, Generator, default_generator
from ._common import floating, normalized_dim, own_result
from .elementwise import erf, exp, minimum, where


class Relu(Operation):
    """y = max(x, 0);  dx = g where y > 0."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = K.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Kinked.apply(g, ctx.saved_tensors[0], 0.0)

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return K.relu_backward(g, ctx.saved_arrays[0])


class Kinked(Operation):
    """dx = g where x > 0, else slope·g: straight on both sides of 0, so that it has a derivative in x, and it is 0."""

    @staticmethod
    def forward(ctx: Any, g: Any, x: Any, slope: float) -> Any:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return K.leaky_relu_backward(g, x, slope) if slope else K.relu_backward(g, x)

    @staticmethod
    def backward(ctx: Any, gg: Any) -> Any:
        (x,) = ctx.saved_tensors
        return Kinked.apply(gg, x, ctx.slope), Variable.wrap(beside(gg._array).full(x.shape, 0, gg.dtype)), None


class LeakyRelu(Operation):
    """y = x where x > 0, else slope·x;  dx = g, or slope·g."""

    @staticmethod
    def forward(ctx: Any, x: Any, slope: float) -> Any:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return K.leaky_relu(x, slope)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Kinked.apply(g, ctx.saved_tensors[0], ctx.slope), None

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return K.leaky_relu_backward(g, ctx.saved_arrays[0], ctx.slope), None


class Sigmoid(Operation):
    """y = 1/(1 + e⁻ˣ);  dx = g·y·(1 − y)."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = K.sigmoid(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * y * (1 - y)

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return K.sigmoid_backward(g, ctx.saved_arrays[0])


class Tanh(Operation):
    """y = tanh x;  dx = g·(1 − y²)."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = K.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * (1 - y * y)

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return K.tanh_backward(g, ctx.saved_arrays[0])


class Gelu(Operation):
    """y = x·Φ(x);  dx = g·(Φ(x) + x·φ(x)), or the same for its tanh approximation."""

    @staticmethod
    def forward(ctx: Any, x: Any, tanh_form: bool) -> Any:
        ctx.save_for_backward(x)
        ctx.tanh_form = tanh_form
        return K.gelu(x, tanh_form)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        if ctx.tanh_form:
            c = math.sqrt(2 / math.pi)
            t = tanh(c * (x + 0.044715 * x * x * x))
            phi, density = 0.5 * (1 + t), 0.5 * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)
        else:
            phi, density = 0.5 * (1 + erf(x / math.sqrt(2))), exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        return g * (phi + x * density), None

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return K.gelu_backward(g, ctx.saved_arrays[0], ctx.tanh_form), None


class Silu(Operation):
    """y = x·s with s = sigmoid(x);  dx = g·s·(1 + x·(1 − s))."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return K.silu(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        s = sigmoid(x)
        return g * s * (1 + x * (1 - s))

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return K.silu_backward(g, ctx.saved_arrays[0])


class Softplus(Operation):
    """y = ln(1 + e^{βx})/β, x itself beyond the threshold;  dx = g·sigmoid(βx), or g."""

    @staticmethod
    def forward(ctx: Any, x: Any, beta: float, threshold: float) -> Any:
        ctx.save_for_backward(x)
        ctx.constants = beta, threshold
        return K.softplus(x, beta, threshold)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        beta, threshold = ctx.constants
        z = ctx.saved_tensors[0] * beta
        return where(z > threshold, g, g * sigmoid(z)), None, None

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return K.softplus_backward(g, ctx.saved_arrays[0], *ctx.constants), None, None


class Elu(Operation):
    """y = x where x > 0, else α·(eˣ − 1);  dx = g, or g·α·eˣ."""

    @staticmethod
    def forward(ctx: Any, x: Any, alpha: float) -> Any:
        ctx.save_for_backward(x)
        ctx.alpha = alpha
        return K.elu(x, alpha)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return where(x > 0, g, g * ctx.alpha * exp(minimum(x, 0.0))), None  # no eˣ of a large x: its inf · 0 is NaN

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return K.elu_backward(g, ctx.saved_arrays[0], ctx.alpha), None


class Softmax(Operation):
    """y = eˣ/Σeˣ;  dx = y·(g − Σ g·y)."""

    @staticmethod
    def forward(ctx: Any, x: Any, dim: int) -> Any:
        y = K.softmax(x, dim)
        ctx.save_for_backward(y)
        ctx.dim = dim
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return y * (g - (g * y).sum(ctx.dim, keepdim=True)), None

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return K.softmax_backward(g, ctx.saved_arrays[0], ctx.dim), None


class LogSoftmax(Operation):
    """y = x − ln Σeˣ;  dx = g − eʸ·Σg."""

    @staticmethod
    def forward(ctx: Any, x: Any, dim: int) -> Any:
        y = K.log_softmax(x, dim)
        ctx.save_for_backward(y)
        ctx.dim = dim
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g - exp(y) * g.sum(ctx.dim, keepdim=True), None

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return K.log_softmax_backward(g, ctx.saved_arrays[0], ctx.dim), None


class Dropout(Operation):
    """y = x·mask/(1 − p);  dx = g·mask/(1 − p), the mask computed again from the same random words."""

    @staticmethod
    def forward(ctx: Any, x: Any, p: float, seed: int, offset: int) -> Any:
        ctx.constants = p, seed, offset
        return K.dropout(x, p, seed, DROPOUT, offset)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Dropout.apply(g, *ctx.constants), None, None, None

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        p, seed, offset = ctx.constants
        return K.dropout(g, p, seed, DROPOUT, offset), None, None, None


def relu(input: Any) -> Any:
    """max(x, 0); NaN stays NaN."""
    if input.dtype.kind == "b":
        raise KindError("relu: a boolean has no sign; convert it: x.float()")
    return Relu.apply(input)


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Any:
    """x where x > 0, else negative_slope·x."""
    return LeakyRelu.apply(floating(input), float(negative_slope))


def sigmoid(input: Any) -> Any:
    """1/(1 + e⁻ˣ)."""
    return Sigmoid.apply(floating(input))


def tanh(input: Any) -> Any:
    """Hyperbolic tangent."""
    return Tanh.apply(floating(input))


def gelu(input: Any, approximate: str = "none") -> Any:
    """x·Φ(x), Φ the normal distribution function; `approximate` "none" or "tanh". Hendrycks & Gimpel 2016."""
    if approximate not in ("none", "tanh"):
        raise InputError(f'gelu: approximate is "{approximate}"; it can be "none" or "tanh"')
    return Gelu.apply(floating(input), approximate == "tanh")


def silu(input: Any) -> Any:
    """x·sigmoid(x)."""
    return Silu.apply(floating(input))


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """ln(1 + e^{beta·x})/beta; x itself where beta·x > threshold."""
    return Softplus.apply(floating(input), float(beta), float(threshold))


def elu(input: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, else alpha·(eˣ − 1). Clevert et al. 2015."""
    return Elu.apply(floating(input), float(alpha))


def softmax(input: Any, dim: int) -> Any:
    """eˣ/Σeˣ along `dim`."""
    input = floating(input)
    if input.ndim == 0:
        return own_result(softmax(input.reshape(1), dim).reshape(()))
    return Softmax.apply(input, normalized_dim(dim, input.ndim, "softmax"))


def log_softmax(input: Any, dim: int) -> Any:
    """ln softmax along `dim`, computed without leaving the logarithm."""
    input = floating(input)
    if input.ndim == 0:
        return own_result(log_softmax(input.reshape(1), dim).reshape(()))
    return LogSoftmax.apply(input, normalized_dim(dim, input.ndim, "log_softmax"))


def dropout(input: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Any:
    """In training, zero each entry with probability p and scale the rest by 1/(1 − p). Srivastava et al. 2014."""
    if not 0 <= p <= 1:
        raise InputError(f"dropout: p is {p}; a probability lies in [0, 1]")
    if not training or p == 0:
        return input
    generator = default_generator if generator is None else generator
    return Dropout.apply(floating(input), float(p), generator.seed, generator.reserve("dropout", input.numel()))
