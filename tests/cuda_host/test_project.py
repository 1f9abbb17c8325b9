"""This project's own kernels: three descriptions of their parameters agree, the compiler made of them what was meant,
and each runs in both executions that look at every access."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import cuda_host

cuda_host.require()
from cuda_host import evidence, host_gpu  # noqa: E402
from cuda_host.build import build  # noqa: E402
from cuda_host.evidence import text  # noqa: E402
from cuda_host.library import Module  # noqa: E402
from cuda_host.nvrtc import (  # noqa: E402
    ARCHITECTURES,
    compiled,
    differences,
    machine_code,
    nvdisasm,
    nvrtc,
    parsed,
    resources,
)
from tests.cuda.arrays import FLOATS, WHOLE, check, placed, random  # noqa: E402
from tinygrad_edu.kernels import cuda  # noqa: E402
from tinygrad_edu.kernels.cuda import gpu as gpu_module  # noqa: E402
from tinygrad_edu.kernels.cuda import products  # noqa: E402
from tinygrad_edu.kernels.cuda.signatures import ALL, ARITHMETIC, BACKWARD, BITS, COMPARISONS, FILES, KERNELS, UNARY  # noqa: E402

# NVRTC takes half a minute for an architecture; the gate does one, TGE_CUDA_EVERY_ARCH=1 all of them.
EVERY = os.environ.get("TGE_CUDA_EVERY_ARCH", "") not in ("", "0")
SMALL = ("gemm.cu", "gemm128.cu", "gemm_tensor.cu", "softmax.cu", "random.cu", "optimisers.cu", "attention.cu")
LETTERS = {"p": ("p", 8), "i": ("i", 4), "l": ("i", 8), "f": ("f", 4), "d": ("f", 8), "u": ("u", 4), "U": ("u", 8)}


@pytest.fixture(scope="module", autouse=True)
def compiled_ahead() -> None:
    """Everything that the tests here compile: g++ runs beside NVRTC, which this thread keeps to itself."""
    with ThreadPoolExecutor(1) as pool:
        jobs = [pool.submit(build, text(file), (), kind) for kind in ("fast", "check") for file in FILES]
        for file in FILES:
            compiled(text(file), (), "compute_75")
        for job in jobs:
            job.result()


# ---- parameters
@pytest.mark.parametrize("arch", ARCHITECTURES if EVERY else (75,))
@pytest.mark.parametrize("file", FILES)
def test_table_and_cpp_and_ptx_have_the_same_parameters(file: str, arch: int) -> None:
    cpp = Module(build(text(file)), False, None).parameters
    ptx = parsed(text(file), (), arch).kernels
    assert FILES[file].keys() == cpp.keys() == ptx.keys()
    for name, letters in FILES[file].items():
        assert [LETTERS[x] for x in letters] == [(p.kind, p.size) for p in cpp[name]], name
        assert not differences(cpp[name], ptx[name].parameters), name


# ---- what the compiler made of them
@pytest.mark.parametrize("arch", ARCHITECTURES if EVERY else (80,))
@pytest.mark.parametrize("file", FILES if EVERY else SMALL)
def test_no_spills_and_registers_within_bounds(file: str, arch: int) -> None:
    for name, used in resources(text(file), (), arch).items():
        assert used.spill_stores == used.spill_loads == 0, (name, used)
        # sm_100 and 120 unroll softmax of float64 further, of which they compute little at a time anyway.
        most = 128 if name.startswith(("gemm", "attention")) else 80 if name.endswith("_f64") and arch >= 100 else 64
        assert used.registers <= most, (name, used)
        assert used.shared <= 48 * 1024, (name, used)
        # Local memory only where CUDA's own sine and cosine reduce large angles.
        assert used.stack == 0 or re.match(r"(sin|cos|tan|normal)_", name), (name, used)


needs_nvdisasm = pytest.mark.skipif(nvdisasm() is None, reason=f"no nvdisasm: {cuda_host.INSTALL}")


@needs_nvdisasm
def test_the_blocked_product_reads_shared_memory_in_128_bits() -> None:
    body = machine_code(text("gemm.cu"), (), 80)["gemm_block64_f32"]
    assert len(re.findall(r"LDS\.128", body)) >= 2 * 16  # a row of A and one of B for each of the 16 steps of a tile
    assert len(re.findall(r"\bFFMA\b", body)) >= 16 * 16
    assert not re.search(r"\b(LDL|STL)\b", body)  # local memory: the sums stay in registers


@needs_nvdisasm
def test_the_table_in_the_docs_is_what_the_compiler_says() -> None:
    if nvrtc.getVersion() != evidence.VERSION:
        pytest.skip(f"the table in docs/cuda.md is that of NVRTC {evidence.VERSION}, here is {nvrtc.getVersion()}")
    assert evidence.table() in evidence.PAGE.read_text(encoding="utf-8"), "python tests/cuda_host/evidence.py writes it"


# ---- both executions that check
@pytest.fixture(scope="module", params=["check", "ptx"])
def device(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A device double in use."""
    before = list(gpu_module._current)
    gpu_module._current[:] = [gpu_module.Device(host_gpu(request.param, seed=1))]
    yield gpu_module._current[0]
    gpu_module._current[:] = before


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


# A cast to the same dtype is a copy, and the parts of a sum are added along.
UNUSED = {f"cast_{t}_{t}" for t in ALL} | {"sum_f64_f32_across"}
REST = {"leaky_relu": (0.1,), "softplus": (1.5, 20.0), "elu": (0.7,), "gelu": (False,)}


# ---- every kernel on one small odd shape; tests/cuda has all shapes and layouts, and close tolerances
def elementwise(dtype: Any, rng: Any) -> None:
    a, b = (random(rng, (5, 7), dtype) for _ in range(2))
    for name in UNARY:
        check(name, [placed(a, "transposed")], *REST.get(name, ()), ulps=64, scale=10)
    for name in [*ARITHMETIC, *COMPARISONS, "div", "atan2"]:
        check(name, [placed(a), placed(b, "transposed")], ulps=8)
    check("pow", [placed(np.abs(a)), placed(b)], ulps=64)
    for name in BACKWARD:
        check(name, [placed(a), placed(b)], *REST.get(name.removesuffix("_backward"), ()), ulps=64, scale=10)
    check("mse", [placed(a), placed(b)], "mean", ulps=20)
    for reduction in ("none", "mean"):
        g = placed(random(rng, (5, 7) if reduction == "none" else (), dtype))
        check("mse_backward", [g, placed(a), placed(b)], reduction, ulps=8, scale=10)


def whole_numbers(dtype: Any, rng: Any) -> None:
    a, b = (random(rng, (5, 7), dtype) for _ in range(2))
    for name in [*COMPARISONS, "maximum", "minimum", *([] if dtype == np.bool_ else ARITHMETIC)]:
        check(name, [placed(a), placed(b, "transposed")])
    for name in ("neg", "abs", "sign") if dtype != np.bool_ else ():
        check(name, [placed(a)])
    for name in BITS:
        cuda.bits(name.removeprefix("bit"), placed(a), placed(b))


def memory(dtype: Any, rng: Any) -> None:
    x, c = random(rng, (5, 7), dtype), random(rng, (5, 7), np.bool_)
    for layout in ("transposed", "sliced"):
        cuda.copy(placed(x, layout))
    for other in (*FLOATS, *WHOLE, np.bool_):
        cuda.cast(placed(np.abs(x) if dtype != np.bool_ else x, "transposed"), other)
    check("where", [placed(c), placed(x, "transposed"), placed(x)])
    cuda.full((9,), 1, dtype)
    x = random(rng, (5, 33), dtype)  # wide enough for the kernels that go across rows
    for name in ("sum", "amax", "amin", "argmax", "argmin"):
        for axis in (0, 1):
            check(name, [placed(x)], axis if name.startswith("arg") else (axis,), False, scale=100)


def families(dtype: Any, rng: Any) -> None:
    x, g = random(rng, (5, 37), dtype), random(rng, (5, 37), dtype)
    for name in ("softmax", "log_softmax"):
        y = check(name, [placed(x)], 1, scale=10, ulps=24)
        check(name + "_backward", [placed(g), y], 1, scale=100, ulps=8)
    target = placed(np.array([0, 36, 7, 1, 1]))
    for reduction in ("none", "mean"):
        loss, lse, total = cuda.cross_entropy(placed(x), target, None, 1, 0.1, reduction)
        gy = placed(np.ones(loss.shape, dtype))
        cuda.to_host(cuda.cross_entropy_backward(gy, placed(x), target, lse, None, 1, 0.1, reduction, total))
    for shape in ((4200,), (4100, 16)):  # in parts
        check("sum", [placed(np.ones(shape, dtype))], (0,), False)
    before = products.step[0]
    for step in products.LADDER:
        products.step[0] = step
        check("matmul", [placed(x), placed(g.T.copy(), "transposed")], scale=999, ulps=8)
    products.step[0] = before
    stream = (5, 2, 7)
    cuda.uniform((9,), -1, 1, dtype, *stream), cuda.normal((9,), 0, 1, dtype, *stream), cuda.philox(9, *stream)
    cuda.dropout(placed(x), 0.3, *stream)
    p, m, v = ([placed(np.abs(random(rng, (7,), dtype)))] for _ in range(3))
    options = {"lr": 0.1, "weight_decay": 0.1, "maximize": False}
    cuda.sgd(p, m, v, momentum=0.9, dampening=0.0, nesterov=False, first=False, **options)
    cuda.adam(p, p, m, v, None, beta1=0.9, beta2=0.99, eps=1e-8, decoupled=False, step=2, **options)
    grads = [placed(random(rng, shape, dtype)) for shape in ((5000,), (3, 5))]
    cuda.limit_norm(grads, cuda.total_norm(grads), 1.0)


def layers(dtype: Any, rng: Any) -> None:
    def some(*shape: int) -> Any:
        return placed(random(rng, shape, dtype))

    geometry = ((2, 1), (1, 0), (1, 1))  # stride, padding, dilation
    x, w = some(2, 2, 5, 4), some(3, 2, 2, 3)
    y = check("convolve", [x, w, some(3)], *geometry, 1, scale=200)
    check("convolve_input_gradient", [y, w], (5, 4), *geometry, 1, scale=2000)
    check("convolve_parameter_gradients", [y, x], (2, 3), *geometry, 1, scale=2000)
    y, places = check("max_pool", [x], (2, 2), *geometry, False)
    check("scatter_planes", [y, places], (5, 4), scale=20)
    y = check("avg_pool", [x], (2, 2), *geometry[:2], False, True, None, scale=4)
    check("avg_pool_backward", [y], (5, 4), (2, 2), *geometry[:2], False, True, None, scale=20)
    rows = placed(np.array([0, 4, 4]))
    check("take_backward", [check("take", [some(5, 7), rows]), rows], 5, -1, scale=20)
    x, g = some(3, 7), some(3, 7)
    y, mean, rstd = check("layer_norm", [x, some(7), some(7)], 1e-5, scale=10, ulps=8)
    check("layer_norm_backward", [g, x, mean, rstd, some(7)], scale=500, ulps=8)
    x, g = some(2, 3, 5), some(2, 3, 5)
    y, mean, rstd = check("batch_norm", [x, some(3), some(3)], 1e-5, scale=10, ulps=8)
    check("batch_norm_backward", [g, x, mean, rstd, some(3)], scale=500, ulps=8)
    for width in (3, 70, 130):  # one kernel each, and none
        q, k, v = (placed(random(rng, (2, 5, width), dtype) / 2) for _ in range(3))
        y, lse = check("attention", [q, k, v, None], True, 0.5, scale=10, ulps=30)
        for gradient in cuda.attention_backward(y, q, k, v, None, True, 0.5, y, lse):
            cuda.to_host(gradient)


def sequences(dtype: Any, rng: Any) -> None:
    gx, gh, c = (placed(random(rng, (3, n), dtype)) for n in (20, 20, 5))
    _, new, gates = check("lstm_cell", [gx, gh, c], scale=20, ulps=64)
    check("lstm_cell_backward", [c, c, gates, c, new], scale=200, ulps=64)
    _, kept = check("gru_cell", [gx[:, :15], gh[:, :15], c], scale=20, ulps=64)
    check("gru_cell_backward", [c, kept, c], scale=200, ulps=64)


def order_and_index(dtype: Any, rng: Any) -> None:
    x = random(rng, (2, 300), dtype)  # more than one wave, and two runs
    check("cumsum", [placed(x)], 1, scale=900)
    check("argsort", [placed(x)], 1, True)
    x, index = placed(random(rng, (5, 3, 4), dtype), "transposed"), (placed(np.array([1, -1, 1])), slice(None))
    values = cuda.pick(x, index)
    cuda.put(x, index, values)
    if dtype != np.bool_:
        cuda.index_add(x, index, values)


def wide_products(rng: Any) -> None:
    a, b = (random(rng, shape, np.float32) for shape in ((132, 16), (16, 128)))
    for left in ("contiguous", "transposed"):
        for right in ("contiguous", "transposed"):
            check("matmul", [placed(a, left), placed(b, right)], scale=144)


def tensor_products(rng: Any) -> None:
    """Of numbers that TF32 and bfloat16 hold, so that the products are those of float32."""
    a, b = (np.rint(random(rng, shape, np.float32)) for shape in ((132, 24), (24, 128)))
    try:
        for precision in products.FORMATS:
            products.precision[0] = precision
            for left in ("contiguous", "transposed"):
                for right in ("contiguous", "transposed"):
                    check("matmul", [placed(a, left), placed(b, right)])
    finally:
        products.precision[0] = "highest"


def test_every_kernel_runs_in_both_executions_that_check(device: Any, rng: Any) -> None:
    for dtype in FLOATS:
        elementwise(dtype, rng)
        families(dtype, rng)
        layers(dtype, rng)
        sequences(dtype, rng)
    wide_products(rng)
    launched = set()
    if device.gpu.capability < 80:  # tensor cores came later
        gpu_module._current[:] = [gpu_module.Device(host_gpu("ptx", arch=80))]
        tensor_products(rng)
        launched, gpu_module._current[:] = set(gpu_module._current[0].launches), [device]
    else:
        tensor_products(rng)
    for dtype in (*WHOLE, np.bool_):
        whole_numbers(dtype, rng)
    for dtype in (*FLOATS, *WHOLE, np.bool_):
        memory(dtype, rng)
        order_and_index(dtype, rng)
    assert KERNELS.keys() - device.launches.keys() - launched <= UNUSED


@pytest.mark.parametrize("arch", [a for a in ARCHITECTURES if EVERY and a != 75])
def test_every_kernel_runs_on_every_architecture(arch: int, rng: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    device = gpu_module.Device(host_gpu("ptx", arch=arch))
    monkeypatch.setattr(gpu_module, "_current", [device])
    test_every_kernel_runs_in_both_executions_that_check(device, rng)
