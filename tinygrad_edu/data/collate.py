"""Samples into batches: `default_collate` stacks what stacks, part by part; `default_convert` wraps arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import KindError, ShapeError
from ..tensor import Tensor, check_dtype


def as_tensor(value: Any) -> Tensor:
    """`value` as a tensor: itself, or around the same memory where it is an array."""
    if isinstance(value, Tensor):
        return value
    array = np.asarray(value)
    check_dtype(array.dtype)
    return Tensor._wrap(array)


def rebuilt(like: Any, parts: list[Any]) -> Any:
    """A sequence of the kind of `like`: a named tuple again, a list for everything else."""
    return type(like)(*parts) if hasattr(like, "_fields") else parts


def default_collate(batch: Sequence[Any]) -> Any:
    """One batch of a list of samples, as PyTorch makes it.

    Tensors and arrays are stacked, numbers become a tensor (float64, int64, bool), strings stay as they are;
    dictionaries, named tuples and sequences are taken part by part (tuples become lists). ShapeError where samples
    do not stack.
    """
    first = batch[0]
    if isinstance(first, Tensor | np.ndarray | np.generic | bool | int | float):
        return stacked(batch)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        parts = {key: default_collate([sample[key] for sample in batch]) for key in first}
        return parts if type(first) is dict else _mapping(first, parts)
    if isinstance(first, Sequence):
        if len({len(sample) for sample in batch}) > 1:
            raise ShapeError("collate: the samples of one batch have different numbers of parts; pass collate_fn=")
        return rebuilt(first, [default_collate(part) for part in zip(*batch, strict=True)])
    raise KindError(f"collate: samples hold a {type(first).__name__}; batches are made of tensors, arrays, numbers, "
                    f"strings, dictionaries and sequences of these: pass collate_fn=")  # fmt: skip


def default_convert(data: Any) -> Any:
    """`data` with its arrays as tensors (sharing memory); everything else as it is."""
    if isinstance(data, np.ndarray | np.generic) and data.dtype.kind in "biuf":
        return as_tensor(np.asarray(data))
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return rebuilt(data, [default_convert(value) for value in data])
    return data


def stacked(samples: Sequence[Any]) -> Tensor:
    """Numbers, arrays or tensors of one shape as one tensor with a new first dimension."""
    arrays = [s._array if isinstance(s, Tensor) else np.asarray(s) for s in samples]
    shapes = {a.shape for a in arrays}
    if len(shapes) > 1:
        raise ShapeError(f"collate: samples of different shapes {sorted(shapes)} do not stack; pass collate_fn=")
    return as_tensor(np.stack(arrays))


def _mapping(like: Any, parts: dict[Any, Any]) -> Any:
    """A mapping of the kind of `like`, or a dictionary where that cannot be made of one."""
    make: Callable[[Any], Any] = type(like)
    try:
        return make(parts)
    except TypeError:
        return parts
