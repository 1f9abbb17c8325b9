"""Cases that a mutation run asked for (tests/cuda_host/mutate.py): each kills a change of a kernel that lived."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.cuda.arrays import FLOATS, back, check, placed
from tinygrad_edu.kernels import cuda, reference
from tinygrad_edu.kernels.cuda.signatures import BACKWARD, COMPARISONS


def test_optimisers_add_epsilon_where_it_matters() -> None:
    rest = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 0.5, "weight_decay": 0.0, "decoupled": False}
    arrays = [np.linspace(0.1, 2, 7) * k for k in (1, 2, 0.3, 0.1)]  # parameters, gradients, means, squares
    theirs, mine = ([[put(a.copy())] for a in arrays] for put in (np.asarray, placed))
    for table, lists in ((reference, theirs), (cuda, mine)):
        table.adam(*lists, None, maximize=False, step=2, **rest)
    np.testing.assert_allclose(back(mine[0][0]), theirs[0][0], rtol=1e-12)


@pytest.mark.parametrize("name", COMPARISONS)
def test_of_two_equal_numbers(name: str) -> None:
    for dtype in FLOATS:
        a, b = np.array([[1, 2, 3, -1, 0], [1, 3, 2, 1, -0.0]], dtype)
        check(name, [placed(a), placed(b)])


def test_softplus_is_a_line_from_its_threshold_on() -> None:
    """Of x · β; just below it the difference from a line shows in float64."""
    for beta, threshold in ((1.5, 9.0), (0.5, 3.0), (2.0, 20.0)):
        at = threshold / beta
        x = placed(np.array([at, np.nextafter(at, 99), np.nextafter(at, 0), at - 1, at + 1, -1, 0.5]))
        check("softplus", [x], beta, threshold, ulps=4)
        check("softplus_backward", [placed(np.linspace(1, 2, 7)), x], beta, threshold, ulps=8)


@pytest.mark.parametrize("name", BACKWARD)
def test_derivatives_at_zero(name: str) -> None:
    """Where activations have a corner, and β, α and slopes are none that hide it."""
    rest = {"leaky_relu": (0.25,), "softplus": (1.5, 20.0), "elu": (0.7,), "gelu": (False,)}
    for dtype in FLOATS:
        x = placed(np.array([0, -0.0, 1e-30, -1e-30, 2, -2], dtype))
        check(
            name, [placed(np.linspace(1, 2, 6).astype(dtype)), x], *rest.get(name.removesuffix("_backward"), ()), ulps=8
        )


def test_one_block_does_what_many_would(gpu: Any) -> None:
    """What lies in shared memory is not written to before all threads have read it."""
    x = np.random.default_rng(0).integers(0, 50, (5, 600)).astype(np.float32)
    order = gpu.empty((5, 600), np.int64)
    gpu.launch("sort_runs_f32", (1,), (256,), order, placed(x), 5, 600, 0)
    runs = [np.argsort(x[:, k : k + 256], axis=1, kind="stable") + k for k in (0, 256, 512)]
    np.testing.assert_array_equal(back(order), np.concatenate(runs, axis=1))
    sums = gpu.empty((5, 600), np.float32)
    gpu.launch("cumsum_f32", (1,), (256,), sums, placed(x), 5, 600)
    np.testing.assert_array_equal(back(sums), np.cumsum(x, 1))
