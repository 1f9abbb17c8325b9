"""Attention kernels × dtype × layout × mask, against the reference in float64; rows, threads, NaN, wrong calls."""

import numpy as np
import pytest

from tinygrad_edu.kernels import reference

from .conftest import native
from .layouts import LAYOUTS, assert_close, laid_out

FLOATS = [np.float32, np.float64]
# (B, T, S, D, E): shorter and longer than a block of rows, whole vectors and tails
SIZES = [(1, 1, 1, 1, 1), (2, 5, 9, 3, 7), (6, 33, 33, 16, 16), (2, 70, 130, 8, 5), (4, 130, 65, 20, 33)]


def draw(rng, shape, dtype=np.float64):
    return np.asarray(rng.normal(size=shape), dtype)


def wide(arrays):
    return [x.astype(np.float64) if isinstance(x, np.ndarray) else x for x in arrays]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_attention_and_its_gradient(sizes, causal, layout, isa, rng):
    b, t, s, d, e = sizes
    for dtype in FLOATS:
        q, k, v, g = (laid_out(draw(rng, x, dtype), layout) for x in [(b, t, d), (b, s, d), (b, s, e), (b, t, e)])
        hidden = draw(rng, (1, t, s), dtype)
        hidden[:, t // 2] = -np.inf  # a row that sees nothing
        hidden[hidden > 1] = -np.inf
        for mask in (None, laid_out(hidden, layout), np.broadcast_to(draw(rng, (1, t, 1), dtype), (1, t, s))):
            arguments = [q, k, v, mask, causal, 0.3]
            y, lse = native.attention(*arguments)
            wanted_y, wanted_lse = reference.attention(*wide(arguments))
            assert y.dtype == lse.dtype == dtype
            assert_close(y, wanted_y, 64, 2)
            assert_close(lse, wanted_lse, 64, 4)
            grads = native.attention_backward(g, *arguments, y, lse)
            for found, wanted in zip(
                grads, reference.attention_backward(*wide([g, *arguments, wanted_y, wanted_lse])), strict=True
            ):
                assert_close(found, wanted, 64, 4 * max(t, s))


def test_samples_and_heads_are_read_where_they_lie(isa, rng):
    """As a layer gives them: q, k and v in one array (samples, T, 3, heads, D). The same bits as from copies."""
    samples, heads, t, d = 3, 4, 40, 24
    for dtype in FLOATS:
        q, k, v = draw(rng, (samples, t, 3, heads, d), dtype).transpose(2, 0, 3, 1, 4)
        g = draw(rng, (samples, t, heads, d), dtype).swapaxes(1, 2)
        for mask in (None, draw(rng, (samples, t, t), dtype)):
            y, lse = native.attention(q, k, v, mask, mask is None, 0.2)
            grads = native.attention_backward(g, q, k, v, mask, mask is None, 0.2, y, lse)
            flat = [np.ascontiguousarray(x).reshape(samples * heads, t, d) for x in (g, q, k, v)]
            y3, lse3 = native.attention(*flat[1:], mask, mask is None, 0.2)
            grads3 = native.attention_backward(*flat, mask, mask is None, 0.2, y3, lse3)
            for found, wanted in zip((y, lse, *grads), (y3, lse3, *grads3), strict=True):
                np.testing.assert_array_equal(found, wanted.reshape(found.shape))
            # The results lie as the arguments do: what joins the heads, or the three gradients, has nothing to copy.
            assert y.swapaxes(1, 2).flags.c_contiguous
            whole = grads[0].base
            assert whole.size == 3 * q.size
            assert all(x.base is whole for x in grads)
            np.testing.assert_array_equal(
                whole.reshape(samples, t, 3, heads, d).transpose(2, 0, 3, 1, 4), np.stack(grads)
            )
            wanted_y, wanted_lse = reference.attention(*wide([q, k, v, mask]), mask is None, 0.2)
            assert_close(y, wanted_y, 64, 2)
            assert_close(lse, wanted_lse, 64, 4)
    with pytest.raises(ValueError, match="heads in front"):
        native.attention(q, k[0], v, None, False, 0.2)


def test_heads_in_rows_of_arrays_of_their_own(isa, rng):
    """(samples, T, heads, D) each: gradients lie as what they are of, also where sizes differ."""
    q, k, v, g = (draw(rng, (2, t, 3, d), np.float32).swapaxes(1, 2) for t, d in [(20, 8), (30, 8), (30, 5), (20, 5)])
    y, lse = native.attention(q, k, v, None, False, 0.2)
    grads = native.attention_backward(g, q, k, v, None, False, 0.2, y, lse)
    assert all(x.swapaxes(1, 2).flags.c_contiguous for x in (y, *grads))
    strided = g.copy().swapaxes(2, 3).copy().swapaxes(2, 3)  # the numbers of a row apart from each other
    again = native.attention_backward(strided, *(x.copy() for x in (q, k, v)), None, False, 0.2, y.copy(), lse)
    assert all(x.flags.c_contiguous for x in again)
    wanted = reference.attention_backward(*wide([g, q, k, v]), None, False, 0.2, *wide([y, lse]))
    for found, same, right in zip(grads, again, wanted, strict=True):
        np.testing.assert_array_equal(found, same)
        assert_close(found, right, 64, 120)


def test_a_row_does_not_depend_on_the_others(isa, rng):
    q, k, v = (draw(rng, (3, 100, 24), np.float32) for _ in range(3))
    whole, _ = native.attention(q, k, v, None, False, 0.2)
    for rows in (slice(0, 1), slice(99, 100), slice(7, 80)):
        np.testing.assert_array_equal(native.attention(q[:, rows], k, v, None, False, 0.2)[0], whole[:, rows])
    np.testing.assert_array_equal(native.attention(q[1:2], k[1:2], v[1:2], None, False, 0.2)[0], whole[1:2])


def test_same_bits_for_every_number_of_threads(threads, isa, rng):
    q, k, v, g = (draw(rng, (5, 150, 40), np.float32) for _ in range(4))
    results = set()
    for n in (1, 2, 3, 8):
        threads(n)
        y, lse = native.attention(q, k, v, None, True, 0.2)
        grads = native.attention_backward(g, q, k, v, None, True, 0.2, y, lse)
        results.add(b"".join(x.tobytes() for x in (y, lse, *grads)))
    assert len(results) == 1


def test_nan_reaches_the_rows_that_see_it_and_no_other(isa, rng):
    q, k, v = (draw(rng, (1, 40, 8), np.float32) for _ in range(3))
    k[0, 20, 3] = np.nan
    y, lse = native.attention(q, k, v, None, True, 0.3)
    assert np.isfinite(y[0, :20]).all()
    assert np.isnan(y[0, 20:]).all()
    assert np.isnan(lse[0, 20:]).all()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_no_elements(which, isa):
    sizes = [2, 3, 4]
    sizes[which] = 0
    b, t, s = sizes
    q, k, v = np.ones((b, t, 5), np.float32), np.ones((b, s, 5), np.float32), np.ones((b, s, 6), np.float32)
    y, lse = native.attention(q, k, v, None, False, 1.0)
    assert y.shape == (b, t, 6)
    assert (y == 0).all()
    grads = native.attention_backward(np.ones_like(y), q, k, v, None, False, 1.0, y, lse)
    assert [x.shape for x in grads] == [q.shape, k.shape, v.shape]


def test_errors_name_the_shapes():
    q, k, v = np.zeros((2, 3, 4)), np.zeros((2, 5, 4)), np.zeros((2, 5, 6))
    y, lse = native.attention(q, k, v, None, False, 1.0)
    for wrong in [
        lambda: native.attention(q[0], k, v, None, False, 1.0),
        lambda: native.attention(q, k[:, :, :3], v, None, False, 1.0),
        lambda: native.attention(q, k, v[:, :4], None, False, 1.0),
        lambda: native.attention(q[:1], k, v, None, False, 1.0),
        lambda: native.attention(q, k, v, np.zeros((3, 3, 5)), False, 1.0),
        lambda: native.attention(q, k, v, np.zeros((0, 3, 5)), False, 1.0),
        lambda: native.attention_backward(y[:, :2], q, k, v, None, False, 1.0, y, lse),
        lambda: native.attention_backward(y, q, k, v, None, False, 1.0, y, lse[:, :2]),
    ]:
        with pytest.raises(ValueError, match=r"attention.*\(2, "):
            wrong()
