"""Learning-rate schedules: after each epoch (or step) `scheduler.step()` sets the `lr` of every parameter group.

Each schedule is a closed form `rate(base, t, group)` of the epoch number t and the group's first learning rate, so
that a resumed run continues exactly. Several may act on one optimiser: where the rate found is not the one that this
schedule set, it is multiplied by this schedule's change, as PyTorch's schedules do.
"""

from __future__ import annotations

import bisect
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import InputError, KindError
from ..optimizer import Optimizer


def check_optimizer(scheduler: object, optimizer: Any) -> None:
    """TypeError unless it is an optimiser."""
    if not isinstance(optimizer, Optimizer):
        raise KindError(f"{type(scheduler).__name__}: expected an optimiser, got {type(optimizer).__name__}")


def check_count(scheduler: object, name: str, value: Any) -> None:
    """ValueError unless `value` is a positive integer; 2.0 is one, as programs write it."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or value % 1 != 0 or value < 1:
        raise InputError(f"{type(scheduler).__name__}: {name} is {value!r}; it must be a positive integer")


def functions(scheduler: object, optimizer: Optimizer, given: Any) -> list[Callable[[int], float]]:
    """One function for each parameter group."""
    count = len(optimizer.param_groups)
    result = list(given) if isinstance(given, Sequence) else [given] * count
    if len(result) != count:
        raise InputError(f"{type(scheduler).__name__}: {len(result)} functions for {count} parameter groups")
    return result


class LRScheduler:
    """Sets lr = self.rate(base, t, group) in each group; t is 0 from the start and grows by 1 with each `step()`.

    A schedule of one's own writes `rate`, or as in PyTorch `get_lr()`: the new rates of all groups at `last_epoch`.

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
        self._last_lr = [group["lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def rate(self, base: float, t: int, group: int) -> float:
        """The learning rate of a group in epoch t."""
        raise NotImplementedError(f"{type(self).__name__} has no rate(base, t, group)")

    def get_lr(self) -> list[float]:
        """The rates of all groups in epoch `last_epoch`, from the ones of the epoch before."""
        t, result = self.last_epoch, []
        for i, (group, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=True)):
            new = self.rate(base, t, i)
            if not self.absolute:
                old = self.rate(base, t - 1, i) if t > 0 else base
                if group["lr"] != old and old != 0:  # something else has changed the rate
                    new = group["lr"] * (new / old)
            result.append(new)
        return result

    def step(self, epoch: float | None = None) -> None:
        """Go on to the next epoch, or to a given one (for warm restarts a fraction counts)."""
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = math.floor(epoch)
            rates = [self.rate(base, epoch, i) for i, base in enumerate(self.base_lrs)]  # type: ignore[arg-type]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = list(rates)

    def get_last_lr(self) -> list[float]:
        """The learning rates that this schedule has set, one for each group."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, apart from the rates in force, which are in the optimiser's state."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs), "_last_lr": list(self._last_lr)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state."""
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise InputError(f"{type(self).__name__}: the state is of {len(state_dict['base_lrs'])} parameter groups, "
                             f"the optimiser has {len(self.base_lrs)}")  # fmt: skip
        self.last_epoch, self.base_lrs = int(state_dict["last_epoch"]), list(state_dict["base_lrs"])
        fresh, self._last_lr = self._last_lr, list(state_dict.get("_last_lr", self._last_lr))
        for group, first, rate in zip(self.optimizer.param_groups, fresh, self._last_lr, strict=True):
            if group["lr"] == first:  # the optimiser starts afresh: its state was not loaded
                group["lr"] = rate


class LambdaLR(LRScheduler):
    """base · lr_lambda(t); one function for all groups or one for each."""

    absolute = True

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        self.lr_lambdas = functions(self, optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """base · lr_lambda(t)."""
        return base * self.lr_lambdas[group](t)


class MultiplicativeLR(LRScheduler):
    """The rate of the epoch before times lr_lambda(t); one function for all groups or one for each."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        self.lr_lambdas = functions(self, optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates in force, times lr_lambda(t) from t = 1 on."""
        pairs = zip(self.optimizer.param_groups, self.lr_lambdas, strict=True)
        return [group["lr"] * (f(self.last_epoch) if self.last_epoch > 0 else 1) for group, f in pairs]


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
            raise InputError(f"ConstantLR: factor is {factor}; it must lie in (0, 1]")
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
            raise InputError(f"LinearLR: factors lie in (0, 1], got start {start_factor} and end {end_factor}")
        check_count(self, "total_iters", total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """base · (start + (end − start)·t/total_iters)."""
        progress = min(t, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * progress)


class PolynomialLR(LRScheduler):
    """base · (1 − t/total_iters)^power, zero from total_iters on."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        check_count(self, "total_iters", total_iters)
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        """base · (1 − t/total_iters)^power."""
        return float(base * (1 - min(t, self.total_iters) / self.total_iters) ** self.power)


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
