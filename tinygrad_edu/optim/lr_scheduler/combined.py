"""Schedules of schedules, and the one that looks at a metric."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any

from ...errors import InputError, KindError
from ..optimizer import Optimizer
from .base import LRScheduler, check_optimizer
from .cycles import CyclicLR, OneCycleLR


class ChainedScheduler:
    """Several schedules on one optimiser, all stepped together: their factors multiply."""

    def __init__(self, schedulers: Sequence[Any], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise InputError("ChainedScheduler: there must be one schedule at least")
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        if any(s.optimizer is not self.optimizer for s in schedulers):
            raise InputError("ChainedScheduler: all schedules must belong to one optimiser")
        self.schedulers = list(schedulers)

    def step(self) -> None:
        """Go on to the next epoch."""
        for scheduler in self.schedulers:
            scheduler.step()

    def get_last_lr(self) -> list[float]:
        """The learning rates in force, one for each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The states of all schedules."""
        return {"_schedulers": [s.state_dict() for s in self.schedulers], "_last_lr": self.get_last_lr()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state."""
        for scheduler, state in zip(self.schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)


class SequentialLR(LRScheduler):
    """Several schedules one after the other; milestone i is where schedule i + 1 takes over, from its own t = 0."""

    absolute = True

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int],
                 last_epoch: int = -1) -> None:  # fmt: skip
        if not schedulers or len(milestones) != len(schedulers) - 1:
            needed = max(len(schedulers) - 1, 0)
            raise InputError(f"SequentialLR: {len(schedulers)} schedules need {needed} milestones, "
                             f"got {len(milestones)}; there must be one schedule at least")  # fmt: skip
        for i, scheduler in enumerate(schedulers):
            own = isinstance(scheduler, LRScheduler) and type(scheduler).get_lr is LRScheduler.get_lr
            if not own or isinstance(scheduler, OneCycleLR | CyclicLR):
                raise KindError(f"SequentialLR: schedule {i} is a {type(scheduler).__name__}, which cannot be a part")
            if scheduler.optimizer is not optimizer:
                raise InputError(f"SequentialLR: schedule {i} belongs to another optimiser")
        if list(milestones) != sorted(milestones):
            raise InputError(f"SequentialLR: milestones {list(milestones)} must increase")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """The rate of the schedule in charge."""
        i = bisect.bisect_right(self.milestones, t)
        return self.schedulers[i].rate(base, t - (self.milestones[i - 1] if i else 0), group)


class ReduceLROnPlateau:
    """Multiply the learning rates by `factor` when a metric has not improved for more than `patience` epochs."""

    def __init__(self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
                 threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0, min_lr: Any = 0.0,
                 eps: float = 1e-8) -> None:  # fmt: skip
        check_optimizer(self, optimizer)
        if not factor < 1:
            raise InputError(f"ReduceLROnPlateau: factor is {factor}; it must be below 1")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise InputError(f'ReduceLROnPlateau: mode {mode!r} is "min" or "max", {threshold_mode!r} "rel" or "abs"')
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown = threshold, threshold_mode, cooldown
        count = len(optimizer.param_groups)
        self.min_lrs, self.eps = list(min_lr) if isinstance(min_lr, list | tuple) else [min_lr] * count, eps
        if len(self.min_lrs) != count:
            raise InputError(f"ReduceLROnPlateau: {len(self.min_lrs)} values of min_lr for {count} parameter groups")
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0

    def _better(self, value: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        if math.isinf(self.best):
            return value < self.best if self.mode == "min" else value > self.best
        margin = self.threshold * abs(self.best) if self.threshold_mode == "rel" else self.threshold
        return sign * (value - self.best) > margin

    def step(self, metrics: Any) -> None:
        """Tell the metric of the epoch that has ended."""
        value = float(metrics)
        if self._better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, floor in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                lower = max(group["lr"] * self.factor, floor)
                if group["lr"] - lower > self.eps:
                    group["lr"] = lower
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def get_last_lr(self) -> list[float]:
        """The learning rates in force, one for each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {name: getattr(self, name) for name in ("best", "num_bad_epochs", "cooldown_counter")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state."""
        for name in self.state_dict():
            setattr(self, name, state_dict[name])
