"""Attention: dropout, masks in every form, rows that see nothing, what is refused; and the kernels' own contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import kernels
from tinygrad_edu.kernels import reference
from tinygrad_edu.nn import functional as F


def draw(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


def by_hand(q: Any, k: Any, v: Any, mask: Any, causal: bool, scale: float) -> tuple[Any, Any]:
    """The definition, one entry of the batch and one row at a time."""
    y, lse = np.zeros((*q.shape[:2], v.shape[2])), np.full(q.shape[:2], -np.inf)
    for b in range(len(q)):
        for t in range(q.shape[1]):
            keys = [s for s in range(k.shape[1]) if s <= t or not causal]
            scores = np.array([scale * q[b, t] @ k[b, s] for s in keys])
            if mask is not None:
                scores = scores + mask[b * len(mask) // len(q), t, keys]
            if len(keys) and np.isfinite(scores).any():
                e = np.exp(scores)
                y[b, t], lse[b, t] = e @ v[b, keys] / e.sum(), np.log(e.sum())
    return y, lse


@pytest.mark.parametrize("table", [kernels.K, reference], ids=["chosen", "reference"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masks", [None, 1, 2, 4])
@pytest.mark.parametrize("sizes", [(5, 5), (1, 7), (7, 2), (3, 0), (40, 67)])
def test_the_kernel_is_its_definition(table: Any, causal: bool, masks: int | None, sizes: tuple[int, int]) -> None:
    rows, keys = sizes
    q, k, v, g = draw(4, rows, 3), draw(4, keys, 3, seed=1), draw(4, keys, 6, seed=2), draw(4, rows, 6, seed=3)
    mask = None
    if masks is not None:
        mask = draw(masks, rows, keys, seed=4)
        mask[mask > 0.8] = -np.inf
        mask[0, 0] = -np.inf
    y, lse = table.attention(q, k, v, mask, causal, 0.6)
    wanted, sums = by_hand(q, k, v, mask, causal, 0.6)
    np.testing.assert_allclose(y, wanted, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(lse, sums, rtol=1e-12, atol=1e-13)
    grads = table.attention_backward(g, q, k, v, mask, causal, 0.6, y, lse)
    for which, (array, found) in enumerate(zip((q, k, v), grads, strict=True)):
        assert found.shape == array.shape
        step = draw(*array.shape, seed=5 + which) * 1e-6  # the derivative along one direction
        sides = []
        for sign in (1, -1):
            moved = [x + sign * step if i == which else x for i, x in enumerate((q, k, v))]
            sides.append((table.attention(*moved, mask, causal, 0.6)[0] * g).sum())
        assert (found * step).sum() == pytest.approx((sides[0] - sides[1]) / 2, rel=1e-5, abs=1e-12)


def test_boolean_and_float_masks_say_the_same() -> None:
    q, k, v = (tg.tensor(draw(2, 4, 5, 3, seed=i), dtype=tg.float32) for i in range(3))
    keep = np.tril(np.ones((5, 5), bool))
    added = np.where(keep, 0.0, -np.inf)
    causal = F.scaled_dot_product_attention(q, k, v, is_causal=True).numpy()
    for mask in (tg.tensor(keep), tg.tensor(added, dtype=tg.float32), tg.tensor(np.broadcast_to(keep, (2, 1, 5, 5)))):
        np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v, mask).numpy(), causal, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kept", [False, True])
def test_a_layer_for_all_heads_gets_the_gradient_of_its_parts(kept: bool) -> None:
    """q, k and v as pieces of one product, as in a transformer; a hook that holds a piece's gradient, or not."""
    x = tg.tensor(draw(2, 6, 3 * 2 * 4), requires_grad=True)
    q, k, v = x.reshape(2, 6, 3, 2, 4).permute(2, 0, 3, 1, 4)
    seen: list[Any] = []
    if kept:
        q.register_hook(seen.append)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    g = tg.tensor(draw(2, 2, 6, 4, seed=1))
    (y * g).sum().backward()
    parts = [part.detach().clone().requires_grad_() for part in (q, k, v)]
    (F.scaled_dot_product_attention(*parts, is_causal=True) * g).sum().backward()
    joined = np.stack([part.grad.numpy() for part in parts]).transpose(1, 3, 0, 2, 4).reshape(x.shape)
    np.testing.assert_array_equal(x.grad.numpy(), joined)
    if kept:
        x.grad.zero_()
        np.testing.assert_array_equal(seen[0].numpy(), parts[0].grad.numpy())


def test_dropout_zeroes_weights_and_keeps_the_mean() -> None:
    tg.manual_seed(1)
    q, k, v = tg.zeros(1, 2000, 2), tg.zeros(1, 8, 2), tg.eye(8).reshape(1, 8, 8)
    y = F.scaled_dot_product_attention(q, k, v, dropout_p=0.25).numpy()
    assert set(np.unique(y.round(6))) == {0.0, np.float32(1 / 8 / 0.75).round(6)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.02)
    tg.manual_seed(1)
    np.testing.assert_array_equal(F.scaled_dot_product_attention(q, k, v, dropout_p=0.25).numpy(), y)


def test_an_additive_mask_gets_its_gradient_through_a_dropout_too() -> None:
    tg.manual_seed(0)
    q, k, v = (tg.tensor(draw(2, 3, 2, seed=i)) for i in range(3))
    bias = tg.tensor(draw(3, 3, seed=9), requires_grad=True)
    F.scaled_dot_product_attention(q, k, v, bias, dropout_p=0.5).square().sum().backward()
    assert np.isfinite(bias.grad.numpy()).all()
    assert bias.grad.abs().sum().item() > 0


def test_a_mask_changed_before_the_backward_pass_is_noticed() -> None:
    q, k, v = (tg.tensor(draw(2, 3, 2, seed=i), requires_grad=True) for i in range(3))
    mask = tg.zeros(3, 3, dtype=tg.float64)
    y = F.scaled_dot_product_attention(q, k, v, mask)
    mask.fill_(1.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


x = tg.zeros(2, 3, 4)
REFUSED: list[tuple[Any, Any, str]] = [
    (lambda: F.scaled_dot_product_attention(tg.zeros(4), x, x), ValueError, r"query has shape \(4,\)"),
    (lambda: F.scaled_dot_product_attention(x, x, x.double()), RuntimeError, "one float dtype.*float64"),
    (lambda: F.scaled_dot_product_attention(x.long(), x.long(), x.long()), RuntimeError, "one float dtype"),
    (lambda: F.scaled_dot_product_attention(x, tg.zeros(2, 3, 5), x), ValueError, r"\(2, 3, 5\).*do not fit"),
    (lambda: F.scaled_dot_product_attention(x, tg.zeros(2, 5, 4), x), ValueError, "do not fit"),
    (lambda: F.scaled_dot_product_attention(x, x, tg.zeros(3, 3, 4)), ValueError, "leading sizes"),
    (lambda: F.scaled_dot_product_attention(x, x, x, tg.zeros(2, 4)), ValueError, r"\(2, 4\) does not broadcast"),
    (lambda: F.scaled_dot_product_attention(x, x, x, tg.zeros(5, 1, 3, 3)), ValueError, "does not broadcast"),
    (lambda: F.scaled_dot_product_attention(x, x, x, tg.zeros(3, 3).long()), RuntimeError, "must be bool"),
    (lambda: F.scaled_dot_product_attention(x, x, x, tg.zeros(3, 3), is_causal=True), RuntimeError, "not both"),
    (lambda: F.scaled_dot_product_attention(x, x, x, dropout_p=1.5), RuntimeError, r"\[0, 1\]"),
    (lambda: F.scaled_dot_product_attention(x, x[:0], x[:0], enable_gqa=True), ValueError, "multiple of key heads"),
    (lambda: F.scaled_dot_product_attention([1.0], x, x), TypeError, "query must be a tensor, got list"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_does_not_fit_is_refused(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
