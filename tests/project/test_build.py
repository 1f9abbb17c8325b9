"""What the build promises: a source distribution that has everything, and metadata that tell the truth."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a source distribution, made from a copy of the sources."""
    pytest.importorskip("setuptools")
    root = Path(__file__).resolve().parents[2]
    folder = tmp_path_factory.mktemp("sdist")
    copy = folder / "source"
    copy.mkdir()
    no_builds = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
    for name in ("csrc", "docs", "tests", "tinygrad_edu", "tools"):
        shutil.copytree(root / name, copy / name, ignore=no_builds)
    for path in root.iterdir():
        if path.is_file():
            shutil.copy(path, copy / path.name)
    # TGE_PURE: what Cython would make is not part of a source distribution, and takes its time.
    code = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    environment = {**os.environ, "TGE_PURE": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=copy, env=environment, check=True, capture_output=True)
    (archive,) = (copy / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        return {name.partition("/")[2] for name in tar.getnames()}


def tracked(root: Path, *folders: str) -> set[str]:
    """Source files under the folders."""
    paths = [p for folder in folders for p in (root / folder).rglob("*") if p.is_file()]
    skipped = {".so", ".pyc"}
    return {str(p.relative_to(root)) for p in paths if p.suffix not in skipped and "__pycache__" not in p.parts}


def test_sdist_is_complete(sdist: set[str], root: Path) -> None:
    assert tracked(root, "csrc") - sdist == set()
    assert tracked(root, "tinygrad_edu") - sdist == set()
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", "tinygrad_edu/py.typed"} <= sdist
    assert {"tinygrad_edu/data/files/digits.csv.gz", "tinygrad_edu/data/files/digits.md"} <= sdist


def test_sdist_has_the_tests_and_what_they_look_at(sdist: set[str], root: Path) -> None:
    wanted = tracked(root, "tests", "tools", "docs") | {"Makefile", "CHANGELOG.md"}
    assert {name for name in wanted if "/." not in name} - sdist == set()


def test_sdist_has_nothing_built(sdist: set[str]) -> None:
    assert [name for name in sdist if name.endswith((".so", ".o", ".pyc"))] == []


EXTRAS = {
    "test",
    "dev",
    "oracle",
    "search",
    "sklearn",
    "tensorboard",
    "cuda12",
    "cuda13",
    "cuda-host",
    "dist",
    "docs",
}  # each named in an error that asks for it


def test_extras_are_there_for_something(project: dict[str, Any], root: Path) -> None:
    assert set(project["project"]["optional-dependencies"]) == EXTRAS


def test_dependencies_are_those_that_are_imported(project: dict[str, Any], root: Path) -> None:
    names = {"pillow": "PIL"}
    required = {re.match(r"[\w-]+", d)[0] for d in project["project"]["dependencies"]}  # type: ignore[index]
    source = "\n".join(p.read_text(encoding="utf-8") for p in (root / "tinygrad_edu").rglob("*.py"))
    for name in required:
        module = names.get(name, name)
        assert re.search(rf"^\s*(import|from) {module}\b", source, re.MULTILINE), f"{name} is required and not used"


def test_python_versions_agree(project: dict[str, Any], root: Path) -> None:
    told = {c.rpartition(" ")[2] for c in project["project"]["classifiers"] if re.search(r":: 3\.\d+$", c)}
    workflow = (root / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (tested,) = re.findall(r"python: \[(.*)\]", workflow)
    assert told == set(re.findall(r"[\d.]+", tested))
    assert project["project"]["requires-python"] == ">=3.11"


def test_the_gate_is_a_program(root: Path) -> None:
    if not (root / ".ci" / "run").exists():
        pytest.skip("a source distribution has no gate")
    assert os.access(root / ".ci" / "run", os.X_OK)
    assert subprocess.run(["bash", "-n", str(root / ".ci" / "run")]).returncode == 0


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"CXX": "no-such-compiler"}, "missing: the C++ compiler no-such-compiler"),
        ({}, ""),
    ],
)
def test_a_missing_compiler_is_told_in_one_line(root: Path, environment: dict[str, str], message: str) -> None:
    if not message and shutil.which("g++") is None:
        pytest.skip("there is no compiler here")
    command = [sys.executable, str(root / "tools" / "toolchain.py")]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0
    assert message in done.stderr
    assert done.stderr.count("\n") == bool(message)


def test_an_old_python_is_told_in_one_line(root: Path, tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    old = tmp_path / "python-old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    command = ["make", "--no-print-directory", "train", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"{old} is older than 3.11" in done.stderr
    assert not (tmp_path / "venv").exists()
