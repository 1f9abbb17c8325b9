"""Starting from what another model has learned: loading its weights, freezing, a new head, learning rates by part."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..errors import InputError
from ..serialization import FileError, load
from ..tensor import Tensor
from .checkpoint import CheckpointError, load_checkpoint
from .history import History
from .influence import Freeze, freeze, part_of


def replace_head(model: Any, name: str, head: Any) -> Any:
    """Put `head` in the place of the part called `name` ("6", "classifier.1") and return the old one."""
    old = part_of(model, name)
    path, _, last = name.rpartition(".")
    parent = part_of(model, path) if path else model
    setattr(parent, last, head)
    head.train(old.training)
    return old


def parameter_groups(model: Any, rates: Mapping[str, float], lr: float) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser: parts named in `rates` learn with theirs, the rest with `lr`.

    The longest name that fits a parameter counts. Parameters that are frozen are left out; empty groups too.
    ValueError for a name without parameters.
    """
    groups: dict[str | None, list[Any]] = {None: [], **{name: [] for name in rates}}
    for name, parameter in model.named_parameters():
        fits = [part for part in rates if name == part or name.startswith(f"{part}.")]
        groups[max(fits, key=len, default=None)].append(parameter)
    nothing = [part for part in rates if not groups[part]]
    if nothing:
        raise InputError(f"no parameter's name begins with {', '.join(nothing)}; "
                         f"there are {', '.join(n for n, _ in model.named_parameters())}")  # fmt: skip
    result = []
    for part, parameters in groups.items():
        learning = [p for p in parameters if p.requires_grad]
        if learning:
            result.append({"params": learning, "lr": lr if part is None else rates[part]})
    return result


@no_grad()
def load_weights(
    model: Any,
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    mapping: Mapping[str, str] | Callable[[str], str | None] | None = None,
    strict: bool = True,
) -> tuple[list[str], list[str]]:
    """Load real weights into `model` by name; returns the names (missing in the source, left over in it).

    `source`: a checkpoint of a Trainer, a safetensors file, a PyTorch `.pt`/`.pth` file (read without running
    anything in it), or a mapping name → array. `mapping`: their name → ours, as a dict (names left out stay) or a
    function (None leaves a tensor out). `strict`: missing or left-over names are an error. Shapes must be equal;
    dtypes are converted. Raises CheckpointError, naming all problems at once, before anything is changed.
    """
    given = dict(source) if isinstance(source, Mapping) else _read_weights(source)
    label = "the mapping" if isinstance(source, Mapping) else str(source)
    renamed: dict[str, Any] = {}
    for theirs, value in given.items():
        ours = mapping(theirs) if callable(mapping) else (mapping or {}).get(theirs, theirs)
        if ours is None:
            continue
        if ours in renamed:
            raise CheckpointError(f"{label}: the mapping gives {ours} to two tensors, one of them {theirs}")
        renamed[ours] = value
    own = model.state_dict()
    missing, extra = [n for n in own if n not in renamed], [n for n in renamed if n not in own]
    problems = [
        f"{name} is {tuple(np.shape(renamed[name]))} in the file, {tuple(own[name].shape)} here"
        for name in own
        if name in renamed and tuple(np.shape(renamed[name])) != tuple(own[name].shape)
    ]
    if strict:
        problems += [f"{n} is missing in the file" for n in missing] + [f"{n} is not in this model" for n in extra]
    if problems:
        raise CheckpointError(
            f"{label}: does not fit this model: {'; '.join(problems)}; give mapping=, or strict=False"
        )
    for name, tensor in own.items():
        if name in renamed:
            value = renamed[name]
            array = np.asarray(value.detach().cpu().numpy() if isinstance(value, Tensor) else value)
            tensor.copy_(Tensor._wrap(np.array(array)))
    return missing, extra


def _read_weights(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Name → tensor of a file, whatever wrote it."""
    try:
        return dict(load_checkpoint(path)["model"])
    except CheckpointError as error:
        if "no such checkpoint" in str(error) or "checksum" in str(error) or "cannot be read" in str(error):
            raise
    except KeyError:
        raise CheckpointError(f"{path}: a checkpoint without a model") from None
    try:
        found: Any = load(path)  # ours, or PyTorch's; nothing in it is run
    except FileError as error:
        found = _safetensors(path, error)
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise CheckpointError(f"{path}: does not hold tensors by name")
    return dict(found)


def _safetensors(path: str | os.PathLike[str], refusal: FileError) -> dict[str, Any]:
    """Name → tensor of a safetensors file that others wrote; CheckpointError, with the refusal, if it is none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {name: Tensor._wrap(array) for name, array in load_file(path).items()}
    except (SafetensorError, OSError):
        raise CheckpointError(f"{path}: no file of weights that can be read ({refusal})") from None


def fine_tune(
    trainer: Any,
    data: Any,
    head: Any,
    freeze_epochs: int,
    epochs: int,
    lr: float,
    lr_ratio: float,
    options: dict[str, Any],
) -> History:
    """See `Trainer.fine_tune`."""
    if not 0 <= freeze_epochs <= epochs:
        raise InputError(f"fine_tune: freeze_epochs={freeze_epochs} of epochs={epochs}; it must be from 0 to epochs")
    if trainer.schedule is not None:
        raise InputError("fine_tune: makes its own optimisers, so the trainer must have no schedule")
    model = trainer.model
    part = part_of(model, head)
    inside = {id(p) for p in part.parameters()}
    if not inside:
        raise InputError(f"fine_tune: the head, a {type(part).__name__}, has no parameters to train")
    first = trainer.optimizer
    settings = {key: value for key, value in first.defaults.items() if key != "lr"}
    learned = [p.requires_grad for p in model.parameters()]
    rows: list[dict[str, Any]] = []
    stopped, guard = None, None

    def phase(groups: list[dict[str, Any]], count: int) -> None:
        nonlocal stopped
        trainer.optimizer = type(first)(groups, **{"lr": lr, **settings})
        history = trainer.fit(data, epochs=count, **options)
        done = len(rows)
        rows.extend({**row, "epoch": done + i} for i, row in enumerate(history.rows, start=1))
        stopped = history.stopped

    try:
        if freeze_epochs:
            guard = Freeze(except_=[part])
            trainer.callbacks.insert(0, guard)
            freeze(model, except_=[part])
            phase([{"params": list(part.parameters()), "lr": lr}], freeze_epochs)
    finally:
        trainer.callbacks = [callback for callback in trainer.callbacks if callback is not guard]
        for parameter, learns in zip(model.parameters(), learned, strict=True):
            parameter.requires_grad_(learns)
    if epochs > freeze_epochs and not stopped:
        body = [p for p in model.parameters() if id(p) not in inside and p.requires_grad]
        groups = [{"params": list(part.parameters()), "lr": lr}]
        phase([*([{"params": body, "lr": lr * lr_ratio}] if body else []), *groups], epochs - freeze_epochs)
    return History(rows, stopped)
