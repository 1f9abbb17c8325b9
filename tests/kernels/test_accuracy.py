"""Elementary functions in float32: at most one unit in the last place, over all exponents, in any position."""

import math

import numpy as np
import pytest

from tinygrad_edu.kernels import reference

from .conftest import native

# Every 65,537th bit pattern: all exponents, both signs, subnormal numbers, infinities and NaN.
PATTERNS = np.arange(0, 2**32, 65537, dtype=np.uint64).astype(np.uint32).view(np.float32)

EXACT = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "erf": np.vectorize(math.erf),
    "erfc": np.vectorize(math.erfc),
    "erfinv": reference.erfinv,
    "sigmoid": lambda x: np.where(x > 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x))),
}


def ulps(actual, exact):
    """Distance from the exact value in units of the last place of float32 there."""
    with np.errstate(all="ignore"):
        nearest = exact.astype(np.float32)
        unit = np.spacing(np.abs(nearest)).astype(np.float64)
        distance = np.abs(actual.astype(np.float64) - exact) / np.where(np.isfinite(unit), unit, 1)
    return np.where((actual == nearest) | (np.isnan(actual) & np.isnan(nearest)), 0, distance)


@pytest.mark.parametrize("name", EXACT)
def test_one_unit_in_the_last_place(name, isa):
    with np.errstate(all="ignore"):
        exact = EXACT[name](PATTERNS.astype(np.float64))
        exact = np.where(PATTERNS < -700, 0, exact) if name == "sigmoid" else exact
    error = ulps(getattr(native, name)(PATTERNS), exact)
    worst = int(np.nanargmax(error))
    assert error[worst] <= (0.5 if name == "sqrt" else 1.0), f"{error[worst]} at {PATTERNS[worst]}"


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whole_numbers(name, dtype, isa):
    halves = np.arange(-20, 20, 0.25)
    with np.errstate(all="ignore"):
        x = np.concatenate([PATTERNS, halves, halves + 2.0**23, halves * 2.0**30]).astype(dtype)
        y, wanted = getattr(native, name)(x), (np.rint if name == "round" else getattr(np, name))(x)
    np.testing.assert_array_equal(y, wanted)
    number = ~np.isnan(x)
    np.testing.assert_array_equal(np.signbit(y[number]), np.signbit(wanted[number]))  # −0 is kept


# Whole and odd, whole and even, too large for odd ones, roots, and what changes everything.
EXPONENTS = [0, 1, 2, 3, 4, 5, -1, -2, -3, 0.5, -0.5, 1.5, 1 / 3, 17, 101, 2.0**24, 2.0**24 - 1, 1e-3, 1e30, -1e30]
EXPONENTS += [math.inf, -math.inf, math.nan, -0.0]


def test_powers(isa):
    bases = np.concatenate([PATTERNS[::7], np.linspace(-3, 3, 2001, dtype=np.float32), 1 + PATTERNS[::997]])
    pairs = [(bases, np.float32(b)) for b in EXPONENTS]
    pairs += [(bases, np.resize(np.linspace(-9, 9, 1013, dtype=np.float32), bases.size))]
    pairs += [(np.float32(a), bases) for a in (0, -0.0, 1, -1, 2, 10, 0.5, math.inf, -math.inf, math.nan)]
    for a, b in pairs:
        with np.errstate(all="ignore"):
            exact = np.power(np.asarray(a, np.float64), np.asarray(b, np.float64))
        y = native.pow(np.asarray(a), np.asarray(b))
        error = ulps(y, exact)
        worst = int(np.nanargmax(error))
        assert error[worst] <= 1.0, f"{error[worst]} at {np.broadcast_to(a, y.shape)[worst]} ** {b}"
        zero = y == 0
        np.testing.assert_array_equal(np.signbit(y[zero]), np.signbit(exact[zero]))


# Products of such functions keep almost as many digits, also where the result is far below 1.
COMPOSED = {
    "silu": (2.0, lambda x: x * EXACT["sigmoid"](x)),
    "softplus": (2.0, lambda x: np.where(x > 20, x, np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))), 1.0, 20.0),
    "elu": (1.5, lambda x: np.where(x > 0, x, np.expm1(x)), 1.0),
    "gelu": (3.0, lambda x: x * np.vectorize(math.erfc)(-x / math.sqrt(2)) / 2, False),
    "gelu ": (2.0, lambda x: x * EXACT["sigmoid"](2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)), True),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_activations_keep_their_digits(name, isa):
    limit, exact, *rest = COMPOSED[name]
    x = np.concatenate([PATTERNS[np.abs(PATTERNS) < 90], np.linspace(-16, 16, 4001, dtype=np.float32)])
    with np.errstate(all="ignore"):
        wanted = exact(x.astype(np.float64))
    error = ulps(getattr(native, name.strip())(x, *rest), wanted)
    worst = int(np.nanargmax(error))
    assert error[worst] <= limit, f"{error[worst]} at {x[worst]}"


@pytest.mark.parametrize("name", [*EXACT, "relu", "silu"])
def test_same_bits_in_every_position_and_length(name, isa):
    x = np.abs(PATTERNS[np.isfinite(PATTERNS)][::97]) % 10
    whole = getattr(native, name)(x)
    for start in range(0, 40, 3):
        for stop in range(start + 1, start + 40, 7):
            np.testing.assert_array_equal(getattr(native, name)(x[start:stop]), whole[start:stop])
