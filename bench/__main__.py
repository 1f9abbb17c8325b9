"""`python -m bench`: this library against PyTorch, in one process, the same inputs and threads, turn by turn."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
from pathlib import Path
from typing import Any

import click

PARTS = ("kernels", "steps", "overhead", "memory", "ladder")
ROOT = Path(__file__).resolve().parent.parent


def engines(with_compile: bool) -> dict[str, Any]:
    """Name → module of what is compared; RuntimeError without PyTorch."""
    import tinygrad_edu

    try:
        import torch
    except ImportError:
        raise click.ClickException("the benchmarks compare with PyTorch: pip install torch") from None
    found = {"tinygrad_edu": tinygrad_edu, "torch": torch}
    return found | {"torch.compile": torch} if with_compile else found


def run(part: str, threads: int, limits: dict[str, float], quick: bool, with_compile: bool, match: str) -> list[Any]:
    """The rows of one part; a line about each as it is known."""
    from . import ladder, memory
    from .cases import kernels, overhead, steps
    from .measure import Effort, measure

    # Threads look for work a few milliseconds before they sleep: one engine's would be in the other one's way.
    effort = Effort.quick() if quick else Effort(settle=0.02 if threads > 1 else 0.0)
    if part == "memory":
        return memory.rows(threads, quick)
    if part == "ladder":
        return ladder.rows(limits, threads, effort, quick)
    cases = {"kernels": lambda: kernels.cases(quick), "overhead": lambda: overhead.cases(quick),
             "steps": lambda: steps.cases()[: 2 if quick else None]}[part]()  # fmt: skip
    modules = engines(with_compile and part == "steps")
    rows = []
    for case in cases:
        if match and not re.search(match, f"{case.family} {case.name}"):
            continue
        row = measure(case, modules, limits, effort)
        rows.append(row)
        click.echo(f"{case.family:18} {case.name:58} {row.get('ratio', float('nan')):6.2f} × PyTorch", err=True)
    return rows


def on_gpu(parts: tuple[str, ...], quick: bool, to_json: Path | None, to_markdown: Path | None) -> None:
    """The part that a GPU is needed for."""
    if parts != ("cuda",):
        raise click.UsageError("cuda is measured alone: python -m bench cuda")
    from . import cuda

    try:
        found = cuda.measured(quick)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None
    text = cuda.markdown(found)
    click.echo(text)
    if to_json is not None:
        to_json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if to_markdown is not None:
        to_markdown.write_text(text, encoding="utf-8")


@click.command(help=__doc__)
@click.argument("parts", nargs=-1, type=click.Choice([*PARTS, "all", "cuda"]))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1), help="For both libraries.")
@click.option("--quick", is_flag=True, help="Small sizes and two rounds: checks the machinery, measures nothing.")
@click.option("--match", default="", help="Only cases whose family and name match this regular expression.")
@click.option("--compile", "with_compile", is_flag=True, help="The steps under torch.compile as well.")
@click.option("--json", "to_json", type=click.Path(path_type=Path), help="Write everything measured, for programs.")
@click.option("--markdown", "to_markdown", type=click.Path(path_type=Path), help="Write the tables.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw how many times as fast as PyTorch (PNG).")
def main(
    parts: tuple[str, ...], threads: int, quick: bool, match: str, with_compile: bool, to_json: Path | None,
    to_markdown: Path | None, plot: Path | None,
) -> None:  # fmt: skip
    """Measure the parts asked for (default: steps); `cuda` alone, on a GPU."""
    if "cuda" in parts:
        on_gpu(parts, quick, to_json, to_markdown)
        return
    for variable in ("OMP_NUM_THREADS", "NPROC"):  # NPROC: JAX's
        os.environ.setdefault(variable, str(threads))
    wanted = PARTS if "all" in parts else tuple(dict.fromkeys(parts)) or ("steps",)
    torch = engines(False)["torch"]
    import numpy

    import tinygrad_edu

    from . import native, report

    torch.set_num_threads(threads)
    tinygrad_edu.set_num_threads(threads)
    try:
        limits = native.limits(threads, quick)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None
    found: dict[str, Any] = {
        "processor": native.processor(), "instruction_set": tinygrad_edu.kernels.isa(), "threads": threads,
        "torch": torch.__version__, "numpy": numpy.__version__, "python": platform.python_version(),
        "date": datetime.date.today().isoformat(), "limits": limits, "quick": quick, "parts": {},
    }  # fmt: skip
    for part in wanted:
        found["parts"][part] = run(part, threads, limits, quick, with_compile, match)
    text = report.markdown(found)
    click.echo(text)
    if to_json is not None:
        to_json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if to_markdown is not None:
        to_markdown.write_text(text, encoding="utf-8")
    if plot is not None:
        report.picture(found, plot)


if __name__ == "__main__":
    main()
