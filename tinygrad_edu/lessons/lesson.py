"""`Lesson`: what a lesson file uses to draw in one style and to say, with a threshold, what it has shown."""

from __future__ import annotations

import ast
import contextvars
import math
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..random import manual_seed
from ..tune.table import text_table
from .style import COLOURS, STYLE


@dataclass(frozen=True)
class Settings:
    """How lessons are being run: with which seed, where figures go (None: nowhere), and whether they print."""

    seed: int = 0
    out: Path | None = Path("runs/lessons")
    quiet: bool = False


DIRECTLY = Settings()  # a lesson file run as a script
settings: contextvars.ContextVar[Settings] = contextvars.ContextVar("settings", default=DIRECTLY)


@dataclass(frozen=True)
class Claim:
    """A figure that a lesson has measured, and the range in which it must be."""

    text: str
    value: float
    low: float = -math.inf
    high: float = math.inf

    @property
    def holds(self) -> bool:
        """Whether the figure is in its range; NaN never is."""
        return self.low <= self.value <= self.high

    @property
    def threshold(self) -> str:
        """The range in signs: "≥ 0.95", "≤ 0.01", "0.06 … 0.14", "= 11", "yes"."""
        if self.low == self.high == 1.0:
            return "yes"
        if self.low == self.high:
            return f"= {self.low:,.10g}"
        if math.isinf(self.high):
            return f"≥ {self.low:g}"
        return f"≤ {self.high:g}" if math.isinf(self.low) else f"{self.low:g} … {self.high:g}"

    @property
    def figure(self) -> str:
        """The value as it is printed."""
        if self.low == self.high == 1.0:
            return "yes" if self.holds else "no"
        return (
            f"{self.value:,.0f}" if float(self.value).is_integer() and abs(self.value) >= 100 else f"{self.value:.4g}"
        )

    def __str__(self) -> str:
        return f"{'✓' if self.holds else '✗'} {self.text}: {self.figure}  ({self.threshold})"


@dataclass
class Lesson:
    """One lesson in progress: `Lesson(__doc__)` is the first line of every lesson file.

    `seed` is what the lesson must draw everything from; creating the lesson also seeds the default generator with it.
    """

    text: str
    claims: list[Claim] = field(default_factory=list)
    figures: list[Any] = field(default_factory=list)
    seconds: float = math.nan

    def __post_init__(self) -> None:
        import matplotlib
        from cycler import cycler

        if not self.text:  # sphinx-gallery runs a file without its __doc__; the file that calls us has it
            source = Path(sys._getframe(2).f_code.co_filename).read_text(encoding="utf-8")
            self.text = ast.get_docstring(ast.parse(source)) or ""
        self._settings = settings.get()
        self.seed = self._settings.seed
        self._began = time.perf_counter()
        matplotlib.rcParams.update({**STYLE, "axes.prop_cycle": cycler(color=COLOURS)})
        manual_seed(self.seed)
        self.say(self.title, "=" * len(self.title), sep="\n")

    @property
    def title(self) -> str:
        """The first line of the lesson's text: "1. What learning is"."""
        return title_of(self.text)

    @property
    def name(self) -> str:
        """The title as a file's name: "01_what_learning_is"."""
        number, _, words = self.title.partition(". ")
        return f"{number.zfill(2)}_{re.sub('[^a-z0-9]+', '_', words.lower()).strip('_')}"

    def say(self, *what: Any, sep: str = " ") -> None:
        """Print, unless the lessons are being run quietly."""
        if not self._settings.quiet:
            print(*what, sep=sep, flush=True)

    def table(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print rows of equal keys as aligned columns."""
        self.say(text_table([dict(row) for row in rows]), "", sep="\n")

    def figure(self, rows: int = 1, columns: int = 1, *, width: float | None = None, height: float | None = None,
               title: str = "", **options: Any) -> tuple[Any, Any]:  # fmt: skip
        """A figure and its axes, as `pyplot.subplots` makes them; sizes in inches. It is saved by `end`."""
        import matplotlib.pyplot as plt

        size = (width or min(4.4 * columns, 12.0), height or 3.3 * rows)
        figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", **options)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        self.figures.append(figure)
        return figure, axes

    def claim(self, text: str, value: Any, *, at_least: float = -math.inf, at_most: float = math.inf) -> Claim:
        """Measure `value` against its range. A bool claims to be true; numbers need a bound."""
        if isinstance(value, bool | np.bool_):
            claim = Claim(text, float(value), 1.0, 1.0)
        elif math.isinf(at_least) and math.isinf(at_most):
            raise InputError(f"claim {text!r}: a number needs at_least=, at_most= or both")
        else:
            claim = Claim(text, float(value), at_least, at_most)
        self.claims.append(claim)
        return claim

    def end(self) -> None:
        """Say what was shown, save the figures, and stop the clock. The last line of every lesson file."""
        self.seconds = time.perf_counter() - self._began
        self.say("What was shown", *(f"  {claim}" for claim in self.claims), sep="\n")
        folder = self._settings.out
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for number, figure in enumerate(self.figures, start=1):
                more = f"-{number}" if len(self.figures) > 1 else ""
                path = folder / f"{self.name}{more}.png"
                figure.savefig(path)
                self.say(f"  figure: {os.path.relpath(path)}")
        self.say(f"  {self.seconds:.1f} s, seed {self.seed}", "", sep="\n")

    @property
    def holds(self) -> bool:
        """Whether every claim holds; a lesson without claims has shown nothing."""
        return bool(self.claims) and all(claim.holds for claim in self.claims)


def title_of(text: str) -> str:
    """The first line of a lesson's text."""
    return text.strip().splitlines()[0].strip()
