"""Modules that hold modules, in order (`Sequential`), as list or dictionary, and those that hold parameters."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .. import ops
from ..errors import KindError, RangeError
from ..tensor import Tensor
from .activation import GELU, ReLU, Sigmoid, SiLU, Tanh
from .layers import Linear
from .module import Module, is_plain
from .parameter import Parameter
from .pooling import MaxPool1d, MaxPool2d, MaxPool3d


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

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            self.extend(args)

    def forward(self, input: Any) -> Any:
        """The input through all modules in order. A `Linear` and the activation after it run as one operation, a `ReLU`
        after the max pool behind it, which leaves less to do; with the same bits, unless a hook watches one of them."""
        waiting: Any = None  # a module that the next may join
        for module in self._modules.values():
            if waiting is not None:
                joined = _JOINED[type(waiting)](waiting, module, input)
                input = waiting(input) if joined is None else joined
                waiting = None
                if joined is not None:
                    continue
            if type(module) in _JOINED and is_plain(module):
                waiting = module
            else:
                input = module(input)  # type: ignore[misc]
        return input if waiting is None else waiting(input)


def linear_activation(layer: Linear, input: Any, activation: str) -> Any:
    """A layer and the activation after it."""
    try:
        weight, bias = layer._weight_and_bias()
        return ops.linear_activation(input, weight, bias, activation)
    except ops.ShapeError as error:
        raise ops.ShapeError(f"{layer!r}: {error}") from None


_ACTIVATIONS: dict[type, str] = {ReLU: "relu", Sigmoid: "sigmoid", Tanh: "tanh", SiLU: "silu"}


def _with_activation(layer: Any, module: Any, input: Any) -> Any:
    """What a layer and the activation after it give; None if `module` is none, or is watched."""
    kind = type(module)
    name = _ACTIVATIONS.get(kind, "")
    if kind is GELU:
        name = "gelu_tanh" if module.approximate == "tanh" else "gelu"
    return linear_activation(layer, input, name) if name and is_plain(module) else None


def _after_pool(relu: Any, module: Any, input: Any) -> Any:
    """What a ReLU and the max pool after it give; None if `module` is none, or is watched. max(relu(x)) = relu(max(x)):
    the largest entry is the same, and where it is not positive no gradient passes."""
    if type(module) not in (MaxPool1d, MaxPool2d, MaxPool3d) or module.return_indices or not is_plain(module):
        return None
    return relu(module(input))


#: What may join the module after it.
_JOINED: dict[type, Callable[[Any, Any, Any], Any]] = {Linear: _with_activation, ReLU: _after_pool}


class ModuleList(_Indexed):
    """A list of modules whose parameters are registered; it has no forward of its own."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

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


def _held(value: Any) -> Any:
    """A tensor as a parameter; a parameter and anything else as they are."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


class ParameterList(Module):
    """A list of parameters that are registered; tensors become parameters, other values are kept as they are."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        self.extend(values or ())

    def _name(self, index: Any) -> str:
        index = operator.index(index)
        if not -self._size <= index < self._size:
            raise RangeError(f"ParameterList: index {index} is out of range for {self._size} values")
        return str(index % self._size)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, str(i)) for i in range(self._size))

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return getattr(self, self._name(index))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._name(index), _held(value))

    def __iadd__(self, values: Iterable[Any]) -> Any:
        return self.extend(values)

    def append(self, value: Any) -> Any:
        """Add a value at the end."""
        setattr(self, str(self._size), _held(value))
        self._size += 1
        return self

    def extend(self, values: Iterable[Any]) -> Any:
        """Add several values at the end."""
        for value in values:
            self.append(value)
        return self

    def extra_repr(self) -> str:
        """One line per value."""
        return "\n".join(f"({i}): {_described(value)}" for i, value in enumerate(self))


class ParameterDict(Module):
    """A dictionary of parameters that are registered; tensors become parameters, other values are kept as they are."""

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        self.update(parameters or {})

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, key, _held(value))
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or `default`."""
        return getattr(self, key) if key in self._keys else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key, which is set to `default` first if it is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, parameters: Any) -> None:
        """Add or replace values: of (key, value) pairs, or of a mapping, a plain dictionary sorted as PyTorch does."""
        items = list(parameters.items() if hasattr(parameters, "items") else parameters)
        if isinstance(parameters, Mapping) and not isinstance(parameters, OrderedDict):
            items.sort(key=lambda item: item[0])
        for key, value in items:
            self[key] = value

    def pop(self, key: str) -> Any:
        """Take a value out and return it."""
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Take all values out."""
        for key in list(self._keys):
            del self[key]

    def keys(self) -> Any:
        """The keys."""
        return self._keys.keys()

    def values(self) -> Any:
        """The values."""
        return [self[key] for key in self._keys]

    def items(self) -> Any:
        """(key, value)."""
        return [(key, self[key]) for key in self._keys]

    def extra_repr(self) -> str:
        """One line per value."""
        return "\n".join(f"({key}): {_described(value)}" for key, value in self.items())


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    sizes = "x".join(map(str, value.shape))
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    return f"{kind} containing: [{str(value.dtype).removeprefix('torch.')} of size {sizes}]"


class DataParallel(Module):
    """The module itself, under the name `module`, as PyTorch's does where there is no device to share work with."""

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module, self.dim = module, dim
        self.device_ids: list[int] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module gives."""
        return self.module(*inputs, **kwargs)
