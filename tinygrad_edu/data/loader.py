"""`DataLoader`: batches of a data set, in an order that can be repeated and resumed exactly."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..errors import InputError, KindError
from ..random import Generator, default_generator
from .collate import default_collate, default_convert
from .dataset import IterableDataset, gather
from .samplers import BatchSampler, RandomSampler, SequentialSampler
from .workers import WorkerPool


class Fetch:
    """What turns row numbers into a batch; `Fetch(…)(dataset)` is ready for one epoch. Workers get a copy."""

    def __init__(self, collate_fn: Callable[[Any], Any] | None, batched: bool, drop_last: bool) -> None:
        self.collate_fn, self.batched, self.drop_last = collate_fn, batched, drop_last

    def __call__(self, dataset: Any) -> Callable[[Any], Any]:
        """A function from row numbers (for an iterable data set: from anything) to a batch."""
        if isinstance(dataset, IterableDataset):
            source = iter(dataset)
            return lambda rows: self._next(source, rows)
        return lambda rows: self._rows(dataset, rows)

    def _rows(self, dataset: Any, rows: Any) -> Any:
        if not self.batched:
            return (self.collate_fn or default_convert)(dataset[rows])
        if self.collate_fn is None and hasattr(dataset, "gather"):  # one indexing operation for the whole batch
            batch = gather(dataset, np.asarray(rows))
            return list(batch) if type(batch) is tuple else batch
        chosen = rows.tolist() if isinstance(rows, np.ndarray) else rows
        samples = dataset.__getitems__(chosen) if hasattr(dataset, "__getitems__") else [dataset[i] for i in chosen]
        return (self.collate_fn or default_collate)(samples)

    def _next(self, source: Iterator[Any], size: Any) -> Any:
        if not self.batched:
            return (self.collate_fn or default_convert)(next(source))
        samples = list(itertools.islice(source, size))
        if not samples or (self.drop_last and len(samples) < size):
            raise StopIteration
        return (self.collate_fn or default_collate)(samples)


class DataLoader:
    """Iterate over `dataset` in batches; every `for` over it is one epoch.

    `shuffle=True` draws a new permutation at the start of each epoch from the shuffle stream of `generator` (the
    default generator if none is given). `sampler` gives the row numbers itself, `batch_sampler` lists of them;
    `batch_size=None` gives single samples. A `TensorDataset` is indexed once per batch; other data sets row by row,
    joined by `collate_fn`. An `IterableDataset` brings its own order.

    `num_workers` processes make batches ahead of time, `prefetch_factor` (2) each, in the same order as none would;
    `timeout` seconds without a batch are an error, and so is a worker that dies. `persistent_workers` keeps them from
    epoch to epoch. `worker_init_fn(id)` runs first in each; `multiprocessing_context` is "fork" or "spawn", or a
    context. `pin_memory` and `in_order` are taken for PyTorch's sake and change nothing.

    `state_dict()` in the middle of an epoch and `load_state_dict()` on a new loader continue with the very next batch.
    Raises ValueError for an empty data set, a batch size below 1, or shuffle together with a sampler.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers, multiprocessing_context)
        self._iterable = isinstance(dataset, IterableDataset)
        _check_order(self._iterable, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if not self._iterable and sampler is None and batch_sampler is None and len(dataset) == 0:
            raise InputError("DataLoader: the data set is empty; check the split or the filter that made it")
        self.dataset = dataset
        self.batch_size = int(batch_size) if batch_size is not None and batch_sampler is None else None
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        self.generator = generator
        self.collate_fn = collate_fn
        self.num_workers, self.timeout, self.worker_init_fn = num_workers, timeout, worker_init_fn
        self.prefetch_factor = 2 if prefetch_factor is None and num_workers else prefetch_factor
        self.persistent_workers, self.multiprocessing_context = persistent_workers, multiprocessing_context
        self.pin_memory = pin_memory
        self.sampler: Any = sampler
        if sampler is None and not self._iterable:
            self.sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        self.batch_sampler: Any = batch_sampler
        if batch_sampler is None and self.batch_size is not None and not self._iterable:
            self.batch_sampler = BatchSampler(self.sampler, self.batch_size, self.drop_last)
        self._own_batches = batch_sampler is None
        self._pool: WorkerPool | None = None
        self._epochs = 0
        self._epoch_start: dict[str, int] | None = None  # the generator before this epoch's permutation was drawn
        self._done = 0  # batches of this epoch that have been handed out
        self._skip = 0  # batches that the next epoch leaves out, because a resumed run has had them

    def __len__(self) -> int:
        if self._iterable:
            rows = len(self.dataset)
            if self.batch_size is None:
                return rows
            return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)
        return len(self.batch_sampler if self.batch_sampler is not None else self.sampler)

    def __iter__(self) -> Iterator[Any]:
        self._epoch_start = self._generator().get_state()
        first, self._skip = self._skip, 0
        self._done = first
        fetch = Fetch(self.collate_fn, self.batch_size is not None or not self._own_batches, self.drop_last)
        rows = itertools.islice(self._rows(), 0 if self._iterable else first, None)
        batches: Any = self._with_workers(fetch, rows) if self.num_workers else _alone(fetch(self.dataset), rows)
        try:
            for number, batch in enumerate(batches):
                if self._iterable and number < first:  # it has no rows to leave out: its first batches are made again
                    continue
                self._done += 1
                yield batch
        finally:
            batches.close()
        self._epochs += 1
        self._epoch_start, self._done = None, 0

    def _rows(self) -> Iterator[Any]:
        """What to fetch for each batch of one epoch: row numbers; how many, of an iterable data set."""
        if self._iterable:
            yield from itertools.repeat(self.batch_size if self.batch_size is not None else 1)
        elif self.batch_size is not None and self._own_batches and hasattr(self.sampler, "order"):
            order = self.sampler.order()  # all at once: slices of one array
            end = len(order) - len(order) % self.batch_size if self.drop_last else len(order)
            for start in range(0, end, self.batch_size):
                yield order[start : start + self.batch_size]
        else:
            yield from self.batch_sampler if self.batch_sampler is not None else self.sampler

    def _with_workers(self, fetch: Fetch, rows: Iterator[Any]) -> Any:
        """Batches made by worker processes, which are gone (or idle, if persistent) when this ends or is closed."""
        import multiprocessing  # here: `import tinygrad_edu` loads NumPy and itself only

        given = self.multiprocessing_context
        context = given if hasattr(given, "Process") else multiprocessing.get_context(given)
        pool = self._pool
        if pool is None:
            # A seed of this epoch that takes no numbers from the generator: training stays the same without workers.
            seed = (self._generator().seed * 1_000_003 + self._epochs * 7919 + 1) % 2**62
            pool = WorkerPool(context, self.num_workers, self.dataset, fetch, self.worker_init_fn, seed)
        self._pool = pool if self.persistent_workers else None
        try:
            yield from pool.batches(rows, self.prefetch_factor or 2, self.timeout)
        except Exception:
            self._pool = None
            raise
        finally:
            if self._pool is None:
                pool.close()

    def __del__(self) -> None:
        pool = getattr(self, "_pool", None)
        if pool is not None:
            pool.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}

    def _generator(self) -> Generator:
        return self.generator if self.generator is not None else default_generator

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: the generator as it was before this epoch's order was drawn, and batches done."""
        state = self._epoch_start if self._epoch_start is not None else self._generator().get_state()
        return {"generator": dict(state), "batches": self._done or self._skip}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict()` was taken. ValueError if that was in a longer epoch than this loader has."""
        batches = int(state["batches"])
        if not self._iterable and not 0 <= batches <= len(self):
            raise InputError(f"DataLoader: the state is after batch {batches}, but an epoch here has {len(self)}")
        self._generator().set_state(state["generator"])
        self._epoch_start, self._done, self._skip = None, 0, batches


def _alone(fetch: Callable[[Any], Any], rows: Iterator[Any]) -> Iterator[Any]:
    """Batches made here."""
    for chosen in rows:
        try:
            batch = fetch(chosen)
        except StopIteration:
            return
        yield batch


def _check_workers(num_workers: Any, timeout: Any, prefetch: Any, persistent: Any, context: Any) -> None:
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
        raise InputError(f"DataLoader: num_workers is {num_workers!r}; it must be a whole number ≥ 0")
    if timeout < 0:
        raise InputError(f"DataLoader: timeout is {timeout}; it must be ≥ 0 seconds (0: wait for ever)")
    if prefetch is not None and (num_workers == 0 or prefetch < 1):
        raise InputError("DataLoader: prefetch_factor goes with num_workers > 0, and is 1 at least")
    if persistent and num_workers == 0:
        raise InputError("DataLoader: persistent_workers needs num_workers > 0")
    if isinstance(context, str):
        import multiprocessing

        known = multiprocessing.get_all_start_methods()
        if context not in known:
            raise InputError(f"DataLoader: multiprocessing_context is {context!r}; it can be {', '.join(known)}")
    if context is not None and not isinstance(context, str) and not hasattr(context, "Process"):
        raise KindError(f"DataLoader: multiprocessing_context is a {type(context).__name__}, not a context")


def _check_order(iterable: bool, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any,
                 drop_last: Any) -> None:  # fmt: skip
    if batch_size is not None and (isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer)):
        raise KindError(f"DataLoader: batch_size is {batch_size!r}; it must be a whole number")
    if batch_size is not None and batch_size < 1:
        raise InputError(f"DataLoader: batch_size is {batch_size}; it must be at least 1")
    if iterable and (shuffle or sampler is not None or batch_sampler is not None):
        raise InputError("DataLoader: an IterableDataset brings its own order; leave out shuffle and samplers")
    if shuffle and sampler is not None:
        raise InputError("DataLoader: shuffle=True and a sampler both choose the order; give one of them")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise InputError("DataLoader: batch_sampler replaces batch_size, shuffle, sampler and drop_last")
    if batch_size is None and drop_last:
        raise InputError("DataLoader: batch_size=None makes no batches, so there is none to drop_last")
