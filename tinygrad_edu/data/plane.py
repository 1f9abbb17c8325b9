"""Points in the plane, made and not measured: two blobs that a line parts, and two spirals that it does not."""

from __future__ import annotations

import math

import numpy as np

from ..errors import InputError
from .dataset import TensorDataset


def blobs(n: int, *, seed: int = 0) -> TensorDataset:
    """`n` points (n, 2) float32 around (1, 1) and (−1, −1), standard deviation ½, and their class 0 or 1 (n,) int64.

    About one point in 400 lies on the wrong side of the best line.
    """
    rng = _checked("blobs", n, seed)
    kind = rng.integers(0, 2, n)
    points = rng.normal(0, 0.5, (n, 2)) + np.where(kind[:, None] == 1, 1.0, -1.0)
    return TensorDataset(points.astype(np.float32), kind)


def spirals(n: int, *, noise: float = 0.02, seed: int = 0) -> TensorDataset:
    """`n` points (n, 2) float32 on two arms that wind 1.35 times around each other, and their arm 0 or 1 (n,) int64.

    `noise` is the standard deviation of a point's distance from its arm; the arms are 0.35 apart.
    """
    rng = _checked("spirals", n, seed)
    if not noise >= 0:
        raise InputError(f"spirals: noise is {noise}; it is a standard deviation, 0 or more")
    angle = rng.random(n) * 2.7 * math.pi + 0.4
    arm = rng.integers(0, 2, n)
    turned = angle + math.pi * arm
    points = np.stack([angle * np.cos(turned), angle * np.sin(turned)], 1) / 9 + rng.normal(0, noise, (n, 2))
    return TensorDataset(points.astype(np.float32), arm)


def _checked(name: str, n: int, seed: int) -> np.random.Generator:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError(f"{name}: n is {n!r}; it is a number of points, 1 or more")
    return np.random.default_rng(seed)
