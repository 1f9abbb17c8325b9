"""The host execution of CUDA kernels gives CUDA's results, and its CuPy double takes and refuses what CuPy does."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cuda_host

cuda_host.require()
from cuda_host import KernelError, host_gpu  # noqa: E402
from cuda_host.build import BuildError  # noqa: E402

SAMPLES = (Path(__file__).parent / "kernels" / "samples.cu").read_text(encoding="utf-8")
F, I32, L = np.float32, np.int32, np.int64


class Bench:
    """A Gpu with the sample kernels loaded."""

    def __init__(self, build: str, seed: int) -> None:
        self.gpu = host_gpu(build, seed)
        self.module = self.gpu.raw_module(SAMPLES, ("--std=c++17",))

    def __call__(self, name: str, grid: Any, block: Any, *args: Any, **options: Any) -> None:
        args = tuple(self.gpu.to_device(a) if isinstance(a, np.ndarray) else a for a in args)
        self.module.get_function(name)(grid, block, args, **options)

    def empty(self, *shape: int, dtype: Any = F) -> Any:
        return self.gpu.cupy.empty(shape, dtype)

    def get(self, array: Any) -> np.ndarray:
        return self.gpu.to_host(array)


@pytest.fixture(scope="module", params=[("fast", 0), ("fast", 3), ("check", 0), ("check", 5), ("ptx", 0)], ids=str)
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(*request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("n", [1, 31, 256, 1000])
def test_elementwise(bench: Bench, rng: np.random.Generator, n: int) -> None:
    x, y = rng.standard_normal((2, n), dtype=F)
    out = bench.empty(n)
    bench("scale_add", (3,), (64,), x, y, out, F(0.5), L(n))
    np.testing.assert_array_equal(bench.get(out), F(0.5) * x + y)
    bench("scale4", (-(-n // 128),), (32,), x, out, F(3), I32(n))
    np.testing.assert_array_equal(bench.get(out), F(3) * x)


@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (16, 16, 16), (33, 18, 47), (5, 40, 3)])
def test_matmul_in_shared_memory(bench: Bench, rng: np.random.Generator, m: int, n: int, k: int) -> None:
    a, b = rng.standard_normal((m, k), dtype=F), rng.standard_normal((k, n), dtype=F)
    c = bench.empty(m, n)
    bench("matmul_tile16", (-(-n // 16), -(-m // 16)), (16, 16), a, b, c, I32(m), I32(n), I32(k))
    np.testing.assert_allclose(bench.get(c), a.astype(float) @ b, rtol=1e-5, atol=1e-5)


def test_dynamic_shared_memory(bench: Bench, rng: np.random.Generator) -> None:
    x = rng.standard_normal(500, dtype=F)
    sums = bench.empty(4)
    bench("block_sums", (4,), (128,), x, sums, I32(500), shared_mem=512)
    np.testing.assert_allclose(
        bench.get(sums), [x[i : i + 128].sum(dtype=float) for i in range(0, 500, 128)], rtol=1e-5
    )


@pytest.mark.parametrize(("rows", "cols", "block"), [(1, 1, 32), (5, 7, 64), (9, 300, 128)])
def test_softmax_by_warps(bench: Bench, rng: np.random.Generator, rows: int, cols: int, block: int) -> None:
    x = 3 * rng.standard_normal((rows, cols), dtype=F)
    y = bench.empty(rows, cols)
    bench("softmax_rows", (2,), (block,), x, y, I32(rows), I32(cols))
    e = np.exp(x.astype(float) - x.max(1, keepdims=True))
    np.testing.assert_allclose(bench.get(y), e / e.sum(1, keepdims=True), rtol=1e-5)


def test_warp_barriers(bench: Bench) -> None:
    x, y = np.arange(20, dtype=F), bench.empty(1)
    bench("warp_tree", (1,), (32,), x, y, I32(20))
    assert bench.get(y) == [190]


def test_atomics(bench: Bench, rng: np.random.Generator) -> None:
    x = rng.integers(0, 5, 300, dtype=I32)
    counts, total = bench.gpu.to_device(np.zeros(5, I32)), bench.gpu.to_device(np.zeros(1, F))
    bench("histogram", (5,), (64,), x, counts, total, I32(300))
    np.testing.assert_array_equal(bench.get(counts), np.bincount(x))
    assert bench.get(total) == x.sum()


def test_shuffles_and_votes(bench: Bench) -> None:
    v = np.arange(32, dtype=I32) * 7 % 31
    out = bench.empty(11, 32, dtype=I32)
    bench("warp_words", (1,), (32,), v, out)
    lane = np.arange(32)
    segment = lane // 8 * 8
    ballot = np.uint32(sum(1 << int(i) for i in lane[v % 3 == 0])).astype(I32)
    expected = [
        np.full(32, v[5]),
        v[segment + (lane + 1) % 8],
        v[np.where(lane >= 3, lane - 3, lane)],
        v[np.where(lane - 3 >= segment, lane - 3, lane)],
        v[np.where(lane + 3 < 32, lane + 3, lane)],
        v[np.where(lane + 3 < segment + 8, lane + 3, lane)],
        v[lane ^ 9],
        v[np.where((lane ^ 9) < segment + 8, lane ^ 9, lane)],
        np.full(32, ballot),
        np.ones(32, I32),
        np.where(lane < 16, v[15], -1),
    ]
    np.testing.assert_array_equal(bench.get(out), expected)


def test_votes_of_a_block(bench: Bench) -> None:
    out = bench.empty(96, dtype=I32)
    for x, told in ((np.arange(96) - 90, 11005), (np.ones(96), 11096), (np.zeros(96), 0)):
        bench("votes", (1,), (96,), x.astype(I32), out)
        assert set(bench.get(out).tolist()) == {told - 10000 if told == 11005 else told}


def test_asynchronous_copies(bench: Bench, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 128), dtype=F)
    out = bench.empty(3, 128)
    bench("async_rotate", (1,), (32,), x, out, I32(3))
    np.testing.assert_array_equal(bench.get(out), np.roll(x, -4, axis=1))


NAN, INF = math.nan, math.inf
VALUES = np.array([0, -0.0, 1, -1.5, 0.3, 5, -7, 80, NAN, INF, -INF, 3e9], F)
with np.errstate(all="ignore"):
    MATHS = {
        "expf": np.exp(VALUES),
        "fast_exp": np.exp(VALUES),
        "tanhf": np.tanh(VALUES),
        "erff": [math.erf(v) for v in VALUES],
        "rsqrtf": 1 / np.sqrt(VALUES),
        "relu_c": np.fmax(VALUES, 0),  # NaN becomes 0: fmaxf is no relu
        "max_overload": np.fmax(VALUES, 0),
        "divide": 1 / VALUES,
        "to_int": [0, 0, 1, -1, 0, 5, -7, 80, 0, 2**31, -(2**31), 2**31],
        "saturate": [0, 0, 1, 0, 0.3, 1, 0, 1, 0, 1, 0, 1],
        "bits": np.abs(VALUES),
    }


@pytest.mark.parametrize("name", MATHS)
def test_mathematics(bench: Bench, name: str) -> None:
    out = bench.empty(len(VALUES))
    bench(f"unary_{name}", (1,), (len(VALUES),), VALUES, out)
    np.testing.assert_allclose(bench.get(out), np.array(MATHS[name], F), rtol=3e-7, atol=1e-38)


@pytest.mark.parametrize(("grid", "block"), [((7,), (5,)), ((2, 3), (4, 5)), ((2, 1, 3), (3, 4, 5))])
def test_geometry(bench: Bench, grid: tuple[int, ...], block: tuple[int, ...]) -> None:
    shape = math.prod(grid), math.prod(block)
    out = bench.empty(*shape, dtype=I32)
    bench("where_am_i", grid, block, out)
    np.testing.assert_array_equal(bench.get(out), 1000 * np.arange(shape[0])[:, None] + np.arange(shape[1]))


def arguments(**changed: Any) -> tuple[Any, ...]:
    """Right ones for `every_type`, but for those that are named."""
    gpu = host_gpu()
    d, long, b = (gpu.to_device(np.array([v], t)) for v, t in ((1.5, float), (-3, L), (200, np.uint8)))
    given = {
        "d": d,
        "l": long,
        "b": b,
        "f": F(0.25),
        "g": np.float64(1),
        "i": I32(-7),
        "j": L(2**40),
        "u": np.uint32(2**31),
    }
    given |= {"v": np.uint64(2**50), "flag": np.bool_(True), "out": gpu.cupy.empty((1,), float)}
    assert changed.keys() <= given.keys()
    return tuple((given | changed).values())


def test_every_kind_of_argument(bench: Bench) -> None:
    args = arguments()
    bench("every_type", (1,), (1,), *args)
    assert bench.get(args[-1]) == [1.5 - 3 + 200 + 0.25 + 1 - 7 + 2**40 + 2**31 + 2**50 + 0.5]
    bench("every_type", (1,), (1,), *arguments(j=2**40, g=1.0, flag=True))  # these CuPy passes with the right size


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"f": 0.25}, "argument 3: the kernel takes float32, given is float, which CuPy passes as float64"),
        ({"i": 7}, "argument 5: the kernel takes int32, given is int, which CuPy passes as int64"),
        ({"j": I32(7)}, "argument 6: the kernel takes int64, given is int32"),
        ({"u": I32(7)}, "argument 7: the kernel takes uint32, given is int32"),
        ({"v": F(7)}, "argument 8: the kernel takes uint64, given is float32"),
        ({"flag": 1}, "argument 9: the kernel takes bool, given is int, which CuPy passes as int64"),
        ({"d": None}, None),
        ({"f": None}, "argument 3: the kernel takes float32, given is None"),
        ({"d": F(1)}, "argument 0: the kernel takes float64*, given is float32"),
        ({"d": np.ones(3)}, "argument 0: a NumPy array lies in host memory"),
        ({"g": "x"}, "argument 4: Unsupported type"),
    ],
)
def test_arguments_are_packed_as_cupy_packs_them(changed: dict[str, Any], told: str | None) -> None:
    function = host_gpu().raw_module(SAMPLES).get_function("every_type")
    args = arguments(**changed)
    if told is None:  # a null pointer is an argument like any other; the check build sees that it is followed
        function = host_gpu("check").raw_module(SAMPLES).get_function("every_type")
        with pytest.raises(KernelError, match="out-of-bounds"):
            function((1,), (1,), args)
        return
    with pytest.raises(TypeError, match="every_type: " + told.replace("*", r"\*")):
        function((1,), (1,), args)


def test_arrays_have_the_type_that_the_kernel_reads() -> None:
    function, gpu = host_gpu().raw_module(SAMPLES).get_function("every_type"), host_gpu()
    wrong = gpu.to_device(np.ones(1, F))
    with pytest.raises(TypeError, match=r"argument 0: the kernel takes float64\*, given is an array of float32"):
        function((1,), (1,), arguments(d=wrong))
    with pytest.raises(TypeError, match="argument 6: the kernel takes int64, given is an array"):
        function((1,), (1,), arguments(j=wrong))
    with pytest.raises(TypeError, match="11 parameters, 10 arguments"):
        function((1,), (1,), arguments()[:10])


@pytest.mark.parametrize(
    ("grid", "block", "options", "error"),
    [
        ([1], (32,), {}, TypeError),
        ((1,), 32, {}, TypeError),
        ((0,), (32,), {}, ValueError),
        ((1, 65536), (32,), {}, ValueError),
        ((1,), (1025,), {}, ValueError),
        ((1,), (32, 33), {}, ValueError),
        ((1,), (1, 1, 65), {}, ValueError),
        ((1,), (32,), {"shared_mem": 48 * 1024 + 1}, ValueError),
    ],
)
def test_launches_that_no_device_takes(grid: Any, block: Any, options: dict[str, int], error: type[Exception]) -> None:
    bench = Bench("fast", 0)
    with pytest.raises(error, match="where_am_i"):
        bench("where_am_i", grid, block, bench.empty(2048, dtype=I32), **options)


def test_more_shared_memory_is_asked_for() -> None:
    bench = Bench("fast", 0)
    function = bench.module.get_function("block_sums")
    function.max_dynamic_shared_size_bytes = 64 * 1024
    x, sums = bench.gpu.to_device(np.ones(64, F)), bench.empty(1)
    function((1,), (64,), (x, sums, I32(64)), shared_mem=64 * 1024)
    assert bench.get(sums) == [64]


def test_arrays_are_cupys_own() -> None:
    gpu = host_gpu()
    x = gpu.to_device(np.arange(12, dtype=F).reshape(3, 4))
    assert type(x) is gpu.cupy.ndarray
    assert not x.T.flags.c_contiguous
    assert x[1:].data.ptr - x.data.ptr == 16
    np.testing.assert_array_equal(gpu.to_host(x[1:]), np.arange(4, 12, dtype=F).reshape(2, 4))
    with pytest.raises(ValueError, match="C-contiguous"):
        gpu.to_host(x.T)
    with pytest.raises(TypeError):
        gpu.to_host(np.ones(3))
    assert gpu.to_host(gpu.to_device(np.float64(3))).shape == ()
    assert gpu.to_host(gpu.to_device(np.ones((0, 3), F))).shape == (0, 3)


def test_nothing_else_of_cupy_runs_unnoticed() -> None:
    x = host_gpu().to_device(np.ones(3, F))
    for f in (lambda: x + x, lambda: x.sum(), lambda: x.get(), lambda: x.fill(0), lambda: x.copy()):
        with pytest.raises(Exception, match=r"cudaError|CUDA"):
            f()


def test_a_write_past_the_end_hits_a_guard_in_the_fast_build() -> None:
    bench = Bench("fast", 0)
    with pytest.raises(KernelError, match="argument 2 was written to 1 bytes after its end"):
        bench("scale_add", (1,), (32,), np.ones(9, F), np.ones(9, F), bench.empty(8), F(1), L(9))


def test_unwritten_memory_is_nan_in_the_fast_build_and_an_error_in_the_other() -> None:
    assert np.isnan(host_gpu().to_host(host_gpu().cupy.empty((5,), F))).all()
    with pytest.raises(KernelError, match="20 of 20 bytes were never written"):
        host_gpu("check").to_host(host_gpu().cupy.empty((5,), F))


def test_unknown_names_and_text_that_does_not_compile() -> None:
    gpu = host_gpu()
    with pytest.raises(RuntimeError, match="NOT_FOUND"):
        gpu.raw_module(SAMPLES).get_function("nothing")
    with pytest.raises(BuildError, match=r"kernels\.cu:1:.*oops"):
        gpu.raw_module('extern "C" __global__ void k(float* x) { oops; }')
    with pytest.raises(BuildError, match="no kernel"):
        gpu.raw_module("__device__ int f() { return 1; }")
    with pytest.raises(BuildError, match="unknown option"):
        gpu.raw_module(SAMPLES, ("--nonsense",))
    with pytest.raises(ValueError, match="'fast', 'check' or 'ptx'"):
        host_gpu("slow")


def test_local_includes_and_definitions(tmp_path: Path) -> None:
    (tmp_path / "common.cuh").write_text(
        "#pragma once\n__device__ __forceinline__ int twice(int x) { return 2 * x; }\n"
    )
    code = '#include "common.cuh"\n#include "common.cuh"\nextern "C" __global__ void k(int* y) { y[0] = twice(N); }'
    gpu = host_gpu()
    y = gpu.cupy.empty((1,), I32)
    gpu.raw_module(code, (f"-I{tmp_path}", "-DN=21")).get_function("k")((1,), (1,), (y,))
    assert gpu.to_host(y) == [42]
    with pytest.raises(BuildError, match=r"kernels\.cu:3:.*'N'"):
        gpu.raw_module(code, (f"-I{tmp_path}",))


PORTABLE = """
import numpy as np
from cuda_host import host_gpu
gpu = host_gpu("check", 1)
module = gpu.raw_module(open("SAMPLES").read())
x = np.random.default_rng(0).standard_normal((5, 100), dtype=np.float32)
y = gpu.cupy.empty(x.shape, x.dtype)
module.get_function("softmax_rows")((2,), (96,), (gpu.to_device(x), y, np.int32(5), np.int32(100)))
e = np.exp(x)
np.testing.assert_allclose(gpu.to_host(y), e / e.sum(1, keepdims=True), rtol=1e-5)
"""


def test_fibers_on_other_processors() -> None:
    """There the switch is swapcontext, which works here too."""
    environment = {**os.environ, "TGE_CUDA_HOST_UCONTEXT": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    script = PORTABLE.replace("SAMPLES", str(Path(__file__).parent / "kernels" / "samples.cu"))
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_list_of_equivalent_mutants_is_about_lines_that_are_there() -> None:
    from cuda_host import mutate

    assert mutate.OF_FILE.keys() == {path.name for path in mutate.SOURCES.iterdir() if path.suffix in (".cu", ".cuh")}
    listed = {(file, line) for file, lines in mutate.EQUIVALENT.items() for line in lines}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mutate, "EQUIVALENT", {})
        assert listed <= {(m.file, m.after) for file in mutate.OF_FILE for m in mutate.mutants(file)}
