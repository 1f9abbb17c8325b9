"""Times one program under several engines, turn by turn, after a check that all of them compute the same numbers.

A shared machine changes its speed from second to second, so engines are timed in small batches, one after the other and
in alternating order: whatever slows the machine down slows all of them. A batch begins with a call that is not timed:
in a user's program the caches hold what the same library has left there, not what another one has. Reported are the
medians, their ratio, and the median of the ratios of neighbouring batches.
"""

from __future__ import annotations

import gc
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Run = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """A program to time. `make(torch)` is given `tinygrad_edu` or `torch` and returns what is called and timed."""

    family: str
    name: str
    make: Callable[[Any], Run]
    flops: float = 0.0  # of one call
    bytes: float = 0.0  # that one call must read and write at least
    units: int = 1  # operations, nodes … in one call: times are per unit
    goal: float | None = None  # × PyTorch, for a family that has no common goal
    tolerance: float = 1e-4  # relative to the largest number of a result
    results: Callable[[Run], Any] | None = None  # what is compared, if not what one call returns
    others: dict[str, Callable[[], Run]] = field(default_factory=dict)  # library → its program, if it is installed


class WrongResultError(AssertionError):
    """Two engines computed different numbers: a time means nothing then."""


class MissingError(Exception):
    """The library lacks something that the case needs."""


def arrays(result: Any) -> list[np.ndarray]:
    """The numbers of a result: a tensor, or any nesting of them."""
    if result is None:
        return []
    if isinstance(result, list | tuple):
        return [array for part in result for array in arrays(part)]
    if isinstance(result, np.ndarray | float | int):
        return [np.asarray(result)]
    return [np.array(result.detach().numpy() if hasattr(result, "detach") else result)]


def check(name: str, ours: Iterable[np.ndarray], theirs: Iterable[np.ndarray], tolerance: float) -> float:
    """The largest difference relative to the largest number of its array; WrongResultError if beyond `tolerance`."""
    worst = 0.0
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a.shape != b.shape:
            raise WrongResultError(f"{name}: result {i} has shape {a.shape} here and {b.shape} there")
        if not a.size:
            continue
        error = float(np.abs(a.astype(float) - b.astype(float)).max() / max(float(np.abs(b).max()), 1e-3))
        if not error <= tolerance:
            raise WrongResultError(
                f"{name}: result {i} differs by {error:.2g} of its largest number, over {tolerance:g}"
            )
        worst = max(worst, error)
    return worst


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    seconds: float = 1.0  # for one case, all engines together
    batch: float = 0.004  # at least, for one batch of one engine
    rounds: int = 7  # at least
    # Before each batch, so that the other engine's threads sleep; then as long again of calls that are not timed: the
    # system may wake several threads on one processor, and needs some milliseconds to see that another one is idle.
    settle: float = 0.0

    @staticmethod
    def quick() -> Effort:
        """For tests: the machinery, not the figures."""
        return Effort(seconds=0.0, batch=0.0, rounds=2)


def batch_seconds(run: Run, count: int) -> float:
    """Seconds per call over `count` calls. Results are dropped as a user's loop drops them."""
    start = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - start) / count


def interleaved(runs: dict[str, Run], effort: Effort) -> dict[str, list[float]]:
    """Seconds per call of each engine, one entry per round."""
    counts = {}
    for name, run in runs.items():
        batch_seconds(run, 2)  # warm-up: memory, caches, lazily built things
        once = batch_seconds(run, 1)
        if once < effort.batch:
            once = batch_seconds(run, max(1, int(effort.batch / 4 / once)))
        counts[name] = max(1, round(effort.batch / once))
    times: dict[str, list[float]] = {name: [] for name in runs}
    order, start = list(runs), time.perf_counter()
    gc.collect()
    while len(times[order[0]]) < effort.rounds or time.perf_counter() - start < effort.seconds:
        for name in order:
            if effort.settle:
                time.sleep(effort.settle)
                until = time.perf_counter() + effort.settle
                while time.perf_counter() < until:
                    runs[name]()
            runs[name]()
            times[name].append(batch_seconds(runs[name], counts[name]))
        order.reverse()
    return times


def summary(seconds: list[float], units: int) -> dict[str, float]:
    """Median and quartiles, per unit."""
    low, middle, high = np.percentile(seconds, [25, 50, 75]) / units
    return {"median": float(middle), "q1": float(low), "q3": float(high), "min": min(seconds) / units}


def measure(case: Case, engines: dict[str, Any], limits: dict[str, float], effort: Effort) -> dict[str, Any]:
    """One row of a report. `engines`: name → module, ours called "tinygrad_edu"; the first other one is the peer."""
    row: dict[str, Any] = {"family": case.family, "name": case.name, "goal": case.goal, "status": "measured"}
    runs: dict[str, Run] = {}
    for name, module in engines.items():
        try:
            if name == "torch.compile":
                runs[name] = module.compile(case.make(module))
            else:
                runs[name] = case.make(module)
        except (AttributeError, NotImplementedError, MissingError) as error:
            if name != "tinygrad_edu":
                raise
            return {**row, "status": "missing", "reason": str(error).splitlines()[0]}
    for name, program in case.others.items():
        if importlib.util.find_spec(name):
            runs[name] = program()
    results = case.results or (lambda run: run())
    found = {name: arrays(results(run)) for name, run in runs.items()}
    peer = next((name for name in runs if name != "tinygrad_edu"), None)
    if peer is not None:
        row["error"] = max(
            check(f"{case.family} {case.name}, {name}", found["tinygrad_edu"], theirs, case.tolerance)
            for name, theirs in found.items()
            if name != "tinygrad_edu"
        )
    del found
    times = interleaved(runs, effort)
    row["rounds"] = len(times["tinygrad_edu"])
    row["seconds"] = {name: summary(values, case.units) for name, values in times.items()}
    ours = row["seconds"]["tinygrad_edu"]["median"]
    if peer is not None:
        row["ratio"] = row["seconds"][peer]["median"] / ours
        row["paired"] = statistics.median(b / a for a, b in zip(times["tinygrad_edu"], times[peer], strict=True))
    return {**row, **distance(case, ours * case.units, limits)}


def peak(limits: dict[str, float]) -> float:
    """The most multiplications and additions of float32 a second: of the vector units, or of a matrix unit in use."""
    return max(limits["flops"], limits.get("unit", 0.0))


def distance(case: Case, seconds: float, limits: dict[str, float]) -> dict[str, Any]:
    """How far from what the machine can do: the least time that its arithmetic and its memory allow, in percent."""
    compute, memory = case.flops / peak(limits), case.bytes / limits["bandwidth"]
    found: dict[str, Any] = {"flops": case.flops, "bytes": case.bytes}
    if case.flops:
        found["flops_per_second"] = case.flops / seconds
    if compute or memory:
        found["bound"] = "arithmetic" if compute >= memory else "memory"
        found["of_limit"] = max(compute, memory) / seconds
    return found


def geometric_mean(values: Iterable[float]) -> float:
    """exp of the mean logarithm."""
    return float(np.exp(np.mean(np.log(list(values)))))
