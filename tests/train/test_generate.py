"""generate draws as often as the model says, stops at the end, and means the same with the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.train import generate

LOGITS = np.log([0.1, 0.2, 0.7])


def always(tokens: Any) -> Any:
    return tg.tensor(np.tile(LOGITS, (tokens.shape[0], 1)))


def after_the_last(tokens: Any) -> Any:
    """Counts: after k certainly comes k + 1."""
    return tg.tensor(np.where(np.arange(10) == tokens.numpy()[:, -1:] + 1, 0.0, -np.inf))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_as_frequent_as_the_model_says(temperature: float) -> None:
    drawn = generate(always, np.zeros((20_000, 1)), length=1, temperature=temperature, seed=3)[:, 1]
    wanted = np.exp(LOGITS / temperature) / np.exp(LOGITS / temperature).sum()
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 20_000, wanted, atol=0.015)


def test_temperature_0_takes_the_likeliest() -> None:
    assert (generate(always, [[0], [1]], length=5, temperature=0.0)[:, 1:] == 2).all()


def test_impossible_tokens_are_never_drawn_and_the_context_is_used() -> None:
    assert generate(after_the_last, [[0], [4]], length=4).tolist() == [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8]]


def test_after_the_end_there_is_nothing_else() -> None:
    assert generate(after_the_last, [[1], [3]], length=4, end=4).tolist() == [[1, 2, 3, 4, 4], [3, 4, 4, 4, 4]]
    texts = generate(always, np.zeros((200, 2)), length=6, end=1, seed=0)[:, 2:]
    for text in texts:
        ends = np.flatnonzero(text == 1)
        assert not len(ends) or (text[ends[0] :] == 1).all()


def test_a_seed_is_a_text() -> None:
    first, again, other = (generate(always, np.zeros((5, 1)), length=9, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="temperature is -1"):
        generate(always, [[0]], length=1, temperature=-1)
    with pytest.raises(ValueError, match="at least one token"):
        generate(always, np.zeros((3, 0)), length=1)
    with pytest.raises(RuntimeError, match="gives NaN"):
        generate(lambda tokens: tg.tensor([[np.nan, 1.0]]), [[0]], length=1)
