"""wmma in all executions: the products of bfloat16, float16 and TF32, and that a warp is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cuda_host

cuda_host.require()
from cuda_host import KernelError, host_gpu  # noqa: E402

TEXT = (Path(__file__).parent / "kernels" / "tensor_cores.cu").read_text(encoding="utf-8")


def as_bf16(x: np.ndarray) -> np.ndarray:
    """The bits of float32 rounded to the nearest bfloat16, ties to even."""
    bits = x.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def widened(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("build", ["fast", "check", "ptx"])
@pytest.mark.parametrize("kind", ["bf16", "f16", "tf32"])
def test_products(kind: str, build: str) -> None:
    gpu, rng = host_gpu(build, seed=2, arch=80), np.random.default_rng(4)
    m, n, k = 32, 64, 48
    a, b = rng.standard_normal((m, k), dtype=np.float32), rng.standard_normal((k, n), dtype=np.float32)
    given: list[Any] = [a, b]
    if kind == "bf16":
        given = [as_bf16(a), as_bf16(b)]
        a, b = map(widened, given)
    elif kind == "f16":
        given = [a.astype(np.float16), b.astype(np.float16)]
        a, b = given
    else:  # the unit reads 19 of the 32 bits
        a, b = ((x.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32) for x in given)
    c = gpu.cupy.empty((m, n), np.float32)
    function = gpu.raw_module(TEXT).get_function(f"product_{kind}")
    sizes = [np.int32(x) for x in (m, n, k)]
    function((n // 32, m // 32), (128,), (*map(gpu.to_device, given), c, *sizes))
    np.testing.assert_allclose(gpu.to_host(c), a.astype(float) @ b.astype(float), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("build", ["check", "ptx"])
def test_layouts_and_an_accumulator_that_is_loaded(build: str) -> None:
    gpu, rng = host_gpu(build, arch=80), np.random.default_rng(4)
    a, b = (rng.standard_normal((16, 16)).astype(np.float16) for _ in range(2))
    c = rng.standard_normal((16, 16), dtype=np.float32)
    out = gpu.to_device(c)
    function = gpu.raw_module(TEXT).get_function("product_transposed")
    function((1,), (32,), (gpu.to_device(a), gpu.to_device(b), out, np.int32(16)))
    expected = (c + a.astype(float) @ b.T.astype(float)).T
    np.testing.assert_allclose(gpu.to_host(out), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("build", ["check", "ptx"])
def test_half_a_warp_is_no_warp(build: str) -> None:
    gpu = host_gpu(build, arch=80)
    a, c = gpu.to_device(np.ones((16, 16), np.float16)), gpu.to_device(np.ones((16, 16), np.float32))
    text = TEXT.replace("wmma::load_matrix_sync(sum", "if (threadIdx.x > 15) return; //")
    function = gpu.raw_module(text).get_function("product_transposed")
    with pytest.raises(KernelError, match="divergent-warp"):
        function((1,), (32,), (a, a, c, np.int32(16)))


def test_conversions_round_to_even_and_keep_nan() -> None:
    x = np.array([1, 1 + 2**-8, 1 + 3 * 2**-8, -2.5, np.inf, np.nan, 3.4e38, 1e-40], np.float32)
    gpu = host_gpu()
    y, back = gpu.cupy.empty((8,), np.uint16), gpu.cupy.empty((8,), np.float32)
    gpu.raw_module(TEXT).get_function("to_bf16")((1,), (8,), (gpu.to_device(x), y, back))
    expected = widened(as_bf16(x))
    expected[5] = np.nan
    np.testing.assert_array_equal(gpu.to_host(back), expected)
