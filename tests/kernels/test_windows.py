"""Convolution, pooling, normalisation and lookup kernels × dtype × layout × shape, against the reference in float64."""

import numpy as np
import pytest

from tinygrad_edu.kernels import reference
from tinygrad_edu.kernels.geometry import convolved, pooled, transposed

from .conftest import native
from .layouts import LAYOUTS, assert_close, laid_out

FLOATS = [np.float32, np.float64]
# (N, C, O, spatial, kernel, stride, padding, dilation, groups)
CONVOLUTIONS = [
    (2, 3, 4, (7,), (3,), (1,), (0,), (1,), 1),
    (1, 4, 6, (17,), (4,), (3,), (2,), (2,), 2),
    (2, 3, 5, (8, 9), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (1, 1, 1, (5, 5), (5, 5), (1, 1), (0, 0), (1, 1), 1),
    (3, 4, 8, (9, 7), (3, 2), (2, 1), (0, 2), (1, 2), 4),
    (2, 6, 6, (11, 13), (3, 3), (1, 1), (1, 1), (1, 1), 6),
    (2, 17, 33, (6, 5), (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (2, 3, 16, (19, 18), (3, 3), (2, 2), (1, 1), (1, 1), 1),
    (0, 3, 4, (6, 6), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, 2, 3, (5, 4, 6), (2, 3, 2), (1, 2, 1), (1, 0, 1), (1, 1, 2), 1),
    # long columns for many outputs: strip by strip
    (2, 24, 25, (14, 13), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (1, 70, 22, (5, 3), (3, 3), (1, 1), (2, 0), (1, 1), 1),
    (2, 30, 12, (9, 9), (3, 3), (2, 2), (1, 1), (1, 1), 1),
    (1, 44, 44, (40,), (9,), (1,), (4,), (2,), 2),
    (1, 10, 9, (5, 6, 40), (3, 3, 3), (1, 1, 1), (1, 0, 2), (1, 1, 1), 1),
    (1, 64, 64, (3, 20), (3, 3), (1, 1), (0, 3), (1, 1), 1),  # more padding than the turned one can have
    # and several small images together
    (13, 24, 25, (7, 5), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (9, 48, 18, (2, 4, 3), (2, 2, 2), (1, 1, 1), (1, 0, 1), (1, 2, 1), 2),
    (40, 25, 9, (1,), (9,), (1,), (4,), (1,), 1),
    (9, 30, 12, (8, 9), (3, 3), (2, 2), (1, 1), (1, 1), 1),
    (29, 230, 130, (7, 6), (3, 3), (1, 1), (1, 1), (1, 1), 1),  # with weights that serve a part at a time
]
# (spatial, kernel, stride, padding, dilation, ceil_mode)
POOLS = [
    ((7,), (2,), (2,), (0,), (1,), False),
    ((8,), (3,), (2,), (1,), (2,), True),
    ((8, 9), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((7, 9), (3, 2), (2, 3), (1, 1), (1, 1), True),
    ((9, 8), (3, 3), (1, 2), (1, 0), (2, 1), False),
    ((17, 33), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((5, 6, 4), (2, 3, 2), (2, 2, 1), (1, 1, 0), (1, 1, 1), True),
]


def random(rng, shape, dtype=np.float64):
    return np.asarray(rng.normal(size=shape) * 2, dtype)


def wide(value):
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def check(name, *arguments, ulps=8.0, scale=1.0):
    """The kernel on these arguments, its results within rounding of the reference's on the same in float64."""
    actual, expected = getattr(native, name)(*arguments), getattr(reference, name)(*map(wide, arguments))
    several = isinstance(expected, tuple)
    for a, e in zip(actual if several else (actual,), expected if several else (expected,), strict=True):
        assert (a is None) == (e is None)
        if e is not None:
            assert a.dtype == (arguments[0].dtype if e.dtype.kind == "f" else e.dtype)
            assert_close(a, e, ulps, scale)
    return actual


def sizes_of(case):
    n, c, o, spatial, kernel, *rest, groups = case
    outputs = tuple(convolved(*size) for size in zip(spatial, kernel, *rest, strict=True))
    return (n, c, *spatial), (o, c // groups, *kernel), (n, o, *outputs), (*rest, groups)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolution_and_its_gradients(case, layout, isa, rng):
    x_shape, w_shape, y_shape, rest = sizes_of(case)
    for dtype in FLOATS:
        x, w, g = (laid_out(random(rng, shape, dtype), layout) for shape in (x_shape, w_shape, y_shape))
        bias = laid_out(random(rng, w_shape[:1], dtype), layout)
        scale = 4 * np.prod(w_shape[1:])  # about the sum of the products' magnitudes
        assert check("convolve", x, w, bias, *rest, scale=scale).shape == y_shape
        check("convolve", x, w, None, *rest, scale=scale)
        check("convolve_input_gradient", g, w, x_shape[2:], *rest, scale=4 * w_shape[0] * np.prod(w_shape[2:]))
        dw = check("convolve_weight_gradient", g, x, w_shape[2:], *rest, scale=4 * max(g.size, 1))
        both = check("convolve_parameter_gradients", g, x, w_shape[2:], *rest, scale=4 * max(g.size, 1))
        np.testing.assert_array_equal(both[0], dw)


@pytest.mark.parametrize(
    "case",
    [
        (1, 16, 8, (130, 140), (3, 3), (1, 1), (1, 1), (1, 1), 1),
        (2, 12, 10, (100, 90), (5, 3), (2, 1), (3, 2), (1, 2), 2),
        (1, 4, 5, (70_000,), (7,), (1,), (3,), (1,), 1),
        (9, 3, 70, (9, 10), (3, 3), (1, 1), (1, 1), (1, 1), 1),
        (1, 6, 4, (20, 30, 40), (3, 3, 3), (1, 1, 1), (1, 0, 1), (1, 1, 1), 1),
        (1, 2, 2, (3, 4), (3, 4), (1, 1), (9, 7), (1, 1), 1),
    ],
    ids=str,
)
def test_convolution_in_several_blocks(case, isa, rng):
    x_shape, w_shape, y_shape, rest = sizes_of(case)
    x, w, g = (random(rng, shape, np.float32) for shape in (x_shape, w_shape, y_shape))
    check("convolve", x, w, random(rng, w_shape[:1], np.float32), *rest, scale=4 * np.prod(w_shape[1:]))
    check("convolve_input_gradient", g, w, x_shape[2:], *rest, scale=4 * w_shape[0] * np.prod(w_shape[2:]))
    check("convolve_weight_gradient", g, x, w_shape[2:], *rest, scale=4 * g.size)


def test_convolutions_that_make_no_sense_are_refused():
    x, w, g = np.zeros((2, 4, 5, 5)), np.zeros((6, 2, 3, 3)), np.zeros((2, 6, 3, 3))
    one, none = (1, 1), (0, 0)
    huge = np.broadcast_to(np.zeros(1), (1, 1, 2**29, 2**29))
    for call in [
        lambda: native.convolve(x, w, None, one, none, one, 1),
        lambda: native.convolve(x, w, None, one, none, one, 0),
        lambda: native.convolve(x, w, None, one, none, one, 4),
        lambda: native.convolve(x, w, None, (0, 1), none, one, 2),
        lambda: native.convolve(x, w, None, one, (-1, 0), one, 2),
        lambda: native.convolve(x, w, None, (1,), none, one, 2),
        lambda: native.convolve(x, w, None, one, none, (4, 1), 2),
        lambda: native.convolve(x, w[0], None, one, none, one, 2),
        lambda: native.convolve(x, w, np.zeros(5), one, none, one, 2),
        lambda: native.convolve_input_gradient(g, w, (5,), one, none, one, 2),
        lambda: native.convolve_weight_gradient(g, x, (3, 2), one, none, one, 2),
        lambda: native.convolve_weight_gradient(g, x, (3, 3), one, none, one, 3),
        lambda: native.convolve_weight_gradient(g[:1], x, (3, 3), one, none, one, 2),
    ]:
        with pytest.raises(ValueError, match="convolve"):
            call()
    for call in [
        lambda: native.convolve(np.zeros((1, 1, 1, 1)), huge, None, one, (2**29, 2**29), one, 1),
        lambda: native.convolve(np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1, 1)), None, one, (2**61, 2**61), one, 1),
        lambda: native.convolve(x, w, None, one, (2**62, 0), one, 2),
        lambda: native.convolve(x, w, None, one, none, (2**62, 1), 2),
    ]:
        with pytest.raises((MemoryError, ValueError)):
            call()


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_the_three_convolutions_are_derivatives_of_one_number(case, isa, rng):
    """⟨g, conv(x, w)⟩ = ⟨dx, x⟩ = ⟨dw, w⟩, because convolution is linear in x and in w."""
    x_shape, w_shape, y_shape, rest = sizes_of(case)
    x, w, g = random(rng, x_shape), random(rng, w_shape), random(rng, y_shape)
    expected = np.sum(g * native.convolve(x, w, None, *rest))
    dx = native.convolve_input_gradient(g, w, x_shape[2:], *rest)
    dw = native.convolve_weight_gradient(g, x, w_shape[2:], *rest)
    np.testing.assert_allclose([np.sum(dx * x), np.sum(dw * w)], [expected] * 2, rtol=1e-9, atol=1e-9)


def test_convolution_gives_the_same_bits_on_any_number_of_threads(threads, rng):
    x, w = random(rng, (4, 16, 30, 29), np.float32), random(rng, (24, 16, 3, 3), np.float32)
    rest = ((1, 1), (1, 1), (1, 1), 1)
    results = []
    for n in (1, 2, 3):
        threads(n)
        y = native.convolve(x, w, None, *rest)
        dx, dw = (
            native.convolve_input_gradient(y, w, (30, 29), *rest),
            native.convolve_weight_gradient(y, x, (3, 3), *rest),
        )
        results.append((y.tobytes(), dx.tobytes(), dw.tobytes()))
    assert len(set(results)) == 1


def test_convolution_lets_nan_through_and_pads_with_zeros(isa):
    x = np.zeros((1, 1, 4, 4), np.float32)
    x[0, 0, 3, 3] = np.nan
    y = native.convolve(x, np.zeros((1, 1, 2, 2), np.float32), None, (1, 1), (1, 1), (1, 1), 1)
    np.testing.assert_array_equal(np.isnan(y[0, 0]), [[i >= 3 and j >= 3 for j in range(5)] for i in range(5)])


def test_an_input_size_that_does_not_give_these_outputs_is_refused():
    g, w = np.zeros((1, 2, 3, 3)), np.zeros((2, 1, 2, 2))
    with pytest.raises(ValueError, match="convolve_input_gradient"):
        native.convolve_input_gradient(g, w, (7, 7), (1, 1), (0, 0), (1, 1), 1)


@pytest.mark.parametrize(
    ("n", "k", "s", "p", "d"), [(7, 3, 2, 1, 1), (8, 3, 2, 1, 2), (5, 5, 1, 0, 1), (9, 2, 4, 0, 3)]
)
def test_sizes(n, k, s, p, d):
    starts = [i for i in range(-p, n + p) if (i + p) % s == 0]
    assert convolved(n, k, s, p, d) == sum(i + d * (k - 1) < n + p for i in starts)
    ends = [i for i in starts if i < n]  # a window of ceil_mode starts within x or the padding before it
    fitting = convolved(n, k, s, p, d)
    extra = fitting < len(ends) and (fitting - 1) * s + d * (k - 1) < n + 2 * p - 1
    assert pooled(n, k, s, p, d, True) == fitting + extra
    for more in range(s):
        assert convolved(transposed(n, k, s, p, d, more), k, s, p, d) == n


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", POOLS, ids=str)
def test_max_pool(case, layout, isa, rng):
    for dtype in FLOATS:
        for lead in ((2, 3), (0, 3), (2, 0), (1, 1)):
            x = laid_out(random(rng, (*lead, *case[0]), dtype), layout)
            y, indices = check("max_pool", x, *case[1:], ulps=0)
            g = laid_out(random(rng, y.shape, dtype), layout)
            check("scatter_planes", g, laid_out(np.array(indices), layout), case[0])
            planes = np.reshape(x, (*lead, np.prod(case[0])))
            flat = indices.reshape(*lead, np.prod(y.shape[2:]))
            np.testing.assert_array_equal(np.take_along_axis(planes, flat, 2), y.reshape(flat.shape))


def test_max_pool_of_ties_nan_and_minus_infinity(isa):
    pool = ((2, 2), (2, 2), (1, 1), (1, 1), False)
    y, indices = native.max_pool(np.full((1, 1, 4, 4), 5, np.float32), *pool)
    np.testing.assert_array_equal(indices[0, 0], [[0, 1, 3], [4, 5, 7], [12, 13, 15]])
    y, indices = native.max_pool(np.full((1, 1, 4, 4), -np.inf, np.float32), *pool)
    assert (y == -np.inf).all()
    np.testing.assert_array_equal(indices[0, 0], [[0, 1, 3], [4, 5, 7], [12, 13, 15]])
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    x[0, 0, 1, 1] = x[0, 0, 2, 2] = np.nan
    y, indices = native.max_pool(x, *pool)
    assert np.isnan(y[0, 0, 1, 1])
    assert indices[0, 0, 1, 1] == 5  # the first NaN
    assert np.isnan(y).sum() == 1


def test_scatter_planes_adds_in_order_and_checks_first(isa, rng):
    g, indices = random(rng, (2, 3, 50), np.float32), rng.integers(0, 4, (2, 3, 50))
    check("scatter_planes", g, indices, (2, 2), scale=50)
    for bad in (-1, 4):
        wrong = indices.copy()
        wrong[1, 2, 49] = bad
        with pytest.raises(IndexError, match=f"{bad}"):
            native.scatter_planes(g, wrong, (2, 2))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("width", [2, 3, 14, 31, 32, 33, 64, 71])
@pytest.mark.parametrize("height", [2, 5])
def test_scatter_planes_of_cells_and_of_places_elsewhere(height, width, dtype, isa, rng):
    rows, columns = height // 2, width // 2
    cell = rng.integers(0, 2, (2, 2, 3, rows, columns))
    places = (2 * np.arange(rows)[:, None] + cell[0]) * width + 2 * np.arange(columns) + cell[1]
    g = random(rng, (2, 3, rows, columns), dtype)
    g[0, 0, 0, 0] = -0.0
    out = check("scatter_planes", g, places, (height, width), scale=1)
    assert not np.signbit(out[0, 0][out[0, 0] == 0]).any()  # 0 + −0
    for place in (0, height * width - 1):  # in another's cell, or in none
        moved = places.copy()
        moved[0, 1, -1, -1] = moved[1, 2, 0, 0] = place
        check("scatter_planes", g, moved, (height, width), scale=2)
    for place in (-1, height * width, places[1, 2, -1, -1] + 2**32):
        wrong = places.copy()
        wrong[1, 2, -1, -1] = place
        with pytest.raises(IndexError, match=f"{place}"):
            native.scatter_planes(g, wrong, (height, width))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("include_pad", [False, True])
@pytest.mark.parametrize("case", POOLS, ids=str)
def test_avg_pool(case, include_pad, layout, isa, rng):
    spatial, kernel, stride, padding, _, ceil_mode = case
    for dtype in FLOATS:
        for lead in ((2, 3), (0, 3), (1, 1)):
            for divisor in (None, 5):
                rest = (kernel, stride, padding, ceil_mode, include_pad, divisor)
                y = check("avg_pool", laid_out(random(rng, (*lead, *spatial), dtype), layout), *rest, scale=10)
                g = laid_out(random(rng, y.shape, dtype), layout)
                check("avg_pool_backward", g, spatial, *rest, scale=10)


@pytest.mark.parametrize("stride", [1, 2, 3, 20])  # the last: windows too far apart to share what is read
def test_avg_pool_reads_its_windows_alone(stride, isa, rng):
    x = random(rng, (2, 3, 5, 600 * stride + 7), np.float32)
    place = (1, 2, 3, 40 * stride)
    rest = ((2, 3), (1, stride), (1, 1), False, True, None)
    plain = check("avg_pool", x, *rest, scale=10)
    for value in (np.nan, np.inf):
        x[place] = value
        y = native.avg_pool(x, *rest)
        seen = ~np.isfinite(y)
        np.testing.assert_array_equal(seen, ~np.isfinite(reference.avg_pool(x, *rest)))
        np.testing.assert_array_equal(y[~seen], plain[~seen])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(3,), (5, 7), (2, 3, 19), (0, 4), (1, 300), (65, 1)], ids=str)
def test_layer_and_rms_norm(shape, layout, isa, rng):
    for dtype in FLOATS:
        x, g = (laid_out(random(rng, shape, dtype), layout) for _ in range(2))
        w, b = (laid_out(random(rng, shape[-1:], dtype), layout) for _ in range(2))
        for weight in (w, None):
            _, mean, rstd = check("layer_norm", x, weight, b, 1e-5, ulps=64, scale=10)
            check("layer_norm", x, weight, None, 1e-5, ulps=64, scale=10)
            scale = 20 * (1 + np.abs(rstd).max(initial=0)) * max(np.prod(shape), 1)
            check("layer_norm_backward", g, x, mean, rstd, weight, scale=scale)
            _, rstd = check("rms_norm", x, weight, 1e-5, ulps=64, scale=10)
            check("rms_norm_backward", g, x, rstd, weight, scale=scale)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(2, 3, 5), (7, 1, 1), (4, 17, 33), (1, 2, 9), (3, 2, 64), (9, 83, 1)], ids=str)
def test_batch_norm(shape, layout, isa, rng):
    for dtype in FLOATS:
        x, g = (laid_out(random(rng, shape, dtype), layout) for _ in range(2))
        w, b = (laid_out(random(rng, shape[1:2], dtype), layout) for _ in range(2))
        for weight, bias in ((w, b), (None, None)):
            scale = 3000 if layout == "broadcast" else 10  # equal rows: what the mean is rounded by, times 1/√eps
            _, mean, rstd = check("batch_norm", x, weight, bias, 1e-5, ulps=64, scale=scale)
            scale = 20 * (1 + np.abs(rstd).max()) * np.prod(shape)
            check("batch_norm_backward", g, x, mean, rstd, weight, scale=scale)


def test_norms_keep_the_digits_of_a_large_mean(isa, rng):
    x = random(rng, (3, 4, 50), np.float64)
    shifted = (x + 1000).astype(np.float32)  # float32 keeps about 4 digits of x itself, and so must the result
    expected = reference.layer_norm(shifted.astype(np.float64), None, None, 1e-5)[0]
    np.testing.assert_allclose(native.layer_norm(shifted, None, None, 1e-5)[0], expected, atol=2e-4)
    expected = reference.batch_norm(shifted.astype(np.float64), None, None, 1e-5)[0]
    np.testing.assert_allclose(native.batch_norm(shifted, None, None, 1e-5)[0], expected, atol=2e-4)


def test_norms_let_nan_through(isa):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    x[1, 2] = np.nan
    for y in (native.layer_norm(x, None, None, 1e-5)[0], native.rms_norm(x, None, 1e-5)[0]):
        np.testing.assert_array_equal(np.isnan(y).all(axis=1), [False, True, False])
    y = native.batch_norm(x[:, :, None], None, None, 1e-5)[0]
    np.testing.assert_array_equal(np.isnan(y[:, :, 0]).all(axis=0), [False, False, True, False])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(4,), (2, 5), (0,), (), (3, 0), (300,)], ids=str)
def test_take(shape, layout, isa, rng):
    for dtype in FLOATS:
        for rows, width in ((7, 5), (3, 33), (1, 1)):
            weight = laid_out(random(rng, (rows, width), dtype), layout)
            index = laid_out(np.asarray(rng.integers(0, rows, shape)), layout)
            check("take", weight, index, ulps=0)
            g = laid_out(random(rng, (*shape, width), dtype), layout)
            for padding in (-1, rows - 1):
                check("take_backward", g, index, rows, padding, scale=4 * max(g.size, 1))


def test_take_checks_first(isa):
    for bad in (-1, 3):
        index = np.array([0, bad])
        with pytest.raises(IndexError, match=f"{bad}.* 3 rows"):
            native.take(np.zeros((3, 2)), index)
        with pytest.raises(IndexError, match=f"{bad}.* 3 rows"):
            native.take_backward(np.zeros((2, 2)), index, 3, -1)


def test_pools_and_lookups_give_the_same_bits_on_any_number_of_threads(threads, rng):
    x = random(rng, (6, 8, 40, 600), np.float32)  # columns beyond one block of 512
    index, table = rng.integers(0, 30, 5_000), random(rng, (30, 70), np.float32)
    pool = ((3, 3), (2, 1), (1, 1))
    results = []
    for n in (1, 2, 3):
        threads(n)
        y, places = native.max_pool(x, *pool, (1, 1), True)
        mean = native.avg_pool(x, *pool, True, True, None)
        rows = native.take(table, index)
        found = (y, places, native.scatter_planes(y, places, (40, 600)), mean,
                 native.avg_pool_backward(mean, (40, 600), *pool, True, True, None),
                 rows, native.take_backward(rows, index, 30, 7))  # fmt: skip
        results.append(tuple(array.tobytes() for array in found))
    assert len(set(results)) == 1
    check("max_pool", x, *pool, (1, 1), True, ulps=0)
    check("avg_pool", x, *pool, True, True, None, scale=10)
    assert {"max_pool", "avg_pool", "avg_pool_backward", "scatter_planes", "take", "take_backward"} <= set(
        native._native.counters()
    )
