"""What a hyperparameter may be: a list of values, or a range to draw from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..random import Generator


@dataclass(frozen=True)
class Uniform:
    """Any number from `low` to `high`; on a logarithmic scale with `log`."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"Uniform({self.low}, {self.high}): finite bounds are wanted, the lower one first")
        if self.log and self.low <= 0:
            raise ValueError(f"Uniform({self.low}, {self.high}, log=True): a logarithmic scale begins above 0")

    def at(self, u: float) -> float:
        """The value at the share `u` of the range, 0 ≤ u < 1."""
        if self.log:
            return math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))
        return self.low + u * (self.high - self.low)


@dataclass(frozen=True)
class Integers:
    """Any whole number from `low` to `high`, both included; on a logarithmic scale with `log`."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"Integers({self.low}, {self.high}): the lower bound comes first")
        if self.log and self.low < 1:
            raise ValueError(f"Integers({self.low}, {self.high}, log=True): a logarithmic scale begins at 1")

    def at(self, u: float) -> int:
        """The value at the share `u` of the range."""
        if self.log:
            return min(
                self.high, int(math.exp(math.log(self.low) + u * (math.log(self.high + 1) - math.log(self.low))))
            )
        return min(self.high, self.low + int(u * (self.high - self.low + 1)))


Space = Mapping[str, Any]  # name → Uniform, Integers, or a sequence of values


def all_settings(grid: Space) -> list[dict[str, Any]]:
    """Every combination of the listed values, the last name varying fastest. ValueError for ranges and empty lists."""
    for name, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise ValueError(f"a grid lists values: {name} is {values!r}; give a list, or search at random")
        if not values:
            raise ValueError(f"a grid needs at least one value of {name}")
    if not grid:
        raise ValueError("the grid is empty: name at least one hyperparameter")
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def random_settings(space: Space, n: int, seed: int) -> list[dict[str, Any]]:
    """`n` settings drawn from the space, the same for the same seed. Bergstra & Bengio 2012."""
    if n < 1:
        raise ValueError(f"a search needs at least one setting; n is {n}")
    generator = Generator(seed)
    settings = []
    for _ in range(n):
        shares = generator.uniform((len(space),), 0.0, 1.0, "float64").tolist()
        settings.append({name: value_at(name, kind, u) for (name, kind), u in zip(space.items(), shares, strict=True)})
    return settings


def value_at(name: str, kind: Any, u: float) -> Any:
    """The value of one hyperparameter at the share `u`."""
    if isinstance(kind, Uniform | Integers):
        return kind.at(u)
    if isinstance(kind, str) or not isinstance(kind, Sequence) or not kind:
        raise ValueError(f"the space of {name} is {kind!r}; give Uniform(…), Integers(…) or a list of values")
    return kind[min(len(kind) - 1, int(u * len(kind)))]
