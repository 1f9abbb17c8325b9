"""`tge search` and `tge seeds`: hyperparameters chosen on dev rows, and how much of a result is chance."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
import numpy as np

import tinygrad_edu as tg

from .. import tune
from ..tune.table import text_table
from . import experiment
from .experiment import DEFAULTS, TABLES, HParams, Refused
from .options import Counter, sizes, tell, values

STRATEGIES = ("grid", "random", "halving", "optuna")
METRIC = {"digits": "accuracy", "diabetes": "loss"}


@dataclasses.dataclass(frozen=True)
class Maker:
    """`make(setting)` for a search: a trainer of the defaults, changed by the setting. It goes to workers as it is."""

    params: HParams

    def __call__(self, setting: dict[str, Any]) -> Any:
        params = self.params.with_(**{k: v for k, v in setting.items() if k not in ("epochs", "batch_size")})
        return experiment.trainer_for(params, experiment.prepare(self.params), record="none")


@click.command()
@click.argument("strategy", type=click.Choice(STRATEGIES))
@click.argument("data", type=click.Choice(TABLES))
@click.option("--lr", callback=values(float), metavar="A,B,…|LOW..HIGH", help="Learning rates to try.")
@click.option("--hidden", callback=values(sizes, whole=True), metavar="A,B,…|LOW..HIGH",
              help="Hidden layers to try: 16,64,64x32 are three settings.")  # fmt: skip
@click.option("--batch-size", callback=values(int, whole=True), metavar="A,B,…|LOW..HIGH", help="Batch sizes to try.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training rows of each setting.  [10]")
@click.option("--n", type=click.IntRange(min=1), default=15, show_default=True,
              help="How many settings random and optuna try.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True,
              help="Train each setting with so many seeds, and judge by the mean.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="The first seed.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True,
              help="Processes; the results are the same for any number.")  # fmt: skip
@click.option("--backend", default="loky", show_default=True, help="joblib's: loky here; dask or ray on many machines.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Where the folder of this search goes; the same search run again goes on in it.")  # fmt: skip
@click.option("--test", "test", is_flag=True, help="At the end, read the test rows, once, for the best setting.")
@click.option("--spend-test-set", is_flag=True, help="Read them although they have been read before.")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def search(
    strategy: str, data: str, lr: Any, hidden: Any, batch_size: Any, epochs: int | None, n: int, seeds: int, seed: int,
    workers: int, backend: str, out: Path, test: bool, spend_test_set: bool, as_json: bool,
) -> None:  # fmt: skip
    """Find good hyperparameters for DATA: train many settings on train, choose the best on dev.

    \b
    grid     every combination of the values listed
    random   N settings drawn at random; also from ranges, such as --lr 1e-4..1e-1
    halving  all settings for a few epochs, the best third of them for three times as long, and so on
    optuna   N settings, each proposed in view of the results so far (needs optuna)

    \b
    tge search grid digits --lr 3e-4,1e-3,3e-3,1e-2 --hidden 16,64,128
    tge search random digits --lr 1e-4..1e-1 --hidden 8..256 --n 20 --workers 2

    The test rows take no part in it: code that searches cannot open them. --test reads them at the end, for the one
    setting that dev has chosen; that figure is for reporting, not for choosing again. Stop with Ctrl-C: the same
    command goes on with the settings that are left.
    """
    space = {name: v for name, v in {"lr": lr, "hidden": hidden, "batch_size": batch_size}.items() if v is not None}
    if not space:
        space = {
            "lr": [3e-4, 1e-3, 3e-3, 1e-2, 3e-2],
            "hidden": [(16,), (64,), (128,)] if data == "digits" else [(), (16,)],
        }
    ranges = [name for name, v in space.items() if not isinstance(v, list)]
    if ranges and strategy in ("grid", "halving"):
        raise Refused(f"{strategy} tries listed values; give --{ranges[0].replace('_', '-')} as a list, or use random")
    params = HParams(data=data, **DEFAULTS[data]).with_(seed=seed)
    task = experiment.prepare(params)
    folder = out / f"search-{strategy}-{data}"
    options: dict[str, Any] = {
        "epochs": epochs or 10, "score": METRIC[data], "batch_size": params.batch_size, "seed": seed, "seeds": seeds,
        "workers": workers, "backend": backend, "out": folder,
    }  # fmt: skip
    maker = Maker(params)
    if "hidden" in ranges:  # a range of whole numbers is one hidden layer of that size
        maker = OneLayer(params)
    task.test.log = folder / "test-readings.json"
    if test and task.test.readings and not spend_test_set:
        raise Refused(f"{folder}: the test rows have been read before ({'; '.join(task.test.readings)}); a second look "
                      f"would make them part of the choice. To do it all the same: --spend-test-set")  # fmt: skip
    try:
        found: Any
        if strategy == "grid":
            found = tune.GridSearch(maker, space, **options)
        elif strategy == "random":
            found = tune.RandomSearch(maker, space, n=n, **options)
        elif strategy == "halving":
            found = tune.SuccessiveHalving(maker, space, **options)
        else:
            found = tune.OptunaSearch(maker, space, n=n, **options)
        with Counter(f"{strategy} search", as_json) as found.notify:
            found.fit(task.train, task.dev)
    except (ValueError, ImportError) as error:
        raise Refused(str(error)) from error
    except KeyboardInterrupt:
        click.echo(
            f"Interrupted; the same command goes on with what is left. Finished trials are in {folder}.", err=True
        )
        raise
    facts: dict[str, Any] = {
        "strategy": strategy, "data": data, "score": METRIC[data], "best": found.best_params,
        "dev": found.best.score, "epochs_used": found.epochs_used, "rows": found.rows(),
    }  # fmt: skip
    text = f"{found.table()}\n\nbest on dev: {_words(found.best_params)}   {METRIC[data]} {found.best.score:.4f}"
    if test:
        scores = experiment.score(found.best_trainer, task, spend_test_set)
        facts |= scores
        text += "\non test, read once: " + ", ".join(f"{k[5:]} {v:.4f}" for k, v in scores.items())
    names = [name for name, v in space.items() if isinstance(v, list) and len(v) > 1]
    if len(names) >= 2:
        folder.mkdir(parents=True, exist_ok=True)
        found.heat_map(names[0], names[1], folder / "heatmap.png")
        text += f"\nheat map: {folder / 'heatmap.png'}"
    experiment.write_json(folder / "result.json", facts)
    tell(text, facts, as_json)


class OneLayer(Maker):
    """The same, where `hidden` is drawn as one number."""

    def __call__(self, setting: dict[str, Any]) -> Any:
        return super().__call__({k: (v,) if k == "hidden" else v for k, v in setting.items()})


def _words(setting: dict[str, Any]) -> str:
    return ", ".join(f"{k.replace('_', ' ')} {v:.3g}" if isinstance(v, float) else f"{k.replace('_', ' ')} {v}"
                     for k, v in setting.items())  # fmt: skip


SOURCES = ("init", "order", "split", "threads", "device")


@dataclasses.dataclass(frozen=True)
class Varied:
    """One training run in which a single source of chance is varied by the seed; the score on dev."""

    params: HParams
    source: str
    rows: int | None = None  # train on the first so many

    def __call__(self, seed: int) -> tune.Outcome:
        vary = {name: seed if self.source in (name, "all") else self.params.seed for name in ("init", "order", "split")}
        task = experiment.prepare(self.params.with_(seed=vary["split"]))
        threads = tg.get_num_threads()
        if self.source == "threads":
            tg.set_num_threads(1 + seed % 4)
        try:
            trainer = experiment.trainer_for(
                self.params, task, init_seed=vary["init"], order_seed=vary["order"], record="none"
            )
            some = task.train if self.rows is None else task.train[: self.rows]
            trainer.fit(some, epochs=self.params.epochs, batch_size=self.params.batch_size)
        finally:
            tg.set_num_threads(threads)
        outputs = trainer.predict(task.dev).astype(np.float64)
        if self.params.data == "digits":
            e = np.exp(outputs - outputs.max(1, keepdims=True))
            outputs = e / e.sum(1, keepdims=True)
        return tune.Outcome(trainer.evaluate(task.dev)[METRIC[self.params.data]], outputs)


@click.command()
@click.argument("data", type=click.Choice(TABLES))
@click.option("--vary", default="init,order,split", show_default=True, metavar=",".join(SOURCES) + ",all",
              help="Which sources of chance to vary, one at a time; all: these three together.")  # fmt: skip
@click.option("-n", type=click.IntRange(min=2), default=10, show_default=True, help="Runs per source.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training rows.")
@click.option(
    "--hidden", callback=lambda c, p, v: None if v is None else sizes(v), metavar="N[,N…]", help="Hidden layers."
)
@click.option(
    "--ensemble", is_flag=True, help="Also the score of the mean of all runs' predictions (needs init or order)."
)
@click.option("--rows", type=click.IntRange(min=1), help="Train on so many rows only; chance then weighs more.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def seeds(
    data: str,
    vary: str,
    n: int,
    epochs: int | None,
    hidden: Any,
    ensemble: bool,
    rows: int | None,
    workers: int,
    as_json: bool,
) -> None:
    """How much of a result on DATA is chance: train N times, varying one source of randomness at a time.

    \b
    init     the initial parameters
    order    the order in which rows come
    split    which rows are train, dev and test
    threads  1 to 4 threads: the parameters must not differ by a bit
    device   CPU and GPU, where there is one

    \b
    tge seeds digits --vary init --rows 150 --hidden 16 --ensemble

    Everything else is held fixed. One run is not a result: report the mean over seeds and its interval, and compare two
    settings seed by seed.
    """
    wanted = vary.split(",")
    unknown = [name for name in wanted if name not in (*SOURCES, "all")]
    if unknown:
        raise Refused(f"--vary {unknown[0]}: there are {', '.join((*SOURCES, 'all'))}")
    params = HParams(data=data, **DEFAULTS[data])
    params = params.with_(epochs=epochs or params.epochs, hidden=params.hidden if hidden is None else hidden)
    table: list[dict[str, Any]] = []
    facts: dict[str, Any] = {"data": data, "metric": METRIC[data], "n": n, "sources": {}}
    with Counter("seeds", as_json) as notify:
        for source in wanted:
            if source == "device":
                table.append(
                    {"varied": source, METRIC[data]: "no GPU here", "sd": None, "lowest": None, "highest": None}
                )
                continue
            found = tune.repeat(Varied(params, source, rows), seeds=n, workers=workers, notify=notify)
            low, high = found.interval()
            table.append({"varied": source, METRIC[data]: found.mean, "sd": found.sd,
                         "lowest": float(found.scores.min()), "highest": float(found.scores.max()),
                         "95 % of means": f"{low:.4f} … {high:.4f}"})  # fmt: skip
            facts["sources"][source] = {"mean": found.mean, "sd": found.sd, "scores": found.scores.tolist()}
            if ensemble and source in ("init", "order"):
                labels = experiment.prepare(params).dev[:][1].numpy()
                together = found.ensemble()
                score = float((together.argmax(1) == labels).mean()) if data == "digits" else float(
                    ((together - labels) ** 2).mean())  # fmt: skip
                table[-1]["ensemble"] = score
                facts["sources"][source]["ensemble"] = score
    names = list(dict.fromkeys(name for row in table for name in row))
    tell(text_table([{name: row.get(name) for name in names} for row in table]), facts, as_json)
