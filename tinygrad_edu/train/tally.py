"""Small helpers of the trainer: means over rows, evaluation mode, limits."""

from __future__ import annotations

import math
from typing import Any

from ..errors import InputError


class Means:
    """Means over rows, from means over batches: each counts by its number of rows, the loss by their weights."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start anew."""
        self.rows = 0
        self.weight = 0.0
        self.sums: dict[str, float] = {"loss": 0.0}

    def add(self, rows: int, scores: dict[str, float], weight: float, loss: float) -> None:
        """A batch: its rows, their scores, the weight of the batch and its loss."""
        self.rows += rows
        self.weight += weight
        self.sums["loss"] += weight * loss
        for name, value in scores.items():
            self.sums[name] = self.sums.get(name, 0.0) + rows * value

    def sum_over(self, parallel: Any) -> None:
        """Make them the means over the rows of all processes."""
        names = list(self.sums)
        rows, self.weight, *sums = parallel.sum([float(self.rows), self.weight, *self.sums.values()])
        self.rows, self.sums = int(rows), dict(zip(names, sums, strict=True))

    def means(self) -> dict[str, float]:
        """The means so far, the loss first."""
        loss = self.sums["loss"] / self.weight if self.weight else math.nan
        return {"loss": loss} | {k: total / self.rows for k, total in self.sums.items() if k != "loss"}

    def state_dict(self) -> dict[str, Any]:
        """The sums, for a checkpoint."""
        return {"rows": self.rows, "weight": self.weight, "sums": dict(self.sums)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from sums of before."""
        self.rows, self.weight, self.sums = state["rows"], state["weight"], dict(state["sums"])


class evaluating:
    """The model in evaluation mode, and afterwards in the mode it was in."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __enter__(self) -> None:
        self.modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()

    def __exit__(self, *error: object) -> None:
        for module, training in self.modes:  # parts of a model may be in another mode than the whole
            module.training = training


def check_limits(epochs: Any, max_steps: Any, max_seconds: Any) -> None:
    """ValueError for counts that mean nothing."""
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0:
        raise InputError(f"Trainer.fit: epochs is {epochs!r}; it must be a whole number, 0 or more")
    if max_steps is not None and (isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1):
        raise InputError(f"Trainer.fit: max_steps is {max_steps!r}; it must be a whole number, 1 or more, or None")
    if max_seconds is not None and not max_seconds > 0:
        raise InputError(f"Trainer.fit: max_seconds is {max_seconds!r}; it must be a positive number, or None")
