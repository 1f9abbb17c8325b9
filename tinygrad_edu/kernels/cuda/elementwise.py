"""Memory and elementwise kernels. Signatures and meanings: `protocol.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import KindError
from .gpu import Device, device, mixed
from .layout import broadcast_shape, copied, mapped, named, result_of, suffix
from .signatures import BINARY, COMPARISONS, UNARY

Array = Any


def operands(operation: str, gpu: Device, values: tuple[Any, ...]) -> tuple[list[Any], Any, float]:
    """Arrays (None for a number), their dtype, and that number. NumPy's 0-d arrays count as numbers."""
    arrays: list[Any] = []
    number = 0.0
    dtype = None
    for value in values:
        if isinstance(value, gpu.array_type):
            if dtype is not None and value.dtype != dtype:
                raise KindError(f"{operation}: arrays of {dtype} and {value.dtype}; they must have one dtype")
            arrays.append(value)
            dtype = value.dtype
        elif isinstance(value, np.ndarray) and value.ndim:
            raise mixed(operation)
        else:
            arrays.append(None)
            number = float(value)
    return arrays, dtype, number


# -- memory ------------------------------------------------------------------------------------------------------
def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    return device().empty(shape, dtype)


def full(shape: tuple[int, ...], value: Any, dtype: Any) -> Array:
    gpu, dtype = device(), np.dtype(dtype)
    out = gpu.empty(shape, dtype)
    name = named("fill", dtype)
    real, whole = (float(value), 0) if dtype.kind == "f" else (0.0, int(np.array(value).astype(dtype)))
    gpu.flat(name, out.size, out, real, whole, out.size)
    return out


def copy(x: Array, *, out: Array | None = None) -> Array:
    gpu = device()
    if out is None:
        return copied(gpu, x)
    if not isinstance(out, gpu.array_type):  # to the CPU
        np.copyto(out, to_host(x), casting="unsafe")
        return out
    if not isinstance(x, gpu.array_type):
        x = full((), x.item(), out.dtype) if np.ndim(x) == 0 else gpu.to_device(np.asarray(x, out.dtype))
    broadcast_shape("copy", [out.shape, x.shape])
    if x.dtype == out.dtype:
        mapped(gpu, f"copy_{x.dtype.itemsize}", (out, x), ())
    else:
        mapped(gpu, f"cast_{suffix('cast', x.dtype)}_{suffix('cast', out.dtype)}", (out, x), ())
    return out


def cast(x: Array, dtype: Any) -> Array:
    return copy(x, out=device().empty(x.shape, dtype))


def to_host(x: Array) -> Array:
    """A NumPy array with the entries of x."""
    gpu = device()
    return gpu.to_host(x if x.flags.c_contiguous else copied(gpu, x))


def to_device(x: Array) -> Array:
    """An array on the device with the entries of a NumPy array."""
    return device().to_device(x)


# -- elementwise -------------------------------------------------------------------------------------------------
_BOOLEAN = {"add": "bitor", "mul": "bitand"}  # what NumPy means by them
SQUARED = "mse"


def apply(
    operation: str, values: tuple[Any, ...], numbers: tuple[float, ...], out: Array | None, boolean: bool
) -> Array:
    """An elementwise kernel over arrays and at most one number; `numbers` are its parameters, if it has any."""
    gpu = device()
    arrays, dtype, number = operands(operation, gpu, values)
    shape = broadcast_shape(operation, [a.shape for a in arrays if a is not None])
    name = named(_BOOLEAN.get(operation, operation) if dtype.kind == "b" else operation, dtype)
    result = result_of(operation, gpu, out, shape, np.dtype(bool) if boolean else dtype)
    p, q = (*numbers, 0.0, 0.0)[:2] if numbers else (number, 0.0)
    mapped(gpu, name, (result, *arrays), (float(p), float(q)))
    return result


def _kernel(operation: str, inputs: int, boolean: bool = False) -> Callable[..., Array]:
    def kernel(*values: Any, out: Array | None = None) -> Array:
        return apply(operation, values[:inputs], tuple(values[inputs:]), out, boolean)

    kernel.__name__ = kernel.__qualname__ = operation
    return kernel


TABLE: dict[str, Callable[..., Any]] = {
    **{name: _kernel(name, 1) for name in UNARY},
    **{name: _kernel(name, 2) for name in BINARY if name != SQUARED},
    **{name: _kernel(name, 2, True) for name in COMPARISONS},
}


def where(condition: Array, a: Array, b: Array, *, out: Array | None = None) -> Array:
    gpu = device()
    arrays, dtype, number = operands("where", gpu, (a, b))
    if dtype is None:  # two numbers: NumPy's 0-d arrays
        dtype, arrays[0] = np.asarray(a).dtype, full((), a, np.asarray(a).dtype)
    if not isinstance(condition, gpu.array_type):
        if np.ndim(condition):
            raise mixed("where")
        condition = full((), bool(condition), np.dtype(bool))
    shape = broadcast_shape("where", [x.shape for x in (condition, *arrays) if x is not None])
    result = result_of("where", gpu, out, shape, dtype)
    mapped(gpu, named("where", dtype), (result, condition, *arrays), (number,))
    return result


def bits(operation: str, a: Array, b: Array) -> Array:
    """and, or, xor of integers or booleans."""
    return apply(f"bit{operation}", (a, b), (), None, False)


# -- squared differences -----------------------------------------------------------------------------------------
def squared(x: Array, y: Array) -> Array:
    """(x − y)²."""
    return apply(SQUARED, (x, y), (), None, False)


def mse_backward(g: Array, x: Array, y: Array, reduction: str) -> Array:
    gpu = device()
    scale = 2 / x.size if reduction == "mean" and x.size else 2
    result = gpu.empty(x.shape, x.dtype)
    mapped(gpu, named("mse_backward", x.dtype), (result, g, x, y), (float(scale),))
    return result


TABLE |= {"empty": empty, "full": full, "copy": copy, "cast": cast, "where": where, "mse_backward": mse_backward}
