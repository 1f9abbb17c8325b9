"""Matrix products in odd shapes, every layout, with batches; their error bound; rows that do not depend on others."""

import numpy as np
import pytest

from .conftest import native
from .layouts import LAYOUTS, laid_out

SIZES = [
    (1, 1, 1),
    (3, 5, 7),
    (37, 53, 41),
    (130, 400, 70),
    (12, 385, 32),
    (13, 384, 33),
    (1, 600, 45),
    (50, 700, 1),
    (12, 0, 5),
    (0, 3, 4),
    (4, 3, 0),
    (250, 20, 65),
    (7, 300, 40),
    (2, 1100, 17),
    (9, 1100, 80),
    (75, 300, 200),
    (130, 13, 100),
    (130, 40, 1100),  # rows of B further apart than a page
    (40, 700, 700),  # B does not stay in the second cache
    (300, 270, 290),
]


def bound(a, b, dtype):
    """√k · 4 u · |A||B|: generous for blocked sums, far below what a wrong index would cause."""
    k = a.shape[-1]
    return (4 * np.sqrt(k + 1) * np.finfo(dtype).eps) * (np.abs(a) @ np.abs(b)) + np.finfo(dtype).tiny


def check(a, b, actual):
    a, b = a.astype(np.float64), b.astype(np.float64)
    expected = a @ b
    assert actual.shape == expected.shape
    assert (np.abs(actual - expected) <= bound(a, b, actual.dtype)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("left", LAYOUTS)
def test_layouts(dtype, left, isa, rng):
    for m, k, n in SIZES:
        for right in LAYOUTS:
            a = laid_out(rng.normal(size=(m, k)).astype(dtype), left)
            b = laid_out(rng.normal(size=(k, n)).astype(dtype), right)
            check(a, b, native.matmul(a, b))
            out = laid_out(np.ones((m, n), dtype), right if right in ("transposed", "sliced", "negative") else "")
            assert native.matmul(a, b, out=out) is out
            check(a, b, out)


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 4, 5), (5, 6)),
        ((3, 4, 5), (3, 5, 6)),
        ((2, 1, 4, 5), (3, 5, 6)),
        ((4, 5), (3, 5, 6)),
        ((0, 4, 5), (5, 6)),
        ((7, 1, 5), (5, 6)),
        ((3, 4, 5), (1, 5, 6)),
    ],
)
def test_batches(shapes, isa, rng):
    a, b = (rng.normal(size=s).astype(np.float32) for s in shapes)
    check(a, b, native.matmul(a, b))
    check(a[..., ::-1, :], b, native.matmul(a[..., ::-1, :], b))
    if a.ndim == 3:
        swapped = np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1)
        check(swapped, b, native.matmul(swapped, b))


@pytest.mark.parametrize("shape", [(23,), (5, 23), (3, 4, 23), (2, 3, 4, 23), (0, 23), (300, 23)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_linear(shape, layout, isa, rng):
    for dtype in (np.float32, np.float64):
        x = laid_out(rng.normal(size=shape).astype(dtype), layout)
        w, bias = laid_out(rng.normal(size=(31, 23)).astype(dtype), layout), rng.normal(size=62).astype(dtype)[::2]
        plain, biased = native.linear(x, w, None), native.linear(x, w, bias)
        two = np.atleast_2d(x).astype(np.float64)
        limit = bound(two, w.T.astype(np.float64), dtype) + np.finfo(dtype).eps * np.abs(bias)
        assert (np.abs(plain - two @ w.T.astype(np.float64)) <= limit).all()
        assert (np.abs(biased - (two @ w.T.astype(np.float64) + bias)) <= 2 * limit + 1e-6 * np.abs(biased)).all()
        assert biased.shape == (*shape[:-1], 31)


@pytest.mark.parametrize(("k", "n"), [(500, 90), (500, 1), (500, 10), (13, 300), (40, 33), (1200, 64), (1, 5)])
def test_rows_do_not_depend_on_each_other(k, n, isa, rng):
    """Few rows are computed in other ways than many; each sums over k in the same order. A matrix unit, which takes 64
    rows or more, has an order of its own."""
    for dtype in (np.float32, np.float64):
        x, w = rng.normal(size=(300, k)).astype(dtype), rng.normal(size=(n, k)).astype(dtype)
        for left in (x, np.ascontiguousarray(x.T).T):
            for right in (w.T, np.ascontiguousarray(w.T)):
                whole, few = native.matmul(left, right), native.matmul(left[:63], right)
                if isa != "amx" or dtype == np.float64:
                    np.testing.assert_array_equal(few, whole[:63])
                for rows in (slice(0, 1), slice(62, 63), slice(3, 9), slice(3, 20)):
                    np.testing.assert_array_equal(native.matmul(left[rows], right), few[rows])
                for rows in (slice(100, 180), slice(3, 67), slice(236, 300)):
                    np.testing.assert_array_equal(native.matmul(left[rows], right), whole[rows])


def test_nothing_is_written_outside_the_result(isa, rng):
    for dtype in (np.float32, np.float64):
        for m, k, n in SIZES:
            a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(n, k)).astype(dtype).T
            frame = np.full(m * n + 200, 77, dtype)
            out = frame[100 : 100 + m * n].reshape(m, n)
            check(a, b, native.matmul(a, b, out=out))
            assert (frame[:100] == 77).all()
            assert (frame[100 + m * n :] == 77).all()


def test_nan_is_not_swallowed(isa):
    a, b = np.zeros((3, 20), np.float32), np.ones((20, 4), np.float32)
    b[7, 2] = np.nan
    assert np.isnan(native.matmul(a, b)[:, 2]).all()
    assert (native.matmul(a, b)[:, :2] == 0).all()


def test_errors_name_the_shapes():
    with pytest.raises(ValueError, match=r"\(2, 3\) times \(4, 3\).*transpose"):
        native.matmul(np.zeros((2, 3)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="broadcast"):
        native.matmul(np.zeros((2, 2, 3)), np.zeros((3, 3, 4)))
    with pytest.raises(ValueError, match="bias"):
        native.linear(np.zeros((2, 3)), np.zeros((4, 3)), np.zeros(3))
    with pytest.raises(ValueError, match="out has shape"):
        native.matmul(np.zeros((2, 3)), np.zeros((3, 4)), out=np.zeros((2, 3)))
