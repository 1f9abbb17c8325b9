"""Index arrays: x[index], and what is written and added there. Signatures and meanings: `protocol.py`.

An index is a tuple with an array of int64, here or on the CPU, or `slice(None)` for each of the first dimensions.
Which entries it selects, and in what shape, is NumPy's rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .elementwise import cast, copy
from .gpu import device, mixed
from .layout import RANK, broadcast_shape, contiguous, copied, expanded, mapped, merged, named, steps_of
from .order import argsort

Array = Any
INT64 = np.dtype(np.int64)


def _split(x: Array, index: tuple[Any, ...]) -> tuple[list[int], list[int], list[Array]]:
    """The dimensions of x that have index arrays, the others, and these arrays on the device."""
    gpu = device()
    dims = [d for d, part in enumerate(index) if not isinstance(part, slice)]
    arrays = [index[d] if isinstance(index[d], gpu.array_type) else gpu.to_device(np.asarray(index[d], np.int64))
              for d in dims]  # fmt: skip
    return (
        dims,
        [d for d in range(x.ndim) if d not in dims],
        [a if a.dtype == INT64 else cast(a, INT64) for a in arrays],
    )


def _positions(x: Array, dims: list[int], arrays: list[Array]) -> Array:
    """Where in x each of the selected entries begins."""
    gpu, found = device(), None
    shape = broadcast_shape("indexing", [a.shape for a in arrays])
    for d, index in zip(dims, arrays, strict=True):
        before, found = found, gpu.empty(shape, INT64)
        mapped(gpu, "position", (found, before, index), (gpu.fault(), x.shape[d], x.strides[d] // x.dtype.itemsize))
    return found


def _layout(x: Array, rest: list[int]) -> list[int] | None:
    """Four sizes and steps of the other dimensions; None if it takes more."""
    steps = steps_of(x, x.shape)
    sizes, (kept,) = merged(tuple([x.shape[d] for d in rest]), [steps[d] for d in rest])
    lead = RANK - len(sizes)
    return None if lead < 0 else [*[1] * lead, *sizes, *[0] * lead, *kept]


def _order(dims: list[int], rest: list[int], count: int) -> list[int]:
    """The axes of (selected, rest) in the order of NumPy's result: what is selected comes first, or, if its dimensions
    are neighbours, in their place."""
    before = dims[0] if dims == list(range(dims[0], dims[0] + len(dims))) else 0
    return [*range(count, count + before), *range(count), *range(count + before, count + len(rest))]


def pick(x: Array, index: tuple[Any, ...]) -> Array:
    """x[index], a copy."""
    gpu = device()
    dims, rest, arrays = _split(x, index)
    layout = _layout(x, rest)
    if layout is None:
        x = copied(gpu, x.transpose([*dims, *rest]))
        return pick(x, tuple(arrays)).transpose(_order(dims, rest, len(broadcast_shape("", [a.shape for a in arrays]))))
    positions = _positions(x, dims, arrays)
    y = gpu.empty((*positions.shape, *[x.shape[d] for d in rest]), x.dtype)
    gpu.flat(f"pick_{x.dtype.itemsize}", y.size, y, x, positions, positions.size, *layout)
    return contiguous(y.transpose(_order(dims, rest, positions.ndim)))


def _spread(name: str, x: Array, index: tuple[Any, ...], values: Array) -> None:
    gpu = device()
    dims, rest, arrays = _split(x, index)
    layout = _layout(x, rest)
    if layout is None:  # too many dimensions that cannot be joined: in a copy they can
        fresh = copied(gpu, x.transpose([*dims, *rest]))
        shape = broadcast_shape("", [a.shape for a in arrays])
        _spread(name, fresh, tuple(arrays), _turned(x, dims, rest, shape, values))
        copy(fresh.transpose(np.argsort([*dims, *rest]).tolist()), out=x)
        return
    positions = _positions(x, dims, arrays)
    given = contiguous(_turned(x, dims, rest, positions.shape, values))
    if given.size:
        positions = positions.reshape(-1)
        gpu.flat(name, given.size, x, given, positions, argsort(positions, 0, False), positions.size, *layout)


def _turned(x: Array, dims: list[int], rest: list[int], shape: tuple[int, ...], values: Array) -> Array:
    """Values in NumPy's order, broadcast, as (selected, rest)."""
    order, full = _order(dims, rest, len(shape)), (*shape, *[x.shape[d] for d in rest])
    return expanded(values, tuple([full[a] for a in order])).transpose(np.argsort(order).tolist())


def put(x: Array, index: tuple[Any, ...], values: Array) -> None:
    """x[index] = values, in place; of values for one entry the last one stays."""
    gpu = device()
    if not isinstance(x, gpu.array_type):
        raise mixed("assigning")
    values = values if isinstance(values, gpu.array_type) else gpu.to_device(np.asarray(values))
    _spread(f"put_{x.dtype.itemsize}", x, index, values)


def index_add(target: Array, index: Any, values: Array) -> None:
    index = index if isinstance(index, tuple) else (index,)
    if not math.prod(target.shape) and not values.size:
        return
    _spread(named("add_at", target.dtype), target, index, values)


TABLE: dict[str, Callable[..., Any]] = {"index_add": index_add}
