"""`HParams`: everything a person decides about a run. Parameters are what training finds; these are not."""

from __future__ import annotations

import dataclasses
import json
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InputError
from .checkpoint import write_atomically

H = TypeVar("H", bound="HParams")


@dataclasses.dataclass(frozen=True)
class HParams:
    """The base of a frozen dataclass of hyperparameters.

    >>> @dataclass(frozen=True)
    ... class Mine(HParams):
    ...     lr: float = 1e-3
    ...     hidden: tuple[int, ...] = (64,)
    >>> Mine(lr=0.1).with_(hidden=(32, 32)).as_dict()
    {'lr': 0.1, 'hidden': (32, 32)}

    Values are checked against the annotations when they come from outside (`from_dict`, `load`); ValueError names the
    field. Assigning to a field raises, as for every frozen dataclass.
    """

    def as_dict(self) -> dict[str, Any]:
        """Field name → value, in the order of the fields."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def with_(self: H, **changes: Any) -> H:
        """The same with some fields changed, checked."""
        return type(self).from_dict({**self.as_dict(), **changes})

    @classmethod
    def from_dict(cls: type[H], values: Mapping[str, Any]) -> H:
        """From names and values. Raises ValueError for an unknown or missing name and a value of another type."""
        fields = {f.name: f for f in dataclasses.fields(cls)}
        unknown = [name for name in values if name not in fields]
        if unknown:
            raise InputError(f"{cls.__name__} has no {', '.join(unknown)}; it has {', '.join(fields)}")
        hints = typing.get_type_hints(cls)
        converted = {name: _as_type(value, hints[name], f"{cls.__name__}.{name}") for name, value in values.items()}
        try:
            return cls(**converted)
        except TypeError as error:
            raise InputError(f"{cls.__name__}: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON, atomically."""
        write_atomically(path, (json.dumps(self.as_dict(), indent=2) + "\n").encode())

    @classmethod
    def load(cls: type[H], path: str | os.PathLike[str]) -> H:
        """Read what `save` wrote. OSError if it cannot be read, ValueError if it is not that."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: not JSON: {error}") from None
        if not isinstance(values, dict):
            raise InputError(f"{path}: holds a {type(values).__name__}, not hyperparameters")
        return cls.from_dict(values)


def _as_type(value: Any, hint: Any, where: str) -> Any:
    """`value` as what the annotation says: whole numbers are floats too, lists (of JSON) tuples."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _as_type(value, option, where)
            except ValueError:
                continue
    elif origin is tuple:
        if isinstance(value, tuple | list):
            inner = arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else None
            kinds = [inner] * len(value) if inner is not None else list(arguments)
            if len(kinds) == len(value):
                return tuple([_as_type(v, k, where) for v, k in zip(value, kinds, strict=True)])
    elif hint is type(None):
        if value is None:
            return None
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif origin in (dict, list) or hint in (dict, list):
        if isinstance(value, origin or hint):
            return value
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    name = getattr(hint, "__name__", str(hint)) if origin is None else str(hint)
    raise InputError(f"{where} is {value!r}; it must be {name}")
