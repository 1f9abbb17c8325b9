"""Views and joining: how entries are arranged, not what they are. (Indexing has a file of its own.)

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
from ..autograd.engine import arithmetic
from ..autograd.function import applied
from ..autograd.variable import Variable
from ..errors import InputError, KindError, RangeError
from ..kernels import K, beside, expanded, on_gpu, reshaped
from ._common import Array, ShapeError, normalized_dim, result_type, unbroadcast


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

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        return reshaped(g, ctx.input_shape(0)), None


class Permute(Operation):
    """Axes in another order;  dx = g with the order undone."""

    @staticmethod
    def forward(ctx: Any, x: Array, order: tuple[int, ...]) -> Array:
        ctx.order, ctx._is_view = order, True
        return x.transpose(order)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return permute(g, _undone(ctx.order)), None

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        return g.transpose(_undone(ctx.order)), None


def _undone(order: Sequence[int]) -> list[int]:
    """The order of axes that takes `order` back."""
    undone = [0] * len(order)
    for i in range(len(order)):
        undone[order[i]] = i
    return undone


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


class Pieces(Operation):
    """Slices along an axis that cover it, as views; with `drop`, of size 1 and without it.  dx = the g side by side."""

    @staticmethod
    def forward(ctx: Any, x: Array, axis: int, stops: tuple[int, ...], drop: bool) -> tuple[Array, ...]:
        lead = (slice(None),) * axis
        starts = (0, *stops[:-1])
        ctx.parts = [(*lead, a if drop else slice(a, b), Ellipsis) for a, b in zip(starts, stops, strict=True)]
        ctx.axis, ctx.drop, ctx._is_view = axis, drop, True
        ctx.order = None if x.flags.c_contiguous else sorted(range(x.ndim), key=lambda d: -x.strides[d])
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
        some_missing = any(g is None for g in grads)
        # In the order in which x lies in memory: what turned x round turns this back, with nothing to copy then.
        inner = shape if ctx.order is None else tuple([shape[d] for d in ctx.order])
        undone = None if ctx.order is None else _undone(ctx.order)
        if not some_missing and not on_gpu(known) and isinstance(known.base, np.ndarray):
            whole = known.base
            if whole.size == math.prod(inner) and whole.flags.c_contiguous:
                dx = whole.reshape(inner) if undone is None else whole.reshape(inner).transpose(undone)
                if _are_pieces(grads, dx, ctx.parts):
                    return dx, None, None, None  # they lie side by side already
        dx = make.full(inner, 0, known.dtype) if some_missing else make.empty(inner, known.dtype)
        if undone is not None:
            dx = dx.transpose(undone)
        for g, part in zip(grads, ctx.parts, strict=True):
            if g is not None:
                K.copy(g, out=dx[part])
        return dx, None, None, None


def _are_pieces(arrays: Sequence[Array], whole: Array, parts: Sequence[Any]) -> bool:
    """Whether arrays of NumPy's are the very memory of `parts` of `whole`, one after the other."""
    for a, part in zip(arrays, parts, strict=True):
        if a.base is not arrays[0].base or not _same_places(a, whole[part]):
            return False
    return True


def same_places(a: Array, b: Array) -> bool:
    """Whether two arrays of NumPy's are the same memory, seen in the same way."""
    if a.dtype is not b.dtype or a.shape != b.shape or a.strides != b.strides:
        return False
    return bool(a.__array_interface__["data"] == b.__array_interface__["data"])  # a dictionary of texts, which is dear


_same_places = getattr(K, "same_places", same_places)


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


# -- views ---------------------------------------------------------------------------------------------------


def _shape_argument(shape: tuple[Any, ...], operation: str) -> tuple[int, ...]:
    if len(shape) == 1 and isinstance(shape[0], (tuple, list, Sequence)):  # the ABC takes its time
        shape = tuple(shape[0])
    try:
        return tuple([n if type(n) is int else operator.index(n) for n in shape])
    except TypeError:
        raise KindError(f"{operation}: {shape} must be integers; round or convert them: int(…), n // 2") from None


def reshape(input: Any, *shape: Any) -> Any:
    """The entries in C order in another shape, one size of which may be −1; a view where that is possible."""
    wanted = _shape_argument(shape, "reshape")
    try:
        if wanted and min(wanted) < -1:
            raise ValueError
        return applied(Reshape, (input, wanted))
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
    ndim = input._array.ndim
    order = tuple(
        [d if 0 <= d < ndim else normalized_dim(d, ndim, "permute") for d in _shape_argument(dims, "permute")]
    )
    if len(order) != ndim or len(set(order)) != ndim:
        raise ShapeError(f"permute: {order} is not an order of the {ndim} dimensions of shape {tuple(input.shape)}")
    return applied(Permute, (input, order))


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
    return applied(Permute, (input, tuple(order)))


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
    wanted = _shape_argument(shape, "expand")
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
    return several_views(applied(Pieces, (input, dim, stops, True)), "unbind") if stops else ()


def several_views(pieces: Sequence[Any], operation: str) -> tuple[Any, ...]:
    """Views that one call has made together: as in PyTorch, none can be changed in place by a recorded operation."""
    for piece in pieces:
        if piece._view is not None and not piece._view.refusal:
            piece._view.refusal = f"it came out of {operation} together with others"
    return tuple(pieces)


arithmetic().stack = stack
