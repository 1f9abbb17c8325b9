"""`tge report`: a run on one page: its losses, how far its parameters moved, and their path over the loss."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click
import numpy as np

import tinygrad_edu as tg

from .. import train as training
from ..lessons.style import DEV, GREY, INK, TRAIN
from . import experiment
from .experiment import Refused
from .options import tell
from .plots import in_our_style

SIDE = 33  # points of the landscape, each way


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The picture.  [RUN/report.png]")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def report(run: Path, out: Path | None, as_json: bool) -> None:
    """Draw how the run in the folder RUN went.

    \b
    left    the loss on train and dev after each epoch
    middle  how large each parameter's change was beside the parameter itself, step by step
    right   for models of up to 1,000 parameters: the path of the parameters from the first step to the last, over the
            loss, in the plane in which they moved most
    """
    params = experiment.read_config(run)
    try:
        history = training.History.from_csv(run / "history.csv")
        with np.load(run / "steps.npz") as file:
            steps = {name: np.asarray(file[name]) for name in file.files}
    except (OSError, ValueError, KeyError) as error:
        raise Refused(f"{run}: cannot be reported on, its history.csv or steps.npz cannot be read: {error}") from None
    if not len(history) or "step" not in steps:
        raise Refused(f"{run}: nothing to report yet; let it finish an epoch: tge resume {run}")
    facts: dict[str, Any] = {"epochs": len(history), "first_loss": history["loss"][0], "loss": history["loss"][-1]}
    lines = [f"{len(history)} epochs: loss {facts['first_loss']:.4g} → {facts['loss']:.4g}"]
    path = path_of(steps)
    land = None
    if path is not None:
        land = landscape(params, path, [name for name in steps if name.endswith(".values")], steps)
        way = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
        straight = float(np.linalg.norm(path[-1] - path[0]))
        facts |= {"path": way, "straight": straight, "share_in_plane": land["share"]}
        lines.append(f"parameters: went {way:.3g} to get {straight:.3g} away from where they began")
        lines.append(f"the plane drawn holds {land['share']:.1%} of that movement")
    target = out or run / "report.png"
    draw(history, steps, land, target, run.name)
    facts["picture"] = str(target)
    tell("\n".join([*lines, f"picture: {target}"]), facts, as_json)


def path_of(steps: dict[str, np.ndarray]) -> np.ndarray | None:
    """All parameters at every recorded step, a row each (K, P); None where only their sizes were recorded."""
    values = [v.reshape(len(v), -1) for name, v in steps.items() if name.endswith(".values")]
    return np.concatenate(values, axis=1).astype(np.float64) if values and len(values[0]) > 2 else None


def landscape(params: Any, path: np.ndarray, names: list[str], steps: dict[str, np.ndarray]) -> dict[str, Any]:
    """The plane through the last parameters along which the path is widest, and the training loss on it."""
    task = experiment.prepare(params)
    model, (x, y) = task.build(), task.train[:]
    centred = path - path[-1]
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    flat = centred @ axes[:2].T  # (K, 2)
    share = float((sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-300))
    margin = 0.25 * np.ptp(flat, axis=0).max() + 1e-9
    across, up = (np.linspace(flat[:, i].min() - margin, flat[:, i].max() + margin, SIDE) for i in (0, 1))
    shapes = [steps[name].shape[1:] for name in names]
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    losses = np.empty((SIDE, SIDE))
    with tg.no_grad():
        for i, v in enumerate(up):
            for j, u in enumerate(across):
                parts = np.split(path[-1] + u * axes[0] + v * axes[1], cuts)
                model.load_state_dict({name.removesuffix(".values"): tg.tensor(part.reshape(shape).astype(np.float32))
                                       for name, part, shape in zip(names, parts, shapes, strict=True)})  # fmt: skip
                losses[i, j] = float(task.loss(model(x), y))
    return {"across": across, "up": up, "loss": losses, "path": flat, "share": share}


@in_our_style
def draw(history: Any, steps: dict[str, np.ndarray], land: dict[str, Any] | None, path: Path, name: str) -> None:
    """The picture; `path` is written as a whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13 if land else 9, 3.7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3 if land else 2)
    axes[0].plot(history["epoch"], history["loss"], color=TRAIN, label="train")
    if "val_loss" in history.columns:
        axes[0].plot(history["epoch"], history["val_loss"], color=DEV, label="dev")
    axes[0].set(xlabel="epoch", title="loss")
    axes[0].legend(frameon=False)
    for part in [n.removesuffix(".update") for n in steps if n.endswith(".update")]:
        size = np.maximum(steps[f"{part}.value"], 1e-12)
        axes[1].semilogy(steps["step"], np.maximum(steps[f"{part}.update"] / size, 1e-12), lw=1.0, label=part)
    axes[1].set(xlabel="step", title="change / parameter (root mean square)")
    axes[1].legend(frameon=False, fontsize=8)
    if land:
        low, high = float(land["loss"].min()), float(land["loss"].max())
        levels = low + (high - low) * np.linspace(0.003, 1, 18) ** 2
        axes[2].contour(land["across"], land["up"], land["loss"], levels=levels, colors=GREY, linewidths=0.8)
        axes[2].plot(*land["path"].T, color=TRAIN, lw=1.4)
        axes[2].plot(*land["path"][0], "o", color=INK, label="first step")
        axes[2].plot(*land["path"][-1], "o", color=DEV, label="last")
        axes[2].set(title="the path of the parameters over the loss", aspect="equal", xticks=[], yticks=[])
        axes[2].legend(frameon=False)
    figure.suptitle(name, x=0.01, ha="left", fontweight="bold")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=140)
    training.write_atomically(path, picture.getvalue())
