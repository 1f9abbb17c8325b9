"""docs/lessons.md: every lesson run with several seeds, what it claims, what came out, and how long it took.

    python tools/lessons.py [LESSON …] [--seeds 0,1,2]

Without lessons all are run; with some, only their rows are measured again. Exit status 1 if a claim does not hold.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from tinygrad_edu import lessons

PAGE = Path(__file__).parents[1] / "docs/lessons.md"
HEAD = """\
# The lessons, and what each of them shows

Every lesson is one short file in [`tinygrad_edu/lessons/`](../tinygrad_edu/lessons): `tge lesson run 01` runs it, and
so does the test suite. The figures below were measured by `make lessons`, one for each of the seeds {seeds}; a lesson
fails if one of its figures leaves its range.

| lesson | claim | figures | range | seconds |
|---|---|---|---|---|
"""


def rows_of(entry: lessons.Entry, seeds: list[int]) -> tuple[list[str], bool]:
    """The table rows of a lesson, and whether every claim held with every seed."""
    done = [lessons.run(entry, seed, quiet=True) for seed in seeds]
    link = f"[{entry.title}](../tinygrad_edu/lessons/{entry.path.name})"
    seconds = f"{max(each.seconds for each in done):.1f}"
    rows = []
    for claims in zip(*(each.claims for each in done), strict=True):
        figures = ", ".join(claim.figure for claim in claims)
        rows.append(f"| {link} | {claims[0].text} | {figures} | {claims[0].threshold} | {seconds} |")
        link = seconds = ""
    return rows, all(each.holds for each in done)


def table_of(page: str) -> dict[str, list[str]]:
    """The rows of a page by lesson title."""
    table: dict[str, list[str]] = {}
    for row in re.findall(r"^\| (?!lesson|-).*$|^\|  \|.*$", page, flags=re.MULTILINE):
        title = re.match(r"\| \[(.+?)\]\(", row)
        if title:
            table[title[1]] = []
        list(table.values())[-1].append(row)
    return table


def main() -> int:
    """Measure, write the page, and say what did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", metavar="LESSON")
    parser.add_argument("--seeds", default="0,1,2")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    chosen = [lessons.find(which) for which in args.lessons] or lessons.lessons()
    table = table_of(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    holds = True
    for entry in chosen:
        table[entry.title], good = rows_of(entry, seeds)
        sys.stdout.write("\n".join(table[entry.title]) + "\n")
        holds = holds and good
    rows = [row for entry in lessons.lessons() for row in table.get(entry.title, [])]
    names = f"{', '.join(map(str, seeds[:-1]))} and {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
    PAGE.write_text(HEAD.format(seeds=names) + "\n".join(rows) + "\n", encoding="utf-8")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
