"""Recurrent cells, running sums, order and index arrays against the reference; see test_kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.cuda.arrays import FLOATS, LAYOUTS, WHOLE, back, check, placed, random
from tinygrad_edu.kernels import cuda, reference


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(17)


# -- recurrent cells -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "sliced", "negative"])
def test_recurrent_cells(layout: str, dtype: Any, rng: Any) -> None:
    for rows, hidden in [(1, 1), (3, 5), (0, 4), (2, 0), (65, 9)]:
        near = {"scale": 20, "ulps": 32}

        def some(blocks: int, rows: int = rows, hidden: int = hidden) -> Any:
            return placed(random(rng, (rows, blocks * hidden), dtype), layout)

        c = some(1)
        _, new, gates = check("lstm_cell", [some(4), some(4), c], **near)
        check("lstm_cell_backward", [some(1), some(1), gates, c, new], scale=200, ulps=32)
        h = some(1)
        _, kept = check("gru_cell", [some(3), some(3), h], **near)
        check("gru_cell_backward", [some(1), kept, h], scale=200, ulps=32)


# -- running sums and order ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE, np.bool_])
def test_cumsum(dtype: Any, rng: Any) -> None:
    for shape, axis in [((1,), 0), ((700,), 0), ((3, 257), 1), ((257, 3), 0), ((2, 5, 4), 1), ((0, 3), 0), ((3, 0), 0)]:
        for layout in LAYOUTS:
            check("cumsum", [placed(random(rng, shape, dtype), layout)], axis, scale=30 * max(shape), ulps=4)


@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE, np.bool_])
@pytest.mark.parametrize("descending", [False, True])
def test_argsort(descending: bool, dtype: Any, rng: Any) -> None:
    for shape, axis in [
        ((1,), 0),
        ((256,), 0),
        ((1300,), 0),
        ((3, 257), 1),
        ((515, 2), 0),
        ((2, 5, 4), 1),
        ((3, 0), 1),
    ]:
        x = random(rng, shape, dtype)
        if x.dtype.kind == "f":
            x = np.where(rng.random(shape) < 0.5, np.round(x), x).astype(dtype)  # some are equal
            x[rng.random(shape) < 0.1] = np.nan
            x[rng.random(shape) < 0.1] = -np.inf
        for layout in ("contiguous", "transposed", "sliced", "negative"):
            check("argsort", [placed(x, layout)], axis, descending)


# -- index arrays ----------------------------------------------------------------------------------------------------
WHOLE_ = slice(None)


def indices(rng: Any, shape: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """Indexes into a shape of three dimensions: alone, together, side by side and apart, repeated and negative."""
    a, b, c = (rng.integers(-n, n, 7) for n in shape)
    return [
        (a,), (a.reshape(7, 1), b), (WHOLE_, b), (WHOLE_, b, c), (a, WHOLE_, c), (a, b, c), (WHOLE_, WHOLE_, c[:2]),
        (a.reshape(1, 7), b.reshape(7, 1), c), (np.zeros(0, np.int64),),
        (np.zeros(5, np.int64), b[:5], WHOLE_), (WHOLE_, np.full((3, 2), -1)),
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE, np.bool_])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_index_arrays_pick(layout: str, dtype: Any, rng: Any) -> None:
    x = placed(random(rng, (5, 4, 3), dtype), layout)
    for index in indices(rng, x.shape):
        for there in (index, tuple(i if isinstance(i, slice) else placed(i) for i in index)):
            np.testing.assert_array_equal(back(cuda.pick(x, there)), back(x)[index])


@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE])
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "sliced", "negative"])
def test_index_arrays_add_and_put_in_order(layout: str, dtype: Any, rng: Any) -> None:
    start = random(rng, (5, 4, 3), dtype)
    for index in indices(rng, start.shape):
        values = random(rng, start[index].shape, dtype)
        mine, wanted = placed(start, layout), start.copy()
        reference.index_add(wanted, index, values)
        cuda.index_add(mine, index, placed(values, layout))
        np.testing.assert_array_equal(back(cuda.copy(mine)), wanted)  # to the bit: added in the order given
        mine, wanted = placed(start, layout), start.copy()
        wanted[index] = values
        cuda.put(mine, index, placed(values))
        np.testing.assert_array_equal(back(cuda.copy(mine)), wanted)


def test_index_arrays_of_many_dimensions(rng: Any) -> None:
    start = random(rng, (2, 3, 2, 3, 2, 3, 2), np.float32)
    turned = start.transpose(1, 0, 3, 2, 5, 4, 6)
    for index in [(WHOLE_, np.array([1, 0, 1])), (np.array([2, 2]), WHOLE_, WHOLE_, np.array([0, 1]))]:
        x = placed(start).transpose(1, 0, 3, 2, 5, 4, 6)[:, :, ::2]
        wanted = turned[:, :, ::2].copy()
        np.testing.assert_array_equal(back(cuda.pick(x, index)), wanted[index])
        values = random(rng, wanted[index].shape, np.float32)
        cuda.index_add(x, index, placed(values))
        reference.index_add(wanted, index, values)
        np.testing.assert_array_equal(back(cuda.copy(x)), wanted)


def test_an_index_out_of_range_is_told_when_results_are_read(rng: Any) -> None:
    x = placed(random(rng, (5, 4), np.float32))
    for wrong in (5, -6):
        y = cuda.pick(x, (np.array([0, wrong]),))
        with pytest.raises(IndexError, match=f"index {wrong} is out of range for a dimension of size 5"):
            back(y)
        cuda.index_add(x, (np.array([wrong]), np.array([1])), placed(np.ones(1, np.float32)))
        with pytest.raises(IndexError, match=f"index {wrong}"):
            back(x)
