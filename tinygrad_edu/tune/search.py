"""Search for hyperparameters: train many settings, compare them on dev rows, keep the best. Test rows are out of reach.

    def make(params):
        model = nn.Sequential(nn.Linear(64, params["hidden"]), nn.ReLU(), nn.Linear(params["hidden"], 10))
        return Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=params["lr"]),
                       metrics={"accuracy": accuracy}, progress="none")

    search = GridSearch(make, {"lr": [1e-3, 3e-3], "hidden": [16, 64]}, score="accuracy", epochs=20)
    search.fit(train, dev)
    print(search.table())
    search.best_trainer.evaluate(test)      # once

`make` gets one setting and gives a trainer; the seed is set before it is called. The names "epochs" and "batch_size"
in a setting go to `fit`. Trials depend on nothing but their setting and seed, so that their results are the same for
any number of workers and after any interruption.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import DataLoader, TensorDataset, held_out_closed, refuse_held_out
from ..random import manual_seed
from ..train import Trainer, write_atomically
from ..train.callbacks import is_maximised
from .seeds import in_workers
from .space import Space, all_settings, random_settings
from .table import heat_map, text_table

Make = Callable[[dict[str, Any]], Trainer]


@dataclass(frozen=True)
class Trial:
    """One setting, what it scored on the dev rows with each seed, and what that cost."""

    number: int
    params: dict[str, Any]
    scores: tuple[float, ...]
    epochs: int  # trained for this result, all seeds together; what an earlier rung had trained does not count again
    metrics: dict[str, float]  # means over the seeds

    @property
    def score(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(self.scores))

    @property
    def sd(self) -> float:
        """The standard deviation over the seeds; NaN for a single one."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else math.nan


class Search:
    """What all searches share: running trials, here or in workers, their table, and the best one refitted.

    `score`: "loss" or a metric of the trainers, on dev; `mode`: "min", "max" or "auto" (see EarlyStopping). `seeds`:
    each setting is trained with `seed`, `seed + 1`, … and judged by the mean. `workers`: processes (needs joblib);
    `backend`: one of joblib's, "loky" on this machine, "dask" or "ray" on many. `out`: a folder in which every
    finished trial is kept, so that a search that was interrupted goes on where it was; one folder for one `make`.
    `refit`: train the best setting again (`best_trainer`). `notify(done, total)` is called after each trial.
    """

    def __init__(
        self,
        make: Make,
        *,
        epochs: int,
        score: str = "loss",
        mode: str = "auto",
        batch_size: int = 32,
        seed: int = 0,
        seeds: int = 1,
        workers: int = 1,
        backend: str = "loky",
        out: Any = None,
        refit: bool = True,
        notify: Callable[[int, int], None] | None = None,
    ) -> None:
        for name, value in {"epochs": epochs, "batch_size": batch_size, "seeds": seeds, "workers": workers}.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{type(self).__name__}: {name} is {value!r}; it must be a whole number, 1 or more")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f'{type(self).__name__}: mode is {mode!r}; it can be "auto", "min" or "max"')
        self.make = make
        self.epochs, self.batch_size = epochs, batch_size
        self.score, self.maximise = score, is_maximised(score, mode)
        self.seed, self.seeds = seed, seeds
        self.workers, self.backend = workers, backend
        self.out = None if out is None else Path(out)
        self.refit = refit
        self.notify = notify
        self.trials: list[Trial] = []
        self.best_trainer: Trainer | None = None
        self._done = self._total = 0

    # -- to be written by each kind of search --------------------------------------------------------------------------
    def run(self, data: tuple[Any, Any]) -> None:
        """Fill `self.trials`."""
        raise NotImplementedError

    # -- running -------------------------------------------------------------------------------------------------------
    def fit(self, train: Any, dev: Any) -> Search:
        """Search. `train`, `dev`: data sets of (x, y) rows or pairs of arrays; HeldOutError for held-out test rows."""
        refuse_held_out(type(self).__name__, train, dev)
        for part, name in ((train, "train"), (dev, "dev")):
            if isinstance(part, DataLoader):
                raise TypeError(f"{type(self).__name__}: {name} is a DataLoader; give the data set, since each trial "
                                f"makes batches of its own")  # fmt: skip
        data = tuple([TensorDataset(*p) if isinstance(p, tuple | list) and len(p) == 2 else p for p in (train, dev)])
        self.trials, self._done = [], 0
        self.run(data)  # type: ignore[arg-type]
        if self.refit:
            best = self.best
            with held_out_closed():
                self.best_trainer = _fitted(self.make, best.params, data, self.epochs, self.batch_size, self.seed)
        return self

    def run_trials(
        self,
        settings: Sequence[dict[str, Any]],
        data: Any,
        *,
        epochs: int | None = None,
        numbers: Sequence[int] | None = None,
        checkpoints: tuple[Path, int] | None = None,
    ) -> list[Trial]:
        """Train and judge settings, in their order. `checkpoints`: (folder, epochs that are already in it)."""
        epochs = self.epochs if epochs is None else epochs
        numbers = range(len(settings)) if numbers is None else numbers
        self._total = max(self._total, self._done + len(settings))
        trial = functools.partial(
            _trial, self.make, data, epochs, self.batch_size, self.score, range(self.seed, self.seed + self.seeds),
            self.out, _fingerprint(data) if self.out is not None else "", checkpoints,
        )  # fmt: skip
        found = []
        jobs = list(zip(numbers, settings, strict=True))
        for result in in_workers(functools.partial(_job, trial), jobs, self.workers, self.backend):
            found.append(result)
            self._done += 1
            if self.notify is not None:
                self.notify(self._done, self._total)
        return found

    # -- results -------------------------------------------------------------------------------------------------------
    def better(self, trial: Trial) -> tuple[float, int]:
        """A key that sorts the best trial first; one that diverged comes last, ties go to the earlier."""
        score = -trial.score if self.maximise else trial.score
        return (score if math.isfinite(score) else math.inf, trial.number)

    @property
    def best(self) -> Trial:
        """The best trial. RuntimeError before `fit`; ValueError if every one diverged."""
        if not self.trials:
            raise RuntimeError(f"{type(self).__name__}: nothing has been tried yet; call fit(train, dev)")
        best = min(self.trials, key=self.better)
        if not math.isfinite(best.score):
            raise ValueError(f"all {len(self.trials)} settings diverged; try smaller learning rates")
        return best

    @property
    def best_params(self) -> dict[str, Any]:
        """The setting that scored best on dev."""
        return dict(self.best.params)

    @property
    def epochs_used(self) -> int:
        """Epochs of training that the search has cost, all trials together."""
        return sum(trial.epochs for trial in self.trials)

    def rows(self) -> list[dict[str, Any]]:
        """The trials as rows, best first: setting, score, sd (of several seeds), epochs."""
        extra = {"sd"} if self.seeds == 1 else set()
        return [
            {
                k: v
                for k, v in {**t.params, self.score: t.score, "sd": t.sd, "epochs": t.epochs}.items()
                if k not in extra
            }
            for t in sorted(self.trials, key=self.better)
        ]

    def table(self) -> str:
        """The rows as text."""
        return text_table(self.rows())

    def heat_map(self, x: str, y: str, path: Any = None) -> Any:
        """A matplotlib figure of the best score for each pair of values of two hyperparameters."""
        return heat_map(self.trials, x, y, self.score, self.maximise, path)


class GridSearch(Search):
    """Every combination of the listed values."""

    def __init__(self, make: Make, grid: Space, **options: Any) -> None:
        super().__init__(make, **options)
        self.settings = all_settings(grid)

    def run(self, data: tuple[Any, Any]) -> None:
        """All of them."""
        self.trials = self.run_trials(self.settings, data)


class RandomSearch(Search):
    """`n` settings drawn at random: better than a grid where few of many names matter. Bergstra & Bengio 2012."""

    def __init__(self, make: Make, space: Space, *, n: int, **options: Any) -> None:
        super().__init__(make, **options)
        self.settings = random_settings(space, n, self.seed)

    def run(self, data: tuple[Any, Any]) -> None:
        """All of them."""
        self.trials = self.run_trials(self.settings, data)


class SuccessiveHalving(Search):
    """Train all settings a little, keep the best 1/`factor`, train these `factor` times as long, until `epochs`.

    A kept setting goes on from its checkpoint, so that nothing is trained twice; `make` must not depend on the number
    of epochs. `n=None`: the space is a grid; else `n` random settings. Jamieson & Talwalkar 2016.
    """

    def __init__(
        self, make: Make, space: Space, *, n: int | None = None, factor: int = 3, min_epochs: int = 1, **options: Any
    ) -> None:
        super().__init__(make, **options)
        if factor < 2 or not 1 <= min_epochs <= self.epochs:
            raise ValueError(
                f"SuccessiveHalving: factor={factor}, min_epochs={min_epochs}; factor must be at least 2, and "
                f"min_epochs from 1 to epochs={self.epochs}"
            )
        self.factor, self.min_epochs = factor, min_epochs
        self.settings = all_settings(space) if n is None else random_settings(space, n, self.seed)
        if any("epochs" in setting for setting in self.settings):
            raise ValueError("SuccessiveHalving decides on the epochs; take them out of the space")
        self.rungs: list[tuple[int, list[Trial]]] = []

    def run(self, data: tuple[Any, Any]) -> None:
        """Rung by rung; `rungs` keeps (epochs, trials) of each."""
        self.rungs = []
        keep = contextlib.nullcontext(self.out) if self.out is not None else tempfile.TemporaryDirectory()
        with keep as folder:
            alive = list(range(len(self.settings)))
            before, epochs = 0, self.min_epochs
            spent = [0] * len(self.settings)
            latest: dict[int, Trial] = {}
            while True:
                chosen = [self.settings[i] for i in alive]
                trials = self.run_trials(
                    chosen, data, epochs=epochs, numbers=alive, checkpoints=(Path(str(folder)) / "halving", before)
                )
                self.rungs.append((epochs, trials))
                for trial in trials:
                    spent[trial.number] += trial.epochs
                    latest[trial.number] = trial
                if epochs == self.epochs:
                    break
                survivors = sorted(trials, key=self.better)[: max(1, math.ceil(len(alive) / self.factor))]
                alive = sorted(trial.number for trial in survivors)
                before, epochs = epochs, min(self.epochs, epochs * self.factor)
        self.trials = [Trial(t.number, t.params, t.scores, spent[t.number], t.metrics) for t in latest.values()]

    @property
    def best(self) -> Trial:
        """The best of the last rung: scores after different numbers of epochs are not compared."""
        if not self.rungs:
            raise RuntimeError("SuccessiveHalving: nothing has been tried yet; call fit(train, dev)")
        best = min(self.rungs[-1][1], key=self.better)
        if not math.isfinite(best.score):
            raise ValueError("all settings of the last rung diverged; try smaller learning rates")
        return best


class OptunaSearch(Search):
    """`n` settings proposed by Optuna's TPE sampler, which learns from the earlier ones. Bergstra et al. 2011.

    Settings are asked for `batch` at a time, whatever the number of workers, so that results do not depend on it.
    Needs optuna.
    """

    def __init__(self, make: Make, space: Space, *, n: int, batch: int = 4, **options: Any) -> None:
        super().__init__(make, **options)
        if n < 1 or batch < 1:
            raise ValueError(f"OptunaSearch: n={n}, batch={batch}; both must be at least 1")
        self.space, self.n, self.batch = dict(space), n, batch

    def run(self, data: tuple[Any, Any]) -> None:
        """Ask, train, tell."""
        try:
            import optuna
        except ImportError:
            raise ImportError("OptunaSearch needs optuna: pip install 'tinygrad_edu[search]'") from None
        from .optuna_space import suggest

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=self.seed)
        study = optuna.create_study(direction="maximize" if self.maximise else "minimize", sampler=sampler)
        self._total = self.n
        while len(self.trials) < self.n:
            asked = [study.ask() for _ in range(min(self.batch, self.n - len(self.trials)))]
            settings = [suggest(trial, self.space) for trial in asked]
            first = len(self.trials)
            for proposal, trial in zip(
                asked, self.run_trials(settings, data, numbers=range(first, first + len(asked))), strict=True
            ):
                self.trials.append(trial)
                finite = math.isfinite(trial.score)
                study.tell(proposal, trial.score if finite else None, None if finite else optuna.trial.TrialState.FAIL)


# -- one trial: these functions run in workers too
def _job(trial: Callable[[int, dict[str, Any]], Trial], job: tuple[int, dict[str, Any]]) -> Trial:
    return trial(*job)


def _trial(
    make: Make, data: Any, epochs: int, batch_size: int, score: str, seeds: Sequence[int], out: Path | None,
    fingerprint: str, checkpoints: tuple[Path, int] | None, number: int, params: dict[str, Any],
) -> Trial:  # fmt: skip
    """Train one setting with each seed, or read what an earlier call has kept of it."""
    kept = None
    if out is not None:
        key = [params, epochs, batch_size, score, list(seeds), fingerprint]
        kept = out / "trials" / f"{hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest()[:24]}.json"
        if kept.exists():
            saved = json.loads(kept.read_text(encoding="utf-8"))
            return Trial(number, params, tuple(saved["scores"]), saved["epochs"], saved["metrics"])
    scores, metrics, spent = [], [], 0
    with held_out_closed():
        for seed in seeds:
            file = None if checkpoints is None else checkpoints[0] / f"{number}-{seed}.safetensors"
            before = 0 if checkpoints is None else checkpoints[1]
            trainer = _fitted(make, params, data, epochs, batch_size, seed, file if before else None)
            spent += len(trainer.state.history) - before
            if file is not None:
                trainer.save(file)
            found = trainer.evaluate(data[1])
            if score not in found:
                raise ValueError(f"the trainers have no metric {score!r}; they have {', '.join(found)}")
            scores.append(found[score])
            metrics.append(found)
    trial = Trial(
        number, params, tuple(scores), spent, {k: float(np.mean([m[k] for m in metrics])) for k in metrics[0]}
    )
    if kept is not None:
        write_atomically(kept, (json.dumps(asdict(trial), default=str) + "\n").encode())
    return trial


def _fitted(
    make: Make, params: dict[str, Any], data: Any, epochs: int, batch_size: int, seed: int, resume: Path | None = None
) -> Trainer:
    """The trainer of one setting, trained."""
    manual_seed(seed)
    trainer = make(dict(params))
    if not isinstance(trainer, Trainer):
        raise TypeError(f"make({params}) gave a {type(trainer).__name__}; it must give a Trainer")
    trainer.seed = seed
    with np.errstate(all="ignore"):  # a setting may diverge; its score says so
        trainer.fit(
            data[0], epochs=int(params.get("epochs", epochs)), val=data[1],
            batch_size=int(params.get("batch_size", batch_size)), resume=resume,
        )  # fmt: skip
    return trainer


def _fingerprint(data: Any) -> str:
    """SHA-256 of all rows: kept trials belong to these data alone."""
    digest = hashlib.sha256()
    for part in data:
        for tensor in part[:]:
            array = np.ascontiguousarray(tensor.numpy())
            digest.update(f"{array.dtype} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()
