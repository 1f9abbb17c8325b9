"""Running results along a dimension, products, and order: cumsum and its kin, prod, sort, topk, median, unique."""

from __future__ import annotations

import builtins
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import Operation
from ..autograd.variable import Variable
from ..errors import InputError, KindError, RangeError
from ..kernels import K
from ._common import FLOAT32, constant, normalized_dim, only_on_cpu, own_result
from .elementwise import maximum, minimum, mul, where
from .functions import logaddexp
from .indexing import flip, gather
from .reduce import amax, amin, argmax, argmin, sum
from .shape import cat

values_and_indices = namedtuple("values_and_indices", ["values", "indices"])
aminmax_result = namedtuple("aminmax_result", ["min", "max"])


class CumSum(Operation):
    """y[i] = Σ x[…i] along an axis;  dx[i] = Σ g[i…]."""

    @staticmethod
    def forward(ctx: Any, x: Any, axis: int) -> Any:
        ctx.axis = axis
        return K.cumsum(x, axis)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return flip(CumSum.apply(flip(g, ctx.axis), ctx.axis), ctx.axis), None


def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Running sum along `dim`; integers and booleans in int64."""
    x = input if dtype is None else input.to(dtype)
    axis = normalized_dim(dim, x.ndim, "cumsum")
    return CumSum.apply(x, axis) if x.ndim else sum(x)


def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along `dim`, taken n times, of what is prepended, the input and what is appended."""
    axis = normalized_dim(dim, input.ndim, "diff")
    x = cat([t for t in (prepend, input, append) if t is not None], axis)
    for _ in range(n):
        count = builtins.max(x.shape[axis] - 1, 0)
        after, before = x.narrow(axis, x.shape[axis] - count, count), x.narrow(axis, 0, count)
        x = after ^ before if x.dtype.kind == "b" else after - before
    return x


def _running(x: Any, axis: int, combine: Callable[[Any, Any], Any]) -> Any:
    """Running `combine` along an axis in log₂ n steps: entry i takes in entry i − 1, then i − 2, i − 4, …

    Hillis & Steele 1986. Its derivative is that of the steps, also where an entry is 0.
    """
    n, step = x.shape[axis], 1
    while step < n:
        before, rest = x.narrow(axis, 0, n - step), x.narrow(axis, step, n - step)
        x = cat([x.narrow(axis, 0, step), combine(before, rest)], axis)
        step *= 2
    return x


def cumprod(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Running product along `dim`; integers and booleans in int64."""
    x = input if dtype is None else input.to(dtype)
    x = x.long() if x.dtype.kind in "iub" else x
    axis = normalized_dim(dim, x.ndim, "cumprod")
    return _running(x, axis, mul) if x.ndim else x.clone()


def logcumsumexp(input: Any, dim: int) -> Any:
    """Running ln Σeˣ along `dim`, without overflow."""
    axis = normalized_dim(dim, input.ndim, "logcumsumexp")
    return _running(input, axis, logaddexp) if input.ndim else input.clone()


def _cumulative_extreme(input: Any, dim: int, name: str, largest: bool) -> Any:
    axis = normalized_dim(dim, input.ndim, name)
    if not input.ndim:
        return values_and_indices(input.clone(), constant(np.zeros((), np.int64), input))
    only_on_cpu(name, input)
    a = input._array
    best = (np.maximum if largest else np.minimum).accumulate(a, axis) if a.size else a
    with np.errstate(invalid="ignore"):
        hit = (a == best) | (a != a)  # the running extreme is met again: its last place counts
    shape = [1] * a.ndim
    shape[axis] = -1
    places = np.where(hit, np.arange(a.shape[axis]).reshape(shape), 0)
    indices = Variable.wrap(np.maximum.accumulate(places, axis).astype(np.int64) if a.size else places.astype(np.int64))
    return values_and_indices(gather(input, axis, indices), indices)


def cummax(input: Any, dim: int) -> Any:
    """Running maximum along `dim`, and where it was (last) met: (values, indices). NaN stays."""
    return _cumulative_extreme(input, dim, "cummax", True)


def cummin(input: Any, dim: int) -> Any:
    """Running minimum along `dim`, and where it was (last) met: (values, indices). NaN stays."""
    return _cumulative_extreme(input, dim, "cummin", False)


def prod(input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Product of all entries, or along `dim`; integers and booleans in int64.

    Halves are multiplied with each other until one entry is left, so that the derivative is right at zeros.
    """
    x = input if dtype is None else input.to(dtype)
    x = x.long() if x.dtype.kind in "iub" else x
    if dim is None:
        return prod(x.reshape(-1), 0) if x.ndim else x.clone()
    axis = normalized_dim(dim, x.ndim, "prod")
    if not x.ndim:
        return x.clone()
    if x.shape[axis] == 0:
        shape = [1 if i == axis else n for i, n in enumerate(x.shape)]
        one = constant(np.ones(shape, x.dtype), x) + sum(x, axis, True)
        return one if keepdim else own_result(one.squeeze(axis))
    while x.shape[axis] > 1:
        half = x.shape[axis] // 2
        product = x.narrow(axis, 0, half) * x.narrow(axis, half, half)
        x = cat([product, x.narrow(axis, 2 * half, 1)], axis) if x.shape[axis] % 2 else product
    return x.clone() if x is input else x if keepdim else own_result(x.squeeze(axis))


# -- extremes --------------------------------------------------------------------------------------------------
def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The maximum of all entries; with `dim`, (values, indices) along it; with a tensor, the larger of both."""
    if other is not None or isinstance(dim, Variable):
        return maximum(input, dim if other is None else other)
    return amax(input) if dim is None else _picked(input, dim, argmax, keepdim)


def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The minimum of all entries; with `dim`, (values, indices) along it; with a tensor, the smaller of both."""
    if other is not None or isinstance(dim, Variable):
        return minimum(input, dim if other is None else other)
    return amin(input) if dim is None else _picked(input, dim, argmin, keepdim)


def _picked(x: Any, dim: int, arg: Callable[..., Any], keepdim: bool) -> Any:
    indices = arg(x, dim, True)
    return _chosen(x, dim, indices, keepdim) if x.ndim else values_and_indices(x.clone(), indices)


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """(min, max) of all entries, or along `dim`."""
    return aminmax_result(amin(input, dim, keepdim), amax(input, dim, keepdim))


# -- order -----------------------------------------------------------------------------------------------------
def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The positions that put `dim` in order; equal entries keep theirs. NaN counts as the largest."""
    axis = normalized_dim(dim, input.ndim, "argsort")
    if not input.ndim:
        return constant(np.zeros((), np.int64), input)
    return Variable.wrap(K.argsort(input._array, axis, bool(descending)))


def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The entries along `dim` in order, and where they were: (values, indices)."""
    indices = argsort(input, dim, descending)
    if not input.ndim:
        return values_and_indices(input.clone(), indices)
    return values_and_indices(gather(input, dim, indices), indices)


def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The `k` largest (or smallest) entries along `dim`, best first, and where they are: (values, indices)."""
    axis = normalized_dim(dim, input.ndim, "topk")
    n = input.shape[axis] if input.ndim else 1
    if not 0 <= k <= n:
        raise RangeError(f"topk: k is {k}, but dim {dim} of shape {tuple(input.shape)} has {n} entries")
    if not input.ndim:
        return values_and_indices(input.clone(), constant(np.zeros((), np.int64), input))
    indices = argsort(input, axis, largest).narrow(axis, 0, k).contiguous()
    return values_and_indices(gather(input, axis, indices), indices)


def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest entry along `dim` (k from 1), and where it is: (values, indices)."""
    axis = normalized_dim(dim, input.ndim, "kthvalue")
    n = input.shape[axis] if input.ndim else 1
    if not 1 <= k <= n:
        raise RangeError(f"kthvalue: k is {k}; it must be from 1 to {n}")
    if not input.ndim:
        return values_and_indices(input.clone(), constant(np.zeros((), np.int64), input))
    return _chosen(input, axis, argsort(input, axis).narrow(axis, k - 1, 1).contiguous(), keepdim)


def _chosen(x: Any, axis: int, indices: Any, keepdim: bool) -> Any:
    values = gather(x, axis, indices)
    return values_and_indices(*[t if keepdim else own_result(t.squeeze(axis)) for t in (values, indices)])


def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle entry, the lower one of two; NaN if one is among them. With `dim`, (values, indices)."""
    if dim is None:
        if not input.numel():
            return Variable.wrap(np.full((), np.nan, input.dtype if input.dtype.kind == "f" else FLOAT32))
        return median(input.reshape(-1), 0).values
    axis = normalized_dim(dim, input.ndim, "median")
    if not input.ndim:
        return values_and_indices(input.clone(), constant(np.zeros((), np.int64), input))
    n = input.shape[axis]
    if n == 0:
        raise RangeError(f"median: dim {dim} of shape {tuple(input.shape)} has no entry to choose from")
    middle = argsort(input, axis).narrow(axis, (n - 1) // 2, 1)
    if input.dtype.kind == "f":
        x = input.detach()
        bad = argmax((x != x).long(), axis, True)  # the first NaN, if there is one
        middle = where(gather(x != x, axis, bad), bad, middle)
    return _chosen(input, axis, middle.contiguous(), keepdim)


def mode(input: Any, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent entry along `dim`, the smallest of several, and where it is last: (values, indices)."""
    axis = normalized_dim(dim, input.ndim, "mode")
    if not input.ndim:
        return values_and_indices(input.clone(), constant(np.zeros((), np.int64), input))
    if input.shape[axis] == 0:
        raise RangeError(f"mode: dim {dim} of shape {tuple(input.shape)} has no entry to choose from")

    only_on_cpu("mode", input)

    def last_of_most_frequent(row: np.ndarray) -> int:
        found, counts = np.unique(row, return_counts=True)
        return int(np.flatnonzero(row == found[counts.argmax()])[-1])

    index = np.apply_along_axis(last_of_most_frequent, axis, input._array)
    return _chosen(input, axis, Variable.wrap(np.expand_dims(index, axis).astype(np.int64)), keepdim)


def unique(input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
           dim: int | None = None) -> Any:  # fmt: skip
    """The different entries (slices, along `dim`) in order; where each came from, and how often, if asked for."""
    only_on_cpu("unique", input)
    found = np.unique(input._array, return_index=False, return_inverse=True, return_counts=True, axis=dim)
    inverse = found[1].reshape(input.shape if dim is None else -1)
    results = [Variable.wrap(found[0])]
    results += [Variable.wrap(inverse.astype(np.int64))] if return_inverse else []
    results += [Variable.wrap(found[2].astype(np.int64))] if return_counts else []
    return results[0] if len(results) == 1 else tuple(results)


def unique_consecutive(input: Any, return_inverse: bool = False, return_counts: bool = False) -> Any:
    """Runs of equal entries of the flattened tensor, each once; which run each belongs to, and how long it is."""
    only_on_cpu("unique_consecutive", input)
    flat = input._array.reshape(-1)
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]])) if flat.size else np.zeros(0, np.int64)
    counts = np.diff(np.append(starts, flat.size))
    inverse = np.repeat(np.arange(len(starts)), counts).reshape(input.shape)
    results = [Variable.wrap(flat[starts])]
    results += [Variable.wrap(inverse.astype(np.int64))] if return_inverse else []
    results += [Variable.wrap(counts.astype(np.int64))] if return_counts else []
    return results[0] if len(results) == 1 else tuple(results)


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each number from 0 occurs in a 1-d tensor of non-negative integers; or the sum of its weights."""
    only_on_cpu("bincount", input, weights)
    if input.ndim != 1 or input.dtype.kind not in "iu" or (input.numel() and input._array.min() < 0):
        raise InputError(f"bincount: a 1-d tensor of non-negative integers is wanted, got {input.dtype} "
                         f"{tuple(input.shape)}")  # fmt: skip
    found = np.bincount(input._array, None if weights is None else weights._array, minlength)
    dtype = np.int64 if weights is None else weights.dtype if weights.dtype == FLOAT32 else np.float64
    return Variable.wrap(found.astype(dtype, copy=False))


def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many entries lie in each of `bins` equal parts of [min, max]; both 0: from the smallest to the largest."""
    only_on_cpu("histc", input)
    a = input._array
    low, high = (float(a.min()), float(a.max())) if min == max == 0 and a.size else (float(min), float(max))
    if low == high:
        low, high = low - 1, high + 1
    return Variable.wrap(np.histogram(a, bins, (low, high))[0].astype(a.dtype))


def searchsorted(sorted_sequence: Any, input: Any, *, right: bool = False, side: str | None = None) -> Any:
    """Where each entry would be inserted to keep the last dimension of `sorted_sequence` in order; int64."""
    only_on_cpu("searchsorted", sorted_sequence, input)
    edges = sorted_sequence._array
    values = input._array if isinstance(input, Variable) else np.asarray(input)
    how: Any = "right" if right or side == "right" else "left"
    if edges.ndim == 1:
        return Variable.wrap(np.asarray(np.searchsorted(edges, values, how), np.int64))
    if edges.shape[:-1] != values.shape[:-1]:
        raise InputError(f"searchsorted: rows of {edges.shape} and {values.shape} do not correspond")
    rows = zip(edges.reshape(-1, edges.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True)
    found = [np.searchsorted(e, v, how) for e, v in rows]
    return Variable.wrap(np.asarray(found, np.int64).reshape(values.shape))


def bucketize(input: Any, boundaries: Any, *, right: bool = False) -> Any:
    """Which of the intervals between `boundaries` (1-d, in order) each entry lies in; int64."""
    return searchsorted(boundaries, input, right=right)


def nansum(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Sum in which NaN counts as 0."""
    if input.dtype.kind != "f":
        return sum(input, dim, keepdim)
    return sum(where(input != input, 0.0, input), dim, keepdim)


def nanmean(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Mean of the entries that are not NaN; floats only."""
    if input.dtype.kind != "f":
        raise KindError(f"nanmean: {input.dtype} has no fractions; convert first: x.float().nanmean()")
    there = (input == input).to(input.dtype)
    return nansum(input, dim, keepdim) / sum(there, dim, keepdim)


def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many entries are not zero."""
    return sum(input != 0, dim)


__all__ = [
    "aminmax", "argsort", "bincount", "bucketize", "count_nonzero", "cummax", "cummin", "cumprod", "cumsum", "diff",
    "histc", "kthvalue", "logcumsumexp", "max", "median", "min", "mode", "nanmean", "nansum", "prod", "searchsorted",
    "sort", "topk", "unique", "unique_consecutive",
]  # fmt: skip
