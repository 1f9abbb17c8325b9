"""k-means: groups of rows that are near each other, found without labels and without gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..creation import tensor
from ..errors import InputError


@dataclass(frozen=True)
class Clusters:
    """`centers` (k, D), the group of each row `labels` (N,), and the sum of squared distances `inertia`."""

    centers: np.ndarray
    labels: np.ndarray
    inertia: float
    steps: int


def k_means(x: Any, k: int, *, seed: int = 0, tries: int = 4, max_steps: int = 300) -> Clusters:
    """Rows x (N, D) in k groups: each row goes to the nearest centre, each centre to the mean of its rows, until no row
    changes its group (Lloyd 1982). The best of `tries` starts is returned, each drawn far apart (k-means++, Arthur and
    Vassilvitskii 2007). ValueError unless 1 <= k <= N and all entries are finite."""
    rows = np.ascontiguousarray(x, dtype=np.float64)
    if rows.ndim != 2 or not 1 <= k <= len(rows) or tries < 1:
        raise InputError(f"k_means: {k} groups in {tries} tries of rows of shape {rows.shape}; it takes rows (N, D), "
                         f"1 to N groups, and at least one try")  # fmt: skip
    if not np.isfinite(rows).all():
        raise InputError("k_means: rows have NaN or infinite entries, whose distance means nothing; leave them out")
    draw = np.random.default_rng(seed)
    return min((_descend(rows, _start(rows, k, draw), max_steps) for _ in range(tries)), key=lambda c: c.inertia)


def _distances(rows: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Squared distances (N, k): |a|² − 2ab + |b|², which is one matrix product."""
    product: np.ndarray = (tensor(rows) @ tensor(centers).T).numpy()
    return np.maximum((rows**2).sum(1)[:, None] - 2 * product + (centers**2).sum(1), 0)


def _start(rows: np.ndarray, k: int, draw: np.random.Generator) -> np.ndarray:
    """k rows as centres: each drawn with a chance in proportion to its squared distance from those before."""
    chosen = [int(draw.integers(len(rows)))]
    nearest = np.full(len(rows), np.inf)
    while len(chosen) < k:
        nearest = np.minimum(nearest, _distances(rows, rows[chosen[-1:]])[:, 0])
        nearest[chosen] = 0.0
        total = nearest.sum()
        left = np.setdiff1d(np.arange(len(rows)), chosen)  # where all rows are equal, any will do
        chosen.append(int(draw.choice(len(rows), p=nearest / total) if total > 0 else draw.choice(left)))
    return rows[chosen]


def _descend(rows: np.ndarray, centers: np.ndarray, max_steps: int) -> Clusters:
    labels = np.full(len(rows), -1)
    step = 0
    while step < max_steps:
        step += 1
        distances = _distances(rows, centers)
        before, labels = labels, distances.argmin(1)
        if (labels == before).all():
            break
        counts = np.bincount(labels, minlength=len(centers))
        sums = np.zeros_like(centers)
        np.add.at(sums, labels, rows)
        lost = counts == 0  # a centre that no row is nearest to starts again at the row that is worst off
        centers = np.where(lost[:, None], centers, sums / np.maximum(counts, 1)[:, None])
        centers[lost] = rows[np.argsort(-distances.min(1))[: lost.sum()]]
    return Clusters(centers, labels, float(_distances(rows, centers)[np.arange(len(rows)), labels].sum()), step)
