"""Random tensors: their distributions, shapes, dtypes, repeatability, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

N = 20000


@pytest.fixture(autouse=True)
def _seed() -> None:
    tg.manual_seed(5)


@pytest.mark.parametrize(
    ("draw", "mean", "std"),
    [
        (lambda: tg.rand(N), 0.5, 12**-0.5),
        (lambda: tg.randn(N, dtype=tg.float64), 0, 1),
        (lambda: tg.normal(3.0, 2.0, (N,)), 3, 2),
        (lambda: tg.normal(tg.full((N,), 3.0), tg.full((N,), 2.0)), 3, 2),
        (lambda: tg.bernoulli(tg.full((N,), 0.3)), 0.3, 0.21**0.5),
        (lambda: tg.poisson(tg.full((N,), 2.5)), 2.5, 2.5**0.5),
        (lambda: tg.randint(10, (N,)), 4.5, (99 / 12) ** 0.5),
        (lambda: tg.randint(-3, 3, (N,)), -0.5, (35 / 12) ** 0.5),
        (lambda: tg.empty(N).uniform_(-1, 3), 1, 4 / 12**0.5),
        (lambda: tg.empty(N).normal_(1, 0.5), 1, 0.5),
        (lambda: tg.empty(N).exponential_(2.0), 0.5, 0.5),
        (lambda: tg.empty(N).bernoulli_(0.7), 0.7, 0.21**0.5),
        (lambda: tg.empty(N, dtype=tg.int64).random_(4), 1.5, (15 / 12) ** 0.5),
        (lambda: tg.rand_like(tg.zeros(N)), 0.5, 12**-0.5),
        (lambda: tg.randn_like(tg.zeros(N)), 0, 1),
        (lambda: tg.randint_like(tg.zeros(N), 10), 4.5, (99 / 12) ** 0.5),
    ],
)
def test_mean_and_deviation(draw: Any, mean: float, std: float) -> None:
    x = draw().double()
    assert x.shape == (N,)
    assert x.mean().item() == pytest.approx(mean, abs=5 * std / N**0.5)
    assert x.std().item() == pytest.approx(std, rel=0.05)
    tg.manual_seed(5)
    np.testing.assert_array_equal(draw().double().numpy(), x.numpy())  # the same seed, the same numbers
    assert (draw().double() != x).any()


def test_multinomial_draws_in_proportion() -> None:
    weights = tg.tensor([1.0, 0.0, 3.0, 6.0])
    found = tg.multinomial(weights, N, replacement=True)
    assert found.dtype == tg.int64
    np.testing.assert_allclose(np.bincount(found.numpy(), minlength=4) / N, [0.1, 0, 0.3, 0.6], atol=0.015)
    rows = tg.multinomial(weights.expand(N, 4), 2)  # without replacement: no position twice, none of weight 0
    assert rows.shape == (N, 2)
    assert not (rows[:, 0] == rows[:, 1]).any()
    assert not (rows == 1).any()
    first = np.bincount(rows[:, 0].numpy(), minlength=4) / N
    np.testing.assert_allclose(first, [0.1, 0, 0.3, 0.6], atol=0.015)
    second = np.bincount(rows[rows[:, 0] == 3][:, 1].numpy(), minlength=4)
    assert second[2] / second.sum() == pytest.approx(0.75, abs=0.02)
    for bad in (tg.tensor([-1.0, 2]), tg.tensor([0.0, 0]), tg.tensor([float("nan"), 1])):
        with pytest.raises(ValueError, match="weights are finite"):
            tg.multinomial(bad, 1)
    with pytest.raises(ValueError, match="fewer than 4 weights above 0"):
        tg.multinomial(weights, 4)


def test_states_go_on_where_they_were() -> None:
    tg.rand(7)
    state = tg.get_rng_state()
    first = tg.randn(5)
    tg.set_rng_state(state)
    np.testing.assert_array_equal(tg.randn(5).numpy(), first.numpy())
    assert tg.initial_seed() == 5
    generator = tg.Generator("cpu").manual_seed(3)
    a = tg.rand(4, generator=generator)
    np.testing.assert_array_equal(tg.rand(4, generator=tg.Generator().manual_seed(3)).numpy(), a.numpy())
    np.testing.assert_array_equal(np.sort(tg.randperm(50).numpy()), np.arange(50))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: tg.randint(5, 5, (2,)), ValueError, "low 5 must be below"),
        (lambda: tg.randint(5), TypeError, r"randint\(10, \(2, 3\)\)"),
        (lambda: tg.bernoulli(tg.tensor([1.5])), ValueError, "lie in"),
        (lambda: tg.poisson(tg.tensor([-1.0])), ValueError, "not negative"),
        (lambda: tg.normal(0.0, 1.0), TypeError, "size is wanted"),
        (lambda: tg.rand(2, -1), ValueError, "not negative"),
        (lambda: tg.rand(2, device="cuda"), RuntimeError, "not available"),
        (lambda: tg.zeros(2, dtype=tg.int64).normal_(), TypeError, "real numbers"),
        (lambda: tg.rand(2, requires_grad=True).uniform_(), RuntimeError, "leaf"),
        (lambda: tg.device("tpu"), ValueError, "no device"),
        (lambda: tg.cuda.current_device(), RuntimeError, "no GPU"),
    ],
)
def test_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_devices_and_sizes_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    for args in (("cpu",), ("cuda:1",), ("cuda", 2), ("cpu", 0)):
        mine, theirs = tg.device(*args), torch.device(*args)
        assert (str(mine), mine.type, mine.index, repr(mine)) == (str(theirs), theirs.type, theirs.index, repr(theirs))
    assert tg.ones(2).device == "cpu"
    assert tg.ones(2).device == tg.device("cpu")
    assert tg.ones(2, 3).size().numel() == 6
    assert repr(tg.ones(2, 3).size()) == repr(torch.ones(2, 3).size()).removeprefix("torch.")
    assert not tg.cuda.is_available()
    assert tg.cuda.device_count() == 0
    assert tg.ones(2).to(tg.device("cpu")).device.type == "cpu"


def test_changing_the_shape_in_place_keeps_the_history() -> None:
    torch = pytest.importorskip("torch")
    results = []
    for t in (tg, torch):
        x = t.tensor([[1.0, 2, 3]], requires_grad=True)
        y = x * x
        y.squeeze_(0)
        y.unsqueeze_(1)
        z = y.t_() * t.tensor([1.0, 2, 3])
        z.transpose_(0, 1)
        z.sum().backward()
        results.append((tuple(y.shape), tuple(z.shape), x.grad.tolist()))
        with pytest.raises(RuntimeError):
            x.squeeze_()
    assert results[0] == results[1]


def test_half_precision_is_kept_and_promoted_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for t in (tg, torch):
        x = t.ones(3, dtype=t.float16)
        assert str((x + x).dtype).removeprefix("torch.") == "float16"
        assert str((x + t.ones(3)).dtype).removeprefix("torch.") == "float32"
        assert (x.half() * 2).sum().item() == 6
        assert str(x.float().half().dtype).removeprefix("torch.") == "float16"
    with pytest.raises(TypeError, match="bfloat16 is not supported; use float32"):
        tg.ones(2).to(tg.bfloat16)


def test_compile_gives_what_it_gets() -> None:
    def double(x: Any) -> Any:
        return x + x

    assert tg.compile(double) is double
    assert tg.compile(mode="default")(double) is double
    like = tg.empty_like(tg.zeros(2, 3, dtype=tg.int64), dtype=tg.float64)
    assert (like.shape, like.dtype) == ((2, 3), tg.float64)
