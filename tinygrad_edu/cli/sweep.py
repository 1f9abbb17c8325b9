"""`tge sweep`: one hyperparameter over its whole range, everything else fixed, a few seeds for each value."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import data, nn, optim
from tinygrad_edu.lessons.style import COLOURS, DEV, GREY, STYLE, TEST
from tinygrad_edu.train import Trainer, accuracy

from ..tune.table import text_table
from .experiment import Refused, write_json
from .options import Counter, tell
from .tasks import DEFAULTS, TABLES, HParams, build_model, prepare

SWEEPS = {"lr": "1e-5..10", "width": "1..64", "layers": "0..4", "epochs": "1..40"}
POINTS: dict[str, Any] = {"blobs": (data.blobs, 40), "spirals": (data.spirals, 150)}  # and their epochs
DATA = (*TABLES, *POINTS)


@dataclass
class Ground:
    """What a sweep trains on: rows, loss, sizes, and the settings that the swept one stands among."""

    train: data.TensorDataset
    dev: data.TensorDataset
    loss: Any
    classes: int  # 1: a number is predicted
    lr: float
    hidden: tuple[int, ...]
    epochs: int

    @property
    def metric(self) -> str:
        """What is shown: accuracy, or the loss where there are no classes."""
        return "accuracy" if self.classes > 1 else "loss"

    def guessing(self) -> float:
        """The dev loss of a model that knows nothing of x: ln classes, or the variance of the target."""
        return math.log(self.classes) if self.classes > 1 else float(np.var(self.dev.tensors[1].numpy()))

    def rows(self, seed: int, **changed: Any) -> list[dict[str, Any]]:
        """The history of one run, epoch by epoch, with `lr`, `hidden` or `epochs` changed."""
        made = {"lr": self.lr, "hidden": self.hidden, "epochs": self.epochs, **changed}
        tg.manual_seed(seed)
        model = build_model(int(self.train.tensors[0].shape[1]), made["hidden"], self.classes)
        trainer = Trainer(
            model, self.loss, optim.Adam(model.parameters(), lr=made["lr"]), seed=seed, record="none", progress="none",
            metrics={"accuracy": accuracy} if self.classes > 1 else {},
        )  # fmt: skip
        with np.errstate(all="ignore"):  # a value may diverge; its row says so
            return trainer.fit(self.train, epochs=made["epochs"], val=self.dev).rows


def ground_of(name: str) -> Ground:
    """A data set, its split always the same, with the defaults of `tge train` where there are any."""
    if name in POINTS:
        draw, epochs = POINTS[name]
        return Ground(draw(600, seed=1), draw(600, seed=2), nn.CrossEntropyLoss(), 2, 1e-2, (32,), epochs)
    params = HParams(data=name, **DEFAULTS[name])
    task = prepare(params)
    epochs = 10 if name == "digits" else params.epochs
    return Ground(task.train, task.dev, task.loss, 10 if name == "digits" else 1, params.lr, params.hidden, epochs)


@click.command()
@click.argument("name", type=click.Choice(list(SWEEPS)))
@click.argument("what", nargs=-1, metavar="[LOW..HIGH|A,B,…] [DATA]")
@click.option("--data", "on", metavar="A[,B…]", help=f"Data sets: {', '.join(DATA)}.  [digits]")
@click.option("--points", type=click.IntRange(min=2), default=13, show_default=True,
              help="How many values of a range lr tries.")  # fmt: skip
@click.option("--units", type=click.IntRange(min=1), default=32, show_default=True, help="layers: units of each.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training rows.  [digits 10, diabetes 60, "
              "blobs 40, spirals 150]")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Runs for each value.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Where the folder sweep-NAME goes, with the figure and result.json.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def sweep(
    name: str, what: tuple[str, ...], on: str | None, points: int, units: int, epochs: int | None, seeds: int,
    out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Train with one hyperparameter at many values, all others fixed, and see on dev what it does.

    \b
    lr      the learning rate, evenly on a logarithmic scale: flat, good, diverged
    width   units of one hidden layer, doubling: how much capacity a task needs
    layers  hidden layers of --units each
    epochs  passes over the training rows

    \b
    tge sweep lr 1e-5..10 digits
    tge sweep width 1..64 --data blobs,spirals
    tge sweep layers 0..4

    Each value is trained with --seeds seeds; the figure shows the mean and one standard deviation on each side. The
    test rows are not read.
    """
    chosen, values = _understood(name, what, on, points)
    grounds = {each: ground_of(each) for each in chosen}
    for ground in grounds.values():
        ground.epochs = epochs or ground.epochs
    tables: dict[str, list[dict[str, Any]]] = {}
    with Counter(f"sweep {name}", as_json) as notify:
        total = len(grounds) * seeds * (1 if name == "epochs" else len(values))
        done = 0

        def finished() -> None:
            nonlocal done
            done += 1
            notify(done, total)

        for each, ground in grounds.items():
            tables[each] = _swept(ground, name, values, units, seeds, finished)
    folder = out / f"sweep-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"{'-'.join(chosen)}.png"
    _draw(name, {each: (grounds[each].metric, rows) for each, rows in tables.items()}, picture, seeds)
    facts = {"sweep": name, "seeds": seeds, "data": tables, "figure": str(picture)}
    write_json(folder / "result.json", facts)
    text = "\n\n".join(f"{each}, on dev\n{text_table(rows)}" for each, rows in tables.items())
    tell(f"{text}\n\nfigure: {picture}", facts, as_json)


def _understood(name: str, what: tuple[str, ...], on: str | None, points: int) -> tuple[list[str], list[Any]]:
    """The data sets and the values that the words of the command line mean."""
    words = [word for word in what if word in DATA]
    others = [word for word in what if word not in DATA]
    chosen = list(dict.fromkeys([*words, *(on.split(",") if on else [])])) or ["digits"]
    unknown = [each for each in chosen if each not in DATA]
    if unknown or len(others) > 1:
        raise Refused(f"{(unknown or others[1:])[0]!r}: no data set and no further values; there are {', '.join(DATA)}")
    text = others[0] if others else SWEEPS[name]
    kind: Callable[[str], float] = float if name == "lr" else int
    try:
        if ".." not in text:
            values = [kind(part) for part in text.split(",")]
        else:
            low, high = (kind(end) for end in text.split(".."))
            if not low < high:
                raise ValueError("the lower end comes first")
            values = _between(name, low, high, points)
    except ValueError as error:
        raise Refused(
            f"{text!r}: give {name} as a range like {SWEEPS[name]} or as values with commas ({error})"
        ) from None
    lowest = 0 if name == "layers" else 1
    if not all(0 < v < math.inf if name == "lr" else v >= lowest for v in values):
        raise Refused(f"{text!r}: {name} is {'a positive number' if name == 'lr' else f'{lowest} or more'}")
    return chosen, sorted(set(values))


def _between(name: str, low: Any, high: Any, points: int) -> list[Any]:
    """lr: a geometric series; width: doubling; layers and epochs: every whole number."""
    if name == "lr":
        if low <= 0:
            raise ValueError("a logarithmic scale begins above 0")
        return [float(f"{v:.4g}") for v in np.geomspace(low, high, points)]
    if name == "width" and low >= 1:
        return [low * 2**k for k in range(int(math.log2(high / low)) + 1)]
    return list(range(low, high + 1))


def _swept(
    ground: Ground, name: str, values: list[Any], units: int, seeds: int, finished: Callable[[], None]
) -> list[dict[str, Any]]:
    """A row for each value: mean and standard deviation over the seeds on dev; for lr, the regime too."""
    runs: list[list[dict[str, Any]]] = [[] for _ in values]  # the last history row of each seed
    for seed in range(seeds):
        if name == "epochs":  # nothing depends on how many are still to come: one long run has all the shorter ones
            history = ground.rows(seed, epochs=max(values))
            for place, value in enumerate(values):
                runs[place].append(history[value - 1])
            finished()
            continue
        for place, value in enumerate(values):
            changed = {"lr": value} if name == "lr" else {"hidden": (value,) if name == "width" else (units,) * value}
            runs[place].append(ground.rows(seed, **changed)[-1])
            finished()
    scores = np.array([[row[f"val_{ground.metric}"] for row in each] for each in runs], np.float64)
    spread = scores.std(axis=1, ddof=1) if seeds > 1 else np.full(len(values), math.nan)
    table = [{name: value, ground.metric: float(m), "sd": float(s)}
             for value, m, s in zip(values, scores.mean(1), spread, strict=True)]  # fmt: skip
    if name == "lr":
        losses = [float(np.mean([row["val_loss"] for row in each])) for each in runs]
        for row, regime in zip(table, regimes(losses, ground.guessing()), strict=True):
            row["regime"] = regime
    return table


def regimes(losses: list[float], guessing: float) -> list[str]:
    """For dev losses by rising learning rate: flat, rising, good, falling or diverged.

    flat: below the best rate, and the loss still 90 % of that of guessing; diverged: above the best, and no better than
    guessing (or NaN); good: the loss at most a fifth of the way from the best to guessing; the others lie between.
    """
    finite = [loss if math.isfinite(loss) else math.inf for loss in losses]
    best = int(np.argmin(finite))
    names = []
    for place, loss in enumerate(finite):
        if loss <= finite[best] + 0.2 * max(guessing - finite[best], 0.0):
            names.append("good" if loss < 0.9 * guessing else "flat")
        elif place < best:
            names.append("flat" if loss > 0.9 * guessing else "rising")
        else:
            names.append("diverged" if loss >= guessing else "falling")
    return names


def _draw(name: str, tables: dict[str, tuple[str, list[dict[str, Any]]]], path: Path, seeds: int) -> None:
    """One panel for each data set: the mean, and one standard deviation on each side."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(6.0, 4.6 * len(tables)), 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        for place, (each, (metric, rows)) in enumerate(tables.items(), start=1):
            axes = figure.add_subplot(1, len(tables), place)
            x, mean, sd = (np.array([row[key] for row in rows], np.float64) for key in (name, metric, "sd"))
            axes.fill_between(x, mean - np.nan_to_num(sd), mean + np.nan_to_num(sd), color=DEV, alpha=0.25, lw=0)
            axes.plot(x, mean, color=DEV, marker="o" if len(x) < 20 else None, ms=4)
            axes.set(title=each, xlabel={"lr": "learning rate"}.get(name, name), ylabel=f"{metric} on dev")
            if metric == "accuracy":
                axes.set_ylim(0, 1.03)
            if name == "lr":
                axes.set_xscale("log")
                for regime, colour in (("flat", GREY), ("good", TEST), ("diverged", COLOURS[4])):
                    inside = [row["lr"] for row in rows if row["regime"] == regime]
                    if inside:
                        axes.axvspan(inside[0] / 1.4, inside[-1] * 1.4, color=colour, alpha=0.13, lw=0)
                        middle = math.sqrt(inside[0] * inside[-1])
                        axes.text(middle, 0.02, regime, color=colour, ha="center", fontsize=9,
                                  transform=axes.get_xaxis_transform())  # fmt: skip
            elif name == "width":
                axes.set_xscale("log", base=2)
                axes.set_xticks(x, [f"{v:g}" for v in x])
            else:
                axes.locator_params(axis="x", integer=True)
        figure.suptitle(
            f"{name}: mean ± sd of {seeds} seeds" if seeds > 1 else f"{name}, one seed",
            x=0.01,
            ha="left",
            fontweight="bold",
        )
        figure.savefig(path, dpi=140)
