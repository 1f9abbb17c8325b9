"""Functions and losses at their edges: shapes, weights, certain predictions, extremes, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.autograd import gradcheck, gradgradcheck
from tinygrad_edu.nn import functional as F


def both(torch: Any, array: Any) -> tuple[Any, Any]:
    return tg.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)


def agree(ours: Any, theirs: Any, *pairs: tuple[Any, Any]) -> None:
    """Equal values, and equal gradients of their sums with respect to each pair."""
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-11, atol=1e-13)
    ours.sum().backward()
    theirs.sum().backward()
    for a, b in pairs:
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-11, atol=1e-13)


ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    ("relu", {"inplace": False}), ("leaky_relu", {"negative_slope": 0.3}), ("sigmoid", {}), ("tanh", {}),
    ("gelu", {"approximate": "tanh"}), ("gelu", {}), ("silu", {}), ("softplus", {"beta": 3, "threshold": 2.0}),
    ("elu", {"alpha": 2.0}), ("softmax", {"dim": -1}), ("log_softmax", {"dim": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), ACTIVATIONS, ids=[f"{n}{i}" for i, (n, _) in enumerate(ACTIVATIONS)])
def test_activations_take_pytorchs_argument_names_and_have_its_gradients(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    a, b = both(torch, np.random.default_rng(0).standard_normal((3, 5)) * 3)
    g = np.random.default_rng(1).standard_normal((3, 5))
    theirs = torch.tanh(b) if name == "tanh" else getattr(torch.nn.functional, name)(input=b, **options)
    agree(getattr(F, name)(input=a, **options) * tg.tensor(g), theirs * torch.tensor(g), (a, b))


def test_linear_is_pytorchs_with_and_without_bias_in_any_layout() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    x, w, b = rng.standard_normal((5, 2, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)
    for bias in (True, False):
        ours, theirs = zip(*[both(torch, v) for v in (x, w, b)], strict=True)
        call = [(t[0].transpose(0, 1), t[1].T, t[2] if bias else None) for t in (ours, theirs)]
        pairs = list(zip(ours, theirs, strict=True))[: 3 if bias else 2]
        agree(F.linear(*call[0]), torch.nn.functional.linear(*call[1]), *pairs)


def test_a_linear_layer_names_itself_and_both_shapes() -> None:
    with pytest.raises(tg.ops.ShapeError, match=r"Linear\(in_features=3.*\(4, 5\).*\(2, 3\)"):
        nn.Linear(3, 2)(tg.ones(4, 5))


def test_modules_take_pytorchs_inplace_and_leave_their_input_alone() -> None:
    torch = pytest.importorskip("torch")
    for name in ("ReLU", "LeakyReLU", "SiLU", "ELU", "Dropout"):
        module = getattr(nn, name)(inplace=True)
        assert repr(module) == repr(getattr(torch.nn, name)(inplace=True))
        assert repr(getattr(nn, name)()) == repr(getattr(torch.nn, name)())
        x = tg.tensor([-1.0, 2.0])
        module(x)
        assert x.tolist() == [-1.0, 2.0]


def test_dropout_zeroes_a_share_scales_the_rest_and_rests_in_evaluation() -> None:
    layer, x = nn.Dropout(0.25, generator=tg.Generator(5)), tg.ones(200, 100)
    x.requires_grad_()
    y = layer(x)
    kept = y.detach().numpy() != 0
    assert abs(kept.mean() - 0.75) < 0.01
    np.testing.assert_allclose(y.detach().numpy()[kept], 4 / 3, rtol=1e-6)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    assert (layer(x).detach().numpy() != y.detach().numpy()).any()  # another mask each time
    assert layer.eval()(x) is x
    again = nn.Dropout(0.25, generator=tg.Generator(5))(tg.ones(200, 100))
    np.testing.assert_array_equal(again.numpy(), y.detach().numpy())


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 3, 5), (2, 3, 2, 2)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_and_cross_entropy_of_any_shape(shape: tuple[int, ...], reduction: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    dim = 1 if len(shape) > 1 else 0
    target = np.asarray(rng.integers(0, 3, (*shape[:dim], *shape[dim + 1 :])))
    weight = np.array([0.5, 2.0, 1.0])
    options = {"ignore_index": 1 if target.size > 1 and (target != 1).any() else -100, "reduction": reduction}
    for name in ("nll_loss", "cross_entropy"):
        a, b = both(torch, rng.standard_normal(shape))
        agree(
            getattr(F, name)(a, tg.tensor(target), weight=tg.tensor(weight), **options),
            getattr(torch.nn.functional, name)(b, torch.tensor(target), weight=torch.tensor(weight), **options),
            (a, b),
        )


def test_weights_of_the_binary_losses_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    weight, positive, target = rng.uniform(0, 2, 3), rng.uniform(0, 3, 3), rng.uniform(0, 1, (4, 3))
    a, b = both(torch, rng.standard_normal((4, 3)))
    agree(
        nn.BCEWithLogitsLoss(weight=tg.tensor(weight), pos_weight=tg.tensor(positive))(a, tg.tensor(target)),
        torch.nn.BCEWithLogitsLoss(weight=torch.tensor(weight), pos_weight=torch.tensor(positive))(
            b, torch.tensor(target)
        ),
        (a, b),
    )
    a, b = both(torch, rng.uniform(0.1, 0.9, (4, 3)))
    s, t = both(torch, target)
    agree(nn.BCELoss(tg.tensor(weight))(a, s), torch.nn.BCELoss(torch.tensor(weight))(b, t.detach()), (a, b))
    np.testing.assert_allclose(  # PyTorch has no derivative by the target; it is (ln(1 − p) − ln p)·w/n
        s.grad.numpy(), (np.log1p(-b.detach().numpy()) - np.log(b.detach().numpy())) * weight / 12, rtol=1e-12
    )


def test_binary_cross_entropy_of_certain_predictions_is_finite_as_pytorchs_is() -> None:
    torch = pytest.importorskip("torch")
    for target in (0.0, 1.0):
        a, b = both(torch, np.array([0.0, 1.0, 0.5], np.float32))
        agree(
            F.binary_cross_entropy(a, tg.full((3,), target), reduction="none"),
            torch.nn.functional.binary_cross_entropy(b, torch.full((3,), target), reduction="none"),
            (a, b),
        )
    logits = tg.tensor([200.0, -200.0], requires_grad=True)
    loss = F.binary_cross_entropy(logits.sigmoid(), tg.tensor([0.0, 1.0]), reduction="sum")
    loss.backward()
    assert loss.item() == 200.0
    assert np.isfinite(logits.grad.numpy()).all()


def test_binary_cross_entropy_has_two_derivatives() -> None:
    p, t = (tg.tensor(np.random.default_rng(i).uniform(0.2, 0.8, (2, 3)), requires_grad=True) for i in range(2))
    assert gradcheck(F.binary_cross_entropy, (p, t))
    assert gradgradcheck(F.binary_cross_entropy, (p, t))
    x = tg.tensor(np.random.default_rng(2).standard_normal((2, 3)), requires_grad=True)
    assert gradcheck(F.binary_cross_entropy_with_logits, (x, t))
    assert gradcheck(lambda x, t: F.huber_loss(x, t, delta=0.4), (x, t))


def test_confident_and_right_logits_keep_their_last_digits() -> None:
    x = tg.tensor([50.0, -50.0], dtype="float64", requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, tg.tensor([1.0, 0.0], dtype="float64"), reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), np.log1p(np.exp(-50)), rtol=1e-12)
    loss.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [-np.exp(-50.0), np.exp(-50.0)], rtol=1e-12)


def test_wrong_logits_keep_theirs() -> None:
    x = tg.tensor([21.0, -21.0], dtype="float64")
    loss = F.binary_cross_entropy_with_logits(x, tg.tensor([0.0, 1.0], dtype="float64"), reduction="none")
    np.testing.assert_allclose(loss.numpy(), 21 + np.log1p(np.exp(-21)), rtol=1e-14)


def test_robust_losses_do_not_square_what_is_far_away() -> None:
    x = tg.tensor([1e30, -np.inf, 0.5, 1.0], dtype="float32", requires_grad=True)
    loss = F.huber_loss(x, tg.zeros(4), reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [1e30, np.inf, 0.125, 0.5])
    loss.sum().backward()
    assert x.grad.tolist() == [1.0, -1.0, 0.5, 1.0]


def test_a_mean_over_nothing_but_ignored_rows_is_nan_and_its_sum_zero() -> None:
    x, t = tg.zeros(2, 3), tg.tensor([-100, -100])
    assert np.isnan(F.nll_loss(x, t).item())
    assert F.nll_loss(x, t, reduction="sum").item() == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.huber_loss(x, x, delta=0), ValueError, "delta is 0"),
        (lambda x: F.smooth_l1_loss(x, x, beta=-1), ValueError, "beta is -1"),
        (lambda x: F.smooth_l1_loss(x, tg.ones(2, 1)), ValueError, r"smooth_l1_loss: input has shape \(2, 3\)"),
        (lambda x: F.huber_loss(x, tg.ones(3)), ValueError, r"\(2, 3\) and target \(3,\)"),
        (lambda x: F.mse_loss(x, tg.ones(2)), ValueError, r"\(2, 3\) and target \(2,\)"),
        (lambda x: F.l1_loss(x, 1.0), TypeError, "two tensors, got Tensor and float"),
        (lambda x: F.binary_cross_entropy(x, tg.ones(2)), ValueError, "would be broadcast"),
        (lambda x: F.binary_cross_entropy_with_logits(x, tg.ones(3)), ValueError, "would be broadcast"),
        (lambda x: F.binary_cross_entropy(x * float("nan"), x), ValueError, r"outside \[0, 1\]"),
        (lambda x: F.binary_cross_entropy(x, x, weight=tg.ones(5, 2, 3)), ValueError, r"weight of shape \(5, 2, 3\)"),
        (lambda x: F.nll_loss(x, tg.ones(2)), TypeError, "target.long"),
        (lambda x: F.nll_loss(x, tg.tensor([0, 1, 2])), ValueError, r"need targets of shape \(2,\), got \(3,\)"),
        (lambda x: F.nll_loss(x, tg.tensor([0, -1])), IndexError, "from -1 to 0"),
        (lambda x: F.nll_loss(x, tg.tensor([0, 1]), tg.ones(2)), ValueError, r"need a weight \(3,\), not \(2,\)"),
        (lambda x: F.l1_loss(x, x, reduction="average"), ValueError, '"average"'),
        (lambda x: F.one_hot(x), TypeError, "integers"),
        (lambda x: F.one_hot(tg.tensor([-1])), ValueError, "not negative"),
    ],
)
def test_wrong_calls_are_refused(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(tg.ones(2, 3))


def test_one_hot() -> None:
    assert F.one_hot(tg.tensor([[0, 2]])).tolist() == [[[1, 0, 0], [0, 0, 1]]]
    assert F.one_hot(tg.tensor([1]), 4).tolist() == [[0, 1, 0, 0]]
