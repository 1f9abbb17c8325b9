"""Functions that make tensors: from data, filled, in sequence, or random. PyTorch's names and defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import ops
from .errors import KindError
from .kernels import K
from .random import Generator, default_generator
from .tensor import Tensor, check_device, check_dtype, float32, int64, to_array


def _made(array: Any, requires_grad: bool = False) -> Any:
    result = Tensor._wrap(array)
    return result.requires_grad_() if requires_grad else result


def _size(size: tuple[Any, ...]) -> tuple[int, ...]:
    if len(size) == 1 and isinstance(size[0], Sequence):
        size = tuple(size[0])
    shape = tuple([int(n) for n in size])
    if any(n < 0 for n in shape):
        raise ops.ShapeError(f"a tensor cannot have the shape {shape}: sizes are not negative")
    return shape


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor with a copy of `data`: numbers, nested lists, an array or a tensor."""
    return Tensor(data, dtype, device, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """`data` as a tensor; arrays and tensors are shared, not copied, where the dtype allows it."""
    check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray) and (dtype is None or check_dtype(dtype) == data.dtype):
        return from_numpy(data)
    return Tensor(data, dtype)


def from_numpy(array: Any) -> Any:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(array, np.ndarray):
        raise KindError(f"from_numpy: expected an array, got {type(array).__name__}; use tensor(…) for other data")
    check_dtype(array.dtype)
    return Tensor._wrap(array[...])


def from_dlpack(source: Any) -> Any:
    """A tensor that shares the memory of any CPU object with `__dlpack__`."""
    if not hasattr(source, "__dlpack__"):
        raise KindError(f"from_dlpack: a {type(source).__name__} has no __dlpack__; use tensor(…) for other data")
    try:
        return from_numpy(np.from_dlpack(source))
    except RuntimeError as error:  # a dtype that NumPy does not have, or memory of another device
        raise KindError(f"from_dlpack: {error}") from None


def empty(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Any:
    """A tensor whose entries are whatever was in memory."""
    check_device(device)
    return _made(K.empty(_size(size), check_dtype(dtype or float32)), requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Any:
    """A tensor filled with one number."""
    check_device(device)
    wanted = check_dtype(dtype) if dtype is not None else to_array(fill_value).dtype
    return _made(K.full(_size((size,) if isinstance(size, int) else tuple(size)), fill_value, wanted), requires_grad)


def zeros(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Any:
    """A tensor of zeros."""
    return full(_size(size), 0, dtype=dtype or float32, requires_grad=requires_grad, device=device)


def ones(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Any:
    """A tensor of ones."""
    return full(_size(size), 1, dtype=dtype or float32, requires_grad=requires_grad, device=device)


def zeros_like(x: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Zeros with the shape and dtype of `x`."""
    return zeros(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


def ones_like(x: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Ones with the shape and dtype of `x`."""
    return ones(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


def full_like(x: Any, fill_value: Any, *, dtype: Any = None) -> Any:
    """One number in the shape and dtype of `x`."""
    return full(x.shape, fill_value, dtype=dtype or x.dtype)


def eye(n: int, m: int | None = None, *, dtype: Any = None) -> Any:
    """Ones on the diagonal, zeros elsewhere."""
    return _made(np.eye(n, m, dtype=check_dtype(dtype or float32)))


def arange(*limits: Any, dtype: Any = None) -> Any:
    """`arange(end)`, `arange(start, end)` or `arange(start, end, step)`: int64 if all are integers, else float32."""
    whole = all(isinstance(n, int | np.integer) for n in limits)
    return _made(np.arange(*limits, dtype=check_dtype(dtype or (int64 if whole else float32))))


def linspace(start: float, end: float, steps: int, *, dtype: Any = None) -> Any:
    """`steps` numbers at equal distances from start to end, both included."""
    return _made(np.linspace(start, end, steps, dtype=check_dtype(dtype or float32)))


def rand(*size: Any, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Uniform in [0, 1)."""
    source = generator or default_generator
    return _made(source.uniform(_size(size), 0.0, 1.0, check_dtype(dtype or float32)), requires_grad)


def randn(*size: Any, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Normal with mean 0 and standard deviation 1."""
    source = generator or default_generator
    return _made(source.normal(_size(size), 0.0, 1.0, check_dtype(dtype or float32)), requires_grad)


def randn_like(x: Any, *, generator: Generator | None = None) -> Any:
    """Normal numbers in the shape and dtype of `x`."""
    return randn(x.shape, generator=generator, dtype=x.dtype)


def randint(low: int, high: int, size: Any, *, generator: Generator | None = None) -> Any:
    """int64 numbers uniform in [low, high)."""
    return _made((generator or default_generator).integers(low, high, _size((size,))))


def randperm(n: int, *, generator: Generator | None = None) -> Any:
    """A random order of 0 … n−1."""
    return _made((generator or default_generator).permutation(n))
