"""Reading and writing at positions: scatter and its kin, index_*, masked_*, take, nonzero.

All of them are the indexing of `shape` with index arrays made here; repeated positions are added in order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.variable import Variable
from ..errors import InputError, KindError, RangeError
from ..kernels import K, beside, host, on_gpu
from ._common import ShapeError, constant, normalized_dim, only_on_cpu
from .elementwise import where
from .indexing import Scatter, gather, getitem, selected, setitem
from .shape import reshape


def _grid(name: str, x: Any, dim: int, index: Any) -> tuple[Any, ...]:
    """`index` along `dim` as an index of the whole tensor: entry (i, j) of it means (i, index[i, j]) for dim 1."""
    axis = normalized_dim(dim, x.ndim, name)
    if not isinstance(index, Variable) or index._array.dtype.kind not in "iu":
        raise KindError(f"{name}: the index must be a tensor of integers (index.long())")
    if index.ndim != max(1, x.ndim) and not (x.ndim == 0 and index.ndim == 0):  # type: ignore[attr-defined]
        raise ShapeError(f"{name}: the index has {index.ndim} dimensions, the tensor {x.ndim}")  # type: ignore[attr-defined]
    rows = _whole(index)
    n = x.shape[axis] if x.ndim else 1
    low, high = _range(rows)
    if low < 0 or high >= n:
        wrong = low if low < 0 else high
        raise RangeError(f"{name}: index {wrong} is out of bounds for dim {dim} with size {n}")
    if not x.ndim:
        return ()
    larger = [d for d in range(x.ndim) if d != axis and rows.shape[d] > x.shape[d]]
    if larger:
        raise ShapeError(f"{name}: the index has shape {rows.shape}, larger than {tuple(x.shape)} in dim {larger[0]}")
    grid: list[Any] = list(np.ogrid[tuple(slice(0, m) for m in rows.shape)])
    grid[axis] = rows
    return tuple(grid) if on_gpu(rows) else tuple(np.broadcast_arrays(*grid))


def _whole(index: Any) -> Any:
    """The index as int64, where it is."""
    array = index._array
    return array if array.dtype == np.int64 else K.cast(array, np.dtype(np.int64))


def _range(rows: Any) -> tuple[int, int]:
    """The smallest and the largest index; (0, −1) if there is none. Of one on the GPU this waits for it."""
    if not rows.size:
        return 0, -1
    if not on_gpu(rows):
        return int(rows.min()), int(rows.max())
    axes = tuple(range(rows.ndim))
    return int(host(K.amin(rows, axes, False))), int(host(K.amax(rows, axes, False)))


def _source(name: str, x: Any, index: Any, src: Any) -> Any:
    """The part of `src` that the index has a place for; a number becomes a tensor of the index's shape."""
    if not isinstance(src, Variable):
        return Variable.wrap(beside(x._array).full(index.shape, src, x.dtype))
    if src.dtype != x.dtype:  # type: ignore[attr-defined]
        raise KindError(f"{name}: src is {src.dtype}, the tensor {x.dtype}: they must be equal")  # type: ignore[attr-defined]
    shape = tuple(src.shape)  # type: ignore[attr-defined]
    if len(shape) != index.ndim or any(a < b for a, b in zip(shape, index.shape, strict=True)):
        raise ShapeError(f"{name}: src of shape {shape} is smaller than the index, {tuple(index.shape)}")
    return getitem(src, tuple([slice(0, n) for n in index.shape])) if shape != tuple(index.shape) else src


def scatter(input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Any:
    """A copy with `src` written at `index` along `dim`; of entries for one place, one is taken.

    `reduce` "add" or "multiply" combines instead of overwriting.
    """
    grid, src = _grid("scatter", input, dim, index), _source("scatter", input, index, value if src is None else src)
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise InputError(f'scatter: reduce is {reduce!r}; it can be "add" or "multiply"')
        return scatter_reduce(input, dim, index, src, {"add": "sum", "multiply": "prod"}[reduce])
    result = input.clone()
    setitem(result, grid or ..., src if grid else reshape(src, ()), "scatter")
    return result


def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """A copy with `src` added at `index` along `dim`, repeated places in order."""
    grid, src = _grid("scatter_add", input, dim, index), _source("scatter_add", input, index, src)
    return _added(input, grid, src)


def _added(x: Any, grid: tuple[Any, ...], src: Any) -> Any:
    if x.dtype.kind == "b":
        return _added(x.long(), grid, src.long()) != 0
    if not grid:
        return x + src.sum()
    return x + Scatter.apply(src, grid, tuple(x.shape))


def scatter_reduce(input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Any:
    """A copy in which the entries of `src` for each place are combined: "sum", "prod", "mean", "amax" or "amin".

    With `include_self` the entry that is there takes part. Gradients of extremes are shared equally among ties.
    """
    name = "scatter_reduce"
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise InputError(f"{name}: reduce is {reduce!r}; it can be sum, prod, mean, amax or amin")
    grid, src = _grid(name, input, dim, index), _source(name, input, index, src)
    if input.dtype.kind == "b":
        return scatter_reduce(input.long(), dim, index, src.long(), reduce, include_self=include_self) != 0
    if not grid:
        return scatter_reduce(reshape(input, (1,)), 0, reshape(index, -1), reshape(src, -1), reduce,
                              include_self=include_self).reshape(())  # fmt: skip
    if reduce == "sum" and include_self:
        return _added(input, grid, src)
    only_on_cpu(name, input, index, src)
    hits = np.zeros(input.shape, np.int64)
    np.add.at(hits, grid, 1)
    touched, counts = Variable.wrap(hits > 0), hits + (1 if include_self else 0)
    if reduce in ("sum", "mean"):
        start = input if include_self else where(touched, 0, input)
        total = _added(start, grid, src)
        if reduce == "sum":
            return total
        divisor = Variable.wrap(np.where(hits > 0, np.maximum(counts, 1), 1).astype(input.dtype))
        return total / divisor if input.dtype.kind == "f" else Variable.wrap(total._array // divisor._array)
    if reduce == "prod":
        result = input.clone() if include_self else where(touched, 1, input)
        for part in _rounds(grid, input.shape):  # in each round every place is met once at most
            places = tuple([g[part] for g in grid])
            factor = getitem(src, part)
            before = getitem(result, places)
            result = _replaced(result, places, before * factor)
        return result
    return _extreme(input, grid, src, reduce == "amax", include_self, touched)


def _rounds(grid: tuple[Any, ...], shape: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """The index's own positions in groups: the first hit of every place, the second, …"""
    flat = np.ravel_multi_index([g.reshape(-1) for g in grid], shape) if grid[0].size else np.zeros(0, np.int64)
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if flat.size else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(first, np.arange(flat.size), 0)) if flat.size else np.zeros(0, np.int64)
    rank = np.empty(flat.size, np.int64)
    rank[order] = np.arange(flat.size) - start
    return [np.unravel_index(np.flatnonzero(rank == r), grid[0].shape) for r in range(int(rank.max(initial=-1)) + 1)]


def _replaced(x: Any, places: tuple[Any, ...], values: Any) -> Any:
    """A copy of x with `values` at `places`, each of which occurs once."""
    result = x.clone()
    setitem(result, places, values, "scatter")
    return result


def _extreme(x: Any, grid: tuple[Any, ...], src: Any, largest: bool, include_self: bool, touched: Any) -> Any:
    """The largest (smallest) of what comes to each place."""
    best = x._array.copy()
    if not include_self:
        limits = np.finfo(x.dtype) if x.dtype.kind == "f" else np.iinfo(x.dtype)
        worst = (-math.inf if largest else math.inf) if x.dtype.kind == "f" else (limits.min if largest else limits.max)
        best[touched._array] = worst
    (np.maximum if largest else np.minimum).at(best, grid, src._array)
    found = Variable.wrap(best)
    if x.dtype.kind != "f":
        return found
    mine = (x.detach() == found).to(x.dtype) if include_self else 1 - touched.to(x.dtype)
    mine = where(touched, mine, 1.0)
    theirs = (src.detach() == getitem(found, grid)).to(x.dtype)
    ties = mine + Scatter.apply(theirs, grid, tuple(x.shape))
    spread = (where(mine > 0, x, 0.0) + Scatter.apply(where(theirs > 0, src, 0.0), grid, tuple(x.shape))) / ties
    return where(found == found, found + (spread - spread.detach()), found)  # the value itself, the share's slope


# -- rows ------------------------------------------------------------------------------------------------------
def _rows(name: str, x: Any, dim: int, index: Any) -> tuple[Any, ...]:
    axis = normalized_dim(dim, x.ndim, name)
    if not isinstance(index, Variable) or index._array.dtype.kind not in "iu" or index._array.ndim > 1:
        raise KindError(f"{name}: the index must be a tensor of integers with one dimension")
    rows = _whole(index).reshape(-1)
    n = x.shape[axis] if x.ndim else 1
    low, high = _range(rows)
    if low < -n or high >= n:
        raise RangeError(f"{name}: index {high} is out of range for dim {dim} with size {n}")
    return (*(slice(None),) * axis, rows)


def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices of `dim` at the positions `index` (1-d), in that order."""
    if not input.ndim:
        return input.clone()
    return getitem(input, _rows("index_select", input, dim, index))


def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Any:
    """A copy with alpha · source added to the slices of `dim` at `index`, repeated ones in order."""
    where_to = _rows("index_add", input, dim, index)
    source = source if alpha == 1 else source * alpha
    if not input.ndim:
        where_to, source = (), source.sum()
    return _added(input, where_to, source)


def index_copy(input: Any, dim: int, index: Any, source: Any) -> Any:
    """A copy with `source` written to the slices of `dim` at `index`."""
    return index_put(input, _rows("index_copy", input, dim, index), source)


def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """A copy with a number written to the slices of `dim` at `index`."""
    return index_put(input, _rows("index_fill", input, dim, index), value)


def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """A copy with `values` written (or added, with `accumulate`) at an index of tensors, as in x[indices] = values."""
    index = tuple([_index(i) if isinstance(i, Variable) else i for i in indices])
    if accumulate:
        shape = selected(tuple(input.shape), index)
        wide = values if tuple(values.shape) == shape else values.expand(shape)
        parts = [p for i in index for p in (i.nonzero() if isinstance(i, np.ndarray) and i.dtype.kind == "b" else (i,))]
        return input + Scatter.apply(wide, tuple(parts), tuple(input.shape))
    result = input.clone()
    setitem(result, index, values, "index_put")
    return result


def _index(part: Any) -> Any:
    """A tensor as a part of an index: masks come to the CPU, where they are counted."""
    return host(part._array) if part._array.dtype.kind == "b" else part._array


# -- flat positions and masks --------------------------------------------------------------------------------------
def take_flat(input: Any, index: Any) -> Any:
    """Entries of the flattened tensor at `index`, in the index's shape."""
    return getitem(reshape(input, -1), index)


def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """Entries along `dim` at `indices`, which broadcast against the other dimensions."""
    if dim is None:
        return take_flat(input, reshape(indices, -1))
    axis = normalized_dim(dim, input.ndim, "take_along_dim")
    try:
        shape = list(
            np.broadcast_shapes(*[[1 if d == axis else n for d, n in enumerate(t.shape)] for t in (input, indices)])
        )
    except ValueError:
        raise ShapeError(f"take_along_dim: {tuple(indices.shape)} does not broadcast to {tuple(input.shape)}") from None
    wide = input.expand([input.shape[d] if d == axis else n for d, n in enumerate(shape)])
    return gather(wide, axis, indices.expand([indices.shape[d] if d == axis else n for d, n in enumerate(shape)]))


def _mask(name: str, mask: Any) -> Any:
    if not isinstance(mask, Variable) or mask._array.dtype.kind != "b":
        raise KindError(f"{name}: the mask must be a boolean tensor, such as x > 0")
    return mask


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """A copy with a number where the mask holds."""
    if isinstance(value, Variable) and value._array.ndim:
        raise ShapeError(f"masked_fill: the value must be one number, got shape {value._array.shape}; use where")
    mask = _mask("masked_fill", mask)
    if isinstance(value, Variable):
        return where(mask, value.to(input.dtype), input)  # type: ignore[attr-defined]
    return where(mask, Variable.wrap(np.asarray(value).astype(input.dtype)), input)


def masked_select(input: Any, mask: Any) -> Any:
    """The entries where the mask holds, as a vector; both broadcast."""
    mask = _mask("masked_select", mask)
    try:
        shape = np.broadcast_shapes(tuple(input.shape), mask._array.shape)
    except ValueError:
        raise ShapeError(
            f"masked_select: mask {mask._array.shape} and tensor {tuple(input.shape)} do not broadcast"
        ) from None
    return getitem(input.expand(shape), np.broadcast_to(host(mask._array), shape))


def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """A copy with the first entries of `source`, in order, where the mask holds."""
    held = np.broadcast_to(host(_mask("masked_scatter", mask)._array), input.shape)
    count = int(held.sum())
    if source.numel() < count:
        raise InputError(f"masked_scatter: the mask holds {count} times, but source has {source.numel()} entries")
    return index_put(input, (held,), getitem(reshape(source, -1), slice(0, count)))


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """Positions of the entries that are not zero: one row each, or one tensor for each dimension."""
    array = host(input._array)  # how many there are, Python has to know
    found = np.atleast_1d(array).nonzero() if not input.ndim else array.nonzero()
    if as_tuple:
        return tuple([constant(f.astype(np.int64), input) for f in found])
    rows = np.stack(found, 1) if input.ndim else np.zeros((len(found[0]), 0), np.int64)
    return constant(rows.astype(np.int64), input)


def argwhere(input: Any) -> Any:
    """Positions of the entries that are not zero, one row each."""
    return nonzero(input)


__all__ = [
    "argwhere", "index_add", "index_copy", "index_fill", "index_put", "index_select", "masked_fill", "masked_scatter",
    "masked_select", "nonzero", "scatter", "scatter_add", "scatter_reduce", "take_along_dim", "take_flat",
]  # fmt: skip
