"""What a person sees while a model trains: a live bar on a terminal, a plain line an epoch elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from ..errors import InputError
from .callbacks import Callback, TrainState

MODES = ("auto", "bar", "lines", "none")


def make_progress(mode: str) -> Callback | None:
    """The callback for `progress=`: "bar", "lines", "none", or "auto" (a bar if there is a terminal and `rich`)."""
    if mode not in MODES:
        raise InputError(f"progress is {mode!r}; it can be {', '.join(MODES)}")
    if mode == "none":
        return None
    if mode == "bar" or (mode == "auto" and sys.stdout.isatty()):
        try:
            return Bar()
        except ImportError:
            if mode == "bar":
                raise ImportError('progress="bar" needs rich: pip install rich') from None
    return Lines()


def epoch_line(state: TrainState) -> str:
    """One finished epoch in words: `epoch  3/40  train loss 0.2134 accuracy 0.9412  dev loss …`."""
    width = len(str(state.epochs))
    train = {k: v for k, v in state.row.items() if k not in ("epoch", "lr") and not k.startswith("val_")}
    dev = {k[4:]: v for k, v in state.row.items() if k.startswith("val_")}
    parts = [f"epoch {state.epoch:>{width}}/{state.epochs}"]
    for name, values in (("train", train), ("dev", dev)):
        if values:
            parts.append(f"{name}  " + "  ".join(f"{k} {_number(v)}" for k, v in values.items()))
    return "   ".join(parts)


def _number(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"


class Lines(Callback):
    """One line an epoch on standard output."""

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """What `fit` decided by itself."""
        for note in state.notes:
            sys.stdout.write(note + "\n")

    def on_epoch_end(self, trainer: Any, state: TrainState) -> None:
        """Write the line."""
        sys.stdout.write(epoch_line(state) + "\n")
        sys.stdout.flush()

    on_partial_epoch_end = on_epoch_end


class Bar(Callback):
    """A rich progress bar over all batches of all epochs, with the loss and the time left; above it a line an epoch."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=None),
            TextColumn("loss {task.fields[loss]}   {task.fields[rate]:,.0f} rows/s"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            transient=True,
        )
        self.task: Any = None
        self.shown = 0.0  # when the numbers were last refreshed: a few times a second is enough for an eye
        self.rows = 0

    def on_fit_start(self, trainer: Any, state: TrainState) -> None:
        """Show the bar; a resumed run starts where it was."""
        total, done = state.epochs * state.batches, state.epoch * state.batches
        fields: dict[str, Any] = {"epoch": state.epoch, "epochs": state.epochs, "loss": "…", "rate": 0.0}
        self.task = self.progress.add_task("", total=total, completed=done, **fields)
        self.progress.start()
        for note in state.notes:
            self.progress.console.print(note, highlight=False, soft_wrap=True)
        self.shown, self.rows = time.perf_counter(), 0

    def after_update(self, trainer: Any, state: TrainState) -> None:
        """Move on."""
        self.rows += len(state.xb)
        now = time.perf_counter()
        if now - self.shown > 0.1:
            self.progress.update(
                self.task,
                completed=(state.epoch - 1) * state.batches + state.batch,
                epoch=state.epoch,
                loss=_number(float(state.loss.item())),
                rate=self.rows / (now - self.shown),
            )
            self.shown, self.rows = now, 0

    def on_epoch_end(self, trainer: Any, state: TrainState) -> None:
        """A line above the bar."""
        self.progress.console.print(epoch_line(state), highlight=False, soft_wrap=True)

    on_partial_epoch_end = on_epoch_end

    def on_fit_end(self, trainer: Any, state: TrainState) -> None:
        """Take the bar away."""
        self.progress.stop()

    def on_exception(self, trainer: Any, state: TrainState) -> None:
        """Give the terminal back."""
        self.progress.stop()
