import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.data import (
    Standardize,
    Subset,
    TensorDataset,
    embedded,
    load_diabetes,
    load_digits,
    random_split,
    train_dev_test_split,
)


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(3, 200),
    dev=st.one_of(st.floats(0, 0.45), st.integers(0, 1)),
    test=st.one_of(st.floats(0, 0.45), st.integers(0, 1)),
    seed=st.integers(0, 2**64 - 1),
    order=st.sampled_from(["random", "block"]),
)
def test_no_row_in_two_splits_and_none_lost(size, dev, test, seed, order):
    x = np.arange(size, dtype=np.float32)[:, None]
    parts = list(train_dev_test_split((x, x), dev=dev, test=test, seed=seed, order=order))
    rows = np.concatenate([p.indices for p in parts])
    assert sorted(rows) == list(range(size))
    again = train_dev_test_split((x, x), dev=dev, test=test, seed=seed, order=order)
    assert all((a.indices == b.indices).all() for a, b in zip(parts, again, strict=True))


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(3, 60), min_size=2, max_size=6), seed=st.integers(0, 1000))
def test_classes_keep_their_proportions(counts, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    split = train_dev_test_split((np.arange(len(y), dtype=np.float32), y), dev=0.2, test=0.3, seed=seed)
    rows = np.concatenate([p.indices for p in split])
    assert sorted(rows) == list(range(len(y)))
    for part in split:
        for label, n in enumerate(counts):
            assert abs((y[part.indices] == label).sum() - n * len(part) / len(y)) < 2


def test_split_reports_duplicates_and_refuses_nonsense():
    x = np.zeros((10, 2), np.float32)
    y = np.arange(10) % 2
    split = train_dev_test_split((x, y), dev=2, test=3)
    assert [len(p) for p in split] == [5, 2, 3]
    assert split.duplicates == 5
    assert "copies" in str(split)
    for wrong, message in [
        ({"dev": 0.5, "test": 0.5}, "leave no training rows"),
        ({"dev": 1.5}, "fraction"),
        ({"dev": -1}, "negative"),
        ({"dev": True}, "fraction"),
        ({"order": "sorted"}, "block"),
    ]:
        with pytest.raises(ValueError, match=message):
            train_dev_test_split((x, y), **wrong)
    with pytest.raises(ValueError, match="too few"):
        train_dev_test_split((x, np.array([0] * 9 + [1])))
    with pytest.raises(ValueError, match="empty"):
        train_dev_test_split((x[:0], y[:0]))
    with pytest.raises(TypeError, match="integers"):
        train_dev_test_split((x, y + 0.5), stratify=True)
    with pytest.raises(ValueError, match="10, 9 rows"):
        train_dev_test_split((x, y[:9]))


def test_random_split_is_pytorchs():
    data = TensorDataset(np.arange(10))
    parts = random_split(data, [0.5, 0.25, 0.25], tg.Generator(1))
    assert [len(p) for p in parts] == [6, 2, 2]  # the one left over goes to the first
    assert sorted(np.concatenate([p.indices for p in parts])) == list(range(10))
    assert [len(p) for p in random_split(data, [7, 3])] == [7, 3]
    assert all(isinstance(p, Subset) for p in parts)
    with pytest.raises(ValueError, match="add up to 9"):
        random_split(data, [7, 2])


def test_standardize():
    x = np.random.default_rng(0).normal(3, 5, (50, 4)).astype(np.float32)
    x[:, 2] = 0.1
    scale = Standardize()
    with pytest.raises(ValueError, match="before fit"):
        scale.transform(x)
    z = scale.fit_transform(x[:40])
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(0), [1, 1, 0, 1], atol=1e-6)
    assert scale.constant == [2]
    np.testing.assert_allclose(scale.inverse_transform(scale(x)), x, rtol=1e-5)
    assert isinstance(scale(tg.tensor(x)), tg.Tensor)
    other = Standardize()
    other.load_state_dict(scale.state_dict())
    assert (other(x) == scale(x)).all()
    with pytest.raises(ValueError, match=r"rows of shape \(3,\)"):
        scale(x[:, :3])
    x[3, 1] = np.inf
    with pytest.raises(ValueError, match=r"inf at \[3, 1\]"):
        Standardize().fit(x)


def test_embedded_data():
    digits, diabetes = load_digits(), load_diabetes()
    assert (digits.X.shape, digits.X.dtype, digits.y.dtype) == ((1797, 64), np.float32, np.int64)
    assert digits.X.min() == 0
    assert digits.X.max() == 16
    assert np.bincount(digits.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (diabetes.X.shape, diabetes.y.shape) == ((442, 10), (442,))
    assert diabetes.columns[2] == "bmi"
    for source in (digits, diabetes):
        for word in ("source", "authors", "licence", "Columns", "Splits", "Traps"):
            assert word in source.card
    writer = digits.split("writer")
    assert writer.train.indices.max() < writer.dev.indices.min() < writer.dev.indices.max() < writer.test.indices.min()
    assert digits.split(seed=1).duplicates == 0
    with pytest.raises(ValueError, match="has no split"):
        diabetes.split("writer")


def test_embedded_data_are_scikit_learns():
    sklearn = pytest.importorskip("sklearn.datasets")
    assert (sklearn.load_digits().data == load_digits().X).all()
    assert (sklearn.load_diabetes(scaled=False).data.astype(np.float32) == load_diabetes().X).all()


def test_a_changed_data_file_is_refused(monkeypatch):
    monkeypatch.setitem(embedded.SHA256, "digits", hashlib.sha256(b"").hexdigest())
    with pytest.raises(ValueError, match="not the one that was shipped"):
        load_digits()
