"""`tge train cartpole`: a policy learns to keep a pole up, from rewards alone."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu import train as training
from tinygrad_edu.envs import CartPole

from . import experiment, machine, pictures
from .experiment import Refused
from .options import Counter

TOGETHER = 16  # episodes of an update
GOOD = 475.0  # steps, mean of the last 80 episodes, at which learning is done


@dataclass(frozen=True)
class CartPoleHParams(training.HParams):
    """Everything a person decides about a run."""

    data: str = "cartpole"
    algo: str = "reinforce"
    hidden: tuple[int, ...] = (32,)
    lr: float = 2e-2
    episodes: int = 1200
    discount: float = 0.99
    seed: int = 0


def build_policy(hidden: tuple[int, ...]) -> nn.Sequential:
    """What is seen (N, 4) → logits (N, 2) of a push to the left and to the right."""
    layers: list[nn.Module] = []
    inputs = 4
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.Tanh()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, 2))


def settings(wanted: dict[str, Any]) -> CartPoleHParams:
    """The hyperparameters of a new run; UsageError for options that mean nothing here."""
    known = CartPoleHParams().as_dict()
    strange = [name for name in wanted if name not in known]
    if strange:
        told = ", ".join("--" + name.replace("_", "-") for name in sorted(known) if name != "data")
        raise click.UsageError(f"--{strange[0].replace('_', '-')} means nothing to cartpole; it takes {told}")
    return CartPoleHParams(**wanted)


def train(run: Path, params: CartPoleHParams, quiet: bool) -> int:
    """Learn until it is done or the episodes are used up, write the run folder; the exit status."""
    tg.manual_seed(params.seed)
    policy, draw = build_policy(params.hidden), np.random.default_rng(params.seed)
    optimizer = optim.Adam(policy.parameters(), lr=params.lr)
    world = CartPole(TOGETHER)
    experiment.write_json(run / "env.json", machine.describe())
    if not quiet:
        count = sum(p.numel() for p in policy.parameters())
        sizes = " → ".join(str(n) for n in (4, *params.hidden, 2))
        click.echo(f"world   CartPole: push left or right, 1 for each step that the pole stands, {world.limit} at most")
        click.echo(f"policy  {sizes}, {count:,} parameters; REINFORCE, lr {params.lr:g}, discount {params.discount:g}, "
                   f"{TOGETHER} episodes an update")  # fmt: skip
        click.echo(f"kernels {tg.kernels.K.name} ({tg.kernels.isa()}), {tg.get_num_threads()} thread(s)\n")
    start = time.perf_counter()
    course: list[float] = []
    try:
        with Counter("episodes", quiet) as notify:
            while len(course) * TOGETHER < params.episodes and not np.mean(course[-5:] or 0) >= GOOD:
                seed = None if course else params.seed
                played = training.reinforce(policy, optimizer, world, draw, discount=params.discount, seed=seed)
                course.append(float(played.returns.mean()))
                notify(len(course) * TOGETHER, params.episodes)
                if not quiet and len(course) % 5 == 0:
                    click.echo(f"{len(course) * TOGETHER:>5} episodes: the last {5 * TOGETHER} stood "
                               f"{np.mean(course[-5:]):.0f} steps on average")  # fmt: skip
    except KeyboardInterrupt:
        click.echo(f"Interrupted after {len(course) * TOGETHER} episodes. It takes seconds: start again", err=True)
        return 130
    except ValueError as error:
        raise Refused(f"{error} (is --lr {params.lr:g} too large?)") from error
    seconds = time.perf_counter() - start
    fresh = training.play(policy, CartPole(100), None, seed=params.seed + 1_000_000).returns
    finish(run, policy, course, world.limit)
    result = {
        "data": params.data, "episodes": len(course) * TOGETHER, "last_return": float(np.mean(course[-5:])),
        "fresh_return": float(fresh.mean()), "parameters": sum(p.numel() for p in policy.parameters()),
        "sha256": training.fingerprint(policy), "seconds": round(seconds, 3),
    }  # fmt: skip
    experiment.write_json(run / "result.json", result)
    headline = (f"the last {5 * min(TOGETHER, params.episodes)} episodes stood {result['last_return']:.1f} steps; "
                f"100 other starts, always the likelier push: {fresh.mean():.1f}")  # fmt: skip
    if quiet:
        click.echo(f"{headline}   {run}")
        return 0
    click.echo(f"\n{headline}   ({result['episodes']:,} episodes, {seconds:.1f} s)")
    click.echo(f"run folder: {run}   (returns.png, policy.png, history.csv, result.json)")
    return 0


def finish(run: Path, policy: nn.Module, course: list[float], limit: int) -> None:
    """What is left of the run: checkpoint, history, pictures."""
    (run / "ckpt").mkdir(exist_ok=True)
    training.save_checkpoint(run / "ckpt" / "final.safetensors", {"model": policy.state_dict()})
    played = [TOGETHER * (update + 1) for update in range(len(course))]
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["update", "episodes", "mean_return"])
    rows.writerows((update + 1, n, mean) for update, (n, mean) in enumerate(zip(played, course, strict=True)))
    training.write_atomically(run / "history.csv", table.getvalue().encode())
    pictures.returns(played, course, limit, run / "returns.png")
    pictures.policy(policy, run / "policy.png")
