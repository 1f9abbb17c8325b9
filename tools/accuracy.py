"""Largest error of the float32 functions, in units in the last place, over every float32 there is.

The exact value is the same kernel in float64 (the C library's functions), which is off by 1e-9 of such a unit. All 2³²
numbers take a few minutes per function; `--every 1009` takes a sample.

    python tools/accuracy.py [--every N] [--isa avx2] [exp tanh …]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np

from tinygrad_edu.kernels import native
from tinygrad_edu.kernels.protocol import Array

BLOCK = 1 << 22
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    name: getattr(native, name)
    for name in ("exp", "log", "log1p", "sqrt", "rsqrt", "tanh", "erf", "erfc", "erfinv", "sigmoid", "sin", "cos")
}
FUNCTIONS |= {f"pow {b:g}": lambda x, b=b: native.pow(x, np.asarray(b, x.dtype)) for b in (0.5, 1.5, 3.0, -0.75, 7.0)}
FUNCTIONS |= {
    "silu": native.silu,
    "gelu": lambda x: native.gelu(x, False),
    "gelu_tanh": lambda x: native.gelu(x, True),
    "softplus": lambda x: native.softplus(x, 1.0, 20.0),
    "elu": lambda x: native.elu(x, 1.0),
}


def ulps(actual: Array, exact: Array) -> Array:
    """Distance from `exact` (float64) in units in the last place of float32 there; inf where a NaN or inf is wrong."""
    with np.errstate(all="ignore"):
        nearest = exact.astype(np.float32)
        unit = np.spacing(np.abs(nearest)).astype(np.float64)
        distance = np.abs(actual.astype(np.float64) - exact) / np.where(np.isfinite(unit), unit, 1)
        same = (actual == nearest) | (np.isnan(actual) & np.isnan(nearest))
        return np.where(same, np.minimum(distance, 0.5), np.where(np.isfinite(distance), distance, np.inf))


def worst(function: Callable[[Array], Array], every: int) -> tuple[float, float]:
    """The largest error and where it is."""
    largest, where = 0.0, 0.0
    for start in range(0, 1 << 32, BLOCK * every):
        bits = np.arange(start, min(start + BLOCK * every, 1 << 32), every, dtype=np.int64).astype(np.uint32)
        x = bits.view(np.float32)
        with np.errstate(all="ignore"):
            error = np.nan_to_num(ulps(function(x), function(x.astype(np.float64))), nan=0.0, posinf=np.inf)
        at = int(np.argmax(error))
        if error[at] > largest:
            largest, where = float(error[at]), float(x[at])
    return largest, where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*FUNCTIONS, []])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--isa", default=native.isa())
    arguments = parser.parse_args()
    native._native.use_isa(arguments.isa)
    for name in arguments.names or FUNCTIONS:
        error, where = worst(FUNCTIONS[name], arguments.every)
        sys.stdout.write(f"{arguments.isa:9} {name:10} {error:8.3f} at {where!r}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
