"""Products on tensor cores: what is rounded, when they are used, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.cuda.arrays import back, placed, random
from tinygrad_edu.kernels import cuda
from tinygrad_edu.kernels.cuda import products


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def highest_again(gpu: Any) -> Iterator[None]:
    if gpu.gpu.capability < 80:
        pytest.skip(f"sm_{gpu.gpu.capability} has no tensor cores that are used here")
    yield
    tg.set_float32_matmul_precision("highest")


def rounded(x: np.ndarray, precision: str) -> np.ndarray:
    """To TF32, ties away from zero, or to bfloat16, ties to even."""
    bits = np.ascontiguousarray(x).view(np.uint32).astype(np.uint64)
    tf32, bf16 = (bits + 0x1000) & 0xFFFFE000, (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return (tf32 if precision == "high" else bf16).astype(np.uint32).view(np.float32).astype(np.float64)


@pytest.mark.parametrize("precision", ["high", "medium"])
@pytest.mark.parametrize("right", ["contiguous", "transposed"])
@pytest.mark.parametrize("left", ["contiguous", "transposed"])
@pytest.mark.parametrize(("m", "n", "k"), [(128, 128, 16), (132, 260, 40), (300, 128, 8)])
def test_operands_are_rounded_and_sums_are_not(
    gpu: Any, rng: Any, m: int, n: int, k: int, left: str, right: str, precision: str
) -> None:
    a, b, bias = (random(rng, shape, np.float32) for shape in ((m, k), (k, n), (n,)))
    wanted = rounded(a, precision) @ rounded(b, precision)
    tg.set_float32_matmul_precision(precision)
    before = dict(gpu.launches)
    y = back(cuda.matmul(placed(a, left), placed(b, right)))
    name = f"gemm_{products.FORMATS[precision]}_{'nt'[left == 'transposed']}{'nt'[right == 'transposed']}"
    assert gpu.launches[name] == before.get(name, 0) + 1
    bound = np.abs(rounded(a, precision)) @ np.abs(rounded(b, precision)) * (k + 2) * 2.0**-24
    assert (np.abs(y - wanted) <= bound).all()
    assert np.abs(y - a.astype(float) @ b).max() > 4 * bound.max()  # they are rounded indeed
    if right == "transposed":
        layer = back(cuda.linear(placed(a, left), placed(np.ascontiguousarray(b.T)), placed(bias)))
        assert (np.abs(layer - wanted - bias) <= bound + np.abs(layer) * 2.0**-23).all()


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_a_batch_and_activations(gpu: Any, rng: Any, precision: str) -> None:
    a, b = random(rng, (3, 128, 24), np.float32), random(rng, (3, 24, 132), np.float32)
    tg.set_float32_matmul_precision(precision)
    y = back(cuda.matmul(placed(a), placed(b)))
    np.testing.assert_allclose(y, rounded(a, precision) @ rounded(b, precision), rtol=1e-5, atol=2e-4)
    x, w = random(rng, (160, 16), np.float32), random(rng, (128, 16), np.float32)
    z = rounded(x, precision) @ rounded(w, precision).T
    y, before = cuda.linear_activation(placed(x), placed(w), None, "silu")
    np.testing.assert_allclose(back(before), z, rtol=1e-5, atol=2e-4)
    np.testing.assert_allclose(back(y), z / (1 + np.exp(-z)), rtol=1e-4, atol=5e-4)


def test_infinities_and_nan_stay(gpu: Any) -> None:
    a, b = np.zeros((128, 16), np.float32), np.eye(16, 128, dtype=np.float32)
    a[0, 0], a[1, 1], a[2, 2] = np.inf, np.nan, 3.0
    for precision in ("high", "medium"):
        tg.set_float32_matmul_precision(precision)
        y = back(cuda.matmul(placed(a), placed(b)))
        assert y[0, 0] == np.inf
        assert np.isnan(y[1]).any()
        assert y[2, 2] == 3.0


def test_only_where_they_are_and_where_they_are_allowed(gpu: Any, rng: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = placed(random(rng, (128, 16), np.float32)), placed(random(rng, (16, 128), np.float32))

    def launched() -> set[str]:
        before = dict(gpu.launches)
        cuda.matmul(a, b)
        return {name for name, count in gpu.launches.items() if count != before.get(name, 0)}

    assert launched() == {"gemm_block128_nn"}
    tg.backends.cuda.matmul.allow_tf32 = True
    assert tg.get_float32_matmul_precision() == "high"
    assert launched() == {"gemm_tf32_nn"}
    tg.set_float32_matmul_precision("medium")
    assert tg.backends.cuda.matmul.allow_tf32
    assert launched() == {"gemm_bf16_nn"}
    monkeypatch.setattr(gpu.gpu, "capability", 75)
    assert launched() == {"gemm_block128_nn"}
    monkeypatch.undo()
    tg.backends.cuda.matmul.fp32_precision = "ieee"
    assert launched() == {"gemm_block128_nn"}
    with pytest.raises(ValueError, match="fp32_precision"):
        tg.backends.cuda.matmul.fp32_precision = "tf16"
    x = tg.randn(128, 16)
    exact = x @ x.T
    tg.set_float32_matmul_precision("medium")  # of the GPU's products: the CPU's stay as they are
    assert (x @ x.T == exact).all()


def test_a_network_learns_with_them(gpu: Any) -> None:
    def losses(precision: str) -> list[float]:
        tg.set_float32_matmul_precision(precision)
        tg.manual_seed(0)
        model = tg.nn.Sequential(tg.nn.Linear(16, 128), tg.nn.GELU(), tg.nn.Linear(128, 128)).to("cuda")
        x = tg.randn(128, 16).to("cuda")
        y = tg.randn(128, 128).to("cuda")
        optimizer = tg.optim.Adam(model.parameters(), lr=1e-2)
        found = []
        for _ in range(6):
            optimizer.zero_grad()
            loss = tg.nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    exact, tf32, bf16 = map(losses, ("highest", "high", "medium"))
    assert exact != tf32 != bf16
    np.testing.assert_allclose(tf32, exact, rtol=1e-3)
    np.testing.assert_allclose(bf16, exact, rtol=1e-2)
    assert exact[-1] < exact[0]
