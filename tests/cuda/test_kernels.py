"""Every kernel × dtype × odd shape × layout against the reference, in float64. tests/gpu runs the same on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.cuda.arrays import FLOATS, LAYOUTS, SHAPES, WHOLE, back, check, placed, random, wide
from tinygrad_edu.errors import KindError, RangeError, StateError
from tinygrad_edu.kernels import cuda, reference
from tinygrad_edu.kernels.cuda import products
from tinygrad_edu.kernels.cuda.signatures import COMPARISONS, UNARY

PARAMETERS = {"leaky_relu": (0.1,), "softplus": (1.5, 20.0), "elu": (0.7,), "gelu": (False,), "gelu ": (True,)}
BINARY = ["add", "sub", "mul", "div", "pow", "maximum", "minimum", "atan2", *COMPARISONS]
BACKWARD = [f"{f}_backward" for f in ("relu", "sigmoid", "tanh", "silu", *PARAMETERS)]
# Derivatives subtract nearly equal numbers: their error is measured against the larger of the terms.
LOOSE = {"sigmoid_backward", "tanh_backward", "silu_backward", "gelu", "gelu ", "gelu_backward", "gelu _backward"}
DOMAIN = {
    **dict.fromkeys(("log", "log1p", "log2", "log10", "sqrt", "rsqrt"), lambda x: np.abs(x) + x.dtype.type(0.01)),
    **dict.fromkeys(("asin", "acos", "atanh", "erfinv"), lambda x: np.sin(x) * x.dtype.type(0.99)),
    "acosh": lambda x: np.abs(x) + x.dtype.type(1.01),
    "tan": np.sin,
}


@pytest.fixture
def rng() -> Any:
    return np.random.default_rng(7)


# -- elementwise ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [*BINARY, *BACKWARD])
def test_of_two(name: str, dtype: Any, rng: Any) -> None:
    rest = PARAMETERS.get(name.replace("_backward", ""), ())
    kernel, scale = name.replace(" ", ""), 10 if name in LOOSE else 0
    for i, shape in enumerate(SHAPES):
        for j, layout in enumerate(LAYOUTS):
            a, b = random(rng, shape, dtype), random(rng, shape, dtype)
            a = np.asarray(abs(a) + 1 if name == "pow" else a)
            arrays = [placed(a, layout), placed(b, LAYOUTS[(i + j) % len(LAYOUTS)])]
            result = check(kernel, arrays, *rest, ulps=30 if scale else 8, scale=scale)
            if layout in ("transposed", "sliced", "negative"):
                out = placed(np.zeros(shape, back(result).dtype), layout)
                assert check(kernel, arrays, *rest, ulps=30 if scale else 8, scale=scale, out=out) is out


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [n for n in UNARY if n not in PARAMETERS] + [*PARAMETERS])
def test_of_one(name: str, dtype: Any, rng: Any) -> None:
    rest, loose = PARAMETERS.get(name, ()), name in LOOSE
    for shape in SHAPES:
        x = np.asarray(DOMAIN.get(name, lambda x: x)(random(rng, shape, dtype)))
        for layout in LAYOUTS:
            array = placed(x, layout)
            result = check(name.strip(), [array], *rest, ulps=30 if loose else 6, scale=1 if loose else 0)
        same = placed(x)
        getattr(cuda, name.strip())(same, *rest, out=same)
        if layout != "broadcast":
            np.testing.assert_array_equal(back(same), back(result))


@pytest.mark.parametrize("name", BINARY)
def test_broadcasting_and_numbers(name: str, rng: Any) -> None:
    pairs = [((3, 1), (1, 4)), ((5, 7), (7,)), ((5, 7), (5, 1)), ((), (4,)), ((2, 1, 3), (4, 1)), ((0, 3), (1, 3))]
    for dtype in FLOATS:
        for left, right in pairs:
            a, b = np.asarray(abs(random(rng, left, dtype)) + dtype(0.5)), random(rng, right, dtype)
            check(name, [placed(a), placed(b)])
        a = placed(abs(random(rng, (3, 5), dtype)) + dtype(0.5))
        if name not in ("pow", "atan2"):
            for number in (2, -0.75, np.array(1.5)):
                check(name, [a, number])
                check(name, [number, a])
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 4\) do not broadcast"):
        getattr(cuda, name)(placed(np.zeros((2, 3))), placed(np.zeros((2, 4))))
    with pytest.raises(KindError, match="float32 and float64"):
        getattr(cuda, name)(placed(np.zeros(3, np.float32)), placed(np.zeros(3)))
    with pytest.raises(StateError, match="one tensor is on the GPU and one on the CPU"):
        getattr(cuda, name)(placed(np.zeros(3)), np.zeros(3))


@pytest.mark.parametrize("dtype", [*WHOLE, np.bool_])
def test_integers_and_booleans(dtype: Any, rng: Any) -> None:
    names = [*COMPARISONS, "maximum", "minimum", "add", "mul", *([] if dtype == np.bool_ else ["sub"])]
    for shape in SHAPES:
        a, b = random(rng, shape, dtype), random(rng, shape, dtype)
        for layout in ("contiguous", "sliced"):
            for name in names:
                check(name, [placed(a, layout), placed(b)])
            for name in ("neg", "abs", "sign") if dtype != np.bool_ else ():
                check(name, [placed(a, layout)])
            for name, wanted in (("and", a & b), ("or", a | b), ("xor", a ^ b)):
                np.testing.assert_array_equal(back(cuda.bits(name, placed(a, layout), placed(b))), wanted)


@pytest.mark.parametrize("name", [n for n in UNARY if n not in (*PARAMETERS, "erfinv")] + [*PARAMETERS, *BINARY[:8]])
def test_nan_and_infinity(name: str) -> None:
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e30, -1e30, 1e-30], np.float32)
    if name in BINARY:
        a, b = (m.copy() for m in np.meshgrid(special, special))
        check(name, [placed(a), placed(b)], ulps=8)
    else:
        huge = name in ("sin", "cos", "tan")  # of 1e30: the reduced angle is float32's or float64's
        check(name.strip(), [placed(special[:7] if huge else special)], *PARAMETERS.get(name, ()), ulps=8)
    for dtype in FLOATS:
        nan = placed(np.full(37, np.nan, dtype))
        arrays = [nan, placed(np.ones(37, dtype))] if name in BINARY else [nan]
        assert np.isnan(back(getattr(cuda, name.strip())(*arrays, *PARAMETERS.get(name, ())))).all()


# -- memory --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE, np.bool_])
def test_memory(dtype: Any, rng: Any) -> None:
    for shape in SHAPES:
        x = random(rng, shape, dtype)
        for layout in LAYOUTS:
            array = placed(x, layout)
            copy = cuda.copy(array)
            assert copy.flags.c_contiguous
            np.testing.assert_array_equal(back(copy), back(array))
            out = placed(np.zeros(shape, dtype), layout if layout != "broadcast" else "sliced")
            assert cuda.copy(array, out=out) is out
            np.testing.assert_array_equal(back(out), back(array))
        for value in (1, 0, True):
            np.testing.assert_array_equal(back(cuda.full(shape, value, dtype)), np.full(shape, value, dtype))
        assert cuda.empty(shape, dtype).shape == shape
        for other in (*FLOATS, *WHOLE, np.bool_):
            if np.dtype(dtype).kind == "f" and other == np.uint8:
                x = abs(x)  # a negative float has no value there
            result = back(cuda.cast(placed(x, "transposed"), other))
            np.testing.assert_array_equal(result, reference.cast(x, other))
            assert result.dtype == other
        c = random(rng, shape, np.bool_)
        check("where", [placed(c, "sliced"), placed(x, "transposed"), placed(random(rng, shape, dtype))])
    row = placed(random(rng, (4,), dtype))
    check("where", [placed(rng.random((3, 1)) > 0.5), row, placed(random(rng, (), dtype))])
    out = np.zeros((3, 4), dtype)
    np.testing.assert_array_equal(cuda.copy(row, out=out), np.tile(back(row), (3, 1)))  # to the CPU


def test_copies_between_memories_and_dtypes() -> None:
    out = placed(np.zeros((3, 4), np.float32))
    cuda.copy(np.arange(4), out=out)
    np.testing.assert_array_equal(back(out), np.tile(np.arange(4.0), (3, 1)))
    with pytest.raises(ValueError, match="do not broadcast"):
        cuda.copy(placed(np.zeros((2, 4), np.float32)), out=out)
    halves = cuda.copy(placed(np.arange(6, dtype=np.float16).reshape(2, 3), "transposed"))  # moved, not computed with
    np.testing.assert_array_equal(back(halves), np.arange(6).reshape(2, 3))
    with pytest.raises(StateError, match="float16"):
        cuda.add(halves, halves)


# -- reductions ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE, np.bool_])
@pytest.mark.parametrize("name", ["sum", "amax", "amin", "argmax", "argmin"])
def test_reductions(name: str, dtype: Any, rng: Any) -> None:
    if dtype == np.bool_ and name.startswith("a"):
        return
    for shape in [(), (1,), (300,), (5, 7), (1, 33), (65, 3), (2, 3, 19), (2, 1, 3, 4), (70, 40), (2, 2, 3, 2, 3)]:
        for layout in LAYOUTS if np.dtype(dtype).kind == "f" else ["contiguous", "sliced"]:
            x = random(rng, shape, dtype)
            array = placed(x, layout)
            if name.startswith("arg"):
                choices: list[Any] = list(range(len(shape)))
            else:
                choices = [tuple(d for d in range(len(shape)) if bits >> d & 1) for bits in range(2 ** len(shape))]
            for axes in choices:
                size = np.sum(np.abs(x.astype(np.float64))) if name == "sum" else 0
                check(name, [array], axes, bool(len(shape) % 2), ulps=16, scale=size)
    if np.dtype(dtype).kind == "f":
        for position in (0, 5, 36):
            x = np.arange(37).astype(dtype)
            x[position] = np.nan
            check(name, [placed(np.stack([x] * 40, 1))], 0 if name.startswith("arg") else (0,), False)
            check(name, [placed(x)], 0 if name.startswith("arg") else (0,), False)


@pytest.mark.parametrize("name", ["sum", "amax"])
def test_long_rows_are_cut_into_parts(name: str, rng: Any) -> None:
    for shape, axes in [((40001,), (0,)), ((3, 9001), (1,)), ((9001, 37), (0,)), ((9001, 37), (0, 1))]:
        x = rng.random(shape).astype(np.float32)
        check(name, [placed(x)], axes, False, ulps=2)
    whole = rng.integers(-9, 9, (20001, 2))
    check(name, [placed(whole)], (0,), True)


def test_empty_reductions() -> None:
    x = placed(np.zeros((0, 3), np.float32))
    np.testing.assert_array_equal(back(cuda.sum(x, (0,), False)), np.zeros(3))
    assert cuda.sum(x, (1,), False).shape == cuda.amax(x, (1,), False).shape == (0,)


# -- softmax and losses --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name: str, dtype: Any, rng: Any) -> None:
    for shape in [(1,), (3,), (300,), (5, 7), (0, 4), (65, 3), (2, 3, 19)]:
        for layout in LAYOUTS:
            x, g = placed(random(rng, shape, dtype), layout), random(rng, shape, dtype)
            for axis in range(len(shape)):
                y = check(name, [x], axis, scale=10 if name == "log_softmax" else 0, ulps=24)
                total = np.abs(g).astype(np.float64).sum() + 1
                check(name + "_backward", [placed(g, layout), y], axis, scale=total, ulps=8)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(reduction: str, smoothing: float, weighted: bool, rng: Any) -> None:
    from tests.kernels.layouts import assert_close

    for dtype in FLOATS:
        for rows, classes in [(1, 2), (7, 10), (33, 3), (5, 100), (3, 1), (0, 4)]:
            for layout in ("contiguous", "transposed", "sliced"):
                x, target = random(rng, (rows, classes), dtype), rng.integers(0, classes, rows)
                weight = rng.random(classes).astype(dtype) if weighted else None
                rest = (-100 if rows == 1 else 1, smoothing, reduction)
                arrays = [placed(x, layout), placed(target, layout), None if weight is None else placed(weight, layout)]
                loss, lse, total = cuda.cross_entropy(*arrays, *rest)
                wanted = reference.cross_entropy(wide(x), target, wide(weight), *rest)
                assert_close(back(loss), wanted[0], 20, 1)
                assert_close(back(lse), wanted[1], 4, 1)
                assert float(back(total)) == pytest.approx(wanted[2], rel=1e-6, nan_ok=True)
                g = rng.random(back(loss).shape).astype(dtype)
                dx = cuda.cross_entropy_backward(placed(g), *arrays[:2], lse, arrays[2], *rest, total)
                wanted = reference.cross_entropy_backward(
                    wide(g), wide(x), target, wanted[1], wide(weight), *rest, wanted[2]
                )
                assert_close(back(dx), wanted, 40, 1)


@pytest.mark.parametrize("bad", [-1, 3])
def test_a_class_that_does_not_exist_is_told_when_results_are_read(bad: int) -> None:
    loss, _, _ = cuda.cross_entropy(placed(np.zeros((2, 3))), placed(np.array([0, bad])), None, -100, 0.0, "mean")
    with pytest.raises(RangeError, match=rf"target\[1\] is {bad}"):
        back(loss)
    assert np.isnan(back(loss))  # and it is told once


def test_cross_entropy_keeps_small_losses() -> None:
    x = placed(np.array([[0, -30, -31]], np.float32))
    loss = cuda.cross_entropy(x, placed(np.array([0])), None, -100, 0.0, "sum")[0]
    assert float(back(loss)) == pytest.approx(np.log1p(np.exp(-30) + np.exp(-31)), rel=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
def test_mse(dtype: Any, rng: Any) -> None:
    for shape in [(), (1,), (300,), (5, 7), (65, 3), (0, 3)]:
        for layout in LAYOUTS:
            x, y = (placed(random(rng, shape, dtype), layout) for _ in range(2))
            for reduction in ("none", "sum", "mean"):
                loss = check("mse", [x, y], reduction, ulps=20)
                g = placed(random(rng, loss.shape, dtype))
                check("mse_backward", [g, x, y], reduction, ulps=8, scale=10)


# -- products ------------------------------------------------------------------------------------------------------
SIZES = [(1, 1, 1), (3, 0, 2), (0, 4, 3), (17, 16, 15), (64, 64, 64), (63, 65, 129), (5, 200, 3), (130, 33, 70)]
WIDE = [(128, 8, 128), (132, 24, 260), (129, 16, 132), (256, 16, 128)]  # for 128-bit loads, with and without edges


@pytest.fixture(params=list(products.LADDER))
def ladder(request: Any) -> Any:
    """Each step of the ladder, in turn."""
    before = products.step[0]
    products.step[0] = request.param
    yield request.param
    products.step[0] = before


@pytest.mark.parametrize("dtype", FLOATS)
def test_matmul(dtype: Any, ladder: str, rng: Any) -> None:
    for m, k, n in SIZES + (WIDE if dtype == np.float32 and ladder == "block128" else []):
        for left in ("contiguous", "transposed", "negative"):
            for right in ("contiguous", "transposed", "broadcast"):
                a, b = random(rng, (m, k), dtype), random(rng, (k, n), dtype)
                check("matmul", [placed(a, left), placed(b, right)], scale=9 * k + 1, ulps=4)
    for sa, sb in [
        ((2, 3, 4, 5), (3, 5, 6)),
        ((3, 1, 4, 5), (1, 2, 5, 3)),
        ((4, 5), (2, 5, 3)),
        ((2, 0, 3), (2, 3, 4)),
    ]:
        check("matmul", [placed(random(rng, sa, dtype), "sliced"), placed(random(rng, sb, dtype))], scale=50)
    out = placed(np.zeros((4, 3), dtype), "transposed")
    pair = [placed(random(rng, (4, 5), dtype)), placed(random(rng, (5, 3), dtype))]
    assert check("matmul", pair, scale=50, out=out) is out
    if ladder == "block128" and dtype == np.float32:  # all four ways, a batch, a bias and an activation
        assert {f"gemm_block128_{how}" for how in ("nn", "nt", "tn", "tt")} <= set(cuda.device().launches)
        check("matmul", [placed(random(rng, (2, 130, 8), dtype)), placed(random(rng, (8, 128), dtype))], scale=80)
        x, w, b = (placed(random(rng, s, dtype)) for s in ((130, 16), (128, 16), (128,)))
        for activation in ("relu", "gelu"):
            check("linear_activation", [x, w, b], activation, scale=200, ulps=8)
    with pytest.raises(ValueError, match="inner sizes"):
        cuda.matmul(placed(np.zeros((2, 3))), placed(np.zeros((4, 3))))


@pytest.mark.parametrize("dtype", FLOATS)
def test_small_products_of_long_sums_are_split(dtype: Any, rng: Any) -> None:
    assert [products._parts(10, 10, k) for k in (100, 512, 1024, 2**20)] == [1, 2, 4, 256]
    a, b = random(rng, (5, 2048), dtype), random(rng, (2048, 3), dtype)
    for left in ("contiguous", "transposed", "sliced"):
        check("matmul", [placed(a, left), placed(b, "transposed")], scale=9 * 2048)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("activation", products.ACTIVATIONS)
def test_layers(activation: str, dtype: Any, ladder: str, rng: Any) -> None:
    for shape, outputs in [((4, 3), 5), ((33, 65), 17), ((2, 3, 7), 4), ((7,), 3), ((0, 4), 3), ((3, 0), 2)]:
        for layout in ("contiguous", "transposed", "sliced"):
            x, w = (placed(random(rng, s, dtype), layout) for s in (shape, (outputs, shape[-1])))
            b = placed(random(rng, (outputs,), dtype), layout)
            for bias in (b, None):
                y, z = check("linear_activation", [x, w, bias], activation, scale=9 * shape[-1] + 9, ulps=8)
                check("linear", [x, w, bias], scale=9 * shape[-1] + 9)
            g = placed(random(rng, y.shape, dtype), layout)
            saved = None if activation == "none" else y if z is None else z
            size = 300 * max(y.size, 1)
            for dx, dw, db in [(w, x, True), (None, x, False), (w, None, True)]:
                check("linear_backward", [g, dw, dx, saved], activation, db, scale=size)


# -- random numbers ------------------------------------------------------------------------------------------------
def test_random_streams_are_those_of_the_cpu() -> None:
    for n in (0, 1, 5, 1030):
        for seed, stream, offset in [(0, 0, 0), (2**63 + 5, 2, 7), (11, 1, 2**33)]:
            np.testing.assert_array_equal(
                back(cuda.philox(n, seed, stream, offset)), reference.philox(n, seed, stream, offset)
            )
            for dtype in FLOATS:
                args = ((n,), -0.7, 1.3, dtype, seed, stream, offset)
                np.testing.assert_array_equal(back(cuda.uniform(*args)), reference.uniform(*args))
                close = 1e-6 if dtype == np.float32 else 1e-13
                np.testing.assert_allclose(back(cuda.normal(*args)), reference.normal(*args), rtol=close, atol=close)
                x = np.linspace(-1, 1, n).astype(dtype)
                for p in (0.0, 0.3, 1.0):
                    rest = (p, seed, stream, offset)
                    np.testing.assert_array_equal(back(cuda.dropout(placed(x), *rest)), reference.dropout(x, *rest))


# -- optimisers ----------------------------------------------------------------------------------------------------
OPTIONS = {
    "sgd": [
        {"momentum": 0.0}, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.5, "maximize": True},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, {"momentum": 0.0, "weight_decay": 1.0},
    ],
    "adam": [
        {}, {"weight_decay": 1.0}, {"weight_decay": 0.1, "decoupled": True}, {"amsgrad": True, "maximize": True},
    ],
}  # fmt: skip
DEFAULTS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.1, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "maximize": False},
    "adam": {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.0, "decoupled": False,
             "maximize": False},
}  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("name", "options"), [(n, o) for n, several in OPTIONS.items() for o in several])
def test_optimisers(name: str, options: dict[str, Any], dtype: Any, rng: Any) -> None:
    shapes = [(3,), (5, 7), (), (0, 2), (300,)]
    states = (1 if options.get("momentum") else 0) if name == "sgd" else 3 if options.get("amsgrad") else 2
    made = [[np.asarray(abs(random(rng, s, dtype))) for s in shapes] for _ in range(2 + states)]
    for layout in ("contiguous", "transposed"):
        theirs, mine = [[x.copy() for x in row] for row in made], [[placed(x, layout) for x in row] for row in made]
        for step in (1, 2):
            rest = {**DEFAULTS[name], **{k: v for k, v in options.items() if k != "amsgrad"}}
            rest |= {"first": step == 1} if name == "sgd" else {"step": step}
            for lists, table in ((theirs, reference), (mine, cuda)):
                padded = [*lists, *[None] * ((3 if name == "sgd" else 5) - len(lists))]
                getattr(table, name)(*padded, **rest)
        for a, b in zip(theirs, mine, strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_allclose(back(y), x, rtol=3e-5 if dtype == np.float32 else 1e-12, atol=1e-6)


def test_nothing_is_changed_if_one_parameter_is_elsewhere() -> None:
    p, options = placed(np.ones(3)), {**DEFAULTS["sgd"], "momentum": 0.0, "first": True}
    with pytest.raises(StateError, match="one on the CPU"):
        cuda.sgd([p, np.ones(3)], [placed(np.ones(3)), np.ones(3)], None, **options)
    np.testing.assert_array_equal(back(p), np.ones(3))


def test_a_kernel_that_is_missing_is_named() -> None:
    with pytest.raises(StateError, match="svd: there is no GPU kernel"):
        cuda.svd(placed(np.eye(2)), True)


@pytest.mark.parametrize("dtype", FLOATS)
def test_lists_take_one_launch_and_the_same_bits_as_one_by_one(dtype: Any, rng: Any, gpu: Any) -> None:
    shapes = [(3,), (4097,), (0, 2), (91, 95), (), (8192,), (5, 7)]
    made = [[np.asarray(abs(random(rng, s, dtype))) for s in shapes] for _ in range(5)]
    suffix = "f32" if dtype == np.float32 else "f64"
    for name, lists in (("sgd", 3), ("adam", 5)):
        rest = {**DEFAULTS[name], "weight_decay": 0.1} | (
            {"momentum": 0.9, "first": False} if name == "sgd" else {"step": 3}
        )
        together, apart = ([[placed(x) for x in row] for row in made[:lists]] for _ in range(2))
        before = gpu.launches.get(f"{name}_{suffix}", 0)
        for _ in range(2):
            getattr(cuda, name)(*together, **rest)
        assert gpu.launches[f"{name}_{suffix}"] == before + 2
        for _ in range(2):
            for some in zip(*apart, strict=True):
                getattr(cuda, name)(*[[x] for x in some], **rest)
        for a, b in zip(together, apart, strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(back(x), back(y))


def test_the_table_of_a_list_is_made_once_and_follows_the_arrays(gpu: Any, rng: Any) -> None:
    p, g = ([placed(random(rng, (n,), np.float32)) for n in (5, 5000)] for _ in range(2))
    options = {**DEFAULTS["sgd"], "momentum": 0.0, "first": False}
    gpu.tables.clear()
    for _ in range(3):
        cuda.sgd(p, g, None, **options)
    assert len(gpu.tables) == 1
    kept = []
    for _ in range(40):  # gradients elsewhere each time: tables are not hoarded, and the right ones are used
        kept.append(placed(np.ones(5, np.float32)))
        before = back(p[0])
        cuda.sgd(p, [kept[-1], g[1]], None, **options)
        np.testing.assert_allclose(back(p[0]), before - np.float32(0.1), rtol=1e-6)
    assert len(gpu.tables) <= 16


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "sliced"])
def test_norms_of_lists(layout: str, rng: Any, gpu: Any) -> None:
    shapes = [(3,), (91, 95), (0, 2), (), (4097,)]
    for dtypes in ([np.float32], [np.float64], [np.float32, np.float64]):
        made = [random(rng, s, d) for s in shapes for d in dtypes]
        mine = [placed(x, layout) for x in made]
        wanted = reference.total_norm([x.astype(np.float64) for x in made])
        launches = sum(gpu.launches.values())
        norm = cuda.total_norm(mine)
        copies = sum(not x.flags.c_contiguous for x in mine)
        assert sum(gpu.launches.values()) - launches == len(dtypes) + 1 + copies
        assert norm.dtype == dtypes[0]
        np.testing.assert_allclose(back(norm), wanted, rtol=1e-7)
        for most in (1e9, 2.5):
            cuda.limit_norm(mine, norm, most)
            reference.limit_norm(made, wanted, most)
            for x, y in zip(mine, made, strict=True):
                np.testing.assert_allclose(back(x), y, rtol=3e-7)
    for bad in (np.nan, np.inf):
        x = [placed(np.array([bad, 1.0], np.float32)), placed(np.ones(3, np.float32))]
        norm = cuda.total_norm(x)
        np.testing.assert_array_equal(back(norm), np.float32(bad))
        cuda.limit_norm(x, norm, 1.0)
        np.testing.assert_array_equal(back(x[1]), np.full(3, np.nan if bad != bad else 0, np.float32))
    assert back(cuda.total_norm([placed(np.zeros((0, 3), np.float32))])) == 0
