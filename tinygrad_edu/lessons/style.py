"""One look for every figure: matplotlib settings and the colours that mean something."""

from __future__ import annotations

from typing import Any

INK, GREY, TRAIN, DEV, TEST = "#222222", "#8a8a8a", "#1f6fb4", "#d1622b", "#3c8d40"
COLOURS = (TRAIN, DEV, TEST, "#7b4fa3", "#b8912b", "#4aa3a2")
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": "#e6e6e6",
    "figure.facecolor": "white",
    "savefig.dpi": 140,
}
