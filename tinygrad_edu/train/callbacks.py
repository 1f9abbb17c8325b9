"""Callbacks: what may happen at named moments of training, without touching the loop."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .history import History


@dataclass
class TrainState:
    """Where training stands; every callback gets it. A callback ends training by setting `stop` to the reason."""

    epochs: int
    epoch: int = 0  # the epoch that is running, from 1; between epochs the last finished one
    step: int = 0  # updates of the parameters so far
    batch: int = 0  # batches of this epoch so far
    batches: int = 0  # batches in an epoch
    xb: Any = None
    yb: Any = None
    weights: Any = None  # of the rows of this batch, if there are any
    outputs: Any = None
    loss: Any = None
    row: dict[str, Any] = field(default_factory=dict)  # this epoch's row of the history, filled at its end
    history: History = field(default_factory=History)
    stop: str | None = None  # set by a callback: training is over
    paused: str | None = None  # a limit of `fit` was reached: a resumed run goes on
    partial: bool = False  # the last row of the history stands for the finished part of an epoch
    error: BaseException | None = None
    notes: list[str] = field(default_factory=list)  # what `fit` decided by itself; progress shows it
    rows: int = 0  # of this batch
    count: float = 0.0  # the same, or their weight
    pending: float = 0.0  # rows whose gradients wait for the next update
    grad_norm: float | None = None  # of all gradients before clipping, with clip_norm
    max_steps: int | None = None
    deadline: float | None = None


class Callback:
    """Base class: every hook does nothing. Each gets `(trainer, state)`.

    `monitor`: the history column the callback reads, if any; checked before the first epoch. `order`: callbacks run
    from small to large (those that save come last, so that they save what the others have decided).
    """

    monitor: str | None = None
    order = 0

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """Before the first epoch (of a resumed run too)."""

    def on_epoch_start(self, trainer: Any, state: TrainState) -> None:
        """Before the first batch of an epoch."""

    def on_batch_start(self, trainer: Any, state: TrainState) -> None:
        """`state.xb`, `state.yb` are there."""

    def after_forward(self, trainer: Any, state: TrainState) -> None:
        """`state.outputs`, `state.loss` are there; with `state.stop` set, the update is not made."""

    def after_backward(self, trainer: Any, state: TrainState) -> None:
        """Every parameter has its gradient."""

    def after_update(self, trainer: Any, state: TrainState) -> None:
        """The optimiser has moved the parameters."""

    def on_validation_start(self, trainer: Any, state: TrainState) -> None:
        """Before the validation data are looked at."""

    def on_validation_end(self, trainer: Any, state: TrainState) -> None:
        """`state.row` holds the validation columns."""

    def on_epoch_end(self, trainer: Any, state: TrainState) -> None:
        """`state.row` is complete and is the last row of `state.history`."""

    def on_partial_epoch_end(self, trainer: Any, state: TrainState) -> None:
        """In place of `on_epoch_end` where a limit ended the epoch before its last batch."""

    def on_fit_end(self, trainer: Any, state: TrainState) -> None:
        """After the last epoch."""

    def on_exception(self, trainer: Any, state: TrainState) -> None:
        """`state.error` ends training (KeyboardInterrupt too); it goes on to the caller afterwards."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, as a checkpoint can hold it: tensors, arrays, numbers, strings, containers."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict()` gave."""


class EarlyStopping(Callback):
    """Stop when `monitor` has not improved by more than `min_delta` for `patience` epochs; restore the best weights.

    `mode`: "min", "max", or "auto" (max for names with accuracy, r2 or score in them). Prechelt, "Early stopping - but
    when?", 1998.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = True,
    ) -> None:
        if mode not in ("auto", "min", "max"):
            raise InputError(f'EarlyStopping: mode is {mode!r}; it can be "auto", "min" or "max"')
        if patience < 1:
            raise InputError(f"EarlyStopping: patience is {patience}; it must be at least 1 epoch")
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.restore_best = restore_best
        self.sign = -1.0 if is_maximised(monitor, mode) else 1.0
        self._begin()

    def _begin(self) -> None:
        self.best = math.inf  # of sign · value: smaller is better
        self.best_epoch = 0
        self.waited = 0
        self.weights: dict[str, np.ndarray] = {}

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """A new run starts counting anew; a resumed one goes on."""
        if not len(state.history):
            self._begin()

    def on_epoch_end(self, trainer: Any, state: TrainState) -> None:
        """Compare, and keep the weights if they are the best."""
        value = self.sign * float(state.row[str(self.monitor)])
        if value < self.best - self.min_delta:
            self.best, self.best_epoch, self.waited = value, state.epoch, 0
            if self.restore_best:
                self.weights = {name: np.array(t.cpu().numpy()) for name, t in trainer.model.state_dict().items()}
            return
        self.waited += 1  # NaN is never an improvement
        if self.waited >= self.patience:
            state.stop = (
                f"{self.monitor} has not improved for {self.patience} epochs "
                f"(best {self.sign * self.best:.4g} in epoch {self.best_epoch})"
            )

    def on_fit_end(self, trainer: Any, state: TrainState) -> None:
        """Put the best weights back."""
        if self.weights:
            trainer.model.load_state_dict(trainer.as_state(self.weights))

    def state_dict(self) -> dict[str, Any]:
        """The best value, when, and its weights."""
        return {"best": self.best, "epoch": self.best_epoch, "waited": self.waited, "weights": dict(self.weights)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting where the saved run was."""
        self.best, self.best_epoch, self.waited = state["best"], state["epoch"], state["waited"]
        self.weights = state["weights"]


class Checkpoint(Callback):
    """Save everything a resumed run needs to `folder/last.safetensors` after every epoch.

    With `every_steps`, also after that many updates, within an epoch; with `monitor`, also
    `folder/best.safetensors` whenever that column is better than ever before.
    """

    order = 100

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        monitor: str | None = None,
        mode: str = "auto",
        every_steps: int | None = None,
    ) -> None:
        if every_steps is not None and every_steps < 1:
            raise InputError(f"Checkpoint: every_steps is {every_steps}; it must be at least 1")
        self.folder = Path(folder)
        self.every_steps = every_steps
        self.monitor = monitor
        self.sign = -1.0 if monitor is not None and is_maximised(monitor, mode) else 1.0

    def after_update(self, trainer: Any, state: TrainState) -> None:
        """In the middle of an epoch: when asked to, and when a limit ends it here."""
        due = self.every_steps is not None and state.step % self.every_steps == 0
        if (due or state.paused) and state.batch < state.batches:
            trainer.save(self.folder / "last.safetensors")

    def on_epoch_end(self, trainer: Any, state: TrainState) -> None:
        """Write the file(s)."""
        trainer.save(self.folder / "last.safetensors")
        if self.monitor is not None:
            values = [self.sign * v for v in state.history[self.monitor]]
            if all(values[-1] < v for v in values[:-1]):
                trainer.save(self.folder / "best.safetensors")


class CSVLog(Callback):
    """Write the history to a CSV file after every epoch, whole each time: it can be read (and killed) at any moment."""

    order = 90

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def on_epoch_end(self, trainer: Any, state: TrainState) -> None:
        """Write all rows."""
        state.history.to_csv(self.path)

    def on_fit_end(self, trainer: Any, state: TrainState) -> None:
        """Write them again: a run killed between its last checkpoint and its last row is completed by resuming it."""
        state.history.to_csv(self.path)


class LRMonitor(Callback):
    """Note the learning rate of every parameter group at every update: `rates` is one list per group."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """A new run starts with nothing noted."""
        if not state.step:
            self.rates = [[] for _ in trainer.optimizer.param_groups]

    def after_backward(self, trainer: Any, state: TrainState) -> None:
        """The rates that the coming update uses."""
        for noted, group in zip(self.rates, trainer.optimizer.param_groups, strict=True):
            noted.append(float(group["lr"]))

    def state_dict(self) -> dict[str, Any]:
        """What has been noted."""
        return {"rates": [list(rates) for rates in self.rates]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.rates = [list(rates) for rates in state["rates"]]


class TensorBoardLog(Callback):
    """Write every number of the history as TensorBoard events to `folder`. Needs tensorboardX."""

    order = 90

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise ImportError("TensorBoardLog needs tensorboardX: pip install 'tinygrad_edu[tensorboard]'") from None
        self.make = lambda: SummaryWriter(str(folder), write_to_disk=True)
        self.writer: Any = None

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """Open the file."""
        self.writer = self.make()

    def on_epoch_end(self, trainer: Any, state: TrainState) -> None:
        """One point in each curve."""
        for name, value in state.row.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, state.epoch)
        self.writer.flush()

    def on_fit_end(self, trainer: Any, state: TrainState) -> None:
        """Close it."""
        self.writer.close()

    def on_exception(self, trainer: Any, state: TrainState) -> None:
        """Close it."""
        if self.writer is not None:
            self.writer.close()


class StopOnNaN(Callback):
    """Stop as soon as the loss is NaN or infinite, before the update that would spoil the parameters.

    `reason` is None, or says what was found.
    """

    reason: str | None = None

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """Nothing found yet."""
        self.reason = None

    def after_forward(self, trainer: Any, state: TrainState) -> None:
        """Look at the loss."""
        loss = float(state.loss.item())
        if not math.isfinite(loss):
            state.stop = self.reason = (
                f"the loss is {loss} in epoch {state.epoch}, batch {state.batch} (step {state.step + 1}); "
                f"try a smaller learning rate (it is {trainer.optimizer.param_groups[0]['lr']:g})"
            )


def is_maximised(monitor: str, mode: str) -> bool:
    """Whether larger values of the column are better."""
    return mode == "max" or (mode == "auto" and any(word in monitor for word in ("accuracy", "r2", "score")))
