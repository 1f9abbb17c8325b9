"""The two pictures of a run: how it learned (curves.png) and what (weights.png)."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu.lessons.style import COLOURS, DEV, GREY, STYLE, TRAIN
from tinygrad_edu.train import History, write_atomically

T = TypeVar("T")
TITLES = {"loss": "Loss", "accuracy": "Accuracy", "mae": "Mean absolute error (standardised)"}


def in_our_style(draw: Callable[..., T]) -> Callable[..., T]:
    """While `draw` draws, matplotlib has our settings; a program's own come back after it."""

    @functools.wraps(draw)
    def drawing(*args: Any, **options: Any) -> T:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*args, **options)

    return drawing


@in_our_style
def curves(history: History, path: Path, name: str, floor: float = 0.0) -> None:
    """Each measure against the epoch, on train and dev; `floor` is the lowest loss there can be."""
    measures = [c for c in history.columns if c not in ("epoch", "lr") and not c.startswith("val_")]
    if not measures:
        return
    figure = figure_of(4.6 * len(measures), 3.4)
    for place, measure in enumerate(measures, start=1):
        axes = figure.add_subplot(1, len(measures), place)
        for column, label, colour in ((measure, "train", TRAIN), (f"val_{measure}", "dev", DEV)):
            if column in history.columns:
                axes.plot(history["epoch"], history[column], color=colour, lw=1.8, label=label)
        axes.set_title(TITLES.get(measure, measure))
        if measure == "loss" and floor > 0:
            axes.axhline(floor, color=GREY, lw=1.2, ls=(0, (4, 3)), label="lowest possible, with smoothed labels")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if measure == "loss" and min(history["loss"]) > 0 and max(history["loss"]) > 20 * min(history["loss"]):
            axes.set_yscale("log")
        axes.grid(axis="y", color="#e6e6e6", lw=0.8)
        axes.legend(frameon=False, handlelength=1.4)
    figure.suptitle(f"{name}: {len(history)} epochs", x=0.01, ha="left", fontweight="bold")
    save(figure, path)


@in_our_style
def data_size(panels: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Accuracy against the number of examples of a class, a panel for each task, a line for each way to start."""
    figure = figure_of(4.6 * len(panels), 3.6)
    for place, (title, rows) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(1, len(panels), place)
        sizes = [row["per class"] for row in rows]
        for way, colour in (("from nothing", GREY), ("pretrained", COLOURS[3])):
            axes.plot(sizes, [row[way] for row in rows], "o-", color=colour, label=way)
        axes.set(title=title, xscale="log", xlabel="examples of each class", ylim=(0, 1.03))
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.legend(loc="lower right")
        if place == 1:
            axes.set_ylabel("accuracy on dev")
    figure.suptitle("A pretrained model with a new last layer, and learning from nothing", x=0.01, ha="left",
                    fontweight="bold")  # fmt: skip
    save(figure, path)


@in_our_style
def weights(before: np.ndarray, after: np.ndarray, path: Path, columns: Sequence[str] | None) -> None:
    """The first layer before and after training: images for digits, bars or a map for named columns."""
    if columns is None:
        _images(before, after, path)
    elif len(after) == 1:
        _bars(before[0], after[0], path, columns)
    else:
        _maps(before, after, path, columns)


def _images(before: np.ndarray, after: np.ndarray, path: Path) -> None:
    """Each unit's 64 incoming weights as an 8×8 image; the units whose weights moved most."""
    shown = min(len(after), 48)
    moved = np.argsort(-np.linalg.norm(after - before, axis=1), kind="stable")[:shown]
    across = min(8, shown)
    down = -(-shown // across)
    limit = float(np.percentile(np.abs(after[moved]), 99.5))
    figure = figure_of(9.2, 0.75 + 4.0 * down / across)
    for place, (title, layer) in enumerate((("before training", before), ("after training", after)), start=1):
        sheet = np.full((down * 9 - 1, across * 9 - 1), np.nan)  # one blank line between the images
        for i, unit in enumerate(moved):
            top, left = 9 * (i // across), 9 * (i % across)
            sheet[top : top + 8, left : left + 8] = layer[unit].reshape(8, 8)
        axes = figure.add_subplot(1, 2, place)
        image = axes.imshow(sheet, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_title(title)
        axes.set_axis_off()
    figure.get_layout_engine().set(wspace=0.04)
    figure.colorbar(image, ax=figure.axes, shrink=0.8, pad=0.02, label="weight")
    how_many = f"all {shown} units" if shown == len(after) else f"the {shown} of {len(after)} units that moved most"
    figure.suptitle(f"First layer: {how_many}, 8×8 pixels each", x=0.01, ha="left", fontweight="bold")
    save(figure, path)


def _bars(before: np.ndarray, after: np.ndarray, path: Path, columns: Sequence[str]) -> None:
    """The coefficients of a linear model."""
    figure = figure_of(7.0, 0.9 + 0.32 * len(columns))
    axes = figure.add_subplot()
    rows = np.arange(len(columns))
    axes.barh(rows - 0.2, before, 0.36, color="#c9c9c9", label="before training")
    axes.barh(rows + 0.2, after, 0.36, color=TRAIN, label="after training")
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set_yticks(rows, columns)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("weight of the standardised column")
    axes.legend(frameon=False)
    figure.suptitle("The weights of the model", x=0.01, ha="left", fontweight="bold")
    save(figure, path)


def _maps(before: np.ndarray, after: np.ndarray, path: Path, columns: Sequence[str]) -> None:
    """Units × columns, as colours."""
    limit = float(np.abs(after).max()) or 1.0
    figure = figure_of(9.2, 4.2)
    for place, (title, layer) in enumerate((("before training", before), ("after training", after)), start=1):
        axes = figure.add_subplot(1, 2, place)
        image = axes.imshow(layer, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
        axes.set_title(title)
        axes.set_xticks(np.arange(len(columns)), columns)
        axes.set_ylabel("unit" if place == 1 else "")
    figure.colorbar(image, ax=figure.axes, shrink=0.8, pad=0.02, label="weight")
    figure.suptitle("First layer", x=0.01, ha="left", fontweight="bold")
    save(figure, path)


def figure_of(width: float, height: float) -> Any:
    """A figure in our style; the Agg canvas needs no display, and leaves a user's pyplot alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: Path) -> str:
    """Write a picture, atomically; the name of its file."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=140)
    write_atomically(path, picture.getvalue())
    return path.name
