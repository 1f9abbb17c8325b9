"""`Trainer`: the loop one would write by hand, with a history, callbacks and exact resume around it. Nothing else.

    for xb, yb in DataLoader(train, batch_size, shuffle=True, generator=Generator(seed)):
        optimizer.zero_grad()
        loss = loss_function(model(xb), yb)
        loss.backward()
        optimizer.step()

gives the same parameters, to the bit, as `Trainer(model, loss_function, optimizer, seed=seed).fit(train, …)`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..data import DataLoader, TensorDataset, check_finite
from ..random import Generator, default_generator
from ..tensor import Tensor
from .callbacks import Callback, Checkpoint, CSVLog, TrainState
from .checkpoint import CheckpointError, check_model_state, check_optimizer_state, load_checkpoint, save_checkpoint
from .history import History
from .progress import MODES, make_progress

Metric = Callable[[Any, Any], Any]


class Trainer:
    """Fit `model` to data by minimising `loss(outputs, targets)` with `optimizer`.

    `metrics`: name → function of (outputs, targets) that gives a mean over rows. `seed`: the order of the batches;
    initialisation and dropout are the default generator's (`tg.manual_seed`). `run_dir`: a folder that gets
    `history.csv` and `ckpt/last.safetensors` after every epoch. `progress`: "auto", "bar", "lines" or "none".
    """

    def __init__(
        self,
        model: Any,
        loss: Callable[[Any, Any], Any],
        optimizer: Any,
        *,
        metrics: Mapping[str, Metric] | None = None,
        callbacks: Iterable[Callback] = (),
        seed: int = 0,
        run_dir: str | os.PathLike[str] | None = None,
        progress: str = "auto",
    ) -> None:
        if progress not in MODES:
            raise ValueError(f"Trainer: progress is {progress!r}; it can be {', '.join(MODES)}")
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.metrics = dict(metrics or {})
        self.seed = seed
        self.run_dir = None if run_dir is None else Path(run_dir)
        self.progress = progress
        self.callbacks = list(callbacks)
        if self.run_dir is not None:
            self.callbacks += [CSVLog(self.run_dir / "history.csv"), Checkpoint(self.run_dir / "ckpt")]
        self.callbacks.sort(key=lambda callback: callback.order)
        self.state = TrainState(epochs=0)
        self._active = self.callbacks
        self._loader: DataLoader | None = None

    # -- the loop ----------------------------------------------------------------------------------------------------
    def fit(
        self,
        train: Any,
        *,
        epochs: int,
        val: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """Train until `epochs` epochs are done and return the history, one row per epoch.

        `train`, `val`: a data set of (x, y) rows, a pair of arrays, or a DataLoader (which then decides on batches and
        order). `resume`: a checkpoint, a run folder, or "auto" (the one in `run_dir`, if there is one); training goes
        on after its last finished epoch as if it had never stopped. Raises ValueError for bad data, an unknown
        monitored column or other batches than the saved run had; CheckpointError for a damaged or foreign checkpoint.
        """
        if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0:
            raise ValueError(f"Trainer.fit: epochs is {epochs!r}; it must be a whole number, 0 or more")
        loader = self._batches(train, "train", batch_size, shuffle)
        val = None if val is None else self._batches(val, "val", max(batch_size, 256), False)
        self._check_monitored(val is not None)
        self._loader = loader
        self.state = state = TrainState(epochs=epochs, batches=len(loader))
        if resume is not None:
            self._resume(resume)
        progress = make_progress(self.progress)
        self._active = self.callbacks if progress is None else [progress, *self.callbacks]
        try:
            self._call("on_fit_start")
            while state.epoch < epochs and not state.stop:
                state.epoch += 1
                self._epoch(loader, val)
            self._call("on_fit_end")
        except BaseException as error:
            state.error = error
            self._call("on_exception")
            raise
        state.history.stopped = state.stop
        return state.history

    def _epoch(self, loader: DataLoader, val: DataLoader | None) -> None:
        """One pass over the data: an update per batch, then validation, then the history's row."""
        state, model, optimizer = self.state, self.model, self.optimizer
        totals = _Means()
        model.train()
        self._call("on_epoch_start")
        for state.batch, (xb, yb) in enumerate(loader, start=1):
            state.xb, state.yb = xb, yb
            self._call("on_batch_start")
            optimizer.zero_grad()
            state.outputs = model(xb)
            state.loss = self.loss(state.outputs, yb)
            self._call("after_forward")
            if state.stop:
                return  # before the update; an unfinished epoch has no row
            state.loss.backward()
            self._call("after_backward")
            optimizer.step()
            state.step += 1
            self._call("after_update")
            totals.add(len(xb), self._scores(state.outputs, yb, state.loss))
        state.xb = state.yb = state.outputs = state.loss = None  # the graph is not kept until the next epoch
        state.row = {"epoch": state.epoch, **totals.means(), "lr": float(optimizer.param_groups[0]["lr"])}
        if val is not None:
            state.row |= {f"val_{name}": value for name, value in self.evaluate(val).items()}
            self._call("on_validation_end")
        state.history.rows.append(dict(state.row))
        self._call("on_epoch_end")

    def _call(self, moment: str) -> None:
        for callback in self._active:
            getattr(callback, moment)(self, self.state)

    def _scores(self, outputs: Any, targets: Any, loss: Any) -> dict[str, float]:
        with no_grad():
            return {"loss": float(loss.item())} | {k: float(m(outputs, targets)) for k, m in self.metrics.items()}

    # -- using the model ---------------------------------------------------------------------------------------------
    def evaluate(self, data: Any, batch_size: int = 256) -> dict[str, float]:
        """Loss and metrics on `data`, means over its rows; the model is in evaluation mode meanwhile."""
        totals = _Means()
        with _evaluating(self.model), no_grad():
            for xb, yb in self._batches(data, "data", batch_size, False):
                outputs = self.model(xb)
                totals.add(len(xb), self._scores(outputs, yb, self.loss(outputs, yb)))
        return totals.means()

    def predict(self, X: Any, batch_size: int = 256) -> np.ndarray:
        """The model's outputs for the rows of `X` (array, tensor, or data set, whose targets are ignored)."""
        if isinstance(X, Tensor | np.ndarray | list):
            X = TensorDataset(self._floats(X))
            check_finite(X.tensors[0])
        outputs = []
        with _evaluating(self.model), no_grad():
            for batch in X if isinstance(X, DataLoader) else DataLoader(X, batch_size):
                outputs.append(self.model(batch[0]).numpy())
        return np.concatenate(outputs)

    # -- data --------------------------------------------------------------------------------------------------------
    def _batches(self, data: Any, name: str, batch_size: int, shuffle: bool) -> DataLoader:
        """`data` as a loader, after a look at it: no rows or NaN in them are errors here, not a puzzle later."""
        if isinstance(data, DataLoader):
            return data
        if isinstance(data, tuple | list) and len(data) == 2 and not isinstance(data[0], int | float):
            data = TensorDataset(self._floats(data[0]), self._floats(data[1]))
        if not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
            raise TypeError(f"Trainer: {name} is a {type(data).__name__}; give (X, y), a data set or a DataLoader")
        if len(data) and hasattr(data, "gather"):
            parts = data[:]
            if len(parts) != 2:
                raise ValueError(f"Trainer: the rows of {name} have {len(parts)} parts; (input, target) is wanted")
            for part, letter in zip(parts, "Xy", strict=True):
                check_finite(part, f"{name}: {letter}")
        return DataLoader(data, batch_size, shuffle, generator=Generator(self.seed) if shuffle else None)

    def _floats(self, values: Any) -> Any:
        """Arrays of floats in the dtype of the parameters (NumPy makes float64, models are float32)."""
        if isinstance(values, Tensor):
            return values
        array = np.asarray(values)
        first = next(iter(self.model.parameters()), None)
        return array.astype(first.dtype) if array.dtype.kind == "f" and first is not None else array

    def _check_monitored(self, validation: bool) -> None:
        """Raise ValueError before epoch 1 if a callback wants a column that no row will have."""
        names = ["loss", *self.metrics]
        known = [*names, "lr", *([f"val_{name}" for name in names] if validation else [])]
        for callback in self.callbacks:
            if callback.monitor is not None and callback.monitor not in known:
                hint = "" if validation or not callback.monitor.startswith("val_") else "; fit(…, val=…) makes it"
                raise ValueError(
                    f"{type(callback).__name__} monitors {callback.monitor!r}, but there are {', '.join(known)}{hint}"
                )

    # -- checkpoints -------------------------------------------------------------------------------------------------
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything needed to go on to `path`, atomically: the old file or the new one, never half."""
        state, loader = self.state, self._loader
        save_checkpoint(
            path,
            {
                "epoch": len(state.history),
                "step": state.step,
                "stop": state.stop,
                "history": state.history.rows,
                "model": dict(self.model.state_dict()),
                "optimizer": {"class": type(self.optimizer).__name__, "state": self.optimizer.state_dict()},
                "default_generator": default_generator.get_state(),
                "loader": None if loader is None else loader.state_dict(),
                "fit": self._settings(),
                "callbacks": {name: c.state_dict() for name, c in self._named_callbacks().items() if c.state_dict()},
            },
        )

    def _resume(self, source: str | os.PathLike[str]) -> None:
        """Take over a saved state, all of it or nothing: every check comes before the first change."""
        path = self._checkpoint_path(source)
        if path is None:
            return
        saved = load_checkpoint(path)
        check_model_state(path, self.model, saved["model"])
        check_optimizer_state(path, self.optimizer, saved["optimizer"])
        if saved["fit"] != self._settings():
            raise ValueError(
                f"{path}: the run was made with {saved['fit']}, now it is {self._settings()}; use the same"
            )
        named = self._named_callbacks()
        missing = saved["callbacks"].keys() - named.keys()
        if missing:
            raise CheckpointError(
                f"{path}: has states of {', '.join(sorted(missing))}; give these callbacks to the Trainer"
            )
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"]["state"])
        default_generator.set_state(saved["default_generator"])
        if self._loader is not None and saved["loader"] is not None:
            self._loader.load_state_dict(saved["loader"])
        for name, state in saved["callbacks"].items():
            named[name].load_state_dict(state)
        self.state.epoch, self.state.step, self.state.stop = saved["epoch"], saved["step"], saved["stop"]
        self.state.history = History(saved["history"])

    def _checkpoint_path(self, source: str | os.PathLike[str]) -> Path | None:
        """The file that `resume=` means; None for "auto" where there is none yet."""
        if source == "auto":
            if self.run_dir is None:
                raise ValueError('Trainer.fit: resume="auto" looks into run_dir; give the Trainer one, or name a file')
            path = self.run_dir / "ckpt" / "last.safetensors"
            return path if path.exists() else None
        path = Path(source)
        return path / "ckpt" / "last.safetensors" if path.is_dir() else path

    def _settings(self) -> dict[str, Any]:
        """What has to be the same for a resumed run to see the same batches."""
        loader = self._loader
        if loader is None:
            return {}
        return {"rows": len(loader.dataset), "batch_size": loader.batch_size, "shuffle": loader.shuffle}

    def _named_callbacks(self) -> dict[str, Callback]:
        """The callbacks by class name; a second one of a class is called `Name.2`."""
        named: dict[str, Callback] = {}
        for callback in self.callbacks:
            name, count = type(callback).__name__, 1
            while (name if count == 1 else f"{name}.{count}") in named:
                count += 1
            named[name if count == 1 else f"{name}.{count}"] = callback
        return named

    @staticmethod
    def as_state(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """Copies of arrays as a state_dict of tensors."""
        return {name: Tensor._wrap(np.array(array)) for name, array in arrays.items()}


class _Means:
    """Means over rows, from means over batches: each counts by its number of rows."""

    def __init__(self) -> None:
        self.rows = 0
        self.sums: dict[str, float] = {}

    def add(self, rows: int, values: dict[str, float]) -> None:
        self.rows += rows
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + rows * value

    def means(self) -> dict[str, float]:
        return {name: total / self.rows for name, total in self.sums.items()}


class _evaluating:
    """The model in evaluation mode, and afterwards in the mode it was in."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __enter__(self) -> None:
        self.before = bool(self.model.training)
        self.model.eval()

    def __exit__(self, *error: object) -> None:
        self.model.train(self.before)
