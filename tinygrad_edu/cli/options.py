"""What several commands share: how option texts become values, progress on long work, JSON on request."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Any

import click

from ..tune import Integers, Uniform


def sizes(text: str) -> tuple[int, ...]:
    """ "128" → (128,); "128x64" or "128,64" → (128, 64); "0" → ()."""
    try:
        found = tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r}: give sizes like 128 or 128,64, or 0 for no hidden layer") from None
    if found == (0,):
        return ()
    if min(found) < 1 or max(found) > 1_000_000:
        raise click.BadParameter(f"{text!r}: a layer has 1 to 1,000,000 units; 0 alone means no hidden layer")
    return found


def hidden(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """A click callback for `--hidden`."""
    return None if value is None else sizes(value)


def positive(what: str) -> Callable[[click.Context, click.Parameter, float | None], float | None]:
    """A click callback for a finite number above 0."""

    def check(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
        if value is not None and not (math.isfinite(value) and value > 0):
            raise click.BadParameter(f"{value}: {what} is a positive number, such as 0.003")
        return value

    return check


def values(convert: Callable[[str], Any], whole: bool = False) -> Any:
    """A click callback: "1e-3,1e-2" → a list to try; "1e-4..1e-1" → a range, logarithmic if it spans a factor of 10."""

    def check(context: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        if text is None:
            return None
        try:
            if ".." in text:
                low, high = (float(end) for end in text.split(".."))
                log = low > 0 and high / low >= 10
                return Integers(int(low), int(high), log) if whole else Uniform(low, high, log)
            found = [convert(part) for part in text.split(",")]
        except ValueError as error:
            raise click.BadParameter(
                f"{text!r}: give values like 1e-3,1e-2 or a range like 1e-4..1e-1 ({error})"
            ) from None
        if any(isinstance(v, float) and not (math.isfinite(v) and v > 0) for v in found):
            raise click.BadParameter(f"{text!r}: positive numbers are wanted")
        return found

    return check


class Counter:
    """A bar for work of `total` parts on a terminal; nothing elsewhere, and nothing with `quiet`."""

    def __init__(self, what: str, quiet: bool) -> None:
        self.bar: Any = None
        if not quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self.bar = Progress(console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task(what, total=None)

    def __enter__(self) -> Callable[[int, int], None]:
        if self.bar is not None:
            self.bar.start()
        return self.update

    def update(self, done: int, total: int) -> None:
        """So much is done."""
        if self.bar is not None:
            self.bar.update(self.task, completed=done, total=total)

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.stop()


def tell(text: str, facts: dict[str, Any], as_json: bool) -> None:
    """Print the text, or the facts for a program. JSON has no NaN: it is null there."""
    click.echo(json.dumps(_finite(facts), indent=2) if as_json else text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
