"""A nested state as one safetensors file, every byte that matters under a checksum.

Its tensors are the arrays of the state. Its metadata have one entry, named for the format: the version, the SHA-256 of
the rest, and the rest, which is JSON:
    {"tree": everything else, "sha256": {tensor name: digest of its dtype, shape and bytes}}
All are verified before anything is used. Equal states make equal files (with one entry there is no order of entries
to vary). Tensors over the same memory are written once, and share it again when read.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import Any

import numpy as np

from ..errors import InputError, KindError, StateError
from ..kernels import host
from ..tensor import Tensor

Arrays = dict[str, np.ndarray]


class FileError(InputError, StateError):
    """A file cannot be used: damaged, foreign, or holding what is not let in. Nothing has been changed."""


def write_tree(tree: Any, name: str, version: str) -> bytes:
    """`tree` (nested dicts, lists and tuples of tensors, arrays, numbers, strings) as the bytes of a file."""
    from safetensors.numpy import save

    arrays: Arrays = {}
    packed = _pack(tree, "", arrays, {})
    digests = {key: digest(array) for key, array in arrays.items()}
    state = json.dumps({"tree": packed, "sha256": digests})
    return bytes(save(arrays, {name: f"{version} {sha256(state.encode())} {state}"}))


def read_tree(data: bytes, where: object, name: str, version: str, error: type[ValueError] = FileError) -> Any:
    """What `write_tree` wrote, every checksum verified; `error` naming the file `where` if anything is wrong."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)  # checks the header, all offsets, and the length of the file
        size = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + size]).get("__metadata__") or {}  # safetensors has seen: all strings
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        # Only now: a good file's first bytes are the length of its header, and may look like a pickle's by chance.
        if data[:2] == b"PK" or data[:1] == b"\x80":
            raise error(
                f"{where}: a pickle or PyTorch file, no {_kind(name)} of tinygrad_edu; "
                f"not opened, since it could run code"
            ) from None
        raise error(f"{where}: damaged or not a {_kind(name)} ({problem}); use an older one") from None
    if name not in metadata:
        raise error(f"{where}: a safetensors file, but not a {_kind(name)} of tinygrad_edu")
    found, checksum, state = [*metadata[name].split(" ", 2), "", ""][:3]
    if found != version:
        raise error(f"{where}: {_kind(name)} version {found[:20]}; this release reads {version}")
    if sha256(state.encode()) != checksum:
        raise error(f"{where}: damaged: the checksum of its state does not match; use an older one")
    body = json.loads(state)
    if set(body["sha256"]) != set(arrays):
        names = sorted(set(body["sha256"]) ^ set(arrays))
        raise error(f"{where}: damaged: its tensors are not the listed ones: {', '.join(names[:5])}")
    for key, array in arrays.items():
        if digest(array) != body["sha256"][key]:
            raise error(f"{where}: damaged: the checksum of tensor {key} does not match; use an older one")
    return _unpack(body["tree"], {key: np.array(array) for key, array in arrays.items()})


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest(array: np.ndarray) -> str:
    """SHA-256 over dtype, shape and bytes."""
    return sha256(f"{array.dtype} {array.shape} ".encode() + array.tobytes())


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _pack(value: Any, name: str, arrays: Arrays, known: dict[Any, tuple[str, Any]]) -> Any:
    """`value` as JSON; tensors and arrays go to `arrays` and leave their name."""
    if isinstance(value, Tensor | np.ndarray):
        array = host(value._array) if isinstance(value, Tensor) else value
        memory = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype)
        if array.size == 0 or memory not in known:
            while name in arrays:
                name += "'"
            # A copy in C order (safetensors would store the memory as it lies, wrong for a transposed array).
            arrays[name] = np.array(array, order="C", copy=True)
            known[memory] = (name, array)
        entry: dict[str, Any] = {"__tensor__" if isinstance(value, Tensor) else "__array__": known[memory][0]}
        return {**entry, "requires_grad": True} if isinstance(value, Tensor) and value.requires_grad else entry
    if isinstance(value, dict):
        entries = [[key, _pack(v, f"{name}.{key}".lstrip("."), arrays, known)] for key, v in value.items()]
        if any(not (key is None or isinstance(key, str | bool | int | float)) for key in value):
            raise KindError(f"a file cannot hold {name or 'a dictionary'} with keys other than strings and numbers")
        if isinstance(value, OrderedDict):
            return {"__ordered__": entries}
        plain = all(isinstance(key, str) and not key.startswith("__") for key in value)
        return dict(entries) if plain else {"__pairs__": entries}
    if isinstance(value, list | tuple):
        items = [_pack(item, f"{name}.{i}".lstrip("."), arrays, known) for i, item in enumerate(value)]
        return {"__tuple__": items} if isinstance(value, tuple) else items
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype):
        return {"__dtype__": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise KindError(
        f"a file cannot hold {name or 'it'} = {_short(value)}: only tensors, arrays, numbers, strings and containers "
        f"of these; of a model or an optimiser, save its state_dict()"
    )


def _short(value: Any) -> str:
    text = f"{type(value).__name__} {value!r}"
    return text if len(text) < 80 else f"{text[:77]}…"


def _unpack(value: Any, arrays: Arrays) -> Any:
    """The inverse of `_pack`; arrays are fresh and writable."""
    if isinstance(value, list):
        return [_unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "__tensor__" in value:
        tensor = Tensor._wrap(arrays[value["__tensor__"]][...])
        return tensor.requires_grad_() if value.get("requires_grad") else tensor
    if "__array__" in value:
        return arrays[value["__array__"]]
    if "__pairs__" in value:
        return {key: _unpack(entry, arrays) for key, entry in value["__pairs__"]}
    if "__ordered__" in value:
        return OrderedDict((key, _unpack(entry, arrays)) for key, entry in value["__ordered__"])
    if "__tuple__" in value:
        return tuple([_unpack(item, arrays) for item in value["__tuple__"]])
    if "__dtype__" in value:
        return np.dtype(value["__dtype__"])
    return {key: _unpack(entry, arrays) for key, entry in value.items()}
