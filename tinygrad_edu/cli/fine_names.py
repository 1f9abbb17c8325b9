"""`tge finetune names`: a model of surnames goes on with first names, against one that starts from nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu import train as training

from ..data import load_names, next_characters
from .experiment import Refused

F = nn.functional
CONTEXT = 4  # letters that the model sees
HELD = 150  # names that are dev, and as many test
SOURCES = ("surnames", "female")


def network() -> Any:
    """The last letters (n, 4) → scores of the next one (n, 27). 12,235 parameters."""
    return nn.Sequential(
        nn.Embedding(27, 16), nn.Flatten(), nn.Linear(16 * CONTEXT, 128), nn.Tanh(), nn.Linear(128, 27)
    )


def compare(source: str, counts: str, seeds: int, epochs: int, lr: float,
            progress: Callable[[int, int], None]) -> dict[str, Any]:  # fmt: skip
    """Mean surprise a letter (nats), on dev at its best epoch and on test there, for each number of names.

    `counts`: "50,200,all". The names that are dev and test are drawn with seed 0; the seeds draw those to learn from.
    """
    names = load_names()
    male = sorted(set(names.male) - set(names.female))
    male = [male[i] for i in np.random.default_rng(0).permutation(len(male))]
    pool, dev, test = male[: -2 * HELD], next_characters(male[-2 * HELD : -HELD]), next_characters(male[-HELD:])
    wanted = _counts(counts, len(pool))
    others = sorted(set(names.surnames if source == "surnames" else names.female) - set(names.male))
    tg.manual_seed(0)
    start = network()
    _fit(start, others, None, 4 if source == "surnames" else 12, 3e-3, 256 if source == "surnames" else 64, 0)
    total, done = 2 * seeds * len(wanted), 0
    rows: list[dict[str, Any]] = []
    for count in wanted:
        found: dict[str, list[float]] = {"from nothing": [], "fine-tuned": []}
        judged: dict[str, list[float]] = {"from nothing": [], "fine-tuned": []}
        for seed in range(seeds):
            some = [pool[i] for i in np.random.default_rng(seed).permutation(len(pool))[:count]]
            for way in found:
                progress(done := done + 1, total)
                tg.manual_seed(seed)
                model = copy.deepcopy(start) if way == "fine-tuned" else network()
                history = _fit(model, some, dev, 2 * epochs if way == "from nothing" else epochs,
                               3e-3 if way == "from nothing" else lr, 32, seed)  # fmt: skip
                found[way].append(min(history["val_loss"]))
                judged[way].append(_loss(model, test))
        rows.append({"names": count, **{f"{way}, dev": float(np.mean(v)) for way, v in found.items()},
                     **{f"{way}, test": float(np.mean(v)) for way, v in judged.items()}})  # fmt: skip
    return {"data": "names", "from": source, "seeds": seeds, "names learned first": len(others),
            "as it is": {"dev": _loss(start, dev), "test": _loss(start, test)}, "rows": rows}  # fmt: skip


def _fit(model: Any, names: list[str], dev: Any, epochs: int, lr: float, batch_size: int, seed: int) -> Any:
    """Train; with dev rows, stop when they get no better, and keep the parameters that were best."""
    stop = [] if dev is None else [training.EarlyStopping(patience=4)]
    trainer = training.Trainer(model, F.cross_entropy, optim.Adam(model.parameters(), lr=lr), seed=seed,
                               callbacks=stop, progress="none", record="none")  # fmt: skip
    return trainer.fit(next_characters(names, CONTEXT), epochs=epochs, batch_size=batch_size, val=dev)


def _loss(model: Any, rows: tuple[np.ndarray, np.ndarray]) -> float:
    with tg.no_grad():
        return float(F.cross_entropy(model(tg.tensor(rows[0])), tg.tensor(rows[1])).item())


def _counts(text: str, most: int) -> list[int]:
    """ "50,200,all" → [50, 200, 588]."""
    try:
        found = [most if part.strip() == "all" else int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1 or max(found) > most:
        raise Refused(f"--count {text}: numbers of names from 1 to {most}, or all, such as 50,200,all")
    return found
