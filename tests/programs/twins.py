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
