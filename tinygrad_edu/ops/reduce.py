"""Reductions: sums, means, extrema and what follows from them."""

from __future__ import annotations

import math
from typing import Any

from ..autograd import Operation, Variable
from ..errors import KindError, RangeError
from ..kernels import K
from ._common import ShapeError, category, floating, normalized_dim, normalized_dims
from .elementwise import exp, log, sqrt, where


class Sum(Operation):
    """Σ over axes;  dx = g, repeated along them."""

    @staticmethod
    def forward(ctx: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        ctx.shape = x.shape
        ctx.kept = tuple([1 if i in axes else n for i, n in enumerate(x.shape)])
        return K.sum(x, axes, keepdims)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g.reshape(ctx.kept).expand(ctx.shape), None, None

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return K.copy(g.reshape(ctx.kept), out=K.empty(ctx.shape, g.dtype)), None, None


class Extreme(Operation):
    """y = max or min over axes;  g shared equally among the entries that equal y."""

    kernel: Any = None

    @classmethod
    def forward(cls, ctx: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        y = cls.kernel(x, axes, keepdims)
        ctx.axes = axes
        ctx.kept = tuple([1 if i in axes else n for i, n in enumerate(x.shape)])
        ctx.save_for_backward(x, y)
        return y

    @classmethod
    def backward(cls, ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        hit = (x == y.detach().reshape(ctx.kept)).to(g.dtype)
        share = hit / hit.sum(ctx.axes, keepdim=True) if ctx.axes else hit
        return g.reshape(ctx.kept) * share, None, None


class AMax(Extreme):
    """The largest."""

    kernel = staticmethod(lambda x, axes, keepdims: K.amax(x, axes, keepdims))


class AMin(Extreme):
    """The smallest."""

    kernel = staticmethod(lambda x, axes, keepdims: K.amin(x, axes, keepdims))


def sum(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Sum over `dim` (one, several, or all). Integers and booleans are summed in int64."""
    x = x if dtype is None else x.to(dtype)
    return Sum.apply(x, normalized_dims(dim, x.ndim, "sum"), keepdim)


def mean(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Mean over `dim` (one, several, or all); floats only. The mean of nothing is NaN."""
    if category(x.dtype) < 2:
        raise KindError(f"mean: {x.dtype} has no fractions; convert first: x.float().mean()")
    axes = normalized_dims(dim, x.ndim, "mean")
    n = math.prod(x.shape[i] for i in axes)
    return Sum.apply(x, axes, keepdim) / float(n)


def var(x: Any, dim: Any = None, correction: float = 1, keepdim: bool = False) -> Any:
    """Variance over `dim`, two-pass: Σ(x − mean)² / (n − correction)."""
    x = floating(x)
    axes = normalized_dims(dim, x.ndim, "var")
    n = math.prod(x.shape[i] for i in axes)
    deviation = x - mean(x, axes, True) if axes else x - x
    return Sum.apply(deviation * deviation, axes, keepdim) / max(float(n - correction), 0.0)


def std(x: Any, dim: Any = None, correction: float = 1, keepdim: bool = False) -> Any:
    """Standard deviation over `dim`: √var."""
    return sqrt(var(x, dim, correction, keepdim))


def _extreme(operation: type[Operation], x: Any, dim: Any, keepdim: bool, name: str) -> Any:
    axes = normalized_dims(dim, x.ndim, name)
    if any(x.shape[i] == 0 for i in axes):
        raise RangeError(f"{name}: shape {tuple(x.shape)} has no entry along dim {axes} to choose from")
    return operation.apply(x, axes, keepdim)


def amax(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Maximum over `dim`; a gradient is shared equally among ties."""
    return _extreme(AMax, x, dim, keepdim, "amax")


def amin(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Minimum over `dim`; a gradient is shared equally among ties."""
    return _extreme(AMin, x, dim, keepdim, "amin")


def _arg(kernel: Any, x: Any, dim: int | None, keepdim: bool, name: str) -> Any:
    if x.numel() == 0:
        raise RangeError(f"{name}: a tensor of shape {tuple(x.shape)} has no entries to choose from")
    if x.ndim == 0 or dim is None:
        found = kernel(x.detach().reshape(-1)._array, 0, False)
        return Variable.wrap(found.reshape((1,) * x.ndim) if keepdim else found)
    return Variable.wrap(kernel(x._array, normalized_dim(dim, x.ndim, name), keepdim))


def argmax(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Position (int64) of the first maximum along `dim`, or in the flattened tensor."""
    return _arg(K.argmax, x, dim, keepdim, "argmax")


def argmin(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Position (int64) of the first minimum along `dim`, or in the flattened tensor."""
    return _arg(K.argmin, x, dim, keepdim, "argmin")


def logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    """ln Σeˣ over `dim`, shifted by the maximum so that nothing overflows."""
    x = floating(x)
    axes = normalized_dims(dim, x.ndim, "logsumexp")
    top = amax(x.detach(), axes, True) if axes else x.detach()
    top = where(top.abs() == math.inf, 0.0, top)  # inf − inf would be NaN
    result = log(sum(exp(x - top), axes, True)) + top
    return result if keepdim else result.reshape([n for i, n in enumerate(x.shape) if i not in axes])


def norm(x: Any, p: float = 2, dim: Any = None, keepdim: bool = False) -> Any:
    """p-norm over `dim`: (Σ|x|ᵖ)^{1/p}, or the largest |x| for p = inf. Its gradient at 0 is 0."""
    x = floating(x)
    if p == math.inf:
        return amax(x.abs(), dim, keepdim)
    if p == 1:
        return sum(x.abs(), dim, keepdim)
    if not p > 0:
        raise ShapeError(f"norm: p is {p}; it must be positive")
    total = sum(x * x if p == 2 else x.abs() ** p, dim, keepdim)
    zero = total == 0  # the root has no derivative there; 0, the middle of its subgradients, stands in
    safe = where(zero, 1.0, total)
    return where(zero, 0.0, sqrt(safe) if p == 2 else safe ** (1 / p))
