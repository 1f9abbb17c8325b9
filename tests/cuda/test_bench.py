"""`python -m bench cuda`, with another clock: what it does on a GPU runs here too, its figures mean nothing here."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bench import cuda as bench
from tinygrad_edu.kernels.cuda import products


def clock(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_every_step_is_checked_and_timed(gpu: Any) -> None:
    found = bench.measured(quick=True, timer=clock, libraries=False)
    formats = ["tf32", "bf16"] if gpu.gpu.capability >= 80 else []
    assert [row["step"] for row in found["ladder"]] == [*products.LADDER, *formats]
    assert {"gemm_block128_nn", *[f"gemm_{name}_nn" for name in formats]} <= gpu.launches.keys()
    assert products.precision == ["highest"]
    text = bench.markdown(found)
    assert "| 128² | block128 |" in text
    assert "| softmax |" in text


def test_a_wrong_step_is_not_timed(monkeypatch: Any) -> None:
    monkeypatch.setattr(products, "product", lambda c, a, b: bench.cuda.copy(a, out=c))
    with pytest.raises(AssertionError, match="is wrong by"):
        bench.ladder(128, clock, 1, libraries=False)
