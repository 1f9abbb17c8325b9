"""Lists of tensors in one launch: the table by which a kernel finds the pieces of all of them (`optimisers.cu`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from .elementwise import copy
from .gpu import Device, device, mixed
from .layout import contiguous, named

Array = Any
Lists = Sequence[Sequence[Array] | None]
PIECE = 4096  # entries that a block takes at a time
KEPT = 16  # tables; a training step has one for its optimiser and one for clipping, or a few


def check_lists(name: str, lists: Lists) -> None:
    """The complaints about lists whose n-th arrays belong together, before anything is changed."""
    gpu = device()
    given = [arrays for arrays in lists if arrays is not None]
    if len({len(arrays) for arrays in given}) > 1:
        raise InputError(f"{name}: lists of {[len(arrays) for arrays in given]} arrays; they must be equally long")
    for p, *others in zip(*given, strict=True):
        for other in (p, *others):
            if not isinstance(other, gpu.array_type):
                raise mixed(name)
            if other.shape != p.shape or other.dtype != p.dtype:
                raise InputError(f"{name}: a parameter of shape {p.shape} and {p.dtype} beside an array of shape "
                                 f"{other.shape} and {other.dtype}")  # fmt: skip
        named(name, p.dtype)


def by_dtype(lists: Lists) -> Iterator[tuple[Any, list[list[Array] | None]]]:
    """The entries of each dtype, as lists of their own; nearly always there is one."""
    first = lists[0] or ()
    for dtype in {x.dtype: None for x in first}:
        places = [i for i, x in enumerate(first) if x.dtype == dtype and x.size]
        if places:
            yield dtype, [None if arrays is None else [arrays[i] for i in places] for arrays in lists]


def _pieces(key: tuple[int, ...], width: int, itemsize: int) -> Any:
    """The table for (size, address, address, …) of each tensor, one after the other."""
    rows = []
    for size, *addresses in np.array(key, np.uint64).reshape(-1, width).tolist():
        begins = np.arange(0, size, PIECE, dtype=np.uint64)
        counts = np.minimum(size - begins, PIECE).astype(np.uint64)
        rows.append(np.stack([counts, *[begins * np.uint64(itemsize) + np.uint64(a) if a else begins * np.uint64(0)
                                        for a in addresses]], 1))  # fmt: skip
    return np.concatenate(rows)


def table_of(gpu: Device, lists: Lists) -> tuple[Array, int]:
    """The table of contiguous arrays of one dtype on the device, and how many rows it has."""
    key: list[int] = []
    first = lists[0] or ()
    for i, x in enumerate(first):
        key += [x.size, *[0 if arrays is None else arrays[i].data.ptr for arrays in lists]]
    known = (first[0].dtype.itemsize, len(lists), *key)
    table = gpu.tables.pop(known, None)
    if table is None:
        table = gpu.to_device(_pieces(tuple(key), len(lists) + 1, known[0]))
        if len(gpu.tables) >= KEPT:
            del gpu.tables[next(iter(gpu.tables))]  # the one that was used longest ago
    gpu.tables[known] = table
    return table, len(table)


def in_place(name: str, lists: Lists, changed: tuple[int, ...], *numbers: Any) -> None:
    """The kernel over lists of arrays, once for each dtype; arrays of the lists `changed` that are not contiguous are
    copied, and back."""
    gpu = device()
    for dtype, some in by_dtype(lists):
        work = [None if arrays is None else [contiguous(x) for x in arrays] for arrays in some]
        table, pieces = table_of(gpu, work)
        gpu.launch(named(name, dtype), (min(pieces, 65535),), (256,), table, pieces, *numbers)
        for which in changed:
            for original, fresh in zip(some[which] or (), work[which] or (), strict=True):
                if fresh is not original:
                    copy(fresh, out=original)
