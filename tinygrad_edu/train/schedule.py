"""The learning-rate schedule as the trainer runs it: when to step which scheduler."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..optim import lr_scheduler
from .callbacks import Callback, TrainState

EACH_UPDATE = ("OneCycleLR", "CyclicLR")  # as PyTorch documents them


class PerUpdate:
    """Marks a scheduler as one to be stepped after every update instead of every epoch."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler


class Schedule(Callback):
    """Steps a scheduler of `optim.lr_scheduler` at the right moment, and carries it through checkpoints.

    `scheduler` may also be a function that makes one of the optimiser. A ReduceLROnPlateau gets `val_loss`, or `loss`
    without validation.
    """

    order = 50  # after the callbacks that look at the epoch, before those that save it

    def __init__(self, scheduler: Any, optimizer: Any) -> None:
        each_update = isinstance(scheduler, PerUpdate)
        inner = scheduler.scheduler if each_update else scheduler
        if not hasattr(inner, "step") and callable(inner):
            inner = inner(optimizer)  # a function that makes it
        if getattr(inner, "optimizer", None) is not optimizer:
            raise InputError(
                f"Trainer: schedule is {type(inner).__name__} over another optimiser than the trainer's; "
                f"make it of the same object, or give a function: schedule=lambda optimizer: StepLR(optimizer, 10)"
            )
        self.scheduler = inner
        self.each_update = each_update or type(inner).__name__ in EACH_UPDATE
        self.on_plateau = isinstance(inner, lr_scheduler.ReduceLROnPlateau)

    def after_update(self, trainer: Any, state: TrainState) -> None:
        """Step, if this one goes by updates."""
        if self.each_update:
            self.scheduler.step()

    def on_epoch_end(self, trainer: Any, state: TrainState) -> None:
        """Step, if this one goes by epochs."""
        if self.on_plateau:
            self.scheduler.step(state.row.get("val_loss", state.row["loss"]))
        elif not self.each_update:
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's."""
        return {"state": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the saved scheduler was."""
        self.scheduler.load_state_dict(state["state"])
