"""Write what `python -m bench all --json FILE` measured into docs/performance.md, docs/ladder.md and README.md.

    python tools/performance.py one_thread.json [two_threads.json]

The first report should be of one thread. Figures stand between markers (`<!-- bench: NAME -->` … `<!-- end -->`) and
come from the reports alone.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import report as tables  # noqa: E402
from bench.measure import geometric_mean  # noqa: E402


def sections(one: dict[str, Any], two: dict[str, Any] | None) -> dict[str, str]:
    """Name of a section → its text."""
    parts = one["parts"]
    found = {
        "machine": tables.machine(one), "steps": tables.goals(parts["steps"]),
        "families": tables.families(parts["kernels"]), "overhead": tables.timed(parts["overhead"]),
        "memory": tables.memory(parts["memory"]), "ladder": tables.ladder(parts["ladder"]),
        "lost": lost(parts["kernels"] + parts["steps"] + parts["overhead"]), "kernels": kernels(parts["kernels"]),
        "readme": sentence(one, two) + "\n\n" + tables.goals(parts["steps"]),
    }  # fmt: skip
    if two is not None:
        found["two"] = "\n\n".join([
            tables.machine(two), tables.goals(two["parts"]["steps"]), gain(one, two),
            tables.families(two["parts"]["kernels"])])  # fmt: skip
    return found


def kernels(rows: list[dict[str, Any]]) -> str:
    """A table a family."""
    names = dict.fromkeys(row["family"] for row in rows)
    return "\n\n".join(f"### {n}\n\n" + tables.timed([row for row in rows if row["family"] == n]) for n in names)


def lost(rows: list[dict[str, Any]]) -> str:
    """The rows in which PyTorch is faster, the worst first."""
    some = sorted((row for row in rows if row.get("ratio", 1) < 1), key=lambda row: float(row["ratio"]))
    lines = [f"{row['family']}: {row['name']} | {row['ratio']:.2f}" for row in some]
    return f"{len(some)} of {len(rows)} rows.\n\n" + tables.table("PyTorch is faster | × PyTorch", lines)


def gain(one: dict[str, Any], two: dict[str, Any]) -> str:
    """What the second thread brings to each step."""
    lines = []
    for a, b in zip(one["parts"]["steps"], two["parts"]["steps"], strict=True):
        ours, theirs = (a["seconds"][n]["median"] / b["seconds"][n]["median"] for n in ("tinygrad_edu", "torch"))
        lines.append(f"{a['name']} | {theirs:.2f} | {ours:.2f}")
    return tables.table("times as fast as with one thread | PyTorch | ours", lines)


def sentence(one: dict[str, Any], two: dict[str, Any] | None) -> str:
    """The figures that the README tells first."""
    means = [geometric_mean(row["ratio"] for row in r["parts"]["steps"]) for r in (one, two) if r is not None]
    also = f" ({means[1]:.1f} with two threads)" if two is not None else ""
    return (
        f"A training step takes {means[0]:.1f} times less than PyTorch's eager mode in the geometric mean over these "
        f"programs{also}, {one['processor']}, PyTorch {one['torch']}, float32, one thread:"
    )


def replaced(text: str, new: dict[str, str]) -> str:
    """The text with the sections that it has markers for."""

    def section(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- bench: {name} -->\n{new[name]}\n<!-- end -->" if name in new else found[0]

    return re.sub(r"<!-- bench: (\w+) -->\n.*?<!-- end -->", section, text, flags=re.DOTALL)


def main(files: list[str]) -> None:
    """Rewrite the pages and the picture."""
    one, two = [json.loads(Path(f).read_text(encoding="utf-8")) for f in files] + [None] * (2 - len(files))
    if one["quick"]:
        raise SystemExit("this report was made with --quick: its times mean nothing")
    new = sections(one, two)
    for page in (ROOT / "README.md", ROOT / "docs" / "performance.md", ROOT / "docs" / "ladder.md"):
        page.write_text(replaced(page.read_text(encoding="utf-8"), new), encoding="utf-8")
    tables.picture(one, ROOT / "docs" / "images" / "performance.png")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(sys.argv[1:])
