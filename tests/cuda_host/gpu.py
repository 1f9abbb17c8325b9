"""A GPU for launch code, on the host: real `cupy.ndarray` over host memory, and kernels that g++ compiled.

Shapes, strides, dtypes, contiguity and pointers are CuPy's own. Replaced are only the two copies and the constructor
and launch of `cupy.RawModule`. Whatever else of CuPy needs a driver raises, as it does on any machine without one.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np

from .build import build
from .library import KernelError, Module, Parameter, rt
from .nvrtc import PtxModule

GRID = (2**31 - 1, 65535, 65535)
BLOCK = (1024, 1024, 64)
SHARED = 48 * 1024  # more needs max_dynamic_shared_size_bytes, as on the device
MOST_SHARED = 227 * 1024


LIVE: weakref.WeakValueDictionary[int, HostBlock] = weakref.WeakValueDictionary()  # by address


class HostBlock:
    """A piece of device memory; CuPy keeps it alive with its arrays."""

    def __init__(self, size: int) -> None:
        self._free = rt().ch_free
        self.pointer = rt().ch_malloc(size, b"an array")
        if not self.pointer:
            raise MemoryError(f"no {size} bytes of host memory for a device array")
        self.size = size
        LIVE[self.pointer] = self

    def __del__(self) -> None:
        self._free(self.pointer)


def allocate(size: int) -> Any:
    """What `cupy.cuda.set_allocator` takes."""
    block = HostBlock(int(size))
    return cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(block.pointer, int(size), block, 0), 0)


def packed(argument: Any) -> np.generic:
    """The value that CuPy hands to cuLaunchKernel for an argument; its size is what the kernel reads or misreads."""
    if argument is None:
        return np.uint64(0)
    if isinstance(argument, cupy.ndarray):
        return np.uint64(argument.data.ptr)
    if isinstance(argument, np.generic):
        return argument
    if isinstance(argument, np.ndarray):
        if argument.size != 1:
            raise TypeError("a NumPy array lies in host memory: copy it to the device first")
        return argument.reshape(())[()]
    if isinstance(argument, bool):
        return np.bool_(argument)
    if isinstance(argument, int):
        return np.int64(argument) if argument < 2**63 else np.uint64(argument)  # 8 bytes whatever the kernel declares
    if isinstance(argument, float):
        return np.float64(argument)  # 8 bytes: garbage in a float parameter
    if isinstance(argument, complex):
        return np.complex128(argument)
    raise TypeError(f"Unsupported type {type(argument)}")


def mismatch(parameter: Parameter, argument: Any, value: np.generic) -> str | None:
    """Why the argument is wrong for the parameter, if it is."""
    if isinstance(argument, cupy.ndarray) or argument is None:
        if parameter.kind != "p":
            return "an array" if argument is not None else "None"
        if argument is None or parameter.to in "vs" or not argument.size:
            return None
        dtype = argument.dtype
        same = parameter.to == dtype.kind or {parameter.to, dtype.kind} <= set("iub")
        return None if same and parameter.to_size == dtype.itemsize else f"an array of {dtype}"
    if value.dtype.kind == parameter.kind and value.dtype.itemsize == parameter.size:
        return None
    origin = "" if isinstance(argument, np.generic) else f"{type(argument).__name__}, which CuPy passes as "
    return origin + str(value.dtype)


def memory_of(args: Sequence[Any]) -> list[tuple[int, int, str]]:
    """Base, size and name of the memory that a launch's arrays lie in, and of what arrays of uint64 point to."""
    arrays = [(i, a) for i, a in enumerate(args) if isinstance(a, cupy.ndarray) and a.data.ptr]
    found = {a.data.mem.ptr: (a.data.mem.ptr, a.data.mem.size, f"argument {i}") for i, a in reversed(arrays)}
    for i, a in arrays:
        if a.dtype == np.uint64 and a.size:
            for block in pointed_to(a):
                found.setdefault(block.pointer, (block.pointer, block.size, f"memory that argument {i} points to"))
    return list(found.values())


def pointed_to(table: Any) -> list[HostBlock]:
    """The live memory in which numbers of a table lie: such a table holds addresses."""
    numbers = np.empty(table.size, np.uint64)
    rt().ch_read(numbers.ctypes.data, table.data.ptr, table.nbytes)
    blocks = sorted(LIVE.values(), key=lambda block: block.pointer)
    bases = np.array([block.pointer for block in blocks], np.uint64)
    ends = bases + np.array([block.size for block in blocks], np.uint64)
    nearest = np.searchsorted(bases, numbers, "right") - 1
    inside = (nearest >= 0) & (numbers < ends[nearest])
    return [blocks[i] for i in np.unique(nearest[inside])]


class HostFunction:
    """Stands in for the RawKernel that `RawModule.get_function` gives."""

    def __init__(self, module: Module | PtxModule, name: str) -> None:
        self._module, self.name = module, name
        self.max_dynamic_shared_size_bytes = SHARED

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], *, shared_mem: int = 0
    ) -> None:
        """Launches the kernel and returns when it has ended.

        Raises:
            TypeError: an argument has not the size and kind of the kernel's parameter.
            ValueError: a grid, block or shared memory that no device takes.
            KernelError: the kernel did something that CUDA does not define.
        """
        self._check_geometry(grid, block, shared_mem)
        parameters = self._module.parameters[self.name]
        if len(args) != len(parameters):
            raise TypeError(f"{self.name}: {len(parameters)} parameters, {len(args)} arguments")
        values = []
        for i, (parameter, argument) in enumerate(zip(parameters, args, strict=True)):
            try:
                values.append(packed(argument))
                wrong = mismatch(parameter, argument, values[-1])
            except TypeError as error:
                raise TypeError(f"{self.name}: argument {i}: {error}") from None
            if wrong:
                raise TypeError(f"{self.name}: argument {i}: the kernel takes {parameter}, given is {wrong}")
        for pointer, _, name in memory_of(args):
            rt().ch_name(pointer, name.encode())
        self._module.launch(self.name, grid, block, values, shared_mem, memory_of(args))
        self._look_at_arrays(args)

    def _check_geometry(self, grid: tuple[int, ...], block: tuple[int, ...], shared_mem: int) -> None:
        for what, given, most in (("grid", grid, GRID), ("block", block, BLOCK)):
            if not isinstance(given, tuple) or not 1 <= len(given) <= 3:
                raise TypeError(f"{self.name}: {what} is a tuple of one to three numbers, given is {given!r}")
            if any(not 0 < n <= limit for n, limit in zip(given, most, strict=False)):
                raise ValueError(f"{self.name}: {what} {given}; each number lies between 1 and that of {most}")
        if np.prod(block) > 1024:
            raise ValueError(f"{self.name}: a block of {np.prod(block)} threads; 1024 are the most")
        limit = min(self.max_dynamic_shared_size_bytes, MOST_SHARED)
        if not 0 <= shared_mem <= limit:
            raise ValueError(f"{self.name}: {shared_mem} bytes of dynamic shared memory; {limit} are the most")

    def _look_at_arrays(self, args: Sequence[Any]) -> None:
        """Even without checks a write past an array's end does not pass: it hits a guard."""
        for base, _, name in memory_of(args):
            if overrun := rt().ch_overrun(base):
                where = f"{abs(overrun)} bytes {'after its end' if overrun > 0 else 'before its beginning'}"
                raise KernelError(self.name, [("out-of-bounds", f"{name} was written to {where}")])
            if not self._module.check:  # which knows what was written
                rt().ch_assume_written(base)


class HostModule:
    """Stands in for `cupy.RawModule`."""

    def __init__(self, code: str, options: Sequence[str], kind: str, seed: int | None, arch: int) -> None:
        self._module: Module | PtxModule
        if kind == "ptx":
            self._module = PtxModule(code, options, arch)
        else:
            self._module = Module(build(code, options, kind), kind == "check", seed)

    @property
    def parameters(self) -> dict[str, tuple[Parameter, ...]]:
        """The C++ types of every kernel's parameters."""
        return self._module.parameters

    def get_function(self, name: str) -> HostFunction:
        """A kernel by its name."""
        if name not in self.parameters:
            raise RuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}")  # what CUDADriverError is
        return HostFunction(self._module, name)


class HostGpu:
    """A `Gpu` for `tinygrad_edu.kernels.cuda`: see `host_gpu`."""

    cupy = cupy

    def __init__(self, kind: str, seed: int, arch: int) -> None:
        self.kind, self.arch = kind, arch
        self.capability = arch if kind == "ptx" else 120  # g++ takes all of CUDA that there is here
        self._seed = None if kind == "fast" and seed == 0 else seed

    def raw_module(self, code: str, options: tuple[str, ...] = ()) -> HostModule:
        """The kernels of a text, compiled for the host."""
        return HostModule(code, options, self.kind, self._seed, self.arch)

    def to_device(self, array: np.ndarray) -> Any:
        """A copy of the array as a `cupy.ndarray`."""
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        result = cupy.empty(array.shape, array.dtype)
        if array.nbytes and rt().ch_write(result.data.ptr, array.ctypes.data, array.nbytes):
            raise MemoryError("the new array does not lie in device memory")
        return result

    def to_host(self, array: Any) -> np.ndarray:
        """A copy of the array as a NumPy array. In the check build, every byte of it must have been written."""
        if not isinstance(array, cupy.ndarray):
            raise TypeError(f"not an array of the device: {type(array).__name__}")
        if not array.flags.c_contiguous:
            raise ValueError("only C-contiguous arrays come back: CuPy would run a kernel of its own to make one")
        result = np.empty(array.shape, array.dtype)
        if not array.nbytes:
            return result
        if rt().ch_read(result.ctypes.data, array.data.ptr, array.nbytes):
            raise ValueError("the array does not lie in device memory")
        missing = rt().ch_unwritten(array.data.ptr, array.nbytes)
        if missing and self.kind != "fast":
            raise KernelError("to_host", [("uninitialised", f"{missing} of {array.nbytes} bytes were never written")])
        return result


def host_gpu(build: str | None = None, seed: int = 0, arch: int = 75) -> HostGpu:
    """The device double: what launch code needs of a GPU, executed on this machine. It becomes CuPy's allocator.

    Args:
        build: "fast" for numbers; "check" reports every race, access out of bounds or to memory that nobody has
            written, misaligned access and divergent barrier, with its line, block and thread; "ptx" executes what NVRTC
            makes of the text. None: what $TGE_CUDA_HOST says, or "fast".
        seed: of the order in which blocks and threads run. 0 in the fast build: in their own order.
        arch: of the PTX, such as 75 or 120.
    """
    build = build or os.environ.get("TGE_CUDA_HOST", "fast")
    if build not in ("fast", "check", "ptx"):
        raise ValueError(f"host_gpu: build is 'fast', 'check' or 'ptx', given is {build!r}")
    cupy.cuda.set_allocator(allocate)
    return HostGpu(build, seed, arch)
