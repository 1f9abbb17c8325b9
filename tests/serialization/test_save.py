"""`save` and `load`: what comes back, what is refused, and that a file is the old one or the new one."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.serialization import FileError


def same(a: Any, b: Any) -> bool:
    if isinstance(a, tg.Tensor) and isinstance(b, tg.Tensor):
        a, b = a.detach().numpy(), b.detach().numpy()
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and (a.shape, a.dtype) == (b.shape, b.dtype) and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)


def example() -> dict[str, Any]:
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimiser = optim.Adam(model.parameters(), lr=0.1)
    model(tg.randn(5, 3)).sum().backward()
    optimiser.step()
    return {"model": model.state_dict(), "optimizer": optimiser.state_dict(), "epoch": 3, "best": 0.25}


def test_states_come_back_from_paths_and_files(tmp_path: Path) -> None:
    tree = {**example(), "more": [None, True, (1, 2.5), float("nan"), "ünï", {1: 2}, tg.float64], "t": tg.ones(2, 0)}
    tg.save(tree, tmp_path / "a.pt")
    assert same(tg.load(tmp_path / "a.pt", map_location="cpu", weights_only=True), tree)
    assert isinstance(tg.load(tmp_path / "a.pt")["model"], OrderedDict)
    buffer = io.BytesIO()
    tg.save(tree, buffer)
    assert buffer.getvalue() == (tmp_path / "a.pt").read_bytes()
    buffer.seek(0)
    assert same(tg.load(buffer), tree)
    tg.save(tg.arange(3), str(tmp_path / "one"))
    assert tg.load(str(tmp_path / "one")).tolist() == [0, 1, 2]


def test_a_run_goes_on_from_a_file(tmp_path: Path) -> None:
    def fresh() -> tuple[Any, Any]:
        model = nn.Linear(3, 2)
        return model, optim.AdamW(model.parameters(), lr=0.1)

    def advance(model: Any, optimiser: Any) -> None:
        model.zero_grad()
        (model(tg.ones(4, 3)) ** 2).sum().backward()
        optimiser.step()

    one = fresh()
    for _ in range(3):
        advance(*one)
    tg.save([part.state_dict() for part in one], tmp_path / "f")
    other = fresh()
    for part, state in zip(other, tg.load(tmp_path / "f"), strict=True):
        part.load_state_dict(state)
    for pair in (one, other):
        advance(*pair)
    assert one[0].weight.tolist() == other[0].weight.tolist()


def test_tied_tensors_are_written_once_and_stay_tied(tmp_path: Path) -> None:
    weight = tg.rand(100, 100)
    tg.save({"a": weight, "b": weight, "t": weight.T, "p": nn.Parameter(tg.ones(2))}, tmp_path / "f")
    back = tg.load(tmp_path / "f")
    assert back["a"].data_ptr() == back["b"].data_ptr()
    assert same(back["t"], weight.T.contiguous())
    assert back["p"].requires_grad
    assert not back["a"].requires_grad
    assert (tmp_path / "f").stat().st_size < 2.1 * 40_000


@pytest.mark.parametrize("value", [nn.Linear(2, 2), {1, 2}, {"f": print}, 1j, {(1, 2): 3}, b"bytes", object()])
def test_what_has_no_place_in_a_file_is_refused_before_anything_is_written(value: Any, tmp_path: Path) -> None:
    tg.save({"old": 1}, tmp_path / "f")
    with pytest.raises(TypeError, match="cannot hold"):
        tg.save(value, tmp_path / "f")
    assert tg.load(tmp_path / "f") == {"old": 1}


def test_every_damage_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    tg.save(example(), path)
    good, rng = path.read_bytes(), random.Random(0)
    for bit in rng.sample(range(8 * len(good)), 2000):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FileError):
            tg.load(io.BytesIO(bytes(bad)))
    for size in [0, 1, 7, 8, 9, *rng.sample(range(len(good)), 200)]:
        with pytest.raises(FileError):
            tg.load(io.BytesIO(good[:size]))
    with pytest.raises(FileError):
        tg.load(io.BytesIO(good + b"\0"))


def test_foreign_files_are_refused_by_name(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    with pytest.raises(FileNotFoundError):
        tg.load(tmp_path / "none")
    for content in (b"", b"hello", b"\x80\x04\x95\0\0\0\0\0\0\0\0.", b"PK\x03\x04rubbish", os.urandom(500)):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(FileError, match="f: "):
            tg.load(tmp_path / "f")
    save_file({"a": np.ones(2)}, tmp_path / "f")
    with pytest.raises(FileError, match="a safetensors file, but not a file of tinygrad_edu"):
        tg.load(tmp_path / "f")
    with pytest.raises(TypeError, match="mode 'rb'"):
        tg.load(io.StringIO("text"))


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    program = (
        "import sys, tinygrad_edu as tg\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1; tg.save({'n': n, 'x': tg.full((50_000,), float(n))}, sys.argv[1]); print(n, flush=True)\n"
    )
    path, rng, last = tmp_path / "f", random.Random(1), 0
    for _ in range(15):
        process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        state = tg.load(path)
        assert (state["x"] == state["n"]).all()
        last = max(last, state["n"])
    assert last > 1
