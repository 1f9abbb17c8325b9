"""The compiled kernels against the NumPy reference. Skipped as a whole where they were not built."""

import numpy as np
import pytest

native = pytest.importorskip(
    "tinygrad_edu.kernels.native", reason="the compiled kernels are not built", exc_type=ImportError
)


@pytest.fixture(params=native.available_isas())
def isa(request):
    """Each instruction set that this machine has, in turn."""
    before = native.isa()
    native._native.use_isa(request.param)
    yield request.param
    native._native.use_isa(before)


@pytest.fixture
def threads():
    """set_num_threads, undone afterwards."""
    before = native.get_num_threads()
    yield native.set_num_threads
    native.set_num_threads(before)


@pytest.fixture
def rng():
    return np.random.default_rng(7)
