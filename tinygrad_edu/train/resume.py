"""What a checkpoint of a Trainer holds, and how a resumed run takes it over: all of it, or nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..random import default_generator
from .callbacks import Callback
from .checkpoint import CheckpointError, check_model_state, check_optimizer_state, load_checkpoint
from .history import History


def state_of(trainer: Any) -> dict[str, Any]:
    """Everything needed to go on: parameters, optimiser, random numbers, order of the data, callbacks, history."""
    state, loader = trainer.state, trainer._loader
    rows = state.history.rows[:-1] if state.partial else state.history.rows
    return {
        "epoch": len(rows),
        "batch": state.batch,  # of the epoch after, when it was saved in the middle of one
        "totals": trainer._totals.state_dict(),
        "step": state.step,
        "stop": state.stop,
        "history": rows,
        "model": dict(trainer.model.state_dict()),
        "optimizer": {"class": type(trainer.optimizer).__name__, "state": trainer.optimizer.state_dict()},
        "default_generator": default_generator.get_state(),
        "loader": None if loader is None else loader.state_dict(),
        "fit": _settings(trainer),
        "callbacks": {name: c.state_dict() for name, c in _named(trainer.callbacks).items() if c.state_dict()},
    }


def resume_from(trainer: Any, source: str | os.PathLike[str]) -> None:
    """Take over a saved state; every check comes before the first change."""
    path = _file(trainer, source)
    if path is None:
        return
    saved, settings = load_checkpoint(path), _settings(trainer)
    check_model_state(path, trainer.model, saved["model"])
    check_optimizer_state(path, trainer.optimizer, saved["optimizer"])
    if saved["fit"] != settings:
        raise InputError(f"{path}: the run was made with {saved['fit']}, now it is {settings}; use the same")
    named = _named(trainer.callbacks)
    missing = saved["callbacks"].keys() - named.keys()
    if missing:
        raise CheckpointError(
            f"{path}: has states of {', '.join(sorted(missing))}; give these callbacks to the Trainer"
        )
    trainer.model.load_state_dict(saved["model"])
    trainer.optimizer.load_state_dict(saved["optimizer"]["state"])
    default_generator.set_state(saved["default_generator"])
    if trainer._loader is not None and saved["loader"] is not None:
        trainer._loader.load_state_dict(saved["loader"])
    for name, callback_state in saved["callbacks"].items():
        named[name].load_state_dict(callback_state)
    state = trainer.state
    state.step, state.stop, state.batch = saved["step"], saved["stop"], saved["batch"]
    state.epoch = saved["epoch"] + (state.batch > 0)
    trainer._totals.load_state_dict(saved["totals"])
    state.history = History(saved["history"])


def _file(trainer: Any, source: str | os.PathLike[str]) -> Path | None:
    """The file that `resume=` means; None for "auto" where there is none yet."""
    if source == "auto":
        if trainer.run_dir is None:
            raise InputError('Trainer.fit: resume="auto" looks into run_dir; give the Trainer one, or name a file')
        path = Path(trainer.run_dir) / "ckpt" / "last.safetensors"
        return path if path.exists() else None
    path = Path(source)
    return path / "ckpt" / "last.safetensors" if path.is_dir() else path


def _settings(trainer: Any) -> dict[str, Any]:
    """What has to be the same for a resumed run to see the same batches."""
    loader = trainer._loader
    if loader is None:
        return {}
    return {
        "rows": len(loader.dataset),
        "batch_size": loader.batch_size,
        "shuffle": loader.shuffle,
        "accumulate": trainer.accumulate,
        "schedule": None if trainer.schedule is None else type(trainer.schedule.scheduler).__name__,
    }


def _named(callbacks: list[Callback]) -> dict[str, Callback]:
    """The callbacks by class name; a second one of a class is called `Name.2`."""
    named: dict[str, Callback] = {}
    for callback in callbacks:
        name, count = type(callback).__name__, 1
        while (name if count == 1 else f"{name}.{count}") in named:
            count += 1
        named[name if count == 1 else f"{name}.{count}"] = callback
    return named
