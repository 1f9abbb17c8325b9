"""Our spaces in Optuna's words."""

from __future__ import annotations

from typing import Any

from .space import Integers, Space, Uniform


def suggest(trial: Any, space: Space) -> dict[str, Any]:
    """One setting of the space, as the study's sampler proposes it. Lists are chosen from by position."""
    setting: dict[str, Any] = {}
    for name, kind in space.items():
        if isinstance(kind, Uniform):
            setting[name] = trial.suggest_float(name, kind.low, kind.high, log=kind.log)
        elif isinstance(kind, Integers):
            setting[name] = trial.suggest_int(name, kind.low, kind.high, log=kind.log)
        else:
            setting[name] = kind[trial.suggest_categorical(name, list(range(len(kind))))]
    return setting
