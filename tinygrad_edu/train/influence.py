"""Callbacks that change what training does: learning rates, what is frozen, averages of the parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..errors import InputError
from ..nn import Module
from ..tensor import Tensor
from .callbacks import Callback, TrainState, is_maximised


def freeze(module: Any, *, except_: Iterable[Any] = ()) -> list[str]:
    """Let no parameter of `module` learn, but those of the modules `except_` (modules or names of parts).

    Returns the names of what is frozen. A frozen parameter gets no gradient, and costs none.
    """
    spared = {id(p) for part in except_ for p in part_of(module, part).parameters()}
    frozen = []
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(id(parameter) in spared)
        if id(parameter) not in spared:
            parameter.grad = None
            frozen.append(name)
    return frozen


def unfreeze(module: Any) -> None:
    """Let every parameter of `module` learn."""
    for parameter in module.parameters():
        parameter.requires_grad_(True)


def part_of(model: Any, part: Any) -> Any:
    """`part` itself if it is a module in `model`, or the part of that name; ValueError lists what there is."""
    named = {name: module for name, module in model.named_modules() if name}
    if isinstance(part, Module):
        if part is model or any(part is module for module in named.values()):
            return part
        raise InputError(f"this {type(part).__name__} is no part of the model; its parts are {', '.join(named)}")
    if part not in named:
        raise InputError(f"the model has no part {part!r}; it has {', '.join(named)}")
    return named[part]


class Freeze(Callback):
    """Keep parts of the model as they are: no gradients, and evaluation mode (running statistics, no dropout).

    `parts`: modules or names of parts; none means the whole model but `except_`. With `until_epoch=n` they learn again
    from epoch n on. At the end of `fit` the parameters learn or not as before.
    """

    def __init__(self, *parts: Any, except_: Iterable[Any] = (), until_epoch: int | None = None) -> None:
        self.parts = parts
        self.except_ = tuple(except_)
        self.until_epoch = until_epoch
        self._before: list[tuple[Any, bool]] = []

    def _frozen(self, model: Any) -> list[Any]:
        """The modules without parts of their own that are to stay as they are."""
        spared = {id(m) for part in self.except_ for m in part_of(model, part).modules()}
        roots = [part_of(model, part) for part in self.parts] or [model]
        return [m for root in roots for m in root.modules() if id(m) not in spared and m is not model]

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """See that the parts exist, before the first epoch."""
        self._frozen(trainer.model)
        self._before = [(p, p.requires_grad) for p in trainer.model.parameters()]

    def on_epoch_start(self, trainer: Any, state: TrainState) -> None:
        """Freeze, or let go; `model.train()` has just put every module into training mode."""
        modules = self._frozen(trainer.model)
        free = self.until_epoch is not None and state.epoch >= self.until_epoch
        own = {id(p) for module in modules for p in module._parameters.values() if p is not None}
        for parameter, learns in self._before:
            if id(parameter) in own:
                parameter.requires_grad_(learns and free)
                if not free:
                    parameter.grad = None
        for module in modules if not free else []:
            if not list(module.children()):
                module.training = False

    def on_fit_end(self, trainer: Any, state: TrainState) -> None:
        """Everything as it was."""
        for parameter, learns in self._before:
            parameter.requires_grad_(learns)
        self._before = []

    def on_exception(self, trainer: Any, state: TrainState) -> None:
        """Everything as it was."""
        self.on_fit_end(trainer, state)


class Unfreeze(Callback):
    """Let `parts` (modules or names; none means all) learn from epoch `epoch` on, with `lr` if it is given.

    For gradual unfreezing, the last layers first. Howard & Ruder 2018.
    """

    def __init__(self, epoch: int, *parts: Any, lr: float | None = None) -> None:
        if epoch < 1:
            raise InputError(f"Unfreeze: epoch is {epoch}; epochs count from 1")
        self.epoch = epoch
        self.parts = parts
        self.lr = lr

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """See that the parts exist, and that the optimiser has their parameters."""
        known = {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
        for part in self.parts or (trainer.model,):
            for name, p in part_of(trainer.model, part).named_parameters():
                if id(p) not in known:
                    raise InputError(
                        f"Unfreeze: the optimiser does not have {name}; give it all parameters, frozen too"
                    )

    def on_epoch_start(self, trainer: Any, state: TrainState) -> None:
        """At the epoch, once; in a resumed run again, which changes nothing."""
        if state.epoch < self.epoch:
            return
        chosen = {id(p) for part in self.parts or (trainer.model,) for p in part_of(trainer.model, part).parameters()}
        for p in trainer.model.parameters():
            if id(p) in chosen:
                p.requires_grad_(True)
        if self.lr is not None and state.epoch == self.epoch:
            for group in trainer.optimizer.param_groups:
                if any(id(p) in chosen for p in group["params"]):
                    group["lr"] = self.lr


class ReduceLROnPlateau(Callback):
    """Multiply every learning rate by `factor` when `monitor` has not improved for `patience` epochs.

    Not below `min_lr`; after a reduction `cooldown` epochs do not count; only `min_delta` or more counts as better.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        factor: float = 0.1,
        patience: int = 3,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: str = "auto",
    ) -> None:
        if not 0 < factor < 1:
            raise InputError(f"ReduceLROnPlateau: factor is {factor}; it must be between 0 and 1")
        if patience < 1:
            raise InputError(f"ReduceLROnPlateau: patience is {patience}; it must be at least 1 epoch")
        self.monitor = monitor
        self.factor, self.patience, self.min_delta = factor, patience, min_delta
        self.cooldown, self.min_lr = cooldown, min_lr
        self.sign = -1.0 if is_maximised(monitor, mode) else 1.0
        self._begin()

    def _begin(self) -> None:
        self.best, self.waited, self.cooling = math.inf, 0, 0

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """A new run starts counting anew."""
        if not len(state.history):
            self._begin()

    def on_epoch_end(self, trainer: Any, state: TrainState) -> None:
        """Compare, wait, reduce."""
        value = self.sign * float(state.row[str(self.monitor)])
        self.cooling = max(0, self.cooling - 1)
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
            return
        self.waited = 0 if self.cooling else self.waited + 1
        if self.waited >= self.patience:
            for group in trainer.optimizer.param_groups:
                group["lr"] = max(self.min_lr, group["lr"] * self.factor)
            self.waited, self.cooling = 0, self.cooldown

    def state_dict(self) -> dict[str, Any]:
        """Where the counting stands."""
        return {"best": self.best, "waited": self.waited, "cooling": self.cooling}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting."""
        self.best, self.waited, self.cooling = state["best"], state["waited"], state["cooling"]


class EMA(Callback):
    """An exponential moving average of the parameters: after each update average ← decay·average + (1 − decay)·p.

    Validation uses the average; at the end of `fit` it becomes the parameters (`swap=False` leaves them). In its first
    updates the average follows faster: the decay is at most (1 + t)/(10 + t) in update t. Polyak & Juditsky 1992.
    """

    order = -10  # before the callbacks that look at the model at the end

    def __init__(self, decay: float = 0.999, *, swap: bool = True) -> None:
        if not 0 <= decay < 1:
            raise InputError(f"EMA: decay is {decay}; it must be from 0 to less than 1")
        self.decay = decay
        self.swap = swap
        self.average: dict[str, np.ndarray] = {}
        self.updates = 0
        self._live: dict[str, np.ndarray] = {}

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """Start from the parameters as they are, unless the run is a resumed one."""
        if not state.step:
            self.average, self.updates = _values(trainer.model), 0

    def after_update(self, trainer: Any, state: TrainState) -> None:
        """Move the average."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, p in trainer.model.named_parameters():
            held = self.average[name]
            held += (1 - decay) * (p.detach().cpu().numpy() - held)

    def on_validation_start(self, trainer: Any, state: TrainState) -> None:
        """Put the average in."""
        self._live = _values(trainer.model)
        _put(trainer.model, self.average)

    def on_validation_end(self, trainer: Any, state: TrainState) -> None:
        """Take it out again: training goes on from the parameters."""
        if self._live:
            _put(trainer.model, self._live)
            self._live = {}

    def on_fit_end(self, trainer: Any, state: TrainState) -> None:
        """The average becomes the parameters."""
        if self.swap and self.average:
            _put(trainer.model, self.average)

    def on_exception(self, trainer: Any, state: TrainState) -> None:
        """An error in validation leaves the parameters, not the average."""
        self.on_validation_end(trainer, state)

    def state_dict(self) -> dict[str, Any]:
        """The average."""
        return {"average": dict(self.average), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on averaging."""
        self.average, self.updates = dict(state["average"]), state["updates"]


def _values(model: Any) -> dict[str, np.ndarray]:
    return {name: np.array(p.detach().cpu().numpy()) for name, p in model.named_parameters()}


@no_grad()
def _put(model: Any, values: dict[str, np.ndarray]) -> None:
    for name, p in model.named_parameters():
        p.copy_(Tensor._wrap(np.array(values[name])))
