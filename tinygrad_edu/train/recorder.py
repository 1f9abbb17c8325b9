"""`Recorder`: how parameters moved during a run, at a bounded number of moments."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .callbacks import Callback, TrainState
from .checkpoint import write_atomically

LEVELS = ("none", "light", "full")
MOMENTS = 500  # of a run, at most
FULL_LIMIT = 10_000  # parameters whose values are worth keeping


class Recorder(Callback):
    """Record norms (or values) of parameters, gradients and updates, evenly over the run; writes `steps.npz`.

    "light": per parameter the root mean square of its values, its gradient and its update `p_after − p_before`, the
    true one, whatever the optimiser. "full": the values themselves as well (ValueError above 10,000 parameters).
    `arrays()` gives `step` (K,), `loss` (K,), and for each parameter `name.value`, `name.grad`, `name.update` (K,).
    """

    order = 80

    def __init__(self, level: str = "light", path: str | os.PathLike[str] | None = None) -> None:
        if level not in LEVELS[1:]:
            raise InputError(f"Recorder: level is {level!r}; it can be {', '.join(LEVELS[1:])}")
        self.level = level
        self.path = None if path is None else Path(path)
        self.every = 1
        self.columns: dict[str, list[Any]] = {}
        self._before: dict[str, np.ndarray] | None = None

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """Choose the distance between moments; a new run starts with nothing recorded."""
        count = sum(p.numel() for p in trainer.model.parameters())
        if self.level == "full" and count > FULL_LIMIT:
            raise InputError(
                f'Recorder: record="full" keeps every value; this model has {count:,} parameters, more than '
                f'{FULL_LIMIT:,}; use record="light"'
            )
        updates = state.epochs * math.ceil(state.batches / trainer.accumulate)
        if not state.step:
            self.columns = {}
            self.every = max(1, math.ceil(min(updates, state.max_steps or updates) / MOMENTS))

    def after_backward(self, trainer: Any, state: TrainState) -> None:
        """Keep the parameters as they are before an update that will be recorded."""
        if state.step % self.every == 0:
            self._before = {name: _host(p) for name, p in trainer.model.named_parameters()}

    def after_update(self, trainer: Any, state: TrainState) -> None:
        """Record it."""
        before, self._before = self._before, None
        if before is None:
            return
        self._add("step", state.step)
        self._add("loss", float(state.loss.item()))
        for name, parameter in trainer.model.named_parameters():
            value, grad = _host(parameter), parameter.grad
            self._add(f"{name}.value", _rms(value))
            self._add(f"{name}.grad", 0.0 if grad is None else _rms(_host(grad)))
            self._add(f"{name}.update", _rms(value - before[name]))
            if self.level == "full":
                self._add(f"{name}.values", np.array(value))

    def _add(self, column: str, value: Any) -> None:
        self.columns.setdefault(column, []).append(value)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything recorded, one array per column."""
        return {name: np.array(values) for name, values in self.columns.items()}

    def on_epoch_end(self, trainer: Any, state: TrainState) -> None:
        """Write the file."""
        if self.path is not None:
            file = io.BytesIO()
            np.savez(file, **self.arrays())  # type: ignore[arg-type]
            write_atomically(self.path, file.getvalue())

    on_partial_epoch_end = on_epoch_end

    def state_dict(self) -> dict[str, Any]:
        """What has been recorded so far."""
        return {"level": self.level, "every": self.every, "columns": self.arrays()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on recording."""
        self.every = int(state["every"])
        self.columns = {name: list(values) for name, values in state["columns"].items()}


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) if x.size else 0.0


def _host(tensor: Any) -> np.ndarray:
    """A copy in main memory."""
    return np.array(tensor.detach().cpu().numpy())
