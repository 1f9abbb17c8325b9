"""The package without its compiled parts: it works, on NumPy; and a compiled part that is broken is heard of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_edu

PROGRAM = """
import tinygrad_edu as tg
x = tg.tensor([[1.0, 2.0]], requires_grad=True)
tg.nn.functional.linear(x, tg.ones(3, 2)).sum().backward()
print(tg.kernels.isa(), x.grad.tolist())
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with the package's Python files alone."""
    here = Path(tinygrad_edu.__file__).parent
    shutil.copytree(here, tmp_path / "tinygrad_edu", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    return tmp_path


def run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TGE_")}
    environment |= {"PYTHONPATH": str(folder), **variables}
    return subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, cwd=folder)


def test_it_runs_on_numpy(sources: Path) -> None:
    done = run(sources)
    assert done.stdout == "numpy [[3.0, 3.0]]\n", done.stderr
    assert run(sources, TGE_KERNELS="reference").stdout == done.stdout


def test_insisting_on_compiled_kernels_says_how_to_get_them(sources: Path) -> None:
    done = run(sources, TGE_KERNELS="native")
    assert done.returncode == 1
    assert "not built; install g++" in done.stderr
    assert 'it can be "native" or "reference"' in run(sources, TGE_KERNELS="numpy").stderr


def test_a_broken_compiled_part_does_not_pass_for_a_missing_one(sources: Path) -> None:
    suffix = next(s for s in __import__("importlib.machinery").machinery.EXTENSION_SUFFIXES)
    (sources / "tinygrad_edu/kernels" / f"_native{suffix}").write_bytes(b"not a library")
    done = run(sources)
    assert done.returncode == 1
    assert "ImportError" in done.stderr
