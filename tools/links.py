"""Keep the links of docs/*.md to lines of code true: `make links` moves each to where its symbol is defined now.

A link reads [`Class.method`](../path/file.py#L12): its text names what is defined at the line it leads to.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[`([^`]+)`\]\(([^)#\s]+)#L(\d+)\)")


def definition(path: Path, symbol: str) -> int | None:
    """The line where `symbol` ("function", "Class", "Class.method") is defined in the file; None if it is not."""
    text = path.read_text(encoding="utf-8")
    return in_python(text, symbol) if path.suffix == ".py" else in_cpp(text, symbol)


def in_python(text: str, symbol: str) -> int | None:
    """Follow the names inwards: a class or function first, else an assignment."""
    scope: list[ast.stmt] = ast.parse(text).body
    line = None
    for name in symbol.split("."):
        found = next((node for node in scope if name in names(node)), None)
        if found is None:
            return None
        line, scope = found.lineno, getattr(found, "body", [])
    return line


def names(node: ast.stmt) -> list[str]:
    """What a statement defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    flat = [e for t in targets for e in (t.elts if isinstance(t, ast.Tuple) else [t])]
    return [t.id for t in flat if isinstance(t, ast.Name)]


def in_cpp(text: str, symbol: str) -> int | None:
    """The first line that opens a class or a function of that name, not one that only calls or declares it."""
    name = re.escape(symbol.split("::")[-1])
    opens = re.compile(rf"^\s*(?:template.*>\s*)?(?:(?:struct|class) {name}\b|[\w:<>,&*\s]*[\w>&*]\s+[*&]?{name}\()")
    for number, line in enumerate(text.splitlines(), start=1):
        if opens.match(line) and not line.rstrip().endswith(";") and not re.match(r"\s*(return|else|if)\b", line):
            return number
    return None


def problems(document: Path) -> list[str]:
    """The links of a document that lead elsewhere than they say."""
    found = []
    for symbol, target, line in LINK.findall(document.read_text(encoding="utf-8")):
        path = (document.parent / target).resolve()
        at = definition(path, symbol) if path.is_file() else None
        if at is None:
            found.append(f"{document.name}: {symbol} is not defined in {target}")
        elif at != int(line):
            found.append(f"{document.name}: {symbol} is at line {at} of {target}, not {line}; `make links` mends this")
    return found


def mend(document: Path) -> None:
    """Write the lines as they are now."""

    def moved(link: re.Match[str]) -> str:
        symbol, target, line = link.groups()
        path = (document.parent / target).resolve()
        return f"[`{symbol}`]({target}#L{(definition(path, symbol) if path.is_file() else None) or line})"

    text = document.read_text(encoding="utf-8")
    document.write_text(LINK.sub(moved, text), encoding="utf-8")


def main() -> int:
    """Mend all documents; complain about what cannot be mended."""
    documents = sorted((ROOT / "docs").glob("*.md"))
    for document in documents:
        mend(document)
    left = [problem for document in documents for problem in problems(document)]
    sys.stderr.write("".join(f"{problem}\n" for problem in left))
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
