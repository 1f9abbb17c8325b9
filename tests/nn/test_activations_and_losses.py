"""Activation and loss modules against PyTorch's: results, gradients, printing, kinks and limits, refused shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import functional as F

ACTIVATIONS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Hardtanh", (), {}), ("Hardtanh", (-2.0, 0.5), {"inplace": True}), ("ReLU6", (), {}), ("Hardsigmoid", (), {}),
    ("Hardswish", (), {}), ("CELU", (0.5,), {}), ("SELU", (), {"inplace": True}), ("Mish", (), {}),
    ("Softsign", (), {}), ("LogSigmoid", (), {}), ("Tanhshrink", (), {}), ("Softshrink", (0.25,), {}),
    ("Hardshrink", (), {}), ("Threshold", (0.5, 3.0), {}),
    ("GLU", (0,), {}), ("Softmin", (1,), {}), ("PReLU", (), {}), ("ReLU", (), {}),
    ("LeakyReLU", (0.25,), {}), ("ELU", (), {}), ("SiLU", (), {}), ("GELU", (), {}), ("Softplus", (), {}),
    ("Sigmoid", (), {}), ("Tanh", (), {}),
]  # fmt: skip
NAMES = [f"{name}-{i}" for i, (name, *_) in enumerate(ACTIVATIONS)]


@pytest.mark.parametrize(("name", "args", "options"), ACTIVATIONS, ids=NAMES)
def test_activations_are_pytorchs_also_at_their_kinks_and_limits(name: str, args: Any, options: Any) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    assert repr(ours) == repr(theirs)
    assert repr(getattr(nn, name)(*args)) == repr(getattr(torch.nn, name)(*args))
    ordinary = np.random.default_rng(0).standard_normal((4, 50)).astype(np.float32) * 3
    # kinks, where conventions differ (as inf·0 does for some), and numbers where eˣ overflows
    special = np.array([[0, -0.0, 0.25, -0.25, 0.5, -0.5, 1, -1, 3, -3, 6, 100, -100, 1e4, -1e4]], np.float32)
    special = np.concatenate([special, special])
    for values in (ordinary, special):
        a, b = tg.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
        y, z = ours(a), theirs(b.clone())
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=2e-6, atol=2e-6)
        g = np.random.default_rng(1).standard_normal(tuple(z.shape)).astype(np.float32)
        y.backward(tg.tensor(g))
        z.backward(torch.tensor(g))
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=5e-6, atol=5e-6)
        np.testing.assert_array_equal(a.detach().numpy(), values)  # inplace=True leaves the input alone here
    nan = tg.full((4, 2), float("nan"))
    assert np.isnan(ours(nan).detach().numpy()).all()


rng = np.random.default_rng(3)
X, Y, V = (rng.standard_normal((5, 3)) for _ in range(3))
SIGNS = np.where(rng.random((5, 3)) > 0.5, 1.0, -1.0)
CLASSES = rng.integers(0, 3, 5)
WEIGHT = np.array([0.5, 2.0, 1.0])
P = rng.uniform(0.1, 0.9, (5, 3))
LOG = np.log(P / P.sum(1, keepdims=True))

# (name, options, differentiable inputs, other inputs)
LOSSES: list[tuple[str, dict[str, Any], list[Any], list[Any]]] = [
    ("KLDivLoss", {}, [LOG, P], []),
    ("KLDivLoss", {"log_target": True}, [LOG, LOG[::-1].copy()], []),
    ("PoissonNLLLoss", {}, [X], [np.abs(Y) * 3]),
    ("PoissonNLLLoss", {"log_input": False, "full": True, "eps": 1e-3}, [np.abs(X) + 0.1], [np.abs(Y) * 3]),
    ("GaussianNLLLoss", {}, [X, Y, np.abs(V) + 0.1], []),
    ("GaussianNLLLoss", {"full": True, "eps": 0.3}, [X, Y, np.abs(V[:, 0])], []),
    ("HingeEmbeddingLoss", {"margin": 0.6}, [X], [SIGNS]),
    ("MarginRankingLoss", {"margin": 0.3}, [X, Y], [SIGNS]),
    ("CosineEmbeddingLoss", {"margin": 0.1}, [X, Y], [SIGNS[:, 0]]),
    ("TripletMarginLoss", {}, [X, Y, V], []),
    ("TripletMarginLoss", {"margin": 3.0, "p": 1.0, "swap": True}, [X, Y, V], []),
    ("MultiMarginLoss", {}, [X], [CLASSES]),
    ("MultiMarginLoss", {"p": 2, "margin": 0.5, "weight": WEIGHT}, [X], [CLASSES]),
    ("SoftMarginLoss", {}, [X * 5], [SIGNS]),
    ("MultiLabelSoftMarginLoss", {"weight": WEIGHT}, [X], [(SIGNS + 1) / 2]),
    ("TripletMarginWithDistanceLoss", {"margin": 0.5, "swap": True}, [X, Y, V], []),
    ("MultiLabelMarginLoss", {}, [X], [np.array([[0, 2, -1], [1, -1, 2], [-1, 0, 1], [2, 1, 0], [2, -1, -1]])]),
    ("L1Loss", {}, [X, Y], []),
    ("SmoothL1Loss", {"beta": 0.4}, [X, Y], []),
    ("HuberLoss", {"delta": 0.4}, [X, Y], []),
    ("MSELoss", {}, [X, Y], []),
    ("BCELoss", {"weight": WEIGHT}, [P], [(SIGNS + 1) / 2]),
    ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": WEIGHT + 1}, [X * 9], [(SIGNS + 1) / 2]),
    ("NLLLoss", {"weight": WEIGHT, "ignore_index": 2}, [LOG], [CLASSES]),
    ("CrossEntropyLoss", {"weight": WEIGHT, "ignore_index": 0, "label_smoothing": 0.1}, [X], [CLASSES]),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(LOSSES)]


def call(tensor: Any, library: Any, name: str, options: Any, inputs: Any, others: Any) -> tuple[Any, Any]:
    """The loss and the tensors it is differentiated by."""
    made = {k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    leaves = [tensor(v).requires_grad_() for v in inputs]
    return getattr(library, name)(**made)(*leaves, *[tensor(v) for v in others]), leaves


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.parametrize(("name", "options", "inputs", "others"), LOSSES, ids=IDS)
def test_losses_are_pytorchs(name: str, options: Any, inputs: Any, others: Any, reduction: str) -> None:
    torch = pytest.importorskip("torch")
    if reduction == "batchmean" and name != "KLDivLoss":
        with pytest.raises(ValueError, match='"batchmean"; it can be'):
            getattr(nn, name)(reduction=reduction)
        return
    options = {**options, "reduction": reduction}
    ours, mine = call(tg.tensor, nn, name, options, inputs, others)
    theirs, leaves = call(torch.tensor, torch.nn, name, options, inputs, others)
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12, atol=1e-13)
    ours.sum().backward()
    theirs.sum().backward()
    for a, b in zip(mine, leaves, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-10, atol=1e-12)
    made = {k: tg.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    assert repr(getattr(nn, name)(**made)) == f"{name}()"


def test_losses_of_single_samples() -> None:
    torch = pytest.importorskip("torch")
    pairs: list[tuple[str, list[Any]]] = [
        ("cosine_embedding_loss", [X[0], Y[0], np.array(-1.0)]),
        ("multi_margin_loss", [X[0], np.array(2)]),
        ("triplet_margin_loss", [X[0], Y[0], V[0]]),
        ("nll_loss", [LOG[0], np.array(1)]),
        ("multilabel_soft_margin_loss", [X[0], P[0]]),
    ]
    for name, values in pairs:
        ours = getattr(F, name)(*map(tg.tensor, values))
        theirs = getattr(torch.nn.functional, name)(*map(torch.tensor, values))
        assert ours.shape == tuple(theirs.shape)
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)


OLD = [(None, None, "mean"), (True, None, "mean"), (False, None, "sum"), (None, True, "mean"), (True, False, "none")]


@pytest.mark.parametrize(("size_average", "reduce", "reduction"), [*OLD, (False, True, "sum")])
def test_the_old_way_to_name_a_reduction_and_the_order_of_arguments(
    size_average: Any, reduce: Any, reduction: str
) -> None:
    x, y = tg.tensor(X), tg.tensor(Y)
    expected = F.mse_loss(x, y, reduction=reduction)
    for got in (F.mse_loss(x, y, size_average, reduce), nn.MSELoss(size_average, reduce)(x, y)):
        np.testing.assert_array_equal(got.numpy(), expected.numpy())
    target = tg.tensor(CLASSES)
    expected = F.cross_entropy(x, target, tg.tensor(WEIGHT), reduction=reduction, ignore_index=1)
    got = nn.CrossEntropyLoss(tg.tensor(WEIGHT), size_average, 1, reduce)(x, target)
    np.testing.assert_array_equal(got.numpy(), expected.numpy())
    with pytest.raises(TypeError, match='reduction="sum"'):
        F.l1_loss(x, y, "sum")  # type: ignore[arg-type]


def test_a_weight_for_each_entry_makes_a_weighted_mean() -> None:
    x, y, w = tg.tensor(X), tg.tensor(Y), tg.tensor(np.abs(V))
    for name in ("mse_loss", "l1_loss", "huber_loss"):
        losses = getattr(F, name)(x, y, reduction="none").numpy()
        expected = (losses * np.abs(V)).sum() / np.abs(V).sum()
        assert getattr(F, name)(x, y, weight=w).item() == pytest.approx(expected)


ONE = tg.ones(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.kl_div(ONE, tg.ones(3)), ValueError, "kl_div: input has shape"),
        (lambda: F.poisson_nll_loss(ONE, tg.ones(2, 1)), ValueError, "would be broadcast"),
        (lambda: F.gaussian_nll_loss(ONE, ONE, tg.ones(3)), ValueError, r"var has shape \(3,\)"),
        (lambda: F.gaussian_nll_loss(ONE, ONE, -ONE), ValueError, "negative"),
        (lambda: F.hinge_embedding_loss(ONE, tg.ones(3)), ValueError, "would be broadcast"),
        (lambda: F.margin_ranking_loss(ONE, ONE, tg.ones(2)), ValueError, "would be broadcast"),
        (lambda: F.cosine_embedding_loss(ONE, ONE, tg.ones(3)), ValueError, r"must be \(N, D\) and \(N,\)"),
        (lambda: F.triplet_margin_loss(ONE, ONE, tg.ones(3)), ValueError, "would be broadcast"),
        (lambda: F.triplet_margin_loss(ONE, ONE, ONE, margin=0), ValueError, "margin is 0"),
        (lambda: F.multi_margin_loss(ONE, tg.tensor([0, 3])), IndexError, r"\[0, 2\]"),
        (lambda: F.multi_margin_loss(ONE, tg.tensor([0, 1]), p=3), ValueError, "p is 3"),
        (lambda: F.soft_margin_loss(ONE, tg.ones(3)), ValueError, "would be broadcast"),
        (lambda: F.multilabel_soft_margin_loss(ONE, tg.ones(3)), ValueError, "would be broadcast"),
        (lambda: F.softshrink(ONE, -1.0), ValueError, "lambd is -1"),
        (lambda: F.celu(ONE, 0.0), ValueError, "alpha is 0"),
        (lambda: nn.Hardtanh(1.0, -1.0), ValueError, "must be below"),
    ],
)
def test_what_has_no_meaning_is_refused(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
