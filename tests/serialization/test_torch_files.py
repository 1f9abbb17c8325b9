"""PyTorch's files: every dtype and layout comes over; whatever else a pickle may say is refused, and nothing is run."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.serialization import FileError

torch = pytest.importorskip("torch")
FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def written(value: Any, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def read(data: bytes) -> Any:
    return tg.load(io.BytesIO(data))


@FORMATS
def test_every_dtype_layout_and_container_comes_over(zipped: bool) -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    value = {
        **{str(d): torch.tensor([[1, 0, 3]]).to(d) for d in (torch.float32, torch.float64, torch.int64, torch.int32,
           torch.int16, torch.int8, torch.uint8, torch.bool)},
        "half": torch.tensor([1.5, -0.1, 65504.0]).half(), "bfloat16": torch.tensor([1.5, -0.1, 1e38]).bfloat16(),
        "turned": base.T, "sliced": base[1:3, ::2], "row": base[2], "expanded": torch.ones(1, 3).expand(4, 3),
        "empty": torch.zeros(0, 3), "number": torch.tensor(2.5), "parameter": torch.nn.Parameter(torch.ones(2)),
        "grad": torch.ones(2, requires_grad=True), "size": torch.Size([2, 3]), "dtype": torch.float64,
        "plain": [1, -2, 2**40, -(2**70), 2.5, float("inf"), None, True, "text", (), (1, 2), (1, 2, 3, 4), [], {}],
        "ordered": OrderedDict(a=1, b=[2]), "keys": {1: 2, 2.5: 3, None: 4}, "set": {1, 2},
    }  # fmt: skip
    got = read(written(value, zipped))
    assert list(got) == list(value)
    for name, wanted in value.items():
        if isinstance(wanted, torch.Tensor):
            plain = wanted.detach().float() if wanted.dtype in (torch.half, torch.bfloat16) else wanted.detach()
            assert got[name].dtype == plain.numpy().dtype
            np.testing.assert_array_equal(got[name].detach().numpy(), plain.numpy())
            assert got[name].requires_grad == wanted.requires_grad
    for name in ("plain", "ordered", "keys", "set"):
        assert got[name] == value[name]
        assert type(got[name]) is type(value[name])
    assert got["size"] == (2, 3)
    assert got["dtype"] == tg.float64
    got["row"][0] = -1.0  # views of one storage share it
    assert got["turned"][0, 2].item() == -1.0


@FORMATS
def test_a_models_and_an_optimisers_state_come_over(zipped: bool) -> None:
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2), torch.nn.BatchNorm1d(2))
    adam = torch.optim.Adam(theirs.parameters(), lr=0.3)
    (theirs(torch.randn(5, 3)) ** 3).sum().backward()
    adam.step()
    state = read(written({"model": theirs.state_dict(), "optimizer": adam.state_dict()}, zipped))
    ours = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.BatchNorm1d(2))
    ours.load_state_dict(state["model"])
    optimiser = tg.optim.Adam(ours.parameters())
    optimiser.load_state_dict(state["optimizer"])
    assert optimiser.param_groups[0]["lr"] == 0.3
    x = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    for model, library in ((ours, tg), (theirs, torch)):
        model.zero_grad()
        (model.eval()(library.tensor(x)) ** 3).sum().backward()
    optimiser.step()
    adam.step()
    np.testing.assert_allclose(ours[0].weight.tolist(), theirs[0].weight.tolist(), rtol=1e-4, atol=1e-5)


def test_whole_models_are_refused_with_the_way_out() -> None:
    with pytest.raises(FileError, match=r"names torch.nn.modules.linear.Linear, .*save its state_dict"):
        read(written(torch.nn.Linear(2, 2)))


class Evil:
    """Pickles into a call of anything."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


def archive(pickled: bytes, **records: bytes) -> bytes:
    """A zip file as PyTorch makes it, around any pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, data in {"data.pkl": pickled, "byteorder": b"little", "data/0": bytes(16), **records}.items():
            out.writestr(f"archive/{name}", data)
    return buffer.getvalue()


def test_no_call_in_a_pickle_is_made(tmp_path: Path) -> None:
    marker = tmp_path / "was run"
    calls = [(os.system, f"touch '{marker}'"), (eval, f"open({str(marker)!r}, 'w')"), (exec, "1"),
             (open, str(marker), "w"), (getattr, "x", "upper"), (print, "x"), (type, "X", (), {}),
             (bytearray, 10**12), (range, 10**12)]  # fmt: skip
    for call in calls:
        for protocol in range(6):
            for value in (Evil(*call), {"state": [Evil(*call)]}, OrderedDict(a=Evil(*call))):
                pickled = pickle.dumps(value, protocol)
                for data in (archive(pickled), pickled):
                    with pytest.raises(FileError):
                        read(data)
    for value in ([Evil(torch.load, "x")], torch.nn.Linear, np.float64(3), np.ones(3), Path("x"), slice(1), 1j):
        with pytest.raises(FileError, match=r"not let in|no place"):
            read(archive(pickle.dumps(value, 2)))
    assert not marker.exists()


def tensor_pickle(offset: Any, size: Any, stride: Any, count: int = 4, kind: str = "FloatStorage") -> bytes:
    """A pickle of one tensor with these numbers, written by hand."""
    plain = lambda v: pickle.dumps(v, 2)[2:-1]
    storage = b"(" + plain("storage") + f"ctorch\n{kind}\n".encode() + plain("0") + plain("cpu") + plain(count) + b"tQ"
    rest = plain(offset) + plain(size) + plain(stride) + plain(False) + plain({}) + b"tR"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"."


@pytest.mark.parametrize(
    "numbers",
    [(0, (5,), (1,)), (1, (4,), (1,)), (0, (2, 3), (3, 1)), (-1, (1,), (1,)), (0, (-1,), (1,)), (0, (2,), (-1,)),
     (0, (2,), (2**62,)), (2**63, (1,), (1,)), (0, (2**62, 2**62), (0, 0)), (0, (2**40,), (0,)), (0, (2,), (1, 1)),
     (0.0, (2,), (1,)), (0, 2, 1), (True, (2,), (1,)), (5, (0,), (1,)), (0, (2,), (1,), 5), (0, (2,), (1,), -4),
     (0, (2,), (1,), 2**61), (0, (2,), (1,), 4, "DoubleStorage"), (0, (1,) * 100, (1,) * 100),
     (0, ("a",), (1,)), (None, (1,), (1,))],
)  # fmt: skip
def test_tensors_that_leave_their_storage_are_refused(numbers: Any) -> None:
    assert read(archive(tensor_pickle(0, (2, 2), (2, 1)))).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(FileError):
        read(archive(tensor_pickle(*numbers)))


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return b"\x80\x02" + opening * depth + closing * depth + b"."


@pytest.mark.parametrize(
    "pickled",
    [
        nested(200_000, b"]", b"a").replace(b"]" * 200_000, b"]" * 200_001),  # lists in lists
        b"\x80\x02" + b")" + b"\x85" * 200_000 + b".",  # tuples in tuples
        b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"Ns.",  # such a tuple as a key, to be hashed
        b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
        b"\x80\x02}q\x00K\x01h\x00s.",
        b"\x80\x02X\xff\xff\xff\xff.",  # a text of 4 GB
        b"\x80\x02\x8d" + b"\xff" * 8 + b".",
        b"\x80\x02\x8b\xff\xff\xff\x7f.",
        b"\x80\x02(((((.",
        b"\x80\x02.",
        b"\x80\x02K\x01K\x02.",
        b"\x80\x02h\x05.",
        b"\x80\x07N.",
        b"\x80\x02cos\nsystem\n.",
        b"\x80\x02ctorch\nFloatStorage\n.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02}}b.",
        b"\x80\x02ccollections\nOrderedDict\n)R]b.",
        b"\x80\x02ccollections\nOrderedDict\n(]tR" * 3 + b".",
        b"\x80\x02ctorch\nSize\nX\x01\x00\x00\x00a\x85R.",
        b"",
    ],
    ids=range(21),
)
def test_bombs_and_nonsense_are_refused(pickled: bytes) -> None:
    with pytest.raises(FileError):
        read(archive(pickled))


def test_lists_that_share_a_list_a_million_fold_cost_nothing() -> None:
    pickled = b"\x80\x02]q\x00" + b"".join(b"(h%sh%se" % (b"", b"") for _ in range(0))
    levels = b"\x80\x02]q\x00" + b"".join(
        b"0](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(40)
    )
    assert len(read(archive(levels + b"."))) == 2
    assert read(archive(pickled + b".")) == []


@FORMATS
def test_flips_and_truncations_never_crash_nor_pass_the_archives_checksums(zipped: bool) -> None:
    value = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.int64), "n": [1, "x", None]}
    good, rng = written(value, zipped), random.Random(2)
    expected = str(read(good))
    for _ in range(1500):
        bad = bytearray(good)
        bit = rng.randrange(8 * len(good))
        bad[bit // 8] ^= 1 << bit % 8
        try:
            got = str(read(bytes(bad)))
        except FileError:
            continue
        assert got == expected or not zipped  # the older format has no checksums
    for size in rng.sample(range(len(good)), 100):
        with pytest.raises(FileError):
            read(good[:size])


def test_random_pickles_are_read_or_refused() -> None:
    value = {"w": torch.arange(4.0), "n": [1, "x", (None, 2.5), OrderedDict(a=torch.ones(1))]}
    with zipfile.ZipFile(io.BytesIO(written(value))) as source:
        good = source.read("archive/data.pkl")
    rng, refused = random.Random(3), 0
    for _ in range(4000):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(bad))
            if rng.random() < 0.5:
                bad[place] = rng.randrange(256)
            else:
                bad[place : place + rng.randint(0, 3)] = bytes(rng.randrange(256) for _ in range(rng.randint(0, 3)))
        try:
            read(archive(bytes(bad), **{"data/0": bytes(16), "data/1": bytes(4)}))
        except FileError:
            refused += 1
    assert 0 < refused <= 4000


def test_archives_of_another_kind_are_refused() -> None:
    good = pickle.dumps({"a": 1}, 2)
    assert read(archive(good)) == {"a": 1}
    with pytest.raises(FileError, match="big-endian"):
        read(archive(good, byteorder=b"big"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("archive/data.pkl", good + bytes(10**6))
    with pytest.raises(FileError, match="compressed"):
        read(buffer.getvalue())
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as out:
        out.writestr("readme.txt", "hello")
    with pytest.raises(FileError, match=r"no data\.pkl"):
        read(buffer.getvalue())
    legacy = bytearray(written({"w": torch.ones(2)}, False))
    legacy[-16:-8] = struct.pack("<q", 2**40)
    with pytest.raises(FileError, match="another length"):
        read(bytes(legacy))
