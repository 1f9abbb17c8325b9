"""Writing with a model that says what may come next: draw a token, append it, ask again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..creation import tensor
from ..errors import InputError, StateError


def generate(
    logits_of: Callable[[Any], Any], start: Any, *, length: int, temperature: float = 1.0, end: int | None = None,
    seed: int = 0,
) -> np.ndarray:  # fmt: skip
    """Texts (N, T + length) int64 that begin with `start` (N, T), T >= 1, each next one drawn from softmax(logits / t).

    `logits_of` takes all tokens so far, (N, T), and gives (N, V). `temperature` t: 1 draws as the model has learnt,
    less is more cautious, 0 always takes the likeliest, more is bolder (Ackley, Hinton and Sejnowski 1985). After
    the token `end` a text has only `end`. The same `seed` gives the same texts. ValueError for a temperature below 0.
    """
    tokens = np.asarray(start, dtype=np.int64)
    if tokens.ndim != 2 or not tokens.shape[1]:
        raise InputError(f"generate: start has shape {tokens.shape}; it takes (texts, tokens) with at least one token")
    if not 0 <= temperature < np.inf:
        raise InputError(f"generate: temperature is {temperature}; it is 0 (the likeliest token) or more")
    draw, open_ = np.random.default_rng(seed), np.ones(len(tokens), dtype=bool)
    with no_grad():
        for _ in range(length):
            logits = np.asarray(logits_of(tensor(tokens)).numpy(), dtype=np.float64)
            following = _draw(logits, temperature, draw)
            if end is not None:
                following[~open_] = end
                open_ &= following != end
            tokens = np.concatenate([tokens, following[:, None]], axis=1)
            if end is not None and not open_.any():
                break
    missing = np.shape(start)[1] + length - tokens.shape[1]
    return np.pad(tokens, ((0, 0), (0, missing)), constant_values=0 if end is None else end)


def _draw(logits: np.ndarray, temperature: float, draw: np.random.Generator) -> np.ndarray:
    """One token for each row of logits (N, V), by where a uniform number falls among the summed-up chances."""
    if np.isnan(logits).any():
        raise StateError("generate: the model gives NaN; it has not been trained well, or is broken")
    chance = draw.random(len(logits))  # drawn at temperature 0 too, so that a seed means the same course of draws
    if not temperature:
        return np.asarray(logits.argmax(1))
    weights = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    summed = weights.cumsum(1)
    return np.asarray((summed <= chance[:, None] * summed[:, -1:]).sum(1))
