"""What the programs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .twins import libraries


@pytest.fixture
def double() -> Iterator[None]:
    """float64 as the default dtype of both."""
    for lib in libraries():
        lib.set_default_dtype(lib.float64)
    yield
    for lib in libraries():
        lib.set_default_dtype(lib.float32)
