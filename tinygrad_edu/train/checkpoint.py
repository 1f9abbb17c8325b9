"""Checkpoints: one file that is either the old one or the new one, never half, and never runs code.

The layout, with a checksum on every byte that matters, is that of `serialization.container`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..kernels import host
from ..serialization.container import digest, read_tree, write_tree
from ..serialization.files import write_atomically
from ..tensor import Tensor

FORMAT, VERSION = "tinygrad_edu.checkpoint", "1"


class CheckpointError(InputError):
    """A checkpoint cannot be used: damaged, foreign, or made for another model. Nothing has been changed."""


def save_checkpoint(path: str | os.PathLike[str], tree: dict[str, Any]) -> None:
    """Write `tree` (nested dicts, lists and tuples of tensors, arrays, numbers, strings) to `path`, atomically.

    Raises TypeError for a value that has no place in a checkpoint, OSError if it cannot be written; an older file at
    `path` is then still there and whole.
    """
    write_atomically(path, write_tree(tree, FORMAT, VERSION))


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, every checksum verified. Raises CheckpointError, and OSError never."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such checkpoint") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    tree = read_tree(data, path, FORMAT, VERSION, CheckpointError)
    if not isinstance(tree, dict):
        raise CheckpointError(f"{path}: holds a {type(tree).__name__}, not a checkpoint")
    return tree


def load_model(path: str | os.PathLike[str], model: Any) -> None:
    """Load the model's part of a checkpoint into `model`: all of it, or CheckpointError and nothing."""
    saved = load_checkpoint(path).get("model", {})
    check_model_state(path, model, saved)
    model.load_state_dict(saved)


def fingerprint(model: Any) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of all parameters and buffers: equal means equal to the bit."""
    whole = hashlib.sha256()
    for name, value in model.state_dict().items():
        whole.update(f"{name} {digest(_array(value))}\n".encode())
    return whole.hexdigest()


def check_model_state(path: object, model: Any, saved: dict[str, Any]) -> None:
    """Raise CheckpointError unless `saved` has exactly the names, shapes and dtypes of the model's state."""
    own = {name: _array(value) for name, value in model.state_dict().items()}
    problems = [f"{name} is missing in the file" for name in own if name not in saved]
    problems += [f"{name} is not in this model" for name in saved if name not in own]
    for name in own.keys() & saved.keys():
        mine, theirs = own[name], _array(saved[name])
        if (mine.shape, mine.dtype) != (theirs.shape, theirs.dtype):
            problems.append(f"{name} is {theirs.dtype} {theirs.shape} in the file, {mine.dtype} {mine.shape} here")
    if problems:
        raise CheckpointError(
            f"{path}: made for another model: {'; '.join(sorted(problems))}; build it with the settings of its run"
        )


def check_optimizer_state(path: object, optimizer: Any, saved: dict[str, Any]) -> None:
    """Raise CheckpointError unless `saved` belongs to an optimiser of this class over parameters of these shapes."""
    if saved["class"] != type(optimizer).__name__:
        raise CheckpointError(f"{path}: made with {saved['class']}, but this optimiser is {type(optimizer).__name__}")
    groups, own = saved["state"]["param_groups"], optimizer.param_groups
    sizes, mine = [len(g["params"]) for g in groups], [len(g["params"]) for g in own]
    if sizes != mine:
        raise CheckpointError(f"{path}: its optimiser has groups of {sizes} parameters, this one of {mine}")
    shapes = [tuple(p.shape) for g in own for p in g["params"]]
    for index, entries in saved["state"]["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor | np.ndarray) and value.ndim and tuple(value.shape) != shapes[int(index)]:
                raise CheckpointError(
                    f"{path}: optimiser tensor {key} of parameter {index} has shape {tuple(value.shape)}, "
                    f"the parameter {shapes[int(index)]}"
                )


def _array(value: Any) -> np.ndarray:
    return host(value._array) if isinstance(value, Tensor) else np.asarray(value)
