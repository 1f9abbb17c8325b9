"""Modules that hold modules: `Sequential`, `ModuleList`, `ModuleDict`."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .. import ops
from ..errors import KindError, RangeError
from .activation import GELU, ReLU, Sigmoid, SiLU, Tanh
from .hooks import GLOBAL
from .layers import Linear
from .module import Module


class _Indexed(Module):
    """Modules under the names "0", "1", …, reached by position."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._modules.values()))

    def _name(self, index: Any) -> str:
        names, index = list(self._modules), operator.index(index)
        if not -len(names) <= index < len(names):
            raise RangeError(f"{type(self).__name__}: index {index} is out of range for {len(names)} modules")
        return names[index]

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(self._selected(list(self._modules.items())[index]))  # type: ignore[call-arg]
        return self._modules[self._name(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name(index)]
        self._renumber([(name, module) for name, module in self._modules.items() if name not in names])

    def _renumber(self, items: list[tuple[str, Any]]) -> None:
        """Hold these modules; those named by their position are renamed to the new one."""
        named = {name if not name.isdecimal() else str(i): module for i, (name, module) in enumerate(items)}
        self._modules.clear()
        self._modules.update(named)

    @staticmethod
    def _selected(items: list[tuple[str, Any]]) -> Any:
        """What the constructor takes to make a container of these modules."""
        return dict(items)

    def insert(self, index: int, module: Module) -> Any:
        """Put a module before position `index`; those after it move up."""
        if not isinstance(module, Module):
            raise KindError(f"insert: expected a Module, got {type(module).__name__}")
        items = list(self._modules.items())
        items.insert(index, ("0", module))
        self._renumber(items)
        return self

    def append(self, module: Module) -> Any:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add several modules at the end."""
        for module in modules:
            self.append(module)
        return self


class Sequential(_Indexed):
    """Modules applied one after the other: `Sequential(a, b)` or `Sequential(OrderedDict(name=module, …))`."""

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    def forward(self, input: Any) -> Any:
        """The input through all modules in order. A `Linear` and the activation after it run as one operation, with the
        same bits as two, unless a hook watches one of them."""
        waiting: Any = None  # a Linear that the next module may join
        for module in self._modules.values():
            if waiting is not None:
                joined = _joined(module)
                input = linear_activation(waiting, input, joined) if joined else waiting(input)
                waiting = None
                if joined:
                    continue
            if type(module) is Linear and not watched(module):
                waiting = module
            else:
                input = module(input)  # type: ignore[misc]
        return input if waiting is None else waiting(input)


def linear_activation(layer: Linear, input: Any, activation: str) -> Any:
    """A layer and the activation after it."""
    try:
        return ops.linear_activation(input, layer.weight, layer.bias, activation)
    except ops.ShapeError as error:
        raise ops.ShapeError(f"{layer!r}: {error}") from None


_ACTIVATIONS: dict[type, str] = {ReLU: "relu", Sigmoid: "sigmoid", Tanh: "tanh", SiLU: "silu"}


def _joined(module: Any) -> str:
    """The name that `ops.linear_activation` has for this module; empty if it has none or the module is watched."""
    name = _ACTIVATIONS.get(type(module), "")
    if type(module) is GELU:
        name = "gelu_tanh" if module.approximate == "tanh" else "gelu"
    return "" if name and watched(module) else name


def watched(module: Any) -> bool:
    """Does a hook wait for this module's call, or has its forward been replaced?"""
    own = vars(module)
    return "forward" in own or any(hooks or own.get(f"_{kind}_hooks") for kind, hooks in GLOBAL.items())


class ModuleList(_Indexed):
    """A list of modules whose parameters are registered; it has no forward of its own."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    @staticmethod
    def _selected(items: list[tuple[str, Any]]) -> Any:
        return [module for _, module in items]

    def __repr__(self) -> str:
        if not self._modules:
            return "ModuleList()"
        lines, texts, start = [], [repr(module).replace("\n", "\n  ") for module in self], 0
        for i, text in enumerate(texts, 1):  # runs of equal modules are printed once, as PyTorch does
            if i == len(texts) or texts[i] != text:
                name, times = (f"{start}-{i - 1}", f"{i - start} x ") if i - start > 1 else (str(start), "")
                lines.append(f"  ({name}): {times}{text}")
                start = i
        return "\n".join(["ModuleList(", *lines, ")"])


class ModuleDict(Module):
    """A dictionary of modules whose parameters are registered; it has no forward of its own."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self.add_module(name, module)

    def __getitem__(self, name: str) -> Any:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add or replace modules."""
        for name, module in modules.items():
            self[name] = module

    def pop(self, name: str) -> Any:
        """Take a module out and return it."""
        return self._modules.pop(name)

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()

    def keys(self) -> Any:
        """The names."""
        return self._modules.keys()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def items(self) -> Any:
        """(name, module)."""
        return self._modules.items()
