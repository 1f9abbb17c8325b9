"""Sequences of different lengths: padded to one length, or packed without padding."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...creation import full
from ...errors import InputError, KindError, StateError
from ...kernels import host
from ...ops import stack
from ...tensor import Tensor

_Fields = namedtuple("_Fields", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"])


class PackedSequence(_Fields):
    """Sequences without padding, sorted by falling length: first all their first entries, then all their second, …

    `data` (entries, …); `batch_sizes[t]` (int64): how many sequences have an entry t; `sorted_indices[i]`: which
    sequence of the batch is the i-th longest; `unsorted_indices`: the inverse. Made by `pack_sequence` and
    `pack_padded_sequence`.
    """

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> PackedSequence:
        if not isinstance(data, Tensor) or not isinstance(batch_sizes, Tensor):
            raise KindError("PackedSequence: data and batch_sizes are tensors; use pack_sequence to make them")
        if batch_sizes.sum().item() != len(data):
            raise InputError(
                f"PackedSequence: batch_sizes add up to {batch_sizes.sum().item()}, data has {len(data)} entries"
            )
        if unsorted_indices is None and sorted_indices is not None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with `data` converted as by `Tensor.to`; the orders go to its device, `batch_sizes` stay."""
        data = self.data.to(*args, **kwargs)
        orders = [None if order is None else order.to(data.device) for order in self[2:]]
        return self if data is self.data else PackedSequence(data, self.batch_sizes, *orders)

    def double(self) -> PackedSequence:
        """`data` in float64."""
        return self.to("float64")

    def float(self) -> PackedSequence:
        """`data` in float32."""
        return self.to("float32")

    def cpu(self) -> PackedSequence:
        """The same on the CPU."""
        return self.to("cpu")

    @property
    def is_cuda(self) -> bool:
        """Whether it is on a GPU."""
        return bool(self.data.is_cuda)


def invert_permutation(permutation: Any) -> Any:
    """The order that undoes an order; None stays None."""
    if permutation is None:
        return None
    return Tensor(np.argsort(host(permutation._array)).astype(np.int64), device=permutation.device)


def _lengths(lengths: Any, batch: int, longest: int) -> Any:
    found = np.asarray(host(lengths._array) if isinstance(lengths, Tensor) else lengths).astype(np.int64)
    if found.shape != (batch,):
        raise StateError(f"pack_padded_sequence: {batch} sequences need {batch} lengths, got shape {found.shape}")
    if found.size and found.min() <= 0:
        raise StateError("pack_padded_sequence: each length must be positive; leave empty sequences out of the batch")
    if found.size and found.max() > longest:
        raise StateError(
            f"pack_padded_sequence: a length is {found.max()}, but the input has {longest} steps; is batch_first right?"
        )
    return found


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded batch (T, N, …), or (N, T, …) with `batch_first`, given each sequence's length.

    `enforce_sorted`: the lengths must fall, and the sequences stay in their order; otherwise they are sorted.
    """
    if input.ndim < 2:
        raise StateError(f"pack_padded_sequence: expected (T, N, …), got shape {tuple(input.shape)}")
    steps, batch = (input.shape[1], input.shape[0]) if batch_first else input.shape[:2]
    sizes = _lengths(lengths, batch, steps)
    order = np.argsort(-sizes, kind="stable")
    if enforce_sorted:
        if (np.diff(sizes) > 0).any():
            raise StateError(
                "pack_padded_sequence: the lengths must not rise; sort the sequences, or pass enforce_sorted=False"
            )
        order = np.arange(batch)
    alive = np.arange(int(sizes.max(initial=0)))[:, None] < sizes[order][None, :]  # (steps, sorted sequences)
    step, which = np.nonzero(alive)  # in the order of the packed data
    index = (order[which], step) if batch_first else (step, order[which])
    indices = None if enforce_sorted else Tensor(order.astype(np.int64), device=input.device)
    data = input[tuple([Tensor._wrap(i) for i in index])]
    return PackedSequence(data, Tensor._wrap(alive.sum(1).astype(np.int64)), indices)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """The padded batch (T, N, …) of a packed one, in its original order, and each sequence's length (int64).

    With `total_length` it is padded to that many steps.
    """
    data, batch_sizes, _, back = sequence
    sizes = host(batch_sizes._array)
    steps, batch = len(sizes), int(sizes[0]) if len(sizes) else 0
    if total_length is not None and total_length < steps:
        raise InputError(f"pad_packed_sequence: total_length is {total_length}, the longest sequence has {steps} steps")
    total = steps if total_length is None else total_length
    alive = np.arange(batch)[None, :] < sizes[:, None]
    step, which = np.nonzero(alive)
    order = np.arange(batch) if back is None else np.argsort(host(back._array))
    lead, index = ((batch, total), (order[which], step)) if batch_first else ((total, batch), (step, order[which]))
    padded = full((*lead, *data.shape[1:]), padding_value, dtype=data.dtype, device=data.device)
    padded[tuple([Tensor._wrap(i) for i in index])] = data
    lengths = alive.sum(0).astype(np.int64)
    return padded, Tensor._wrap(lengths if back is None else lengths[host(back._array)])


def pad_sequence(
    sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """Tensors (Lᵢ, …) stacked to (T, N, …), or (N, T, …) with `batch_first`: T is the longest length."""
    if padding_side not in ("right", "left"):
        raise InputError(f'pad_sequence: padding_side is {padding_side!r}; it can be "right" or "left"')
    chosen = list(sequences)
    if not chosen:
        raise StateError("pad_sequence: there are no sequences to pad")
    rest = {tuple(s.shape[1:]) for s in chosen}
    if any(s.ndim == 0 for s in chosen) or len(rest) > 1:
        raise StateError(
            f"pad_sequence: sequences of shapes {[tuple(s.shape) for s in chosen]} may differ in their first size alone"
        )
    steps = max(len(s) for s in chosen)
    rows = []
    for s in chosen:
        row = full((steps, *s.shape[1:]), padding_value, dtype=s.dtype, device=s.device)
        row[slice(len(s)) if padding_side == "right" else slice(steps - len(s), steps)] = s
        rows.append(row)
    return stack(rows, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The sequences of a padded batch, each cut to its length: the inverse of `pad_sequence`."""
    batch = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[: int(n)] for row, n in zip(batch, lengths, strict=True)]


def pack_sequence(sequences: Iterable[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Pack tensors (Lᵢ, …) of different lengths."""
    chosen = list(sequences)
    return pack_padded_sequence(pad_sequence(chosen), [len(s) for s in chosen], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """The tensors that were packed: the inverse of `pack_sequence`."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)
