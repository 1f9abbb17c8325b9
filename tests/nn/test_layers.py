"""Layers against PyTorch's: results, gradients, buffers, states, printing, initialisation, and what they refuse."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

from .against_pytorch import check, step, twins

ROWS = np.array([[1, 4, 1], [0, 3, 2]])

# (name, arguments, options, inputs)
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], list[Any]]] = [
    ("Conv1d", (3, 5, 3), {"padding": 1, "stride": 2}, [(2, 3, 9)]),
    ("Conv1d", (4, 6, 3), {"padding": "same", "dilation": 2, "groups": 2}, [(2, 4, 7)]),
    ("Conv1d", (2, 3, 3), {"padding": 2, "padding_mode": "circular"}, [(2, 2, 5)]),
    ("Conv2d", (3, 5, 3), {}, [(2, 3, 7, 8)]),
    ("Conv2d", (3, 5, 3), {}, [(3, 7, 8)]),
    ("Conv2d", (3, 5, 3), {}, [(0, 3, 7, 8)]),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2, "bias": False},
     [(2, 4, 9, 7)]),
    ("Conv2d", (4, 8, 3), {"groups": 4, "padding": 1}, [(2, 4, 5, 5)]),
    ("Conv2d", (2, 3, 3), {"padding": "same", "padding_mode": "reflect", "dilation": 2}, [(2, 2, 6, 7)]),
    ("Conv2d", (2, 3, 3), {"padding": (2, 1), "padding_mode": "replicate"}, [(2, 2, 5, 5)]),
    ("Conv2d", (2, 3, 2), {"padding": "valid", "stride": 2}, [(2, 2, 5, 5)]),
    ("Conv3d", (2, 3, (2, 3, 2)), {"padding": 1, "stride": (1, 2, 1)}, [(2, 2, 3, 5, 4)]),
    ("ConvTranspose1d", (3, 2, 4), {"stride": 3, "padding": 1, "output_padding": 2}, [(2, 3, 5)]),
    ("ConvTranspose2d", (3, 4, 3), {"stride": 2, "padding": 1, "output_padding": 1}, [(2, 3, 4, 5)]),
    ("ConvTranspose2d", (4, 6, (3, 2)), {"groups": 2, "dilation": (2, 1), "bias": False}, [(2, 4, 4, 5)]),
    ("ConvTranspose2d", (3, 4, 3), {"dilation": 3, "output_padding": 2, "padding": 1}, [(3, 4, 5)]),
    ("ConvTranspose3d", (2, 3, 2), {"stride": 2}, [(1, 2, 2, 3, 2)]),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1, "return_indices": True}, [(2, 3, 9)]),
    ("MaxPool2d", (2,), {}, [(2, 3, 7, 8)]),
    ("MaxPool2d", ((3, 2),), {"stride": (1, 2), "padding": 1, "ceil_mode": True, "return_indices": True},
     [(2, 3, 7, 8)]),
    ("MaxPool2d", (2,), {"dilation": 2}, [(3, 7, 8)]),
    ("MaxPool3d", (2,), {"return_indices": True}, [(2, 2, 4, 5, 4)]),
    ("AvgPool1d", (3, 2, 1), {"ceil_mode": True}, [(2, 3, 8)]),
    ("AvgPool2d", (3,), {"padding": 1, "count_include_pad": False}, [(2, 3, 7, 8)]),
    ("AvgPool2d", (2, 2), {"divisor_override": 3}, [(2, 3, 7, 8)]),
    ("AvgPool3d", (2,), {}, [(1, 2, 4, 5, 4)]),
    ("AdaptiveAvgPool1d", (4,), {}, [(2, 3, 9)]),
    ("AdaptiveAvgPool2d", ((None, 3),), {}, [(2, 3, 5, 7)]),
    ("AdaptiveAvgPool2d", (1,), {}, [(2, 3, 5, 7)]),
    ("AdaptiveAvgPool3d", (2,), {}, [(1, 2, 3, 5, 4)]),
    ("AdaptiveMaxPool1d", (4,), {"return_indices": True}, [(2, 3, 9)]),
    ("AdaptiveMaxPool2d", ((3, 4),), {"return_indices": True}, [(2, 3, 5, 7)]),
    ("LPPool1d", (2, 2), {}, [(2, 3, 8)]),
    ("LPPool2d", (2, 3), {"stride": 2}, [(2, 3, 7, 7)]),
    ("BatchNorm1d", (4,), {}, [(5, 4)]),
    ("BatchNorm1d", (4,), {"momentum": None}, [(3, 4, 5)]),
    ("BatchNorm2d", (3,), {"eps": 1e-3, "momentum": 0.3}, [(2, 3, 5, 4)]),
    ("BatchNorm2d", (3,), {"affine": False}, [(2, 3, 5, 4)]),
    ("BatchNorm2d", (3,), {"track_running_stats": False}, [(2, 3, 5, 4)]),
    ("BatchNorm3d", (2,), {}, [(2, 2, 3, 2, 3)]),
    ("LayerNorm", (5,), {}, [(2, 3, 5)]),
    ("LayerNorm", ((3, 5),), {"bias": False, "eps": 1e-3}, [(2, 3, 5)]),
    ("LayerNorm", (5,), {"elementwise_affine": False}, [(0, 5)]),
    ("GroupNorm", (2, 6), {}, [(3, 6, 4, 5)]),
    ("GroupNorm", (3, 6), {"affine": False}, [(2, 6, 5)]),
    ("InstanceNorm1d", (3,), {"affine": True}, [(2, 3, 5)]),
    ("InstanceNorm2d", (3,), {}, [(2, 3, 4, 5)]),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True}, [(2, 3, 4, 5)]),
    ("InstanceNorm2d", (3,), {}, [(3, 4, 5)]),
    ("RMSNorm", (5,), {}, [(2, 3, 5)]),
    ("RMSNorm", ((3, 5),), {"eps": 1e-3, "elementwise_affine": False}, [(2, 3, 5)]),
    ("LocalResponseNorm", (3,), {"alpha": 0.1}, [(2, 5, 4)]),
    ("Embedding", (5, 3), {}, [ROWS]),
    ("Embedding", (5, 3), {"padding_idx": 1}, [ROWS]),
    ("Embedding", (5, 3), {"padding_idx": -2}, [ROWS.reshape(-1)]),
    ("Embedding", (5, 3), {"max_norm": 0.9, "norm_type": 3.0}, [ROWS]),
    ("Embedding", (5, 3), {}, [np.zeros((2, 0), np.int64)]),
    ("Bilinear", (3, 4, 5), {}, [(2, 3), (2, 4)]),
    ("CosineSimilarity", (), {"dim": 2}, [(2, 3, 4), (2, 3, 4)]),
    ("PairwiseDistance", (), {"p": 3.0, "keepdim": True}, [(2, 4), (2, 4)]),
    ("PixelShuffle", (2,), {}, [(2, 8, 3, 2)]),
    ("PixelUnshuffle", (3,), {}, [(2, 2, 3, 6)]),
    ("Upsample", (), {"scale_factor": 2}, [(2, 3, 4, 5)]),
    ("Upsample", (), {"size": (7, 3), "mode": "bilinear"}, [(2, 3, 4, 5)]),
    ("Upsample", (), {"scale_factor": (1.5, 2.5), "mode": "bicubic", "align_corners": True}, [(2, 3, 4, 5)]),
    ("UpsamplingNearest2d", (), {"size": (3, 9)}, [(2, 3, 4, 5)]),
    ("UpsamplingBilinear2d", (), {"scale_factor": 2}, [(2, 3, 4, 5)]),
    ("ReflectionPad1d", (2,), {}, [(2, 3, 4)]),
    ("ReflectionPad2d", ((1, 2, 3, 0),), {}, [(2, 3, 4, 5)]),
    ("ReplicationPad1d", ((2, 5),), {}, [(3, 4)]),
    ("ReplicationPad2d", (2,), {}, [(2, 3, 4, 5)]),
    ("CircularPad1d", (3,), {}, [(2, 3, 4)]),
    ("CircularPad2d", ((1, 2, 3, 4),), {}, [(2, 3, 4, 5)]),
    ("ZeroPad1d", (2,), {}, [(2, 3, 4)]),
    ("ZeroPad2d", ((1, -1, 2, 0),), {}, [(2, 3, 4, 5)]),
    ("ConstantPad1d", ((1, 2), 2.5), {}, [(2, 3, 4)]),
    ("ConstantPad2d", (1, -1.0), {}, [(2, 3, 4, 5)]),
    ("ConstantPad3d", (1, 0.5), {}, [(2, 3, 4, 5)]),
    ("ReflectionPad3d", (1,), {}, [(1, 2, 3, 4, 2)]),
    ("ReplicationPad3d", ((1, 0, 2, 1, 0, 3),), {}, [(1, 2, 3, 4, 2)]),
    ("CircularPad3d", (2,), {}, [(1, 2, 3, 4, 2)]),
    ("ZeroPad3d", (1,), {}, [(2, 3, 4, 2)]),
    ("ChannelShuffle", (2,), {}, [(2, 6, 3, 2)]),
    ("AdaptiveMaxPool3d", ((2, 3, 1),), {"return_indices": True}, [(1, 2, 4, 5, 3)]),
    ("LPPool3d", (2, 2), {}, [(1, 2, 4, 4, 3)]),
    ("Unfold", ((2, 3),), {"padding": 1, "stride": 2}, [(2, 3, 5, 6)]),
    ("Fold", ((4, 5), (2, 3)), {"padding": 1, "stride": 2}, [(2, 12, 9)]),
    ("Softmax2d", (), {}, [(2, 3, 4, 5)]),
    ("Dropout2d", (0.0,), {}, [(2, 3, 4, 5)]),
    ("PReLU", (), {}, [(2, 3, 4)]),
    ("PReLU", (3,), {"init": 0.1}, [(2, 3, 4)]),
]  # fmt: skip
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "args", "options", "inputs"), CASES, ids=IDS)
def test_layers_are_pytorchs(name: str, args: Any, options: Any, inputs: Any, dtype: str) -> None:
    check(lambda library: getattr(library, name)(*args, **options), inputs, dtype, steps=3)


@pytest.mark.parametrize(("name", "args", "options", "inputs"), CASES, ids=IDS)
def test_they_print_and_begin_as_pytorchs(name: str, args: Any, options: Any, inputs: Any) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)

    def text(module: Any) -> str:  # norms print their bias from PyTorch 2.13 on
        return re.sub(r", bias=(True|False)", "", repr(module)) if "Norm" in name else repr(module)

    assert text(ours) == text(theirs)
    mine, others = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(others)
    for key, value in mine.items():
        assert tuple(value.shape) == tuple(others[key].shape)
        assert str(value.dtype) == str(others[key].dtype).removeprefix("torch.")
        if value.is_floating_point() and others[key].numpy().std() == 0:
            np.testing.assert_array_equal(value.numpy(), others[key].numpy())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("Conv1d", (30, 40, 5), {}),
        ("Conv2d", (20, 40, 5), {"groups": 2}),
        ("Conv3d", (8, 32, 3), {}),
        ("ConvTranspose1d", (30, 60, 5), {}),
        ("ConvTranspose2d", (20, 60, 3), {}),
        ("Embedding", (300, 50), {}),
        ("Bilinear", (20, 30, 40), {}),
    ],
)
def test_initial_weights_have_pytorchs_distribution(name: str, args: Any, options: Any) -> None:
    torch = pytest.importorskip("torch")
    tg.manual_seed(3)
    torch.manual_seed(3)
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    for key, value in ours.state_dict().items():
        mine, others = value.numpy(), theirs.state_dict()[key].numpy()
        few = mine.size < 100  # a bias: a few dozen numbers
        assert mine.std() == pytest.approx(others.std(), rel=0.35 if few else 0.04)
        assert abs(mine.mean()) < 5 * others.std() / np.sqrt(mine.size)
        if name != "Embedding":  # uniform: both end at the same bound
            assert np.abs(mine).max() == pytest.approx(np.abs(others).max(), rel=0.15 if few else 0.01)


def test_a_state_of_pytorchs_batch_norm_loads_and_continues() -> None:
    torch, ours, theirs = twins(lambda library: library.Sequential(library.Conv2d(2, 3, 3), library.BatchNorm2d(3)))
    for i in range(3):
        step(torch, ours, theirs, [np.random.default_rng(i).standard_normal((2, 2, 5, 5))], "float64")
    twin = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).double()
    twin.load_state_dict({name: tg.tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    assert twin[1].num_batches_tracked.item() == 3
    x = tg.tensor(np.random.default_rng(7).standard_normal((2, 2, 5, 5)))
    np.testing.assert_allclose(twin.eval()(x).detach().numpy(), ours.eval()(x).detach().numpy(), rtol=1e-12)
    theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in ours.state_dict().items()})


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d", "BatchNorm2d", "MaxPool2d", "AvgPool2d", "GroupNorm"])
def test_any_layout_of_the_input_gives_the_same(name: str) -> None:
    args = {"Conv2d": (4, 6, 3), "ConvTranspose2d": (4, 6, 3), "BatchNorm2d": (4,), "GroupNorm": (2, 4)}.get(name, (2,))
    layer = getattr(nn, name)(*args).double()
    x = np.random.default_rng(0).standard_normal((3, 4, 6, 7))
    expected = layer(tg.tensor(x)).detach().numpy()
    for view in (np.ascontiguousarray(x.transpose(2, 3, 0, 1)).transpose(2, 3, 0, 1), x[::-1].copy()[::-1]):
        leaf = tg.from_numpy(view).requires_grad_()
        y = layer(leaf)
        np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-12, atol=1e-12)
        y.sum().backward()
        assert leaf.grad.shape == leaf.shape


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(3, 4, 3), nn.MaxPool2d(2), nn.AvgPool2d(2),
                                   nn.AdaptiveAvgPool2d(2), nn.GroupNorm(3, 3), nn.InstanceNorm2d(3), nn.Upsample(9),
                                   nn.BatchNorm2d(3).eval(), nn.ReflectionPad2d(1), nn.PixelUnshuffle(2)],
                         ids=lambda layer: type(layer).__name__)  # fmt: skip
def test_no_sample_is_a_batch_too(layer: Any) -> None:
    x = tg.zeros(0, 3, 6, 6, requires_grad=True)
    y = layer(x)
    assert y.shape[0] == 0
    assert y.shape[1:] == layer(tg.ones(2, 3, 6, 6)).shape[1:]
    y.sum().backward()
    assert x.grad.shape == x.shape
    for parameter in layer.parameters():
        assert (parameter.grad.numpy() == 0).all()


def test_output_size_chooses_among_what_a_stride_allows() -> None:
    torch, ours, theirs = twins(lambda library: library.ConvTranspose2d(2, 3, 3, stride=3))
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 4))
    for size in ([12, 13], (1, 3, 14, 12)):
        a, b = ours(tg.tensor(x), output_size=size), theirs(torch.tensor(x), output_size=list(size))
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match=r"must lie between \[12, 12\] and \[14, 14\]"):
        ours(tg.tensor(x), output_size=(15, 12))


def test_unpooling_puts_entries_back_also_where_windows_overlap() -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((2, 3, 7, 7))
    for kernel, stride, size in ((3, 2, None), (2, 2, (7, 7))):
        a = nn.MaxUnpool2d(kernel, stride)(*nn.MaxPool2d(kernel, stride, return_indices=True)(tg.tensor(x)), size)
        pooled = torch.nn.MaxPool2d(kernel, stride, return_indices=True)(torch.tensor(x))
        b = torch.nn.MaxUnpool2d(kernel, stride)(*pooled, size)
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    z = np.random.default_rng(1).standard_normal((1, 2, 4, 6, 4))
    a = nn.MaxUnpool3d(2)(*nn.MaxPool3d(2, return_indices=True)(tg.tensor(z)))
    b = torch.nn.MaxUnpool3d(2)(*torch.nn.MaxPool3d(2, return_indices=True)(torch.tensor(z)))
    np.testing.assert_array_equal(a.numpy(), b.numpy())
    y, indices = nn.MaxPool1d(2, return_indices=True)(tg.tensor(x[0]))
    back = nn.MaxUnpool1d(2)(y, indices, (7,))
    np.testing.assert_array_equal(back.numpy(), np.where(np.isin(x[0], y.numpy()), x[0], 0))
    with pytest.raises(IndexError, match="max_unpool2d: indices reach"):
        nn.MaxUnpool2d(2)(tg.ones(1, 1, 2, 2), tg.tensor([[[[0, 1], [2, 16]]]]))


def test_embedding_keeps_its_padding_row_and_its_table() -> None:
    layer = nn.Embedding(5, 3, padding_idx=-1)
    assert layer.padding_idx == 4
    assert layer.weight[4].abs().sum().item() == 0
    layer(tg.tensor([4, 1, 1])).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy(), [[0] * 3, [2] * 3, [0] * 3, [0] * 3, [0] * 3])
    table = tg.tensor(np.arange(6.0).reshape(3, 2))
    frozen = nn.Embedding.from_pretrained(table)
    assert not frozen.weight.requires_grad
    np.testing.assert_array_equal(frozen(tg.tensor([2, 0])).numpy(), [[4, 5], [0, 1]])
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad


@pytest.mark.parametrize(("name", "shape"), [("Dropout1d", (40, 50, 3)), ("Dropout2d", (40, 50, 3, 2)),
                                             ("Dropout3d", (40, 50, 2, 2, 1)), ("Dropout1d", (2000, 3)),
                                             ("Dropout3d", (2000, 1, 2, 1))])  # fmt: skip
def test_whole_channels_are_dropped(name: str, shape: tuple[int, ...]) -> None:
    layer = getattr(nn, name)(0.3, generator=tg.Generator(1))
    x = tg.ones(*shape, requires_grad=True)
    y = layer(x)
    lead = 1 if len(shape) in (2, 4) and name != "Dropout2d" else 2
    channels = y.detach().numpy().reshape(int(np.prod(shape[:lead])), -1)
    assert (channels == channels[:, :1]).all()
    kept = channels[:, 0] != 0
    assert abs(kept.mean() - 0.7) < 0.05
    np.testing.assert_allclose(channels[kept], 1 / 0.7, rtol=1e-6)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    assert layer.eval()(x) is x


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = tg.randn(200, 200, generator=tg.Generator(2), dtype="float64")
    y = nn.AlphaDropout(0.2, generator=tg.Generator(3))(x)
    assert abs(y.mean().item()) < 0.02
    assert abs(y.std().item() - 1) < 0.02
    _, counts = np.unique(y.numpy(), return_counts=True)
    assert abs(counts.max() / y.numel() - 0.2) < 0.01  # the dropped ones share one value
    torch = pytest.importorskip("torch")
    theirs = np.unique(torch.nn.functional.alpha_dropout(torch.ones(1000).double(), 0.2, True).numpy())
    ours = np.unique(nn.functional.alpha_dropout(tg.ones(1000, dtype="float64"), 0.2, True).numpy())
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_gumbel_softmax_samples_the_softmax() -> None:
    logits = tg.tensor(np.log([0.2, 0.5, 0.3])).expand(20000, 3).contiguous().requires_grad_()
    tg.manual_seed(0)
    hard = nn.functional.gumbel_softmax(logits, 0.7, hard=True)
    shares = hard.detach().numpy()
    np.testing.assert_allclose(shares.mean(axis=0), [0.2, 0.5, 0.3], atol=0.02)
    assert set(np.unique(shares.round(12))) == {0.0, 1.0}
    (hard * tg.tensor([1.0, 2.0, 3.0], dtype="float64")).sum().backward()
    assert logits.grad.abs().sum().item() > 0
    soft = nn.functional.gumbel_softmax(logits.detach(), 0.7, generator=tg.Generator(4))
    np.testing.assert_allclose(soft.sum(1).numpy(), 1)
    again = nn.functional.gumbel_softmax(logits.detach(), 0.7, generator=tg.Generator(4))
    np.testing.assert_array_equal(soft.numpy(), again.numpy())


X = tg.ones(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Conv2d(4, 2, 3)(X), ValueError, r"Conv2d\(4, 2.*has 3 channels, but a weight"),
        (lambda: nn.Conv2d(3, 2, 5)(X), RuntimeError, r"window of \(5, 5\).*does not fit an input of \(4, 4\)"),
        (lambda: nn.Conv1d(3, 2, 2)(tg.ones(2, 4, 3, 3)), RuntimeError, "must be .batch, channels, 1 spatial"),
        (lambda: nn.Conv1d(1, 2, 2)(tg.ones(4)), RuntimeError, "unsqueeze"),
        (lambda: nn.Conv2d(3, 2, 3)(X.double()), TypeError, "input is float64, weight float32"),
        (lambda: nn.functional.conv2d(X, tg.ones(3, 1, 2, 2), groups=0), RuntimeError, "groups=0 must be positive"),
        (lambda: nn.functional.conv2d(X, 3), TypeError, "weight must be a tensor, got int"),
        (lambda: nn.functional.conv2d("x", tg.ones(1, 1, 1, 1)), TypeError, "input must be a tensor, got str"),
        (lambda: nn.Conv2d(3, 2, 3, groups=2), ValueError, "groups=2"),
        (lambda: nn.Conv2d(3, 2, 3, padding="full"), ValueError, '"full"'),
        (lambda: nn.Conv2d(3, 2, 3, padding="same", stride=2), ValueError, "needs stride 1"),
        (lambda: nn.Conv2d(3, 2, 3, padding_mode="mirror"), ValueError, '"mirror"'),
        (lambda: nn.Conv2d(3, 2, (3, 3, 3)), ValueError, "kernel_size"),
        (lambda: nn.Conv2d(3, 2, 3, stride=0), ValueError, "stride is 0"),
        (lambda: nn.Conv2d(3, 2, 3.0), TypeError, "kernel_size is 3.0"),
        (lambda: nn.ConvTranspose2d(3, 2, 3, output_padding=1)(X), ValueError, r"output_padding \(1, 1\)"),
        (lambda: nn.ConvTranspose2d(3, 2, 3, padding_mode="reflect"), ValueError, '"zeros" only'),
        (lambda: nn.MaxPool2d(5)(X), RuntimeError, r"window of \(5, 5\)"),
        (lambda: nn.MaxPool2d(2, padding=2)(X), ValueError, "more than half"),
        (lambda: nn.MaxPool2d(2)(X.long()), TypeError, "float"),
        (lambda: nn.AvgPool2d(2, divisor_override=0)(X), ValueError, "divisor_override"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3))(X), ValueError, "output_size"),
        (lambda: nn.BatchNorm2d(3)(tg.ones(2, 3, 4)), ValueError, r"expected 4D input \(got 3D"),
        (lambda: nn.BatchNorm1d(3)(tg.ones(1, 3)), ValueError, "one value per channel"),
        (lambda: nn.BatchNorm2d(4)(X), ValueError, r"\(4,\); \(3,\)"),
        (lambda: nn.InstanceNorm2d(3)(tg.ones(2, 3, 1, 1)), ValueError, "one value per channel"),
        (lambda: nn.LayerNorm(3)(X), ValueError, r"\(2, 3, 4, 4\), but is normalised over \(3,\)"),
        (lambda: nn.GroupNorm(2, 3), ValueError, "divide into num_groups 2"),
        (lambda: nn.GroupNorm(3, 6)(tg.ones(2, 5, 2)), RuntimeError, "3 groups"),
        (lambda: nn.Embedding(3, 2)(tg.tensor([3])), IndexError, "3 rows"),
        (lambda: nn.Embedding(3, 2)(tg.tensor([0.5])), TypeError, "integers"),
        (lambda: nn.Embedding(3, 2, sparse=True), ValueError, "sparse"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, "out of range"),
        (lambda: nn.ReflectionPad2d(4)(X), RuntimeError, "cannot add 4 and 4"),
        (lambda: nn.ReflectionPad2d((1, 2)), ValueError, "or 4 of them"),
        (lambda: nn.functional.pad(X, (1, 2, 3)), RuntimeError, "two for each dimension"),
        (lambda: nn.functional.pad(X, (1, 2), "wrap"), ValueError, '"wrap"'),
        (lambda: nn.functional.interpolate(X, 2, mode="linear"), ValueError, "does not fit"),
        (lambda: nn.functional.interpolate(X), ValueError, "either size or scale_factor"),
        (lambda: nn.functional.interpolate(X, 2, align_corners=True), ValueError, "align_corners"),
        (lambda: nn.PixelShuffle(2)(X), RuntimeError, "multiple of"),
        (lambda: nn.functional.unfold(X, 5), RuntimeError, "does not fit"),
        (lambda: nn.functional.fold(tg.ones(1, 5, 4), (3, 3), 2), RuntimeError, "4 windows of 4"),
        (lambda: nn.PReLU(2)(X), RuntimeError, "2 weights"),
        (lambda: nn.GLU(1)(X), RuntimeError, "two halves"),
        (lambda: nn.Dropout2d()(tg.ones(3)), RuntimeError, "no channels"),
        (lambda: nn.functional.prelu(X, tg.ones(2)), RuntimeError, "2 weights"),
    ],
)
def test_what_has_no_meaning_is_refused(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_softmax_without_a_dimension_chooses_as_pytorch_does() -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for shape in ((3,), (2, 3), (2, 3, 4), (2, 3, 2, 2)):
            x = np.random.default_rng(0).standard_normal(shape)
            for name in ("Softmax", "LogSoftmax", "Softmin"):
                ours, theirs = getattr(nn, name)()(tg.tensor(x)), getattr(torch.nn, name)()(torch.tensor(x))
                np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12)


def test_truncated_normal_dirac_and_sparse_initialisation() -> None:
    torch = pytest.importorskip("torch")
    tg.manual_seed(0)
    w = nn.init.trunc_normal_(tg.zeros(300, 200), 0.5, 2.0, -1.0, 3.0).numpy()
    expected = torch.nn.init.trunc_normal_(torch.zeros(300, 200), 0.5, 2.0, -1.0, 3.0).numpy()
    assert w.min() >= -1
    assert w.max() <= 3
    assert w.mean() == pytest.approx(expected.mean(), abs=0.02)
    assert w.std() == pytest.approx(expected.std(), rel=0.01)
    assert np.abs(np.quantile(w, [0.1, 0.3, 0.7, 0.9]) - np.quantile(expected, [0.1, 0.3, 0.7, 0.9])).max() < 0.03
    with pytest.raises(ValueError, match="too far"):
        nn.init.trunc_normal_(tg.zeros(3), 0.0, 0.1, 5.0, 6.0)
    for shape, groups in (((4, 2, 3), 2), ((3, 5, 2, 3), 1), ((6, 2, 1, 3, 2), 3)):
        ours, theirs = nn.init.dirac_(tg.ones(*shape), groups), torch.nn.init.dirac_(torch.ones(*shape), groups)
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    sparse = nn.init.sparse_(tg.zeros(50, 40), 0.3, 0.1).numpy()
    assert ((sparse == 0).sum(axis=0) == 15).all()
    assert sparse[sparse != 0].std() == pytest.approx(0.1, rel=0.1)
    assert len({tuple(column) for column in (sparse == 0).T}) > 30  # each column has its own zeros
    for call in (lambda: nn.init.dirac_(tg.ones(3, 3)), lambda: nn.init.sparse_(tg.ones(3), 0.1)):
        with pytest.raises(ValueError, match="shape"):
            call()


def test_vectors_of_length_zero_have_a_gradient() -> None:
    torch = pytest.importorskip("torch")
    x = np.array([[0.0, 0, 0], [3, 4, 0]])
    for name, inputs in (("normalize", [x]), ("cosine_similarity", [x, x[::-1].copy()]), ("pairwise_distance", [x, x])):
        ours, theirs = [tg.tensor(v, requires_grad=True) for v in inputs], [torch.tensor(v) for v in inputs]
        for leaf in theirs:
            leaf.requires_grad_()
        options = {"eps": 0.0} if name == "pairwise_distance" else {}
        getattr(nn.functional, name)(*ours, **options).sum().backward()
        getattr(torch.nn.functional, name)(*theirs, **options).sum().backward()
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12, atol=1e-14)
