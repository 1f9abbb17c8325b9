"""One experiment, several seeds: what is the mean, how sure is it, and is one setting really better than another?

    result = repeat(lambda seed: train_and_score(seed), seeds=10)
    print(result)                # 0.881 ± 0.025 over 10 seeds, 95 % interval of the mean 0.863 to 0.899
    print(compare(result, other))

An experiment gets a seed and returns a number, or an `Outcome` with the predictions that an ensemble averages.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..kernels import get_num_threads, set_num_threads
from ..random import manual_seed
from .statistics import confidence_interval, sign_flip_p, student_t
from .table import text_table


@dataclass
class Outcome:
    """What one seed gave: the score, and, for an ensemble, predictions (N, …) for rows that all seeds share."""

    score: float
    predictions: np.ndarray | None = field(default=None, repr=False)


@dataclass
class Repeats:
    """The outcomes of one experiment for several seeds."""

    seeds: list[int]
    outcomes: list[Outcome]

    @property
    def scores(self) -> np.ndarray:
        """One score per seed."""
        return np.array([outcome.score for outcome in self.outcomes])

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return float(self.scores.mean())

    @property
    def sd(self) -> float:
        """The standard deviation over the seeds (n − 1 below): how far one run is from another."""
        return float(self.scores.std(ddof=1)) if len(self.seeds) > 1 else math.nan

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Where the mean of infinitely many seeds lies, with probability `level` (Student)."""
        return confidence_interval(self.scores, level)

    def ensemble(self) -> np.ndarray:
        """The mean of all seeds' predictions: of probabilities, or of values. Lakshminarayanan et al. 2017."""
        each = [outcome.predictions for outcome in self.outcomes]
        if any(p is None for p in each):
            raise ValueError("ensemble: the experiment gave no predictions; return Outcome(score, predictions)")
        return np.asarray(np.mean(np.stack([np.asarray(p, np.float64) for p in each]), axis=0))

    def table(self) -> str:
        """One row per seed."""
        return text_table([{"seed": s, "score": o.score} for s, o in zip(self.seeds, self.outcomes, strict=True)])

    def __str__(self) -> str:
        low, high = self.interval()
        worst, best = self.scores.min(), self.scores.max()
        return (
            f"{self.mean:.4g} ± {self.sd:.2g} over {len(self.seeds)} seeds ({worst:.4g} to {best:.4g}), "
            f"95 % interval of the mean {low:.4g} to {high:.4g}"
        )


def repeat(
    experiment: Callable[[int], float | Outcome],
    *,
    seeds: int | Sequence[int] = 10,
    workers: int = 1,
    backend: str = "loky",
    notify: Callable[[int, int], None] | None = None,
) -> Repeats:
    """Run `experiment(seed)` for each seed (`seeds=10` means 0 … 9) and collect what it returns.

    The library's default generator is seeded before each call. `workers`: processes (needs joblib); results do not
    depend on them. `notify(done, total)` is called after each seed.
    """
    chosen = list(range(seeds)) if isinstance(seeds, int) else [int(s) for s in seeds]
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"repeat: the seeds {chosen} must be at least one, and all different")
    outcomes = []
    for outcome in in_workers(functools.partial(_one, experiment), chosen, workers, backend):
        outcomes.append(outcome)
        if notify is not None:
            notify(len(outcomes), len(chosen))
    return Repeats(chosen, outcomes)


def in_workers(
    function: Callable[[Any], Any], jobs: Sequence[Any], workers: int, backend: str = "loky"
) -> Iterator[Any]:
    """`function` of each job, in order: here for one worker, else by joblib."""
    if workers == 1:
        yield from map(function, jobs)
        return
    try:
        from joblib import Parallel, delayed, parallel_config
    except ImportError:
        raise ImportError(f"workers={workers} needs joblib: pip install 'tinygrad_edu[search]'") from None
    threads = max(1, get_num_threads() // workers)
    with parallel_config(backend=backend, n_jobs=workers):
        yield from Parallel(return_as="generator")(delayed(_limited)(threads, function, job) for job in jobs)


def _limited(threads: int, function: Callable[[Any], Any], job: Any) -> Any:
    set_num_threads(threads)
    return function(job)


def _one(experiment: Callable[[int], float | Outcome], seed: int) -> Outcome:
    manual_seed(seed)
    result = experiment(seed)
    return result if isinstance(result, Outcome) else Outcome(float(result))


@dataclass(frozen=True)
class Comparison:
    """Two settings run with the same seeds, difference by difference (a − b)."""

    mean: float
    interval: tuple[float, float]
    p_sign_flip: float
    p_student: float
    wins: int
    n: int

    def __str__(self) -> str:
        low, high = self.interval
        verdict = "a difference" if self.p_sign_flip < 0.05 else "no difference that these seeds could show"
        return (
            f"{self.mean:+.4g} on average (95 % interval {low:+.4g} to {high:+.4g}), larger for {self.wins} of "
            f"{self.n} seeds; p = {self.p_sign_flip:.3g} by sign flips, {self.p_student:.3g} by Student's t: {verdict}"
        )


def compare(a: Repeats, b: Repeats) -> Comparison:
    """Is `a` better than `b`? Paired by seed, so that what both have in common (split, order) cancels out."""
    if a.seeds != b.seeds:
        raise ValueError(f"compare: the seeds differ ({a.seeds} and {b.seeds}); run both with the same")
    d = a.scores - b.scores
    if d.size < 2:
        raise ValueError("compare: one seed tells nothing about the spread; run at least 2, better 10")
    spread = float(d.std(ddof=1))
    t = (
        float(d.mean()) / (spread / math.sqrt(d.size))
        if spread
        else math.copysign(math.inf, d.mean())
        if d.any()
        else 0.0
    )
    p = 2 * (1 - student_t(abs(t), d.size - 1)) if math.isfinite(t) else 0.0
    return Comparison(float(d.mean()), confidence_interval(d), sign_flip_p(d), p, int((d > 0).sum()), d.size)
