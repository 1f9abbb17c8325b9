"""The tests of tests/cuda on a real GPU. Without one they are skipped, and say so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tinygrad_edu.errors import StateError
from tinygrad_edu.kernels.cuda import gpu as module


@pytest.fixture(scope="session")
def device() -> Any:
    """The GPU that CuPy finds."""
    try:
        return module.Device(module.real_gpu())
    except StateError as error:
        pytest.skip(f"NOTHING WAS RUN ON A GPU: {error}")


@pytest.fixture(autouse=True)
def gpu(device: Any) -> Iterator[Any]:
    """The GPU in use, for one test."""
    before = list(module._current)
    module._current[:] = [device]
    yield device
    module._current[:] = before
