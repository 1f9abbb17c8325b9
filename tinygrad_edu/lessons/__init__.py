"""The lessons: every idea of training a model as one short file to read and to run.

`tge lesson list` shows the path, `tge lesson run 01` walks a step of it; `run("01")` does so from Python. A lesson is a
plain script on the public API in cells (`# %%`): its text and its code are its page in the documentation too.
"""

from __future__ import annotations

import ast
import runpy
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, StateError
from .lesson import Claim, Lesson, Settings, settings, title_of

__all__ = ["Claim", "Entry", "Lesson", "Settings", "find", "lessons", "run"]


@dataclass(frozen=True)
class Entry:
    """A lesson of the list: its `number` ("01"), `name` ("what_learning_is"), `title`, `summary` and `path`."""

    number: str
    name: str
    title: str
    summary: str
    path: Path


def lessons() -> list[Entry]:
    """All lessons in the order of the path."""
    found = []
    for path in sorted(Path(__file__).parent.glob("lesson_*.py")):
        _, number, name = path.stem.split("_", 2)
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or name
        paragraphs = text.split("\n\n")
        summary = " ".join(paragraphs[1].split()) if len(paragraphs) > 1 else ""
        found.append(Entry(number, name, title_of(text), summary, path))
    return found


def find(which: str) -> Entry:
    """The lesson that `which` means: "1", "01", or the beginning of its name with - or _ between words."""
    wanted = which.lower().replace("-", "_")
    found = [entry for entry in lessons()
             if entry.number == wanted.zfill(2) or entry.name.startswith(wanted)]  # fmt: skip
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{entry.number} {entry.name.replace('_', '-')}" for entry in found or lessons())
    raise InputError(f"lesson {which!r}: {'which of' if found else 'there is none; there is'} {known}")


def run(which: str | Entry, seed: int = 0, out: str | Path | None = None, quiet: bool = False) -> Lesson:
    """Run a lesson from its first line to its last and return it, with its claims and figures.

    `out`: a folder that gets the figures. Nothing raises if a claim does not hold: `lesson.holds` says it.
    """
    import matplotlib

    entry = which if isinstance(which, Entry) else find(which)
    token = settings.set(Settings(seed, None if out is None else Path(out), quiet))
    try:
        with matplotlib.rc_context({"backend": "agg"}):
            import matplotlib.pyplot as plt

            found = [v for v in runpy.run_path(str(entry.path)).values() if isinstance(v, Lesson)]
            for figure in (figure for lesson in found for figure in lesson.figures):
                plt.close(figure)
    finally:
        settings.reset(token)
    if len(found) != 1 or not found[0].seconds >= 0:
        raise StateError(f"{entry.path.name}: a lesson makes one Lesson and calls its end()")
    return found[0]
