"""Convolutions, pools, tables, normalisation and attention against the reference; see test_kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.cuda.arrays import FLOATS, back, check, placed, random
from tinygrad_edu.errors import RangeError
from tinygrad_edu.kernels import cuda

LAYOUTS = ["contiguous", "transposed", "sliced"]


@pytest.fixture
def rng() -> Any:
    return np.random.default_rng(11)


# x (N, C, *S), outputs, kernel, stride, padding, dilation, groups
CONVOLUTIONS = [
    ((2, 3, 8), 4, (3,), (1,), (1,), (1,), 1),
    ((2, 4, 9), 6, (2,), (2,), (0,), (2,), 2),
    ((2, 1, 8, 8), 8, (3, 3), (1, 1), (0, 0), (1, 1), 1),
    ((3, 4, 7, 5), 6, (3, 2), (2, 1), (1, 0), (1, 2), 2),
    ((2, 4, 6, 6), 4, (3, 3), (2, 3), (2, 1), (1, 1), 4),
    ((1, 2, 5, 4, 6), 3, (2, 3, 2), (2, 1, 3), (1, 1, 0), (1, 1, 2), 1),
    ((0, 2, 5, 5), 3, (3, 3), (1, 1), (0, 0), (1, 1), 1),
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(case: Any, dtype: Any, rng: Any) -> None:
    shape, outputs, kernel, *geometry, groups = case
    weight = (outputs, shape[1] // groups, *kernel)
    size = 30 * float(np.prod(weight[1:]))
    for layout in LAYOUTS:
        x, w, b = (placed(random(rng, s, dtype), layout) for s in (shape, weight, (outputs,)))
        y = check("convolve", [x, w, b], *geometry, groups, scale=size)
        check("convolve", [x, w, None], *geometry, groups, scale=size)
        g = placed(random(rng, y.shape, dtype), layout)
        check("convolve_input_gradient", [g, w], shape[2:], *geometry, groups, scale=size * outputs)
        for name in ("convolve_weight_gradient", "convolve_parameter_gradients"):
            check(name, [g, x], kernel, *geometry, groups, scale=size * max(y.size, 1))
    with pytest.raises(ValueError, match="gives outputs of"):
        cuda.convolve_input_gradient(g, w, tuple(n + 9 for n in shape[2:]), *geometry, groups)


# x (N, C, *S), kernel, stride, padding, dilation
POOLS = [
    ((2, 3, 9), (3,), (2,), (1,), (1,)),
    ((2, 2, 8, 7), (2, 2), (2, 2), (0, 0), (1, 1)),
    ((1, 3, 7, 9), (3, 2), (2, 3), (1, 1), (2, 1)),
    ((1, 2, 4, 5, 6), (2, 3, 2), (1, 2, 2), (1, 1, 0), (1, 1, 2)),
    ((0, 2, 4, 4), (2, 2), (2, 2), (0, 0), (1, 1)),
]


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", POOLS)
def test_pools(case: Any, dtype: Any, ceil_mode: bool, rng: Any) -> None:
    shape, kernel, stride, padding, dilation = case
    for layout in LAYOUTS:
        values = random(rng, shape, dtype)
        values = np.round(values) if layout == "sliced" else values  # equal entries: the first wins
        if values.size:
            values.reshape(-1)[3:5] = np.nan
            values.reshape(-1)[:3] = -np.inf
        x = placed(values, layout)
        y, places = check("max_pool", [x], kernel, stride, padding, dilation, ceil_mode)
        g = placed(random(rng, y.shape, dtype), layout)
        check("scatter_planes", [g, places], shape[2:], scale=20)
        x = placed(random(rng, shape, dtype), layout)
        for rest in ((True, None), (False, None), (True, 3)):
            y = check("avg_pool", [x], kernel, stride, padding, ceil_mode, *rest, scale=4)
            g = placed(random(rng, y.shape, dtype), layout)
            check("avg_pool_backward", [g], shape[2:], kernel, stride, padding, ceil_mode, *rest, scale=20, ulps=8)


def test_positions_outside_a_plane_are_told() -> None:
    y = cuda.scatter_planes(placed(np.ones((1, 1, 2))), placed(np.array([[[0, 9]]])), (4,))
    with pytest.raises(RangeError, match="scatter_planes: index 9"):
        back(y)


@pytest.mark.parametrize("dtype", FLOATS)
def test_tables(dtype: Any, rng: Any) -> None:
    for rows, width, shape in [(5, 3, (4, 2)), (300, 65, (70,)), (1, 1, ()), (4, 7, (0, 3)), (3, 0, (2,))]:
        table, index = random(rng, (rows, width), dtype), np.asarray(rng.integers(0, rows, shape))
        for layout in LAYOUTS:
            arrays = [placed(table, layout), placed(index, layout)]
            y = check("take", arrays, ulps=0)
            g = placed(random(rng, y.shape, dtype), layout)
            for padding in (-1, 0):
                check("take_backward", [g, arrays[1]], rows, padding, scale=30)
    table, g = placed(np.ones((3, 2))), placed(np.ones((2, 2)))
    for call in (lambda i: cuda.take(table, i), lambda i: cuda.take_backward(g, i, 3, -1)):
        for bad in (-1, 3):
            y = call(placed(np.array([0, bad])))
            with pytest.raises(RangeError, match=f"take: index {bad} is out of range"):
                back(y)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("weighted", [False, True])
def test_norms(weighted: bool, dtype: Any, rng: Any) -> None:
    for shape in [(4, 7), (3,), (2, 3, 65), (5, 1), (0, 4), (70, 300)]:
        for layout in LAYOUTS:
            x, g = (placed(random(rng, shape, dtype), layout) for _ in range(2))
            w, b = (placed(random(rng, shape[-1:], dtype), layout) if weighted else None for _ in range(2))
            size = 50 * max(float(np.prod(shape)), 1)
            _, mean, rstd = check("layer_norm", [x, w, b], 1e-5, scale=10, ulps=8)
            check("layer_norm_backward", [g, x, mean, rstd, w], scale=size, ulps=8)
            _, rstd = check("rms_norm", [x, w], 1e-5, scale=10, ulps=8)
            check("rms_norm_backward", [g, x, rstd, w], scale=size, ulps=8)
    for shape in [(4, 3, 1), (2, 5, 9), (3, 1, 70), (33, 4, 5)]:
        for layout in LAYOUTS:
            x, g = (placed(random(rng, shape, dtype), layout) for _ in range(2))
            w, b = (placed(random(rng, shape[1:2], dtype), layout) if weighted else None for _ in range(2))
            _, mean, rstd = check("batch_norm", [x, w, b], 1e-5, scale=10, ulps=8)
            check("batch_norm_backward", [g, x, mean, rstd, w], scale=50 * float(np.prod(shape)), ulps=8)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal: bool, dtype: Any, rng: Any) -> None:
    for batch, t, s, d, e, masks in [
        (2, 5, 5, 4, 3, 0),
        (4, 3, 7, 8, 8, 2),
        (1, 70, 65, 5, 2, 1),
        (2, 3, 0, 4, 2, 0),
        (2, 67, 131, 17, 33, 0),
        (2, 35, 33, 65, 128, 2),
        (1, 3, 5, 130, 7, 1),
    ]:
        for layout in LAYOUTS:
            q, k, v = (random(rng, shape, dtype) / 2 for shape in ((batch, t, d), (batch, s, d), (batch, s, e)))
            mask = np.where(rng.random((masks, t, s)) < 0.3, -np.inf, 0.5).astype(dtype) if masks else None
            if masks:
                mask[0, 0] = -np.inf  # a row that sees no key
            arrays = [placed(x, layout) for x in (q, k, v)]
            added = None if mask is None else placed(mask, layout)
            y, lse = check("attention", [*arrays, added], causal, 0.5, scale=10, ulps=30)
            g = placed(random(rng, y.shape, dtype), layout)
            with np.errstate(all="ignore"):
                from tinygrad_edu.kernels import reference

                wanted = reference.attention_backward(
                    *[back(a).astype(np.float64) for a in (g, *arrays)], None if mask is None else mask.astype(float),
                    causal, 0.5, back(y).astype(float), back(lse).astype(float),
                )  # fmt: skip
            for mine, theirs in zip(
                cuda.attention_backward(g, *arrays, added, causal, 0.5, y, lse), wanted, strict=True
            ):
                near = (1e-5 if dtype == np.float32 else 1e-13) * max(20.0, np.abs(theirs).max(initial=0))
                np.testing.assert_allclose(back(mine), theirs, rtol=0, atol=near)


def test_attention_of_samples_and_heads(rng: Any) -> None:
    """The batch may be two sizes: the same bits as of one."""
    q, k, v, g = (random(rng, (2, 3, 9, 8), np.float32) for _ in range(4))
    arrays = [placed(x) for x in (q, k, v)]
    y, lse = cuda.attention(*arrays, None, True, 0.3)
    found = [y, lse, *cuda.attention_backward(placed(g), *arrays, None, True, 0.3, y, lse)]
    flat = [placed(x.reshape(6, 9, 8)) for x in (q, k, v)]
    y, lse = cuda.attention(*flat, None, True, 0.3)
    wanted = [y, lse, *cuda.attention_backward(placed(g.reshape(6, 9, 8)), *flat, None, True, 0.3, y, lse)]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(back(a), back(b).reshape(a.shape))


def test_attention_keeps_nan_to_its_rows_and_repeats_its_bits(rng: Any) -> None:
    q, k, v = (random(rng, (2, 70, 20), np.float32) for _ in range(3))
    q[1, 3, 0] = np.nan
    arrays = [placed(x) for x in (q, k, v)]
    results = []
    for _ in range(2):
        y, lse = cuda.attention(*arrays, None, True, 0.3)
        results.append([back(x) for x in (y, lse, *cuda.attention_backward(y, *arrays, None, True, 0.3, y, lse))])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    y, lse = results[0][:2]
    assert np.isnan(y[1, 3]).all()
    assert np.isnan(lse[1, 3])
    assert np.isnan(y).sum() == 20
    assert np.isnan(results[0][2][1, 3]).all()
