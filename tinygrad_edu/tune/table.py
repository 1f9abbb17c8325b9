"""Results as text and as a heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def number(value: Any) -> str:
    """A value in a table: four digits of a float, everything else as it is."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)


def text_table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of equal keys as aligned columns under their names."""
    if not rows:
        return "(nothing)"
    names = list(rows[0])
    cells = [[number(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    lines = ["  ".join(name.rjust(w) for name, w in zip(names, widths, strict=True))]
    lines += ["  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(lines)


def heat_map(trials: Sequence[Any], x: str, y: str, score: str, maximise: bool, path: Any = None) -> Any:
    """A matplotlib figure: `x` across, `y` up, in each cell the best score of the trials with these two values."""
    from matplotlib.figure import Figure

    for name in (x, y):
        if not trials or name not in trials[0].params:
            known = ", ".join(trials[0].params) if trials else "no trials"
            raise ValueError(f"heat_map: no hyperparameter {name!r}; there is {known}")
    across, up = (sorted({t.params[name] for t in trials}, key=lambda v: (str(type(v)), v)) for name in (x, y))
    grid = np.full((len(up), len(across)), np.nan)
    for t in trials:
        i, j = up.index(t.params[y]), across.index(t.params[x])
        if math.isfinite(t.score) and (math.isnan(grid[i, j]) or (t.score > grid[i, j]) == maximise):
            grid[i, j] = t.score
    figure = Figure(figsize=(1.6 + 0.9 * len(across), 1.4 + 0.55 * len(up)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(grid, origin="lower", cmap="viridis" if maximise else "viridis_r", aspect="auto")
    axes.set_xticks(range(len(across)), [number(v) for v in across])
    axes.set_yticks(range(len(up)), [number(v) for v in up])
    axes.set(xlabel=x, ylabel=y)
    axes.set_title(f"{score} on dev", loc="left")
    best = np.nanmax(grid) if maximise else np.nanmin(grid)
    low, high = np.nanmin(grid), np.nanmax(grid)
    for (i, j), value in np.ndenumerate(grid):
        light = math.isfinite(value) and high > low and ((value - low) / (high - low) > 0.55) == maximise
        text = "diverged" if math.isnan(value) else f"{value:.3f}"
        axes.text(j, i, text, ha="center", va="center", color="black" if light or math.isnan(value) else "white",
                  fontsize=9, fontweight="bold" if value == best else "normal")  # fmt: skip
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, shrink=0.9)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
