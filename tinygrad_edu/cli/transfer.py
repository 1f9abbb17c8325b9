"""`tge finetune` and `tge transfer`: starting from what a run has learned, against starting from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from click.core import ParameterSource

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu import train as training

from ..tune.table import text_table
from . import experiment, fine_names, starts
from .experiment import HParams, Refused
from .options import Counter, tell
from .runs import final_parameters

F = nn.functional
Rows = tuple[np.ndarray, np.ndarray]

CHANGES = {
    "noisy": "with noise over every pixel",
    "slanted": "in italics: the top one pixel further right, the bottom one further left",
    "shifted": "the whole picture one pixel further right",
    "inverted": "light ink on dark paper, which makes what was learned useless",
}
TASKS = {"parity": "odd or even", "large": "5 or more, or less"}


def changed(x: np.ndarray, how: str) -> np.ndarray:
    """Digits (N, 64) from 0 to 1 as they look after a change of the world."""
    images = x.reshape(-1, 8, 8)
    if how == "slanted":
        wide = np.pad(images, ((0, 0), (0, 0), (1, 1)))
        images = np.concatenate([wide[:, :3, :8], wide[:, 3:5, 1:9], wide[:, 5:, 2:]], axis=1)
    elif how == "shifted":
        images = np.pad(images, ((0, 0), (0, 0), (1, 0)))[:, :, :8]
    elif how == "inverted":
        images = 1 - images
    else:
        images = images + np.random.default_rng(0).normal(0, 0.35, images.shape)
    return np.ascontiguousarray(images.reshape(-1, 64), dtype=np.float32)


def relabelled(y: np.ndarray, task: str) -> np.ndarray:
    """The labels of another question about the same pictures."""
    return (y % 2 if task == "parity" else (y >= 5)).astype(np.int64)


def few(rows: Rows, each: int, seed: int) -> Rows:
    """`each` rows of every class, drawn at random."""
    x, y = rows
    order = np.asarray(tg.Generator(seed).permutation(len(y)))
    chosen = np.concatenate([order[y[order] == label][:each] for label in np.unique(y)])
    return x[chosen], y[chosen]


def digits_run(run: Path) -> tuple[HParams, dict[str, np.ndarray]]:
    """A finished run on digits with a hidden layer: its settings and parameters."""
    if not run.is_dir():
        raise Refused(f"{run}: there is no such run folder")
    params = experiment.read_config(run)
    if params.data != "digits" or params.task != "predict" or not params.hidden:
        raise Refused(f"{run}: a network trained on digits, with a hidden layer, is wanted: tge train digits makes one")
    return params, final_parameters(run)


def trained(model: Any, rows: Rows, lr: float, epochs: int, seed: int) -> training.Trainer:
    """A trainer that has trained `model` on a few rows."""
    learning = [p for p in model.parameters() if p.requires_grad]
    trainer = training.Trainer(model, F.cross_entropy, optim.Adam(learning, lr=lr), seed=seed, record="none",
                               metrics={"accuracy": training.accuracy}, progress="none")  # fmt: skip
    trainer.fit(rows, epochs=epochs, batch_size=16)
    return trainer


def table(rows: list[dict[str, Any]], facts: dict[str, Any], as_json: bool) -> None:
    """The rows as text, or all facts."""
    tell(text_table(rows), {**facts, "rows": rows}, as_json)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--change", type=click.Choice(list(CHANGES)), default="noisy", show_default=True,
              help="; ".join(f"{name}: {what}" for name, what in CHANGES.items()) + ".")  # fmt: skip
@click.option(
    "--per-class", "each", default="1,5,20", show_default=True, metavar="N,…", help="Labelled rows per digit."
)
@click.option("--from", "source", type=click.Choice(fine_names.SOURCES), default="surnames", show_default=True,
              help="names: what the model has learned before.")  # fmt: skip
@click.option("--count", "many", default="50,200,all", show_default=True, metavar="N,…",
              help="names: how many first names to go on with.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True)
@click.option(
    "--lr", type=float, default=1e-3, show_default=True, help="Of the fine-tuning; from nothing it is the run's."
)
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
@click.pass_context
def finetune(
    context: click.Context, run: Path, change: str, each: str, source: str, many: str, epochs: int, lr: float,
    seeds: int, as_json: bool,
) -> None:  # fmt: skip
    """Fine-tune a model on a task that has changed, with few examples, against one trained from nothing.

    \b
    tge finetune runs/digits-1 --change noisy      the digit reader of a run, on pictures that have changed
    tge finetune names --from surnames             a model of surnames, on male first names

    RUN is a run folder or "names". For names the figures are the mean surprise at a letter, in nats: the lower the
    better, ln 27 = 3.30 for a model that knows nothing. Each training stops when dev gets no better; test judges.

    For a run:
    Same architecture, same ten classes, a bit more training from the parameters that are there; compared with training
    from nothing on the same rows. "as it is" is the run's model, not trained further. Accuracy on dev rows, mean over
    the seeds, which draw the rows and the initial values; the test rows are not read.
    """
    if str(run) == "names":
        _only(context, "names", {"change", "each"})
        with Counter("names", as_json) as progress:
            facts = fine_names.compare(source, many, seeds, epochs, lr, progress)
        text = f"{facts['names learned first']:,} {source} learned first; as it is, on first names: dev "
        text += f"{facts['as it is']['dev']:.3f}, test {facts['as it is']['test']:.3f}\n\n{text_table(facts['rows'])}"
        tell(text, facts, as_json)
        return
    _only(context, "a run", {"source", "many"})
    params, weights = digits_run(run)
    task = experiment.prepare(params)
    train, dev = (tuple(t.numpy() for t in part[:]) for part in (task.train, task.dev))
    train, dev = ((changed(x, change), y) for x, y in (train, dev))
    scores: list[dict[str, Any]] = []
    for count in counts(each):
        found: dict[str, list[float]] = {"as it is": [], "fine-tuned": [], "from nothing": []}
        for seed in range(seeds):
            rows = few(train, count, seed)
            for start in ("as it is", "fine-tuned", "from nothing"):
                tg.manual_seed(seed)
                model = experiment.build_model(64, params.hidden, 10)
                if start != "from nothing":
                    training.load_weights(model, weights)
                steps = 0 if start == "as it is" else epochs
                trainer = trained(model, rows, params.lr if start == "from nothing" else lr, steps, seed)
                found[start].append(trainer.evaluate(dev)["accuracy"])
        scores.append({"rows per digit": count, **{name: float(np.mean(v)) for name, v in found.items()}})
    table(scores, {"run": str(run), "change": change, "seeds": seeds}, as_json)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--task", type=click.Choice(list(TASKS)), default="parity", show_default=True,
              help="; ".join(f"{name}: {what}" for name, what in TASKS.items()) + ".")  # fmt: skip
@click.option(
    "--per-class",
    "each",
    default="2,10,50",
    metavar="N,…",
    help="Labelled rows per class.  [a run: 2,10,50, else 1,2,5,10,20]",
)
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
@click.pass_context
def transfer(context: click.Context, run: Path, task: str, each: str, epochs: int, seeds: int, as_json: bool) -> None:
    """Use what a model has learned for another question: replace its last layer, and train that on few examples.

    \b
    tge transfer runs/digits-1 --task parity       the digit reader of a run: odd or even?
    tge transfer textures --per-class 2            EfficientNet-Lite0: brick, grass or gravel?
    tge transfer fashion                           the same on clothes, the negative control: little is gained
    tge transfer reviews --per-class 25,100        MiniLM: do people like the film?

    RUN is a run folder, or one of these three words. Published weights must be on this machine: tge pretrained list.

    For a run:
    The last layer is replaced by a new one with two outputs. "head only" trains it alone, the rest stays frozen; "head,
    then all" goes on with everything, the old layers ten times slower; "from nothing" trains a new network on the same
    rows. Accuracy on dev rows, mean over the seeds; the test rows are not read.
    """
    if str(run) in starts.TASKS:
        _only(context, str(run), {"task"})
        with Counter(str(run), as_json) as progress:
            prepared = starts.TASKS[str(run)](0, progress)
        sizes = counts(each) if given(context, "each") else [1, 2, 5, 10, 20]
        compared = starts.accuracies(prepared, sizes, seeds, 2 * epochs)
        table(compared, {"data": str(run), "control": str(run) == "fashion", "seeds": seeds}, as_json)
        return
    params, weights = digits_run(run)
    parts = experiment.prepare(params)
    train, dev = (tuple(t.numpy() for t in part[:]) for part in (parts.train, parts.dev))
    train, dev = ((x, relabelled(y, task)) for x, y in (train, dev))
    head = str(2 * len(params.hidden))
    scores: list[dict[str, Any]] = []
    for count in counts(each):
        found: dict[str, list[float]] = {"head only": [], "head, then all": [], "from nothing": []}
        for seed in range(seeds):
            rows = few(train, count, seed)
            for how in found:
                tg.manual_seed(seed)
                model = experiment.build_model(64, params.hidden, 2 if how == "from nothing" else 10)
                if how != "from nothing":
                    training.load_weights(model, weights)
                    training.replace_head(model, head, nn.Linear(params.hidden[-1], 2))
                if how == "head, then all":
                    trainer = trained(model, rows, 1e-2, 0, seed)
                    trainer.fine_tune(rows, head=head, freeze_epochs=epochs // 2, epochs=epochs, lr=1e-2, batch_size=16)
                else:
                    if how == "head only":
                        training.freeze(model, except_=[head])
                    trainer = trained(model, rows, 1e-2 if how == "head only" else params.lr, epochs, seed)
                found[how].append(trainer.evaluate(dev)["accuracy"])
        scores.append({"rows per class": count, **{name: float(np.mean(v)) for name, v in found.items()}})
    table(scores, {"run": str(run), "task": task, "seeds": seeds}, as_json)


def _only(context: click.Context, what: str, bad: set[str]) -> None:
    """Refuse options that mean nothing here, if they were given."""
    flags = [p.opts[0] for p in context.command.params if p.name in bad and given(context, p.name)]
    if flags:
        raise Refused(f"{', '.join(flags)} means nothing for {what}")


def given(context: click.Context, name: str) -> bool:
    """Whether an option was on the command line, and not only its default."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def counts(text: str, flag: str = "--per-class") -> list[int]:
    """ "1,5,20" → [1, 5, 20]."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise Refused(f"{flag} {text}: whole numbers from 1, such as 1,5,20")
    return found
