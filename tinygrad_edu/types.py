"""What a tensor is made of, besides numbers: dtypes, devices and sizes, under PyTorch's names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import InputError, KindError, StateError

float16, float32, float64 = (np.dtype(t) for t in (np.float16, np.float32, np.float64))
int8, int16, int32, int64 = (np.dtype(t) for t in (np.int8, np.int16, np.int32, np.int64))
uint8, bool_ = np.dtype(np.uint8), np.dtype(np.bool_)
SUPPORTED = (float32, float64, float16, int8, int16, int32, int64, uint8, bool_)
finfo, iinfo = np.finfo, np.iinfo

_default = [float32]  # the dtype of Python's floats, and of what is made without one


def get_default_dtype() -> Any:
    """The dtype of tensors made from Python's floats, or from sizes alone: float32, unless it has been set."""
    return _default[0]


def set_default_dtype(d: Any) -> None:
    """Let float tensors that are made without a dtype have this one."""
    found = check_dtype(d)
    if found.kind != "f":
        raise KindError(f"set_default_dtype: only floating-point types are supported as the default type, got {found}")
    _default[0] = found


class _Unsupported:
    """The name of a dtype that PyTorch has and this library has not; using it is an error that says so."""

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead

    def __repr__(self) -> str:
        return self.name


bfloat16 = _Unsupported("bfloat16", "float32")


class device(str):
    """Where a tensor's memory is: "cpu" or "cuda:0". It equals the word it was made from.

    `type` is the kind of device and `index` its number, or None.
    """

    type: str
    index: int | None  # type: ignore[assignment]  # of a device it is a number, of a str a method

    def __new__(cls, type: Any = "cpu", index: int | None = None) -> device:
        """From a word such as "cuda:0", another device, or a kind and a number."""
        kind, _, number = str(type).partition(":")
        if kind not in ("cpu", "cuda") or (number and not number.isdigit()) or (number and index is not None):
            raise InputError(f'device: {type!r} is no device; it can be "cpu", "cuda", or one with a number, "cuda:0"')
        index = int(number) if number else index
        self = super().__new__(cls, kind if index is None else f"{kind}:{index}")
        self.type, self.index = kind, index
        return self

    def __repr__(self) -> str:
        return f"device(type={self.type!r}{'' if self.index is None else f', index={self.index}'})"

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (str(self),)


CPU, CUDA = device("cpu"), device("cuda:0")


class Size(tuple[int, ...]):
    """The sizes of a tensor's dimensions: a tuple that can count entries."""

    __slots__ = ()

    def numel(self) -> int:
        """The product of the sizes."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"Size({list(self)})"


def check_device(device: Any) -> None:
    """RuntimeError unless `device` is None or the CPU."""
    if device is not None and str(device).split(":")[0] != "cpu":
        raise StateError(f'device "{device}" is not available: this version computes on the CPU, device="cpu"')


def check_dtype(dtype: Any) -> Any:
    """`dtype` (a NumPy dtype, a name, or float, int, bool) as a supported NumPy dtype."""
    if dtype is float:
        return _default[0]
    if isinstance(dtype, _Unsupported):
        raise KindError(f"dtype {dtype} is not supported; use {dtype.instead}")
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found not in SUPPORTED:
        raise KindError(f"dtype {dtype!r} is not supported: choose one of {', '.join(str(t) for t in SUPPORTED)}")
    return found
