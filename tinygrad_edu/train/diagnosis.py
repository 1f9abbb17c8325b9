"""`diagnose`: what a history of training says about what went wrong, by a few rules that one can check by eye."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InputError
from .history import History

DIAGNOSES = {
    "healthy": "train and dev are both good, and near each other",
    "over-fit": "good on train, poor on dev: fewer parameters, more data, weight decay, or stop earlier",
    "under-fit": "poor on both, and no longer moving: a larger model",
    "lr-too-high": "the loss shot up, or stayed above that of guessing: a smaller learning rate",
    "lr-too-low": "poor on both, and still falling: a larger learning rate, or more epochs",
    "shuffled-labels": "train improves, dev only guesses: do the labels belong to their rows?",
}


@dataclass(frozen=True)
class Diagnosis:
    """One of `DIAGNOSES`, and the figures that it rests on."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason} ({DIAGNOSES[self.name]})"


def diagnose(history: History, classes: int, good: float = 0.9) -> Diagnosis:
    """What a classifier's history, with accuracy on train and dev, says. `good`: the accuracy that is hoped for.

    Rules, the first that applies: a train loss 20 % above that of guessing (ln `classes`): the learning rate is too
    high. Ten points between train and dev: over-fit, or shuffled labels if dev is no better than twice guessing. Good
    on train: healthy. Else, if more than 35 % of the fall of the loss came in the second half: the learning rate is
    too low; if not: under-fit. InputError for fewer than 4 epochs, or without the columns.
    """
    needed = ("loss", "accuracy", "val_loss", "val_accuracy")
    lacking = [name for name in needed if name not in history.columns]
    if len(history) < 4 or lacking:
        raise InputError(
            f"diagnose: {len(history)} epochs, without {', '.join(lacking) or 'nothing'}; 4 epochs and the columns "
            f"{', '.join(needed)} are wanted: fit(…, val=…) with the metric accuracy"
        )
    losses, guessing = history["loss"], math.log(classes)
    train, dev = history["accuracy"][-1], history["val_accuracy"][-1]
    worst = max(losses) if all(math.isfinite(loss) for loss in losses) else math.inf
    if worst > 1.2 * guessing:
        return Diagnosis("lr-too-high", f"the train loss reached {worst:.3g}; guessing has {guessing:.3g}")
    both = f"accuracy {train:.2f} on train, {dev:.2f} on dev"
    if train - dev >= 0.1:
        return Diagnosis("shuffled-labels" if dev <= 2 / classes else "over-fit", both)
    if train >= good:
        return Diagnosis("healthy", both)
    fall = losses[0] - losses[-1]
    late = (losses[(len(losses) - 1) // 2] - losses[-1]) / fall if fall > 0 else 1.0
    told = f"{both}; {max(late, 0.0):.0%} of the fall of the loss came in the second half"
    return Diagnosis("lr-too-low" if late > 0.35 else "under-fit", told)
