"""Reductions: sums, means, extrema and what follows from them."""

from __future__ import annotations

import builtins
import math
from typing import Any

from ..autograd import Operation
from ..autograd.variable import Variable
from ..errors import KindError, RangeError
from ..kernels import K, expanded, reshaped
from ._common import ShapeError, category, floating, normalized_dim, normalized_dims, own_result
from .elementwise import Root, compare, exp, log, where


def with_ones(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` with the size 1 at `axes`: what a reduction with keepdim leaves."""
    return tuple([1 if i in axes else n for i, n in enumerate(shape)])


class Sum(Operation):
    """Σ over axes;  dx = g, repeated along them."""

    @staticmethod
    def forward(ctx: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        ctx.axes = axes
        return K.sum(x, axes, keepdims)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        shape = ctx.input_shape(0)
        return g.reshape(with_ones(shape, ctx.axes)).expand(shape), None, None

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        shape = ctx.input_shape(0)
        return expanded(reshaped(g, with_ones(shape, ctx.axes)), shape), None, None


class Mean(Operation):
    """Σ/n over axes;  dx = g/n, repeated along them."""

    @staticmethod
    def forward(ctx: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        ctx.axes, ctx.n = axes, float(math.prod([x.shape[i] for i in axes]))
        return K.div(K.sum(x, axes, keepdims), ctx.n)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Sum.backward(ctx, g / ctx.n)

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return Sum.fused_backward(ctx, K.div(g, ctx.n))


class Norm(Operation):
    """y = √Σx² over everything, added in float64;  dx = g·x/y, but 0 where y is 0: the middle of the subgradients."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = K.total_norm([x])
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        zero = y == 0
        return x * where(zero, 0.0, g / where(zero, 1.0, y))


class Extreme(Operation):
    """y = max or min over axes;  g shared equally among the entries that equal y."""

    kernel: Any = None

    @classmethod
    def forward(cls, ctx: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        y = cls.kernel(x, axes, keepdims)
        ctx.axes = axes
        ctx.kept = with_ones(x.shape, axes)
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


def check_float(operation: str, x: Any) -> None:
    """TypeError if x holds integers or booleans."""
    if category(x.dtype) < 2:
        raise KindError(f"{operation}: {x.dtype} has no fractions; convert first: x.float().{operation}()")


def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Sum over `dim` (one, several, or all). Integers and booleans are summed in int64."""
    if dtype is not None:  # an integer dtype is that of the result, whatever is summed in
        return sum(input.to(dtype), dim, keepdim).to(dtype)
    return Sum.apply(input, normalized_dims(dim, input.ndim, "sum"), keepdim)


def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Mean over `dim` (one, several, or all); floats only. The mean of nothing is NaN."""
    input = input if dtype is None else input.to(dtype)
    check_float("mean", input)
    return Mean.apply(input, normalized_dims(dim, input.ndim, "mean"), keepdim)


def var_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Any, Any]:
    """(variance, mean) over `dim`, in two passes: Σ(x − mean)² / (n − correction).

    The correction is 1 unless it is given; `unbiased=False` is another way to say correction=0.
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    check_float("var", input)
    correction = correction if correction is not None else 0 if unbiased is False else 1
    axes = normalized_dims(dim, input.ndim, "var")
    n = math.prod(input.shape[i] for i in axes)
    middle = mean(input, axes, True) if axes else input
    deviation = input - middle
    spread = Sum.apply(deviation * deviation, axes, keepdim) / builtins.max(float(n - correction), 0.0)
    shape = [m for i, m in enumerate(input.shape) if i not in axes]
    return spread, middle if keepdim else own_result(middle.reshape(shape))


def var(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Any:
    """Variance over `dim`: see `var_mean`."""
    return var_mean(input, dim, unbiased, keepdim, correction=correction)[0]


def std_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Any, Any]:
    """(standard deviation, mean) over `dim`: see `var_mean`."""
    spread, middle = var_mean(input, dim, unbiased, keepdim, correction=correction)
    return Root.apply(spread), middle


def std(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Any:
    """Standard deviation over `dim`: √var. Its gradient at 0 is 0."""
    return Root.apply(var_mean(input, dim, unbiased, keepdim, correction=correction)[0])


def all(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether all entries (along `dim`) are true; uint8 gives uint8."""
    found = compare("eq", sum(compare("eq", input, 0), dim, keepdim), 0)
    return found.to(input.dtype) if input.dtype.kind == "u" else found


def any(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether an entry (along `dim`) is true; uint8 gives uint8."""
    found = compare("gt", sum(compare("ne", input, 0), dim, keepdim), 0)
    return found.to(input.dtype) if input.dtype.kind == "u" else found


def _extreme(operation: type[Operation], x: Any, dim: Any, keepdim: bool, name: str) -> Any:
    axes = normalized_dims(dim, x.ndim, name)
    if 0 in [x.shape[i] for i in axes]:
        raise RangeError(f"{name}: shape {tuple(x.shape)} has no entry along dim {axes} to choose from")
    return operation.apply(x, axes, keepdim)


def amax(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Maximum over `dim`; a gradient is shared equally among ties."""
    return _extreme(AMax, input, dim, keepdim, "amax")


def amin(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Minimum over `dim`; a gradient is shared equally among ties."""
    return _extreme(AMin, input, dim, keepdim, "amin")


def _arg(kernel: Any, x: Any, dim: int | None, keepdim: bool, name: str) -> Any:
    if dim is not None:
        dim = normalized_dim(dim, x.ndim, name)
    if x.numel() == 0 and (dim is None or x.shape[dim] == 0):
        raise RangeError(f"{name}: a tensor of shape {tuple(x.shape)} has no entries to choose from")
    if x.ndim == 0 or dim is None:
        found = kernel(x.detach().reshape(-1)._array, 0, False)
        return Variable.wrap(found.reshape((1,) * x.ndim) if keepdim else found)
    return Variable.wrap(kernel(x._array, dim, keepdim))


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Position (int64) of the first maximum along `dim`, or in the flattened tensor."""
    return _arg(K.argmax, input, dim, keepdim, "argmax")


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Position (int64) of the first minimum along `dim`, or in the flattened tensor."""
    return _arg(K.argmin, input, dim, keepdim, "argmin")


def logsumexp(input: Any, dim: Any, keepdim: bool = False) -> Any:
    """ln Σeˣ over `dim`, shifted by the maximum so that nothing overflows."""
    input = floating(input)
    axes = normalized_dims(dim, input.ndim, "logsumexp")
    top = amax(input.detach(), axes, True) if axes and input.numel() else sum(input.detach(), axes, True)
    top = where(top.abs() == math.inf, 0.0, top)  # inf − inf would be NaN
    result = log(sum(exp(input - top), axes, True)) + top
    return result if keepdim else own_result(result.reshape([n for i, n in enumerate(input.shape) if i not in axes]))


def norm(input: Any, p: float = 2, dim: Any = None, keepdim: bool = False) -> Any:
    """p-norm over `dim`: (Σ|x|ᵖ)^{1/p}, or the largest |x| for p = inf. Its gradient at 0 is 0."""
    check_float("norm", input)
    if p == math.inf:
        return amax(input.abs(), dim, keepdim)
    if p == 1:
        return sum(input.abs(), dim, keepdim)
    if not p > 0:
        raise ShapeError(f"norm: p is {p}; it must be positive")
    if p == 2 and dim is None and not keepdim:
        return Norm.apply(input)
    total = sum(input * input if p == 2 else input.abs() ** p, dim, keepdim)
    if p == 2:
        return Root.apply(total)
    zero = total == 0  # as in Root
    return where(zero, 0.0, where(zero, 1.0, total) ** (1 / p))
