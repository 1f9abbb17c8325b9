"""The GPU in use: how kernels are compiled and launched, and how arrays come there and back.

All of it goes through one `Gpu`, four things that the rest of this package is given: in production they are CuPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import RangeError, StateError
from .signatures import FILE_OF, KERNELS

HOW_TO_GET_ONE = (
    "install CuPy for the CUDA that the driver knows (pip install 'tinygrad_edu[cuda13]' or 'tinygrad_edu[cuda12]'), "
    'or use device="cpu"'
)
FAULTS = {
    1: "cross_entropy: target[{place}] is {number}, which is no class of the logits",
    2: "take: index {number} is out of range for the rows of the table",
    3: "scatter_planes: index {number} lies outside its plane",
    4: "indexing: index {number} is out of range for a dimension of size {place}",
}
_TYPES: dict[str, Callable[[Any], Any]] = {
    "i": np.int32, "l": np.int64, "f": np.float32, "d": np.float64, "u": np.uint32, "U": np.uint64,
}  # fmt: skip


@dataclass(frozen=True)
class Gpu:
    """What stands between this package and a device."""

    cupy: Any  # the module; arrays on the device are its ndarrays
    raw_module: Callable[[str, tuple[str, ...]], Any]  # (code, options) → .get_function(name)(grid, block, args)
    to_device: Callable[[Any], Any]
    to_host: Callable[[Any], Any]
    capability: int  # of the device, such as 75 or 120


def real_gpu() -> Gpu:
    """The GPU that CuPy finds; StateError if there is none."""
    try:
        import cupy
    except ImportError:
        raise StateError(f'device "cuda" is not available: CuPy is not installed; {HOW_TO_GET_ONE}') from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise StateError(f'device "cuda" is not available: CuPy finds no GPU ({error}); {HOW_TO_GET_ONE}') from None
    if not count:
        raise StateError(f'device "cuda" is not available: CuPy finds no GPU; {HOW_TO_GET_ONE}')
    capability = int(cupy.cuda.Device().compute_capability)
    return Gpu(
        cupy, lambda code, options: cupy.RawModule(code=code, options=options), cupy.asarray, cupy.asnumpy, capability
    )


def sources() -> Path:
    """Where the .cu files are: in the package once it is installed, else in the checkout."""
    installed = Path(__file__).parent / "source"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "csrc" / "cuda"


def mixed(operation: str) -> StateError:
    """The error for arrays in two memories."""
    return StateError(f'{operation}: one tensor is on the GPU and one on the CPU; move one of them, as in x.to("cuda")')


class Device:
    """A Gpu with the kernels that have been compiled for it."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.cupy = gpu, gpu.cupy
        self.array_type = gpu.cupy.ndarray
        self.functions: dict[str, Any] = {}
        self.modules: dict[str, Any] = {}
        self.launches: dict[str, int] = {}  # of each kernel, for `explain`
        self.tables: dict[tuple[Any, ...], Any] = {}  # of `lists.py`
        self._fault: Any = None

    # -- memory ----------------------------------------------------------------------------------------------
    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An uninitialised C-contiguous array on the device."""
        return self.cupy.empty(shape, dtype)

    def to_device(self, array: Any) -> Any:
        """A copy of a NumPy array on the device."""
        return self.gpu.to_device(np.ascontiguousarray(array).reshape(array.shape))

    def to_host(self, array: Any) -> Any:
        """A copy of a contiguous array as a NumPy one; the error that a kernel has met on the way there."""
        result = self.gpu.to_host(array)
        self.check()
        return result

    # -- errors that kernels meet ----------------------------------------------------------------------------
    def fault(self) -> Any:
        """Three words in which a kernel says what is wrong with an input: {what, where, number}."""
        if self._fault is None:
            self._fault = self.to_device(np.zeros(3, np.int64))
        return self._fault

    def check(self) -> None:
        """IndexError if a kernel has met a number since the last check that is out of range."""
        if self._fault is None:
            return
        what, place, number = self.gpu.to_host(self._fault).tolist()
        if what:
            self._fault = None
            raise RangeError(
                f"{FAULTS[what].format(place=place, number=number)}; it was found on the GPU, which computes "
                f"ahead, and is told when results are read"
            )

    def synchronize(self) -> None:
        """Wait for all kernels, and raise what they have met. Reading a word waits: kernels run in order."""
        self.gpu.to_host(self.fault())
        self.check()

    # -- kernels ---------------------------------------------------------------------------------------------
    def launch(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], *args: Any) -> None:
        """Run a kernel: arguments are checked against, and converted to, what KERNELS says."""
        signature = KERNELS[name]
        if len(signature) != len(args):
            raise TypeError(f"{name}: {len(signature)} parameters, {len(args)} arguments")
        packed = tuple([self._packed(name, i, letter, args[i]) for i, letter in enumerate(signature)])
        self.launches[name] = self.launches.get(name, 0) + 1
        self.function(name)(grid, block, packed)

    def _packed(self, name: str, i: int, letter: str, value: Any) -> Any:
        if letter == "p":
            if isinstance(value, np.ndarray):
                raise mixed(name.rpartition("_")[0])
            if value is not None and not isinstance(value, self.array_type):
                raise TypeError(f"{name}: argument {i} is a {type(value).__name__}, not an array on the GPU")
            return value
        number = _TYPES[letter](value)
        if letter in "iluU" and number != value:
            raise OverflowError(f"{name}: argument {i}, {value}, does not fit {number.dtype}")
        return number

    def function(self, name: str) -> Any:
        """The compiled kernel; its file is compiled when the first of its kernels is wanted."""
        found = self.functions.get(name)
        if found is None:
            file = FILE_OF[name]
            if file not in self.modules:
                folder = sources()
                code = f'{(folder / "common.cuh").read_text()}\n#line 1 "{file}"\n{(folder / file).read_text()}'
                self.modules[file] = self.gpu.raw_module(code, ())
            found = self.functions[name] = self.modules[file].get_function(name)
        return found

    def flat(self, name: str, count: int, *args: Any) -> None:
        """A kernel with one thread for each of `count` entries, or fewer that go on with the next."""
        if count:
            threads = min(256, -(-count // 32) * 32)
            self.launch(name, (min(-(-count // threads), 65535),), (threads,), *args)


_current: list[Device] = []


def use(gpu: Gpu | None) -> None:
    """Compute on this Gpu from now on; None: on the one that CuPy finds, when the next tensor is wanted there."""
    _current[:] = [] if gpu is None else [Device(gpu)]


def device() -> Device:
    """The device in use; StateError if there is none to be had."""
    if not _current:
        _current.append(Device(real_gpu()))
    return _current[0]


def in_use() -> Device | None:
    """The device in use, if one has been used yet."""
    return _current[0] if _current else None
