"""How arrays lie in memory: sizes and steps as the kernels want them, and the views that cost no launch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import InputError, ShapeError, StateError
from .gpu import Device, device
from .signatures import KERNELS, SUFFIX

Steps = list[int]
RANK = 4  # sizes that an elementwise kernel takes


def suffix(operation: str, dtype: Any) -> str:
    """The dtype's part of a kernel's name; StateError if no kernel computes in it."""
    try:
        return SUFFIX[np.dtype(dtype)]
    except KeyError:
        raise StateError(
            f"{operation}: the GPU kernels do not compute in {dtype}; convert first, as in x.float()"
        ) from None


def named(operation: str, dtype: Any) -> str:
    """The name of a kernel for a dtype; StateError if there is none."""
    name = f"{operation}_{suffix(operation, dtype)}"
    if name not in KERNELS:
        raise StateError(f"{operation}: there is no GPU kernel for {dtype}; convert first, or use x.cpu()")
    return name


def steps_of(array: Any, shape: tuple[int, ...]) -> Steps:
    """Distances between an array's neighbours, in elements, when it is broadcast to `shape`."""
    size = array.dtype.itemsize
    own = [0 if n == 1 else s // size for n, s in zip(array.shape, array.strides, strict=True)]
    return [0] * (len(shape) - len(own)) + own


def merged(shape: tuple[int, ...], *steps: Steps) -> tuple[list[int], list[Steps]]:
    """The same entries in fewer dimensions: neighbours are joined where every array steps evenly through both."""
    sizes: list[int] = []
    kept: list[Steps] = []  # for each dimension the step of each array
    for d, n in enumerate(shape):
        if n == 1:
            continue
        here = [s[d] for s in steps]
        if sizes and all(before == now * n for before, now in zip(kept[-1], here, strict=True)):
            sizes[-1] *= n
            kept[-1] = here
        else:
            sizes.append(n)
            kept.append(here)
    return sizes, [[k[a] for k in kept] for a in range(len(steps))]


def contiguous(x: Any) -> Any:
    """x, or a C-contiguous copy of it."""
    return x if x.flags.c_contiguous else copied(device(), x)


def copied(gpu: Device, x: Any) -> Any:
    """A C-contiguous copy."""
    out = gpu.empty(x.shape, x.dtype)
    mapped(gpu, f"copy_{x.dtype.itemsize}", (out, x), ())
    return out


def mapped(gpu: Device, name: str, arrays: tuple[Any, ...], numbers: tuple[float, ...]) -> None:
    """Launch an elementwise kernel over the shape of the first array; None among them is no array."""
    shape = arrays[0].shape
    count = math.prod(shape)
    if all(a is None or (a.shape == shape and a.flags.c_contiguous) for a in arrays):
        sizes, steps = [count], [[0 if a is None else 1] for a in arrays]
    else:
        sizes, steps = merged(shape, *[[0] * len(shape) if a is None else steps_of(a, shape) for a in arrays])
    if count and len(sizes) > RANK:
        spread = [None if a is None else expanded(a, shape) for a in arrays]
        first = next(d for d, n in enumerate(shape) if n > 1)
        for i in range(shape[first]):
            part = (slice(None),) * first + (i,)
            mapped(gpu, name, tuple([None if a is None else a[part] for a in spread]), numbers)
        return
    lead = RANK - len(sizes)
    layout = [*[1] * lead, *sizes]
    for s in steps:
        layout += [*[0] * lead, *s]
    gpu.flat(name, count, *arrays, *numbers, *layout)


# -- views -----------------------------------------------------------------------------------------------------


def expanded(x: Any, shape: tuple[int, ...]) -> Any:
    """x broadcast to `shape`, without a copy."""
    return device().cupy.broadcast_to(x, shape)


def reshaped(x: Any, shape: tuple[int, ...]) -> Any:
    """The entries of x in another shape: a view where the memory allows one, else a copy."""
    if x.flags.c_contiguous:
        return x.reshape(shape)
    known = math.prod([n for n in shape if n != -1])
    sizes = tuple([x.size // known if n == -1 and known else n for n in shape])
    if math.prod(sizes) == x.size:
        view = x.view()
        try:
            view.shape = sizes
            return view
        except (AttributeError, ValueError):
            pass  # the memory does not allow it
    return copied(device(), x).reshape(sizes)


def result_of(operation: str, gpu: Device, out: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """`out`, if it can take the result, else a new array."""
    if out is None:
        return gpu.empty(shape, dtype)
    if out.shape != shape or out.dtype != dtype:
        raise InputError(
            f"{operation}: out has shape {out.shape} and dtype {out.dtype}; wanted are {shape} and {dtype}"
        )
    return out


def broadcast_shape(operation: str, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that all broadcast to."""
    if all(s == shapes[0] for s in shapes):
        return shapes[0]
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        listed = " and ".join(map(str, shapes))
        raise ShapeError(f"{operation}: shapes {listed} do not broadcast: sizes must be equal or 1") from None
