"""What programs that run in both libraries share: the two modules, one set of initial weights, the digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.data import load_digits

Losses = list[float]


def libraries() -> list[Any]:
    """tinygrad_edu first, so that its initial weights can be copied to PyTorch."""
    return [tg, pytest.importorskip("torch")]


def copy_weights(torch: Any, model: Any, weights: dict[str, Any]) -> Any:
    """The first library fills `weights`; the second takes them over."""
    if weights:
        names = model.state_dict()
        model.load_state_dict({name: torch.tensor(weights[name]) for name in names})
    else:
        weights.update({name: value.numpy().copy() for name, value in model.state_dict().items()})
    return model


def digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The embedded digits as (1797, 1, 8, 8) float32 in [0, 1], and their classes."""
    data = load_digits()
    return np.asarray(data.X / 16, np.float32).reshape(-1, 1, 8, 8), np.asarray(data.y, np.int64)


def agree(program: Any, *args: Any, falls: float = 1.0, tolerance: float = 1e-7) -> None:
    """The same losses in both, at least 50, and lower ones at the end."""
    weights: dict[str, Any] = {}
    ours, theirs = (program(torch, weights, *args) for torch in libraries())
    assert len(ours) >= 50
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    assert np.mean(ours[-5:]) < falls * np.mean(ours[:5])


def images(count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Digits (count, 1, 8, 8) in float64, and their classes."""
    x, y = digits()
    return x[:count].astype(np.float64), y[:count]
