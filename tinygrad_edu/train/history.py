"""`History`: one row of numbers per finished epoch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .checkpoint import write_atomically


class History:
    """What `fit` returns: `history.rows` is a list of dicts, `history["val_loss"]` one column.

    `stopped` says why training ended before its last epoch (None if it did not). Rows hold nothing that depends on
    the clock, so two equal runs have equal rows.
    """

    def __init__(self, rows: Sequence[dict[str, Any]] = (), stopped: str | None = None) -> None:
        self.rows: list[dict[str, Any]] = [dict(row) for row in rows]
        self.stopped = stopped

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.rows[0]) if self.rows else []

    def __getitem__(self, column: str) -> list[Any]:
        if self.rows and column not in self.rows[0]:
            raise KeyError(f"no column {column!r}; there are {', '.join(self.columns)}")
        return [row[column] for row in self.rows]

    def to_dict(self) -> dict[str, list[Any]]:
        """Column name → values."""
        return {column: self[column] for column in self.columns}

    def csv_text(self) -> str:
        """The rows as CSV; floats in the shortest form that reads back as the same bits."""
        import csv
        import io

        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        if self.rows:
            writer.writeheader()
            writer.writerows(self.rows)
        return text.getvalue()

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows to a CSV file, atomically."""
        write_atomically(path, self.csv_text().encode())

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> History:
        """Read what `to_csv` wrote."""
        import csv

        with open(path, newline="", encoding="utf-8") as file:
            return cls(
                [{k: int(v) if k == "epoch" else float(v) for k, v in row.items()} for row in csv.DictReader(file)]
            )

    def __repr__(self) -> str:
        last = ", ".join(f"{k} {v:.4g}" for k, v in self.rows[-1].items() if k != "epoch") if self.rows else "empty"
        return f"History({len(self)} epochs; last: {last})"
