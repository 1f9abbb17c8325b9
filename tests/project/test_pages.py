"""The pages and the lessons are a site that Sphinx builds without a warning."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

for needed in ("sphinx", "sphinx_gallery", "myst_parser"):
    pytest.importorskip(needed, reason="pip install 'tinygrad_edu[docs]'")


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_has_every_lesson(root: Path, tmp_path: Path) -> None:
    """Lessons are not run here: tests/lessons runs them."""
    ignore = shutil.ignore_patterns("_build", "path")
    shutil.copytree(root / "docs", tmp_path / "docs", ignore=ignore)
    shutil.copytree(root / "tinygrad_edu/lessons", tmp_path / "tinygrad_edu/lessons")
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    quick = {**os.environ, "TGE_DOCS_QUICK": "1", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [*build, "docs", "html"], cwd=tmp_path, env=quick, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    index = (tmp_path / "html/path/index.html").read_text(encoding="utf-8")
    for lesson in (root / "tinygrad_edu/lessons").glob("lesson_*.py"):
        page = tmp_path / f"html/path/{lesson.stem}.html"
        assert page.exists()
        assert f"{lesson.stem}.html" in index
    page = (tmp_path / "html/path/lesson_01_what_learning_is.html").read_text(encoding="utf-8")
    assert re.search(r"<h1>1\. What learning is", page)
    assert "lesson_01_what_learning_is.ipynb" in page
