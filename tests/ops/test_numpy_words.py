"""Operations take NumPy's words too, as functions and as methods: `axis` for `dim`, `keepdims` for `keepdim`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.ops.words import NAMES

X = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
JOINING, KEEPING = (
    {"cat", "concat", "concatenate", "stack"},
    {"argsort", "cumprod", "cumsum", "log_softmax", "softmax", "sort"},
)


def results(torch: Any, name: str) -> list[Any]:
    """The function, and the method if it has one, with NumPy's words."""
    x, options = torch.tensor(X), {"axis": 1}
    if name in JOINING:
        found = [getattr(torch, name)([x, x], **options)]
    else:
        options.update({} if name in KEEPING else {"keepdims": True})
        found = [getattr(torch, name)(x, **options), getattr(x, name)(**options)]
    return [np.asarray(part) for y in found for part in (y if isinstance(y, tuple) else (y,))]


@pytest.mark.parametrize("name", NAMES)
def test_numpy_words(name: str) -> None:
    torch = pytest.importorskip("torch")
    for mine, other in zip(results(tg, name), results(torch, name), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)


def test_other_words_are_refused_and_gradients_flow() -> None:
    x = tg.tensor(X, requires_grad=True)
    x.sum(axis=0, keepdims=True).max(axis=1).values.sum().backward()
    assert x.grad.sum().item() == 3
    with pytest.raises(TypeError, match="axes"):
        x.sum(axes=0)
    assert tg.sum.__doc__ == tg.Tensor.sum.__doc__
