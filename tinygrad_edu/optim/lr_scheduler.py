"""Learning-rate schedules: after each epoch (or step) `scheduler.step()` sets the `lr` of every parameter group.

Each schedule is a closed form `rate(base, t, group)` of the epoch number t and the group's first learning rate, so
that a resumed run continues exactly. Several may act on one optimiser: where the rate found is not the one that this
schedule set, it is multiplied by this schedule's change, as PyTorch's schedules do.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from typing import Any

from .optimizer import Optimizer


def check_optimizer(scheduler: object, optimizer: Any) -> None:
    """TypeError unless it is an optimiser."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(scheduler).__name__}: expected an optimiser, got {type(optimizer).__name__}")


def check_count(scheduler: object, name: str, value: Any) -> None:
    """ValueError unless `value` is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{type(scheduler).__name__}: {name} is {value!r}; it must be a positive integer")


class LRScheduler:
    """Sets lr = self.rate(base, t, group) in each group; t is 0 from the start and grows by 1 with each `step()`.

    Going on from an earlier run: load the optimiser's state, then the schedule's (or give `last_epoch`, the number
    of the last epoch that has been run).
    """

    absolute = False  # whether the rate found in the group is overwritten in any case

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(f"{type(self).__name__}: to go on after epoch {last_epoch}, group {i} of the optimiser "
                               f"needs its initial_lr: load the optimiser's state first")  # fmt: skip
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def rate(self, base: float, t: int, group: int) -> float:
        """The learning rate of a group in epoch t."""
        raise NotImplementedError(f"{type(self).__name__} has no rate(base, t, group)")

    def step(self) -> None:
        """Go on to the next epoch."""
        self.last_epoch += 1
        t = self.last_epoch
        for i, (group, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=True)):
            new = self.rate(base, t, i)
            if not self.absolute:
                old = self.rate(base, t - 1, i) if t > 0 else base
                if group["lr"] != old and old != 0:  # something else has changed the rate
                    new = group["lr"] * (new / old)
            group["lr"] = new

    def get_last_lr(self) -> list[float]:
        """The learning rates in force, one for each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, apart from the rates in force, which are in the optimiser's state."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state."""
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise ValueError(f"{type(self).__name__}: the state is of {len(state_dict['base_lrs'])} parameter groups, "
                             f"the optimiser has {len(self.base_lrs)}")  # fmt: skip
        self.last_epoch, self.base_lrs = int(state_dict["last_epoch"]), list(state_dict["base_lrs"])
        for i, (group, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=True)):
            if group["lr"] == self.rate(base, 0, i):  # the optimiser starts afresh: its state was not loaded
                group["lr"] = self.rate(base, self.last_epoch, i)


class LambdaLR(LRScheduler):
    """base · lr_lambda(t); one function for all groups or one for each."""

    absolute = True

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        count = len(optimizer.param_groups)
        self.lr_lambdas: list[Callable[[int], float]] = (
            list(lr_lambda) if isinstance(lr_lambda, Sequence) else [lr_lambda] * count
        )
        if len(self.lr_lambdas) != count:
            raise ValueError(f"LambdaLR: {len(self.lr_lambdas)} functions for {count} parameter groups")
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """base · lr_lambda(t)."""
        return base * self.lr_lambdas[group](t)


class StepLR(LRScheduler):
    """base · gamma^⌊t/step_size⌋."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        check_count(self, "step_size", step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """base · gamma^⌊t/step_size⌋."""
        return base * self.gamma ** (t // self.step_size)


class MultiStepLR(LRScheduler):
    """base · gamma^(number of milestones reached)."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1,
                 last_epoch: int = -1) -> None:  # fmt: skip
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """base · gamma^(milestones ≤ t)."""
        return base * self.gamma ** bisect.bisect_right(self.milestones, t)


class ExponentialLR(LRScheduler):
    """base · gammaᵗ."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """base · gammaᵗ."""
        return base * self.gamma**t


class ConstantLR(LRScheduler):
    """base · factor for total_iters epochs, then base."""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        if not 0 < factor <= 1:
            raise ValueError(f"ConstantLR: factor is {factor}; it must lie in (0, 1]")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """base · factor, or base from total_iters on."""
        return base * (self.factor if t < self.total_iters else 1.0)


class LinearLR(LRScheduler):
    """base times a factor that goes in a straight line from start_factor to end_factor within total_iters epochs."""

    def __init__(self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0,
                 total_iters: int = 5, last_epoch: int = -1) -> None:  # fmt: skip
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: factors lie in (0, 1], got start {start_factor} and end {end_factor}")
        check_count(self, "total_iters", total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """base · (start + (end − start)·t/total_iters)."""
        progress = min(t, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * progress)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from base down to eta_min in T_max epochs (and up again after). Loshchilov & Hutter 2017."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        check_count(self, "T_max", T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """eta_min + (base − eta_min)·(1 + cos(πt/T_max))/2."""
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from base to eta_min in T_0 epochs, then again, each T_mult times as long as the one before.

    Loshchilov & Hutter 2017 (SGDR).
    """

    absolute = True

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0,
                 last_epoch: int = -1) -> None:  # fmt: skip
        check_count(self, "T_0", T_0)
        check_count(self, "T_mult", T_mult)
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """eta_min + (base − eta_min)·(1 + cos(π·since the restart/length))/2."""
        length = self.T_0
        while t >= length:
            t, length = t - length, length * self.T_mult
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / length)) / 2


class OneCycleLR(LRScheduler):
    """From max_lr/div_factor up to max_lr, then down to a tiny rate, in total_steps steps; step it after each batch.

    `total_steps`, or `epochs` and `steps_per_epoch`; `anneal_strategy` "cos" or "linear"; one max_lr, or one for each
    group. `three_phase` goes down as it went up before it goes on to the tiny rate. With `cycle_momentum` the
    momentum (beta1 of Adam) runs the other way, from max_momentum to base_momentum and back. Smith & Topin 2019.
    """

    absolute = True

    def __init__(self, optimizer: Optimizer, max_lr: Any, total_steps: int | None = None, epochs: int | None = None,
                 steps_per_epoch: int | None = None, pct_start: float = 0.3, anneal_strategy: str = "cos",
                 cycle_momentum: bool = True, base_momentum: float = 0.85, max_momentum: float = 0.95,
                 div_factor: float = 25.0, final_div_factor: float = 1e4, three_phase: bool = False,
                 last_epoch: int = -1) -> None:  # fmt: skip
        check_optimizer(self, optimizer)
        groups = optimizer.param_groups
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ValueError("OneCycleLR: give total_steps, or both epochs and steps_per_epoch")
        if total_steps is None:
            check_count(self, "epochs", epochs)
            check_count(self, "steps_per_epoch", steps_per_epoch)
            total_steps = epochs * steps_per_epoch  # type: ignore[operator]
        check_count(self, "total_steps", total_steps)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start is {pct_start}; a share lies in [0, 1]")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'OneCycleLR: anneal_strategy is {anneal_strategy!r}; it can be "cos" or "linear"')
        if cycle_momentum and not any(name in optimizer.defaults for name in ("momentum", "betas")):
            raise ValueError("OneCycleLR: the optimiser has no momentum to cycle; pass cycle_momentum=False")
        self.max_lrs = list(max_lr) if isinstance(max_lr, list | tuple) else [max_lr] * len(groups)
        if len(self.max_lrs) != len(groups):
            raise ValueError(f"OneCycleLR: {len(self.max_lrs)} values of max_lr for {len(groups)} parameter groups")
        self.total_steps, self.linear = total_steps, anneal_strategy == "linear"
        self.cycle_momentum, self.momenta = cycle_momentum, (max_momentum, base_momentum)
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        up = pct_start * total_steps
        self.ends = [up - 1, 2 * up - 2, total_steps - 1] if three_phase else [up - 1, total_steps - 1]
        for group, peak in zip(groups, self.max_lrs, strict=True):
            if last_epoch == -1:
                group["initial_lr"] = peak / div_factor
        super().__init__(optimizer, last_epoch)

    def _between(self, points: Sequence[float], t: int) -> float:
        """The value in step t of a curve through `points`: at the start and at the end of each phase."""
        start = 0.0
        for i, end in enumerate(self.ends):
            if t <= end or i == len(self.ends) - 1:
                break
            start = end
        share = (t - start) / (end - start) if end > start else 1.0
        low, high = points[i], points[i + 1]
        return low + (high - low) * share if self.linear else high + (low - high) / 2 * (1 + math.cos(math.pi * share))

    def rate(self, base: float, t: int, group: int) -> float:
        """The rate of step t; an error beyond total_steps."""
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR: step {t} is beyond total_steps {self.total_steps}")
        peak, low = self.max_lrs[group], self.max_lrs[group] / self.div_factor
        middle = [peak, low] if len(self.ends) == 3 else [peak]
        return self._between([low, *middle, low / self.final_div_factor], t)

    def step(self) -> None:
        """Go on to the next step: learning rates, and momentum."""
        super().step()
        self._cycle_momentum()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state."""
        super().load_state_dict(state_dict)
        self._cycle_momentum()

    def _cycle_momentum(self) -> None:
        high, low = self.momenta
        momentum = self._between([high, low, high, high], self.last_epoch)
        for group in self.optimizer.param_groups if self.cycle_momentum else []:
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum


class SequentialLR(LRScheduler):
    """Several schedules one after the other; milestone i is where schedule i + 1 takes over, from its own t = 0."""

    absolute = True

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int],
                 last_epoch: int = -1) -> None:  # fmt: skip
        if not schedulers or len(milestones) != len(schedulers) - 1:
            needed = max(len(schedulers) - 1, 0)
            raise ValueError(f"SequentialLR: {len(schedulers)} schedules need {needed} milestones, "
                             f"got {len(milestones)}; there must be one schedule at least")  # fmt: skip
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, OneCycleLR):
                raise TypeError(f"SequentialLR: schedule {i} is a {type(scheduler).__name__}, which cannot be a part")
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: schedule {i} belongs to another optimiser")
        if list(milestones) != sorted(milestones):
            raise ValueError(f"SequentialLR: milestones {list(milestones)} must increase")
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
            raise ValueError(f"ReduceLROnPlateau: factor is {factor}; it must be below 1")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(f'ReduceLROnPlateau: mode {mode!r} is "min" or "max", {threshold_mode!r} "rel" or "abs"')
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown = threshold, threshold_mode, cooldown
        count = len(optimizer.param_groups)
        self.min_lrs, self.eps = list(min_lr) if isinstance(min_lr, list | tuple) else [min_lr] * count, eps
        if len(self.min_lrs) != count:
            raise ValueError(f"ReduceLROnPlateau: {len(self.min_lrs)} values of min_lr for {count} parameter groups")
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
