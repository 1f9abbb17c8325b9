"""Copies between any layouts: those that lie along different dimensions are made in tiles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tinygrad_edu.kernels import devices, reshaped

from .conftest import native


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(100, 90), (65, 1, 129), (3, 33, 95), (33, 5, 64), (4, 40, 2, 40)], ids=str)
def test_copy_of_every_order_of_dimensions(shape, dtype, isa, threads, rng):
    x = rng.integers(0, 200, shape).astype(dtype)
    for axes in itertools.permutations(range(len(shape))):
        given = x.transpose(axes)
        for n in (1, 2):
            threads(n)
            np.testing.assert_array_equal(native.copy(given), np.ascontiguousarray(given))
            for order in itertools.permutations(range(len(shape))):
                out = np.zeros([given.shape[i] for i in np.argsort(order)], dtype).transpose(order)
                native.copy(given, out=out)
                np.testing.assert_array_equal(out, given)


def test_copy_from_one_row_and_backwards(isa, rng):
    x = rng.random((128, 96)).astype(np.float32)
    for given in (
        np.broadcast_to(x[0], x.shape),
        np.broadcast_to(x[:, :1], x.shape),
        x[::-1, ::-1],
        x.T[::-1],
        x.T[:, ::2],
    ):
        np.testing.assert_array_equal(native.copy(given), given)


@pytest.mark.parametrize("argument", [True, False], ids=["copy=False", "older NumPy"])
def test_another_shape_is_a_view_where_the_memory_allows_one(argument, monkeypatch, rng):
    monkeypatch.setattr(devices, "RESHAPES_WITHOUT_COPY", argument and devices.RESHAPES_WITHOUT_COPY)
    x = rng.normal(size=(40, 30, 50)).astype(np.float32)
    for source, shape, is_view in (
        (x, (1200, 50), True),
        (x[:, :20], (40, 1000), True),
        (x[:, ::2], (40, 15, 5, 10), True),
        (x.transpose(1, 0, 2), (30, 2000), False),
        (x[:, :20], (800, 50), False),
    ):
        y = reshaped(source, shape)
        assert np.shares_memory(x, y) == is_view
        np.testing.assert_array_equal(y, source.reshape(shape))
        assert source.shape != shape  # the array itself stays as it is
    with pytest.raises(ValueError, match="reshape"):
        reshaped(x.transpose(1, 0, 2), (7, 7))
