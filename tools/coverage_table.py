"""Write the tables of docs/coverage.md: which of PyTorch's names are here, and how each is compared with PyTorch.

`python tools/coverage_table.py` with PyTorch installed; a test holds the page to it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "coverage.md"
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "names")]
# Namespaces whose names are tested by files that mention them: (title, name of the module, folders that test it).
ELSEWHERE = [
    ("nn: modules", "nn", ["nn", "programs"]),
    ("nn.init", "nn.init", ["nn"]),
    ("nn.utils", "nn.utils", ["nn", "optim", "train"]),
    ("nn.utils.rnn", "nn.utils.rnn", ["nn"]),
    ("optim", "optim", ["optim"]),
    ("optim.lr_scheduler", "optim.lr_scheduler", ["optim"]),
    ("utils.data", "utils.data", ["data"]),
    ("distributions", "distributions", ["distributions"]),
    ("autograd", "autograd", ["autograd"]),
    ("autograd.functional", "autograd.functional", ["autograd"]),
    ("func", "func", ["autograd"]),
]


def public(module: Any) -> list[str]:
    """The names a module offers."""
    return [n for n in dir(module) if not n.startswith("_")]


def is_ours(value: Any) -> bool:
    """Whether a name stands for something to call that this library defines."""
    return callable(value) and str(getattr(value, "__module__", "")).startswith("tinygrad_edu")


def resolve(module: Any, name: str) -> Any:
    """The part of a module called `name`, or None."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def called() -> dict[str, list[Any]]:
    """The calls of every name in tests/names."""
    import functional  # type: ignore[import-not-found]
    import operators  # type: ignore[import-not-found]

    found: dict[str, list[Any]] = {}
    for call in [*operators.CALLS, *functional.CALLS]:
        name = call.args[1] if call.name == "getattr" else call.name.removeprefix("Tensor.")
        key = f"Tensor.{name}" if call.name.startswith(("Tensor.", "getattr")) else name
        found.setdefault(key, []).append(call)
    return found


def row(name: str, calls: list[Any], torch: Any) -> str:
    """A line of the table of operators."""
    dtypes = sorted({d for c in calls for d in c.dtypes}, key=calls[0].dtypes.index if len(calls) == 1 else str)
    forms = len({(c.name, str(c.args), str(c.kwargs), s) for c in calls for s in c.shapes})
    last = name.rpartition(".")[2]
    derivatives = "2nd" if any(c.grad and c.second for c in calls) else "1st" if any(c.grad for c in calls) else ""
    as_method = any(c.method for c in calls) and hasattr(torch.Tensor, last)
    methods = [last] * as_method + [last + "_"] * (as_method and hasattr(torch.Tensor, last + "_"))
    kinds = "".join(letter for letter, one in (("f", "float64"), ("i", "int64"), ("b", "bool")) if one in dtypes)
    return f"| `{name}` | {forms} | {kinds} | {derivatives} | {' '.join(f'`{m}`' for m in methods)} |"


def operators(torch: Any) -> Iterator[str]:
    """The table of everything in tests/names."""
    calls = called()
    for title, chosen in (
        ("Top level and `linalg`", [n for n in calls if not n.startswith(("F.", "Tensor."))]),
        ("nn.functional", [n for n in calls if n.startswith("F.")]),
        ("Methods and attributes of a tensor that are no functions", [n for n in calls if n.startswith("Tensor.")]),
    ):
        yield f"### {title} ({len(chosen)} names)\n"
        yield "| name | calls | dtypes | derivatives | also as |\n|---|---|---|---|---|"
        yield from (row(n, calls[n], torch) for n in sorted(chosen, key=str.lower))
        yield ""


def mentioned(torch: Any, tg: Any) -> Iterator[str]:
    """The tables of names that are tested in files of their own."""
    import functional  # type: ignore[import-not-found]
    import operators as table  # type: ignore[import-not-found]

    top = {"": [ROOT / "tests" / d for d in ("tensor", "serialization", "autograd", "kernels", "nn")]}
    missing: list[str] = []
    sections = [("Random, about states, or about files", sorted(table.ELSEWHERE | functional.ELSEWHERE), top[""])]
    for title, name, folders in ELSEWHERE:
        mine, theirs = resolve(tg, name), resolve(torch, name)
        both = [n for n in public(mine) if hasattr(theirs, n) and is_ours(getattr(mine, n))]
        sections.append((title, both, [ROOT / "tests" / f for f in folders]))
    for title, names, folders in sections:
        files = {f: f.read_text(encoding="utf-8") for d in folders for f in sorted(d.glob("*.py"))}
        yield f"### {title} ({len(names)} names)\n"
        yield "| name | tested in |\n|---|---|"
        for n in names:
            word = rf"\b{re.escape(n.removeprefix('F.'))}\b"
            found = [f for f, text in files.items() if re.search(word, text)]
            found = found or [f for f, text in files.items() if re.search(word, text, re.IGNORECASE)]  # by its module
            where = [f.relative_to(ROOT).as_posix() for f in found]
            if not where:
                missing.append(f"{title}: no test mentions {n}")
            yield f"| `{n}` | {', '.join(f'[{Path(w).name}](../{w})' for w in where[:2])} |"
        yield ""
    if missing:
        raise SystemExit("\n".join(missing))


def tables() -> str:
    """Everything between the markers of the page."""
    import torch

    import tinygrad_edu as tg

    return "\n".join([*operators(torch), *mentioned(torch, tg)]).rstrip() + "\n"


def replaced(text: str, new: str) -> str:
    """The page with other tables."""
    start, end = "<!-- tables -->\n", "<!-- end -->"
    return text[: text.index(start) + len(start)] + new + text[text.index(end) :]


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")
