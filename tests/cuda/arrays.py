"""Arrays on the device in every layout that memory can have, and the comparison with the reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kernels.layouts import assert_close
from tinygrad_edu.kernels import cuda, reference

LAYOUTS = ["contiguous", "transposed", "sliced", "negative", "broadcast"]
SHAPES = [(), (0,), (1,), (3,), (257,), (5, 7), (1, 33), (0, 4), (65, 3), (2, 3, 19), (2, 3, 1, 2, 3), (2, 2, 3, 2, 3)]
FLOATS = [np.float32, np.float64]
WHOLE = [np.int8, np.int16, np.int32, np.int64, np.uint8]


def random(rng: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Numbers around 0, of any dtype."""
    x = rng.normal(size=shape) * 3
    return np.asarray(x > 0 if dtype == np.bool_ else np.abs(x) if dtype == np.uint8 else x).astype(dtype)


def placed(x: np.ndarray, layout: str = "contiguous") -> Any:
    """The values of x (for "broadcast", its first row) on the device, in a layout."""
    put, gpu = cuda.to_device, cuda.device()
    if x.ndim == 0 or layout == "contiguous":
        return put(x)
    if layout == "transposed":
        return put(np.ascontiguousarray(x.T)).T
    if layout == "sliced":
        big = np.full([2 * n + 1 for n in x.shape], 77).astype(x.dtype)
        inside = tuple(slice(1, None, 2) for _ in x.shape)
        big[inside] = x
        return put(big)[inside]
    if layout == "negative":
        flip = tuple(slice(None, None, -1) for _ in x.shape)
        return put(np.ascontiguousarray(x[flip]))[flip]
    return gpu.cupy.broadcast_to(put(x[:1]), x.shape) if x.shape[0] else put(x)


def wide(x: Any) -> Any:
    """Floats in float64, so that the reference knows better."""
    return x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def back(x: Any) -> Any:
    """A result on the CPU; of several, each."""
    if isinstance(x, tuple):
        return tuple(back(y) for y in x)
    return cuda.to_host(x) if isinstance(x, cuda.device().array_type) else x


def check(name: str, arrays: list[Any], *rest: Any, ulps: float = 4, scale: Any = 0, out: Any = None) -> Any:
    """The kernel on device arrays against the reference in float64 on the same values; gives its result."""
    with np.errstate(all="ignore"):
        expected = getattr(reference, name)(*[wide(back(a)) for a in arrays], *rest)
    before = [back(a) for a in arrays if out is not a]
    actual = getattr(cuda, name)(*arrays, *rest, **({} if out is None else {"out": out}))
    several = zip(actual, expected, strict=True) if isinstance(expected, tuple) else [(actual, expected)]
    for mine, wanted in several:
        if wanted is None:
            assert mine is None
            continue
        if wanted.dtype.kind == "f":
            floats = [a.dtype for a in arrays if isinstance(a, cuda.device().array_type) and a.dtype.kind == "f"]
            assert mine.dtype == floats[0]
        assert_close(back(mine), wanted, ulps, scale)
    for array, held in zip([a for a in arrays if out is not a], before, strict=True):
        np.testing.assert_array_equal(back(array), held)  # inputs are never written to
    return actual
