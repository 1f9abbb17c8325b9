"""Datasets: a length and a way to get row i. `TensorDataset` can also give many rows in one indexing operation."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, KindError, RangeError
from ..tensor import Tensor
from .collate import as_tensor, default_collate


class Dataset:
    """What a data set has to offer: `len(d)` and `d[i]`. Derive from it, or just have the two methods."""

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs a method __len__(self) -> int")

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a method __getitem__(self, index)")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Rows that come one after the other: subclasses write `__iter__`. With worker processes each of them iterates a
    copy of its own; `get_worker_info()` tells which share is whose."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} needs a method __iter__(self)")

    def __add__(self, other: Any) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])

    def __len__(self) -> int:
        raise KindError(f"{type(self).__name__} has no length: its rows come one after the other")


class ChainDataset(IterableDataset):
    """Several iterable data sets, one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(d) for d in self.datasets)


class ConcatDataset(Dataset):
    """The rows of several data sets, one set after the other; `cumulative_sizes` says where each ends."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise InputError("ConcatDataset: there must be one data set at least")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise InputError("ConcatDataset: an IterableDataset has no rows by number; use ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: Any) -> Any:
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            raise InputError(f"ConcatDataset: row {index} is outside a data set of {len(self)} rows")
        which = bisect.bisect_right(self.cumulative_sizes, row)
        return self.datasets[which][row - (self.cumulative_sizes[which - 1] if which else 0)]


class TensorDataset(Dataset):
    """Rows of several tensors side by side: `d[i]` is `(t[i] for t in tensors)`.

    `tensors`: tensors or arrays with the same first dimension; arrays are shared, not copied.
    Different lengths, or a 0-dimensional tensor, raise ValueError.
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise InputError("TensorDataset() got no tensors; give it at least one, e.g. TensorDataset(X, y)")
        self.tensors: tuple[Tensor, ...] = tuple([as_tensor(t) for t in tensors])
        shapes = [tuple(t.shape) for t in self.tensors]
        if any(not shape for shape in shapes):
            raise InputError(f"TensorDataset: every tensor needs a first dimension of rows; got shapes {shapes}")
        if len({shape[0] for shape in shapes}) > 1:
            raise InputError(
                f"TensorDataset: the tensors have {', '.join(str(s[0]) for s in shapes)} rows (shapes {shapes}); "
                f"each needs one row per example: is one of them transposed, or from another split?"
            )

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([t[index] for t in self.tensors])

    def gather(self, indices: np.ndarray) -> tuple[Tensor, ...]:
        """The rows `indices` of every tensor, in that order: one vectorised copy each."""
        return tuple([Tensor._wrap(t._array[indices]) for t in self.tensors])

    def __repr__(self) -> str:
        return f"TensorDataset({', '.join(f'{t.dtype} {tuple(t.shape)}' for t in self.tensors)})"


class Subset(Dataset):
    """The rows `indices` of `dataset`, as a data set of their own; nothing is copied.

    An index outside the data set raises IndexError here, not in the middle of training.
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | np.ndarray) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64).reshape(-1)
        size = len(dataset)
        wrong = (self.indices < -size) | (self.indices >= size)
        if wrong.any():
            raise RangeError(f"Subset: index {self.indices[wrong][0]} is outside a data set of {size} rows")

    def __len__(self) -> int:
        return int(self.indices.size)

    def __getitem__(self, index: Any) -> Any:
        chosen = self.indices[index]
        if np.ndim(chosen) == 0:
            return self.dataset[int(chosen)]
        return self.gather(np.arange(len(self))[index])

    def gather(self, indices: np.ndarray) -> Any:
        """The rows `indices` of this subset, collated."""
        return gather(self.dataset, self.indices[indices])

    def __repr__(self) -> str:
        return f"Subset({len(self)} rows of {self.dataset!r})"


def gather(dataset: Any, indices: np.ndarray) -> Any:
    """The rows `indices` of any data set as one batch: at once where it can, row by row where it cannot."""
    if hasattr(dataset, "gather"):
        return dataset.gather(indices)
    return default_collate([dataset[int(i)] for i in indices])
