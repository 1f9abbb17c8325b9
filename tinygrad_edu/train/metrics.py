"""Metrics: functions of (outputs, targets) that give a mean over the rows of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError


def accuracy(outputs: Any, targets: Any) -> float:
    """The share of rows whose largest output is at the target label. outputs (N, C), targets (N,) integers."""
    scores, labels = _array(outputs), _array(targets)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise InputError(f"accuracy: outputs {scores.shape} and targets {labels.shape}; (N, C) and (N,) are wanted")
    return float((scores.argmax(axis=1) == labels).mean())


def mean_absolute_error(outputs: Any, targets: Any) -> float:
    """The mean of |output − target|, in the units of the target. Equal shapes."""
    predicted, wanted = _array(outputs), _array(targets)
    if predicted.shape != wanted.shape:
        raise InputError(f"mean_absolute_error: outputs {predicted.shape} and targets {wanted.shape}; reshape one")
    return float(np.abs(predicted - wanted).mean(dtype=np.float64))


def r2_score(outputs: Any, targets: Any) -> float:
    """1 − squared error / squared error of the mean: 1 is perfect, 0 is no better than the mean of the targets.

    Of all rows at once: it is not a mean over rows, so it is no metric for a Trainer.
    """
    predicted, wanted = _array(outputs).astype(np.float64).reshape(-1), _array(targets).astype(np.float64).reshape(-1)
    if predicted.shape != wanted.shape:
        raise InputError(f"r2_score: {predicted.size} outputs and {wanted.size} targets")
    spread = float(((wanted - wanted.mean()) ** 2).sum())
    return 1.0 - float(((predicted - wanted) ** 2).sum()) / spread if spread else float("nan")


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
