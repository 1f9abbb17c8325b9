"""A ladder of models from 11 parameters to 124 million, and what training one takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import nn
from ..errors import InputError
from .efficientnet import EfficientNetLite0
from .gpt import GPT
from .minilm import MiniLM

STATES = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2}  # numbers an optimiser keeps per parameter


@dataclass(frozen=True)
class Preset:
    """A model by name: what it is for, and `build()`, which makes it with initial values."""

    name: str
    what: str
    build: Callable[[], Any]


def _cnn() -> Any:
    """LeNet's form: two convolutions with pooling, then two linear layers (LeCun et al. 1998)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),  # (N, 16, 14, 14)
        nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),  # (N, 32, 7, 7)
        nn.Flatten(), nn.Linear(32 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("linear", "diabetes: ten measurements, one number", lambda: nn.Linear(10, 1)),
        Preset("mlp", "digits of 8 × 8 pixels, one hidden layer",
               lambda: nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))),
        Preset("cnn", "digits of 28 × 28 pixels, two convolutions", _cnn),
        Preset("efficientnet-lite0", "photographs, 1,000 classes", EfficientNetLite0),
        Preset("minilm", "sentences as points", MiniLM),
        Preset("gpt2", "texts, going on with them", GPT),
    )
}  # fmt: skip


def count_parameters(model: Any, *, learning: bool = False) -> int:
    """Numbers that training can change: every entry of every parameter once; with `learning`, frozen ones not."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not learning)


def training_bytes(parameters: float, optimizer: str = "adam", each: int = 4) -> dict[str, float]:
    """Bytes of weights, gradients and the optimiser's state, `each` per number; activations come on top.

    Adam in float32: 16 bytes per parameter. ValueError for an optimiser that is not in the table.
    """
    if optimizer not in STATES:
        raise InputError(f"training_bytes: optimizer {optimizer!r}; there is {', '.join(STATES)}")
    one = float(parameters) * each
    return {"weights": one, "gradients": one, "optimiser state": STATES[optimizer] * one}
