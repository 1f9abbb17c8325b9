"""`DataLoader`: batches of a data set, in an order that can be repeated and resumed exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..errors import InputError, KindError
from ..random import Generator, default_generator
from .dataset import gather


class DataLoader:
    """Iterate over `dataset` in batches; every `for` over it is one epoch.

    `shuffle=True` draws a new permutation at the start of each epoch from the shuffle stream of `generator` (the
    default generator if none is given). `sampler` gives the row numbers itself. A `TensorDataset` is indexed once per
    batch; other data sets row by row, joined by `collate_fn`. `num_workers` and `pin_memory` are taken for PyTorch's
    sake and change nothing: a gather from memory needs no helper processes.

    `state_dict()` in the middle of an epoch and `load_state_dict()` on a new loader continue with the very next batch.
    Raises ValueError for an empty data set, a batch size below 1, or shuffle together with a sampler.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        *,
        drop_last: bool = False,
        generator: Generator | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer):
            raise KindError(f"DataLoader: batch_size is {batch_size!r}; it must be a whole number")
        if batch_size < 1:
            raise InputError(f"DataLoader: batch_size is {batch_size}; it must be at least 1")
        if len(dataset) == 0:
            raise InputError("DataLoader: the data set is empty; check the split or the filter that made it")
        if shuffle and sampler is not None:
            raise InputError("DataLoader: shuffle=True and a sampler both choose the order; give one of them")
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = bool(shuffle)
        self.sampler = sampler
        self.drop_last = bool(drop_last)
        self.generator = generator
        self.collate_fn = collate_fn
        self._epoch_start: dict[str, int] | None = None  # the generator before this epoch's permutation was drawn
        self._done = 0  # batches of this epoch that have been handed out
        self._skip = 0  # batches that the next epoch leaves out, because a resumed run has had them

    def __len__(self) -> int:
        rows = len(self.sampler) if self.sampler is not None else len(self.dataset)  # type: ignore[arg-type]
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        self._epoch_start = self._generator().get_state()
        order = self._order()
        first, self._skip = self._skip, 0
        self._done = first
        end = len(order) - len(order) % self.batch_size if self.drop_last else len(order)
        for start in range(first * self.batch_size, end, self.batch_size):
            indices = order[start : start + self.batch_size]
            self._done += 1
            if self.collate_fn is not None:
                yield self.collate_fn([self.dataset[int(i)] for i in indices])
            else:
                yield gather(self.dataset, indices)
        self._epoch_start, self._done = None, 0

    def _order(self) -> np.ndarray:
        """The row numbers of one epoch."""
        if self.sampler is not None:
            return np.fromiter(self.sampler, dtype=np.int64)
        if self.shuffle:
            return np.asarray(self._generator().permutation(len(self.dataset)))
        return np.arange(len(self.dataset), dtype=np.int64)

    def _generator(self) -> Generator:
        return self.generator if self.generator is not None else default_generator

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: the generator as it was before this epoch's order was drawn, and batches done."""
        state = self._epoch_start if self._epoch_start is not None else self._generator().get_state()
        return {"generator": dict(state), "batches": self._done or self._skip}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict()` was taken. ValueError if that was in a longer epoch than this loader has."""
        batches = int(state["batches"])
        if not 0 <= batches <= len(self):
            raise InputError(f"DataLoader: the state is after batch {batches}, but an epoch here has {len(self)}")
        self._generator().set_state(state["generator"])
        self._epoch_start, self._done, self._skip = None, 0, batches
