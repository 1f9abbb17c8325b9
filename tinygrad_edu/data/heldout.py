"""`HeldOut`: test rows that are read once, and every reading is counted."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import StateError

_REMEDY = (
    "A test part that has been looked at no longer tells how the model does on new rows: choices follow it. "
    "Tune on dev; if you must, open(…, spend=True) (--spend-test-set) and say so in your report"
)


class HeldOutError(StateError):
    """Test rows were asked for where they must not be: by a search, or a second time."""


_closed = 0  # how many searches are running in this process


@contextlib.contextmanager
def held_out_closed() -> Iterator[None]:
    """While it is entered, no test rows can be opened in this process: for code that chooses among settings."""
    global _closed
    _closed += 1
    try:
        yield
    finally:
        _closed -= 1


class _Later:
    """Rows that are prepared when somebody may see them."""

    def __init__(self, make: Callable[[], Any], length: int) -> None:
        self.make = make
        self.length = length

    def __len__(self) -> int:
        return self.length


class HeldOut:
    """The test part of a split. It has a length; its rows come only through `open()`.

    `log`: a JSON file that keeps the list of readings, so that a second process knows of the first.
    """

    def __init__(self, dataset: Any, log: str | os.PathLike[str] | None = None) -> None:
        self._dataset = dataset
        self.log = None if log is None else Path(log)
        self._readings: list[str] = []

    def __len__(self) -> int:
        return len(self._dataset)

    @property
    def indices(self) -> Any:
        """Which rows of the whole data set these are; knowing that reveals nothing."""
        return self._dataset.indices

    @property
    def readings(self) -> list[str]:
        """Why the rows have been read so far, oldest first."""
        if self.log is not None and self.log.exists():
            return [str(reason) for reason in json.loads(self.log.read_text(encoding="utf-8"))["readings"]]
        return list(self._readings)

    def open(self, reason: str, *, spend: bool = False) -> Any:
        """The rows, for `reason`. The first time they are free; HeldOutError the second, unless `spend` is set."""
        readings = self.readings
        if _closed:
            raise HeldOutError(f"a search is running: the test rows stay closed until it has chosen. {_REMEDY}")
        if readings and not spend:
            raise HeldOutError(f"the test rows have been read before, for: {'; '.join(readings)}. {_REMEDY}")
        self._readings = [*readings, reason]
        if self.log is not None:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.log.with_name(f".{self.log.name}.tmp")
            temporary.write_text(json.dumps({"readings": self._readings}, indent=2) + "\n", encoding="utf-8")
            os.replace(temporary, self.log)
        return self._dataset.make() if isinstance(self._dataset, _Later) else self._dataset

    def map(self, function: Callable[[Any], Any], log: str | os.PathLike[str] | None = None) -> HeldOut:
        """The same rows, prepared (scaled as the training rows were) by `function` when they are opened.

        Readings so far are kept.
        """
        inner = self._dataset
        mapped = HeldOut(_Later(lambda: function(inner), len(inner)), log if log is not None else self.log)
        mapped._readings = self._readings
        return mapped

    def __getitem__(self, index: Any) -> Any:
        raise HeldOutError(f"the test rows are held out: open('why') gives them, once. {_REMEDY}")

    def __iter__(self) -> Any:
        return self[0]

    def __repr__(self) -> str:
        return f"HeldOut({len(self)} rows, read {len(self.readings)} times)"


def refuse_held_out(where: str, *data: Any) -> None:
    """HeldOutError if any of `data` is (or contains) a held-out part: for code that makes choices."""
    for part in data:
        inner: Any = part
        while inner is not None:
            if isinstance(inner, HeldOut):
                raise HeldOutError(
                    f"{where} was given held-out test rows; what makes choices gets train and dev. {_REMEDY}"
                )
            inner = getattr(inner, "dataset", None)
