"""`tge train`: one experiment from its hyperparameters to its run folder."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import data
from tinygrad_edu import train as training

from . import machine, plots
from .tasks import DEFAULTS, OPTIMIZERS, TABLES, HParams, Refused, Task, build_model, prepare, settings, understood

__all__ = ["DEFAULTS", "OPTIMIZERS", "TABLES", "HParams", "Refused", "Task", "build_model", "prepare", "settings"]


PATH_LIMIT = 1000  # parameters of a model whose path is recorded whole, for tge report


# -- the run folder ------------------------------------------------------------------------------------------
def new_run(out: Path, params: training.HParams) -> Path:
    """Make `out/<data>-<n>` with its config.json; n is the next number that is free."""
    config = asdict(params)
    out.mkdir(parents=True, exist_ok=True)
    number = 1 + max([_number(p, config["data"]) for p in out.iterdir()], default=0)
    while True:
        run = out / f"{config['data']}-{number}"
        try:
            run.mkdir()
            break
        except FileExistsError:  # another process took the number
            number += 1
    write_json(run / "config.json", config)
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
    check_folder(run)
    path = run / "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw.get("data") == "cartpole":
            raise Refused(f"{run}: a run of cartpole, which has no data, no epochs and no test rows")
        known = {f.name for f in fields(HParams)}
        params = HParams.from_dict({name: value for name, value in raw.items() if name in known})
        if not understood(params):
            raise ValueError("it has a value that tge does not write")
        return params
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise Refused(f"{path}: damaged: {error}") from None


def check_folder(run: Path) -> None:
    """Refused if `run` is not a run folder."""
    try:
        (run / "config.json").read_bytes()
    except OSError:
        raise Refused(f"{run}: no run folder of tge (it has no readable config.json)") from None


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
    model = task.build()
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
    device: str = "cpu",
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
    small = sum(p.numel() for p in task.build().parameters()) <= PATH_LIMIT
    trainer = trainer_for(
        params, task, callbacks=[guard], run_dir=run, progress="none" if quiet else "auto", parallel=parallel,
        record="full" if small else "light", device=device,
    )  # fmt: skip
    model = trainer.model
    before = np.array(model[0].weight.detach().cpu().numpy())  # a resumed run draws the same ones again
    count = sum(p.numel() for p in model.parameters())
    if leader:
        write_json(run / "env.json", machine.describe())
        write_json(run / "preprocess.json", task.preprocess)
    if not quiet:
        click.echo(f"data    {params.data}: {task.split}")
        click.echo(f"model   {task.sizes}, {count:,} parameters; {params.optimizer}, lr {params.lr:g}, "
                   f"batches of {params.batch_size}")  # fmt: skip
        kernels = f"{tg.kernels.K.name} ({tg.kernels.isa()}), {tg.get_num_threads()} thread(s)"
        click.echo(f"kernels {kernels if device == 'cpu' else 'cuda, through CuPy'}")
        if parallel is not None:
            click.echo(f"sharing {parallel.size} processes, each with its part of every batch")
    start = time.perf_counter()
    try:
        history = trainer.fit(
            task.train,
            epochs=params.epochs,
            val=task.dev,
            batch_size=params.batch_size,
            shuffle=params.shuffle,
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
        **task.beside,
        "test_readings": len(task.test.readings),
        "parameters": count,
        "sha256": training.fingerprint(model),
        "seconds": round(seconds, 3),
    }
    write_json(run / "result.json", result)
    plots.curves(history, run / "curves.png", params.data, loss_floor(params, 10))
    picture = task.draw(before, model.cpu(), run)
    report(run, result, task.headline(result), picture, quiet)
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


def report(run: Path, result: dict[str, Any], headline: str, picture: str, quiet: bool) -> None:
    """The last lines."""
    if quiet:
        click.echo(f"{headline}   {run}")
        return
    if result["stopped"]:
        click.echo(f"stopped: {result['stopped']}")
    click.echo(f"\n{headline}   ({result['parameters']:,} parameters, {result['seconds']:.1f} s of training)")
    click.echo(f"run folder: {run}   (curves.png, {picture}, history.csv, result.json)")
