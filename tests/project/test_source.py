"""Promises about the source itself: what it never does, how it is layered, documented and sized."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tinygrad_edu
from tinygrad_edu.errors import KINDS
from tinygrad_edu.kernels.protocol import Kernels

PACKAGE = Path(__file__).resolve().parents[2] / "tinygrad_edu"
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "__pycache__" not in p.parts)

# Files with more than 500 lines, each with its reason.
LONG = {
    "tensor.py": "every method of a tensor in one list: that is what it is read for",
    "ops/elementwise.py": "one formula and its derivative per function; splitting it would only hide some",
    "csrc/bindings/array.cpp": "views, broadcasting and results of every kernel's arrays",
}

# A file that may contain any of these could run code that it was given.
FORBIDDEN_IMPORTS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
HARMLESS = {"joblib": {"Parallel", "delayed", "parallel_config"}}  # workers of our own; nothing is read from a file
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def violations(source: str) -> list[str]:
    """The ways in which a Python file could run code that it was given."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.partition(".")[0] in FORBIDDEN_IMPORTS]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in FORBIDDEN_IMPORTS:
            if {a.name for a in node.names} - HARMLESS.get(str(node.module), set()):
                found.append(str(node.module))
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
                found.append(f"{node.func.id}()")
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                ):
                    found.append("allow_pickle")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_file_can_run_code_it_was_given(path: Path) -> None:
    assert violations(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import os, marshal",
        "eval('1')",
        "from joblib import Parallel, load",
        "np.load(f, allow_pickle=True)",
    ],
)
def test_the_gate_sees_what_it_looks_for(source: str) -> None:
    assert violations(source)


def test_library_code_does_not_print() -> None:
    for path in FILES:
        if path.is_relative_to(PACKAGE / "cli") or path.is_relative_to(PACKAGE / "lessons"):
            continue
        calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        assert not any(isinstance(c.func, ast.Name) and c.func.id == "print" for c in calls), path


def test_imports_go_down_the_floors_only(root: Path) -> None:
    pytest.importorskip("importlinter")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*command, "--no-cache"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_long_files_have_a_reason(root: Path) -> None:
    found = {}
    for path in [*FILES, *(p for p in (root / "csrc").rglob("*") if p.suffix in (".cpp", ".h"))]:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        name = str(path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else root))
        if lines > 500 and name not in LONG:
            found[name] = lines
    assert not found


def modules() -> Iterator[ModuleType]:
    """Every module of the package but the lessons: to import one is to run it, and tests/lessons does."""
    yield tinygrad_edu
    for info in pkgutil.walk_packages(tinygrad_edu.__path__, "tinygrad_edu."):
        if not info.name.rpartition(".")[2].startswith(("_", "lesson_")):
            try:
                module = importlib.import_module(info.name)
            except (
                ImportError
            ) as error:  # an extra that is not installed: said by Python, or by us with the way to get it
                missing = error.__cause__ or error
                if not isinstance(missing, ModuleNotFoundError) or (missing.name or "").startswith("tinygrad_edu"):
                    raise
                continue
            yield module


def one_liners(module: ModuleType) -> set[str]:
    """Methods written in one line, `def exp(self): return ops.exp(self)`: what they name is documented there."""
    path = Path(str(module.__file__))
    path = path if path.suffix == ".py" else path.parent / (path.name.partition(".")[0] + ".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    return {n.name for n in functions if n.body[0].lineno == n.lineno}


def undocumented(module: ModuleType) -> list[str]:
    """Public names that the module defines and that have no docstring of their own or inherited."""
    short = one_liners(module)
    found = [] if module.__doc__ else [module.__name__]
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        if not inspect.getdoc(value) and not in_protocol(module, name) and name not in short:
            found.append(f"{module.__name__}.{name}")
        if inspect.isclass(value):
            found += [f"{module.__name__}.{name}.{m}" for m in undocumented_methods(value) if m not in short]
    return found


def in_protocol(module: ModuleType, name: str) -> bool:
    """Whether it is a kernel: these are documented once for all backends."""
    return module.__name__.startswith("tinygrad_edu.kernels") and bool(inspect.getdoc(getattr(Kernels, name, None)))


def undocumented_methods(cls: Any) -> list[str]:
    """Public methods and properties that a class brings in without a docstring; overriding one needs none."""
    new = []
    for name, value in vars(cls).items():
        if name.startswith("_") or any(name in vars(base) for base in cls.__mro__[1:]):
            continue
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if (
            inspect.isroutine(function)
            and not inspect.ismemberdescriptor(function)
            and getattr(function, "__name__", "") == name
        ):
            new.append(name)
    return [name for name in new if not inspect.getdoc(getattr(cls, name))]


def test_every_public_name_is_documented() -> None:
    assert [name for module in modules() for name in undocumented(module)] == []


def test_sizes_are_told(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(root / "tools" / "sizes.py")], capture_output=True, text=True, check=True
    )
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    assert {"tinygrad_edu/autograd", "tinygrad_edu/ops", "tinygrad_edu/tensor.py", "csrc/cpu"} <= rows.keys()
    files, lines, code = (int(n) for n in rows["tinygrad_edu/autograd"])
    assert files == len([p for p in FILES if p.parent.name == "autograd"])
    assert 0 < code < lines


def test_the_engine_raises_errors_of_its_own_family() -> None:
    """Elsewhere too, it is what a new error should be: `from ..errors import InputError, KindError, …`."""
    files = [*(PACKAGE / "autograd").glob("*.py"), PACKAGE / "ops/_common.py", PACKAGE / "ops/indexing.py"]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
                assert node.exc.func.id not in {kind.__name__ for kind in KINDS}, (file.name, node.lineno)
    assert all(issubclass(own, kind) and issubclass(own, tinygrad_edu.TinygradError) for kind, own in KINDS.items())
