"""Lines of code per folder, without blank lines, comments and docstrings beside them: `make sizes`."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The readable heart, and what stands on it: sums of folders, with the size that each aims at.
GOALS = {
    "the heart (autograd, ops, tensor.py)": (
        ("tinygrad_edu/autograd", "tinygrad_edu/ops", "tinygrad_edu/tensor.py"),
        2500,
    ),
    "nn, optim, data, train": (
        ("tinygrad_edu/nn", "tinygrad_edu/optim", "tinygrad_edu/data", "tinygrad_edu/train"),
        3000,
    ),
}
SUFFIXES = {".py", ".pyx", ".cpp", ".h", ".cu"}


def lines(path: Path) -> tuple[int, int]:
    """All lines of a file, and those of them that are code."""
    text = path.read_text(encoding="utf-8")
    rows = text.splitlines()
    if path.suffix == ".py":
        prose = docstring_lines(text)
        code = sum(bool(r.strip()) and not r.lstrip().startswith("#") and i not in prose for i, r in enumerate(rows, 1))
    else:
        code = sum(bool(r.strip()) and not r.lstrip().startswith(("//", "/*", "*")) for r in rows)
    return len(rows), code


def docstring_lines(text: str) -> set[int]:
    """The numbers of the lines that docstrings take."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            first = node.body[0]
            found.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return found


def files(top: str) -> list[Path]:
    """The source files of a folder and all below it, or the one file."""
    path = ROOT / top
    found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES)
    return [p for p in found if "__pycache__" not in p.parts]


def measure(tops: tuple[str, ...]) -> tuple[int, int, int]:
    """Files, lines, lines of code."""
    sizes = [lines(p) for top in tops for p in files(top)]
    return len(sizes), sum(n for n, _ in sizes), sum(n for _, n in sizes)


def folders() -> list[str]:
    """The package's folders and single files, then the kernels, then the tests."""
    package = ROOT / "tinygrad_edu"
    inside = [p for p in package.iterdir() if (p.is_dir() and files(str(p))) or p.suffix == ".py"]
    inside.sort(key=lambda p: (p.is_file(), p.name))
    outside = [p for top in ("csrc", "tests") if (ROOT / top).exists() for p in (ROOT / top).iterdir() if p.is_dir()]
    return [str(p.relative_to(ROOT)) for p in inside] + sorted(
        str(p.relative_to(ROOT)) for p in outside if files(str(p))
    )


def table() -> str:
    """The table as text."""
    rows = [f"{'':<38} {'files':>5} {'lines':>7} {'code':>7}"]
    rows += ["{:<38} {:>5} {:>7} {:>7}".format(top, *measure((top,))) for top in folders()]
    rows.append("")
    for name, (tops, goal) in GOALS.items():
        rows.append("{:<38} {:>5} {:>7} {:>7}   aims at {}".format(name, *measure(tops), goal))
    return "\n".join(rows)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
