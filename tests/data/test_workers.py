"""Worker processes: the order of no workers, errors with their traceback, deaths noticed, nothing left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info


class Squares(Dataset):
    def __len__(self) -> int:
        return 23

    def __getitem__(self, i: int) -> Any:
        return {"x": np.full(3, i, np.float32), "square": i * i}


class Bad(Squares):
    def __getitem__(self, i: int) -> Any:
        if i == 5:
            raise KeyError("row five is broken")
        return i


class Odd(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a}/{b}")


class OddlyBad(Squares):
    def __getitem__(self, i: int) -> Any:
        raise Odd(1, 2)


class Deadly(Squares):
    def __getitem__(self, i: int) -> Any:
        if i == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return i


class Slow(Squares):
    def __getitem__(self, i: int) -> Any:
        time.sleep(30 if i > 3 else 0)
        return i


class Shares(IterableDataset):
    def __iter__(self) -> Any:
        info = get_worker_info()
        return iter(range(10) if info is None else range(info.id, 10, info.num_workers))


class Who(Dataset):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> Any:
        info = get_worker_info()
        assert info is not None
        return info.id, info.num_workers, info.seed, tg.rand(1).item(), os.getpid()


def flat(loader: Any) -> list[Any]:
    return [{k: v.tolist() for k, v in b.items()} if isinstance(b, dict) else [t.tolist() for t in b] for b in loader]


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("options", [{"shuffle": True}, {"drop_last": True}, {"prefetch_factor": 1}])
def test_order_is_that_of_no_workers(method: str, options: dict[str, Any]) -> None:
    before = children()  # other tests' workers may be about to end
    with_rows = [Squares()] if method == "spawn" else [Squares(), TensorDataset(tg.arange(23), tg.rand(23, 2))]
    for dataset in with_rows:
        alone = {k: v for k, v in options.items() if k != "prefetch_factor"}
        expected = DataLoader(dataset, 4, generator=tg.Generator(7), **alone)
        loader = DataLoader(dataset, 4, num_workers=2, generator=tg.Generator(7), multiprocessing_context=method,
                            **options)  # fmt: skip
        for _ in range(1 if method == "spawn" else 3):
            assert flat(loader) == flat(expected)
    assert not [c for c in children() - before if "resource_tracker" not in Path(f"/proc/{c}/cmdline").read_text()]


@pytest.mark.parametrize("persistent", [False, True])
def test_persistent_workers_stay_and_leave_with_the_loader(persistent: bool) -> None:
    before = children()
    loader = DataLoader(Who(), 1, num_workers=2, persistent_workers=persistent)
    epochs = [[[x.item() for x in b] for b in loader] for _ in range(2)]
    for epoch in epochs:
        assert [b[0] for b in epoch] == [0, 1, 0, 1, 0, 1]
        assert {b[1] for b in epoch} == {2}
        assert epoch[1][2] == epoch[0][2] + 1  # seeds
        assert len({b[3] for b in epoch}) == 6  # other random numbers in each worker
    assert ({b[4] for b in epochs[0]} == {b[4] for b in epochs[1]}) is persistent
    del loader
    gc.collect()
    assert not children() - before
    assert get_worker_info() is None


def test_leaving_an_epoch_early_leaves_no_process() -> None:
    before = children()
    for _ in DataLoader(Squares(), 2, num_workers=2):
        break
    assert not children() - before
    loader = DataLoader(Squares(), 2, num_workers=2, persistent_workers=True)
    for _ in loader:
        break
    assert flat(loader) == flat(DataLoader(Squares(), 2))  # what was on the way is not taken for the next epoch
    start = time.monotonic()
    for _ in DataLoader(Slow(), 1, num_workers=2):
        break
    assert time.monotonic() - start < 5  # workers in the middle of a row are not waited for


def test_iterable_data_sets_are_shared_out() -> None:
    loader = DataLoader(Shares(), 2, num_workers=2)
    assert [b.tolist() for b in loader] == [[0, 2], [1, 3], [4, 6], [5, 7], [8], [9]]
    assert [b.tolist() for b in DataLoader(Shares(), 3, num_workers=3)] == [[0, 3, 6], [1, 4, 7], [2, 5, 8], [9]]
    assert [b.tolist() for b in DataLoader(Shares(), 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_errors_come_with_the_workers_traceback() -> None:
    before = children()
    with pytest.raises(KeyError) as caught:
        list(DataLoader(Bad(), 2, num_workers=2))
    assert "DataLoader worker process 0" in str(caught.value)
    assert "row five is broken" in str(caught.value)
    assert "in __getitem__" in str(caught.value)
    with pytest.raises(RuntimeError, match="Caught Odd in DataLoader worker process 0"):
        list(DataLoader(OddlyBad(), 2, num_workers=1))
    with pytest.raises(ZeroDivisionError, match="worker process 1"):
        list(DataLoader(Squares(), 2, num_workers=2, worker_init_fn=lambda number: 1 / (1 - number)))
    unsendable = DataLoader(Squares(), 2, num_workers=1, collate_fn=lambda rows: lambda: rows)
    with pytest.raises(Exception, match="worker process 0"):
        list(unsendable)
    assert not children() - before


def test_a_killed_worker_is_an_error_and_no_hang() -> None:
    before, start = children(), time.monotonic()
    with pytest.raises(RuntimeError, match=r"worker \(pid\(s\) \d+\) exited unexpectedly with exit code -9"):
        list(DataLoader(Deadly(), 2, num_workers=2))
    assert time.monotonic() - start < 10
    assert not children() - before


def test_a_worker_that_takes_too_long_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"timed out after 0\.5 seconds"):
        list(DataLoader(Slow(), 1, num_workers=1, timeout=0.5))


def test_large_rows_and_large_tasks_do_not_block_each_other() -> None:
    data = TensorDataset(tg.zeros(100_000, 8))
    loader = DataLoader(data, 50_000, shuffle=True, num_workers=2, prefetch_factor=4)
    assert sum(len(x) for _ in range(3) for (x,) in loader) == 300_000


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_program(sent: int, tmp_path: Path) -> None:
    program = (
        "import os, sys, time\n"
        "from tinygrad_edu.utils.data import DataLoader, Dataset\n"
        "class Rows(Dataset):\n"
        "    def __len__(self): return 1000\n"
        "    def __getitem__(self, i):\n"
        "        open(os.path.join(sys.argv[1], str(os.getpid())), 'w').close(); time.sleep(0.05); return i\n"
        "for _ in DataLoader(Rows(), 2, num_workers=2): print('x', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGINT,
                               signal.default_int_handler))  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"x\n"
    process.send_signal(sent)
    process.stdout.close()
    process.wait(10)
    workers = [int(p.name) for p in tmp_path.iterdir()]
    assert workers
    deadline = time.monotonic() + 10
    while any(alive(w) for w in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [w for w in workers if alive(w)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_workers": -1}, ValueError, "num_workers"),
        ({"timeout": -1}, ValueError, "timeout"),
        ({"prefetch_factor": 2}, ValueError, "prefetch_factor"),
        ({"persistent_workers": True}, ValueError, "persistent_workers"),
        ({"num_workers": 1, "multiprocessing_context": "teleport"}, ValueError, "teleport"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        DataLoader(Squares(), **options)
