"""`tge generate`: names that a model makes up."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import data
from tinygrad_edu import train as training

from . import experiment, tasks
from .experiment import Refused
from .options import tell

LONGEST = 20


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--n", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many names.")
@click.option(
    "--temperature",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    help="1: each character by the chance that the model gives it; less is more cautious, more is bolder; 0 always "
    "takes the likeliest, so that all names are alike.",
)
@click.option("--start", default="", help="The letters with which every name begins.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Decides what is drawn.")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def generate(run: Path, n: int, temperature: float, start: str, seed: int, as_json: bool) -> None:
    """Let the model in the folder RUN, trained by `tge train names`, make up names.

    It draws a character from what it says may come next, appends it, and asks again, until it draws the end. A star
    marks what is not among the names that it was trained on.
    """
    if not run.is_dir():
        raise Refused(f"{run}: there is no such run folder; tge train names makes one")
    params = experiment.read_config(run)
    if params.data != "names":
        raise Refused(f"{run}: a model of {params.data} does not write; tge train names makes one that does")
    strange = sorted(set(start) - set(data.names.ALPHABET[1:]))
    if strange or len(start) > LONGEST:
        raise Refused(f"--start {start!r}: up to {LONGEST} small letters a to z are wanted")
    model = tasks.names_model(params)
    final, last = run / "ckpt" / "final.safetensors", run / "ckpt" / "last.safetensors"
    try:
        training.load_model(final if final.exists() else last, model)
    except training.CheckpointError as error:
        raise Refused(str(error)) from None
    made = write(model, params.context, n, temperature, start, seed)
    words = data.load_names().first
    known = {words[row] for row in tasks.split_names(params).train.indices}
    new = [name not in known for name in made]
    lines = [f"{'*' if fresh else ' '} {name}" for name, fresh in zip(made, new, strict=True)]
    lines += ["", f"{sum(new)} of {n} are not among the {len(known):,} names that the model was trained on; "
              f"{len(set(made))} are different from each other"]  # fmt: skip
    facts = {"temperature": temperature, "seed": seed, "names": made, "new": new,
             "share_new": float(np.mean(new)), "share_different": len(set(made)) / n}  # fmt: skip
    tell("\n".join(lines), facts, as_json)


def write(model: tg.nn.Module, context: int, n: int, temperature: float, start: str, seed: int) -> list[str]:
    """`n` names that begin with `start`."""
    letters = data.next_characters([start], context)[0][-1] if start else np.zeros(context, dtype=np.int64)
    rows = training.generate(lambda tokens: model(tokens[:, -context:]), np.tile(letters, (n, 1)),
                             length=LONGEST - len(start), temperature=temperature, end=0, seed=seed)  # fmt: skip
    return [start + rest for rest in data.spell(rows[:, context:])]
