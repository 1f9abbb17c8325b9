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
