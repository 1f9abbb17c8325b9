"""Bags of embeddings, images through grids, sequences without alignment, functions in place: as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import functional as F

RNG = np.random.default_rng(6)


def agree(call: Callable[[Any, list[Any]], Any], *arrays: Any, tolerance: float = 1e-10) -> Any:
    """`call(torch, tensors)` in both: equal results, and equal gradients of every float array."""
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tg, torch):
        tensors = [lib.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        y = call(lib, tensors)
        weight = np.random.default_rng(1).standard_normal(tuple(y.shape))
        finite = y.detach().isfinite()
        (y * lib.tensor(weight))[finite].sum().backward()
        results.append(
            [
                y.detach().numpy(),
                *[(t.grad if t.grad is not None else t.detach() * 0).numpy() for t in tensors if t.requires_grad],
            ]
        )
    for mine, other in zip(*results, strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)
    return results[0][0]


TABLE = RNG.standard_normal((10, 3))


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
@pytest.mark.parametrize("padding_idx", [None, 2, -1])
def test_bags(mode: str, padding_idx: int | None) -> None:
    options: dict[str, Any] = {"mode": mode, "padding_idx": padding_idx}
    table = TABLE.copy()
    flat = np.array([1, 2, 4, 5, 4, 3, 2, 9, 9])
    for offsets in ([0, 4], [0, 4, 4, 8], [0, 2, 9]):  # some bags are empty
        agree(
            lambda torch, t, offsets=offsets: torch.nn.functional.embedding_bag(
                torch.tensor(flat), t[0], torch.tensor(offsets), **options
            ),
            table,
        )
    agree(lambda torch, t: torch.nn.functional.embedding_bag(
        torch.tensor(flat), t[0], torch.tensor([0, 3, 9]), include_last_offset=True, **options), table)  # fmt: skip
    agree(lambda torch, t: torch.nn.functional.embedding_bag(
        torch.tensor(flat.reshape(3, 3)), t[0], **options), table)  # fmt: skip
    if mode == "sum":
        agree(lambda torch, t: torch.nn.functional.embedding_bag(
            torch.tensor(flat), t[0], torch.tensor([0, 4]), per_sample_weights=t[1], **options),
            table, RNG.standard_normal(9))  # fmt: skip


def test_the_module_of_bags() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = (lib.nn.EmbeddingBag(10, 3, mode="sum", padding_idx=1) for lib in (tg, torch))
    assert repr(ours) == repr(theirs)
    assert (ours.weight[1] == 0).all()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    x, starts = [1, 2, 4, 5], [0, 3]
    a = ours(tg.tensor(x), tg.tensor(starts))
    b = theirs(torch.tensor(x), torch.tensor(starts))
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6)
    for bad, message in (
        (lambda: nn.EmbeddingBag(3, 2, mode="min")(tg.tensor([[0]])), "mode"),
        (lambda: ours(tg.tensor(x)), "give offsets"),
        (lambda: ours(tg.tensor([x]), tg.tensor([0])), "give offsets"),
        (lambda: nn.EmbeddingBag(3, 2)(tg.tensor([[0]]), per_sample_weights=tg.ones(1, 1)), "per_sample_weights"),
    ):
        with pytest.raises(ValueError, match=message):
            bad()


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_images_through_grids(mode: str, padding: str, align: bool) -> None:
    image = RNG.standard_normal((2, 3, 4, 5))
    grid = RNG.uniform(-2.1, 2.1, (2, 6, 3, 2))
    options: dict[str, Any] = {"mode": mode, "padding_mode": padding, "align_corners": align}
    agree(lambda torch, t: torch.nn.functional.grid_sample(t[0], t[1], **options), image, grid)
    volume, places = RNG.standard_normal((1, 2, 3, 1, 4)), RNG.uniform(-1.5, 1.5, (1, 2, 2, 3, 3))
    agree(lambda torch, t: torch.nn.functional.grid_sample(t[0], t[1], **options), volume, places)


@pytest.mark.filterwarnings("ignore:Since version 1.3.0")
@pytest.mark.parametrize("align", [True, False])
def test_affine_maps_as_grids(align: bool) -> None:
    for size in ((2, 3, 4, 5), (2, 1, 1, 4), (2, 1, 2, 3, 4)):
        d = len(size) - 2
        theta = RNG.standard_normal((2, d, d + 1))
        agree(lambda torch, t, size=size: torch.nn.functional.affine_grid(t[0], list(size), align), theta)
    same = tg.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    image = tg.randn(1, 2, 5, 4)
    grid = F.affine_grid(same, image.shape, align)
    np.testing.assert_allclose(F.grid_sample(image, grid, align_corners=align).numpy(), image.numpy(), atol=1e-6)
    for bad in (lambda: F.affine_grid(same, (2, 1, 3, 3)), lambda: F.grid_sample(image, grid[..., :1])):
        with pytest.raises(RuntimeError, match="does not fit"):
            bad()
    with pytest.raises(ValueError, match="mode is"):
        F.grid_sample(image, grid, mode="cubic")
    with pytest.raises(ValueError, match="padding_mode is"):
        F.grid_sample(image, grid, padding_mode="wrap")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("blank", [0, 3])
def test_sequences_without_alignment(reduction: str, blank: int) -> None:
    logits = RNG.standard_normal((12, 3, 5))
    targets = np.array([[1, 2, 2, 4], [4, 1, 0, 0], [2, 4, 2, 1]])
    if blank == 0:
        targets[1, 2:] = 1
    lengths, given = [4, 2, 3], [12, 10, 11]
    flat = np.concatenate([row[:n] for row, n in zip(targets, lengths, strict=True)])

    def loss(torch: Any, t: list[Any], labels: Any, given: Any = given, lengths: Any = lengths, **options: Any) -> Any:
        criterion = torch.nn.CTCLoss(blank=blank, reduction=reduction, **options)
        return criterion(t[0].log_softmax(2), torch.tensor(labels), torch.tensor(given), torch.tensor(lengths))

    agree(lambda torch, t: loss(torch, t, targets), logits)
    agree(lambda torch, t: loss(torch, t, flat), logits)
    agree(lambda torch, t: loss(torch, t, flat[:4], [12, 12, 12], [4, 0, 0]), logits)  # nothing to spell
    short = agree(lambda torch, t: loss(torch, t, targets, [3, 10, 11], zero_infinity=True), logits)  # not enough steps
    assert np.isfinite(short).all()
    if reduction == "none":
        never = loss(tg, [tg.tensor(logits)], targets, [3, 10, 11]).numpy()
        np.testing.assert_allclose(never, [np.inf, *short[1:]])


def test_one_sequence_without_alignment() -> None:
    logits = RNG.standard_normal((6, 4))
    agree(lambda torch, t: torch.nn.functional.ctc_loss(
        t[0].log_softmax(1), torch.tensor([1, 3]), torch.tensor(6), torch.tensor(2),
        reduction="none"), logits)  # fmt: skip
    x = tg.zeros(4, 2, 3).log_softmax(2)
    two = tg.tensor([1, 1])
    with pytest.raises(RuntimeError, match="the lengths say otherwise"):
        F.ctc_loss(x, tg.ones(2, 1, dtype=tg.int64), tg.tensor([4, 5]), two)
    with pytest.raises(ValueError, match="blank is 3"):
        F.ctc_loss(x, tg.ones(2, 1, dtype=tg.int64), tg.tensor([4, 4]), two, blank=3)
    with pytest.raises(ValueError, match="reduction"):
        F.ctc_loss(x, tg.ones(2, 1, dtype=tg.int64), tg.tensor([4, 4]), two, reduction="max")


@pytest.mark.parametrize(
    ("name", "options"),
    [("relu_", {}), ("leaky_relu_", {"negative_slope": 0.2}), ("elu_", {"alpha": 0.5}), ("celu_", {"alpha": 0.5}),
     ("selu_", {}), ("hardtanh_", {"min_val": -0.5}), ("threshold_", {"threshold": 0.1, "value": 2.0}), ("rrelu_", {})],
)  # fmt: skip
def test_activations_in_place(name: str, options: dict[str, Any]) -> None:
    def call(torch: Any, t: list[Any]) -> Any:
        x = t[0] * 2
        y = getattr(torch.nn.functional, name)(x, **options)
        assert y is x
        return y * y

    agree(call, RNG.standard_normal((3, 4)))


def test_randomised_slopes_lie_between_their_bounds() -> None:
    torch = pytest.importorskip("torch")
    layer = nn.RReLU(0.2, 0.4)
    assert repr(layer) == repr(torch.nn.RReLU(0.2, 0.4))
    x = -tg.ones(2000)
    slopes = -layer(x).numpy()
    assert 0.2 <= slopes.min() < 0.21 < 0.39 < slopes.max() < 0.4
    np.testing.assert_allclose(layer.eval()(x).numpy(), -0.3, rtol=1e-6)
    with pytest.raises(ValueError, match="greater than upper"):
        F.rrelu(x, 1, 0)
