"""Schedules in cycles: one cycle for a whole training run, or many; momentum runs the other way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import InputError
from ..optimizer import Optimizer
from .base import LRScheduler, check_count, check_optimizer


def set_momentum(group: dict[str, Any], momentum: float) -> None:
    """Momentum, or beta1, of a parameter group."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


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
            raise InputError("OneCycleLR: give total_steps, or both epochs and steps_per_epoch")
        if total_steps is None:
            check_count(self, "epochs", epochs)
            check_count(self, "steps_per_epoch", steps_per_epoch)
            total_steps = epochs * steps_per_epoch  # type: ignore[operator]
        check_count(self, "total_steps", total_steps)
        if not 0 <= pct_start <= 1:
            raise InputError(f"OneCycleLR: pct_start is {pct_start}; a share lies in [0, 1]")
        if anneal_strategy not in ("cos", "linear"):
            raise InputError(f'OneCycleLR: anneal_strategy is {anneal_strategy!r}; it can be "cos" or "linear"')
        if cycle_momentum and not any(name in optimizer.defaults for name in ("momentum", "betas")):
            raise InputError("OneCycleLR: the optimiser has no momentum to cycle; pass cycle_momentum=False")
        self.max_lrs = list(max_lr) if isinstance(max_lr, list | tuple) else [max_lr] * len(groups)
        if len(self.max_lrs) != len(groups):
            raise InputError(f"OneCycleLR: {len(self.max_lrs)} values of max_lr for {len(groups)} parameter groups")
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
            raise InputError(f"OneCycleLR: step {t} is beyond total_steps {self.total_steps}")
        peak, low = self.max_lrs[group], self.max_lrs[group] / self.div_factor
        middle = [peak, low] if len(self.ends) == 3 else [peak]
        return self._between([low, *middle, low / self.final_div_factor], t)

    def step(self, epoch: float | None = None) -> None:
        """Go on to the next step: learning rates, and momentum."""
        super().step(epoch)
        self._cycle_momentum()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state."""
        super().load_state_dict(state_dict)
        self._cycle_momentum()

    def _cycle_momentum(self) -> None:
        high, low = self.momenta
        momentum = self._between([high, low, high, high], self.last_epoch)
        for group in self.optimizer.param_groups if self.cycle_momentum else []:
            set_momentum(group, momentum)


class CyclicLR(LRScheduler):
    """From base_lr up to max_lr in step_size_up steps and down again in step_size_down, over and over.

    `mode`: "triangular", "triangular2" (each triangle half as high as the one before), "exp_range" (gamma^t as high),
    or a function `scale_fn` of the cycle's number ("cycle") or of t ("iterations"), as `scale_mode` says. Momentum (or
    beta1) runs the other way. Smith 2017.
    """

    absolute = True

    def __init__(self, optimizer: Optimizer, base_lr: Any, max_lr: Any, step_size_up: int = 2000,
                 step_size_down: int | None = None, mode: str = "triangular", gamma: float = 1.0,
                 scale_fn: Callable[[float], float] | None = None, scale_mode: str = "cycle",
                 cycle_momentum: bool = True, base_momentum: Any = 0.8, max_momentum: Any = 0.9,
                 last_epoch: int = -1) -> None:  # fmt: skip
        check_optimizer(self, optimizer)
        known: dict[str, Callable[[float], float]] = {
            "triangular": lambda cycle: 1.0,
            "triangular2": lambda cycle: 0.5 ** (cycle - 1),
            "exp_range": lambda t: gamma**t,
        }
        if scale_fn is None and mode not in known:
            raise InputError(f"CyclicLR: mode is {mode!r}; it can be {', '.join(known)}, or give scale_fn")
        self.scale_fn = scale_fn if scale_fn is not None else known[mode]
        self.by_step = (mode == "exp_range") if scale_fn is None else scale_mode == "iterations"
        groups = optimizer.param_groups
        if cycle_momentum and not all("momentum" in g or "betas" in g for g in groups):
            raise InputError("CyclicLR: the optimiser has no momentum to cycle; pass cycle_momentum=False")
        self.up, self.down = float(step_size_up), float(step_size_up if step_size_down is None else step_size_down)
        lows, self.max_lrs, self.base_momentums, self.max_momentums = (
            list(given) if isinstance(given, list | tuple) else [given] * len(groups)
            for given in (base_lr, max_lr, base_momentum, max_momentum)
        )
        self.cycle_momentum = cycle_momentum
        if last_epoch == -1:
            for group, low in zip(groups, lows, strict=True):
                group["initial_lr"] = group["lr"] = low
        super().__init__(optimizer, last_epoch)

    def _height(self, t: float) -> float:
        """How far up step t is, from 0 to 1."""
        length = self.up + self.down
        cycle = math.floor(1 + t / length)
        position, share = 1 + t / length - cycle, self.up / length
        height = position / share if position <= share else (position - 1) / (share - 1)
        return height * self.scale_fn(t if self.by_step else cycle)

    def rate(self, base: float, t: int, group: int) -> float:
        """base + (max − base) · height."""
        return base + (self.max_lrs[group] - base) * self._height(t)

    def step(self, epoch: float | None = None) -> None:
        """Go on to the next step: learning rates, and momentum."""
        super().step(epoch)
        for i, group in enumerate(self.optimizer.param_groups if self.cycle_momentum else []):
            high, low = self.max_momentums[i], self.base_momentums[i]
            set_momentum(group, high - (high - low) * self._height(self.last_epoch))
