"""Finds the coefficients in csrc/cpu/per_isa/tables.h and writes that file. Needs mpmath.

Polynomials are fitted at Chebyshev points, which is within a few per cent of the best possible, and one coefficient
after the other is rounded to float32 while those above it are fitted again. Where a table holds f(c), the point c is
moved until f(c) is all but a float32 (Gal & Bachelis 1991): then adding the small rest
f(x) − f(c) is the only rounding that matters.

    python tools/make_tables.py
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import mpmath as mp
import numpy as np

mp.mp.dps = 40
Function = Callable[[mp.mpf], mp.mpf]
TARGET = Path(__file__).resolve().parent.parent / "csrc" / "cpu" / "per_isa" / "tables.h"


def fit(f: Function, low: float, high: float, degree: int, weight: Function) -> list[float]:
    """Coefficients, float32, of the polynomial near f on [low, high] with the error weighted."""
    n = 4 * (degree + 1)
    points = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / n) for i in range(n)]
    wanted, weights, known = [f(x) for x in points], [weight(x) for x in points], []
    for k in range(degree + 1):
        rows = mp.matrix([[w * x**j for j in range(k, degree + 1)] for x, w in zip(points, weights, strict=True)])
        rest = [
            w * (y - sum(c * x**j for j, c in enumerate(known)))
            for x, y, w in zip(points, wanted, weights, strict=True)
        ]
        known.append(float(np.float32(float(mp.lu_solve(rows, mp.matrix(rest))[0]))))
    return known


def accurate_point(f: Function, low: float, high: float) -> float:
    """The float32 in the middle fifth of [low, high], of 2000, at which f is nearest to a float32."""

    def miss(x: float) -> float:
        value = f(mp.mpf(x))
        nearest = np.float32(float(value))
        return float(abs(value - float(nearest)) / float(np.spacing(abs(nearest))))

    best = min((float(np.float32(low + (high - low) * (0.4 + 0.0001 * i))) for i in range(2000)), key=miss)
    if miss(best) > 0.15:  # where f is all but constant there is little choice
        raise ValueError(f"no accurate point between {low} and {high}: {miss(best)}")
    return best


def piecewise(name: str, f: Function, low_exponent: int, degree: int, *, odd: bool, stop: float) -> tuple[str, list]:
    """Columns c, f(c), and the coefficients of (f(x) − f(c)) / (x − c) for four intervals in each of eight octaves.

    The first interval reaches down to 0. There an odd f is x + x·polynomial, so that f(c) is not used.
    """
    columns = [[0.0] * 32 for _ in range(degree + 2)]
    for i in range(32):
        octave, quarter = divmod(i, 4)
        unit = 2.0 ** (low_exponent + octave)
        low, high = (0.0 if i == 0 else unit * (1 + quarter / 4)), unit * (1 + (quarter + 1) / 4)
        at = (4 * (127 + low_exponent) + i) % 32  # the low five bits of exponent and two digits
        if low >= stop:
            columns[1][at] = float(f(mp.mpf(stop)))
            continue
        if i == 0:
            c, value, begin = 0.0, 0.0 if odd else float(f(mp.mpf(0))), mp.mpf(high) / 10**6
        else:
            c = accurate_point(f, low, min(high, stop))
            value, begin = float(np.float32(float(f(mp.mpf(c))))), low - c

        def slope(h: mp.mpf, c: float = c, value: float = value, first: bool = i == 0) -> mp.mpf:
            if h == 0:
                return mp.diff(f, c)
            return f(h) / h - 1 if first and odd else (f(c + h) - value) / h

        def weight(h: mp.mpf, c: float = c) -> mp.mpf:
            return abs(h / f(c + h)) + mp.mpf(10) ** -6

        row = fit(slope, begin, min(high, stop) - c, degree - 1, weight)
        for j, number in enumerate([c, value, *row]):
            columns[j][at] = number
    return name, columns


def text_of(value: float) -> str:
    shown = f"{value:.9g}"
    return shown + ("f" if re.search(r"[.e]", shown) else ".0f")


def array(name: str, values: list[float]) -> str:
    return f"constexpr float {name}[{len(values)}] = {{{', '.join(map(text_of, values))}}};"


def log_rest(x: mp.mpf) -> mp.mpf:
    return (mp.log1p(x) - x + x * x / 2) / x**3 if abs(x) > mp.mpf(10) ** -12 else mp.mpf(1) / 3


def scaled_tail(x: mp.mpf) -> mp.mpf:
    return mp.erfc(x / mp.sqrt(2)) / 2 * mp.exp(x * x / 2)


def main() -> None:
    lines = [
        "// Made by tools/make_tables.py, which says how; coefficients from the lowest power up.",
        "#pragma once",
        "",
    ]
    lines += ["namespace tge {", "namespace TGE_ISA {", ""]
    edge = mp.log(2) / 2 + mp.mpf("1e-6")
    lines += ["// (eˣ − 1)/x for |x| ≤ ln 2 / 2"]
    lines += [array("exp_coefficients", fit(lambda x: mp.expm1(x) / x, -edge, edge, 5, lambda x: x / mp.exp(x)))]
    lines += ["// (ln(1 + x) − x + x²/2)/x³ for √½ − 1 ≤ x ≤ √2 − 1"]
    ends = mp.sqrt(mp.mpf(1) / 2) - 1, mp.sqrt(2) - 1
    lines += [array("log_coefficients", fit(log_rest, *ends, 7, lambda x: x**3 / mp.log1p(x)))]
    tables = [
        ("the hyperbolic tangent", piecewise("tanh_table", mp.tanh, -4, 6, odd=True, stop=9.02)),
        ("the error function", piecewise("erf_table", mp.erf, -4, 6, odd=True, stop=3.95)),
        (
            "the normal distribution's tail Φ(−x), divided by exp(−x²/2)",
            piecewise("tail_table", scaled_tail, -4, 5, odd=False, stop=14.4),
        ),
    ]
    for what, (name, columns) in tables:
        lines += [f"// c, f(c) and (f(x) − f(c))/(x − c) for {what}: see piecewise() in single.h"]
        lines += [f"constexpr float {name}[{len(columns)}][32] = {{"]
        for column in columns:
            rows = [column[i : i + 8] for i in range(0, 32, 8)]
            lines += ["    {" + ",\n     ".join(", ".join(map(text_of, row)) for row in rows) + "},"]
        lines += ["};"]
    lines += ["", "}  // namespace TGE_ISA", "}  // namespace tge"]
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")


if __name__ == "__main__":
    main()
