"""`tge train`: one experiment from its hyperparameters to its run folder."""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import data, nn, optim
from tinygrad_edu import train as training

from . import machine, plots

F = nn.functional
OPTIMIZERS: dict[str, Any] = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD}
# Smoothing earns its place on the dev rows: accuracy 0.984 with 0.1, 0.971 without, means over 12 seeds.
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"hidden": (128,), "lr": 3e-3, "epochs": 40, "label_smoothing": 0.1},
    "diabetes": {"hidden": (), "lr": 1e-2, "epochs": 60},
}


class Refused(click.ClickException):
    """Wrong use: a message, and exit status 2."""

    exit_code = 2


@dataclass(frozen=True)
class HParams(training.HParams):
    """Everything a person decides about a run of `tge`."""

    data: str
    hidden: tuple[int, ...]
    lr: float
    epochs: int
    batch_size: int = 32
    optimizer: str = "adam"
    split: str = "random"
    seed: int = 0
    patience: int | None = None
    label_smoothing: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    accumulate: int = 1


@dataclass
class Task:
    """A data set made ready: split, scaled, with its loss and its sizes."""

    train: data.TensorDataset
    dev: data.TensorDataset
    test: data.HeldOut
    inputs: int
    outputs: int
    loss: Any
    metrics: dict[str, Any]
    preprocess: dict[str, Any]  # how inputs are scaled and outputs scaled back; goes into the run folder
    split: str


# -- the run folder ------------------------------------------------------------------------------------------
def new_run(out: Path, params: HParams) -> Path:
    """Make `out/<data>-<n>` with its config.json; n is the next number that is free."""
    out.mkdir(parents=True, exist_ok=True)
    number = 1 + max([_number(p, params.data) for p in out.iterdir()], default=0)
    while True:
        run = out / f"{params.data}-{number}"
        try:
            run.mkdir()
            break
        except FileExistsError:  # another process took the number
            number += 1
    write_json(run / "config.json", asdict(params))
    return run


def find_run(resume: str, out: Path, name: str) -> Path | None:
    """The run folder that --resume means; None for "auto" where there is none."""
    if resume == "auto":
        runs = [p for p in out.glob(f"{name}-*") if _number(p, name) and (p / "config.json").exists()]
        return max(runs, key=lambda p: _number(p, name), default=None)
    run = Path(resume)
    if not run.is_dir():
        raise Refused(f"--resume {run}: there is no such run folder")
    return run


def read_config(run: Path) -> HParams:
    """The hyperparameters of a run; Refused if they are not there or not to be understood."""
    path = run / "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        known = {f.name for f in fields(HParams)}
        params = HParams.from_dict({name: value for name, value in raw.items() if name in known})
        counts = (*params.hidden, params.epochs, params.batch_size, params.patience or 1, params.accumulate)
        understood = min(counts) > 0 and 0 < params.lr < np.inf and 0 <= params.label_smoothing < 1
        understood = understood and params.weight_decay >= 0 and (params.clip_norm is None or params.clip_norm > 0)
        names = params.data in DEFAULTS and params.split in data.SPLITS[params.data] and params.optimizer in OPTIMIZERS
        if not understood or not names:
            raise ValueError("it has a value that tge does not write")
        return params
    except OSError:
        raise Refused(f"{run}: no run folder of tge (it has no readable config.json)") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise Refused(f"{path}: damaged: {error}") from None


def resumed(run: Path, name: str, wanted: dict[str, Any]) -> HParams:
    """The run's hyperparameters; of those on the command line only --epochs may differ."""
    params = read_config(run)
    have = asdict(params) | {"data": params.data}
    other = {k: v for k, v in {"data": name, **wanted}.items() if k != "epochs" and v != have[k]}
    if other:
        told = ", ".join(f"{k.replace('_', '-')} {have[k]} (not {v})" for k, v in other.items())
        raise Refused(f"--resume {run}: that run has {told}; leave these out, or start a new run")
    if wanted.get("epochs", params.epochs) != params.epochs:
        params = replace(params, epochs=wanted["epochs"])
        write_json(run / "config.json", asdict(params))
    return params


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people, atomically."""
    training.write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def _number(path: Path, name: str) -> int:
    tail = path.name.removeprefix(f"{name}-")
    return int(tail) if tail != path.name and tail.isdecimal() else 0


# -- the experiment ------------------------------------------------------------------------------------------
def prepare(params: HParams) -> Task:
    """Load, split and scale the data."""
    source = data.load_digits() if params.data == "digits" else data.load_diabetes()
    split = source.split(params.split, seed=params.seed)
    inputs = source.X.shape[1]

    def made(ready: Any, outputs: int, loss: Any, metrics: Any, preprocess: dict[str, Any]) -> Task:
        """The task whose rows are made ready by a function of (x, y); those of test when they are opened."""
        train, dev = (data.TensorDataset(*ready(*part[:])) for part in (split.train, split.dev))
        test = split.test.map(lambda rows: data.TensorDataset(*ready(*rows[:])))
        return Task(train, dev, test, inputs, outputs, loss, metrics, preprocess, str(split))

    if params.data == "digits":
        loss = functools.partial(F.cross_entropy, label_smoothing=params.label_smoothing)
        return made(
            lambda x, y: (x.numpy() / np.float32(16), y), 10, loss, {"accuracy": training.accuracy}, {"divide": 16}
        )
    x, y = split.train[:]
    x_scale, y_scale = data.Standardize().fit(x), data.Standardize().fit(y.numpy()[:, None])
    preprocess = {"x": x_scale.state_dict(), "y": y_scale.state_dict(), "columns": list(source.columns)}
    metrics = {"mae": training.mean_absolute_error}
    return made(lambda x, y: (x_scale(x), y_scale(y.numpy()[:, None])), 1, F.mse_loss, metrics, preprocess)


def build_model(inputs: int, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.ReLU()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def trainer_for(
    params: HParams,
    task: Task,
    *,
    callbacks: Sequence[training.Callback] = (),
    init_seed: int | None = None,
    order_seed: int | None = None,
    **options: Any,
) -> training.Trainer:
    """The trainer of these hyperparameters; what is random in it comes from their seed, or from seeds of its own."""
    tg.manual_seed(params.seed if init_seed is None else init_seed)
    model = build_model(task.inputs, params.hidden, task.outputs)
    stop = [] if params.patience is None else [training.EarlyStopping("val_loss", patience=params.patience)]
    return training.Trainer(
        model,
        task.loss,
        OPTIMIZERS[params.optimizer](model.parameters(), lr=params.lr, weight_decay=params.weight_decay),
        metrics=task.metrics,
        callbacks=[*callbacks, *stop],
        clip_norm=params.clip_norm,
        accumulate=params.accumulate,
        seed=params.seed if order_seed is None else order_seed,
        **{"progress": "none", **options},
    )


def train(
    run: Path,
    params: HParams,
    *,
    quiet: bool,
    spend_test_set: bool = False,
    max_seconds: float | None = None,
    parallel: training.DataParallel | None = None,
) -> int:
    """Train, evaluate once on test, write the run folder; the exit status."""
    task = prepare(params)
    task.test.log = run / "test-readings.json"
    if task.test.readings and not spend_test_set:
        raise Refused(
            f"{run}: its test rows have been read ({'; '.join(task.test.readings)}), so its result stands; more "
            f"training could only be chosen by that result. To read them again all the same: --spend-test-set"
        )
    guard = training.StopOnNaN()
    leader = parallel is None or not parallel.rank  # of several processes the first one writes and talks
    quiet = quiet or not leader
    trainer = trainer_for(
        params, task, callbacks=[guard], run_dir=run, progress="none" if quiet else "auto", parallel=parallel
    )
    model = trainer.model
    before = np.array(model[0].weight.detach().numpy())  # a resumed run draws the same ones again
    count = sum(p.numel() for p in model.parameters())
    if leader:
        write_json(run / "env.json", machine.describe())
        write_json(run / "preprocess.json", task.preprocess)
    if not quiet:
        sizes = " → ".join(str(n) for n in (task.inputs, *params.hidden, task.outputs))
        click.echo(f"data    {params.data}: {task.split}")
        click.echo(f"model   {sizes}, {count:,} parameters; {params.optimizer}, lr {params.lr:g}, "
                   f"batches of {params.batch_size}")  # fmt: skip
        click.echo(f"kernels {tg.kernels.K.name} ({tg.kernels.isa()}), {tg.get_num_threads()} thread(s)")
        if parallel is not None:
            click.echo(f"sharing {parallel.size} processes, each with its part of every batch")
    start = time.perf_counter()
    try:
        history = trainer.fit(
            task.train,
            epochs=params.epochs,
            val=task.dev,
            batch_size=params.batch_size,
            max_seconds=max_seconds,
            resume=run if (run / "ckpt" / "last.safetensors").exists() else None,
        )
    except KeyboardInterrupt:
        done = len(trainer.state.history)
        click.echo(f"Interrupted after {done} finished epoch(s). Go on with: "
                   f"tge resume {run}", err=True)  # fmt: skip
        return 130
    except ValueError as error:
        raise Refused(str(error)) from error
    seconds = time.perf_counter() - start
    if not leader:
        return 0
    if trainer.state.paused:
        click.echo(f"{trainer.state.paused[0].upper()}{trainer.state.paused[1:]}. Go on with: tge resume {run}")
        return 0
    if guard.reason is not None:
        click.echo(f"Training stopped: {guard.reason}", err=True)
        return 1
    trainer.save(run / "ckpt" / "final.safetensors")
    result = {
        "data": params.data,
        "epochs": len(history),
        "stopped": history.stopped,
        **{f"train_{k}": v for k, v in trainer.evaluate(task.train).items()},
        **{f"dev_{k}": v for k, v in trainer.evaluate(task.dev).items()},
        **score(trainer, task, spend_test_set),
        "test_readings": len(task.test.readings),
        "parameters": count,
        "sha256": training.fingerprint(model),
        "seconds": round(seconds, 3),
    }
    write_json(run / "result.json", result)
    plots.curves(history, run / "curves.png", params.data, loss_floor(params, task.outputs))
    plots.weights(before, model[0].weight.detach().numpy(), run / "weights.png", task.preprocess.get("columns"))
    report(run, result, quiet)
    return 0


def loss_floor(params: HParams, classes: int) -> float:
    """The cross-entropy of a perfect model: the entropy of a smoothed label, 0 without smoothing."""
    if not params.label_smoothing:
        return 0.0
    other = params.label_smoothing / classes
    right = 1 - params.label_smoothing + other
    return -right * math.log(right) - (classes - 1) * other * math.log(other)


def score(trainer: training.Trainer, task: Task, spend: bool) -> dict[str, float]:
    """The figures on the test rows, in units that mean something."""
    test = task.test.open(f"the result after {len(trainer.state.history)} epochs", spend=spend)
    found = {f"test_{k}": v for k, v in trainer.evaluate(test).items()}
    if "y" in task.preprocess:
        scale = data.Standardize()
        scale.load_state_dict(task.preprocess["y"])
        predicted = scale.inverse_transform(trainer.predict(test).astype(np.float64))
        wanted = scale.inverse_transform(test.tensors[1].numpy().astype(np.float64))
        found["test_r2"] = training.r2_score(predicted, wanted)
        found["test_rmse"] = float(np.sqrt(((predicted - wanted) ** 2).mean()))
    return found


def report(run: Path, result: dict[str, Any], quiet: bool) -> None:
    """The last lines."""
    if "test_accuracy" in result:
        headline = f"test accuracy {result['test_accuracy']:.4f}"
    else:
        headline = f"test R² {result['test_r2']:.4f}, root mean squared error {result['test_rmse']:.1f}"
    if quiet:
        click.echo(f"{headline}   {run}")
        return
    if result["stopped"]:
        click.echo(f"stopped: {result['stopped']}")
    click.echo(f"\n{headline}   ({result['parameters']:,} parameters, {result['seconds']:.1f} s of training)")
    click.echo(f"run folder: {run}   (curves.png, weights.png, history.csv, result.json)")
