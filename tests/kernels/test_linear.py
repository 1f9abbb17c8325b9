"""Layers with an activation in one call: the bits of the separate kernels, gradients against the reference."""

import numpy as np
import pytest

from tinygrad_edu.kernels import reference

from .conftest import native
from .layouts import LAYOUTS, assert_close, laid_out

FLOATS = [np.float32, np.float64]
SHAPES = [(23,), (5, 23), (3, 4, 23), (0, 23), (70, 23), (2, 0), (1, 1)]
SEPARATE = {
    "none": lambda z: z,
    "relu": native.relu,
    "sigmoid": native.sigmoid,
    "tanh": native.tanh,
    "gelu": lambda z: native.gelu(z, False),
    "gelu_tanh": lambda z: native.gelu(z, True),
    "silu": native.silu,
}


def draw(rng, shape, dtype, layout=""):
    return laid_out(np.asarray(rng.normal(size=shape), dtype), layout)


@pytest.mark.parametrize("activation", SEPARATE)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_forward_has_the_bits_of_the_separate_kernels(activation, layout, isa, rng):
    for dtype in FLOATS:
        for shape in SHAPES:
            for outputs in (1, 10, 41):
                x, w = draw(rng, shape, dtype, layout), draw(rng, (outputs, shape[-1]), dtype, layout)
                for bias in (None, draw(rng, (outputs,), dtype, layout)):
                    y, z = native.linear_activation(x, w, bias, activation)
                    plain = native.linear(x, w, bias)
                    assert (z is not None) == (reference.linear_activation(x, w, bias, activation)[1] is not None)
                    np.testing.assert_array_equal(y, SEPARATE[activation](plain))
                    if z is not None:
                        np.testing.assert_array_equal(z, plain)


@pytest.mark.parametrize("activation", SEPARATE)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients(activation, layout, isa, rng):
    for dtype in FLOATS:
        for shape in SHAPES:
            g, x = draw(rng, (*shape[:-1], 37), dtype, layout), draw(rng, shape, dtype, layout)
            w = draw(rng, (37, shape[-1]), dtype, layout)
            saved = None if activation == "none" else laid_out(SEPARATE["tanh"](draw(rng, g.shape, dtype)), layout)
            wide = [None if a is None else a.astype(np.float64) for a in (g, x, w, saved)]
            found = native.linear_backward(g, x, w, saved, activation, True)
            for a, b, scale in zip(found, reference.linear_backward(*wide, activation, True), (9, 99, 99), strict=True):
                assert a.dtype == dtype
                assert_close(a, b, 32, scale * 8)
            for chosen in [(x, None, False), (None, w, False), (None, None, True), (None, None, False)]:
                part = native.linear_backward(g, *chosen[:2], saved, activation, chosen[2])
                expected = (found[0] if chosen[1] is w else None, found[1] if chosen[0] is x else None)
                for a, b in zip(part, (*expected, found[2] if chosen[2] else None), strict=True):
                    assert (a is None) == (b is None)
                    if a is not None:
                        np.testing.assert_array_equal(a, b)


def test_same_bits_for_every_number_of_threads(threads, isa, rng):
    x, w, b = (draw(rng, s, np.float32) for s in [(600, 300), (700, 300), (700,)])
    results = set()
    for n in (1, 2, 3, 8):
        threads(n)
        y, z = native.linear_activation(x, w, b, "gelu")
        grads = native.linear_backward(y, x, w, z, "gelu", True)
        results.add(b"".join(a.tobytes() for a in (y, z, *grads)))
    assert len(results) == 1


def test_rows_do_not_depend_on_each_other(isa, rng):
    x, w, b = (draw(rng, s, np.float32) for s in [(300, 70), (50, 70), (50,)])
    whole = native.linear_activation(x, w, b, "silu")[0]
    for rows in (slice(0, 1), slice(299, 300), slice(5, 12), slice(1, 90)):
        np.testing.assert_array_equal(native.linear_activation(x[rows], w, b, "silu")[0], whole[rows])


def test_errors_name_the_shapes():
    x, w, g = np.zeros((2, 3)), np.zeros((4, 3)), np.zeros((2, 4))
    for wrong, message in [
        (lambda: native.linear_activation(x, w, None, "elu"), "elu"),
        (lambda: native.linear_activation(x, w.T, None, "relu"), r"\(2, 3\)"),
        (lambda: native.linear_activation(x, w, np.zeros(3), "relu"), "bias"),
        (lambda: native.linear_backward(g[:1], x, w, None, "none", True), "rows"),
        (lambda: native.linear_backward(g, x, w.T, None, "none", True), r"\(3, 4\)"),
        (lambda: native.linear_backward(g, x, w, None, "relu", True), "relu"),
        (lambda: native.linear_backward(g, x, w, g[:1], "relu", True), "relu"),
        (lambda: native.linear_backward(np.zeros(()), None, None, None, "none", True), "dimensions"),
    ]:
        with pytest.raises(ValueError, match=message):
            wrong()
