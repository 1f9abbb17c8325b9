"""Elementary functions in float32: at most one unit in the last place, over all exponents, in any position."""

import math

import numpy as np
import pytest

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
    "erf": np.vectorize(math.erf),
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


@pytest.mark.parametrize("tanh_form", [False, True])
def test_gelu_keeps_its_digits_for_negative_arguments(tanh_form, isa):
    x = -np.linspace(0, 9, 2001, dtype=np.float32)
    z = x.astype(np.float64)
    if tanh_form:
        exact = z / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    else:
        exact = z * np.vectorize(math.erfc)(-z / math.sqrt(2)) / 2
    assert ulps(native.gelu(x, tanh_form), exact).max() <= 1


@pytest.mark.parametrize("name", [*EXACT, "relu", "silu"])
def test_same_bits_in_every_position_and_length(name, isa):
    x = np.abs(PATTERNS[np.isfinite(PATTERNS)][::97]) % 10
    whole = getattr(native, name)(x)
    for start in range(0, 40, 3):
        for stop in range(start + 1, start + 40, 7):
            np.testing.assert_array_equal(getattr(native, name)(x[start:stop]), whole[start:stop])
