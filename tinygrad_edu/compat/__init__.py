"""`as_torch()`: for a while, `import torch` means this library, so that a program written for PyTorch runs unmodified.

    with tg.compat.as_torch():
        import program            # its `import torch`, `from torch import nn`, … find tinygrad_edu

or `python -m tinygrad_edu.compat program.py arguments…`. Explicit and reversible: leaving the block (or `undo()`) puts
back what was in `sys.modules` before. Names we do not have raise an error that says so and names the nearest one.
"""

from __future__ import annotations

import difflib
import sys
import types
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

import tinygrad_edu

from ..errors import StateError
from ..nn.modules import THEMES

# torch's module → ours, as a dotted name below the package.
MODULES = {
    "torch": "",
    "torch.nn": "nn",
    "torch.nn.functional": "nn.functional",
    "torch.nn.init": "nn.init",
    "torch.nn.parameter": "nn.parameter",
    "torch.nn.modules": "nn.modules",
    **{f"torch.nn.modules.{theme}": "nn.modules" for theme in THEMES},
    "torch.nn.parallel": "nn",
    "torch.nn.utils": "nn.utils",
    "torch.nn.utils.rnn": "nn.utils.rnn",
    "torch.optim": "optim",
    "torch.optim.lr_scheduler": "optim.lr_scheduler",
    "torch.optim.optimizer": "optim.optimizer",
    "torch.utils": "utils",
    "torch.utils.data": "utils.data",
    **{f"torch.utils.data.{theme}": "utils.data" for theme in ("dataloader", "dataset", "distributed", "sampler")},
    "torch.utils.checkpoint": "utils.checkpoint",
    "torch.distributions": "distributions",
    **{
        f"torch.distributions.{theme}": "distributions"
        for theme in ("bernoulli", "categorical", "kl", "normal", "uniform")
    },
    "torch.autograd": "autograd",
    "torch.autograd.function": "autograd",
    "torch.autograd.variable": "autograd",
    "torch.autograd.functional": "autograd.functional",
    "torch.func": "func",
    "torch.linalg": "linalg",
    "torch.amp": "amp",
    "torch.backends": "backends",
    "torch.backends.cudnn": "backends.cudnn",
    "torch.cuda": "cuda",
    "torch.cuda.amp": "amp",
    "torch.jit": "jit",
    "torch.random": "random",
}


class Twin(types.ModuleType):
    """A module with torch's name whose names are those of one of ours."""

    def __init__(self, name: str, ours: Any) -> None:
        super().__init__(name, f"tinygrad_edu under the name {name}; see tinygrad_edu.compat")
        self.__dict__["_ours"] = ours
        self.__dict__["__path__"] = []  # it may have modules below it

    def __getattr__(self, name: str) -> Any:
        twin = sys.modules.get(f"{self.__name__}.{name}")
        if isinstance(twin, Twin):
            return twin
        try:
            return getattr(self.__dict__["_ours"], name)
        except AttributeError:
            if name.startswith("__"):
                raise
        close = difflib.get_close_matches(name, dir(self.__dict__["_ours"]), 1)
        hint = f"; the nearest name is {self.__name__}.{close[0]}" if close else ""
        raise AttributeError(f"{self.__name__}.{name}: tinygrad_edu does not have it{hint}")

    def __dir__(self) -> list[str]:
        return dir(self.__dict__["_ours"])


class Missing(MetaPathFinder, Loader):
    """Says of modules below torch that we do not have which one is missing, and stops the search for them."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """ModuleNotFoundError for a module of torch that has no twin; nothing to say about others."""
        if name.partition(".")[0] != "torch":
            return None
        close = difflib.get_close_matches(name, MODULES, 1)
        hint = f"; the nearest module is {close[0]}" if close else ""
        raise ModuleNotFoundError(f"tinygrad_edu has no module {name}{hint}", name=name)


class TorchAlias:
    """The alias in force: a context manager, or `undo()`."""

    def __init__(self, replace: bool = False) -> None:
        present = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torch"}
        if any(isinstance(module, Twin) for module in present.values()):
            raise StateError("as_torch: torch already means tinygrad_edu; undo() that first")
        if present and not replace:
            raise StateError(
                "as_torch: PyTorch itself is imported in this process, and parts of the program may hold it; start the "
                "program anew (python -m tinygrad_edu.compat program.py), or insist with as_torch(replace=True)"
            )
        self._before: dict[str, Any] | None = present
        for name in present:
            del sys.modules[name]
        for name, path in MODULES.items():
            ours = _find(path)
            if ours is not None:
                sys.modules[name] = Twin(name, ours)
        self._finder = Missing()
        sys.meta_path.insert(0, self._finder)

    def undo(self) -> None:
        """Put back what was there before; doing it twice is harmless."""
        if self._before is None:
            return
        sys.meta_path.remove(self._finder)
        for name in [name for name, module in sys.modules.items() if isinstance(module, Twin)]:
            del sys.modules[name]
        sys.modules.update(self._before)
        self._before = None

    def __enter__(self) -> TorchAlias:
        return self

    def __exit__(self, *error: object) -> None:
        self.undo()


def as_torch(replace: bool = False) -> TorchAlias:
    """Let `import torch` (and torch.nn, torch.optim, torch.utils.data, …) mean this library until `undo()`.

    Modules imported meanwhile keep what they have got. RuntimeError where PyTorch itself is imported already, unless
    `replace`: then it is put aside until `undo()`.
    """
    return TorchAlias(replace)


def _find(path: str) -> Any:
    """Our module at a dotted path, or None."""
    found: Any = tinygrad_edu
    for part in path.split(".") if path else []:
        found = getattr(found, part, None)
    return found


def main(arguments: list[str]) -> int:
    """Run a program as `python program.py arguments…` would, with torch meaning this library."""
    import runpy
    from pathlib import Path

    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stderr.write("usage: python -m tinygrad_edu.compat program.py [arguments…]\n")
        return 0 if arguments else 2
    if not Path(arguments[0]).is_file():
        sys.stderr.write(f"tinygrad_edu.compat: there is no program {arguments[0]}\n")
        return 2
    sys.argv, before = arguments, sys.argv
    sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
    try:
        with as_torch():
            runpy.run_path(arguments[0], run_name="__main__")
    finally:
        sys.argv = before
        del sys.path[0]
    return 0
