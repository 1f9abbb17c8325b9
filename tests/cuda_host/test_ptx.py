"""NVRTC's PTX, interpreted: the same results on every architecture, and the mistakes that lock step can show."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import cuda_host

cuda_host.require()
from cuda_host import KernelError, host_gpu  # noqa: E402
from cuda_host.build import build  # noqa: E402
from cuda_host.library import Module, Parameter  # noqa: E402
from cuda_host.nvrtc import ARCHITECTURES, CompileError, compiled, differences, parsed, resources  # noqa: E402
from cuda_host.ptx import PtxError, parse, run  # noqa: E402
from cuda_host.ptx.arithmetic import fma64, rounded, to_integer  # noqa: E402
from cuda_host.ptx.machine import Array  # noqa: E402

FOLDER = Path(__file__).parent / "kernels"
SAMPLES, BUGS = ((FOLDER / f"{name}.cu").read_text(encoding="utf-8") for name in ("samples", "bugs"))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture(arch: int) -> None:
    gpu = host_gpu("ptx", arch=arch)
    module = gpu.raw_module(SAMPLES)
    rng = np.random.default_rng(arch)
    x = rng.standard_normal((3, 128), dtype=np.float32)
    y = gpu.cupy.empty((3, 128), np.float32)
    module.get_function("softmax_rows")((2,), (64,), (gpu.to_device(x), y, np.int32(3), np.int32(128)))
    e = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(gpu.to_host(y), e / e.sum(1, keepdims=True), rtol=1e-5)
    module.get_function("async_rotate")((1,), (32,), (gpu.to_device(x), y, np.int32(3)))
    np.testing.assert_array_equal(gpu.to_host(y), np.roll(x, -4, axis=1))
    # From sm_80 on the copies are asynchronous in hardware; before, NVRTC makes loads and stores of them.
    text = compiled(SAMPLES, (), f"compute_{arch}")[0].decode()
    assert ("cp.async" in text) == (arch >= 80)


SEEN = {
    "off_by_one_store": "out-of-bounds",
    "off_by_one_load": "out-of-bounds",
    "negative_index": "out-of-bounds",
    "shared_slot_never_written": "uninitialised",
    "dynamic_slot_never_written": "uninitialised",
    "beyond_dynamic_shared_memory": "out-of-bounds",
    "return_before_barrier": "divergent-barrier",
    "misaligned_float4": "misaligned",
    "mask_of_lanes_that_stay_away": "divergent-warp",
    "mask_without_the_caller": "warp-mask",
    "shuffle_from_outside_the_mask": "shuffle",
    "asynchronous_copy_without_wait": "uninitialised",
    "wait_for_too_few_groups": "uninitialised",
    "adds_to_memory_never_written": "uninitialised",
}


@pytest.mark.parametrize("name", SEEN)
def test_planted_mistakes_that_lock_step_can_show(name: str) -> None:
    gpu = host_gpu("ptx", arch=80)
    x, y = gpu.to_device(np.linspace(0, 1, 128, dtype=np.float32)), gpu.cupy.empty((128,), np.float32)
    with pytest.raises(KernelError, match=rf"\[{SEEN[name]}\]"):
        gpu.raw_module(BUGS).get_function(name)((2,), (64,), (x, y, np.int32(64)), shared_mem=256)


def test_what_it_does_not_know_it_refuses() -> None:
    ptx = compiled(SAMPLES, (), "compute_75")[0].decode()
    assert "mul.ftz.f32" in ptx
    changed = parse(ptx.replace("mul.ftz.f32", "mystery.ftz.f32"))
    kernel = changed.kernels["scale4"]
    with pytest.raises(PtxError, match="scale4: no such instruction is known here: mystery"):
        run(kernel, (1,), (32,), [], [], changed.constants)
    with pytest.raises(CompileError, match=r"kernels\.cu\(1\): error: identifier .oops. is undefined"):
        compiled('extern "C" __global__ void k(float* x) { x[0] = oops; }', (), "compute_75")


def test_a_kernel_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    code = 'extern "C" __global__ void k(volatile int* x) { while (x[0] == 0); }'
    gpu = host_gpu("ptx")
    function, x = gpu.raw_module(code).get_function("k"), gpu.to_device(np.zeros(1, np.int32))
    monkeypatch.setattr("cuda_host.ptx.machine.MOST_STEPS", 1000)
    with pytest.raises(PtxError, match="does not come to an end"):
        function((1,), (1,), (x,))


def test_parameters_are_compared() -> None:
    cpp = Module(build(SAMPLES), False, None).parameters
    ptx = parsed(SAMPLES, (), 75).kernels
    assert cpp.keys() == ptx.keys()
    assert [name for name in cpp if differences(cpp[name], ptx[name].parameters)] == []
    (scale,) = (cpp["scale4"][i : i + 1] for i in (2,))
    assert "is float32 in C++ and .u32 in PTX" in differences(scale, [("a", "u32", 4)])
    assert "is float32 in C++ and .f64 in PTX" in differences(scale, [("a", "f64", 8)])
    assert "1 parameters in C++, 0 in PTX" in differences(scale, [])
    assert str(Parameter("p", 8, "v", 0)) == "void*"


def test_resources_are_read_from_the_log() -> None:
    found = resources(SAMPLES, (), 80)
    assert found.keys() == parsed(SAMPLES, (), 80).kernels.keys()
    assert found["matmul_tile16"].shared == 2 * 16 * 16 * 4
    assert 8 <= found["matmul_tile16"].registers <= 64
    assert all(r.spill_stores == r.spill_loads == 0 for r in found.values())


WORDS = """
.version 8.0
.target sm_75
.visible .entry words(.param .u64 out, .param .u32 a, .param .u32 b)
{
    .reg .b32 %r<9>;
    .reg .b64 %rd<9>;
    ld.param.u64 %rd1, [out];
    ld.param.u32 %r1, [a];
    ld.param.u32 %r2, [b];
    BODY
    st.global.u32 [%rd1], %r3;
    ret;
}
"""


def words(body: str, a: int, b: int) -> int:
    """%r3 after some instructions on %r1 = a and %r2 = b."""
    module = parse(WORDS.replace("BODY", body))
    out = Array(4096, np.zeros(16, np.uint8), np.zeros(16, np.uint8), "out")
    values = [np.uint64(4096), np.uint32(a), np.uint32(b)]
    run(module.kernels["words"], (1,), (1,), values, [out], module.constants)
    return int(out.data[:4].view(np.uint32)[0])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("add.cc.u32 %r4, %r1, %r2; addc.u32 %r3, 0, 0;", 1),
        ("sub.cc.u32 %r4, %r2, %r1; subc.u32 %r3, 5, 0;", 4),
        ("mul.hi.u32 %r3, %r1, %r2;", 0xFEDCBA98 * 0x12345678 >> 32),
        ("mul.hi.s32 %r3, %r1, %r2;", (0xFEDCBA98 - 2**32) * 0x12345678 >> 32 & 0xFFFFFFFF),
        ("mul.wide.u32 %rd2, %r1, %r2; shr.u64 %rd2, %rd2, 32; cvt.u32.u64 %r3, %rd2;", 0xFEDCBA98 * 0x12345678 >> 32),
        ("div.s32 %r3, %r1, 7;", -(0x1234568 // 7) & 0xFFFFFFFF),
        ("rem.s32 %r3, %r1, 7;", -(0x1234568 % 7) & 0xFFFFFFFF),
        ("div.u32 %r3, %r1, 7;", 0xFEDCBA98 // 7),
        ("shr.s32 %r3, %r1, 8;", 0xFFFEDCBA),
        ("shr.u32 %r3, %r1, 40;", 0),
        ("shr.s32 %r3, %r1, 40;", 0xFFFFFFFF),
        ("shf.l.wrap.b32 %r3, %r1, %r2, 8;", 0x345678FE),
        ("shf.r.wrap.b32 %r3, %r1, %r2, 40;", 0x78FEDCBA),
        ("prmt.b32 %r3, %r1, %r2, 0x7531;", 0x1256FEBA),
        ("prmt.b32 %r3, %r1, %r2, 0xBBBB;", 0xFFFFFFFF),
        ("lop3.b32 %r3, %r1, %r2, 255, 0xE2;", (0xFEDCBA98 & 0x12345678 | 0xFF & ~0x12345678) & 0xFFFFFFFF),
        ("bfe.u32 %r3, %r1, 4, 8;", 0xA9),
        ("bfe.s32 %r3, %r1, 4, 8;", 0xFFFFFFA9),
        ("bfi.b32 %r3, %r2, %r1, 8, 16;", 0xFE567898),
        ("popc.b32 %r3, %r1;", bin(0xFEDCBA98).count("1")),
        ("clz.b32 %r3, %r2;", 3),
        ("brev.b32 %r3, %r1;", int(f"{0xFEDCBA98:032b}"[::-1], 2)),
        ("min.s32 %r3, %r1, %r2;", 0xFEDCBA98),
        ("max.u32 %r3, %r1, %r2;", 0xFEDCBA98),
        ("cvt.s32.s8 %r3, %r1;", 0xFFFFFF98),
        ("cvt.u32.u8 %r3, %r1;", 0x98),
        ("mov.b64 %rd2, {%r1, %r2}; mov.b64 {%r4, %r3}, %rd2;", 0x12345678),
        ("{ .reg .b32 %r1; mov.u32 %r1, 3; } mov.u32 %r3, %r1;", 0xFEDCBA98),
        ("{ .reg .pred %p; setp.lt.s32 %p, %r1, %r2; selp.b32 %r3, 1, 2, %p; }", 1),
        ("{ .reg .pred %p; setp.lo.u32 %p, %r1, %r2; @!%p mov.u32 %r3, 9; }", 9),
        ("mov.u32 %r3, 0; $again: add.u32 %r3, %r3, 1; { .reg .pred %p; setp.lt.u32 %p, %r3, 7; @%p bra $again; }", 7),
        ("cvt.rn.f32.u32 %r4, %r2; cvt.rzi.u32.f32 %r3, %r4;", 0x12345680),
    ],
)
def test_single_instructions(body: str, expected: int) -> None:
    assert words(body, 0xFEDCBA98, 0x12345678) == expected


def test_arithmetic_that_numpy_has_not() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 1000))
    c = -a * b  # what is left is the product's error: without a fused operation it is zero
    exact = [float(Fraction(x) * Fraction(y) + Fraction(z)) for x, y, z in zip(a, b, c, strict=True)]
    np.testing.assert_allclose(fma64(a, b, c), exact, rtol=1e-12)
    assert (fma64(a, b, c) != 0).mean() > 0.9
    with np.errstate(invalid="ignore"):
        assert np.isnan(fma64(np.array([np.nan, np.inf]), np.ones(2), np.array([0, -np.inf]))).all()
    x = np.array([1 + 2**-30, -1 - 2**-30, 1.0])
    up, down = np.nextafter(np.float32(1), np.float32(2)), -np.nextafter(np.float32(1), np.float32(2))
    np.testing.assert_array_equal(rounded(x, "rp"), np.array([up, -1, 1], np.float32))
    np.testing.assert_array_equal(rounded(x, "rm"), np.array([1, down, 1], np.float32))
    np.testing.assert_array_equal(rounded(x, "rz"), np.array([1, -1, 1], np.float32))
    y = to_integer(np.array([np.nan, 1e30, -1e30, 2.5, -2.5]), "rni", np.dtype(np.int64))
    assert y.tolist() == [0, 2**63 - 1, -(2**63), 2, -2]
