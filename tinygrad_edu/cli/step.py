"""`tge step`: training one step at a time, with what the gradient promised beside what came."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from .. import train as training
from ..data import DataLoader
from ..random import Generator
from . import experiment
from .experiment import DEFAULTS, TABLES, HParams
from .options import hidden, positive, tell


@click.command()
@click.argument("data", type=click.Choice(TABLES), default="digits")
@click.option("-n", "steps", type=click.IntRange(min=1), default=5, show_default=True, help="How many steps.")
@click.option("--lr", type=float, callback=positive("a learning rate"), help="Size of a step.  [as tge train]")
@click.option("--optimizer", type=click.Choice(list(experiment.OPTIMIZERS)), help="How gradients become steps.  [sgd]")
@click.option("--hidden", callback=hidden, metavar="N[,N…]", help="Units of each hidden layer; 0 for none.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows per step.  [32]")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True)
@click.option("--explain", is_flag=True, help="Every parameter: its size, its gradient, its change.")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def step(data: str, steps: int, seed: int, explain: bool, as_json: bool, **given: Any) -> None:
    """Train on DATA one visible step at a time.

    Each line: the loss on a batch before the step, what the gradient says it will change by, and what it does change
    by on the same batch. With a small --lr, the two agree; with a larger one they part.

    \b
    tge step -n 3 --explain             also every parameter, its gradient and its change
    tge step diabetes --lr 1e-4         a small step keeps its promise
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    params = HParams(data=data, **{**DEFAULTS[data], "optimizer": "sgd"}).with_(**wanted, seed=seed)
    task = experiment.prepare(params)
    trainer = experiment.trainer_for(params, task, record="none")
    loader = DataLoader(task.train, params.batch_size, shuffle=True, generator=Generator(seed))
    rows: list[dict[str, Any]] = []
    lines = [f"{'step':>4} {'loss':>10} {'predicted':>12} {'actual':>12} {'actual/predicted':>17}"]
    while len(rows) < steps:
        for x, y in loader:
            trace = trainer.step(x, y)
            rows.append(_facts(len(rows) + 1, trace))
            if explain:
                lines += ["", f"step {len(rows)}", str(trace)]
            else:
                lines.append(
                    "{step:>4} {loss:>10.5f} {predicted:>12.3e} {actual:>12.3e} {ratio:>17.4f}".format(**rows[-1])
                )
            if len(rows) == steps:
                break
    if explain:
        lines = lines[2:]
    tell("\n".join(lines), {"hyperparameters": asdict(params), "steps": rows}, as_json)


def _facts(number: int, trace: training.StepTrace) -> dict[str, Any]:
    ratio = trace.actual / trace.predicted if trace.predicted else float("nan")
    sizes = {
        name: {"value": _rms(value), "gradient": _rms(gradient), "update": _rms(update)}
        for name, (value, gradient, update) in trace.rows.items()
    }
    return {"step": number, "loss": trace.loss, "predicted": trace.predicted, "actual": trace.actual, "ratio": ratio,
            "parameters": sizes}  # fmt: skip


def _rms(values: Any) -> float:
    return float((values.astype("float64") ** 2).mean() ** 0.5)
