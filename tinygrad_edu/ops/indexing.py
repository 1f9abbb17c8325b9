"""Indexing and assignment: x[i], x[1:, None], x[mask], x[rows, columns] = y, flip and gather.

NumPy decides what an index means; PyTorch's reading of it is made NumPy's in `split_index`.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..autograd import Operation
from ..autograd.inplace import check_change, is_recorded, record_change
from ..autograd.variable import Variable
from ..errors import InputError, KindError, RangeError, StateError
from ..kernels import K, beside, host, on_gpu
from ._common import Array, ShapeError, check_writeable, normalized_dim, own_result
from .devices import picked, write
from .elementwise import cast
from .shape import Expand, Reshape, reshape

BASIC = {int, slice, type(None), type(Ellipsis)}  # the parts of an index that select a view; all others are arrays


class GetItem(Operation):
    """y = x[index];  dx = zeros with g added at the index. A view, unless there are index arrays."""

    @staticmethod
    def forward(ctx: Any, x: Array, index: Any) -> Array:
        ctx.index, ctx._is_view = index, is_basic(index)
        if on_gpu(x):
            return x[index] if ctx._is_view else picked(x, index)
        return np.asarray(x[index])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Scatter.apply(g, ctx.index, ctx.input_shape(0)), None

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        return scattered(g, ctx.index, ctx.input_shape(0)), None


class Scatter(Operation):
    """Zeros with g added at an index: the transpose of `GetItem`."""

    @staticmethod
    def forward(ctx: Any, g: Array, index: Any, shape: tuple[int, ...]) -> Array:
        ctx.index = index
        return scattered(g, index, shape)

    @staticmethod
    def backward(ctx: Any, gg: Any) -> Any:
        return GetItem.apply(gg, ctx.index), None, None


def is_basic(index: Any) -> bool:
    """Whether an index selects a view: numbers, slices, None and … only."""
    for part in index:  # noqa: SIM110 - a generator takes its time
        if type(part) not in BASIC:
            return False
    return True


def scattered(g: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with g added at `index`."""
    x = beside(g).full(shape, 0, g.dtype)
    if is_basic(index):
        parts = index if isinstance(index, tuple) else (index,)
        whole = parts if any(part is ... for part in parts) else (*parts, ...)  # a view, of a single entry too
        K.copy(g, out=x[whole])
    else:
        K.index_add(x, index, g)
    return x


def split_index(index: Any, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """A user's index in two steps, as PyTorch takes it: one that selects a view, then index arrays into that view.

    The first ends in …, so that NumPy gives a view of a single entry too; the second is () where there are no arrays.
    """
    parts = _index_parts(index, shape)
    used = sum([_dims_used(p) for p in parts])
    if used > len(shape):
        raise RangeError(f"too many indices: {used} for {len(shape)} dimensions")
    basic: list[Any] = []
    arrays: list[Any] = []  # one for each dimension of the view
    dim = 0
    for p in parts:
        if p is Ellipsis:
            free, used = len(shape) - used, len(shape)  # a second … stands for nothing
            basic += [slice(None)] * free
            arrays += [slice(None)] * free
            dim += free
            continue
        if type(p) not in BASIC and p.dtype.kind == "b":
            if p.shape != shape[dim : dim + p.ndim]:
                raise RangeError(f"a mask of shape {p.shape} does not fit the sizes {shape[dim : dim + p.ndim]}")
            basic += [slice(None)] * p.ndim if p.ndim else [None]
            arrays += p.nonzero() if p.ndim else [np.zeros(int(p), np.int64)]
        elif type(p) not in BASIC:
            basic.append(slice(None))
            arrays.append(p)
        else:
            basic.append(p)
            arrays += [] if isinstance(p, int) else [slice(None)]
        dim += _dims_used(p)
    while arrays and type(arrays[-1]) in BASIC:
        arrays.pop()
    return (*basic, Ellipsis), tuple(arrays)


def _dims_used(part: Any) -> int:
    """How many dimensions of the tensor one part of an index stands for."""
    if type(part) not in BASIC:
        return part.ndim if part.dtype.kind == "b" else 1
    return 0 if part is None or part is Ellipsis else 1


def _index_parts(index: Any, shape: tuple[int, ...]) -> list[Any]:
    """A user's index as a list of numbers, slices, None, … and arrays of int64 or bool, these on the CPU: what they
    select, Python has to know."""
    several = isinstance(index, tuple) or (
        isinstance(index, list) and any(isinstance(p, list | tuple | slice | Variable | np.ndarray) or p in (None, ...)
                                         for p in index)
    )  # fmt: skip
    return [_index_part(p, shape) for p in (index if several else (index,))]


def _index_part(part: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(part, slice):
        start, stop, step = [None if n is None else operator.index(n) for n in (part.start, part.stop, part.step)]
        if step is not None and step <= 0:
            raise InputError(f"a slice step must be positive, got {step}; use flip(dim) to reverse")
        return slice(start, stop, step)
    if part is None or part is Ellipsis:
        return part
    if isinstance(part, bool | np.bool_):
        return np.asarray(part)
    if isinstance(part, int | np.integer):
        return int(part)
    if isinstance(part, Variable):
        part = part._array
    elif isinstance(part, list | tuple | range):
        part = np.asarray(part if len(part) else np.zeros(0, np.int64))
    elif isinstance(part, float):
        raise RangeError(f"a tensor of shape {shape} is indexed by integers, not by {part}; use int(…)")
    if on_gpu(part):
        if part.ndim and part.dtype.kind in "iu" and part.dtype != np.uint8:
            return part if part.dtype == np.int64 else K.cast(part, np.dtype(np.int64))
        part = host(part)
    if not isinstance(part, np.ndarray):
        raise KindError(f"a tensor of shape {shape} cannot be indexed by {type(part).__name__}")
    if part.dtype.kind not in "iub":
        raise RangeError(f"an index must hold integers or booleans, got {part.dtype}; convert it: index.long()")
    if part.dtype.kind == "b" or part.dtype == np.uint8:  # PyTorch reads bytes as a mask
        return part.astype(bool, copy=False)
    return int(part) if part.ndim == 0 else part.astype(np.int64, copy=False)


def getitem(input: Any, index: Any) -> Any:
    """x[index]: a view for numbers and slices, a copy for index arrays and masks."""
    try:
        if type(index) is int:
            return GetItem.apply(input, (index, Ellipsis))
        basic, arrays = split_index(index, input._array.shape)
        if not arrays:
            return GetItem.apply(input, basic)
        _check_memory(input._array, arrays)
        return GetItem.apply(input if _selects_all(basic) else GetItem.apply(input, basic), arrays)
    except IndexError as error:
        raise RangeError(f"indexing a tensor of shape {tuple(input.shape)}: {error}") from None


def _check_memory(array: Any, arrays: tuple[Any, ...]) -> None:
    if not on_gpu(array) and any(on_gpu(a) for a in arrays):
        raise StateError(
            "indexing: the index is on the GPU, the tensor on the CPU; move one of them, as in index.cpu()"
        )


def selected(shape: tuple[int, ...], arrays: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of what index arrays select; IndexError if they do not fit. Of a GPU's, the shape is seen."""
    seen = tuple([np.broadcast_to(0, a.shape) if type(a) not in BASIC and on_gpu(a) else a for a in arrays])
    return np.broadcast_to(np.False_, shape)[seen].shape


def _selects_all(basic: tuple[Any, ...]) -> bool:
    return all(p is Ellipsis or (isinstance(p, slice) and p == slice(None)) for p in basic)


def setitem(input: Any, index: Any, value: Any, operation: str = "setitem") -> None:
    """x[index] = value, in place: broadcast and converted to x's dtype; recorded if a gradient is wanted."""
    array = input._array
    if not isinstance(value, Variable):
        value = Variable.wrap(np.asarray(value, array.dtype))
    elif value._array.dtype != array.dtype:
        value = cast(value, array.dtype)
    try:
        basic, arrays = split_index(index, array.shape)
        part = array[basic]
        wide = selected(part.shape, arrays) if arrays else part.shape
        _check_memory(array, arrays)
    except IndexError as error:
        raise RangeError(f"assigning to a tensor of shape {tuple(input.shape)}: {error}") from None
    value = _broadcast_value(value, wide, operation, array.shape)
    recorded = is_recorded(input, (value,))
    if recorded:
        check_change(operation, input)
    check_writeable(operation, array if arrays else part, one_value=operation == "fill_")
    if on_gpu(part) or on_gpu(value._array):
        write(part, arrays, value._array)
    else:
        part[arrays or ...] = value._array
    input._version.changes += 1
    if recorded:
        if not _selects_all(basic):
            input = GetItem.apply(input, basic)
        record_change(input, value, False, arrays or (...,))


def _broadcast_value(value: Any, shape: tuple[int, ...], operation: str, whole: tuple[int, ...]) -> Any:
    """`value` repeated to `shape`; leading dimensions of size 1 are taken off."""
    have = value._array.shape
    if have == shape:
        return value
    lead = max(len(have) - len(shape), 0)
    try:
        if any(n != 1 for n in have[:lead]) or (lead and operation != "setitem"):
            raise ValueError
        return Expand.apply(Reshape.apply(value, have[lead:]) if lead else value, shape)
    except ValueError:
        raise ShapeError(
            f"{operation}: a value of shape {have} does not broadcast to the part of {whole} "
            f"that the index selects, {shape}"
        ) from None


def gather(input: Any, dim: int, index: Any) -> Any:
    """y[i, j] = x[i, index[i, j]] for dim 1, and so on: picks along `dim`, one index for each result entry."""
    dim = normalized_dim(dim, input.ndim, "gather")
    if index.ndim != input.ndim:
        raise ShapeError(f"gather: index has {index.ndim} dimensions, the tensor {input.ndim}: they must be equal")
    if input.ndim == 0:
        return own_result(gather(reshape(input, 1), 0, reshape(index, 1)).reshape(()))
    grid: list[Any] = list(np.ogrid[tuple(slice(0, n) for n in index.shape)])
    grid[dim] = index._array
    return getitem(input, tuple(grid))


def flip(input: Any, dims: Any) -> Any:
    """The order along `dims` reversed, as a copy."""
    axes = [normalized_dim(d, input.ndim, "flip") for d in ([dims] if isinstance(dims, int) else dims)]
    index = tuple([slice(None, None, -1) if i in axes else slice(None) for i in range(input.ndim)])
    return GetItem.apply(input, index).clone()
