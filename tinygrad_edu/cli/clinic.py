"""`tge clinic`: six training runs, each with or without a fault, to be told apart by their curves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import click
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import data, nn, optim
from tinygrad_edu.lessons.style import DEV, GREY, STYLE, TRAIN
from tinygrad_edu.train import DIAGNOSES, History, Trainer, accuracy, diagnose

from ..tune.table import text_table
from .experiment import Refused, write_json
from .options import Counter, tell
from .tasks import build_model

CASES, EPOCHS, CLASSES = tuple(DIAGNOSES), 40, 10
JSON = click.option("--json", "as_json", is_flag=True, help="For a program to read.")
OUT = click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
                   help="Where the folder clinic-SEED is.")  # fmt: skip
SEED = click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Which six.")


@click.group()
def clinic() -> None:
    """Diagnose six runs by their curves: one is healthy, five are not.

    \b
    tge clinic new --seed 3                   trains six models on digits, each with a fault or with none
    tge clinic answer --seed 3 1=over-fit 2=healthy …
    tge clinic answer --seed 3 --by-rule      what a few rules make of them

    \b
    healthy          train and dev are both good
    over-fit         too little data, too many parameters
    under-fit        too few parameters
    lr-too-high      steps that are too long
    lr-too-low       steps that are too short
    shuffled-labels  every label on some other image

    Each occurs once, in an order that the seed decides. The folder holds the curves and a sealed answer, no settings.
    """


@clinic.command()
@SEED
@OUT
@JSON
def new(seed: int, out: Path, as_json: bool) -> None:
    """Train the six runs and show their curves (a few seconds)."""
    folder = out / f"clinic-{seed}"
    lots = np.random.default_rng(seed)
    order = [CASES[i] for i in lots.permutation(len(CASES))]
    histories = []
    with Counter("clinic", as_json) as notify:
        for number, case in enumerate(order, start=1):
            histories.append(_run(case, int(lots.integers(2**32)), seed))
            notify(number, len(order))
    folder.mkdir(parents=True, exist_ok=True)
    for number, history in enumerate(histories, start=1):
        history.to_csv(folder / f"{number}.csv")
    salt = lots.bytes(16).hex()
    write_json(folder / "sealed.json", {"salt": salt, "seals": [_seal(salt, n, c) for n, c in enumerate(order, 1)]})
    _draw(histories, folder / "curves.png")
    rows = [{"run": n, "train loss": h["loss"][-1], "dev loss": h["val_loss"][-1], "train accuracy": h["accuracy"][-1],
             "dev accuracy": h["val_accuracy"][-1]} for n, h in enumerate(histories, start=1)]  # fmt: skip
    text = f"{text_table(rows)}\n\ncurves: {folder / 'curves.png'}\nanswer: tge clinic answer --seed {seed} 1=… 2=…"
    tell(text, {"folder": str(folder), "rows": rows, "diagnoses": list(CASES)}, as_json)


@clinic.command()
@click.argument("answers", nargs=-1, metavar="RUN=DIAGNOSIS …")
@click.option("--by-rule", is_flag=True, help="Let the rules of tinygrad_edu.train.diagnose answer, with reasons.")
@SEED
@OUT
@JSON
def answer(answers: tuple[str, ...], by_rule: bool, seed: int, out: Path, as_json: bool) -> None:
    """Say what each run suffers from; learn which answers are right. Others stay sealed."""
    folder = out / f"clinic-{seed}"
    try:
        sealed = json.loads((folder / "sealed.json").read_text(encoding="utf-8"))
        histories = {n: History.from_csv(folder / f"{n}.csv") for n in range(1, len(CASES) + 1)}
        salt, seals = str(sealed["salt"]), list(sealed["seals"])
    except OSError:
        raise Refused(f"{folder}: there is no clinic here; begin with: tge clinic new --seed {seed}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{folder}: damaged: {error}") from None
    if bool(answers) == by_rule:
        raise Refused("answer with 1=over-fit 2=healthy …, or with --by-rule")
    if by_rule:
        found = {n: diagnose(history, CLASSES) for n, history in histories.items()}
        given = {n: each.name for n, each in found.items()}
    else:
        given = dict(_parsed(text) for text in answers)
    right = {n: _seal(salt, n, case) == seals[n - 1] for n, case in given.items()}
    lines = [f"{'✓' if right[n] else '✗'} run {n}: {found[n] if by_rule else given[n]}" for n in sorted(given)]
    lines.append(f"{sum(right.values())} of {len(given)} right")
    rows = [{"run": n, "diagnosis": given[n], "right": right[n]} for n in sorted(given)]
    tell("\n".join(lines), {"rows": rows, "right": sum(right.values()), "of": len(given)}, as_json)


def _parsed(text: str) -> tuple[int, str]:
    number, _, case = text.partition("=")
    if not number.isdecimal() or not 1 <= int(number) <= len(CASES) or case not in CASES:
        raise Refused(
            f"{text!r}: an answer is like 1=over-fit; runs are 1 to {len(CASES)}, diagnoses {', '.join(CASES)}"
        )
    return int(number), case


def _seal(salt: str, number: int, case: str) -> str:
    return hashlib.sha256(f"{salt} {number} {case}".encode()).hexdigest()


def _run(case: str, draw: int, seed: int) -> History:
    """The history of one case; how bad it is, is drawn too."""
    lots = np.random.default_rng(draw)
    digits = data.load_digits()
    split = digits.split(seed=seed)
    rows, labels = lots.permutation(split.train.indices), digits.y.copy()
    hidden, lr = int(lots.choice([64, 128])), float(lots.choice([2e-3, 4e-3]))
    if case == "over-fit":
        rows, hidden = rows[: int(lots.integers(60, 121))], 256
        lr = 5e-3
        wrong = rows[: len(rows) // 5]
        labels[wrong] = (labels[wrong] + lots.integers(1, CLASSES, len(wrong))) % CLASSES
    elif case == "under-fit":
        hidden, lr = int(lots.integers(1, 3)), 1e-2
    elif case == "lr-too-high":
        lr = float(np.exp(lots.uniform(np.log(0.5), np.log(5))))
    elif case == "lr-too-low":
        lr = float(np.exp(lots.uniform(np.log(1e-5), np.log(3e-5))))
    elif case == "shuffled-labels":
        labels[rows], hidden = labels[lots.permutation(rows)], 128
    tg.manual_seed(draw)
    model = build_model(64, (hidden,), CLASSES)
    trainer = Trainer(
        model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=lr), metrics={"accuracy": accuracy}, seed=draw,
        record="none", progress="none",
    )  # fmt: skip
    given = data.TensorDataset(digits.X[rows] / 16, labels[rows])
    x, y = split.dev[:]
    with np.errstate(all="ignore"):  # one of them may diverge
        return trainer.fit(given, epochs=EPOCHS, val=data.TensorDataset(x / 16, y))


def _draw(histories: list[History], path: Path) -> None:
    """Two rows of curves: the loss, and below it the accuracy, of each run."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(14, 4.8), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(2, len(histories), sharex=True, sharey="row", squeeze=False)
        for place, history in enumerate(histories):
            for row, name in enumerate(("loss", "accuracy")):
                axes[row, place].plot(history["epoch"], history[name], color=TRAIN, label="train")
                axes[row, place].plot(history["epoch"], history[f"val_{name}"], color=DEV, label="dev")
                guessing = np.log(CLASSES) if name == "loss" else 1 / CLASSES
                axes[row, place].axhline(guessing, color=GREY, lw=1.0, ls=(0, (4, 3)), label="guessing")
            axes[0, place].set(title=f"run {place + 1}", ylim=(0, 5))
            axes[1, place].set(ylim=(0, 1.03), xlabel="epoch")
        axes[0, 0].set_ylabel("loss")
        axes[1, 0].set_ylabel("accuracy")
        axes[0, -1].legend(loc="upper right")
        figure.suptitle("What ails them? Six runs on digits", x=0.01, ha="left", fontweight="bold")
        figure.savefig(path, dpi=140)
