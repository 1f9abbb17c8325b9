"""Elementary functions of numbers: each a kernel and its slope, or a formula in functions that are there already.

    y = kernel(x),  dx = g · slope(x, y)

Functions that take steps (floor, round, …) have the derivative 0 and give tensors without a graph, as in PyTorch they
give gradients of zeros: here the zeros are made by `_flat`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import Operation
from ..autograd.variable import Variable
from ..errors import InputError, KindError
from ..kernels import K, host, on_gpu
from ..kernels.cuda import bits
from ._common import broadcast_error, floating, only_on_cpu, promoted, unbroadcast
from .elementwise import abs, clamp, compare, div, exp, log, mul, pow, sign, sqrt, where


class Elementary(Operation):
    """A smooth function of one number."""

    kernel: Any = None
    slope: Any = None

    @classmethod
    def forward(cls, ctx: Any, x: Any) -> Any:
        y = cls.kernel(x)
        ctx.save_for_backward(x, y)
        return y

    @classmethod
    def backward(cls, ctx: Any, g: Any) -> Any:
        return g * cls.slope(*ctx.saved_tensors)


class Flat(Operation):
    """A function made of steps;  dx = 0."""

    @staticmethod
    def forward(ctx: Any, x: Any, kernel: Any) -> Any:
        return kernel(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * 0.0, None


def _elementary(name: str, kernel: Any, slope: Callable[[Any, Any], Any], meaning: str) -> Callable[[Any], Any]:
    """The function `name` of a float tensor (integers become float32)."""
    parts = {"kernel": staticmethod(kernel), "slope": staticmethod(slope)}
    operation: Any = type(name.capitalize(), (Elementary,), parts)

    def function(input: Any) -> Any:
        return operation.apply(floating(input))

    function.__name__, function.__doc__ = name, meaning
    return function


LN2, LN10 = math.log(2), math.log(10)
exp2 = _elementary("exp2", lambda x: K.exp2(x), lambda x, y: y * LN2, "2ˣ.")
expm1 = _elementary("expm1", lambda x: K.expm1(x), lambda x, y: y + 1, "eˣ − 1, accurate near 0.")
log2 = _elementary("log2", lambda x: K.log2(x), lambda x, y: 1 / (x * LN2), "Logarithm to the base 2.")
log10 = _elementary("log10", lambda x: K.log10(x), lambda x, y: 1 / (x * LN10), "Logarithm to the base 10.")
tan = _elementary("tan", lambda x: K.tan(x), lambda x, y: 1 + y * y, "Tangent of radians.")
sinh: Any = _elementary("sinh", lambda x: K.sinh(x), lambda x, y: cosh(x), "(eˣ − e⁻ˣ)/2.")
cosh: Any = _elementary("cosh", lambda x: K.cosh(x), lambda x, y: sinh(x), "(eˣ + e⁻ˣ)/2.")
asin = _elementary("asin", lambda x: K.asin(x), lambda x, y: rsqrt(1 - x * x), "The angle whose sine is x.")
acos = _elementary("acos", lambda x: K.acos(x), lambda x, y: -rsqrt(1 - x * x), "The angle whose cosine is x.")
atan = _elementary("atan", lambda x: K.atan(x), lambda x, y: 1 / (1 + x * x), "The angle whose tangent is x.")
asinh = _elementary("asinh", lambda x: K.asinh(x), lambda x, y: rsqrt(x * x + 1), "The inverse of sinh.")
acosh = _elementary("acosh", lambda x: K.acosh(x), lambda x, y: rsqrt(x * x - 1), "The inverse of cosh.")
atanh = _elementary("atanh", lambda x: K.atanh(x), lambda x, y: 1 / (1 - x * x), "The inverse of tanh.")
rsqrt: Any = _elementary("rsqrt", lambda x: K.rsqrt(x), lambda x, y: -0.5 * y / x, "1/√x.")


def _flat(name: str, kernel: Any, meaning: str) -> Callable[[Any], Any]:
    """A function of steps: integers stay as they are."""

    def function(input: Any) -> Any:
        if input.dtype.kind == "b":
            raise KindError(f"{name}: a boolean has no fraction; convert it: x.float()")
        return Flat.apply(input, kernel) if input.dtype.kind == "f" else input.clone()

    function.__name__, function.__doc__ = name, meaning
    return function


floor = _flat("floor", lambda x: K.floor(x), "The largest whole number that is not above.")
ceil = _flat("ceil", lambda x: K.ceil(x), "The smallest whole number that is not below.")
trunc = _flat("trunc", lambda x: K.trunc(x), "The whole number next towards zero.")
fix = trunc


def round(input: Any, *, decimals: int = 0) -> Any:
    """The nearest whole number, halves to the even one; with `decimals`, the nearest multiple of 10^−decimals."""
    if input.dtype.kind != "f":
        return input.clone()
    if decimals == 0:
        return Flat.apply(input, lambda x: K.round(x))
    scale = 10.0 ** builtin_abs(decimals)
    return Flat.apply(
        input, lambda x: K.div(K.round(K.mul(x, x.dtype.type(scale))), x.dtype.type(scale)) if decimals > 0
        else K.mul(K.round(K.div(x, x.dtype.type(scale))), x.dtype.type(scale))
    )  # fmt: skip


def builtin_abs(n: int) -> int:
    """|n| of a Python integer; `abs` is the tensors' here."""
    return n if n >= 0 else -n


def frac(input: Any) -> Any:
    """x − trunc(x)."""
    return input - trunc(input)


def reciprocal(input: Any) -> Any:
    """1/x."""
    return div(1.0, floating(input))


def square(input: Any) -> Any:
    """x²."""
    return pow(input, 2)


def positive(input: Any) -> Any:
    """The tensor itself."""
    return input


def erfc(input: Any) -> Any:
    """1 − erf(x), accurate where erf is near 1."""
    return _erfc(input)


_erfc = _elementary("erfc", lambda x: K.erfc(x), lambda x, y: exp(-(x * x)) * -1.1283791670955126, "1 − erf(x).")


erfinv = _elementary(
    "erfinv", lambda x: K.erfinv(x), lambda x, y: exp(y * y) * 0.8862269254527580, "The x whose erf is the entry."
)


def clamp_min(input: Any, min: Any) -> Any:
    """The entries, at least `min`."""
    return clamp(input, min, None)


def clamp_max(input: Any, max: Any) -> Any:
    """The entries, at most `max`."""
    return clamp(input, None, max)


def logit(input: Any, eps: float | None = None) -> Any:
    """ln(x/(1 − x)), the inverse of sigmoid; x is first limited to [eps, 1 − eps] if eps is given."""
    x = floating(input)
    if eps is not None:
        x = x.clamp(eps, 1 - eps)
    return log(x / (1 - x))


# -- two arguments ---------------------------------------------------------------------------------------------
def _pair(name: str, a: Any, b: Any, at_least: int = 0) -> tuple[Any, Any]:
    """Both as tensors of one dtype whose shapes broadcast; ShapeError with the operation's name if they do not."""
    a, b = promoted(a, b, at_least)
    if a.shape != b.shape:
        try:
            np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            raise broadcast_error(name, a, b) from None
    return a, b


class Atan2(Operation):
    """The angle of the point (x, y);  dy = g·x/(x² + y²), dx = −g·y/(x² + y²)."""

    @staticmethod
    def forward(ctx: Any, y: Any, x: Any) -> Any:
        ctx.save_for_backward(y, x)
        return K.atan2(y, x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        y, x = ctx.saved_tensors
        inverse = g / (x * x + y * y)
        return unbroadcast(inverse * x, y.shape), unbroadcast(-inverse * y, x.shape)


def atan2(input: Any, other: Any) -> Any:
    """The angle of the point (other, input), from −π to π."""
    return Atan2.apply(*_pair("atan2", input, other, 2))


arctan2 = atan2


def hypot(input: Any, other: Any) -> Any:
    """√(a² + b²) without overflow on the way."""
    a, b = _pair("hypot", input, other, 2)
    big = where(abs(a) > abs(b), abs(a), abs(b)).detach()
    safe = where((big == 0) | (big == math.inf), 1.0, big)
    return sqrt(square(a / safe) + square(b / safe)) * safe


def copysign(input: Any, other: Any) -> Any:
    """|a| with the sign of b (of its zero too)."""
    a, b = _pair("copysign", input, other, 2)
    only_on_cpu("copysign", b)
    factor = Variable.wrap(np.where(np.signbit(b._array), -1, 1).astype(a._array.dtype))
    zero = a == 0
    made = where(zero, abs(a) * factor, a * sign(a).detach() * factor)
    return made + b.detach() * 0 if made.shape != tuple(np.broadcast_shapes(a.shape, b.shape)) else made


def lerp(input: Any, end: Any, weight: Any) -> Any:
    """input + weight · (end − input), from the nearer end."""
    if not isinstance(weight, int | float):
        near = compare("lt", weight.abs(), 0.5)
        return where(near, input + weight * (end - input), end - (end - input) * (1 - weight))
    return input + weight * (end - input) if weight < 0.5 else end - (end - input) * (1 - weight)


def logaddexp(input: Any, other: Any) -> Any:
    """ln(eᵃ + eᵇ), shifted by the larger so that nothing overflows."""
    a, b = _pair("logaddexp", input, other, 2)
    top, same = where(a > b, a, b).detach(), (a == b) & (a.abs() == math.inf)
    shift = where(top.abs() == math.inf, 0.0, top)
    return where(same, a, log(exp(a - shift) + exp(b - shift)) + shift)


def logaddexp2(input: Any, other: Any) -> Any:
    """log₂(2ᵃ + 2ᵇ)."""
    a, b = _pair("logaddexp2", input, other, 2)
    return logaddexp(a * LN2, b * LN2) / LN2


def xlogy(input: Any, other: Any) -> Any:
    """x·ln y, and 0 where x is 0 (if y is not NaN)."""
    a, b = _pair("xlogy", input, other, 2)
    zero = (a == 0) & (b == b)
    return where(zero, a * 0.0, a * log(where(zero, b * 0.0 + 1.0, b)))


def fmod(input: Any, other: Any) -> Any:
    """The remainder of a division towards zero: it has the sign of the dividend."""
    a, b = _pair("fmod", input, other)
    only_on_cpu("fmod", a, b)
    if a.dtype.kind != "f":
        _no_zero("fmod", b)
        return Variable.wrap(np.fmod(a._array, b._array))
    return _remainder(a, b, np.fmod, trunc)


def remainder(input: Any, other: Any) -> Any:
    """The remainder of a division downwards: it has the sign of the divisor, as Python's %."""
    a, b = _pair("remainder", input, other)
    only_on_cpu("remainder", a, b)
    if a.dtype.kind != "f":
        _no_zero("remainder", b)
        return Variable.wrap(np.remainder(a._array, b._array))
    return _remainder(a, b, np.remainder, floor)


class Remainder(Operation):
    """r = a − b·q with a whole number q;  da = g, db = −g·q."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any, function: Any, rounding: Any) -> Any:
        ctx.save_for_backward(a, b)
        ctx.rounding = rounding
        with np.errstate(all="ignore"):
            return np.asarray(function(a, b))

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_tensors
        return unbroadcast(g, a.shape), unbroadcast(-g * ctx.rounding(a / b).detach(), b.shape), None, None


def _remainder(a: Any, b: Any, function: Any, rounding: Any) -> Any:
    return Remainder.apply(a, b, function, rounding)


def _no_zero(name: str, b: Any) -> None:
    only_on_cpu(name, b)
    if (b._array == 0).any():
        raise ZeroDivisionError(f"{name}: integers cannot be divided by zero; convert to floats first")


def floor_divide(input: Any, other: Any) -> Any:
    """The whole part of a/b, rounded down."""
    return divide(input, other, rounding_mode="floor")


def divide(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """a/b; with rounding_mode "trunc" or "floor", its whole part (integers stay integers)."""
    if rounding_mode is None:
        return div(input, other)
    if rounding_mode not in ("trunc", "floor"):
        raise InputError(f'div: rounding_mode is {rounding_mode!r}; it can be None, "trunc" or "floor"')
    a, b = _pair("div", input, other)
    if a.dtype.kind == "f":
        if rounding_mode == "trunc":
            return trunc(a / b)
        only_on_cpu("floor_divide", a, b)
        return Flat.apply(a / b, lambda q: np.asarray(np.floor_divide(a._array, b._array), q.dtype))
    _no_zero("div", b)
    quotient = np.floor_divide(a._array, b._array)
    if rounding_mode == "trunc":
        quotient = quotient + ((a._array % b._array != 0) & ((a._array < 0) != (b._array < 0)))
    return Variable.wrap(np.asarray(quotient, a.dtype))


def fmax(input: Any, other: Any) -> Any:
    """The larger; where one is NaN, the other."""
    a, b = _pair("fmax", input, other)
    return where((a >= b) | (b != b), a, b)


def fmin(input: Any, other: Any) -> Any:
    """The smaller; where one is NaN, the other."""
    a, b = _pair("fmin", input, other)
    return where((a <= b) | (b != b), a, b)


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """input + value · tensor1 · tensor2."""
    product = mul(tensor1, tensor2)
    return input + (mul(product, value) if product.dtype.kind == "f" else product * int(value))


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """input + value · tensor1 / tensor2."""
    return input + mul(div(tensor1, tensor2), value)


# -- questions -------------------------------------------------------------------------------------------------
def isnan(input: Any) -> Any:
    """Whether an entry is NaN."""
    return compare("ne", input, input)


def isinf(input: Any) -> Any:
    """Whether an entry is +∞ or −∞."""
    return compare("eq", abs(input.detach()), math.inf) if input.dtype.kind == "f" else compare("ne", input, input)


def isfinite(input: Any) -> Any:
    """Whether an entry is neither infinite nor NaN."""
    if input.dtype.kind != "f":
        return compare("eq", input, input)
    return compare("lt", abs(input.detach()), math.inf)


def isposinf(input: Any) -> Any:
    """Whether an entry is +∞."""
    return compare("eq", input.detach(), math.inf) if input.dtype.kind == "f" else compare("ne", input, input)


def isneginf(input: Any) -> Any:
    """Whether an entry is −∞."""
    return compare("eq", input.detach(), -math.inf) if input.dtype.kind == "f" else compare("ne", input, input)


def isreal(input: Any) -> Any:
    """Whether an entry has no imaginary part: here, all of them."""
    return Variable.wrap(np.ones(input.shape, bool))


def signbit(input: Any) -> Any:
    """Whether the sign is a minus (of −0 too)."""
    only_on_cpu("signbit", input)
    return Variable.wrap(np.asarray(np.signbit(input._array) if input.dtype.kind == "f" else input._array < 0))


def allclose(input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether |a − b| ≤ atol + rtol·|b| everywhere."""
    only_on_cpu("allclose", input, other)
    return bool(np.allclose(input._array, other._array, rtol, atol, equal_nan))


def equal(input: Any, other: Any) -> bool:
    """Whether shapes and all entries are the same."""
    return input.shape == other.shape and bool(host(compare("eq", input, other)._array).all())


def nan_to_num(input: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """NaN and infinities replaced; infinities by default by the dtype's largest and smallest finite numbers."""
    if input.dtype.kind != "f":
        return input.clone()
    limits = np.finfo(input.dtype)
    x = where(isnan(input), float(nan), input)
    x = where(x == math.inf, float(limits.max if posinf is None else posinf), x)
    return where(x == -math.inf, float(limits.min if neginf is None else neginf), x)


def logical_not(input: Any) -> Any:
    """Whether an entry is zero."""
    return compare("eq", input, 0)


def _truth(x: Any) -> Any:
    return compare("ne", x, 0)


def logical_and(input: Any, other: Any) -> Any:
    """Whether both are not zero."""
    return _truth(input) & _truth(other)


def logical_or(input: Any, other: Any) -> Any:
    """Whether one is not zero."""
    return _truth(input) | _truth(other)


def logical_xor(input: Any, other: Any) -> Any:
    """Whether exactly one is not zero."""
    return _truth(input) ^ _truth(other)


BITS = {"bitwise_and": "and", "bitwise_or": "or", "bitwise_xor": "xor"}  # as the GPU's kernels call them


# -- bits ------------------------------------------------------------------------------------------------------
def _bits(name: str, function: Any, shift: bool = False) -> Callable[[Any, Any], Any]:
    def operation(input: Any, other: Any) -> Any:
        a, b = _pair(name, input, other)
        if a.dtype.kind == "f" or (shift and a.dtype.kind == "b"):
            raise KindError(
                f"{name}: {a.dtype} has no bits to combine; it takes integers{'' if shift else ' and booleans'}: "
                f"compare first, as in (x > 0) & (y > 0), or convert"
            )
        if name in BITS and (on_gpu(a._array) or on_gpu(b._array)):
            return Variable.wrap(bits(BITS[name], a._array, b._array))
        only_on_cpu(name, a, b)
        return Variable.wrap(np.asarray(function(a._array, b._array)))

    operation.__name__, operation.__doc__ = name, f"{name.replace('_', ' ').capitalize()} of integers, entry by entry."
    return operation


bitwise_and = _bits("bitwise_and", np.bitwise_and)
bitwise_or = _bits("bitwise_or", np.bitwise_or)
bitwise_xor = _bits("bitwise_xor", np.bitwise_xor)
bitwise_left_shift = _bits("bitwise_left_shift", np.left_shift, True)
bitwise_right_shift = _bits("bitwise_right_shift", np.right_shift, True)


def bitwise_not(input: Any) -> Any:
    """Every bit turned; of booleans, not."""
    if input.dtype.kind == "f":
        raise KindError(f"bitwise_not: {input.dtype} has no bits to work on; it takes integers and booleans")
    if on_gpu(input._array):
        return bitwise_xor(input, Variable.wrap(np.array(-1).astype(input.dtype)))  # all bits
    return Variable.wrap(np.asarray(~input._array))


__all__ = [
    "acos", "acosh", "addcdiv", "addcmul", "allclose", "arctan2", "asin", "asinh", "atan", "atan2", "atanh",
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil",
    "clamp_max", "clamp_min", "copysign", "cosh", "divide", "equal", "erfc", "erfinv", "exp2", "expm1", "fix", "floor",
    "floor_divide", "fmax", "fmin", "fmod", "frac", "hypot", "isfinite", "isinf", "isnan", "isneginf", "isposinf",
    "isreal", "lerp", "log10", "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logit", "nan_to_num", "positive", "reciprocal", "remainder", "round", "rsqrt", "signbit", "sinh",
    "square", "tan", "trunc", "xlogy",
]  # fmt: skip
