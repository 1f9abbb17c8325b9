"""The runtime and the compiled kernels as Python sees them (ctypes)."""

from __future__ import annotations

import ctypes as C
import functools
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .build import runtime


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: p pointer, f floating, i signed, u unsigned, b bool, s struct; sizes in bytes."""

    kind: str
    size: int
    to: str
    to_size: int

    def __str__(self) -> str:
        names = {"f": "float", "i": "int", "u": "uint", "b": "bool", "s": "struct", "v": "void", "p": "pointer"}
        if self.kind == "p":
            return "void*" if self.to == "v" else f"{names[self.to]}{8 * self.to_size}*"
        return names[self.kind] + ("" if self.kind == "b" else str(8 * self.size))


class KernelError(RuntimeError):
    """A kernel did what CUDA does not define. `problems` holds (kind, text) of each."""

    def __init__(self, kernel: str, problems: Sequence[tuple[str, str]]) -> None:
        self.kernel = kernel
        self.problems = list(problems)
        super().__init__("\n".join(f"{kernel}: [{kind}] {text}" for kind, text in self.problems))

    @property
    def kinds(self) -> set[str]:
        """What is wrong, in single words: race, out-of-bounds, uninitialised, …"""
        return {kind for kind, _ in self.problems}


class _Param(C.Structure):
    _fields_ = (("kind", C.c_char), ("size", C.c_uint16), ("to", C.c_char), ("to_size", C.c_uint16))


class _Kernel(C.Structure):
    _fields_ = (("name", C.c_char_p), ("call", C.c_void_p), ("count", C.c_int), ("params", C.POINTER(_Param)))


class _Launch(C.Structure):
    _fields_ = (
        ("kernel", C.POINTER(_Kernel)),
        ("arguments", C.POINTER(C.c_void_p)),
        ("grid", C.c_uint * 3),
        ("block", C.c_uint * 3),
        ("dynamic_shared", C.c_size_t),
        ("shared", C.c_void_p * 2),
        ("library", C.c_void_p * 2),
        ("checking", C.c_int),
        ("random", C.c_int),
        ("seed", C.c_uint),
    )


@functools.cache
def rt() -> C.PyDLL:
    """The runtime, compiled and loaded. It holds the interpreter's lock: it has no threads of its own."""
    lib = C.PyDLL(str(runtime()), mode=C.RTLD_GLOBAL)
    pointer, size = C.c_void_p, C.c_size_t
    for name, result, arguments in (
        ("ch_malloc", pointer, [size, C.c_char_p]),
        ("ch_free", C.c_int, [pointer]),
        ("ch_name", None, [pointer, C.c_char_p]),
        ("ch_write", C.c_int, [pointer, pointer, size]),
        ("ch_read", C.c_int, [pointer, pointer, size]),
        ("ch_written", pointer, [pointer]),
        ("ch_unwritten", C.c_long, [pointer, size]),
        ("ch_assume_written", None, [pointer]),
        ("ch_overrun", C.c_long, [pointer]),
        ("ch_launch", C.c_int, [C.POINTER(_Launch)]),
        ("ch_report", C.c_char_p, []),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Module:
    """A library of kernels made by `build.build`.

    Args:
        path: the library.
        check: whether it is the check build.
        seed: of the random order of blocks and threads; None runs them in order.
    """

    def __init__(self, path: Path, check: bool, seed: int | None) -> None:
        rt()
        self.path, self.check, self.seed = path, check, seed
        self._lib = C.PyDLL(str(path))
        self._lib.ch_kernels.restype = C.POINTER(_Kernel)
        self._lib.ch_shared_begin.restype = self._lib.ch_shared_end.restype = C.c_void_p
        table = self._lib.ch_kernels()
        self._kernels = {table[i].name.decode(): table[i] for i in range(self._lib.ch_kernel_count())}
        self.parameters = {
            name: tuple(
                Parameter(p.kind.decode(), p.size, p.to.decode(), p.to_size) for p in kernel.params[: kernel.count]
            )
            for name, kernel in self._kernels.items()
        }
        self._shared = (C.c_void_p * 2)(self._lib.ch_shared_begin(), self._lib.ch_shared_end())
        self._begin, self._end = mapped(path)

    def launch(
        self,
        name: str,
        grid: Sequence[int],
        block: Sequence[int],
        values: Sequence[np.generic],
        shared_mem: int,
        arrays: Sequence[tuple[int, int, str]],
    ) -> None:
        """Runs a kernel on values that have exactly its parameters' sizes; pointers are uint64.

        Args:
            arrays: base, size and name of the memory that pointers lead to; the runtime knows all memory by itself.

        Raises:
            KernelError: it did something that CUDA does not define.
        """
        kept = [np.array(v) for v in values]
        launch = _Launch(
            kernel=C.pointer(self._kernels[name]),
            arguments=(C.c_void_p * max(1, len(kept)))(*(v.ctypes.data for v in kept)),
            grid=(C.c_uint * 3)(*grid, *[1] * (3 - len(grid))),
            block=(C.c_uint * 3)(*block, *[1] * (3 - len(block))),
            dynamic_shared=shared_mem,
            shared=self._shared,
            library=(C.c_void_p * 2)(self._begin, self._end),
            checking=self.check,
            random=self.seed is not None,
            seed=self.seed or 0,
        )
        if rt().ch_launch(C.byref(launch)):
            raise KernelError(name, self._problems())

    def _problems(self) -> list[tuple[str, str]]:
        found = []
        for line in rt().ch_report().decode().splitlines():
            kind, place, other, text = line.split("\t")
            lines = [w for w in (self.where(int(place, 16)), self.where(int(other, 16))) if w]
            text = re.sub(r"byte (\d+) of shared memory \(\d+ bytes\)", self._variable, text)
            found.append((kind, text + (" at " + " and ".join(lines) if lines else "")))
        return sorted(found, key=lambda p: p[0] == "uninitialised")  # which races bring about

    def _variable(self, match: re.Match[str]) -> str:
        """The shared variable at an offset, by the library's table of symbols."""
        address = self._shared[0] - self._begin + int(match[1])
        for line in tool("nm", "-C", "-S", str(self.path)).splitlines():
            symbol = re.fullmatch(r"(\w+) (\w+) [bB] (.*)", line)
            if symbol and 0 <= (offset := address - int(symbol[1], 16)) < (size := int(symbol[2], 16)):
                name = re.sub(r"\(anonymous namespace\)::|\(.*?\)(?=::)", "", symbol[3])
                return f"byte {offset} of shared {name} ({size} bytes)"
        return match[0]

    def where(self, address: int) -> str:
        """File and line of an instruction of the library, "" for any other address."""
        if not self._begin <= address < self._end:
            return ""
        frames = tool("addr2line", "-i", "-e", str(self.path), hex(address - self._begin)).splitlines()
        frames = [os.path.basename(frame.partition(" ")[0]) for frame in frames]
        own = [f for f in frames if not f.startswith("cuda_host")]  # the kernel's line, not that of the emulation
        return (own + frames + [hex(address - self._begin)])[0]


def tool(*command: str) -> str:
    """What a tool that comes with the compiler prints, "" where it is missing."""
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout
    except FileNotFoundError:
        return ""


def mapped(path: Path) -> tuple[int, int]:
    """Where a loaded library lies in memory."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(path.name)]
    ranges = [tuple(int(x, 16) for x in line[0].split("-")) for line in lines]
    return min(r[0] for r in ranges), max(r[1] for r in ranges)
