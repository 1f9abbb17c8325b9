"""Datasets: a length and a way to get row i. `TensorDataset` can also give many rows in one indexing operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError, RangeError
from ..tensor import Tensor, check_dtype


class Dataset:
    """What a data set has to offer: `len(d)` and `d[i]`. Derive from it, or just have the two methods."""

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs a method __len__(self) -> int")

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a method __getitem__(self, index)")


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


def as_tensor(value: Any) -> Tensor:
    """`value` as a tensor: itself, or around the same memory where it is an array."""
    if isinstance(value, Tensor):
        return value
    array = np.asarray(value)
    check_dtype(array.dtype)
    return Tensor._wrap(array)


def gather(dataset: Any, indices: np.ndarray) -> Any:
    """The rows `indices` of any data set as one batch: at once where it can, row by row where it cannot."""
    if hasattr(dataset, "gather"):
        return dataset.gather(indices)
    return collate([dataset[int(i)] for i in indices])


def collate(samples: list[Any]) -> Any:
    """Make one batch of a list of samples: numbers and arrays are stacked, tuples and dicts entry by entry."""
    first = samples[0]
    if isinstance(first, dict):
        return {key: collate([s[key] for s in samples]) for key in first}
    if isinstance(first, tuple | list):
        if len({len(s) for s in samples}) > 1:
            raise InputError("collate: the samples of one batch have different numbers of parts; pass collate_fn=")
        return tuple([collate([s[part] for s in samples]) for part in range(len(first))])
    arrays = [s._array if isinstance(s, Tensor) else np.asarray(s) for s in samples]
    shapes = {a.shape for a in arrays}
    if len(shapes) > 1:
        raise InputError(f"collate: samples of different shapes {sorted(shapes)} do not stack; pass collate_fn=")
    stacked = np.stack(arrays)
    if isinstance(first, float):  # a Python float has no dtype of its own: it takes the library's default
        stacked = stacked.astype(np.float32)
    return as_tensor(stacked)
