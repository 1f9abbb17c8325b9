"""Views, indexing and joining: how entries are arranged, not what they are.

A view shares its input's memory and version counter. NumPy decides what can be one.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import Operation
from ..autograd.engine import Arithmetic
from ..autograd.inplace import check_change, is_recorded, record_change
from ..autograd.variable import Variable
from ..errors import InputError, KindError, RangeError
from ..kernels import K, beside, expanded, on_gpu, reshaped
from ._common import Array, ShapeError, check_writeable, normalized_dim, own_result, result_type, unbroadcast
from .devices import picked, write
from .elementwise import cast


class Reshape(Operation):
    """The same entries in another shape;  dx = g in the old shape."""

    @staticmethod
    def forward(ctx: Any, x: Array, shape: tuple[int, ...]) -> Array:
        y = reshaped(x, shape)
        ctx._is_view = y.base is not None and (y.base is x or y.base is x.base)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g.reshape(ctx.input_shape(0)), None

    fused_backward = backward


class Permute(Operation):
    """Axes in another order;  dx = g with the order undone."""

    @staticmethod
    def forward(ctx: Any, x: Array, order: tuple[int, ...]) -> Array:
        ctx.order, ctx._is_view = order, True
        return x.transpose(order)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        undone = [0] * len(ctx.order)
        for i, axis in enumerate(ctx.order):
            undone[axis] = i
        return permute(g, undone), None


class Expand(Operation):
    """Entries repeated along axes of size 1, without a copy;  dx = Σ g over the copies."""

    @staticmethod
    def forward(ctx: Any, x: Array, shape: tuple[int, ...]) -> Array:
        ctx._is_view = True
        y = expanded(x, shape)
        if not on_gpu(x):
            y.flags.writeable = x.flags.writeable  # `check_writeable` knows better than NumPy which can be written
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return unbroadcast(g, ctx.input_shape(0)), None

    fused_backward = backward


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


class Pieces(Operation):
    """Slices along an axis that cover it, as views; with `drop`, of size 1 and without it.  dx = the g side by side."""

    @staticmethod
    def forward(ctx: Any, x: Array, axis: int, stops: tuple[int, ...], drop: bool) -> tuple[Array, ...]:
        lead = (slice(None),) * axis
        starts = (0, *stops[:-1])
        ctx.parts = [(*lead, a if drop else slice(a, b), Ellipsis) for a, b in zip(starts, stops, strict=True)]
        ctx.axis, ctx.drop, ctx._is_view = axis, drop, True
        ctx.set_materialize_grads(False)
        return tuple([x[part] for part in ctx.parts])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        known = next(g._array for g in grads if g is not None)
        empty = expanded(beside(known).full((), 0, known.dtype), ctx.input_shape(0))
        whole = [Variable.wrap(empty[part]) if g is None else g for g, part in zip(grads, ctx.parts, strict=True)]
        return stack(whole, ctx.axis) if ctx.drop else cat(whole, ctx.axis), None, None, None

    @staticmethod
    def fused_backward(ctx: Any, *grads: Any) -> Any:
        known = next(g for g in grads if g is not None)
        shape, make = ctx.input_shape(0), beside(known)
        some_missing = any([g is None for g in grads])
        dx = make.full(shape, 0, known.dtype) if some_missing else make.empty(shape, known.dtype)
        for g, part in zip(grads, ctx.parts, strict=True):
            if g is not None:
                K.copy(g, out=dx[part])
        return dx, None, None, None


class Cat(Operation):
    """Tensors joined along an axis;  each gets its slice of g."""

    @staticmethod
    def forward(ctx: Any, axis: int, *arrays: Array) -> Array:
        ctx.axis, ctx.sizes = axis, [a.shape[axis] for a in arrays]
        y = beside(arrays[0]).empty(
            (*arrays[0].shape[:axis], int(np.sum(ctx.sizes)), *arrays[0].shape[axis + 1 :]), arrays[0].dtype
        )
        if not on_gpu(y):
            return np.concatenate(arrays, axis=axis, out=y)
        start = 0
        for a, size in zip(arrays, ctx.sizes, strict=True):
            K.copy(a, out=y[(slice(None),) * axis + (slice(start, start + size),)])
            start += size
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        parts, start = [], 0
        for size, needed in zip(ctx.sizes, ctx.needs_input_grad[1:], strict=True):
            index = (slice(None),) * ctx.axis + (slice(start, start + size),)
            parts.append(g[index] if needed else None)
            start += size
        return (None, *parts)


# -- indexing ------------------------------------------------------------------------------------------------


def is_basic(index: Any) -> bool:
    """Whether an index selects a view: numbers, slices, None and … only."""
    for part in index:  # noqa: SIM110 - a generator takes its time
        if isinstance(part, np.ndarray):
            return False
    return True


def scattered(g: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with g added at `index`."""
    x = beside(g).full(shape, 0, g.dtype)
    if is_basic(index):
        K.copy(g, out=x[index])
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
        if isinstance(p, np.ndarray) and p.dtype.kind == "b":
            if p.shape != shape[dim : dim + p.ndim]:
                raise RangeError(f"a mask of shape {p.shape} does not fit the sizes {shape[dim : dim + p.ndim]}")
            basic += [slice(None)] * p.ndim if p.ndim else [None]
            arrays += p.nonzero() if p.ndim else [np.zeros(int(p), np.int64)]
        elif isinstance(p, np.ndarray):
            basic.append(slice(None))
            arrays.append(p)
        else:
            basic.append(p)
            arrays += [] if isinstance(p, int) else [slice(None)]
        dim += _dims_used(p)
    while arrays and not isinstance(arrays[-1], np.ndarray):
        arrays.pop()
    return (*basic, Ellipsis), tuple(arrays)


def _dims_used(part: Any) -> int:
    """How many dimensions of the tensor one part of an index stands for."""
    if isinstance(part, np.ndarray):
        return part.ndim if part.dtype.kind == "b" else 1
    return 0 if part is None or part is Ellipsis else 1


def _index_parts(index: Any, shape: tuple[int, ...]) -> list[Any]:
    """A user's index as a list of numbers, slices, None, … and arrays of int64 or bool."""
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
        return GetItem.apply(input if _selects_all(basic) else GetItem.apply(input, basic), arrays)
    except IndexError as error:
        raise RangeError(f"indexing a tensor of shape {tuple(input.shape)}: {error}") from None


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
        wide = np.broadcast_to(np.False_, part.shape)[arrays].shape if arrays else part.shape  # and checks the arrays
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


# -- views ---------------------------------------------------------------------------------------------------


def _shape_argument(shape: tuple[Any, ...]) -> tuple[int, ...]:
    if len(shape) == 1 and isinstance(shape[0], (tuple, list, Sequence)):  # the ABC takes its time
        shape = tuple(shape[0])
    return tuple([n if type(n) is int else int(n) for n in shape])


def reshape(input: Any, *shape: Any) -> Any:
    """The entries in C order in another shape, one size of which may be −1; a view where that is possible."""
    wanted = _shape_argument(shape)
    try:
        if wanted and min(wanted) < -1:
            raise ValueError
        return Reshape.apply(input, wanted)
    except ValueError:
        raise ShapeError(_no_reshape(wanted, input.numel(), tuple(input.shape))) from None


def _no_reshape(wanted: tuple[int, ...], count: int, shape: tuple[int, ...]) -> str:
    """Why `count` entries cannot take the shape that was asked for."""
    unknown = [n for n in wanted if n < 0]
    if len(unknown) > 1 or any(n < -1 for n in unknown):
        return f"reshape: {wanted} may hold one −1 and no other negative size"
    if unknown:
        return f"reshape: {count} entries of shape {shape} cannot fill {wanted}"
    return (
        f"reshape: shape {shape} has {count} entries, {wanted} needs {math.prod(wanted)}; "
        f"leave one size to be worked out with −1"
    )


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """The dimensions from start_dim to end_dim (both included) as one."""
    start, end = normalized_dim(start_dim, input.ndim, "flatten"), normalized_dim(end_dim, input.ndim, "flatten")
    if start == end:
        return input if input.ndim else reshape(input, 1)
    if start > end:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    return reshape(input, *input.shape[:start], math.prod(input.shape[start : end + 1]), *input.shape[end + 1 :])


def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """Dimension `dim` split into `sizes`, one of which may be −1."""
    dim = normalized_dim(dim, input.ndim, "unflatten")
    sizes = list(sizes)
    if -1 in sizes:
        known = math.prod(n for n in sizes if n != -1)
        sizes[sizes.index(-1)] = input.shape[dim] // known if known else 0
    if math.prod(sizes) != input.shape[dim]:
        raise ShapeError(
            f"unflatten: sizes {tuple(sizes)} do not multiply to {input.shape[dim]}, the size of dim {dim}"
        )
    return reshape(input, *input.shape[:dim], *sizes, *input.shape[dim + 1 :])


def permute(input: Any, *dims: Any) -> Any:
    """The dimensions in the order given; a view."""
    order = tuple([normalized_dim(d, input.ndim, "permute") for d in _shape_argument(dims)])
    if sorted(order) != list(range(input.ndim)):
        raise ShapeError(
            f"permute: {order} is not an order of the {input.ndim} dimensions of shape {tuple(input.shape)}"
        )
    return Permute.apply(input, order)


def reversed_dims(input: Any) -> Any:
    """The dimensions in reverse order; a view."""
    return Permute.apply(input, tuple(range(input._array.ndim - 1, -1, -1)))


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Two dimensions exchanged; a view."""
    ndim = input._array.ndim
    a, b = normalized_dim(dim0, ndim, "transpose"), normalized_dim(dim1, ndim, "transpose")
    order = list(range(ndim))
    if order:
        order[a], order[b] = order[b], order[a]
    return Permute.apply(input, tuple(order))


def squeeze(input: Any, dim: Any = None) -> Any:
    """Dimensions of size 1 removed: all, or those in `dim`."""
    dims = (
        range(input.ndim)
        if dim is None
        else [normalized_dim(d, input.ndim, "squeeze") for d in np.atleast_1d(dim).tolist()]
    )
    return Reshape.apply(input, tuple([n for i, n in enumerate(input.shape) if not (i in dims and n == 1)]))


def unsqueeze(input: Any, dim: int) -> Any:
    """A dimension of size 1 inserted at `dim`."""
    dim = normalized_dim(dim, input.ndim + 1, "unsqueeze")
    return Reshape.apply(input, (*input.shape[:dim], 1, *input.shape[dim:]))


def expand(input: Any, *shape: Any) -> Any:
    """Dimensions of size 1 repeated to `shape` without a copy; −1 keeps a size."""
    wanted = _shape_argument(shape)
    lead = len(wanted) - input.ndim
    if lead < 0 or any(n == -1 for n in wanted[:lead]):
        raise ShapeError(f"expand: {wanted} is too short for, or leaves open a new dimension of, {tuple(input.shape)}")
    full = tuple([input.shape[i - lead] if n == -1 else n for i, n in enumerate(wanted)])
    try:
        return Expand.apply(input, full)
    except ValueError:
        raise ShapeError(
            f"expand: shape {tuple(input.shape)} does not expand to {wanted}; only dimensions of size 1 can be repeated"
        ) from None


def flip(input: Any, dims: Any) -> Any:
    """The order along `dims` reversed, as a copy."""
    axes = [normalized_dim(d, input.ndim, "flip") for d in ([dims] if isinstance(dims, int) else dims)]
    index = tuple([slice(None, None, -1) if i in axes else slice(None) for i in range(input.ndim)])
    return GetItem.apply(input, index).clone()


# -- joining -------------------------------------------------------------------------------------------------


def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors of equal shapes but for `dim`, joined along it."""
    tensors = list(tensors)
    if not tensors:
        raise InputError("cat: there are no tensors to join")
    dtype = result_type(*tensors)
    shape = max([tuple(t.shape) for t in tensors], key=len)
    axis = normalized_dim(dim, len(shape), "cat")
    nothing = (*shape[:axis], 0, *shape[axis + 1 :])  # a vector of no entries joins anything, as in PyTorch
    tensors = [reshape(t, nothing) if t.shape == (0,) and len(shape) > 1 and 0 in nothing else t for t in tensors]
    shapes = [tuple(t.shape) for t in tensors]
    rest = {s[:axis] + s[axis + 1 :] for s in shapes}
    if len(rest) > 1 or len({len(s) for s in shapes}) > 1 or not shapes[0]:
        raise ShapeError(f"cat: shapes {shapes} must have dimensions, and be equal except along dim {axis}")
    return Cat.apply(axis, *[t if t.dtype == dtype else t.to(dtype) for t in tensors])


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors of one shape, joined along a new dimension `dim`."""
    tensors = list(tensors)
    shapes = {tuple(t.shape) for t in tensors}
    if len(shapes) != 1:
        raise ShapeError(f"stack: all shapes must be equal, got {sorted(shapes)}" if shapes else "stack: no tensors")
    return cat([unsqueeze(t, dim) for t in tensors], normalized_dim(dim, len(shapes.pop()) + 1, "stack"))


def split(input: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Consecutive pieces along `dim`: of `size` each (the last may be smaller), or of the sizes listed."""
    dim = normalized_dim(dim, input.ndim, "split")
    if not input.ndim:
        raise ShapeError("split: one number has no dimension to be split along; use x.reshape(1)")
    n = input.shape[dim]
    if isinstance(split_size_or_sections, int):
        if split_size_or_sections <= 0:
            raise ShapeError(f"split: the size is {split_size_or_sections}; it must be positive")
        sizes = [min(split_size_or_sections, n - i) for i in range(0, n, split_size_or_sections)] or [0]
    else:
        sizes = list(split_size_or_sections)
        if int(np.sum(sizes)) != n or min(sizes, default=0) < 0:
            raise ShapeError(f"split: sizes {sizes} do not add up to {n}, the size of dim {dim}")
    return several_views(Pieces.apply(input, dim, tuple(itertools.accumulate(sizes)), False), "split")


def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """The slices along `dim`, without that dimension."""
    dim = normalized_dim(dim, input.ndim, "unbind")
    if not input.ndim:
        raise RangeError("unbind: one number has no dimension to be taken apart; use x.item()")
    stops = tuple(range(1, input.shape[dim] + 1))
    return several_views(Pieces.apply(input, dim, stops, True), "unbind") if stops else ()


def several_views(pieces: Sequence[Any], operation: str) -> tuple[Any, ...]:
    """Views that one call has made together: as in PyTorch, none can be changed in place by a recorded operation."""
    for piece in pieces:
        if piece._view is not None and not piece._view.refusal:
            piece._view.refusal = f"it came out of {operation} together with others"
    return tuple(pieces)


Arithmetic.stack = staticmethod(stack)
