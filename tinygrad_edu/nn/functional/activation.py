"""Activations and softmax.

`inplace` is PyTorch's: taken, and of no effect, since every result has memory of its own here.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

from ... import ops
from ...creation import arange, rand
from ...errors import InputError


def relu(input: Any, inplace: bool = False) -> Any:
    """max(x, 0); NaN stays NaN."""
    return ops.relu(input)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """x where x > 0, else negative_slope·x."""
    return ops.leaky_relu(input, negative_slope)


def sigmoid(input: Any) -> Any:
    """1/(1 + e⁻ˣ)."""
    return ops.sigmoid(input)


def tanh(input: Any) -> Any:
    """Hyperbolic tangent."""
    return ops.tanh(input)


def gelu(input: Any, approximate: str = "none") -> Any:
    """x·Φ(x); `approximate` "none" or "tanh". Hendrycks & Gimpel 2016."""
    return ops.gelu(input, approximate)


def silu(input: Any, inplace: bool = False) -> Any:
    """x·sigmoid(x)."""
    return ops.silu(input)


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """ln(1 + e^{beta·x})/beta; x itself where beta·x > threshold."""
    return ops.softplus(input, beta, threshold)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x where x > 0, else alpha·(eˣ − 1). Clevert et al. 2015."""
    return ops.elu(input, alpha)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """x limited to [min_val, max_val]; the gradient passes strictly inside."""
    if min_val > max_val:
        raise InputError(f"hardtanh: min_val {min_val} is greater than max_val {max_val}")
    return ops.where(input <= min_val, min_val, ops.where(input >= max_val, max_val, input))


def relu6(input: Any, inplace: bool = False) -> Any:
    """x limited to [0, 6]."""
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """The line (x + 3)/6 limited to [0, 1]."""
    return hardtanh(input + 3, 0.0, 6.0) / 6


def hardswish(input: Any, inplace: bool = False) -> Any:
    """x·hardsigmoid(x). Howard et al. 2019."""
    return ops.where(input <= -3, 0.0, ops.where(input >= 3, input, input * (input + 3) / 6))


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x where x > 0, else alpha·(e^{x/alpha} − 1). Barron 2017."""
    if alpha == 0:
        raise InputError("celu: alpha is 0; it must be another number")
    below = ops.elu(input / alpha) * alpha if alpha > 0 else alpha * (input / alpha).exp() - alpha
    return ops.where(input > 0, input, below)


def selu(input: Any, inplace: bool = False) -> Any:
    """λ·elu(x, α) with the constants that keep mean 0 and variance 1. Klambauer et al. 2017."""
    return ops.elu(input, 1.6732632423543772) * 1.0507009873554805


def mish(input: Any, inplace: bool = False) -> Any:
    """x·tanh(softplus(x)). Misra 2019."""
    return input * ops.tanh(ops.softplus(input))


def softsign(input: Any) -> Any:
    """x/(1 + |x|)."""
    return input / (1 + input.abs())


def logsigmoid(input: Any) -> Any:
    """ln sigmoid(x), accurate at both ends."""
    return -ops.softplus(-input, threshold=math.inf)


def prelu(input: Any, weight: Any) -> Any:
    """x where x > 0, else weight·x; one weight, or one for each channel (dimension 1). He et al. 2015."""
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.numel() not in (1, channels):
        raise ops.ShapeError(
            f"prelu: {weight.numel()} weights for an input of shape {tuple(input.shape)}; "
            f"give 1, or one for each of the {channels} channels"
        )
    slope = weight if weight.numel() == 1 else weight.reshape(-1, *[1] * (input.ndim - 2))
    return ops.where(input > 0, input, slope.reshape(()) * input if weight.numel() == 1 else slope * input)


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """x where x > threshold, else value."""
    return ops.where(input <= threshold, value, input)


def tanhshrink(input: Any) -> Any:
    """x − tanh x."""
    return input - ops.tanh(input)


def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """x moved towards 0 by lambd; 0 where |x| ≤ lambd."""
    if not lambd >= 0:
        raise InputError(f"softshrink: lambd is {lambd}; it must not be negative")
    return ops.where(input.abs() <= lambd, 0.0, input - ops.sign(input) * lambd)


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """x; 0 where |x| ≤ lambd."""
    return ops.where(input.abs() <= lambd, 0.0, input)


def glu(input: Any, dim: int = -1) -> Any:
    """a·sigmoid(b) for the two halves a, b of x along `dim`. Dauphin et al. 2017."""
    if input.ndim == 0 or input.shape[dim] % 2:
        raise ops.ShapeError(f"glu: dim {dim} of shape {tuple(input.shape)} does not divide into two halves")
    a, b = ops.split(input, max(input.shape[dim] // 2, 1), dim)[:2] if input.shape[dim] else (input, input)
    return a * ops.sigmoid(b)


def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """e⁻ˣ/Σe⁻ˣ along `dim`."""
    return softmax(-input, dim, dtype=dtype)


def gumbel_softmax(logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1, *,
                   generator: Any = None) -> Any:  # fmt: skip
    """A sample from softmax(logits), smoothed by temperature tau; `hard`: a unit vector with the smooth one's gradient.

    Adds Gumbel noise −ln(−ln u). Jang, Gu & Poole 2017. `eps` is PyTorch's and has no effect.
    """
    u = rand(logits.shape, dtype="float64", generator=generator, device=logits.device)
    noise = -(-((u + 2.0**-25).log())).log()  # u is a multiple of 2⁻²⁴: half of one keeps it off 0
    soft = ops.softmax((logits + noise.to(logits.dtype)) / tau, dim)
    if not hard:
        return soft
    place = soft.detach().argmax(dim, keepdim=True)
    size = [1] * soft.ndim
    size[dim] = soft.shape[dim]
    one = (place == arange(soft.shape[dim], device=soft.device).reshape(*size)).to(soft.dtype)
    return one - soft.detach() + soft


def _classes(input: Any, dim: int | None) -> int:
    """PyTorch's choice where no dimension is named: the classes of (C,), (N, C), (C, H, W) or (N, C, …)."""
    return (0 if input.ndim in (0, 1, 3) else 1) if dim is None else dim


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """eˣ/Σeˣ along `dim`."""
    return ops.softmax(input if dtype is None else input.to(dtype), _classes(input, dim))


def log_softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """ln softmax along `dim`."""
    return ops.log_softmax(input if dtype is None else input.to(dtype), _classes(input, dim))


def rrelu(input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
          ) -> Any:  # fmt: skip
    """x where x ≥ 0, else slope·x: slopes drawn from [lower, upper) in training, else their mean. Xu et al. 2015."""
    if not lower <= upper:
        raise InputError(f"rrelu: lower {lower} is greater than upper {upper}")
    slope: Any = (lower + upper) / 2
    if training:
        slope = rand(*input.shape, dtype=input.dtype) * (upper - lower) + lower
    return ops.where(input >= 0, input, input * slope)


def _in_place(function: Any) -> Any:
    """The function whose result takes the place of its input."""

    def changed(input: Any, *args: Any, **kwargs: Any) -> Any:
        return input._replace(changed.__name__, function(input._before_change(changed.__name__), *args, **kwargs))

    changed.__name__ = changed.__qualname__ = f"{function.__name__}_"
    changed.__doc__ = f"`{function.__name__}` in place."
    changed.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return changed


relu_, leaky_relu_, elu_, celu_, selu_ = (_in_place(f) for f in (relu, leaky_relu, elu, celu, selu))
hardtanh_, threshold_, rrelu_ = _in_place(hardtanh), _in_place(threshold), _in_place(rrelu)
