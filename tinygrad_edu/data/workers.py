"""Worker processes of a `DataLoader`: a pipe to each, batches in the order that no workers would give.

A worker gets (epoch, number, rows) and sends back (epoch, number, batch, error). Every worker has its own pipe, so one
that is killed leaves no lock behind: its pipe closes, and the loader says so.
"""

from __future__ import annotations

import itertools
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import StateError
from ..kernels import set_num_threads
from ..random import default_generator
from ..tensor import Tensor


class End:
    """In place of a batch: this worker's iterable data set has ended."""


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker this is: `id` of `num_workers`, its `seed`, and its copy of the `dataset`."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process: who it is. None elsewhere."""
    return _info


class WorkerError:
    """An exception of a worker, told as text: its class and its traceback."""

    def __init__(self, error: BaseException, worker: int) -> None:
        self.kind, self.worker = type(error), worker
        self.text = "".join(traceback.format_exception(error))

    def reraise(self) -> None:
        """Raise the same kind of exception here, with the worker's traceback in its message."""
        text = f"Caught {self.kind.__name__} in DataLoader worker process {self.worker}.\nOriginal {self.text}"
        try:
            error: BaseException = self.kind(text)
        except Exception:  # its class wants other arguments
            error = RuntimeError(text)
        raise error


def run_worker(pipe: Any, foreign: list[Any], info: WorkerInfo, fetcher: Callable[[Any], Callable[[Any], Any]],
               init: Callable[[int], Any] | None) -> None:  # fmt: skip
    """The life of a worker: make batches until the loader closes the pipe or is gone."""
    import random as python_random

    import numpy as np

    global _info
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the loader, which then ends its workers
    for end in foreign:  # the loader's ends, inherited by fork
        end.close()
    _info = info
    set_num_threads(1)
    default_generator.manual_seed(info.seed)
    python_random.seed(info.seed)
    np.random.seed(info.seed % 2**32)
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, tasks, os.getppid()), daemon=True).start()
    failed: WorkerError | None = None
    try:
        if init is not None:
            init(info.id)
    except Exception as error:
        failed = WorkerError(error, info.id)
    epoch, fetch = None, None
    while (task := tasks.get()) is not None:
        batch, problem = None, failed
        if problem is None:
            try:
                if task[0] != epoch or fetch is None:
                    epoch, fetch = task[0], fetcher(info.dataset)
                batch = fetch(task[2])
            except StopIteration:
                batch = End()
            except Exception as error:
                problem = WorkerError(error, info.id)
        try:
            pipe.send((*task[:2], compact(batch), problem))
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:  # the batch cannot be sent to another process
            pipe.send((*task[:2], None, WorkerError(error, info.id)))
        del batch


def compact(batch: Any) -> Any:
    """The batch with tensors that own their memory: a row of a large tensor would be sent with all of it."""
    if isinstance(batch, Tensor) and batch.is_leaf and batch._array.base is not None:
        return batch.detach().clone()
    if type(batch) is dict:
        return {key: compact(value) for key, value in batch.items()}
    return type(batch)(map(compact, batch)) if type(batch) in (list, tuple) else batch


def _receive(pipe: Any, tasks: Any, parent: int) -> None:
    """Take tasks off the pipe at all times, so that the loader never waits to send one; end with the loader."""
    try:
        while True:
            if pipe.poll(1.0):
                task = pipe.recv()
                tasks.put(task)
                if task is None:
                    return
            elif os.getppid() != parent:
                os._exit(1)
    except (EOFError, OSError):
        tasks.put(None)


class WorkerPool:
    """The worker processes of one loader."""

    def __init__(self, context: Any, count: int, dataset: Any, fetcher: Callable[[Any], Callable[[Any], Any]],
                 init: Callable[[int], Any] | None, seed: int) -> None:  # fmt: skip
        self.pipes: list[Any] = []
        self.processes: list[Any] = []
        self.epoch = 0
        try:
            for number in range(count):
                ours, theirs = context.Pipe()
                self.pipes.append(ours)
                info = WorkerInfo(number, count, seed + number, dataset)
                foreign = list(self.pipes) if context.get_start_method() == "fork" else []
                process = context.Process(target=run_worker, args=(theirs, foreign, info, fetcher, init), daemon=True)
                process.start()
                theirs.close()
                self.processes.append(process)
        except BaseException:
            self.close()
            raise

    def batches(self, rows: Iterator[Any], ahead: int, timeout: float) -> Iterator[Any]:
        """Batches in the order of `rows`, `ahead` of them in work per worker."""
        self.epoch += 1
        alive = set(range(len(self.pipes)))  # workers of an iterable data set drop out one by one
        turns = itertools.cycle(range(len(self.pipes)))
        owner: dict[int, int] = {}
        ready: dict[int, Any] = {}
        sent = 0

        def hand_out() -> None:
            nonlocal sent
            task = next(rows, None) if alive else None
            if task is not None:
                owner[sent] = next(worker for worker in turns if worker in alive)
                self._send(owner[sent], (self.epoch, sent, task))
                sent += 1

        for _ in range(ahead * len(self.pipes)):
            hand_out()
        number = 0
        while number < sent:
            if number not in ready:
                self._collect(ready, number, owner[number], timeout)
            batch, problem = ready.pop(number)
            worker = owner.pop(number)
            number += 1
            if problem is not None:
                problem.reraise()
            if isinstance(batch, End):
                alive.discard(worker)
            hand_out()
            if not isinstance(batch, End):
                yield batch

    def _send(self, worker: int, task: Any) -> None:
        try:
            self.pipes[worker].send(task)
        except (BrokenPipeError, ConnectionResetError):
            self._fail(worker)

    def _collect(self, ready: dict[int, Any], number: int, worker: int, timeout: float) -> None:
        """Receive until batch `number` is there."""
        from multiprocessing.connection import wait

        end = time.monotonic() + timeout if timeout else None
        while number not in ready:
            left = None if end is None else max(end - time.monotonic(), 0.0)
            found = wait([*self.pipes, self.processes[worker].sentinel], left)
            if not found:
                raise StateError(f"DataLoader timed out after {timeout} seconds: worker {worker} gave no batch")
            for which, pipe in enumerate(self.pipes):
                if pipe in found:
                    try:
                        epoch, n, batch, problem = pipe.recv()
                    except (EOFError, OSError):
                        self._fail(which)
                    if epoch == self.epoch:  # else of an epoch that was left early
                        ready[n] = (batch, problem)
            if number not in ready and not any(pipe in found for pipe in self.pipes):
                self._fail(worker)

    def _fail(self, worker: int) -> None:
        process = self.processes[worker]
        process.join(1)
        raise StateError(
            f"DataLoader worker (pid(s) {process.pid}) exited unexpectedly with exit code {process.exitcode}; "
            f"it was killed (out of memory?) or left by itself: try num_workers=0"
        )

    def close(self) -> None:
        """End all workers and wait for them: none is left behind."""
        for pipe in self.pipes:
            pipe.close()  # a worker that waits for a task, or to send a batch, ends now
        deadline = time.monotonic() + 0.5
        for process in self.processes:
            process.join(max(deadline - time.monotonic(), 0.0))
            if process.is_alive():
                process.terminate()  # in the middle of a batch that nobody wants any more
        for process in self.processes:
            process.join(2)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        self.pipes, self.processes = [], []
