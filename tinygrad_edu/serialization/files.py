"""`save` and `load`: one file, the old one or the new one, never half; and `load` of PyTorch's files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import KindError
from .container import FileError, read_tree, write_tree
from .torch_file import is_torch_file, load_torch

FORMAT, VERSION = "tinygrad_edu.file", "1"


def save(obj: Any, f: Any) -> None:
    """Write `obj` (nested dicts, lists, tuples of tensors, arrays, numbers, strings) to a path or binary file `f`.

    The file is safetensors with a checksum on everything. At a path it is replaced atomically: after a crash, a kill or
    a full disk the old file is still there, whole. TypeError for what has no place in it (a model: save its
    state_dict()), before anything is written.
    """
    data = write_tree(obj, FORMAT, VERSION)
    if hasattr(f, "write"):
        f.write(data)
    else:
        write_atomically(f, data)


def load(f: Any, map_location: Any = None, *, weights_only: bool = True, mmap: bool | None = None) -> Any:
    """What `save` wrote to a path or binary file `f`; or the tensors and plain containers of a PyTorch file.

    Every checksum is verified. Nothing in a file is ever run: a PyTorch file (.pt, .pth; new or old format) is read by
    an allow-list of tensors, containers and numbers, whatever `weights_only` says. Half and bfloat16 tensors become
    float32, parameters tensors that require grad. FileError (a ValueError and RuntimeError) for damaged or foreign
    files, FileNotFoundError where there is none. The device is the CPU, whatever `map_location` says.
    """
    data = f.read() if hasattr(f, "read") else Path(f).read_bytes()
    where = getattr(f, "name", "the file") if hasattr(f, "read") else f
    if not isinstance(data, bytes):
        raise KindError(f"load: {where} is a text file; open it with mode 'rb'")
    if not data:
        raise FileError(f"{where}: the file is empty")
    if is_torch_file(data):
        return load_torch(data, where)
    return read_tree(data, where, FORMAT, VERSION)


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
