"""Activations and softmax.

`inplace` is PyTorch's: taken, and of no effect, since every result has memory of its own here.
"""

from __future__ import annotations

from typing import Any

from ... import ops


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


def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """eˣ/Σeˣ along `dim`."""
    return ops.softmax(input if dtype is None else input.to(dtype), dim)


def log_softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """ln softmax along `dim`."""
    return ops.log_softmax(input if dtype is None else input.to(dtype), dim)
