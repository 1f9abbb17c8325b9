"""Tests here run on whatever `gpu` gives: launch code and kernels executed on this machine, without a GPU.

`TGE_CUDA_HOST=check` takes the build that reports races, accesses out of bounds, and reads of what nobody wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cuda_host import host_gpu, missing  # not tests.cuda_host: its memory is a list of its own

from tinygrad_edu.kernels.cuda import gpu as module


@pytest.fixture(scope="session")
def device() -> Any:
    """What stands for a GPU, with what has been compiled for it."""
    if reason := missing():
        pytest.skip(reason)
    return module.Device(host_gpu())


@pytest.fixture(autouse=True)
def gpu(device: Any) -> Iterator[Any]:
    """A GPU in use, for one test."""
    before = list(module._current)
    module._current[:] = [device]
    yield device
    module._current[:] = before
