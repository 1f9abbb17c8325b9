"""Every lesson runs, offline, and shows what it claims."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tinygrad_edu import lessons
from tinygrad_edu.cli.commands import cli
from tinygrad_edu.lessons import Claim

ALL = lessons.lessons()


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.number)
def test_lesson_shows_what_it_claims(entry: lessons.Entry, tmp_path: Path) -> None:
    done = lessons.run(entry, seed=0, out=tmp_path, quiet=True)
    assert [str(claim) for claim in done.claims if not claim.holds] == []
    assert done.claims
    assert done.figures
    assert len(list(tmp_path.glob("*.png"))) == len(done.figures)


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.number)
def test_lesson_is_written_as_the_others_are(entry: lessons.Entry) -> None:
    source = entry.path.read_text(encoding="utf-8")
    first, line, *_ = (ast.get_docstring(ast.parse(source)) or "").splitlines()
    assert re.fullmatch(r"\d+\. \S.*", first)
    assert int(first.split(".")[0]) == int(entry.number)
    assert line == "=" * len(first)
    assert len(entry.summary) > 40
    assert source.rstrip().endswith("lesson.end()")
    assert "# %%" in source
    assert len(source.splitlines()) <= 190, "a lesson is short"


def test_numbers_are_the_path() -> None:
    numbers = [int(entry.number) for entry in ALL]
    assert numbers == list(range(1, 17))


def test_find_takes_numbers_and_names() -> None:
    assert lessons.find("1") == lessons.find("01") == lessons.find("what-learning-is") == ALL[0]
    with pytest.raises(ValueError, match="there is none; there is 01 what-learning-is"):
        lessons.find("alchemy")


def test_claims() -> None:
    assert Claim("x", 0.5, 0.4).holds
    assert not Claim("x", math.nan, 0.4).holds
    assert Claim("x", 0.5, 0.4).threshold == "≥ 0.4"
    assert Claim("x", 0.5, 0.4, 0.6).threshold == "0.4 … 0.6"
    assert str(Claim("x", 22713216, 22713216, 22713216)) == "✓ x: 22,713,216  (= 22,713,216)"
    assert str(Claim("x", 0.7, high=0.6)) == "✗ x: 0.7  (≤ 0.6)"
    assert str(Claim("x", 1.0, 1.0, 1.0)) == "✓ x: yes  (yes)"


def test_the_page_has_every_lesson_and_three_figures_within_range_for_every_claim() -> None:
    """`python tools/lessons.py` writes docs/lessons.md; a claim's text and range come from the lesson's own file."""
    page = (Path(__file__).parents[2] / "docs/lessons.md").read_text(encoding="utf-8")
    rows = [row.strip("| ").split(" | ") for row in page.splitlines() if row.startswith("| ") and "claim" not in row]
    titles = [row[0].split("]")[0].strip("[") for row in rows if row[0].startswith("[")]
    assert titles == [entry.title for entry in ALL], "run: python tools/lessons.py"
    for row in rows:
        figures, wanted = [part.strip() for part in row if part.strip()][-3 if row[0].startswith("[") else -2 :][:2]
        numbers = [figure.strip() for figure in figures.split(", ")]
        assert len(numbers) >= 3, row
        for number in numbers:
            assert _within(number, wanted), row


def _within(figure: str, wanted: str) -> bool:
    if wanted == "yes":
        return figure == "yes"
    value = float(figure.replace(",", ""))
    if "…" in wanted:
        low, high = (float(end) for end in wanted.split("…"))
        return low <= value <= high
    if wanted[0] == "=":
        return value == float(wanted[1:].replace(",", ""))
    return value >= float(wanted[1:]) if wanted[0] == "≥" else value <= float(wanted[1:])


def test_command(tmp_path: Path) -> None:
    listed = CliRunner().invoke(cli, ["lesson", "list"])
    assert listed.exit_code == 0
    assert all(entry.title in listed.output for entry in ALL)
    refused = CliRunner().invoke(cli, ["lesson", "run", "alchemy"])
    assert refused.exit_code == 2
    assert "01 what-learning-is" in refused.output
    ran = CliRunner().invoke(cli, ["lesson", "run", "1", "--out", str(tmp_path)], standalone_mode=False)
    assert ran.return_value == 0
    assert "✓ dev accuracy after 20 epochs" in ran.output
    assert [path.name for path in tmp_path.iterdir()] == ["01_what_learning_is.png"]
