"""Two thousand random programs give the same here and in PyTorch: values, gradients, and which of their lines raise."""

from __future__ import annotations

import warnings

import pytest

from . import programs
from .writer import Writer

BATCHES, PER_BATCH = 20, 110


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_batch_of_programs(batch: int) -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of much that is only compared here
        for seed in range(batch * PER_BATCH, (batch + 1) * PER_BATCH):
            lines = Writer(seed, torch).write()
            what = programs.difference(lines, torch)
            if what is not None and not programs.is_unstable(lines, torch):
                few = programs.shrunk(lines, lambda some: programs.difference(some, torch))
                pytest.fail(programs.repro(seed, few, programs.difference(few, torch) or what), pytrace=False)
