"""More ways to arrange entries, each a few views, copies or index arrays of `shape`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.variable import Variable
from ..errors import InputError, RangeError
from ..kernels import host
from ._common import ShapeError, constant, normalized_dim, own_result
from .elementwise import where
from .indexing import flip, getitem
from .shape import cat, expand, permute, reshape, several_views, split, stack, transpose, unsqueeze

concat = concatenate = cat
swapdims = transpose


def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """Two dimensions exchanged: `transpose` under NumPy's name."""
    return transpose(input, axis0, axis1)


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], Sequence) else tuple([int(n) for n in sizes])


def narrow(input: Any, dim: int, start: int, length: int) -> Any:
    """`length` entries along `dim` from `start` on; a view."""
    axis = normalized_dim(dim, input.ndim, "narrow")
    start = int(start)
    first = start + input.shape[axis] if start < 0 else start
    if length < 0 or not 0 <= first <= input.shape[axis] - length:
        raise RangeError(f"narrow: {length} entries from {start} on are not in dim {dim} of shape {tuple(input.shape)}")
    return getitem(input, (*(slice(None),) * axis, slice(first, first + length)))


def select(input: Any, dim: int, index: int) -> Any:
    """The slice number `index` of `dim`; a view without that dimension."""
    axis = normalized_dim(dim, input.ndim, "select")
    return getitem(input, (*(slice(None),) * axis, int(index)))


def movedim(input: Any, source: Any, destination: Any) -> Any:
    """Dimensions moved to other places, the rest in their order; a view."""
    src, dst = ([n] if isinstance(n, int) else list(n) for n in (source, destination))
    if len(src) != len(dst):
        raise InputError(f"movedim: {len(src)} dimensions cannot go to {len(dst)} places")
    src = [normalized_dim(d, input.ndim, "movedim") for d in src]
    dst = [normalized_dim(d, input.ndim, "movedim") for d in dst]
    rest = iter([d for d in range(input.ndim) if d not in src])
    return permute(input, [src[dst.index(i)] if i in dst else next(rest) for i in range(input.ndim)])


moveaxis = movedim


def chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """At most `chunks` pieces of equal size along `dim`, the last perhaps smaller."""
    if chunks < 1:
        raise InputError(f"chunk: chunks is {chunks}; it must be at least 1")
    axis = normalized_dim(dim, input.ndim, "chunk")
    return split(input, max(1, -(-input.shape[axis] // chunks)), axis)


def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> Any:
    """Pieces along `dim`: so many, as equal as can be, or cut before the positions listed."""
    axis = normalized_dim(dim, input.ndim, "tensor_split")
    n = input.shape[axis]
    if isinstance(indices_or_sections, int):
        size, more = divmod(n, indices_or_sections)
        sizes = [size + 1] * more + [size] * (indices_or_sections - more)
        cuts = list(itertools.accumulate(sizes))[:-1]
    else:
        cuts = [max(0, min(n, i + n if i < 0 else i)) for i in indices_or_sections]
    ends = [*cuts, n]
    starts = [0, *cuts]
    return several_views(
        [narrow(input, axis, a, max(0, b - a)) for a, b in zip(starts, ends, strict=True)], "tensor_split"
    )


def tile(input: Any, *dims: Any) -> Any:
    """The tensor repeated, as `repeat`, missing leading counts being 1."""
    counts = _sizes(dims)
    return repeat(input, (1,) * (input.ndim - len(counts)) + counts)


def repeat(input: Any, *repeats: Any) -> Any:
    """The whole tensor repeated along each dimension; more counts than dimensions add leading ones."""
    counts = _sizes(repeats)
    if len(counts) < input.ndim or any(n < 0 for n in counts):
        raise ShapeError(f"repeat: counts {counts} for shape {tuple(input.shape)}; one for each dimension is wanted")
    shape = (1,) * (len(counts) - input.ndim) + tuple(input.shape)
    x = reshape(input, [m for n in shape for m in (1, n)])
    x = expand(x, [m for c, n in zip(counts, shape, strict=True) for m in (c, n)])
    return reshape(x, [c * n for c, n in zip(counts, shape, strict=True)]).clone()


def repeat_interleave(input: Any, repeats: Any, dim: int | None = None) -> Any:
    """Each entry (slice, along `dim`) repeated in its place: so often, or by its own count."""
    x, axis = (reshape(input, -1), 0) if dim is None else (input, normalized_dim(dim, input.ndim, "repeat_interleave"))
    counts = host(repeats._array) if isinstance(repeats, Variable) else np.asarray(repeats)
    index = np.repeat(np.arange(x.shape[axis]), counts)
    return getitem(x, (*(slice(None),) * axis, index))


def roll(input: Any, shifts: Any, dims: Any = None) -> Any:
    """Entries moved along dimensions, those that leave at the end coming in at the start; all as one if no dims."""
    if dims is None:
        return own_result(reshape(roll(reshape(input, -1), shifts, 0), input.shape))
    moves = [shifts] if isinstance(shifts, int) else list(shifts)
    axes = [dims] if isinstance(dims, int) else list(dims)
    if len(moves) != len(axes):
        raise InputError(f"roll: {len(moves)} shifts for {len(axes)} dims")
    for shift, dim in zip(moves, axes, strict=True):
        axis = normalized_dim(dim, input.ndim, "roll")
        n = input.shape[axis]
        cut = (n - shift % n) % n if n else 0
        input = cat([narrow(input, axis, cut, n - cut), narrow(input, axis, 0, cut)], axis)
    return input


def fliplr(input: Any) -> Any:
    """Columns in reverse order."""
    return flip(input, 1)


def flipud(input: Any) -> Any:
    """Rows in reverse order."""
    return flip(input, 0)


def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    """Turned by k right angles in the plane of two dimensions, from the first towards the second."""
    a, b = dims
    for _ in range(k % 4):
        input = flip(transpose(input, a, b), a)
    return input.clone() if k % 4 == 0 else input


def ravel(input: Any) -> Any:
    """All entries as a vector."""
    return reshape(input, -1)


def expand_as(input: Any, other: Any) -> Any:
    """Expanded to the shape of another tensor, without a copy."""
    return expand(input, other.shape)


def broadcast_to(input: Any, size: Any) -> Any:
    """Expanded to a shape, without a copy."""
    return expand(input, size)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that shapes broadcast to."""
    try:
        return tuple(np.broadcast_shapes(*[tuple(s) if isinstance(s, Sequence) else (s,) for s in shapes]))
    except ValueError:
        raise ShapeError(f"broadcast_shapes: shapes {[tuple(s) for s in shapes]} do not broadcast") from None


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """All expanded to the shape that they broadcast to."""
    try:
        shape = np.broadcast_shapes(*[tuple(t.shape) for t in tensors])
    except ValueError:
        raise ShapeError(f"broadcast_tensors: shapes {[tuple(t.shape) for t in tensors]} do not broadcast") from None
    return tuple([expand(t, shape) for t in tensors])


# -- triangles and diagonals -------------------------------------------------------------------------------------
def _triangle(input: Any, diagonal: int, lower: bool) -> Any:
    if input.ndim < 2:
        raise ShapeError(f"a triangle needs a matrix, at least two dimensions; got shape {tuple(input.shape)}")
    rows, columns = input.shape[-2:]
    mask = np.tri(rows, columns, diagonal if lower else diagonal - 1, dtype=bool)
    return where(constant(mask if lower else ~mask, input), input, Variable.wrap(np.zeros((), input.dtype)))


def tril(input: Any, diagonal: int = 0) -> Any:
    """The lower triangle of each matrix, up to a diagonal; zeros above."""
    return _triangle(input, diagonal, True)


def triu(input: Any, diagonal: int = 0) -> Any:
    """The upper triangle of each matrix, from a diagonal on; zeros below."""
    return _triangle(input, diagonal, False)


def tril_indices(row: int, col: int, offset: int = 0) -> Any:
    """Positions (2, N) of the lower triangle of a row × col matrix."""
    return Variable.wrap(np.stack(np.tril_indices(row, offset, col)).astype(np.int64))


def triu_indices(row: int, col: int, offset: int = 0) -> Any:
    """Positions (2, N) of the upper triangle of a row × col matrix."""
    return Variable.wrap(np.stack(np.triu_indices(row, offset, col)).astype(np.int64))


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The diagonal of two dimensions, as the last one; a view where the matrix lies in one piece."""
    a, b = normalized_dim(dim1, input.ndim, "diagonal"), normalized_dim(dim2, input.ndim, "diagonal")
    if a == b:
        raise InputError(f"diagonal: dim1 and dim2 are the same dimension, {dim1}")
    x = movedim(input, (a, b), (-2, -1))
    rows, columns = x.shape[-2:]
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    start = offset if offset >= 0 else -offset * columns
    flat = reshape(x, (*x.shape[:-2], rows * columns))
    return getitem(flat, (..., slice(start, start + length * (columns + 1) if length else start, columns + 1)))


def diag(input: Any, diagonal: int = 0) -> Any:
    """Of a matrix its diagonal, of a vector the matrix with that diagonal."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise ShapeError(f"diag: a vector or a matrix is wanted, got shape {tuple(input.shape)}")
    return _diagonal(input, diagonal).clone()


_diagonal = diagonal


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices with the last dimension on a diagonal, zeros elsewhere."""
    n = input.shape[-1]
    size = n + abs(offset)
    place = np.full(size * size, n)  # a row beyond the end: the zeros
    start = offset if offset >= 0 else -offset * size
    place[start : start + n * (size + 1) : size + 1][:n] = np.arange(n)
    zeros = Variable.wrap(np.zeros((*input.shape[:-1], 1), input.dtype))
    made = reshape(getitem(cat([input, zeros], -1), (..., place)), (*input.shape[:-1], size, size))
    return movedim(made, (-2, -1), (dim1, dim2))


def diagflat(input: Any, offset: int = 0) -> Any:
    """The matrix with all entries of the tensor on a diagonal."""
    return diag_embed(reshape(input, -1), offset)


def block_diag(*tensors: Any) -> Any:
    """Matrices on the diagonal of a larger one, zeros elsewhere."""
    blocks = [atleast_2d(t) for t in tensors]
    width = math.fsum(b.shape[1] for b in blocks)
    rows, left = [], 0
    for b in blocks:
        pad = [constant(np.zeros((b.shape[0], int(n)), b.dtype), b) for n in (left, width - left - b.shape[1])]
        rows.append(cat([pad[0], b, pad[1]], 1))
        left += b.shape[1]
    return cat(rows, 0)


# -- windows, grids, stacks --------------------------------------------------------------------------------------
def unfold(input: Any, dimension: int, size: int, step: int) -> Any:
    """All windows of `size` entries along a dimension, `step` apart, as a new last dimension; a copy."""
    axis = normalized_dim(dimension, input.ndim, "unfold")
    n = input.shape[axis] if input.ndim else 1
    if size > n or size < 0 or step < 1:
        raise InputError(
            f"unfold: windows of {size} at steps of {step} do not fit dim {dimension} of {tuple(input.shape)}"
        )
    if not input.ndim:
        return reshape(input, -1)[:size]
    starts = np.arange(0, n - size + 1, step)
    index = starts[:, None] + np.arange(size)[None, :]
    return movedim(getitem(input, (*(slice(None),) * axis, index)), axis + 1, -1)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Any, ...]:
    """Coordinates of a grid: tensor i varies along dimension i ("xy": the first two exchanged)."""
    if len(tensors) == 1 and isinstance(tensors[0], Sequence):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise InputError(f'meshgrid: indexing is {indexing!r}; it can be "ij" or "xy"')
    sizes = [t.numel() for t in tensors]
    made = []
    for i, t in enumerate(tensors):
        shape = [1] * len(tensors)
        shape[i] = sizes[i]
        grid = expand(reshape(t, shape), sizes)
        made.append(transpose(grid, 0, 1) if indexing == "xy" and len(tensors) > 1 else grid)
    return tuple(made)


def cartesian_prod(*tensors: Any) -> Any:
    """Every combination of entries of 1-d tensors, one a row."""
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(g, -1) for g in meshgrid(*tensors)], 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """Every choice of r entries of a 1-d tensor, one a row."""
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    index = np.array(list(choose(range(input.shape[0]), r)), np.int64).reshape(-1, r)
    return getitem(input, index)


def _at_least(x: Any, n: int) -> Any:
    return x if x.ndim >= n else reshape(x, {1: (-1,), 2: (1, -1)}[n])


def atleast_1d(input: Any) -> Any:
    """Numbers become vectors."""
    return _at_least(input, 1)


def atleast_2d(input: Any) -> Any:
    """Numbers and vectors become rows."""
    return _at_least(input, 2)


def atleast_3d(input: Any) -> Any:
    """Matrices get a last dimension; vectors one on each side."""
    return input if input.ndim >= 3 else unsqueeze(_at_least(input, 2), -1)


def hstack(tensors: Any) -> Any:
    """Side by side: along dimension 1, of vectors along 0."""
    parts = [atleast_1d(t) for t in tensors]
    return cat(parts, 0 if parts[0].ndim == 1 else 1)


def vstack(tensors: Any) -> Any:
    """One above the other."""
    return cat([atleast_2d(t) for t in tensors], 0)


row_stack = vstack


def dstack(tensors: Any) -> Any:
    """One behind the other."""
    return cat([atleast_3d(t) for t in tensors], 2)


def column_stack(tensors: Any) -> Any:
    """Vectors as columns, matrices side by side."""
    return cat([t if t.ndim > 1 else reshape(t, (-1, 1)) for t in tensors], 1)


__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes", "broadcast_tensors", "broadcast_to",
    "cartesian_prod", "chunk", "column_stack", "combinations", "concat", "concatenate", "diag", "diag_embed",
    "diagflat", "diagonal", "dstack", "expand_as", "fliplr", "flipud", "hstack", "meshgrid", "moveaxis", "movedim",
    "narrow", "ravel", "repeat", "repeat_interleave", "roll", "rot90", "row_stack", "select", "swapaxes", "swapdims",
    "tensor_split", "tile", "tril", "tril_indices", "triu", "triu_indices", "unfold", "vstack",
]  # fmt: skip
