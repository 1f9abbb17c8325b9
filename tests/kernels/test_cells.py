"""LSTM and GRU cells × dtype × layout × shape × instruction set, against the reference in float64."""

import numpy as np
import pytest

from tinygrad_edu.kernels import reference

from .conftest import native
from .layouts import LAYOUTS, assert_close, laid_out

# kernel: blocks of H entries in a row of each input
CELLS = {
    "lstm_cell": (4, 4, 1),
    "lstm_cell_backward": (1, 1, 4, 1, 1),
    "gru_cell": (3, 3, 1),
    "gru_cell_backward": (1, 4, 1),
}


def inputs(rng, name, rows, hidden, dtype):
    """Arguments of the kernel; whatever it calls gates lies where sigmoid and tanh put it, in (−1, 1)."""
    return [np.asarray(np.tanh(rng.normal(size=(rows, b * hidden)) * 2), dtype) for b in CELLS[name]]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 16), (7, 33), (0, 4), (4, 0), (70, 100)], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_cells(name, shape, layout, isa, rng):
    for dtype in (np.float32, np.float64):
        given = [laid_out(x, layout) for x in inputs(rng, name, *shape, dtype)]
        actual = getattr(native, name)(*given)
        expected = getattr(reference, name)(*[x.astype(np.float64) for x in given])
        for a, e in zip(actual, expected, strict=True):
            assert a.dtype == dtype
            assert_close(a, e, 8, 1)


@pytest.mark.parametrize("name", ["lstm_cell", "gru_cell"])
def test_cells_saturate_without_overflow_and_keep_nan(name, isa):
    blocks = CELLS[name]
    for large in (90.0, 1e30, np.inf):
        for sign in (1, -1):
            x, state = np.full((1, 3 * blocks[0]), sign * large, np.float32), np.full((1, 3), 0.5, np.float32)
            results = getattr(native, name)(x, np.zeros_like(x), state)
            for a, e in zip(results, getattr(reference, name)(x, np.zeros_like(x), state), strict=True):
                assert_close(a, e, 8, 1)
    x, state = np.zeros((2, 5 * blocks[0]), np.float32), np.zeros((2, 5), np.float32)
    state[1, 3] = np.nan
    hidden = getattr(native, name)(x, x, state)[0]
    np.testing.assert_array_equal(np.isnan(hidden), np.isnan(state))


@pytest.mark.parametrize("name", CELLS)
def test_cells_give_the_same_bits_on_any_number_of_threads(name, threads, isa, rng):
    given, results = inputs(rng, name, 300, 67, np.float32), []
    for n in (1, 2, 3):
        threads(n)
        results.append(b"".join(x.tobytes() for x in getattr(native, name)(*given)))
    assert len(set(results)) == 1


@pytest.mark.parametrize("name", CELLS)
def test_cells_refuse_shapes_that_do_not_fit(name, rng):
    given = inputs(rng, name, 2, 3, np.float32)
    for at in range(len(given)):
        for wrong in (given[at][:1], given[at][:, :-1], given[at][0]):
            with pytest.raises(ValueError, match=name):
                getattr(native, name)(*given[:at], wrong, *given[at + 1 :])
