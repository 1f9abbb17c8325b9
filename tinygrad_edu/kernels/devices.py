"""Which memory an array is in, and which kernels serve it there.

An array on the CPU is a `numpy.ndarray`, one on a GPU a `cupy.ndarray`. A kernel call with one of the latter among its
arguments goes to `kernels.cuda`: the compiled kernels hand on what is not NumPy's, so that calls on the CPU pay
nothing. A kernel that makes an array out of nothing is asked of the right table: `on("cuda")`, `beside(array)`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..errors import InputError, StateError
from . import cuda, reference
from .protocol import KERNELS, Array, Kernels

RESHAPES_WITHOUT_COPY = tuple(map(int, np.__version__.split(".")[:2])) >= (2, 1)  # an argument of np.reshape since then


def dispatched(kernel: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel on the GPU for calls with an array that is there, `function` for all others."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        gpu = cuda.in_use()
        if gpu is not None and _has_one(gpu.array_type, (*args, *kwargs.values())):
            return getattr(cuda, kernel)(*args, **kwargs)
        return function(*args, **kwargs)

    return call


def _has_one(kind: type, values: tuple[Any, ...]) -> bool:
    """Whether an array of this kind is among the values, or in the lists among them."""
    for value in values:
        if isinstance(value, kind):
            return True
        if isinstance(value, list | tuple) and any(isinstance(v, kind) for v in value):
            return True
    return False


def all_dispatched(name: str) -> Any:
    """The reference with calls for the GPU turned there: a table of kernels."""
    return SimpleNamespace(name=name, **{kernel: dispatched(kernel, getattr(reference, kernel)) for kernel in KERNELS})


def on_gpu(array: Any) -> bool:
    """Whether an array is in a GPU's memory."""
    if type(array) is np.ndarray:
        return False  # nearly always
    gpu = cuda.in_use()
    return gpu is not None and isinstance(array, gpu.array_type)


def device_of(array: Any) -> str:
    """Where an array is: "cpu" or "cuda:0"."""
    return "cuda:0" if on_gpu(array) else "cpu"


def on(device: Any, cpu: Kernels) -> Kernels:
    """The kernels that make arrays on a device: `cpu`, or the GPU's; RuntimeError if there is none."""
    kind, _, number = str("cpu" if device is None else device).partition(":")
    if kind == "cpu":
        return cpu
    if kind != "cuda":
        raise InputError(f'device: "{device}" is no device; it can be "cpu" or "cuda"')
    cuda.device()
    if number not in ("", "0"):
        raise StateError(f'device "{device}" is not available: one GPU is used, "cuda:0"')
    return cuda  # type: ignore[return-value]


def moved(array: Any, device: Any) -> Any:
    """The array itself if it is on the device, else a copy of it there."""
    gpu = str(device).startswith("cuda")
    if gpu == on_gpu(array):
        return array
    return cuda.to_device(array) if gpu else cuda.to_host(array)


def host(array: Any) -> Array:
    """The array itself if it is NumPy's, else a copy of it on the CPU."""
    return cuda.to_host(array) if on_gpu(array) else array  # type: ignore[no-any-return]


def reshaped(x: Any, shape: tuple[int, ...]) -> Any:
    """The entries in another shape, as a view; None for many entries whose places in memory do not allow one."""
    if type(x) is not np.ndarray and on_gpu(x):
        return cuda.reshaped(x, shape)
    if x.flags.c_contiguous or x.size < 16384:
        return x.reshape(shape)
    try:
        return np.reshape(x, shape, copy=False) if RESHAPES_WITHOUT_COPY else _as_view(x, shape)
    except (ValueError, AttributeError):
        return None


def _as_view(x: Array, shape: tuple[int, ...]) -> Array:
    view = x.view()
    view.shape = shape
    return view


def expanded(x: Any, shape: tuple[int, ...]) -> Any:
    """x broadcast to `shape`, a view."""
    return np.broadcast_to(x, shape) if type(x) is np.ndarray or not on_gpu(x) else cuda.expanded(x, shape)
