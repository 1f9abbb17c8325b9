"""Running sums and order along an axis. Signatures and meanings: `protocol.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .gpu import device
from .layout import contiguous, named

Array = Any
INT64 = np.dtype(np.int64)
RUN = 256  # entries that `sort_runs` puts in order


def _last(x: Array, axis: int) -> Array:
    """x, contiguous, with `axis` as the last one."""
    return contiguous(x.transpose([*[d for d in range(x.ndim) if d != axis], axis]))


def _back(y: Array, axis: int) -> Array:
    """The last axis back where it was."""
    others = list(range(y.ndim - 1))
    return contiguous(y.transpose([*others[:axis], y.ndim - 1, *others[axis:]]))


def cumsum(x: Array, axis: int) -> Array:
    gpu, rows = device(), _last(x, axis)
    y = gpu.empty(rows.shape, x.dtype if x.dtype.kind == "f" else INT64)
    if y.size:
        count = y.size // y.shape[-1]
        gpu.launch(named("cumsum", x.dtype), (min(count, 65535),), (256,), y, rows, count, y.shape[-1])
    return _back(y, axis)


def argsort(x: Array, axis: int, descending: bool) -> Array:
    gpu, rows = device(), _last(x, axis)
    order = gpu.empty(rows.shape, INT64)
    if order.size:
        n = order.shape[-1]
        count, width = order.size // n, RUN
        gpu.launch(named("sort_runs", x.dtype), (min(count * -(-n // RUN), 65535),), (RUN,), order, rows, count, n,
                   int(descending))  # fmt: skip
        while width < n:
            merged = gpu.empty(rows.shape, INT64)
            gpu.flat(named("merge_runs", x.dtype), order.size, merged, order, rows, count, n, width, int(descending))
            order, width = merged, 2 * width
    return _back(order, axis)


TABLE: dict[str, Callable[..., Any]] = {"cumsum": cumsum, "argsort": argsort}
