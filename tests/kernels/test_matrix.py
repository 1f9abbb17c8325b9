"""Every kernel × dtype × layout × shape against the reference, computed in float64."""

import numpy as np
import pytest

from tinygrad_edu.kernels import reference

from .conftest import native
from .layouts import LAYOUTS, SHAPES, assert_close, laid_out

FLOATS = [np.float32, np.float64]
DTYPES = [np.float32, np.float64, np.int64, np.bool_]

BINARY = [
    "add",
    "sub",
    "mul",
    "div",
    "pow",
    "maximum",
    "minimum",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "relu_backward",
    "sigmoid_backward",
    "tanh_backward",
    "silu_backward",
]
UNARY = ["neg", "abs", "sign", "exp", "log", "log1p", "sqrt", "sin", "cos", "erf", "relu", "sigmoid", "tanh", "silu"]
PARAMETERS = {"leaky_relu": (0.1,), "softplus": (1.5, 20.0), "elu": (0.7,), "gelu": (False,), "gelu ": (True,)}
# Derivatives subtract nearly equal numbers: their error is measured against the larger of the terms.
LOOSE = {"sigmoid_backward", "tanh_backward", "silu_backward", "gelu", "gelu ", "gelu_backward", "gelu _backward"}


def random(rng, shape, dtype):
    x = rng.normal(size=shape) * 3
    return np.asarray(x > 0 if dtype == np.bool_ else x, dtype)


def wide(x):
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def check(name, arrays, *rest, ulps=4.0, scale=0.0):
    with np.errstate(all="ignore"):
        expected = getattr(reference, name)(*[wide(a) for a in arrays], *rest)
    actual = getattr(native, name)(*arrays, *rest)
    if arrays[0].dtype.kind == "f":
        assert actual.dtype == (arrays[0].dtype if expected.dtype.kind == "f" else expected.dtype)
    assert_close(actual, expected, ulps, scale)
    return actual


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [*BINARY, *(f"{n}_backward" for n in PARAMETERS)])
def test_binary(name, layout, isa, rng):
    base, rest = name.replace("_backward", ""), ()
    if base in PARAMETERS:
        rest = PARAMETERS[base]
    for dtype in FLOATS:
        for shape in SHAPES:
            a, b = random(rng, shape, dtype), random(rng, shape, dtype)
            a = np.asarray(abs(a) + 1 if name == "pow" else a)
            a, b = laid_out(a, layout), laid_out(b, LAYOUTS[rng.integers(len(LAYOUTS))])
            scale = 10 if name in LOOSE else 0
            result = check(name.replace(" ", ""), [a, b], *rest, ulps=30 if scale else 4, scale=scale)
            out = laid_out(np.zeros_like(result), layout if layout in ("transposed", "sliced", "negative") else "")
            kernel = getattr(native, name.replace(" ", ""))
            assert kernel(a, b, *rest, out=out) is out
            np.testing.assert_array_equal(out, result)
            if result.dtype == dtype:
                same = a.copy()
                assert kernel(same, b, *rest, out=same) is same
                np.testing.assert_array_equal(same, result)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [*UNARY, *PARAMETERS])
def test_unary(name, layout, isa, rng):
    rest = PARAMETERS.get(name, ())
    for dtype in FLOATS:
        for shape in SHAPES:
            x = random(rng, shape, dtype)
            x = np.asarray(abs(x) + dtype(0.01) if name in ("log", "log1p", "sqrt") else x)
            x = laid_out(x, layout)
            loose = name in LOOSE
            result = check(name.strip(), [x], *rest, ulps=30 if loose else 3, scale=1 if loose else 0)
            same = x.copy()
            getattr(native, name.strip())(same, *rest, out=same)
            np.testing.assert_array_equal(same, result)


@pytest.mark.parametrize("name", BINARY[:13])
def test_broadcasting(name, isa, rng):
    pairs = [((3, 1), (1, 4)), ((5, 7), (7,)), ((5, 7), (5, 1)), ((), (4,)), ((2, 1, 3), (4, 1)), ((0, 3), (1, 3))]
    for dtype in FLOATS:
        for left, right in pairs:
            a, b = np.asarray(abs(random(rng, left, dtype)) + dtype(0.5)), random(rng, right, dtype)
            check(name, [a, b])
            if name != "pow":
                check(name, [b, a])
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 4\)"):
        getattr(native, name)(np.zeros((2, 3)), np.zeros((2, 4)))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "maximum", "eq", "lt", "sum", "amax", "argmin", "abs", "where"])
def test_integers_go_to_the_reference(name, rng):
    x, y = rng.integers(-5, 5, (3, 4)), rng.integers(-5, 5, (3, 4))
    arguments = {"sum": ((0,), False), "amax": ((1,), True), "argmin": (1, False), "abs": ()}.get(name, (y,))
    arrays = [x > 0, x] if name == "where" else [x]
    before = native._native.counters()[name][1].get("dtype int64", 0)
    check(name, arrays, *arguments)
    assert native._native.counters()[name][1]["dtype int64"] == before + 1
    assert "reference fallback: dtype int64" in native.explain()


def test_where(isa, rng):
    for dtype in FLOATS:
        for layout in LAYOUTS:
            for shape in SHAPES:
                c, a, b = (laid_out(random(rng, shape, d), layout) for d in (np.bool_, dtype, dtype))
                check("where", [c, a, b])
        check("where", [rng.random((3, 1)) > 0.5, random(rng, (4,), dtype), random(rng, (), dtype)])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["sum", "amax", "amin", "argmax", "argmin"])
def test_reductions(name, layout, isa, rng):
    for dtype in FLOATS:
        for shape in [(), (1,), (300,), (5, 7), (1, 33), (65, 3), (2, 3, 19), (2, 1, 3, 4), (70, 40)]:
            x = laid_out(random(rng, shape, dtype), layout)
            if name.startswith("arg"):
                choices = range(len(shape))
            else:
                choices = [tuple(d for d in range(len(shape)) if bits >> d & 1) for bits in range(2 ** len(shape))]
            for axes in choices:
                for keepdims in (False, True):
                    result = check(name, [x], axes, keepdims, ulps=16, scale=np.sum(np.abs(x)) if name == "sum" else 0)
                    if not name.startswith("arg"):
                        out = np.zeros_like(result).T.copy().T
                        assert getattr(native, name)(x, axes, keepdims, out=out) is out
                        np.testing.assert_array_equal(out, result)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cumsum(layout, isa, rng):
    for dtype in FLOATS:
        for shape in [
            (1,),
            (300,),
            (5, 7),
            (33, 1),
            (1, 33),
            (65, 70),
            (2, 3, 19),
            (3, 4, 67),
            (3, 1100),
            (0, 3),
            (3, 0),
        ]:
            x = laid_out(random(rng, shape, dtype), layout)
            for axis in range(len(shape)):
                check("cumsum", [x], axis, ulps=2, scale=np.sum(np.abs(x)))
    x = np.array([[1, np.nan, 2], [np.inf, 1, -np.inf]], dtype)
    np.testing.assert_array_equal(native.cumsum(x, 1), [[1, np.nan, np.nan], [np.inf, np.inf, np.nan]])
    for axis in (2, -3):
        with pytest.raises(ValueError):  # NumPy's own
            native.cumsum(x, axis)
    np.testing.assert_array_equal(native.cumsum(np.arange(4), 0), [0, 1, 3, 6])


def test_extremes_of_columns_and_short_rows_keep_nan(isa, rng):
    x = rng.normal(size=(70, 70)).astype(np.float32)
    for place in ((0, 3), (33, 40), (69, 69)):
        x[place] = np.nan
    for name in ("amax", "amin"):
        for axis in (0, 1):
            with np.errstate(all="ignore"):
                wanted = getattr(np, name)(x, axis)
            np.testing.assert_array_equal(getattr(native, name)(x, (axis,), False), wanted)


@pytest.mark.parametrize("name", ["sum", "amax", "amin"])
def test_reductions_of_many_runs(name, isa, threads, rng):
    """Long runs behind one result, channels of images, columns beyond one tile: the same bits with two threads."""
    for shape, axes in [((4, 3, 70000), (0, 2)), ((9, 5, 40), (0, 2)), ((700, 1037), (0,)), ((3, 40, 2, 33), (1, 3))]:
        x = random(rng, shape, np.float32)
        threads(1)
        result = check(name, [x], axes, False, ulps=4, scale=np.sum(np.abs(x)) if name == "sum" else 0)
        threads(2)
        np.testing.assert_array_equal(getattr(native, name)(x, axes, False), result)
        x[(1,) * x.ndim] = np.nan
        assert np.isnan(getattr(native, name)(x, axes, False)).sum() == 1


def test_cumsum_of_special_numbers(isa):
    for dtype in FLOATS:
        zero = native.cumsum(np.full(20, -0.0, dtype), 0)
        assert np.signbit(zero).all()
        for value in (np.nan, np.inf, -np.inf):
            for position in range(20):
                x = np.ones((20, 3), dtype)
                x[position, 1] = value
                wanted = np.cumsum(x, 0)
                np.testing.assert_array_equal(native.cumsum(x, 0), wanted)
                np.testing.assert_array_equal(native.cumsum(x.T, 1).T, wanted)
        both = np.array([1, np.inf, 2, -np.inf, 3, 4, 5, 6, 7, 8], dtype)
        np.testing.assert_array_equal(native.cumsum(both, 0), [1, np.inf, np.inf, *[np.nan] * 7])
    tenths = np.full(1_000_003, 0.1, np.float32)  # as exact as a sum
    assert abs(float(native.cumsum(tenths, 0)[-1]) / (float(np.float32(0.1)) * tenths.size) - 1) < 1e-7


def test_empty_reductions():
    x = np.zeros((0, 3), np.float32)
    np.testing.assert_array_equal(native.sum(x, (0,), False), np.zeros(3))
    assert native.sum(x, (1,), False).shape == (0,)
    assert native.amax(x, (1,), False).shape == (0,)
    for call in (lambda: native.amax(x, (0,), False), lambda: native.argmax(x, 0, False)):
        with pytest.raises(ValueError, match=r"\(0, 3\)"):
            call()


def test_long_sum_is_exact_to_the_last_digits(isa):
    for n in (4_000_001, 1_000):
        x = np.full(n, 0.1, np.float32)
        exact = float(np.float32(0.1)) * n
        assert abs(float(native.sum(x, (0,), False)) / exact - 1) < 1e-7
        assert abs(float(native.sum(np.broadcast_to(x[:, None], (n, 3)), (0,), False)[1]) / exact - 1) < 1e-7


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, layout, isa, rng):
    for dtype in FLOATS:
        for shape in [(1,), (3,), (300,), (5, 7), (0, 4), (65, 3), (2, 3, 19)]:
            x = laid_out(random(rng, shape, dtype), layout)
            g = random(rng, shape, dtype)
            for axis in range(len(shape)):
                y = check(name, [x], axis, scale=10 if name == "log_softmax" else 0, ulps=8)
                total = np.abs(g).astype(np.float64).sum() + 1
                check(name + "_backward", [g, np.array(y)], axis, scale=total, ulps=8)
    with pytest.raises(ValueError):
        getattr(native, name)(np.zeros((2, 3)), 2)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(reduction, smoothing, weighted, isa, rng):
    for dtype in FLOATS:
        for rows, classes in [(1, 2), (7, 10), (33, 3), (5, 100), (3, 1)]:
            for layout in LAYOUTS:
                x = laid_out(random(rng, (rows, classes), dtype), layout)
                target = laid_out(rng.integers(0, classes, rows), layout)
                weight = laid_out(rng.random(classes).astype(dtype), layout) if weighted else None
                rest = (-100 if rows == 1 else 1, smoothing, reduction)
                loss, lse, total = native.cross_entropy(x, target, weight, *rest)
                w = None if weight is None else wide(weight)
                wanted = reference.cross_entropy(wide(x), target, w, *rest)
                assert_close(loss, wanted[0], 20, 1)
                assert_close(lse, wanted[1], 4, 1)
                assert total == pytest.approx(wanted[2], rel=1e-6, nan_ok=True)
                g = rng.random(loss.shape).astype(dtype)
                dx = native.cross_entropy_backward(g, x, target, lse, weight, *rest, total)
                expected = reference.cross_entropy_backward(wide(g), wide(x), target, wanted[1], w, *rest, wanted[2])
                assert_close(dx, expected, 40, 1)
    for bad in (-1, 3):
        with pytest.raises(IndexError, match=rf"target\[1\] is {bad}.* 3 classes"):
            native.cross_entropy(np.zeros((2, 3)), np.array([0, bad]), None, -100, 0.0, "mean")


def test_cross_entropy_keeps_small_losses(isa):
    x = np.array([[0, -30, -31]], np.float32)
    loss = native.cross_entropy(x, np.array([0]), None, -100, 0.0, "sum")[0]
    assert float(loss) == pytest.approx(np.log1p(np.exp(-30) + np.exp(-31)), rel=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mse(layout, isa, rng):
    for dtype in FLOATS:
        for shape in [(), (1,), (300,), (5, 7), (65, 3)]:
            x, y = (laid_out(random(rng, shape, dtype), layout) for _ in range(2))
            for reduction in ("none", "sum", "mean"):
                loss = check("mse", [x, y], reduction, ulps=20)
                g = random(rng, loss.shape, dtype)
                check("mse_backward", [g, x, y], reduction, ulps=8, scale=10)
    with pytest.raises(ValueError, match="shape"):
        native.mse(np.zeros(3), np.zeros((3, 1)), "sum")


def test_memory_kernels(rng):
    for dtype in DTYPES:
        for shape in SHAPES:
            x = random(rng, shape, dtype)
            for layout in LAYOUTS:
                copy = native.copy(laid_out(x, layout))
                assert copy.flags.c_contiguous
                np.testing.assert_array_equal(copy, laid_out(x, layout))
            assert native.full(shape, 1, dtype).dtype == dtype
            assert native.empty(shape, dtype).shape == shape
            for other in DTYPES:
                assert_close(native.cast(x, other), reference.cast(x, other), 0)
    out = np.zeros((3, 4), np.float32)
    native.copy(np.arange(4, dtype=np.float32), out=out)
    np.testing.assert_array_equal(out, np.tile(np.arange(4.0), (3, 1)))
    native.copy(np.arange(4), out=out)  # a cast
    for wrong in (np.zeros((2, 4), np.float32), np.zeros(5, np.float32)):
        with pytest.raises(ValueError):
            native.copy(wrong, out=out)


@pytest.mark.parametrize("name", [*UNARY, *PARAMETERS, *BINARY])
def test_nan_and_infinity(name, isa):
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e30, -1e30, 1e-30], np.float32)
    rest = PARAMETERS.get(name, ())
    if name in BINARY:
        a, b = (m.copy() for m in np.meshgrid(special, special))
        if name in ("sigmoid_backward", "tanh_backward"):
            b = np.clip(b, -1, 1)  # the range of the function itself
        check(name, [a, b], ulps=8)
    else:
        check(name.strip(), [special], *rest, ulps=8)
    for dtype in FLOATS:
        nan = np.full(37, np.nan, dtype)
        if name in ("eq", "ne", "lt", "le", "gt", "ge", "relu_backward"):
            continue
        arrays = [nan, np.ones(37, dtype)] if name in BINARY else [nan]
        assert np.isnan(getattr(native, name.strip())(*arrays, *rest)).all()


def test_nan_in_reductions(isa):
    for position in (0, 5, 36):
        x = np.arange(37, dtype=np.float32)
        x[position] = np.nan
        both = np.stack([x, x], 1)
        for name in ("sum", "amax", "amin"):
            assert np.isnan(getattr(native, name)(x, (0,), False))
            assert np.isnan(getattr(native, name)(both, (0,), False)).all()
        assert native.argmax(x, 0, False) == native.argmin(x, 0, False) == position
        assert np.isnan(native.softmax(x, 0)).all()
