"""The very same cases as in tests/cuda, and what only a GPU can answer."""

# ruff: noqa: F403
from __future__ import annotations

import tinygrad_edu as tg
from tests.cuda.test_bench import *
from tests.cuda.test_devices import *
from tests.cuda.test_kernels import *
from tests.cuda.test_launches import *
from tests.cuda.test_modules import *
from tests.cuda.test_order_and_indexing import *
from tests.cuda.test_public_names import *
from tests.cuda.test_training import *
from tests.cuda.test_windows_and_rows import *


def test_memory_is_counted_and_given_back() -> None:
    before = tg.cuda.memory_allocated()
    x = tg.zeros(1024, 1024, device="cuda")
    assert tg.cuda.memory_allocated() >= before + x.nbytes
    del x
    assert tg.cuda.memory_allocated() <= before
    tg.cuda.empty_cache()
    assert tg.cuda.memory_stats()["cached_bytes"] == 0
