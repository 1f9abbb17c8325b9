"""Samplers: in which order rows are taken. Random ones take their numbers from the shuffle stream of a generator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, StateError
from ..random import Generator, default_generator
from ..tensor import Tensor


class Sampler:
    """Row numbers, one after the other: subclasses write `__iter__`, and `__len__` if it is known.

    The samplers here write `order()`, all row numbers of one epoch in one array, in place of `__iter__`.
    """

    def __init__(self, data_source: Any = None) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(self.order().tolist())

    def order(self) -> np.ndarray:
        """The row numbers of one epoch."""
        raise NotImplementedError(f"{type(self).__name__} needs a method __iter__(self)")


class SequentialSampler(Sampler):
    """0, 1, 2, …"""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def order(self) -> np.ndarray:
        return np.arange(len(self.data_source), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """A new random order each epoch; with `replacement`, rows drawn independently. `num_samples` of them."""

    def __init__(self, data_source: Any, replacement: bool = False, num_samples: int | None = None,
                 generator: Generator | None = None) -> None:  # fmt: skip
        if num_samples is not None and (isinstance(num_samples, bool) or not isinstance(num_samples, int)
                                        or num_samples < 1):  # fmt: skip
            raise InputError(f"RandomSampler: num_samples is {num_samples!r}; it must be a positive integer")
        self.data_source, self.replacement, self.generator = data_source, bool(replacement), generator
        self._num_samples = num_samples

    @property
    def num_samples(self) -> int:
        """How many rows an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def order(self) -> np.ndarray:
        source, rows, wanted = self.generator or default_generator, len(self.data_source), self.num_samples
        if self.replacement:
            return source.integers(0, rows, (wanted,), "shuffle")
        rounds = [source.permutation(rows) for _ in range(-(-wanted // rows))] if rows else [np.arange(0)]
        return rounds[0] if wanted == rows else np.concatenate(rounds)[:wanted]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given rows in a new random order each epoch."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def order(self) -> np.ndarray:
        rows = self.indices._array if isinstance(self.indices, Tensor) else np.asarray(self.indices, np.int64)
        return rows[(self.generator or default_generator).permutation(len(rows))]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """`num_samples` row numbers with probabilities proportional to `weights`, with or without replacement.

    Without it, rows are those with the smallest −ln(u)/weight, u uniform: Efraimidis & Spirakis 2006.
    """

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True,
                 generator: Generator | None = None) -> None:  # fmt: skip
        if isinstance(num_samples, bool) or not isinstance(num_samples, int) or num_samples < 1:
            raise InputError(f"WeightedRandomSampler: num_samples is {num_samples!r}; it must be a positive integer")
        if not isinstance(replacement, bool):
            raise InputError(f"WeightedRandomSampler: replacement is {replacement!r}; it is True or False")
        self.weights = np.asarray(weights.detach()._array if isinstance(weights, Tensor) else weights, np.float64)
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise InputError(f"WeightedRandomSampler: weights of shape {self.weights.shape} must be one finite "
                             f"number ≥ 0 for each row")  # fmt: skip
        possible = int((self.weights > 0).sum())
        if possible == 0 or (not replacement and possible < num_samples):
            raise InputError(f"WeightedRandomSampler: {num_samples} samples wanted, {possible} rows have a weight > 0")
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def order(self) -> np.ndarray:
        source = self.generator or default_generator
        if self.replacement:
            bounds = np.cumsum(self.weights)
            u = source.uniform((self.num_samples,), 0.0, 1.0, np.float64, "shuffle")
            return np.searchsorted(bounds, u * bounds[-1], side="right").astype(np.int64)
        u = source.uniform(self.weights.shape, 0.0, 1.0, np.float64, "shuffle")
        with np.errstate(divide="ignore"):
            key = np.where(self.weights > 0, -np.log1p(-u) / self.weights, np.inf)
        return np.argsort(key, kind="stable")[: self.num_samples].astype(np.int64)

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of `batch_size` row numbers from another sampler; `drop_last` leaves out a shorter last one."""

    def __init__(self, sampler: Iterable[Any], batch_size: int, drop_last: bool) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise InputError(f"BatchSampler: batch_size is {batch_size!r}; it must be a positive integer")
        if not isinstance(drop_last, bool):
            raise InputError(f"BatchSampler: drop_last is {drop_last!r}; it is True or False")
        self.sampler, self.batch_size, self.drop_last = sampler, int(batch_size), drop_last

    def __iter__(self) -> Iterator[list[Any]]:
        batch: list[Any] = []
        for row in self.sampler:
            batch.append(row)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        rows = len(self.sampler)  # type: ignore[arg-type]
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)


class DistributedSampler(Sampler):
    """The share of process `rank` of `num_replicas`: every so manieth row of one order that all processes agree on.

    Rows at the end are dropped, or the first ones repeated, so that all shares are equally long. `set_epoch(n)` before
    each epoch gives each its own order.
    """

    def __init__(self, dataset: Any, num_replicas: int | None = None, rank: int | None = None, shuffle: bool = True,
                 seed: int = 0, drop_last: bool = False) -> None:  # fmt: skip
        if num_replicas is None or rank is None:
            raise StateError("DistributedSampler: give num_replicas and rank")
        if not 0 <= rank < num_replicas:
            raise InputError(f"DistributedSampler: rank is {rank}; it must lie in [0, {num_replicas})")
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.seed, self.drop_last, self.epoch = shuffle, seed, drop_last, 0
        rows = len(dataset)
        self.num_samples = rows // num_replicas if drop_last else -(-rows // num_replicas)
        self.total_size = self.num_samples * num_replicas

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.epoch = epoch

    def order(self) -> np.ndarray:
        rows = len(self.dataset)
        order = Generator(self.seed + self.epoch).permutation(rows) if self.shuffle else np.arange(rows)
        return np.resize(order, self.total_size)[self.rank :: self.num_replicas]

    def __len__(self) -> int:
        return self.num_samples
