"""The names that come with the package, and how a name becomes examples: its beginning, and the character after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import InputError, RangeError
from .embedded import read_embedded

END = "."  # what stands before the first character of a name and after its last one: number 0
ALPHABET = END + "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Names:
    """Names of the US census of 1990 in small letters a to z, the most frequent first, and their data card."""

    female: tuple[str, ...]
    male: tuple[str, ...]
    surnames: tuple[str, ...]
    card: str

    @cached_property
    def first(self) -> tuple[str, ...]:
        """All 5,163 first names, each once, in the order of the alphabet."""
        return tuple(sorted({*self.female, *self.male}))

    def __repr__(self) -> str:
        return f"Names({len(self.female)} female, {len(self.male)} male, {len(self.surnames)} surnames)"


def load_names() -> Names:
    """4,275 female and 1,219 male first names, and the 20,000 most frequent surnames.

    Source: US Census Bureau 1990, public domain; `.card` tells the rest. ValueError if the file is damaged.
    """
    text, card = read_embedded("names")
    rows = [row.split(",") for row in text.splitlines()[1:]]
    female, male, surnames = (tuple(name for kind, name in rows if kind == of) for of in ("female", "male", "surname"))
    return Names(female, male, surnames, card)


def next_characters(names: Iterable[str], context: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Every place in every name as an example: X (n, context) int64, the characters before it; y (n,) int64, it itself.

    Characters are numbers in `ALPHABET`: 0 is the end of a name, and fills the context before its first letter. A name
    of k letters gives k + 1 examples. ValueError for a character that the alphabet does not have.
    """
    if context < 1:
        raise InputError(f"next_characters: context is the number of characters before, at least 1, not {context}")
    known = {character: number for number, character in enumerate(ALPHABET)}
    X: list[list[int]] = []
    y: list[int] = []
    for name in names:
        strange = sorted(set(name) - set(ALPHABET[1:]))
        if strange:
            raise InputError(f"next_characters: {name!r} has {strange}; a name is written in small letters a to z")
        numbers = [0] * context + [known[character] for character in name + END]
        for place in range(context, len(numbers)):
            X.append(numbers[place - context : place])
            y.append(numbers[place])
    return np.array(X, dtype=np.int64).reshape(-1, context), np.array(y, dtype=np.int64)


def spell(tokens: np.ndarray) -> list[str]:
    """Rows of numbers in `ALPHABET` as names: each up to its first end. RangeError for a number that is none."""
    rows = np.asarray(tokens)
    if rows.ndim != 2 or (rows.size and not 0 <= rows.min() <= rows.max() < len(ALPHABET)):
        raise RangeError(f"spell: rows (N, T) of numbers from 0 to {len(ALPHABET) - 1} are wanted, not {rows!r}")
    return ["".join(ALPHABET[number] for number in row).split(END)[0] for row in rows]
