"""What NVRTC makes of the kernels: that the compiler did what was meant. It says nothing of speed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tinygrad_edu.kernels.cuda.gpu import sources
from tinygrad_edu.kernels.cuda.signatures import FILES, KERNELS

SIZES = {"p": "u64", "i": "u32", "l": "u64", "f": "f32", "d": "f64", "u": "u32", "U": "u64"}


def compiled(file: str, *options: str) -> tuple[str, str]:
    """NVRTC's log and PTX for a file; its compiler needs no driver."""
    pytest.importorskip("cupy", reason="NOTHING WAS COMPILED BY NVRTC: CuPy is not installed")
    from cupy._core.core import assemble_cupy_compiler_options
    from cupy.cuda import nvrtc as compiler

    code = f"{(sources() / 'common.cuh').read_text()}\n{(sources() / file).read_text()}"
    program: Any = compiler.createProgram(code, file, (), ())
    compiler.compileProgram(program, (*assemble_cupy_compiler_options(()), "-ftz=true", *options))
    log, ptx = compiler.getProgramLog(program), compiler.getPTX(program)
    return log, ptx if isinstance(ptx, str) else ptx.decode()


@pytest.mark.parametrize("file", list(FILES))
def test_the_table_is_what_the_compiler_sees(file: str) -> None:
    _, ptx = compiled(file, "-arch=compute_75")
    entries = re.findall(r"\.entry (\w+)\((.*?)\)\s*[{.]", ptx, re.DOTALL)
    assert {name for name, _ in entries} == set(FILES[file])
    for name, parameters in entries:
        assert re.findall(r"\.param (?:\.align \d+ )?\.(\w+)", parameters) == [SIZES[k] for k in KERNELS[name]], name


@pytest.mark.parametrize("architecture", [75, 80, 90, 120])
@pytest.mark.parametrize("file", ["gemm128.cu", "gemm_tensor.cu", "attention.cu"])
def test_sums_stay_in_registers(file: str, architecture: int) -> None:
    log, _ = compiled(file, f"-arch=sm_{architecture}", "--ptxas-options=-v")
    assert [int(n) for n in re.findall(r"(\d+) bytes spill stores", log)] == [0] * len(FILES[file])
    assert max(int(n) for n in re.findall(r"Used (\d+) registers", log)) <= 128  # two blocks on a multiprocessor


def test_tensor_cores_multiply_what_they_have_read() -> None:
    _, ptx = compiled("gemm_tensor.cu", "-arch=compute_80")
    for kernel in ptx.split(".entry ")[1:]:
        assert kernel.count("wmma.mma.sync") == 8  # 2 × 4 tiles for each warp
        assert kernel.count("wmma.load.a") == 2
        assert kernel.count("wmma.load.b") == 4
        assert "ld.global.f32" not in kernel
        assert "ld.global.v4.f32" in kernel or "ld.global.nc.v4.f32" in kernel


def test_the_wide_product_moves_128_bits_at_a_time_and_ahead() -> None:
    _, ptx = compiled("gemm128.cu", "-arch=compute_80")
    for kernel in ptx.split(".entry ")[1:]:
        assert kernel.count("ld.shared.v4") == 32  # four for each of the 8 steps along k
        assert kernel.count("fma.rn") == 512  # 8 × 8 × 8
        assert "cp.async" in kernel or kernel.startswith("gemm_block128_nt")  # its operands both go through registers
        assert "ld.global.f32" not in kernel
        assert "ld.shared.f32" not in kernel
