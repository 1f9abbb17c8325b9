"""`tge size` and `tge pretrained`: how large models are, and which published ones are here."""

from __future__ import annotations

import time
from typing import Any

import click

from ..data import NotFound
from ..tune.table import text_table
from ..zoo import PRESETS, PRETRAINED, count_parameters, load_pretrained, training_bytes
from ..zoo.presets import STATES
from .estimate import words
from .experiment import Refused
from .options import positive, tell

JSON = click.option("--json", "as_json", is_flag=True, help="For a program to read.")


@click.command()
@click.argument("names", nargs=-1, metavar="[MODEL]…")
@click.option("--params", type=float, callback=positive("a number of parameters"), metavar="N",
              help="Also a model of so many parameters, such as 10e9. It is not built.")  # fmt: skip
@click.option("--optimizer", type=click.Choice(list(STATES)), default="adam", show_default=True)
@click.option("--tensors", is_flag=True, help="Also every parameter by name and shape.")
@JSON
def size(names: tuple[str, ...], params: float | None, optimizer: str, tensors: bool, as_json: bool) -> None:
    """Say exactly how many parameters a MODEL has, and what memory training it takes.

    \b
    tge size                                   the whole ladder, from 11 parameters to 124,439,808
    tge size linear mlp cnn gpt2 --params 10e9
    tge size mlp --tensors                     where the parameters are

    Each model is built and its parameters are counted. Training keeps, in float32, 4 bytes of every parameter, 4 of its
    gradient, and what the optimiser remembers of it: 8 with Adam. What the forward pass keeps for the backward pass
    comes on top and depends on the batch: tge estimate --layers.
    """
    unknown = [name for name in names if name not in PRESETS]
    if unknown:
        raise Refused(f"no model {', '.join(unknown)}; there is {', '.join(PRESETS)}")
    rows: list[dict[str, Any]] = []
    parts: dict[str, list[dict[str, Any]]] = {}
    for name in names or (() if params is not None else tuple(PRESETS)):
        model = PRESETS[name].build()
        rows.append(_row(name, PRESETS[name].what, count_parameters(model), optimizer))
        if tensors:
            parts[name] = [{"parameter": n, "shape": " × ".join(map(str, p.shape)), "numbers": p.numel()}
                           for n, p in model.named_parameters()]  # fmt: skip
    if params is not None:
        rows.append(_row("(given)", "--params", int(params), optimizer))
    shown = [{"model": row["model"], "parameters": f"{row['parameters']:,}", "to train": words(row["total_bytes"]),
              "for": row["for"]} for row in rows]  # fmt: skip
    text = text_table(shown)
    for name, table in parts.items():
        text += f"\n\n{name}\n{text_table(table)}"
    most = rows[-1]["total_bytes"]
    if most > 80e9:
        text += f"\n\n{words(most)} before activations: more than {int(most // 80e9)} accelerators of 80 GB hold."
    tell(text, {"optimizer": optimizer, "models": rows, "tensors": parts}, as_json)


def _row(name: str, what: str, count: int, optimizer: str) -> dict[str, Any]:
    parts = training_bytes(count, optimizer)
    return {"model": name, "for": what, "parameters": count, "bytes": parts, "total_bytes": sum(parts.values())}


@click.group()
def pretrained() -> None:
    """Published models: which there are, where their files are, and whether these are the right ones.

    \b
    tge pretrained list
    tge pretrained load efficientnet-lite0

    Weights are never fetched behind your back. They are looked for in the folders of TGE_DATA, in ~/.cache/tinygrad_edu
    and in installed packages, compared with a known SHA-256, and read as numbers: no code in them is run.
    """


@pretrained.command("list")
@JSON
def show_list(as_json: bool) -> None:
    """Every published model, with licence, checksum and place."""
    facts, lines = [], []
    for entry in PRETRAINED.values():
        try:
            place = str(entry.path())
        except NotFound:
            place = None
        facts.append({"name": entry.name, "what": entry.what, "licence": entry.licence, "sha256": entry.sha256,
                      "path": place, "command": entry.command})  # fmt: skip
        lines += [click.style(entry.name, bold=True), f"    {entry.what}", f"    licence  {entry.licence}",
                  f"    SHA-256  {entry.sha256}",
                  f"    here     {place}" if place else f"    not here; fetch it with: {entry.command}"]  # fmt: skip
    tell("\n".join(lines), {"models": facts}, as_json)


@pretrained.command()
@click.argument("name")
@JSON
def load(name: str, as_json: bool) -> None:
    """Verify and load model NAME, and say what came of it."""
    if name not in PRETRAINED:
        raise Refused(f"no pretrained model {name!r}; there is {', '.join(PRETRAINED)}")
    entry, start = PRETRAINED[name], time.perf_counter()
    try:
        model = load_pretrained(name)
    except ValueError as error:  # missing, or another file
        raise Refused(str(error)) from None
    facts = {"name": name, "path": str(entry.path()), "licence": entry.licence, "sha256": entry.sha256,
             "parameters": count_parameters(model), "seconds": time.perf_counter() - start}  # fmt: skip
    lines = [f"{facts['path']}", f"SHA-256 {entry.sha256} as it should be", f"licence {entry.licence}",
             f"{facts['parameters']:,} parameters loaded in {facts['seconds']:.2f} s",
             f'in Python: tinygrad_edu.zoo.load_pretrained("{name}")']  # fmt: skip
    tell("\n".join(lines), facts, as_json)
