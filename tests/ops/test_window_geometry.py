"""Convolutions, transposed convolutions and pools of any geometry: PyTorch's results and gradients, or both refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.nn import functional as F

torch = pytest.importorskip("torch")
PROFILE = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def some(d: int, least: int, most: int) -> Any:
    """One integer for each of d dimensions."""
    return st.tuples(*[st.integers(least, most)] * d)


@st.composite
def windows(draw: Any) -> dict[str, Any]:
    """Sizes of an input and of a window over it; not all of them fit."""
    d = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    return {
        "d": d,
        "batch": draw(st.integers(0, 2)),
        "groups": groups,
        "channels": groups * draw(st.integers(1, 2)),
        "outputs": groups * draw(st.integers(1, 2)),
        "spatial": draw(some(d, 1, 7)),
        "kernel": draw(some(d, 1, 3)),
        "stride": draw(some(d, 1, 3)),
        "padding": draw(some(d, 0, 2)),
        "dilation": draw(some(d, 1, 2)),
        "more": draw(some(d, 0, 2)),
        "ceil_mode": draw(st.booleans()),
        "include": draw(st.booleans()),
        "order": draw(st.permutations(range(d + 2))),
        "seed": draw(st.integers(0, 1000)),
    }


def laid_out(x: Any, order: Any) -> Any:
    """The same numbers with the axes in another order in memory."""
    order = list(order)[: x.ndim] if len(order) == x.ndim else list(range(x.ndim))
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


def both(name: str, order: Any, values: list[Any], *args: Any, **options: Any) -> None:
    """The function in both libraries: equal results and gradients, or an error in both."""
    mine = [tg.from_numpy(laid_out(v, order)).requires_grad_() for v in values]
    other = [torch.tensor(v, requires_grad=True) for v in values]
    try:
        expected = getattr(torch.nn.functional, name)(*other, *args, **options)
    except RuntimeError:
        with pytest.raises((RuntimeError, ValueError)):
            getattr(F, name)(*mine, *args, **options)
        return
    got = getattr(F, name)(*mine, *args, **options)
    if isinstance(expected, tuple):
        np.testing.assert_array_equal(got[1].numpy(), expected[1].numpy())
        got, expected = got[0], expected[0]
    assert tuple(got.shape) == tuple(expected.shape)
    np.testing.assert_allclose(got.detach().numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-11)
    seed = np.random.default_rng(1).standard_normal(tuple(expected.shape))
    got.backward(tg.tensor(seed))
    expected.backward(torch.tensor(seed))
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-10, atol=1e-11)


@PROFILE
@given(windows())
def test_convolution(w: dict[str, Any]) -> None:
    rng = np.random.default_rng(w["seed"])
    x = rng.standard_normal((w["batch"], w["channels"], *w["spatial"]))
    weight = rng.standard_normal((w["outputs"], w["channels"] // w["groups"], *w["kernel"]))
    bias = rng.standard_normal(w["outputs"])
    both(f"conv{w['d']}d", w["order"], [x, weight, bias], w["stride"], w["padding"], w["dilation"], w["groups"])


@PROFILE
@given(windows())
def test_transposed_convolution(w: dict[str, Any]) -> None:
    rng = np.random.default_rng(w["seed"])
    batch = max(w["batch"], 1)  # without a sample PyTorch does not check
    x = rng.standard_normal((batch, w["channels"], *w["spatial"]))
    weight = rng.standard_normal((w["channels"], w["outputs"] // w["groups"], *w["kernel"]))
    bias = rng.standard_normal(w["outputs"])
    rest = w["stride"], w["padding"], w["more"], w["groups"], w["dilation"]
    both(f"conv_transpose{w['d']}d", w["order"], [x, weight, bias], *rest)


@PROFILE
@given(windows())
def test_max_pool(w: dict[str, Any]) -> None:
    x = np.random.default_rng(w["seed"]).standard_normal((w["batch"], w["channels"], *w["spatial"]))
    rest = w["kernel"], w["stride"], w["padding"], w["dilation"], w["ceil_mode"]
    starts = [range(-p, n + p, s) for p, n, s in zip(w["padding"], w["spatial"], w["stride"], strict=True)]
    seen = [
        all(any(0 <= a + j * d < n for j in range(k)) for a in at if a + d * (k - 1) < n + p + s)
        for at, n, k, d, p, s in zip(
            starts, w["spatial"], w["kernel"], w["dilation"], w["padding"], w["stride"], strict=True
        )
    ]
    # a window of padding only has no meaning: PyTorch gives −inf, we refuse; and in one dimension PyTorch itself
    # takes more padding without return_indices than with it
    if all(seen) and (w["d"] > 1 or w["padding"][0] <= w["kernel"][0] // 2):
        both(f"max_pool{w['d']}d", w["order"], [x], *rest, return_indices=True)


@PROFILE
@given(windows())
def test_avg_pool(w: dict[str, Any]) -> None:
    x = np.random.default_rng(w["seed"]).standard_normal((w["batch"], w["channels"], *w["spatial"]))
    rest = w["kernel"], w["stride"], w["padding"], w["ceil_mode"], w["include"]
    if w["d"] < 3 or all(n >= k for n, k in zip(w["spatial"], w["kernel"], strict=True)):
        both(f"avg_pool{w['d']}d", w["order"], [x], *rest)  # avg_pool3d refuses what the padding would make fit


@PROFILE
@given(windows())
def test_adaptive_pools(w: dict[str, Any]) -> None:
    x = np.random.default_rng(w["seed"]).standard_normal((w["batch"], w["channels"], *w["spatial"]))
    both(f"adaptive_avg_pool{w['d']}d", w["order"], [x], w["kernel"])
    if w["d"] < 3:
        both(f"adaptive_max_pool{w['d']}d", w["order"], [x], w["kernel"], return_indices=True)


@PROFILE
@given(windows())
def test_resampling(w: dict[str, Any]) -> None:
    x = np.random.default_rng(w["seed"]).standard_normal((max(w["batch"], 1), w["channels"], *w["spatial"]))
    modes = ["nearest", "nearest-exact", "area", {1: "linear", 2: "bilinear", 3: "trilinear"}[w["d"]]]
    for mode in [*modes, *(["bicubic"] if w["d"] == 2 else [])]:
        size = tuple(k * s for k, s in zip(w["kernel"], w["stride"], strict=True))
        both("interpolate", w["order"], [x], size, mode=mode)
        if mode.endswith("linear") or mode == "bicubic":
            both("interpolate", w["order"], [x], size, mode=mode, align_corners=True)
        factor = tuple(k / d + 0.3 for k, d in zip(w["kernel"], w["dilation"], strict=True))
        ratios = [int(n * f) / n for n, f in zip(w["spatial"], factor, strict=True)]
        # where sizes stay or double, PyTorch's derivative of these modes is not that of what it computes
        odd = {1, 2} & {*ratios} if mode.startswith("nearest") else mode == "bicubic" and {*ratios} == {1}
        if mode != "area" and not odd:
            both("interpolate", w["order"], [x], scale_factor=factor, mode=mode)


@PROFILE
@given(windows())
def test_padding(w: dict[str, Any]) -> None:
    x = np.random.default_rng(w["seed"]).standard_normal((max(w["batch"], 1), w["channels"], *w["spatial"]))
    amounts = [n for pair in zip(w["padding"], w["more"], strict=True) for n in pair]
    for mode in ("constant", "reflect", "replicate", "circular"):
        both("pad", w["order"], [x], amounts, mode)
