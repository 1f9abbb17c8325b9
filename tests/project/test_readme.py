"""README.md is true: its programs run, its figures are those of today, its loop is the trainer's."""

from __future__ import annotations

import doctest
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tinygrad_edu.train import fingerprint

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """The Python block under the marker `<!-- test: name -->`."""
    found = re.search(rf"<!-- test: {name} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found is not None, f"README.md has no block {name}"
    return found[1]


def run(source: str, folder: Path, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a program as it stands; its names afterwards."""
    path = folder / "program.py"
    path.write_text(source, encoding="utf-8")
    return runpy.run_path(str(path), init_globals=given)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The loop written by hand, after it has run."""
    return run(block("loop"), tmp_path_factory.mktemp("loop"))


def test_every_block_is_tested() -> None:
    blocks = re.findall(r"```(python|pycon)\n", README)
    assert blocks.count("python") == len(re.findall(r"<!-- test: (loop|trainer) -->\n```python", README)) == 2
    assert blocks.count("pycon") >= 2


def test_the_loop_has_twenty_lines() -> None:
    code = [line for line in block("loop").splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(code) <= 20


def test_the_loop_learns(by_hand: dict[str, Any]) -> None:
    assert by_hand["accuracy"].item() >= 0.97


def test_the_loop_equals_the_trainer_to_the_bit(by_hand: dict[str, Any], tmp_path: Path) -> None:
    given = dict(by_hand)
    given.pop("model")
    fitted = run(block("trainer"), tmp_path, given)
    assert fitted["model"] is not by_hand["model"]
    hand, fit = by_hand["model"].state_dict(), fitted["model"].state_dict()
    assert hand.keys() == fit.keys()
    for name in hand:
        assert hand[name].numpy().tobytes() == fit[name].numpy().tobytes(), name
    assert len(fitted["history"]) == 40


def test_the_loop_equals_the_command_to_the_bit(by_hand: dict[str, Any], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tinygrad_edu.cli", "train", "digits", "--quiet", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    result = json.loads((tmp_path / "digits-1" / "result.json").read_text(encoding="utf-8"))
    assert result["sha256"] == fingerprint(by_hand["model"])
    assert result["test_accuracy"] == pytest.approx(by_hand["accuracy"].item(), abs=1e-6)
    told = re.search(r"ends with ([\d.]+) % of unseen digits.* training ([\d,]+) parameters", README)
    assert told is not None
    # The last bits, and with them a digit on the border, are the instruction set's.
    assert float(told[1]) / 100 == pytest.approx(result["test_accuracy"], abs=0.006)
    assert int(told[2].replace(",", "")) == result["parameters"]


def test_the_sessions_print_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = "\n".join(re.findall(r"```pycon\n(.*?)```", README, re.DOTALL))
    parsed = doctest.DocTestParser().get_doctest(sessions, {}, "README.md", "README.md", 0)
    assert len(parsed.examples) >= 10
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(parsed, out=told.append)
    assert not told, "".join(told)


def test_links_and_pictures_are_there(root: Path) -> None:
    targets = [t for t in re.findall(r"\]\(([^)]+)\)", README) if "://" not in t]
    assert len(targets) >= 12
    for target in targets:
        assert (root / target.partition("#")[0]).exists(), target
    pictures = [root / t for t in targets if t.endswith(".png")]
    assert len(pictures) == 3
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size < 150_000


def test_make_targets_are_there(root: Path) -> None:
    told = set(re.findall(r"`make (\w+)|^make (\w+)", README, re.MULTILINE))
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert {a or b for a, b in told} <= targets
    assert {"train", "test", "lint", "sizes", "sanitize", "clean", "help"} <= targets


def test_figures_are_those_of_today(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(root / "tools"))
    import readme  # type: ignore[import-not-found]
    import sizes  # type: ignore[import-not-found]

    told = [int(n.replace(",", "")) for n in re.findall(r"about ([\d,]+)", readme.figures(README, "sizes"))]
    now = [sizes.measure(tops)[2] for tops, _ in sizes.GOALS.values()]
    assert told == pytest.approx(now, rel=0.1), "`make readme` counts again"


def variables_read(root: Path) -> set[str]:
    """The TGE_ variables that the library and its build look at."""
    files = [root / "setup.py", *(root / "tinygrad_edu").rglob("*.py")]
    names = {n for p in files for n in re.findall(r'["\'](TGE_[A-Z_]+)["\']', p.read_text(encoding="utf-8"))}
    c_names = re.compile(r'getenv\("(\w+)"\)')
    return names | {n for p in (root / "csrc").rglob("*.cpp") for n in c_names.findall(p.read_text(encoding="utf-8"))}


def test_environment_variables_are_listed(root: Path) -> None:
    listed = set(re.findall(r"^\| `((?:TGE|OMP)_\w+)=", README, re.MULTILINE))
    assert listed == variables_read(root)


def test_a_run_of_the_command_needs_no_repository(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tinygrad_edu.cli", "train", "digits", "--epochs", "1", "--out", "here"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here" / "digits-1" / "curves.png").exists()
