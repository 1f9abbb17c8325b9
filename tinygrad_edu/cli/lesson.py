"""`tge lesson`: the path through the ideas of training a model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from .. import lessons
from .experiment import Refused
from .options import tell

SEED = click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True,
                    help="Decides everything that is drawn; what a lesson shows holds for others too.")  # fmt: skip
OUT = click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs/lessons"),
                   show_default=True, help="Where the figures go.")  # fmt: skip
JSON = click.option("--json", "as_json", is_flag=True, help="For a program to read.")


@click.group()
def lesson() -> None:
    """Learn what training a model is, one short file after another.

    \b
    tge lesson list        the path
    tge lesson run 01      one lesson: its tables, its figure, and what it has shown
    tge lesson show 01     its text and code, to read or to copy
    tge lesson all         all of them (a few minutes)
    """


@lesson.command("list")
@JSON
def show_list(as_json: bool) -> None:
    """The lessons in the order in which they build on each other."""
    entries = lessons.lessons()
    facts = [{"number": e.number, "name": e.name, "title": e.title, "summary": e.summary} for e in entries]
    text = "\n".join(f"{click.style(e.title, bold=True)}\n    {e.summary}" for e in entries)
    tell(f"{text}\n\nRun one with: tge lesson run {entries[0].number}", {"lessons": facts}, as_json)


@lesson.command()
@click.argument("which")
def show(which: str) -> None:
    """Print the file of lesson WHICH (its number or name)."""
    click.echo(_find(which).path.read_text(encoding="utf-8"))


@lesson.command()
@click.argument("which")
@SEED
@OUT
@JSON
def run(which: str, seed: int, out: Path, as_json: bool) -> int:
    """Run lesson WHICH (its number or name). Exit status 1 if something it claims did not hold."""
    done = lessons.run(_find(which), seed, out, quiet=as_json)
    if as_json:
        tell("", _facts(done), True)
    return 0 if done.holds else 1


@lesson.command("all")
@SEED
@OUT
@JSON
def run_all(seed: int, out: Path, as_json: bool) -> int:
    """Run every lesson, and say at the end what each has shown. Exit status 1 if a claim did not hold."""
    began = time.perf_counter()
    done = [lessons.run(entry, seed, out, quiet=as_json) for entry in lessons.lessons()]
    failed = [claim for each in done for claim in each.claims if not claim.holds]
    lines = [f"{'✓' if each.holds else '✗'} {each.title}  {each.seconds:.1f} s" for each in done]
    lines.append(
        f"{sum(len(e.claims) for e in done)} claims, {len(failed)} did not hold; {time.perf_counter() - began:.0f} s"
    )
    tell("\n".join(lines), {"lessons": [_facts(each) for each in done]}, as_json)
    return 1 if failed else 0


def _facts(done: lessons.Lesson) -> dict[str, Any]:
    claims = [{"claim": c.text, "value": c.value, "threshold": c.threshold, "holds": c.holds} for c in done.claims]
    return {"title": done.title, "seed": done.seed, "seconds": done.seconds, "claims": claims}


def _find(which: str) -> lessons.Entry:
    try:
        return lessons.find(which)
    except ValueError as error:
        raise Refused(str(error)) from None
