"""Training in several processes: every process has the whole model and a part of every batch.

    communicator = MPI()                                     # mpiexec -n 4 python program.py
    trainer = Trainer(model, loss, optimizer, parallel=DataParallel(communicator), progress="none")
    trainer.fit(train, epochs=10)

The gradients of all processes are added up before each update, in buckets that are sent while the backward pass is
still busy with earlier layers; so all processes make the same update as one process would with the whole batch, to
rounding. Dropout and batch statistics are each process's own. Li et al., "PyTorch Distributed", VLDB 2020.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..data import DataLoader
from ..data.dataset import gather
from ..errors import InputError, StateError
from ..tensor import Tensor
from .callbacks import Callback, TrainState
from .checkpoint import fingerprint


class ParallelError(StateError):
    """The processes cannot go on together: one is silent, or runs other code, data or settings."""


class Communicator(Protocol):
    """What training needs of a message-passing library. `rank` of `size` processes, counted from 0."""

    rank: int
    size: int

    def start_sum(self, array: Any) -> Callable[[], bool]:
        """Begin to replace `array`, in place, by its sum over all processes; call the result until it says True."""

    def gather_text(self, text: str) -> list[str]:
        """What each process has given, by rank, on every process."""

    def abort(self) -> None:
        """End all processes at once."""


class MPI:
    """Processes started by `mpiexec -n N`, on one machine or many. Needs mpi4py and an MPI library."""

    def __init__(self) -> None:
        try:
            from mpi4py import MPI as library
        except ImportError:
            raise ImportError("several processes need mpi4py: pip install 'tinygrad_edu[dist]'") from None
        self.library = library
        self.comm = library.COMM_WORLD
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()

    def start_sum(self, array: Any) -> Callable[[], bool]:
        """See `Communicator`; the library makes progress whenever it is asked."""
        request = self.comm.Iallreduce(self.library.IN_PLACE, array)
        return lambda: bool(request.Test())

    def gather_text(self, text: str) -> list[str]:
        """See `Communicator`. Lengths first, then bytes: nothing is unpickled."""
        data = np.frombuffer(text.encode(), np.uint8).copy()
        lengths = np.zeros(self.size, np.int64)
        self.comm.Allgather(np.array([data.size], np.int64), lengths)
        everything = np.zeros(int(lengths.sum()), np.uint8)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self.comm.Allgatherv(data, [everything, lengths.tolist(), starts.tolist(), self.library.BYTE])
        return [everything[s : s + n].tobytes().decode() for s, n in zip(starts, lengths, strict=True)]

    def abort(self) -> None:
        """See `Communicator`."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.comm.Abort(1)


class NCCL:
    """One GPU per process, through `cupyx.distributed`. Needs CuPy with NCCL; the same interface as `MPI`.

    `rank` and `size` are those of the launcher (`mpiexec`, or RANK and WORLD_SIZE); process 0 listens on `host`:`port`.
    """

    def __init__(
        self, rank: int | None = None, size: int | None = None, host: str = "127.0.0.1", port: int = 13333
    ) -> None:
        try:
            from cupyx.distributed import init_process_group  # type: ignore[import-not-found]
        except ImportError:
            raise ImportError("NCCL needs CuPy and its NCCL library: pip install 'tinygrad_edu[cuda13]'") from None
        self.rank = int(os.environ["RANK"]) if rank is None else rank
        self.size = int(os.environ["WORLD_SIZE"]) if size is None else size
        self.backend = init_process_group(self.size, self.rank, host=host, port=port)

    def start_sum(self, array: Any) -> Callable[[], bool]:
        """See `Communicator`; the device's stream keeps the order, so that nothing has to be waited for here."""
        self.backend.all_reduce(array, array)
        return lambda: True

    def gather_text(self, text: str) -> list[str]:
        """See `Communicator`: through a device array of the longest text."""
        import cupy  # type: ignore[import-not-found]

        data = np.frombuffer(text.encode(), np.uint8)
        lengths = cupy.zeros(self.size, dtype="int64")
        lengths[self.rank] = data.size
        self.backend.all_reduce(lengths, lengths)
        widths = [int(n) for n in lengths.get()]
        table = cupy.zeros((self.size, max(widths)), dtype="uint8")
        table[self.rank, : data.size] = cupy.asarray(data)
        self.backend.all_reduce(table, table)
        return [bytes(row[:n]).decode() for row, n in zip(table.get(), widths, strict=True)]

    def abort(self) -> None:
        """See `Communicator`."""
        os._exit(1)


class ShardLoader:
    """This process's rows of each batch of `loader`: an equal part, the first processes one row more where it does not
    divide. A batch with fewer rows than processes leaves some of them a row that counts nothing (`ghost`).
    """

    def __init__(self, loader: Any, rank: int, size: int) -> None:
        if loader.collate_fn is not None and not hasattr(loader.dataset, "__getitem__"):
            raise InputError("DataParallel: a data set with numbered rows is wanted, so that they can be dealt out")
        self.loader, self.rank, self.size = loader, rank, size
        self.dataset, self.batch_size, self.shuffle = loader.dataset, loader.batch_size, loader.shuffle
        self.ghost = False
        self._whole = DataLoader(_Positions(len(loader.dataset)), loader.batch_size, loader.shuffle,
                                 drop_last=loader.drop_last, generator=loader.generator)  # fmt: skip

    def __len__(self) -> int:
        return len(self._whole)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._whole:
            rows = np.asarray(batch._array)
            mine = np.array_split(rows, self.size)[self.rank]
            self.ghost = not len(mine)
            yield gather(self.dataset, rows[:1] if self.ghost else mine)

    def state_dict(self) -> dict[str, Any]:
        """Where the batches stand, the same in every process."""
        return self._whole.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue there."""
        self._whole.load_state_dict(state)


class _Positions:
    """A data set whose row i is i."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        return index

    def gather(self, indices: np.ndarray) -> Tensor:
        """The positions themselves."""
        return Tensor._wrap(np.asarray(indices))


class _Bucket:
    """Gradients that travel together: one array, with room for each."""

    def __init__(self, parameters: list[Any]) -> None:
        self.parameters = parameters
        first = parameters[0]
        self.array = np.zeros(sum(p.numel() for p in parameters), first.dtype)
        ends = np.cumsum([p.numel() for p in parameters])
        self.places = [slice(end - p.numel(), end) for p, end in zip(parameters, ends, strict=True)]
        self.waiting = len(parameters)
        self.finished: Callable[[], bool] = _done


class DataParallel:
    """Adds up gradients over the processes of a communicator; goes to a Trainer as `parallel=`.

    `bucket_bytes`: gradients are sent in pieces of about this size, the last layers' first. `timeout`: seconds to wait
    for the other processes before giving up (ParallelError, and all processes end).
    """

    def __init__(self, communicator: Communicator, *, bucket_bytes: int = 1 << 20, timeout: float = 60.0) -> None:
        if bucket_bytes < 1 or not timeout > 0:
            raise InputError(f"DataParallel: bucket_bytes={bucket_bytes} and timeout={timeout} must be positive")
        self.communicator = communicator
        self.rank, self.size = communicator.rank, communicator.size
        self.bucket_bytes, self.timeout = bucket_bytes, timeout
        self.ghost = False
        self.bytes_sent = 0
        self.seconds_waited = 0.0
        self._shards: ShardLoader | None = None
        self._buckets: list[_Bucket] = []
        self._handles: list[Any] = []
        self._armed = False
        self._sent = 0  # buckets of this update that are under way

    # -- before the first batch ----------------------------------------------------------------------------------------
    def check(self, trainer: Any) -> None:
        """ParallelError unless all processes have the same code, parameters, optimiser, data and settings."""
        own = {
            "code": _code_hash(),
            "parameters": fingerprint(trainer.model),
            "optimiser": f"{type(trainer.optimizer).__name__} {[_numbers(g) for g in trainer.optimizer.param_groups]}",
            "data": f"{len(trainer._loader.dataset)} rows in batches of {trainer._loader.batch_size}",
            "settings": f"seed {trainer.seed}, accumulate {trainer.accumulate}, clip_norm {trainer.clip_norm}",
        }
        given = [text.split("\n") for text in self.communicator.gather_text("\n".join(own.values()))]
        for name, column in zip(own, zip(*given, strict=True), strict=True):
            other = [rank for rank, value in enumerate(column) if value != column[0]]
            if other:
                raise ParallelError(
                    f"process {other[0]} has other {name} than process 0 ({column[other[0]][:60]} and "
                    f"{column[0][:60]}); start all with the same program, seed and data"
                )

    def attach(self, model: Any) -> None:
        """Watch the gradients of `model`: a bucket leaves as soon as its last one is there."""
        self.detach()
        learning = [p for p in model.parameters() if p.requires_grad]
        group: list[Any] = []
        self._buckets = []
        for parameter in reversed(learning):  # about the order in which the backward pass finishes them
            if group and (
                parameter.dtype != group[0].dtype
                or sum(p.numel() for p in group) * group[0].element_size() >= self.bucket_bytes
            ):
                self._buckets.append(_Bucket(group))
                group = []
            group.append(parameter)
        if group:
            self._buckets.append(_Bucket(group))
        for bucket in self._buckets:
            for place, parameter in zip(bucket.places, bucket.parameters, strict=True):
                hook = self._arrival(bucket, place)
                self._handles.append(parameter.register_post_accumulate_grad_hook(hook))
        self._sent = 0

    def detach(self) -> None:
        """Stop watching."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def shard(self, loader: Any) -> ShardLoader:
        """This process's part of the batches."""
        self._shards = ShardLoader(loader, self.rank, self.size)
        return self._shards

    @property
    def is_ghost(self) -> bool:
        """Whether the batch at hand is a stand-in that counts nothing."""
        return self._shards is not None and self._shards.ghost

    # -- in each update ------------------------------------------------------------------------------------------------
    def arm(self, last: bool) -> None:
        """Before a backward pass: is it the last one of this update, so that gradients are complete after it?"""
        self._armed = last

    def _arrival(self, bucket: _Bucket, place: slice) -> Callable[[Any], None]:
        def hook(parameter: Any) -> None:
            if not self._armed:
                return
            bucket.array[place] = parameter.grad.detach().cpu().numpy().reshape(-1)
            bucket.waiting -= 1
            while self._sent < len(self._buckets) and not self._buckets[self._sent].waiting:
                self._send()
            for other in self._buckets[: self._sent]:  # lets the library move what is under way
                if other.finished():
                    other.finished = _done

        return hook

    def _send(self) -> None:
        """The next bucket; every process sends them in the same order."""
        bucket = self._buckets[self._sent]
        self._sent += 1
        self.bytes_sent += bucket.array.nbytes
        bucket.finished = self.communicator.start_sum(bucket.array)

    def sum_gradients(self, rows: float) -> float:
        """Make every `.grad` the sum over all processes; returns the sum of `rows`."""
        while self._sent < len(self._buckets):  # what has no gradient here, or came too late for its bucket
            bucket = self._buckets[self._sent]
            for place, parameter in zip(bucket.places, bucket.parameters, strict=True):
                grad = parameter.grad
                bucket.array[place] = 0 if grad is None else grad.detach().cpu().numpy().reshape(-1)
            self._send()
        total = self.sum([rows])[0]
        for bucket in self._buckets:
            self._wait(bucket.finished)
            for place, parameter in zip(bucket.places, bucket.parameters, strict=True):
                summed = Tensor._wrap(bucket.array[place].reshape(tuple(parameter.shape)))
                if parameter.grad is None:
                    parameter.grad = summed.clone()
                else:
                    parameter.grad.copy_(summed)
            bucket.finished, bucket.waiting = _done, len(bucket.parameters)
        self._sent = 0
        return total

    def sum(self, values: list[float]) -> list[float]:
        """Sums of a few numbers over all processes."""
        array = np.array(values, np.float64)
        self._wait(self.communicator.start_sum(array))
        return [float(v) for v in array]

    def agree(self, wish: str | None) -> str | None:
        """The wish of the first process that has one: to stop is decided together."""
        if not self.sum([float(wish is not None)])[0]:
            return None
        return next((text for text in self.communicator.gather_text(wish or "") if text), None)

    def _wait(self, finished: Callable[[], bool]) -> None:
        start = time.monotonic()
        while not finished():
            if time.monotonic() - start > self.timeout:
                raise ParallelError(f"process {self.rank}: the others have been silent for {self.timeout:g} s; one has "
                                    f"died or hangs")  # fmt: skip
            time.sleep(0)
        self.seconds_waited += time.monotonic() - start


class ParallelGuard(Callback):
    """What a Trainer with `parallel=` does around its loop: check at the start, end all processes on an error."""

    order = -100

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """Same code, same start."""
        trainer.parallel.check(trainer)
        trainer.parallel.attach(trainer.model)

    def on_fit_end(self, trainer: Any, state: TrainState) -> None:
        """Let go of the parameters."""
        trainer.parallel.detach()

    def on_exception(self, trainer: Any, state: TrainState) -> None:
        """A process that cannot go on must not leave the others waiting."""
        trainer.parallel.detach()
        if trainer.parallel.size > 1:
            sys.stderr.write(f"process {trainer.parallel.rank}: {type(state.error).__name__}: {state.error}\n")
            trainer.parallel.communicator.abort()


def _done() -> bool:
    return True


def _numbers(group: dict[str, Any]) -> dict[str, Any]:
    """The settings of a parameter group, and how many parameters it has."""
    return {k: len(v) if k == "params" else v for k, v in group.items()}


def _code_hash() -> str:
    """SHA-256 over all Python files of this package, and the version of NumPy."""
    digest = hashlib.sha256(np.__version__.encode())
    root = Path(__file__).resolve().parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
