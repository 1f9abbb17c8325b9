"""Blobs and spirals: what their docstrings say of them."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu.data import blobs, spirals


@pytest.mark.parametrize("make", [blobs, spirals])
def test_shapes_seeds_and_refusals(make) -> None:
    points, kinds = (t.numpy() for t in make(500, seed=3).tensors)
    assert (points.shape, points.dtype) == ((500, 2), np.float32)
    assert (kinds.shape, kinds.dtype) == ((500,), np.int64)
    assert set(kinds) == {0, 1}
    np.testing.assert_array_equal(points, make(500, seed=3).tensors[0].numpy())
    assert not np.array_equal(points, make(500, seed=4).tensors[0].numpy())
    for n in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match=f"{make.__name__}: n is"):
            make(n)


def test_a_line_parts_the_blobs() -> None:
    points, kinds = (t.numpy() for t in blobs(20_000).tensors)
    wrong = float(np.mean((points.sum(1) > 0) != kinds))
    assert 0.0015 < wrong < 0.0035  # the normal tail beyond √2 / ½: 0.0023


def test_the_spirals_are_each_others_image_and_apart() -> None:
    points, kinds = (t.numpy() for t in spirals(4000, noise=0.0).tensors)
    radius = np.linalg.norm(points, axis=1) * 9
    angle = np.arctan2(points[:, 1], points[:, 0])
    off = (radius + np.pi * kinds - angle + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(off).max() < 1e-4
    with pytest.raises(ValueError, match="noise is -1"):
        spirals(10, noise=-1)
