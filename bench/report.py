"""What was measured, as Markdown and as a picture. Rows that we lose are marked, and come first in the summary."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .cases.kernels import GOALS
from .measure import geometric_mean

Row = dict[str, Any]
ROW_FLOOR = {"matmul": 0.85}  # no size of these families below


def time(seconds: float) -> str:
    """Seconds for people, three digits."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def ratio(row: Row) -> str:
    """× PyTorch, marked where we lose."""
    return f"{row['ratio']:.2f}" + (" ▼" if row["ratio"] < 1 else "")


def table(head: str, lines: Iterable[str]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    columns = head.count("|") + 1
    return "\n".join([f"| {head} |", "|---|" + "---:|" * (columns - 1), *[f"| {line} |" for line in lines]])


def timed(rows: list[Row]) -> str:
    """Rows that have times of both engines."""
    lines = []
    for row in rows:
        if row["status"] != "measured":
            lines.append(f"{row['name']} | | | missing here: {row['reason']} |")
            continue
        seconds = row["seconds"]
        limit = f"{100 * row['of_limit']:.0f} %, {row['bound']}" if "of_limit" in row else ""
        spread = (seconds["tinygrad_edu"]["q3"] - seconds["tinygrad_edu"]["q1"]) / seconds["tinygrad_edu"]["median"]
        others = "".join(f", {n} {time(s['median'])}" for n, s in seconds.items() if n not in ("tinygrad_edu", "torch"))
        ours = f"{time(seconds['tinygrad_edu']['median'])} ± {50 * spread:.0f} %"
        lines.append(f"{row['name']} | {time(seconds['torch']['median'])}{others} | {ours} | {ratio(row)} | {limit}")
    return table("| ".join(["", "PyTorch ", "ours ", "× PyTorch ", "of the limit"]), lines)


def families(rows: list[Row]) -> str:
    """Each family against its goal: geometric mean, and its worst size."""
    lines = []
    for family in dict.fromkeys(row["family"] for row in rows):
        some = [row for row in rows if row["family"] == family and "ratio" in row]
        if not some:
            continue
        mean, worst = geometric_mean(row["ratio"] for row in some), min(some, key=lambda row: row["ratio"])
        goal, floor = GOALS.get(family), ROW_FLOOR.get(family)
        kept = (goal is None or mean >= goal) and (floor is None or worst["ratio"] >= floor)
        wanted = "" if goal is None else f"≥ {goal:g}" + (f", each ≥ {floor}" if floor else "")
        verdict = "" if goal is None else "reached" if kept else "**missed**"
        lines.append(f"{family} | {mean:.2f} | {worst['ratio']:.2f} ({worst['name']}) | {wanted} | {verdict}")
    return table("family | geometric mean, × PyTorch | worst | goal | ", lines)


def goals(rows: list[Row]) -> str:
    """The training steps, each against its goal, and the ratio if all arithmetic ran at the machine's peak."""
    lines = []
    for row in rows:
        seconds = row["seconds"]
        verdict = "reached" if row["ratio"] >= row["goal"] else "**missed**"
        theirs, ours = (time(seconds[name]["median"]) for name in ("torch", "tinygrad_edu"))
        share = row["of_limit"]
        at_peak = f"{row['ratio'] / share:.2f}" if share >= 0.1 else "–"  # arithmetic is not what takes its time
        lines.append(f"{row['name']} | {theirs} | {ours} | {ratio(row)} | ≥ {row['goal']:g}, {verdict} | "
                     f"{100 * share:.0f} % | {at_peak}")  # fmt: skip
    return table("training step | PyTorch | ours | × PyTorch | goal | of the peak | × PyTorch at the peak", lines)


def memory(rows: list[Row]) -> str:
    """Peak memory of the steps."""
    lines = []
    for row in rows:
        ours, theirs = row["bytes"]["tinygrad_edu"], row["bytes"]["torch"]
        megabytes = [f"{b / 1e6:.0f} MB" for b in (theirs["peak"], ours["peak"], theirs["peak"] - theirs["import"],
                                                   ours["peak"] - ours["import"])]  # fmt: skip
        lines.append(f"{row['name']} | {' | '.join(megabytes)}")
    return table("training step | PyTorch | ours | PyTorch, beyond the import | ours, beyond the import", lines)


def ladder(rows: list[Row]) -> str:
    """Both ladders, a table each."""
    parts = []
    for family in dict.fromkeys(row["family"] for row in rows):
        lines = [
            f"{row['name']} | {row['idea']} | {time(row['seconds']['median'])} | {row['gflops']:.1f} | "
            f"{100 * row['of_peak']:.1f} % | {row['ratio']:.2f}"
            for row in rows
            if row["family"] == family
        ]
        parts.append(f"{family}\n\n" + table("step | idea | time | GFLOP/s | of the peak | × PyTorch", lines))
    return "\n\n".join(parts)


PARTS = {"kernels": timed, "steps": goals, "overhead": timed, "memory": memory, "ladder": ladder}


def machine(report: dict[str, Any]) -> str:
    """One sentence on where and how it was measured."""
    limits = report["limits"]
    unit = f", {limits['unit'] / 1e9:.0f} on the matrix unit," if limits.get("unit") else ""
    return (
        f"{report['processor']}, {report['instruction_set']} kernels, {report['threads']} thread(s); PyTorch "
        f"{report['torch']}, NumPy {report['numpy']}, Python {report['python']}, {report['date']}. Measured limits: "
        f"{limits['flops'] / 1e9:.0f} GFLOP/s{unit} and {limits['bandwidth'] / 1e9:.1f} GB/s (copied: read, written)."
    )


def markdown(report: dict[str, Any]) -> str:
    """The whole report."""
    text = [machine(report)]
    for part, rows in report["parts"].items():
        text.append(f"## {part.capitalize()}")
        if part == "kernels":
            text.append(families(rows))
            for family in dict.fromkeys(row["family"] for row in rows):
                text.append(f"### {family}\n\n" + timed([row for row in rows if row["family"] == family]))
        else:
            text.append(PARTS[part](rows))
    return "\n\n".join(text) + "\n"


def picture(report: dict[str, Any], path: Path) -> None:
    """Bars of how many times faster than PyTorch: the steps, and the families of kernels."""
    import matplotlib
    from matplotlib.figure import Figure

    bars = [(row["name"], row["ratio"]) for row in report["parts"].get("steps", [])]
    kernels = [row for row in report["parts"].get("kernels", []) if "ratio" in row]
    for family in dict.fromkeys(row["family"] for row in kernels):
        bars.append((f"{family} (kernels)", geometric_mean(r["ratio"] for r in kernels if r["family"] == family)))
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8.5, 0.6 + 0.27 * len(bars)), layout="constrained")
        axes = figure.add_subplot()
        names, values = [name for name, _ in bars], [value for _, value in bars]
        places = range(len(bars), 0, -1)
        axes.barh(places, values, color=["#1f6fb4" if v >= 1 else "#d1622b" for v in values], height=0.7)
        for place, value in zip(places, values, strict=True):
            axes.text(value * 1.03, place, f"{value:.2g}×", va="center", fontsize=8)
        axes.axvline(1, color="#222222", linewidth=0.8)
        axes.set_yticks(list(places), names)
        axes.set_xscale("log")
        axes.set_xlim(min(0.5, 0.9 * min(values)), 1.6 * max(values))
        axes.set_xticks([0.5, 1, 2, 5, 10], ["½", "1", "2", "5", "10"])
        axes.set_xticks([], minor=True)
        axes.set_xlabel(f"times as fast as PyTorch eager, {report['threads']} thread(s), float32")
        figure.savefig(path, dpi=130, facecolor="white")
