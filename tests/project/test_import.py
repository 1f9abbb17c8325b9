"""What `import tinygrad_edu` loads and shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

import tinygrad_edu as tg

# Prints the top-level names of the modules that importing `argv[1]` adds, those of the standard library left out.
PROBE = """
import json, sys
before = set(sys.modules)
__import__(sys.argv[1])
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(n for n in names if n not in sys.stdlib_module_names)))
"""


def loaded(module: str, **environment: str) -> set[str]:
    """Non-standard packages that an import of `module` loads in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, module],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("environment", [{}, {"TGE_PURE": "1"}, {"TGE_KERNELS": "reference"}])
def test_import_loads_numpy_and_ourselves_only(environment: dict[str, str]) -> None:
    extra = loaded("tinygrad_edu", **environment) - loaded("numpy")
    # What Cython compiled brings two small modules of Cython's own, made in memory.
    assert {name for name in extra if not re.fullmatch(r"cython_runtime|_cython_[\d_a-z]+", name)} == {"tinygrad_edu"}


def test_the_probe_sees_more_than_numpy() -> None:
    assert "click" in loaded("tinygrad_edu.cli.commands")


def test_pure_runs_python_sources() -> None:
    code = (
        "import sys, tinygrad_edu\n"
        "for name in ('autograd.engine', 'autograd.function', 'tensor'):\n"
        "    print(sys.modules['tinygrad_edu.' + name].__file__)"
    )
    environment = {**os.environ, "TGE_PURE": "1"}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    files = out.stdout.split()
    assert len(files) == 3
    assert all(name.endswith(".py") for name in files)


def test_wrong_kernels_variable_is_refused() -> None:
    environment = {**os.environ, "TGE_KERNELS": "fast"}
    done = subprocess.run(
        [sys.executable, "-c", "import tinygrad_edu"], env=environment, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert 'TGE_KERNELS is "fast": it can be "native" or "reference"' in done.stderr


def test_version_is_that_of_the_project_file(project: dict[str, Any]) -> None:
    assert tg.__version__ == project["project"]["version"]


def test_a_mistyped_name_raises() -> None:
    with pytest.raises(AttributeError):
        tg.tenser  # type: ignore[attr-defined]
