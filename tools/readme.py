"""Bring the figures and pictures of README.md up to date: `make readme`. They are measured, never typed.

python tools/readme.py            train, draw, count
python tools/readme.py --sizes    count only
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import sizes

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PICTURES = ("curves.png", "weights.png")


def figures(text: str, name: str) -> str:
    """What stands between the markers of the figures called `name`."""
    found = re.search(rf"<!-- figures: {name} -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    if found is None:
        raise SystemExit(f"README.md has no figures called {name}")
    return found[1]


def replaced(text: str, name: str, new: str) -> str:
    """The text with other figures between the markers."""
    return text.replace(f"<!-- figures: {name} -->\n{figures(text, name)}\n", f"<!-- figures: {name} -->\n{new}\n")


def sizes_sentence() -> str:
    """Lines of code of the two parts that have a goal, to the nearest hundred."""
    heart, upper = (round(sizes.measure(tops)[2], -2) for tops, _ in sizes.GOALS.values())
    return (
        f"The heart (floors 2 and 3 and the graph) has about {heart:,} lines of code, "
        f"`nn`, `optim`, `data` and `train` about {upper:,}."
    )


def train_sentence(out: Path) -> str:
    """Train with the default settings into `out`; what came out of it."""
    command = [sys.executable, "-m", "tinygrad_edu.cli", "train", "digits", "--quiet", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True)
    run = out / "digits-1"
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    machine = json.loads((run / "env.json").read_text(encoding="utf-8"))
    return (
        f"On a machine with {machine['cpus']} CPUs ({machine['instruction_set']} kernels) it ends with "
        f"{100 * result['test_accuracy']:.1f} % of unseen digits read correctly, after "
        f"{result['seconds']:.1f} seconds of training {result['parameters']:,} parameters."
    )


def main() -> None:
    """Rewrite README.md and docs/images."""
    text = README.read_text(encoding="utf-8")
    text = replaced(text, "sizes", sizes_sentence())
    if "--sizes" not in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            text = replaced(text, "train", train_sentence(Path(folder)))
            for picture in PICTURES:
                shutil.copy(Path(folder) / "digits-1" / picture, ROOT / "docs" / "images" / picture)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
