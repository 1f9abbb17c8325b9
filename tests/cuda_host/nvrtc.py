"""NVRTC without a driver: PTX and machine code of kernels, and what the compiler says about them."""

from __future__ import annotations

import ctypes as C
import functools
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cupy
import numpy as np
from cupy.cuda import nvrtc

from .build import build, cache
from .library import KernelError, Module, Parameter, rt
from .ptx import PtxError, parse, run
from .ptx.machine import Array

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
AS_CUPY = ("-ftz=true", "--device-as-default-execution-space")  # what RawModule adds


class CompileError(RuntimeError):
    """NVRTC refuses the text; the message is its log."""


def options_of_cupy(options: Sequence[str]) -> tuple[str, ...]:
    """A launch's options with those that CuPy adds: its include folders, and how floats are flushed."""
    from cupy._core.core import assemble_cupy_compiler_options

    return (*assemble_cupy_compiler_options(tuple(options)), *AS_CUPY)


def compiled(code: str, options: Sequence[str], target: str) -> tuple[bytes, str]:
    """What NVRTC makes of a text for `compute_75` (PTX) or `sm_75` (machine code), and its log; kept on disk.

    Raises:
        CompileError: with NVRTC's log.
    """
    given = (*options_of_cupy(options), f"-arch={target}")
    key = hashlib.sha256(repr((code, given, nvrtc.getVersion(), cupy.__version__)).encode()).hexdigest()[:20]
    kept = cache() / f"nvrtc-{target}-{key}"
    if kept.exists():
        log, _, binary = kept.read_bytes().partition(b"\0")
        return binary, log.decode()
    program = nvrtc.createProgram(code, "kernels.cu", (), ())
    try:
        nvrtc.compileProgram(program, given)
        binary = nvrtc.getPTX(program) if target.startswith("compute") else nvrtc.getCUBIN(program)
        log = nvrtc.getProgramLog(program)
    except nvrtc.NVRTCError as error:
        raise CompileError(nvrtc.getProgramLog(program)) from error
    finally:
        nvrtc.destroyProgram(program)
    binary = binary if isinstance(binary, bytes) else binary.encode()
    if not target.startswith("compute"):
        binary += bytes(-len(binary) % 8)  # CuPy takes a NUL from the end, as if it were text
    new = kept.with_suffix(f".{os.getpid()}")
    new.write_bytes(log.encode() + b"\0" + binary)
    os.replace(new, kept)
    return binary, log


@dataclass(frozen=True)
class Resources:
    """What a kernel takes of an architecture, by ptxas."""

    registers: int
    shared: int
    stack: int
    spill_stores: int
    spill_loads: int


def resources(code: str, options: Sequence[str], arch: int) -> dict[str, Resources]:
    """Registers, shared memory, stack and spills of every kernel, from NVRTC's log."""
    _, log = compiled(code, [*options, "--ptxas-options=-v"], f"sm_{arch}")
    found = {}
    pattern = re.compile(
        r"entry function '(\w+)' for '\w+'"
        r"[^']*? (\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
        r"[^']*?Used (\d+) registers([^\n]*)"
    )
    for name, stack, stores, loads, registers, rest in pattern.findall(log):
        shared = re.search(r"(\d+) bytes smem", rest)
        found[name] = Resources(int(registers), int(shared[1]) if shared else 0, int(stack), int(stores), int(loads))
    return found


def nvdisasm() -> str | None:
    """The disassembler of NVIDIA's wheel."""
    folders = [Path(p) / "nvidia" for p in sys.path]
    return next((str(found) for f in folders if f.is_dir() for found in f.rglob("bin/nvdisasm")), None)


def machine_code(code: str, options: Sequence[str], arch: int) -> dict[str, str]:
    """The machine code of every kernel, as `nvdisasm` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "kernels.cubin"
        binary.write_bytes(compiled(code, options, f"sm_{arch}")[0])
        done = subprocess.run([str(nvdisasm()), "-c", str(binary)], capture_output=True, text=True, check=True)
    return dict(re.findall(r"\.text\.(\w+):\n(.*?)(?=\.section|\Z)", done.stdout, re.DOTALL))


@functools.lru_cache(maxsize=16)
def parsed(code: str, options: tuple[str, ...], arch: int):  # type: ignore[no-untyped-def]
    """The PTX of a text as the interpreter takes it."""
    return parse(compiled(code, options, f"compute_{arch}")[0].decode())


class PtxModule:
    """Kernels as NVRTC compiles them, executed by the interpreter. Types of parameters are those of the C++ text."""

    check = True  # it knows which bytes were written

    def __init__(self, code: str, options: Sequence[str], arch: int) -> None:
        self.ptx = parsed(code, tuple(options), arch)
        self.parameters = Module(build(code, options, "fast"), False, None).parameters
        for name, parameters in self.parameters.items():
            if difference := differences(parameters, self.ptx.kernels[name].parameters):
                raise TypeError(f"{name}: {difference}")

    def launch(
        self,
        name: str,
        grid: Sequence[int],
        block: Sequence[int],
        values: Sequence[np.generic],
        shared_mem: int,
        arrays: Sequence[tuple[int, int, str]],
    ) -> None:
        """Interprets a kernel; see `Module.launch`."""
        memory = [Array(base, view(base, size), view(rt().ch_written(base), size), what) for base, size, what in arrays]
        try:
            run(self.ptx.kernels[name], grid, block, values, memory, self.ptx.constants, shared_mem)
        except PtxError as error:
            if found := re.match(r"\w+: \[([\w-]+)\] (.*)", str(error), re.DOTALL):
                raise KernelError(name, [(found[1], found[2])]) from None
            raise


def view(pointer: int, size: int) -> np.ndarray:
    """Memory as an array of bytes."""
    return np.frombuffer((C.c_uint8 * size).from_address(pointer), np.uint8) if size else np.zeros(0, np.uint8)


def differences(cpp: Sequence[Parameter], ptx: Sequence[tuple[str, str, int]]) -> str:
    """How C++ types and PTX parameters differ, "" if they do not."""
    if len(cpp) != len(ptx):
        return f"{len(cpp)} parameters in C++, {len(ptx)} in PTX"
    for i, (c, (_, kind, size)) in enumerate(zip(cpp, ptx, strict=True)):
        if c.size != size or (c.kind == "f") != kind.startswith("f"):
            return f"parameter {i} is {c} in C++ and .{kind} in PTX"
    return ""
