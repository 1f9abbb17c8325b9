"""`Trainer`: the loop one would write by hand, with a history, callbacks and exact resume around it. Nothing else.

    for xb, yb in DataLoader(train, batch_size, shuffle=True, generator=Generator(seed)):
        optimizer.zero_grad()
        loss = loss_function(model(xb), yb)
        loss.backward()
        optimizer.step()

gives the same parameters, to the bit, as `Trainer(model, loss_function, optimizer, seed=seed).fit(train, …)`;
`Trainer.explain()` prints the loop with everything that has been added to it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..data import DataLoader, HeldOut, TensorDataset, check_finite, train_dev_test_split
from ..errors import InputError, KindError
from ..nn.utils import clip_grad_norm_
from ..random import Generator
from ..tensor import Tensor
from . import describe, explore, finetune
from .callbacks import Callback, Checkpoint, CSVLog, TrainState
from .checkpoint import save_checkpoint
from .history import History
from .parallel import ParallelGuard
from .progress import MODES, make_progress
from .recorder import LEVELS, Recorder
from .resume import resume_from, state_of
from .schedule import Schedule
from .tally import Means, check_limits, evaluating
from .weighting import WeightedRows, row_losses, row_weights, weighted_mean

Metric = Callable[[Any, Any], Any]


class Trainer:
    """Fit `model` to data by minimising `loss(outputs, targets)` with `optimizer`.

    `metrics`: name → function of (outputs, targets) that gives a mean over rows.
    `schedule`: a learning-rate scheduler of `optim.lr_scheduler` over `optimizer`; it is stepped after every epoch, or
    after every update if it is a OneCycleLR or CyclicLR (`PerUpdate(scheduler)` does so with any).
    `clip_norm`: the largest norm that all gradients together may have (Pascanu et al. 2013).
    `accumulate`: batches whose gradients make one update; 4 batches of 8 rows give what one of 32 gives.
    `device`: where model and batches are. `seed`: the order of the batches; initialisation and dropout are the default
    generator's (`tg.manual_seed`). `run_dir`: a folder that gets `history.csv`, `steps.npz` and, after every epoch,
    `ckpt/last.safetensors`. `record`: "none", "light" (norms of parameters, gradients and updates at 500 moments of a
    run at most) or "full" (the parameters themselves, for models of up to 10,000). `progress`: "auto", "bar", "lines"
    or "none". `parallel`: a `DataParallel`, for training in several processes.
    """

    def __init__(
        self,
        model: Any,
        loss: Callable[..., Any],
        optimizer: Any,
        *,
        metrics: Mapping[str, Metric] | None = None,
        callbacks: Iterable[Callback] = (),
        schedule: Any = None,
        clip_norm: float | None = None,
        accumulate: int = 1,
        device: Any = "cpu",
        seed: int = 0,
        run_dir: str | os.PathLike[str] | None = None,
        record: str = "light",
        progress: str = "auto",
        parallel: Any = None,
    ) -> None:
        if progress not in MODES:
            raise InputError(f"Trainer: progress is {progress!r}; it can be {', '.join(MODES)}")
        if record not in LEVELS:
            raise InputError(f"Trainer: record is {record!r}; it can be {', '.join(LEVELS)}")
        if isinstance(accumulate, bool) or not isinstance(accumulate, int) or accumulate < 1:
            raise InputError(f"Trainer: accumulate is {accumulate!r}; it must be a whole number of batches, 1 or more")
        if clip_norm is not None and not clip_norm > 0:
            raise InputError(f"Trainer: clip_norm is {clip_norm!r}; it must be a positive number, or None")
        self.model = model.to(device)
        self.loss = loss
        self.optimizer = optimizer
        self.metrics = dict(metrics or {})
        self.clip_norm = clip_norm
        self.accumulate = accumulate
        self.device = device
        self.seed = seed
        self.run_dir = None if run_dir is None or (parallel is not None and parallel.rank) else Path(run_dir)
        self.progress = progress if parallel is None or not parallel.rank else "none"
        self.parallel = parallel
        self.schedule = None if schedule is None else Schedule(schedule, optimizer)
        self.callbacks = list(callbacks)
        if self.schedule is not None:
            self.callbacks.append(self.schedule)
        if record != "none":
            self.callbacks.append(Recorder(record, None if self.run_dir is None else self.run_dir / "steps.npz"))
        if self.run_dir is not None:
            self.callbacks.append(CSVLog(self.run_dir / "history.csv"))
            self.callbacks.append(Checkpoint(self.run_dir / "ckpt"))
        if parallel is not None:
            self.callbacks.append(ParallelGuard())
        self.callbacks.sort(key=lambda callback: callback.order)
        self.state = TrainState(epochs=0)
        self._active = self.callbacks
        self._loader: DataLoader | None = None
        self._totals = Means()

    # -- the loop ----------------------------------------------------------------------------------------------------
    def fit(
        self,
        train: Any,
        *,
        epochs: int,
        val: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | str | None = None,
        max_steps: int | None = None,
        max_seconds: float | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """Train until `epochs` epochs are done and return the history, one row per epoch.

        `train`, `val`: a data set of (x, y) rows, a pair of arrays, or a DataLoader (which then decides on batches and
        order). `val=0.2` sets a fifth of the training rows aside, by class where there are classes. `sample_weight`:
        one weight per row; `class_weight`: {label: weight} or "balanced"; the loss of a batch is then Σ w·l / Σ w.
        `max_steps` updates in the whole run, or `max_seconds` of this call, end it early, also within an epoch, whose
        row then stands for its finished part. `resume`: a checkpoint, a run folder, or "auto" (the one in `run_dir`, if
        there is one); training goes on where it was saved as if it had never stopped. Raises ValueError for bad data,
        an unknown monitored column or other batches than the saved run had; CheckpointError for a damaged or foreign
        checkpoint.
        """
        check_limits(epochs, max_steps, max_seconds)
        state = TrainState(epochs=epochs)
        loader, val = self._prepare(state, train, val, batch_size, shuffle, sample_weight, class_weight)
        self._check_monitored(val is not None)
        self._loader, self._totals, self.state = loader, Means(), state
        state.batches = len(loader)
        if resume is not None:
            resume_from(self, resume)
        state.max_steps = max_steps
        state.deadline, state.paused = None if max_seconds is None else time.monotonic() + max_seconds, None
        progress = make_progress(self.progress)
        self._active = self.callbacks if progress is None else [progress, *self.callbacks]
        try:
            self._call("on_fit_start")
            while state.epoch - bool(state.batch) < epochs and not state.stop:
                state.paused = state.paused or self._limit()
                if state.paused:
                    break
                if not state.batch:
                    state.epoch += 1
                self._epoch(loader, val)
            self._call("on_fit_end")
        except BaseException as error:
            state.error = error
            self._call("on_exception")
            raise
        state.history.stopped = state.stop or state.paused
        return state.history

    def _epoch(self, loader: DataLoader, val: DataLoader | None) -> None:
        """One pass over the data: an update per batch, then validation, then the history's row."""
        state, model, totals = self.state, self.model, self._totals
        model.train()
        self._call("on_epoch_start")
        done = state.batch  # not 0 where a resumed run enters the middle of an epoch
        for state.batch, (xb, yb, *weights) in enumerate(loader, start=done + 1):
            state.xb, state.yb, state.weights = self._placed(xb, yb, *weights)
            self._call("on_batch_start")
            self._forward()
            self._call("after_forward")
            if self.parallel is not None:
                state.stop = self.parallel.agree(state.stop)
            if state.stop:
                return  # before the update; an unfinished epoch has no row
            whole = not state.batch % self.accumulate or state.batch == len(loader)
            self._backward(whole)
            totals.add(state.rows, self._scores(state.outputs, state.yb), state.count, float(state.loss.item()))
            if not whole:
                continue
            self._gathered()
            self._call("after_backward")
            self._update()
            state.paused = self._limit()
            self._call("after_update")
            if (state.stop or state.paused) and state.batch < len(loader):  # else the loader ends its epoch by itself
                break
        state.xb = state.yb = state.weights = state.outputs = state.loss = None  # no graph is kept for the next epoch
        if self.parallel is not None:
            totals.sum_over(self.parallel)
        if not totals.rows:
            return
        state.row = {"epoch": state.epoch, **totals.means(), "lr": float(self.optimizer.param_groups[0]["lr"])}
        if val is not None:
            self._call("on_validation_start")
            state.row |= {f"val_{name}": value for name, value in self.evaluate(val).items()}
            self._call("on_validation_end")
        state.history.rows.append(dict(state.row))
        state.partial = bool(state.paused) and state.batch < len(loader)
        if state.partial:  # where a resumed run goes on is kept
            self._call("on_partial_epoch_end")
            return
        totals.clear()
        state.batch = 0
        self._call("on_epoch_end")

    def _forward(self) -> None:
        """The outputs and the loss of the batch in `state`; the first batch of an update starts with no gradients."""
        state = self.state
        if not state.pending:
            self.optimizer.zero_grad()
        state.outputs = self.model(state.xb)
        state.rows = 0 if self.parallel is not None and self.parallel.is_ghost else len(state.xb)
        if state.weights is None:
            state.loss, state.count = self.loss(state.outputs, state.yb), float(state.rows)
        else:
            state.loss = weighted_mean(row_losses(self.loss)(state.outputs, state.yb), state.weights)
            state.count = float(state.weights.sum().item()) if state.rows else 0.0

    def _backward(self, last: bool = True) -> None:
        """Gradients of this batch; where several make one update, each counts by its rows (or their weights)."""
        state = self.state
        if self.parallel is not None:
            self.parallel.arm(last)
        if self.accumulate == 1 and self.parallel is None:
            state.loss.backward()
        else:
            (state.loss * state.count).backward()
        state.pending += state.count

    def _gathered(self) -> None:
        """All gradients of one update are there: those of several batches, or processes, become a mean."""
        state, rows = self.state, self.state.pending
        if self.parallel is not None:
            rows = self.parallel.sum_gradients(rows)
        if (self.accumulate > 1 or self.parallel is not None) and rows:
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(1.0 / rows)
        state.pending = 0.0

    def _update(self) -> None:
        """Clip the gradients if asked to, and let the optimiser move the parameters."""
        if self.clip_norm is not None:
            self.state.grad_norm = float(clip_grad_norm_(self.model.parameters(), self.clip_norm).item())
        self.optimizer.step()
        self.state.step += 1

    def _limit(self) -> str | None:
        """Which limit of `fit` has been reached, in words; the same for all processes."""
        state, limit = self.state, None
        if state.max_steps is not None and state.step >= state.max_steps:
            limit = f"max_steps={state.max_steps}"
        elif state.deadline is not None and time.monotonic() >= state.deadline:
            limit = "max_seconds"
        where = f"in epoch {state.epoch}, batch {state.batch} of {state.batches}" if state.batch else (
            f"after epoch {state.epoch}")  # fmt: skip
        words = f"{limit} reached {where}" if limit else None
        if self.parallel is not None and state.deadline is not None:  # clocks differ
            words = self.parallel.agree(words)
        return words

    def _call(self, moment: str) -> None:
        for callback in self._active:
            getattr(callback, moment)(self, self.state)

    def _scores(self, outputs: Any, targets: Any) -> dict[str, float]:
        with no_grad():
            return {name: float(metric(outputs, targets)) for name, metric in self.metrics.items()}

    def step(self, xb: Any, yb: Any) -> explore.StepTrace:
        """One visible update on one batch: every parameter, its gradient and its change, and what the loss did.

        `fit` is nothing but this, repeated. Compares the drop of the loss that the gradient predicts with the actual.
        """
        return explore.step(self, xb, yb)

    # -- using the model ---------------------------------------------------------------------------------------------
    def evaluate(self, data: Any, *, batch_size: int = 256) -> dict[str, float]:
        """Loss and metrics on `data`, means over its rows; the model is in evaluation mode meanwhile.

        A `HeldOut` is opened for it, which counts as reading it.
        """
        totals = Means()
        if isinstance(data, HeldOut):
            data = data.open("Trainer.evaluate")
        with evaluating(self.model), no_grad():
            for xb, yb, *_ in self._batches(data, "data", batch_size, False):
                xb, yb, _ = self._placed(xb, yb)
                outputs = self.model(xb)
                scores = self._scores(outputs, yb)
                totals.add(len(xb), scores, float(len(xb)), float(self.loss(outputs, yb).item()))
        return totals.means()

    def predict(self, X: Any, *, batch_size: int = 256) -> np.ndarray:
        """The model's outputs for the rows of `X` (array, tensor, or data set, whose targets are ignored)."""
        if isinstance(X, HeldOut):
            X = X.open("Trainer.predict")
        if isinstance(X, Tensor | np.ndarray | list):
            X = TensorDataset(self._floats(X))
            check_finite(X.tensors[0])
        outputs = []
        with evaluating(self.model), no_grad():
            for batch in X if isinstance(X, DataLoader) else DataLoader(X, batch_size):
                outputs.append(self.model(self._placed(batch[0], batch[0])[0]).detach().cpu().numpy())
        return np.concatenate(outputs)

    # -- looking before leaping: none of these changes parameters, optimiser or random numbers -------------------------
    def find_lr(self, data: Any, *, lo: float = 1e-6, hi: float = 10.0, steps: int = 100,
                batch_size: int = 32) -> explore.LRCurve:  # fmt: skip
        """Train a copy with a learning rate that grows from `lo` to `hi`, and see where the loss falls and explodes.

        Smith, "Cyclical learning rates for training neural networks", 2017.
        """
        return explore.find_lr(self, data, lo, hi, steps, batch_size)

    def overfit(self, data: Any, *, batches: int = 1, steps: int = 200, target: float = 1e-2,
                batch_size: int = 32) -> explore.Verdict:  # fmt: skip
        """Can a copy learn `batches` batches by heart? If not, something is wrong with model, loss or learning rate."""
        return explore.overfit(self, data, batches, steps, target, batch_size)

    def explain(self) -> str:
        """The training loop as text, each callback printed where it fires."""
        return describe.explain(self)

    def describe(self) -> str:
        """One table of parameters (what training finds) and hyperparameters (what was decided)."""
        return describe.describe(self)

    def summary(self, x: Any) -> str:
        """Layers of the model on an example batch `x`: output shapes, parameters, multiplications."""
        return describe.summary(self.model, x)

    def fine_tune(
        self,
        data: Any,
        *,
        head: Any,
        freeze_epochs: int = 1,
        epochs: int = 3,
        lr: float = 1e-3,
        lr_ratio: float = 0.1,
        **options: Any,
    ) -> History:
        """Train the new `head` (a module, or its name) alone for `freeze_epochs`, then everything for the rest.

        In the second part the body learns with `lr · lr_ratio`, the head with `lr`. `options` go to `fit`. The
        optimiser becomes a new one of the same class. Howard & Ruder 2018.
        """
        return finetune.fine_tune(self, data, head, freeze_epochs, epochs, lr, lr_ratio, options)

    # -- data --------------------------------------------------------------------------------------------------------
    def _prepare(
        self, state: TrainState, train: Any, val: Any, batch_size: int, shuffle: bool, sample_weight: Any,
        class_weight: Any,
    ) -> tuple[DataLoader, DataLoader | None]:  # fmt: skip
        """The loaders that `fit` runs on; what was decided on the way is noted for the log."""
        weighted = sample_weight is not None or class_weight is not None
        if isinstance(train, DataLoader):
            if weighted or isinstance(val, float):
                raise InputError("Trainer.fit: weights and val=<fraction> need a data set or arrays, not a DataLoader")
        else:
            train = self._dataset(train, "train")
            weights = row_weights(train, sample_weight, class_weight, np.dtype(self._dtype()))
            if isinstance(val, float):
                split = train_dev_test_split(train, dev=val, test=0, seed=self.seed)
                state.notes.append(f"val={val:g}: {len(split.dev)} of {len(train)} training rows set aside "
                                   f"({split.how})")  # fmt: skip
                weights = None if weights is None else weights[split.train.indices]
                train, val = split.train, split.dev
            if weights is not None:
                train = WeightedRows(train, weights)
        loader = self._batches(train, "train", batch_size, shuffle)
        if self.parallel is not None:
            loader = self.parallel.shard(loader)
        return loader, None if val is None else self._batches(val, "val", max(batch_size, 256), False)

    def _batches(self, data: Any, name: str, batch_size: int, shuffle: bool) -> DataLoader:
        """`data` as a loader."""
        if isinstance(data, DataLoader):
            return data
        data = self._dataset(data, name)
        return DataLoader(data, batch_size, shuffle, generator=Generator(self.seed) if shuffle else None)

    def _dataset(self, data: Any, name: str) -> Any:
        """`data` as a data set, after a look at it: no rows or NaN in them are errors here, not a puzzle later."""
        if isinstance(data, WeightedRows):
            return data
        if isinstance(data, HeldOut):
            raise InputError(f"Trainer: {name} is held-out test data; train and tune on other rows, evaluate() it once")
        if isinstance(data, tuple | list) and len(data) == 2 and not isinstance(data[0], int | float):
            data = TensorDataset(self._floats(data[0]), self._floats(data[1]))
        if not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
            raise KindError(f"Trainer: {name} is a {type(data).__name__}; give (X, y), a data set or a DataLoader")
        if len(data) and hasattr(data, "gather"):
            parts = data[:]
            if len(parts) != 2:
                raise InputError(f"Trainer: the rows of {name} have {len(parts)} parts; (input, target) is wanted")
            for part, letter in zip(parts, "Xy", strict=True):
                check_finite(part, f"{name}: {letter}")
        return data

    def _placed(self, x: Any, y: Any, weights: Any = None) -> tuple[Any, Any, Any]:
        """A batch on the trainer's device."""
        if self.device == "cpu":
            return x, y, weights
        return x.to(self.device), y.to(self.device), None if weights is None else weights.to(self.device)

    def _dtype(self) -> Any:
        """The dtype of the parameters."""
        first = next(iter(self.model.parameters()), None)
        return np.float32 if first is None else first.dtype

    def _floats(self, values: Any) -> Any:
        """Arrays of floats in the dtype of the parameters (NumPy makes float64, models are float32)."""
        if isinstance(values, Tensor):
            return values
        array = np.asarray(values)
        return array.astype(self._dtype()) if array.dtype.kind == "f" else array

    def _check_monitored(self, validation: bool) -> None:
        """Raise ValueError before epoch 1 if a callback wants a column that no row will have."""
        names = ["loss", *self.metrics]
        known = [*names, "lr", *([f"val_{name}" for name in names] if validation else [])]
        for callback in self.callbacks:
            if callback.monitor is not None and callback.monitor not in known:
                hint = "" if validation or not callback.monitor.startswith("val_") else "; fit(…, val=…) makes it"
                raise InputError(
                    f"{type(callback).__name__} monitors {callback.monitor!r}, but there are {', '.join(known)}{hint}"
                )

    # -- checkpoints -------------------------------------------------------------------------------------------------
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything needed to go on to `path`, atomically: the old file or the new one, never half."""
        save_checkpoint(path, state_of(self))

    @staticmethod
    def as_state(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """Copies of arrays as a state_dict of tensors."""
        return {name: Tensor._wrap(np.array(array)) for name, array in arrays.items()}
