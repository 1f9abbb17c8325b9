"""The little statistics that a few repeated runs need: mean, confidence interval, paired comparison."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np


def student_t(t: float, df: int) -> float:
    """P(T ≤ t) of Student's distribution with a whole number of degrees of freedom: a finite sum.

    Abramowitz & Stegun 1964, 26.7.3 and 26.7.4.
    """
    theta = math.atan(t / math.sqrt(df))
    sine, cosine2 = math.sin(theta), math.cos(theta) ** 2
    term = total = sine if df % 2 == 0 else sine * math.cos(theta)
    for k in range(2 if df % 2 == 0 else 3, df, 2):
        term *= cosine2 * (k - 1) / k
        total += term
    if df == 1:
        total = 0.0
    share = total if df % 2 == 0 else 2 / math.pi * (theta + total)
    return 0.5 * (1 + share)


def t_quantile(p: float, df: int) -> float:
    """The t with P(T ≤ t) = p, 0.5 ≤ p < 1, by bisection."""
    low, high = 0.0, 1.0
    while student_t(high, df) < p:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if student_t(middle, df) < p else (low, middle)
    return (low + high) / 2


def confidence_interval(values: Any, level: float = 0.95) -> tuple[float, float]:
    """The interval around the mean of independent runs that holds the true mean with probability `level` (Student)."""
    x = np.asarray(values, np.float64)
    if x.size < 2:
        return (math.nan, math.nan)
    half = t_quantile((1 + level) / 2, x.size - 1) * float(x.std(ddof=1)) / math.sqrt(x.size)
    return (float(x.mean()) - half, float(x.mean()) + half)


def sign_flip_p(differences: Any, draws: int = 20_000, seed: int = 0) -> float:
    """How often a mean this far from 0 arises if each difference might as well have had the other sign; two-sided.

    Exact for up to 14 differences, by `draws` random ones beyond. Fisher 1935.
    """
    d = np.asarray(differences, np.float64)
    if d.size == 0:
        return math.nan
    seen = abs(d.mean()) * (1 - 1e-12)
    if d.size <= 14:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=d.size)))
    else:
        signs = np.random.default_rng(seed).choice((1.0, -1.0), size=(draws, d.size))
        signs[0] = 1.0
    return float((abs((signs * d).mean(1)) >= seen).mean())
