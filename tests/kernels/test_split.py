"""Products of float32 in three bfloat16 parts, on a matrix unit: as exact as float32, or left to float32."""

import numpy as np
import pytest

from tinygrad_edu.kernels import _native

from .conftest import native

pytestmark = pytest.mark.skipif("amx" not in _native.available_isas(), reason="no matrix unit in this processor")

M, K, N = 100, 200, 70  # not whole tiles, not whole steps


@pytest.fixture(autouse=True)
def amx():
    before = native.isa()
    _native.use_isa("amx")
    yield
    _native.use_isa(before)


def float32(a, b, **kwargs):
    """The same product in float32 arithmetic."""
    _native.use_isa("avx512")
    try:
        return native.matmul(a, b, **kwargs)
    finally:
        _native.use_isa("amx")


def normal(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("m", "k", "n"), [(64, 256, 32), (M, K, N), (97, 513, 129), (300, 1500, 40), (64, 32, 256), (70, 33, 700)]
)
@pytest.mark.parametrize("left", ["C", "F"])
@pytest.mark.parametrize("right", ["C", "F"])
def test_errors_are_smaller_than_float32s(m, k, n, left, right, rng):
    a, b = np.asarray(normal(rng, m, k), order=left), np.asarray(normal(rng, k, n), order=right)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    magnitudes = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    error = np.abs(native.matmul(a, b) - exact)
    assert (error <= np.sqrt(k) * 2.0**-24 * magnitudes).all()
    assert np.sqrt((error**2).mean()) < np.sqrt(((float32(a, b) - exact) ** 2).mean())


def test_every_significant_bit_counts(rng):
    """Sums of one product each: rounded once, as the product of two float32 is, but for 2⁻²⁶ of it."""
    a = np.zeros((64, 64), np.float32)
    np.fill_diagonal(a, normal(rng, 64))
    b = normal(rng, 64, 300)
    exact = np.diag(a).astype(np.float64)[:, None] * b.astype(np.float64)
    assert (np.abs(native.matmul(a, b) - exact) <= (2.0**-24 + 2.0**-25) * np.abs(exact)).all()
    ones = np.eye(64, dtype=np.float32)
    np.testing.assert_array_equal(native.matmul(ones, b), b)


SPECIAL = [np.inf, -np.inf, np.nan, 3.4e38, np.float32(np.frombuffer(b"\xff\xff\xff\x7f", np.float32)[0])]


def with_one(a, b, side, value):
    """a and b with one number changed, and which elements of the product it changes."""
    changed = np.zeros((M, N), bool)
    a, b = a.copy(), b.copy()
    if side == "a":
        a[37, 150] = value
        changed[37] = True
    else:
        b[150, 37] = value
        changed[:, 37] = True
    return a, b, changed


@pytest.mark.parametrize("value", SPECIAL)
@pytest.mark.parametrize("side", ["a", "b"])
def test_what_has_no_parts_is_left_to_float32(value, side, rng):
    """Its row, or its column, has the bits of float32 arithmetic; all other elements keep theirs."""
    a, b = normal(rng, M, K), normal(rng, K, N)
    before = native.matmul(a, b)
    a, b, changed = with_one(a, b, side, value)
    result, expected = native.matmul(a, b), float32(a, b)
    np.testing.assert_array_equal(result[~changed], before[~changed])
    np.testing.assert_array_equal(result[changed], expected[changed])


@pytest.mark.parametrize("value", [1e-41, -3e-45, 1e-38, 1e-30])
@pytest.mark.parametrize("side", ["a", "b"])
def test_what_is_small_beside_the_sum_counts_for_nothing(value, side, rng):
    """As the gradients of examples that are learned already: the unit takes them for zeros, and that is right."""
    a, b = normal(rng, M, K), normal(rng, K, N)
    with_zero = native.matmul(*with_one(a, b, side, 0)[:2])
    np.testing.assert_array_equal(native.matmul(*with_one(a, b, side, value)[:2]), with_zero)


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_small_beside_nothing_counts(order, rng):
    """Rows and columns of small numbers, others of zeros: float32's bits where sums are small, the unit's elsewhere."""
    a, b = np.asarray(normal(rng, M, K), order=order), np.asarray(normal(rng, K, N), order=order)
    before = native.matmul(a, b)
    a[::5] *= np.float32(1e-30)
    b[:, ::7] *= np.float32(1e-12)
    a[3], b[:, 5] = 0, 0
    result, expected = native.matmul(a, b), float32(a, b)
    small = np.zeros((M, N), bool)
    small[::5] = True
    np.testing.assert_array_equal(result[small], expected[small])
    kept = ~small
    kept[:, ::7] = kept[:, 5] = kept[3] = False
    np.testing.assert_array_equal(result[kept], before[kept])
    assert (result[3] == 0).all()
    assert (result[:, 5] == 0).all()


def test_zero_times_infinity_is_nan(rng):
    a, b = np.zeros((M, K), np.float32), normal(rng, K, N)
    b[3, 5] = np.inf
    result = native.matmul(a, b)
    assert np.isnan(result[:, 5]).all()
    assert (np.delete(result, 5, axis=1) == 0).all()


@pytest.mark.parametrize(
    ("a_scale", "b_scale"), [(1e-25, 1e-20), (1e30, 1e10), (1e-36, 1e36), (1e-41, 1e37), (1e-10, 1e-20)]
)
def test_scales(a_scale, b_scale, rng):
    """What overflows, and what is subnormal, comes out as in float32; so does what lies between, from any factors."""
    a, b = (
        (rng.normal(size=(M, K)) * a_scale).astype(np.float32),
        (rng.normal(size=(K, N)) * b_scale).astype(np.float32),
    )
    exact = a.astype(np.float64) @ b.astype(np.float64)
    limit = 1e-6 * (np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)) + K * 2.0**-149
    result, expected = native.matmul(a, b), float32(a, b)
    finite = np.isfinite(expected)
    assert (np.abs(result - exact)[finite] <= limit[finite]).all()
    np.testing.assert_array_equal(result[~finite], expected[~finite])


def test_rows_that_are_zero_do_not_count_as_small(rng):
    a, b = normal(rng, M, K), normal(rng, K, N)
    expected = native.matmul(a, b)
    a[::3] = 0
    expected[::3] = 0
    np.testing.assert_array_equal(native.matmul(a, b), expected)


def test_a_row_has_the_same_bits_in_any_place(rng):
    a, b = normal(rng, 200, 600), normal(rng, 600, 500)
    whole = native.matmul(a, b)
    order = rng.permutation(200)
    np.testing.assert_array_equal(native.matmul(a[order], b), whole[order])
    columns = rng.permutation(500)
    np.testing.assert_array_equal(native.matmul(a, b[:, columns]), whole[:, columns])
    np.testing.assert_array_equal(native.matmul(a[:64], b[:, 100:140]), whole[:64, 100:140])


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_do_not_change_a_bit(threads, rng):
    a, b = normal(rng, 300, 700), normal(rng, 700, 450)
    a[5, 7] = np.inf
    before = native.get_num_threads()
    results = []
    for n in (1, threads):
        native.set_num_threads(n)
        results.append([native.matmul(a, b), native.matmul(a.T[:, :128].copy().T, b)])
    native.set_num_threads(before)
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(one, many)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("m", "n"), [(2100, 1100), (90, 700)])
def test_rows_that_are_split_ahead_for_several_blocks_have_the_bits_of_few_rows(m, n, order, threads, rng):
    x, w, bias = np.asarray(normal(rng, m, 1024), order=order), normal(rng, n, 1024), normal(rng, n)
    before = native.get_num_threads()
    native.set_num_threads(threads)
    y, z = native.linear_activation(x, w, bias, "gelu")
    native.set_num_threads(1)
    for begin in (0, (m - 64) // 2, m - 64):
        some = slice(begin, begin + 64)
        for part in (slice(0, 100), slice(n - 100, n)):  # a single block of w
            few = native.linear_activation(x[some], w[part], bias[part], "gelu")
            np.testing.assert_array_equal(y[some, part], few[0])
            np.testing.assert_array_equal(z[some, part], few[1])
    native.set_num_threads(before)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
def test_few_columns_and_many_steps_are_shared_block_by_block(activation, threads, rng):
    """Blocks of k are the pieces then; their sums, bias and activation come out as one thread adds them up."""
    x, w, bias = normal(rng, 70, 5000), normal(rng, 50, 5000), normal(rng, 50)
    x[7, 4999] = np.inf
    before = native.get_num_threads()
    results = []
    for n in (1, threads):
        native.set_num_threads(n)
        results.append(native.linear_activation(x, w, bias, activation)[0])
    native.set_num_threads(before)
    np.testing.assert_array_equal(*results)
    with np.errstate(invalid="ignore"):
        exact = x.astype(np.float64) @ w.T.astype(np.float64) + bias
    if activation == "none":
        finite = np.isfinite(exact)
        np.testing.assert_allclose(results[0][finite], exact[finite], rtol=1e-4, atol=1e-3)


def gradients(x, w, g, saved, activation):
    """All three at once, and one by one."""
    together = native.linear_backward(g, x, w, saved, activation, True)
    apart = (
        native.linear_backward(g, None, w, saved, activation, False)[0],
        native.linear_backward(g, x, None, saved, activation, False)[1],
        native.linear_backward(g, None, None, saved, activation, True)[2],
    )
    return together, apart


@pytest.mark.parametrize("activation", ["none", "relu", "gelu", "tanh"])
@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"), [(129, 128, 64), (1000, 100, 90), (700, 33, 300), (1537, 48, 512)]
)
def test_a_layers_gradients_at_once_have_the_bits_of_each_alone(rows, inputs, outputs, activation, rng):
    x, w, g = normal(rng, rows, inputs), normal(rng, outputs, inputs), normal(rng, rows, outputs)
    y, z = native.linear_activation(x, w, normal(rng, outputs), activation)
    saved = None if activation == "none" else y if z is None else z
    before = native.get_num_threads()
    for threads in (1, 2, 3):
        native.set_num_threads(threads)
        together, apart = gradients(x, w, g, saved, activation)
        for a, b in zip(together, apart, strict=True):
            np.testing.assert_array_equal(a, b)
    native.set_num_threads(before)
    wider = np.zeros((rows, inputs + 3), np.float32)  # other strides
    wider[:, :inputs] = x
    again = native.linear_backward(g, wider[:, :inputs], w.T.copy().T, saved, activation, True)
    for a, b in zip(again, together, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("value", [np.inf, np.nan, 3e38, 1e-42])
@pytest.mark.parametrize("where", ["x", "w", "g"])
def test_a_layers_gradients_with_special_values(where, value, rng):
    """What the unit is not made for is done as by the products alone, which know what to do."""
    arrays = {"x": normal(rng, 300, 128), "w": normal(rng, 96, 128), "g": normal(rng, 300, 96)}
    arrays[where][50, 60] = value
    together, apart = gradients(*arrays.values(), None, "none")
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
def test_layers_with_special_values(activation, rng):
    x, w, bias = normal(rng, M, K), normal(rng, N, K), normal(rng, N)
    x[3, 4], x[90] = np.nan, 1e-42
    y, z = native.linear_activation(x, w, bias, activation)
    _native.use_isa("avx512")
    other_y, other_z = native.linear_activation(x, w, bias, activation)
    np.testing.assert_array_equal(y[3], other_y[3])
    np.testing.assert_array_equal(y[90], other_y[90])
    np.testing.assert_allclose(y, other_y, rtol=1e-4, atol=1e-4)
    if z is not None:
        np.testing.assert_array_equal(z[3], other_z[3])
        np.testing.assert_allclose(z, other_z, rtol=1e-4, atol=1e-4)


def test_sums_that_are_added_to_survive_special_values(rng):
    """The weight gradient of a convolution adds image to image: what was there before is not lost."""
    x, g = normal(rng, 3, 40, 12, 12), normal(rng, 3, 48, 10, 10)
    x[1, 7, 5, 5] = np.inf
    one = (1, 1)
    arguments = (g, x, (3, 3), one, (0, 0), one, 1)
    result = native.convolve_weight_gradient(*arguments)
    _native.use_isa("avx512")
    expected = native.convolve_weight_gradient(*arguments)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(result), finite)
    np.testing.assert_allclose(result[finite], expected[finite], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("n", "c", "o", "spatial", "padding", "dilation"),
    [
        (3, 32, 16, (14, 14), 1, 1),
        (3, 32, 16, (17, 13), 0, 1),  # the last tile of positions reaches furthest beyond the image
        (5, 24, 17, (9, 11), 1, 1),
        (2, 40, 33, (30, 37), 0, 2),
        (1, 32, 64, (150, 200), 1, 1),
    ],
)
def test_what_memory_held_before_is_not_seen(n, c, o, spatial, padding, dilation, rng):
    """Tiles reach beyond the images and their lines; what the pool's blocks held there must not count."""
    x, w = normal(rng, n, c, *spatial), normal(rng, o, c, 3, 3)
    settings = ((1, 1), (padding,) * 2, (dilation,) * 2, 1)
    sizes = [size << i for size in (1, 3) for i in range(6, 22) for _ in range(3)]
    results = []
    for value in (0, np.nan, 3e38):
        left = [native.full((size,), value, np.dtype("f4")) for size in sizes]
        del left
        y = native.convolve(x, w, None, *settings)
        g = np.cos(y)
        dx = native.convolve_input_gradient(g, w, spatial, *settings)
        results.append((y, dx, native.convolve_weight_gradient(g, x, (3, 3), *settings)))
    for others in results[1:]:
        for a, b in zip(results[0], others, strict=True):
            np.testing.assert_array_equal(a, b)
