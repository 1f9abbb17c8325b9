import errno
import os
import pickle
import random

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu import train as T
from tinygrad_edu.serialization import files
from tinygrad_edu.train import checkpoint

F = nn.functional


def make(width=4):
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1))
    return T.Trainer(model, F.mse_loss, optim.Adam(model.parameters(), lr=0.01), progress="none")


X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
DATA = (X, X.sum(1, keepdims=True))


@pytest.fixture
def saved(tmp_path):
    trainer = make()
    trainer.fit(DATA, epochs=2)
    path = tmp_path / "c.safetensors"
    trainer.save(path)
    return path


def state_of(trainer):
    moments = {i: {k: str(v) for k, v in s.items()} for i, s in trainer.optimizer.state_dict()["state"].items()}
    return T.fingerprint(trainer.model), moments, tg.default_generator.get_state()


def refused(path, match, width=4):
    """Resuming from `path` raises CheckpointError that names the file, and changes nothing."""
    trainer = make(width)
    before = state_of(trainer)
    with pytest.raises(T.CheckpointError, match=match) as caught:
        trainer.fit(DATA, epochs=4, resume=path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert state_of(trainer) == before


def test_any_tree_comes_back(tmp_path):
    turned = np.arange(6, dtype=np.float64).reshape(2, 3).T
    tree = {
        "numbers": [1, -2.5, 1e-300, float("inf"), True, None, 2**64 - 1, np.float32(0.1), "text", "ünïcode"],
        "tuple": (0.9, 0.999),
        "by number": {0: {"m": tg.tensor([1.0, 2.0])}, 1: {}},
        "arrays": {"turned": turned, "empty": np.zeros((0, 3)), "scalar": np.array(3.0), "b": turned > 2},
        "__odd": {"__tensor__": "a name"},
        "a": {"b": np.ones(2)},
        "a.b": np.zeros(3),
    }
    path = tmp_path / "tree"
    T.save_checkpoint(path, tree)
    back = T.load_checkpoint(path)
    assert back["numbers"] == [*tree["numbers"][:7], float(np.float32(0.1)), "text", "ünïcode"]
    assert back["tuple"] == (0.9, 0.999)
    assert list(back["by number"]) == [0, 1]
    assert isinstance(back["by number"][0]["m"], tg.Tensor)
    assert back["__odd"] == {"__tensor__": "a name"}
    for name, array in tree["arrays"].items():
        assert back["arrays"][name].dtype == array.dtype
        assert back["arrays"][name].shape == array.shape
        assert (back["arrays"][name] == array).all()
    assert back["a"]["b"].tolist() == [1, 1]
    assert back["a.b"].tolist() == [0, 0, 0]
    with pytest.raises(TypeError, match=r"cannot hold x\.0"):
        T.save_checkpoint(path, {"x": [object()]})
    assert T.load_checkpoint(path)["tuple"] == (0.9, 0.999)


def test_headers_of_every_length(tmp_path):
    """The file begins with the header's length, some of which look like the first bytes of a pickle."""
    for length in range(0, 1024, 8):
        T.save_checkpoint(tmp_path / "c", {"text": "x" * length})
        assert T.load_checkpoint(tmp_path / "c") == {"text": "x" * length}


def test_truncated_anywhere(saved):
    data = saved.read_bytes()
    for length in [*range(12), *range(12, len(data), len(data) // 60)]:
        saved.write_bytes(data[:length])
        with pytest.raises(T.CheckpointError, match=saved.name):
            T.load_checkpoint(saved)
    saved.write_bytes(data[:-1])
    refused(saved, "damaged")
    saved.write_bytes(data + b"\0")
    refused(saved, "damaged")


def test_every_bit_flip_is_noticed(saved):
    data = saved.read_bytes()
    rng = random.Random(0)
    places = {rng.randrange(8 * len(data)) for _ in range(700)} | set(range(64))
    for place in places:
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        saved.write_bytes(damaged)
        with pytest.raises(T.CheckpointError):
            T.load_checkpoint(saved)
    damaged = bytearray(data)
    damaged[-1] ^= 1
    saved.write_bytes(damaged)
    refused(saved, r"checksum of tensor (model|optimizer)\.")


def test_foreign_files(saved, tmp_path):
    from safetensors.numpy import save_file

    ran = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(ran),)

    foreign = {
        "could run code": pickle.dumps(Bomb()),
        "PyTorch": b"PK\x03\x04 and so on",
        "damaged or not": b"epoch,loss\n1,2\n" * 50,
        "not a checkpoint": b"",
    }
    for match, content in foreign.items():
        saved.write_bytes(content)
        refused(saved, match)
    assert not ran.exists()
    save_file({"0.weight": np.zeros((4, 3), np.float32)}, saved)
    refused(saved, "not a checkpoint of tinygrad_edu")
    refused(tmp_path / "missing", "no such checkpoint")
    refused_folder = tmp_path / "folder"
    (refused_folder / "ckpt" / "last.safetensors").mkdir(parents=True)
    refused(refused_folder, "cannot be read")


def test_wrong_version(saved, monkeypatch):
    monkeypatch.setattr(checkpoint, "VERSION", "2")
    refused(saved, "version 1; this release reads 2")


def test_another_models_checkpoint(saved):
    refused(saved, r"0\.weight is float32 \(4, 3\) in the file, float32 \(5, 3\) here", width=5)


def test_an_optimiser_state_of_other_shape(saved):
    tree = T.load_checkpoint(saved)
    for entries in tree["optimizer"]["state"]["state"].values():
        for key in entries:
            if isinstance(entries[key], tg.Tensor) and entries[key].ndim:
                entries[key] = tg.zeros(7)
    T.save_checkpoint(saved, tree)
    refused(saved, r"optimiser tensor \w+ of parameter 0 has shape \(7,\)")


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(saved, tmp_path, monkeypatch, call):
    before = saved.read_bytes()

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    class FullFile:
        def __init__(self, path, mode):
            self.file = open(path, mode)  # noqa: SIM115

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        write = full

    if call in ("open", "write"):
        monkeypatch.setattr(files, "open", full if call == "open" else FullFile, raising=False)
    else:
        monkeypatch.setattr(files.os, call, full)
    trainer = make()
    with pytest.raises(OSError, match=r"No space left on device \(the file written before it is intact: .*safetensors"):
        trainer.save(saved)
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [saved.name]


def test_a_full_disk_during_training_is_resumable(tmp_path, monkeypatch):
    trainer = make()
    trainer = T.Trainer(trainer.model, F.mse_loss, trainer.optimizer, run_dir=tmp_path, progress="none")
    real, calls = os.replace, []

    def sometimes(*args):
        calls.append(args)
        if len(calls) == 9:  # three files an epoch
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*args)

    monkeypatch.setattr(files.os, "replace", sometimes)
    with pytest.raises(OSError, match="No space left"):
        trainer.fit(DATA, epochs=5)
    monkeypatch.undo()
    assert T.load_checkpoint(tmp_path / "ckpt" / "last.safetensors")["epoch"] == 2
    whole, rest = make(), make()
    whole.fit(DATA, epochs=5)
    rest = T.Trainer(rest.model, F.mse_loss, rest.optimizer, run_dir=tmp_path, progress="none")
    rest.fit(DATA, epochs=5, resume="auto")
    assert T.fingerprint(rest.model) == T.fingerprint(whole.model)


def test_the_fingerprint_sees_every_bit():
    trainer = make()
    before = T.fingerprint(trainer.model)
    weight = trainer.model[0].weight.detach().numpy()
    weight[0, 0] = np.nextafter(weight[0, 0], np.float32(9))
    assert T.fingerprint(trainer.model) != before
