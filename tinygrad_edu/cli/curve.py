"""`tge curve`: how good a model gets by how many examples it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..tune.table import text_table
from . import plots, starts
from .options import Counter, tell
from .transfer import counts

CONTROLS = {"fashion": "negative control"}


@click.group()
def curve() -> None:
    """Draw how good a model gets: tge curve data-size."""


@curve.command("data-size")
@click.option("--data", type=click.Choice(list(starts.TASKS)), multiple=True, default=("textures", "fashion"),
              show_default=True, help="May be given more than once.")  # fmt: skip
@click.option("--sizes", default="1,2,5,10,20", show_default=True, metavar="N,…", help="Examples of each class.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Draws of the examples.")
@click.option("--epochs", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Folder for data-size.png.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def data_size(data: tuple[str, ...], sizes: str, seeds: int, epochs: int, out: Path, as_json: bool) -> None:
    """Accuracy against the number of examples, from nothing and with a pretrained model, in one picture.

    \b
    textures  brick, grass or gravel; EfficientNet-Lite0 with a new last layer: two examples are enough
    fashion   ten kinds of clothes, small and grey: the negative control, where next to nothing is gained
    reviews   positive or negative sentences about films; MiniLM with a new last layer

    From nothing means a small network of its own (for reviews: a linear model of the words). Accuracy on dev rows, mean
    over the draws. What is not on this machine is asked for with the command that fetches it.
    """
    each = counts(sizes, "--sizes")
    found: dict[str, list[dict[str, Any]]] = {}
    for name in data:
        with Counter(name, as_json) as progress:
            found[name] = starts.accuracies(starts.TASKS[name](0, progress), each, seeds, epochs)
    path = out / "data-size.png"
    plots.data_size({f"{name} ({CONTROLS[name]})" if name in CONTROLS else name: rows for name, rows in found.items()},
                    path)  # fmt: skip
    text = "\n\n".join(f"{name}{', the negative control' if name in CONTROLS else ''}\n{text_table(rows)}"
                       for name, rows in found.items())  # fmt: skip
    tell(f"{text}\n\n{path}", {"seeds": seeds, "picture": str(path), "tasks": found}, as_json)
