"""A Python number beside an array is one number of the array's dtype, on either side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_edu.kernels import K, reference

from .layouts import LAYOUTS, laid_out

BINARY = ("add", "sub", "mul", "div", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge")
DTYPES = (np.float32, np.float64, np.float16)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_it_is_an_array_of_one_entry(name: str, dtype: Any, layout: Any) -> None:
    x = laid_out((np.arange(12).reshape(3, 4) / 4 - 1).astype(dtype), layout)
    for number in (0.1, -0.25, 3, 0, float("nan"), float("inf"), 2**70):
        with np.errstate(all="ignore"):
            one = np.array(number, dtype)
        for table in (K, reference):
            kernel = getattr(table, name)
            with np.errstate(all="ignore"):
                for found, wanted in ((kernel(x, number), kernel(x, one)), (kernel(number, x), kernel(one, x))):
                    assert found.dtype == wanted.dtype
                    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_where(dtype: Any) -> None:
    condition, x = np.array([True, False, True]), np.array([1.0, 2.0, 3.0], dtype)
    for found, wanted in (
        (K.where(condition, x, 0.1), [1, dtype(0.1), 3]),
        (K.where(condition, 0.1, x), [dtype(0.1), 2, dtype(0.1)]),
    ):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, np.array(wanted, dtype))


def test_it_can_write_into_an_array() -> None:
    x, out = np.array([1.0, 2.0]), np.empty(2)
    assert K.mul(x, 3, out=out) is out
    assert out.tolist() == [3.0, 6.0]


@pytest.mark.parametrize("pair", [("x", 1.0), (None, 1.0), ([1.0], 2.0)])
def test_something_else_beside_a_number_is_refused(pair: Any) -> None:
    with pytest.raises(TypeError):
        K.add(*pair)
