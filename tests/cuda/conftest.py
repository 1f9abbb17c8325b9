"""Tests here run on whatever `gpu` gives: the launch code and kernels executed on this machine, without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("cupy", reason="CuPy is not installed: pip install 'tinygrad_edu[cuda13]'")

from tests.cuda_host import host_gpu
from tinygrad_edu.kernels import cuda


@pytest.fixture(scope="session")
def host() -> Any:
    """The double, with what has been compiled for it."""
    return cuda.Device(host_gpu())


@pytest.fixture(autouse=True)
def gpu(host: Any) -> Iterator[Any]:
    """A GPU in use, for one test."""
    before = list(cuda.gpu._current)
    cuda.gpu._current[:] = [host]
    yield host
    cuda.gpu._current[:] = before
