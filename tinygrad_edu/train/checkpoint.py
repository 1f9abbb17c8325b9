"""Checkpoints: one file that is either the old one or the new one, never half, and never runs code.

Layout: a safetensors file. Its tensors are the arrays of the model, the optimiser and the callbacks. Its metadata
have one entry, "tinygrad_edu.checkpoint": the version, the SHA-256 of the rest, and the rest, which is JSON:
    {"tree": everything else, "sha256": {tensor name: digest of its dtype, shape and bytes}}
So every byte that matters is under a checksum, and all are verified before anything is used. Equal states make equal
files (with one entry there is no order of entries to vary).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, KindError
from ..tensor import Tensor

FORMAT, VERSION = "tinygrad_edu.checkpoint", "1"
Arrays = dict[str, np.ndarray]


class CheckpointError(InputError):
    """A checkpoint cannot be used: damaged, foreign, or made for another model. Nothing has been changed."""


def save_checkpoint(path: str | os.PathLike[str], tree: dict[str, Any]) -> None:
    """Write `tree` (nested dicts, lists and tuples of tensors, arrays, numbers, strings) to `path`, atomically.

    Raises TypeError for a value that has no place in a checkpoint, OSError if it cannot be written; an older file at
    `path` is then still there and whole.
    """
    from safetensors.numpy import save

    arrays: Arrays = {}
    packed = _pack(tree, "", arrays)
    digests = {name: _digest(array) for name, array in arrays.items()}
    state = json.dumps({"tree": packed, "sha256": digests})
    write_atomically(path, save(arrays, {FORMAT: f"{VERSION} {_sha256(state.encode())} {state}"}))


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, every checksum verified. Raises CheckpointError, and OSError never."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such checkpoint") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        arrays = load(data)  # checks the header, all offsets, and the length of the file
        size = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + size]).get("__metadata__") or {}  # safetensors has seen: all strings
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # Only now: a good file's first bytes are the length of its header, and may look like a pickle's by chance.
        if data[:2] == b"PK" or data[:1] == b"\x80":
            raise CheckpointError(
                f"{path}: a pickle or PyTorch file, no checkpoint of tinygrad_edu; not opened, since it could run code"
            ) from None
        raise CheckpointError(f"{path}: damaged or not a checkpoint ({error}); use an older one") from None
    if FORMAT not in metadata:
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of tinygrad_edu")
    version, checksum, state = [*metadata[FORMAT].split(" ", 2), "", ""][:3]
    if version != VERSION:
        raise CheckpointError(f"{path}: checkpoint version {version[:20]}; this release reads {VERSION}")
    if _sha256(state.encode()) != checksum:
        raise CheckpointError(f"{path}: damaged: the checksum of its state does not match; use an older one")
    body = json.loads(state)
    if set(body["sha256"]) != set(arrays):
        names = sorted(set(body["sha256"]) ^ set(arrays))
        raise CheckpointError(f"{path}: damaged: its tensors are not the listed ones: {', '.join(names[:5])}")
    for name, array in arrays.items():
        if _digest(array) != body["sha256"][name]:
            raise CheckpointError(f"{path}: damaged: the checksum of tensor {name} does not match; use an older one")
    tree = _unpack(body["tree"], arrays)
    if not isinstance(tree, dict):
        raise CheckpointError(f"{path}: holds a {type(tree).__name__}, not a checkpoint")
    return tree


def load_model(path: str | os.PathLike[str], model: Any) -> None:
    """Load the model's part of a checkpoint into `model`: all of it, or CheckpointError and nothing."""
    saved = load_checkpoint(path).get("model", {})
    check_model_state(path, model, saved)
    model.load_state_dict(saved)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace the file at `path` by `data` so that a crash at any moment leaves the old or the new one, whole.

    A temporary name in the same folder → fsync → rename → fsync of the folder. OSError says what is left.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            kept = f"the file written before it is intact: {target}" if target.exists() else "nothing was written"
            raise OSError(error.errno, f"cannot write {target.name}: {error.strerror} ({kept})") from error
        raise


def fingerprint(model: Any) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of all parameters and buffers: equal means equal to the bit."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {_digest(_array(value))}\n".encode())
    return digest.hexdigest()


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


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; where folders cannot be opened (Windows) the file system sees to it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _array(value: Any) -> np.ndarray:
    return value._array if isinstance(value, Tensor) else np.asarray(value)


def _digest(array: np.ndarray) -> str:
    return _sha256(f"{array.dtype} {array.shape} ".encode() + array.tobytes())


def _pack(value: Any, name: str, arrays: Arrays) -> Any:
    """`value` as JSON; tensors and arrays go to `arrays` and leave their name."""
    if isinstance(value, Tensor | np.ndarray):
        # A copy in C order (safetensors would store the memory as it lies, wrong for a transposed array).
        while name in arrays:
            name += "'"
        arrays[name] = np.array(_array(value), order="C", copy=True)
        return {"__tensor__" if isinstance(value, Tensor) else "__array__": name}
    if isinstance(value, dict):
        entries = [[key, _pack(entry, f"{name}.{key}".lstrip("."), arrays)] for key, entry in value.items()]
        plain = all(isinstance(key, str) and not key.startswith("__") for key in value)
        return dict(entries) if plain else {"__pairs__": entries}
    if isinstance(value, list | tuple):
        items = [_pack(item, f"{name}.{i}".lstrip("."), arrays) for i, item in enumerate(value)]
        return {"__tuple__": items} if isinstance(value, tuple) else items
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise KindError(f"a checkpoint cannot hold {name} = {value!r}: only tensors, arrays, numbers, strings, containers")


def _unpack(value: Any, arrays: Arrays) -> Any:
    """The inverse of `_pack`; every array is a fresh, writable one."""
    if isinstance(value, list):
        return [_unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "__tensor__" in value:
        return Tensor._wrap(np.array(arrays[value["__tensor__"]]))
    if "__array__" in value:
        return np.array(arrays[value["__array__"]])
    if "__pairs__" in value:
        return {key: _unpack(entry, arrays) for key, entry in value["__pairs__"]}
    if "__tuple__" in value:
        return tuple([_unpack(item, arrays) for item in value["__tuple__"]])
    return {key: _unpack(entry, arrays) for key, entry in value.items()}
