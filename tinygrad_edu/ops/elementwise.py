"""Elementwise arithmetic with broadcasting: forward, and the derivative beside it.

In every rule `g` is the gradient of the result; `to_input` sums it over the axes along which an argument was repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import Operation, is_grad_enabled
from ..autograd.function import applied
from ..autograd.variable import Variable
from ..errors import InputError, KindError
from ..kernels import K, beside, on_gpu
from ..kernels.cuda import bits
from ._common import (
    ShapeError,
    array_of,
    as_tensor,
    broadcast_error,
    floating,
    operands,
    promoted,
    result_type,
    unbroadcast,
)


def to_input(ctx: Any, i: int, g: Any) -> Any:
    """The gradient g as that of argument i: summed over the axes along which that was repeated. Arrays or tensors."""
    return unbroadcast(g, ctx.input_shape(i))


def _binary(operation: type[Operation], a: Any, b: Any, at_least: int = 0) -> Any:
    a, b = operands(a, b, at_least)
    try:
        return applied(operation, (a, b))
    except ValueError as error:
        if "broadcast" in str(error):
            raise broadcast_error(operation.__name__.lower(), a, b) from None
        raise


class Add(Operation):
    """a + b;  da = g, db = g."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        return K.add(a, b)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        da, db = ctx.needs_input_grad
        return to_input(ctx, 0, g) if da else None, to_input(ctx, 1, g) if db else None

    fused_backward = backward


class Sub(Operation):
    """a − b;  da = g, db = −g."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        return K.sub(a, b)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        da, db = ctx.needs_input_grad
        return to_input(ctx, 0, g) if da else None, to_input(ctx, 1, -g) if db else None

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        da, db = ctx.needs_input_grad
        return to_input(ctx, 0, g) if da else None, K.neg(to_input(ctx, 1, g)) if db else None


class Mul(Operation):
    """a · b;  da = g·b, db = g·a."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        ctx.save_for_backward(a if ctx.needs_input_grad[1] else None, b if ctx.needs_input_grad[0] else None)
        return K.mul(a, b)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_tensors
        return None if b is None else to_input(ctx, 0, g * b), None if a is None else to_input(ctx, 1, g * a)

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_arrays
        return None if b is None else to_input(ctx, 0, K.mul(g, b)), None if a is None else to_input(
            ctx, 1, K.mul(g, a)
        )


class Div(Operation):
    """a / b;  da = g/b, db = −g·(a/b)/b."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        ctx.save_for_backward(a if ctx.needs_input_grad[1] else None, b)
        return K.div(a, b)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (a, b), (da, db) = ctx.saved_tensors, ctx.needs_input_grad
        ga = g / b
        return to_input(ctx, 0, ga) if da else None, to_input(ctx, 1, -ga * (a / b)) if db else None


class Pow(Operation):
    """a ** b;  da = g·b·a^(b−1) (0 where b = 0), db = g·a^b·ln a (0 where a = 0 and b ≥ 0)."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        y = K.pow(a, b)
        ctx.save_for_backward(a, b, y if ctx.needs_input_grad[1] else None)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        a, b, y = ctx.saved_tensors
        da = db = None
        if ctx.needs_input_grad[0]:
            da = unbroadcast(where(b == 0, g * 0.0, g * b * a ** (b - 1)), a.shape)
        if ctx.needs_input_grad[1]:
            vanishes = (a == 0) & (b >= 0)
            db = unbroadcast(where(vanishes, g * 0.0, g * y * log(where(vanishes, a * 0.0 + 1.0, a))), b.shape)
        return da, db


class Extremum(Operation):
    """The larger (or smaller) of a and b; the gradient goes to it, half to each at a tie."""

    kernel: Any = None
    wins: Any = None

    @classmethod
    def forward(cls, ctx: Any, a: Any, b: Any) -> Any:
        ctx.save_for_backward(a, b)
        return cls.kernel(a, b)

    @classmethod
    def backward(cls, ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_tensors
        tie = (a == b).to(g.dtype) * 0.5
        da = to_input(ctx, 0, g * (cls.wins(a, b).to(g.dtype) + tie)) if ctx.needs_input_grad[0] else None
        db = to_input(ctx, 1, g * (cls.wins(b, a).to(g.dtype) + tie)) if ctx.needs_input_grad[1] else None
        return da, db


class Maximum(Extremum):
    """max(a, b)."""

    kernel = staticmethod(lambda a, b: K.maximum(a, b))
    wins = staticmethod(lambda a, b: a > b)


class Minimum(Extremum):
    """min(a, b)."""

    kernel = staticmethod(lambda a, b: K.minimum(a, b))
    wins = staticmethod(lambda a, b: a < b)


class Where(Operation):
    """a where the condition holds, else b;  g goes to the one that was taken."""

    @staticmethod
    def forward(ctx: Any, condition: Any, a: Any, b: Any) -> Any:
        ctx.save_for_backward(condition)
        return K.where(condition, a, b)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (condition,), (_, da, db) = ctx.saved_tensors, ctx.needs_input_grad
        return (
            None,
            to_input(ctx, 1, where(condition, g, 0.0)) if da else None,
            to_input(ctx, 2, where(condition, 0.0, g)) if db else None,
        )


class Neg(Operation):
    """−x;  dx = −g."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        if x.dtype.kind == "b":
            raise KindError("neg: a boolean has no negative; use x.logical_not(), or convert: x.long()")
        return K.neg(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return -g


class Abs(Operation):
    """|x|;  dx = g·sign(x)."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return K.abs(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * sign(ctx.saved_tensors[0])


class Sign(Operation):
    """−1, 0 or 1;  dx = 0."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return K.sign(x) if x.dtype.kind != "b" else K.copy(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Variable.wrap(beside(g._array).full(g.shape, 0, g.dtype))


class Exp(Operation):
    """y = eˣ;  dx = g·y."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = K.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.saved_tensors[0]


class Log(Operation):
    """ln x;  dx = g/x."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return K.log(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g / ctx.saved_tensors[0]


class Log1p(Operation):
    """ln(1 + x);  dx = g/(1 + x)."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return K.log1p(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g / (ctx.saved_tensors[0] + 1)


class Sqrt(Operation):
    """y = √x;  dx = g/(2y)."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = K.sqrt(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g / (ctx.saved_tensors[0] * 2)


class Root(Sqrt):
    """y = √x;  dx = g/(2y), but 0 at 0: for a sum of squares, where that is the middle of the subgradients."""

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        zero = y == 0
        return where(zero, 0.0, g / (where(zero, 1.0, y) * 2))


class Sin(Operation):
    """sin x;  dx = g·cos x."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return K.sin(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * cos(ctx.saved_tensors[0])


class Cos(Operation):
    """cos x;  dx = −g·sin x."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return K.cos(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return -g * sin(ctx.saved_tensors[0])


class Erf(Operation):
    """erf x;  dx = g·2/√π·e^{−x²}."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return K.erf(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * exp(-(x * x)) * 1.1283791670955126


class Cast(Operation):
    """x in another dtype;  dx = g in the old one."""

    @staticmethod
    def forward(ctx: Any, x: Any, dtype: Any) -> Any:
        ctx.dtype = x.dtype
        return K.cast(x, dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g.to(ctx.dtype), None


class Clone(Operation):
    """A copy of x;  dx = g."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return K.copy(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g

    fused_backward = backward


# -- the functions -------------------------------------------------------------------------------------------


def add(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input + alpha·other, broadcasting."""
    return _binary(Add, input, other if alpha == 1 else _scaled("add", input, other, alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input − alpha·other, broadcasting."""
    for x in (input, other):
        if isinstance(x, bool) or (isinstance(x, Variable) and x._array.dtype.kind == "b"):
            raise KindError("sub: booleans cannot be subtracted; use ^ or a.logical_not(), or convert: a.long()")
    return _binary(Sub, input, other if alpha == 1 else _scaled("sub", input, other, alpha))


def _scaled(operation: str, a: Any, b: Any, alpha: float) -> Any:
    """alpha·b in the dtype that a and b have together."""
    dtype = result_type(a, b)
    if dtype.kind != "f" and isinstance(alpha, float):
        raise KindError(f"{operation}: alpha is {alpha}, but the result holds {dtype}; make a or b a float tensor")
    return as_tensor(mul(as_tensor(b, dtype), alpha), dtype)


def mul(input: Any, other: Any) -> Any:
    """input · other elementwise, broadcasting."""
    return _binary(Mul, input, other)


def div(input: Any, other: Any) -> Any:
    """input / other elementwise, broadcasting; integers give float32."""
    return _binary(Div, input, other, at_least=2)


def pow(input: Any, exponent: Any) -> Any:
    """input to the power exponent elementwise, broadcasting. Integers to negative powers are an error."""
    if isinstance(exponent, int | float) and not isinstance(exponent, bool) and isinstance(input, Variable):
        kind = input._array.dtype.kind
        same = kind == "f" or (kind in "iu" and isinstance(exponent, int))  # the result's dtype is the input's
        if exponent == 2 and same:
            return mul(input, input)
        if exponent == 1 and same:
            return clone(input)
        if exponent < 0 and input._array.dtype.kind != "f" and isinstance(exponent, int):
            raise KindError(
                f"pow: integers to the negative power {exponent} are fractions; use x.float() ** {exponent}"
            )
    input, exponent = promoted(input, exponent)
    if input._array.dtype.kind == "b":
        return logical("or", input, compare("eq", exponent, False))
    return _binary(Pow, input, exponent)


def maximum(input: Any, other: Any) -> Any:
    """The larger of both elementwise; NaN if either is NaN."""
    return _binary(Maximum, input, other)


def minimum(input: Any, other: Any) -> Any:
    """The smaller of both elementwise; NaN if either is NaN."""
    return _binary(Minimum, input, other)


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """input limited to [min, max]; the gradient passes where x lies within."""
    if min is None and max is None:
        raise InputError("clamp: give min, max or both")
    if min is not None:
        input = where(input < min, min, input)
    return input if max is None else where(input > max, max, input)


def where(condition: Any, input: Any, other: Any) -> Any:
    """input where the boolean `condition` holds, other elsewhere; all broadcast."""
    if not isinstance(condition, Variable) or condition._array.dtype.kind != "b":
        raise KindError("where: the condition must be a boolean tensor, such as x > 0")
    input, other = promoted(input, other)
    try:
        return Where.apply(condition, input, other)
    except ValueError:
        shapes = ", ".join(str(tuple(x.shape)) for x in (condition, input, other))  # type: ignore[union-attr]
        raise ShapeError(f"where: shapes {shapes} do not broadcast; each pair must be equal or contain a 1") from None


def neg(input: Any) -> Any:
    """−x."""
    return Neg.apply(input)


def abs(input: Any) -> Any:
    """|x|."""
    return Abs.apply(input)


def exp(input: Any) -> Any:
    """eˣ."""
    return Exp.apply(floating(input))


def log(input: Any) -> Any:
    """Natural logarithm."""
    return Log.apply(floating(input))


def log1p(input: Any) -> Any:
    """ln(1 + x), accurate near 0."""
    return Log1p.apply(floating(input))


def sqrt(input: Any) -> Any:
    """Square root."""
    return Sqrt.apply(floating(input))


def sin(input: Any) -> Any:
    """Sine of x in radians."""
    return Sin.apply(floating(input))


def cos(input: Any) -> Any:
    """Cosine of x in radians."""
    return Cos.apply(floating(input))


def erf(input: Any) -> Any:
    """Error function."""
    return Erf.apply(floating(input))


def sign(input: Any) -> Any:
    """−1, 0 or 1; its derivative is 0."""
    return Sign.apply(input)


def clone(input: Any) -> Any:
    """A copy that stays in the graph."""
    return Clone.apply(input)


def cast(input: Any, dtype: Any) -> Any:
    """x converted to `dtype`; differentiable between floats."""
    if dtype.kind == "f" and input._array.dtype.kind == "f" and is_grad_enabled():
        return Cast.apply(input, dtype)
    return Variable.wrap(K.cast(input._array, dtype))


def compare(name: str, input: Any, other: Any) -> Any:
    """A comparison, `name` one of eq ne lt le gt ge, as a boolean tensor without gradient."""
    input, other = operands(input, other)
    try:
        return Variable.wrap(getattr(K, name)(array_of(input), array_of(other)))
    except ValueError:
        raise broadcast_error(name, input, other) from None


def _comparison(name: str, sign: str) -> Callable[[Any, Any], Any]:
    def function(input: Any, other: Any) -> Any:
        return compare(name, input, other)

    function.__name__, function.__doc__ = name, f"Where input {sign} other, as a boolean tensor without gradient."
    return function


eq, ne = _comparison("eq", "="), _comparison("ne", "≠")
lt, le = _comparison("lt", "<"), _comparison("le", "≤")
gt, ge = _comparison("gt", ">"), _comparison("ge", "≥")


def logical(name: str, input: Any, other: Any) -> Any:
    """and, or, xor of booleans (bitwise on integers), without gradient."""
    input, other = promoted(input, other)
    if input._array.dtype.kind == "f":
        raise KindError(f"{name}: floats have no bits to combine; compare first, as in (x > 0) & (y > 0)")
    operator = {"and": "__and__", "or": "__or__", "xor": "__xor__"}[name]
    if on_gpu(input._array) or on_gpu(other._array):
        return Variable.wrap(bits(name, input._array, other._array))
    try:
        return Variable.wrap(np.asarray(getattr(input._array, operator)(other._array)))
    except ValueError:
        raise broadcast_error(name, input, other) from None


def isclose(input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """|a − b| ≤ atol + rtol·|b| elementwise."""
    input, other = promoted(input, other)
    if input.dtype.kind == "b":
        input, other = input.long(), other.long()
    close = sub(input.detach(), other.detach()).abs() <= other.detach().abs() * rtol + atol
    close = close & (other.detach().abs() < math.inf) if other.dtype.kind == "f" else close
    close = close | compare("eq", input, other)
    return close | ((input != input) & (other != other)) if equal_nan else close
