"""Class numbers as vectors: learned ones (`embedding`) or unit vectors (`one_hot`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...autograd import no_grad
from ...creation import arange, zeros
from ...errors import InputError, KindError
from ...ops._common import only_on_cpu
from ...tensor import Tensor


def embedding(input: Any, weight: Any, padding_idx: int | None = None, max_norm: float | None = None,
              norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False) -> Any:  # fmt: skip
    """Rows of `weight` (R, D) at the integers `input` (…), as (…, D).

    The row `padding_idx` gets no gradient. Rows longer than `max_norm` are first shortened to it, in place.
    """
    rows = weight.shape[0] if weight.ndim else 0
    if sparse or scale_grad_by_freq:
        raise InputError("embedding: sparse=True and scale_grad_by_freq=True are not supported; leave them out")
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise InputError(f"embedding: padding_idx {padding_idx} is out of range for {rows} rows")
    if max_norm is not None and input.numel():
        only_on_cpu("embedding with max_norm", input, weight)
        with no_grad():
            used = Tensor(np.unique(input._array))
            found = weight[used]
            length = found.norm(norm_type, 1, keepdim=True)
            weight[used] = ops.where(length > max_norm, found * (max_norm / (length + 1e-7)), found)
    return ops.take(weight, input, -1 if padding_idx is None else padding_idx % rows)


def embedding_bag(input: Any, weight: Any, offsets: Any = None, max_norm: float | None = None, norm_type: float = 2,
                  scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
                  per_sample_weights: Any = None, include_last_offset: bool = False,
                  padding_idx: int | None = None) -> Any:  # fmt: skip
    """Bags of rows of `weight` (R, D), each reduced to one: (bags, D).

    input (bags, N), or all in one row with the `offsets` at which bags begin. `mode`: "mean", "sum" (perhaps weighted)
    or "max". The row `padding_idx` does not count. An empty bag gives zeros.
    """
    only_on_cpu("embedding_bag", input, weight, offsets)
    if mode not in ("mean", "sum", "max"):
        raise InputError(f'embedding_bag: mode is "{mode}"; it can be "mean", "sum" or "max"')
    if per_sample_weights is not None and mode != "sum":
        raise InputError(f'embedding_bag: per_sample_weights go with mode "sum", not "{mode}"')
    if (input.ndim == 2) == (offsets is not None):
        raise InputError("embedding_bag: give offsets with an input of one dimension, and with that alone")
    if input.ndim == 2:
        bags, starts = input.shape[0], np.arange(input.shape[0]) * input.shape[1]
    else:
        starts = offsets._array[:-1] if include_last_offset else offsets._array
        bags = len(starts)
    members = input.reshape(-1)
    bag = np.searchsorted(starts, np.arange(members.numel()), "right") - 1
    if padding_idx is not None:
        kept = np.flatnonzero(members._array != padding_idx % weight.shape[0])
        members, bag = members[Tensor._wrap(kept)], bag[kept]
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)[Tensor._wrap(kept)]
    rows = embedding(members, weight, None, max_norm, norm_type, scale_grad_by_freq, sparse)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1, 1)
    empty = zeros(bags, weight.shape[1], dtype=weight.dtype)
    where = Tensor._wrap(bag)
    if mode == "max":
        return empty.scatter_reduce(0, where.unsqueeze(1).expand(*rows.shape), rows, "amax", include_self=False)
    total = empty.index_add(0, where, rows)
    if mode == "sum":
        return total
    counts = np.maximum(np.bincount(bag, minlength=bags), 1).astype(weight.dtype)
    return total / Tensor._wrap(counts[:, None])


def one_hot(input: Any, num_classes: int = -1) -> Any:
    """int64 rows with a single 1, at the position that the entry names."""
    if input.dtype.kind not in "iu":
        raise KindError(f"one_hot: class numbers are integers, got {input.dtype}")
    if input.numel() and input.min().item() < 0:
        raise InputError(f"one_hot: class numbers are not negative, got {input.min().item()}")
    classes = int(input.max().item()) + 1 if num_classes == -1 else num_classes
    if input.numel() and input.max().item() >= classes:
        raise InputError(f"one_hot: class {input.max().item()} does not fit {classes} classes")
    return (input.unsqueeze(-1) == arange(classes, device=input.device)).long()
