"""Distributions: densities, entropies, divergences and gradients as PyTorch's; samples by their statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import distributions as D

LOC, SCALE, PROBS = [[0.5, -2.0], [0.0, 3.0]], [[1.0, 0.5], [2.0, 0.1]], [[0.2, 0.7], [1.0, 0.5]]
TABLE = [[0.2, 0.5, 0.3], [2.0, 1.0, 1.0]]
CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("Normal", {"loc": LOC, "scale": SCALE}, [[0.1, -1.0], [5.0, 3.1]]),
    ("Laplace", {"loc": LOC, "scale": SCALE}, [[0.1, -1.0], [5.0, 3.1]]),
    ("Uniform", {"low": LOC, "high": [[1.5, 0.0], [1.0, 3.5]]}, [[0.6, -1.0], [0.0, 3.1]]),
    ("Exponential", {"rate": SCALE}, [[0.1, 1.0], [0.0, 3.1]]),
    ("Bernoulli", {"probs": PROBS}, [[1.0, 0.0], [1.0, 1.0]]),
    ("Bernoulli", {"logits": LOC}, [[1.0, 0.0], [1.0, 1.0]]),
    ("Categorical", {"probs": TABLE}, [2, 0]),
    ("Categorical", {"logits": TABLE}, [2, 0]),
]
IDS = [f"{name}-{next(iter(options))}" for name, options, _ in CASES]


def both(torch: Any, name: str, options: dict[str, Any]) -> list[tuple[Any, Any, list[Any]]]:
    result = []
    for library in (tg, torch):
        made = {k: library.tensor(v, dtype=library.float64, requires_grad=True) for k, v in options.items()}
        result.append((library, getattr(library.distributions, name)(**made), list(made.values())))
    return result


def assert_equal(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("name", "options", "value"), CASES, ids=IDS)
def test_quantities_and_gradients_are_pytorchs(name: str, options: dict[str, Any], value: Any) -> None:
    torch = pytest.importorskip("torch")
    (_, a, ours), (_, b, theirs) = both(torch, name, options)
    assert a.batch_shape == tuple(b.batch_shape)
    dtypes = (np.float64, np.int64)
    quantities = ["entropy", "log_prob"] + ["cdf"] * (name not in ("Bernoulli", "Categorical"))
    for quantity in quantities:
        results = []
        for library, d, inputs in ((tg, a, ours), (torch, b, theirs)):
            arguments = (
                [] if quantity == "entropy" else [library.tensor(np.asarray(value, dtypes[name == "Categorical"]))]
            )
            result = getattr(d, quantity)(*arguments)
            weights = library.tensor(np.arange(1.0, result.numel() + 1).reshape(result.shape))
            (result * weights).sum().backward()
            results.append((result, [x.grad for x in inputs]))
            for x in inputs:
                x.grad = None
            made = {k: x.detach().requires_grad_() for k, x in zip(options, inputs, strict=True)}
            inputs[:] = made.values()
            if library is tg:
                a = getattr(D, name)(**made)
            else:
                b = getattr(torch.distributions, name)(**made)
        assert_equal(results[0][0], results[1][0])
        if name != "Uniform":  # its support's edges: PyTorch gives the density no gradient through the value
            for g, h in zip(results[0][1], results[1][1], strict=True):
                if h is not None:
                    assert_equal(g, h)
    if name != "Categorical":
        for moment in ("mean", "variance", "stddev"):
            assert_equal(getattr(a, moment), getattr(b, moment))
    if name in ("Bernoulli", "Categorical"):
        assert_equal(a.probs, b.probs)
        assert_equal(a.logits, b.logits)
    assert_equal(a.expand((3, *a.batch_shape)).entropy(), b.expand(torch.Size((3, *a.batch_shape))).entropy())


@pytest.mark.parametrize(("name", "options", "value"), CASES, ids=IDS)
def test_samples_have_the_moments_and_shapes(name: str, options: dict[str, Any], value: Any) -> None:
    tg.manual_seed(3)
    made = {k: tg.tensor(v, dtype=tg.float64, requires_grad=True) for k, v in options.items()}
    d = getattr(D, name)(**made)
    assert d.sample().shape == d.batch_shape
    x = d.sample((4, 10_000))
    assert x.shape == (4, 10_000, *d.batch_shape)
    assert not x.requires_grad
    flat, n = x.numpy().reshape(40_000, -1), 40_000
    if name == "Categorical":
        assert x.dtype == tg.int64
        for column, p in zip(flat.T, d.probs.detach().numpy().reshape(-1, 3), strict=True):
            counts = np.bincount(column, minlength=3)
            assert ((counts - n * p) ** 2 / (n * p)).sum() < 20  # chi square, 2 degrees of freedom: p = 5e-5
    else:
        mean, var = (getattr(d, k).detach().numpy().reshape(-1) for k in ("mean", "variance"))
        assert (abs(flat.mean(0) - mean) <= 5 * np.sqrt(var / n)).all()
        assert (abs(flat.var(0) - var) <= 0.06 * var + 1e-12).all()
    tg.manual_seed(3)
    d.sample()
    assert (d.sample((4, 10_000)) == x).all()
    if d.has_rsample:
        again = d.rsample((5,))
        again.sum().backward()
        assert all(p.grad is not None for p in made.values())
        assert (d.cdf(x) <= 1).all()
        u = np.sort(d.cdf(x).detach().numpy().reshape(n, -1), 0)  # Kolmogorov–Smirnov
        assert abs(u - np.arange(n)[:, None] / n).max() < 2.2 / math.sqrt(n)
    else:
        with pytest.raises(NotImplementedError, match="use sample"):
            d.rsample()


def test_divergences_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    other = {"loc": [[0.0, 1.0], [2.0, 3.0]], "scale": [[2.0, 1.5], [0.2, 1.0]], "rate": [[2.0, 1.5], [0.2, 1.0]],
             "probs": [[0.5, 0.1], [0.3, 0.9]], "logits": [[0.3, 2.0], [1.0, -1.0]]}  # fmt: skip
    tables = {"probs": [[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]], "logits": [[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]]}
    for name, options, _ in CASES:
        if name == "Uniform":
            continue
        second = {k: (tables if name == "Categorical" else other)[k] for k in options}
        results = []
        for library in (tg, torch):
            p, q = (
                getattr(library.distributions, name)(
                    **{k: library.tensor(v, dtype=library.float64) for k, v in o.items()}
                )
                for o in (options, second)
            )
            results.append(library.distributions.kl_divergence(p, q))
        assert_equal(*results)
    p = D.Independent(D.Normal(tg.zeros(3, 2), tg.ones(3, 2)), 1)
    assert D.kl_divergence(p, p).tolist() == [0, 0, 0]
    with pytest.raises(NotImplementedError, match="no formula"):
        D.kl_divergence(p.base_dist, D.Exponential(1.0))


def test_independent_adds_up_and_shows_its_shapes() -> None:
    base = D.Normal(tg.zeros(4, 3), tg.ones(4, 3))
    d = D.Independent(base, 1)
    assert (d.batch_shape, d.event_shape) == ((4,), (3,))
    x = d.rsample((2,))
    assert x.shape == (2, 4, 3)
    assert d.log_prob(x).shape == (2, 4)
    np.testing.assert_allclose(d.log_prob(x).numpy(), base.log_prob(x).sum(-1).numpy(), rtol=1e-6)
    assert d.entropy().shape == (4,)
    assert d.expand((5, 4)).batch_shape == (5, 4)
    assert repr(d) == "Independent(Normal(loc: (4, 3), scale: (4, 3)), 1)"
    with pytest.raises(ValueError, match="3 dimensions wanted"):
        D.Independent(base, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: D.Normal(0.0, -1.0), "scale must be above 0"),
        (lambda: D.Normal(float("nan"), 1.0), "loc is NaN"),
        (lambda: D.Normal(0.0, 1.0).log_prob(tg.tensor(float("nan"))), "value is NaN"),
        (lambda: D.Uniform(1.0, 1.0), "low must be below high"),
        (lambda: D.Uniform(0.0, 1.0).log_prob(tg.tensor(2.0)), "outside"),
        (lambda: D.Exponential(0.0), "rate must be above 0"),
        (lambda: D.Exponential(1.0).log_prob(tg.tensor(-1.0)), "below 0"),
        (lambda: D.Bernoulli(1.5), r"probs must lie in \[0, 1\]"),
        (lambda: D.Bernoulli(0.5).log_prob(tg.tensor(0.5)), "neither 0 nor 1"),
        (lambda: D.Bernoulli(), "either probs or logits"),
        (lambda: D.Categorical(tg.tensor([-1.0, 2.0])), "probs must be ≥ 0"),
        (lambda: D.Categorical(tg.tensor([0.0, 0.0])), "sum above 0"),
        (lambda: D.Categorical(tg.tensor(1.0)), "last dimension"),
        (lambda: D.Categorical(tg.ones(3)).log_prob(tg.tensor(3)), "no class of 0 … 2"),
    ],
)
def test_wrong_parameters_and_values_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_unchecked_distributions_give_infinite_answers() -> None:
    assert D.Uniform(0.0, 1.0, validate_args=False).log_prob(tg.tensor([2.0, 0.5])).tolist() == [-math.inf, 0.0]
    assert bool(D.Normal(0.0, -1.0, validate_args=False).log_prob(tg.tensor(0.0)).isnan())


def test_a_policy_gradient_raises_the_probability_of_what_paid() -> None:
    tg.manual_seed(0)
    logits = tg.zeros(3, requires_grad=True)
    for _ in range(200):
        d = D.Categorical(logits=logits)
        action = d.sample()
        reward = 1.0 if action.item() == 2 else 0.0
        (-d.log_prob(action) * reward).backward()
        with tg.no_grad():
            logits -= 0.1 * logits.grad
        logits.grad = None
    assert D.Categorical(logits=logits).probs[2].item() > 0.8


def test_all_are_distributions() -> None:
    for one in (tg.distributions.Normal(0.0, 1.0), tg.distributions.Categorical(probs=tg.ones(3))):
        assert isinstance(one, tg.distributions.Distribution)
