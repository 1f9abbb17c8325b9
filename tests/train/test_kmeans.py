"""k_means finds the groups that are there, and is as good as scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu.data import load_digits
from tinygrad_edu.train import k_means


def test_groups_that_are_there_are_found() -> None:
    draw = np.random.default_rng(0)
    middles = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
    rows = np.concatenate([middle + draw.normal(size=(30, 2)) for middle in middles])
    found = k_means(rows, 4, seed=1)
    groups = found.labels.reshape(4, 30)
    assert (groups == groups[:, :1]).all()
    assert sorted(groups[:, 0]) == [0, 1, 2, 3]
    np.testing.assert_allclose(found.centers[groups[:, 0]], rows.reshape(4, 30, 2).mean(1), rtol=1e-12)
    inside = rows.reshape(4, 30, 2) - rows.reshape(4, 30, 2).mean(1, keepdims=True)
    assert found.inertia == pytest.approx((inside**2).sum(), rel=1e-9)
    assert (k_means(rows, 4, seed=1).labels == found.labels).all()


def test_digits_are_grouped_as_well_as_scikit_learn_does() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    rows = load_digits().X.astype(np.float64)
    theirs = cluster.KMeans(10, n_init=4, random_state=0).fit(rows)
    assert k_means(rows, 10, seed=0).inertia < 1.01 * theirs.inertia_


def test_one_step_from_the_same_centres_is_lloyds() -> None:
    """From the end of ours scikit-learn has nothing left to do: the result is a fixed point."""
    cluster = pytest.importorskip("sklearn.cluster")
    rows = load_digits().X[:300].astype(np.float64)
    ours = k_means(rows, 5, seed=3, tries=1)
    theirs = cluster.KMeans(5, init=ours.centers, n_init=1).fit(rows)
    assert (theirs.labels_ == ours.labels).all()
    np.testing.assert_allclose(theirs.cluster_centers_, ours.centers, atol=1e-9)


def test_small_and_equal_rows() -> None:
    assert k_means([[1.0], [1.0], [1.0]], 2).inertia == 0.0
    everyone = k_means([[1.0], [2.0], [4.0]], 3)
    assert everyone.inertia == 0.0
    assert sorted(everyone.labels) == [0, 1, 2]
    assert k_means([[1.0], [3.0]], 1).centers.tolist() == [[2.0]]


@pytest.mark.parametrize(("rows", "k"), [([[1.0]], 2), ([[1.0]], 0), ([1.0, 2.0], 1), (np.empty((0, 2)), 1)])
def test_refusals(rows: object, k: int) -> None:
    with pytest.raises(ValueError, match="k_means: "):
        k_means(rows, k)


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        k_means([[1.0], [np.nan]], 1)
