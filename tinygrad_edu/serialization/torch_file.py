"""PyTorch's files of tensors: the zip archive of today, and the older format of pickles followed by raw memory."""

from __future__ import annotations

import io
import math
from collections import OrderedDict
from typing import Any

import numpy as np

from ..tensor import Tensor
from .container import FileError
from .opcodes import Allowed, Reader

LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # a pickled magic number
# Storage classes → how their memory reads (bfloat16: the upper half of a float32), and the dtype they get here.
STORAGES: dict[str, tuple[str, Any]] = {
    "FloatStorage": ("<f4", np.float32), "DoubleStorage": ("<f8", np.float64), "HalfStorage": ("<f2", np.float32),
    "BFloat16Storage": ("<u2", np.float32), "LongStorage": ("<i8", np.int64), "IntStorage": ("<i4", np.int32),
    "ShortStorage": ("<i2", np.int16), "CharStorage": ("<i1", np.int8), "ByteStorage": ("<u1", np.uint8),
    "BoolStorage": ("|u1", np.bool_),
}  # fmt: skip
DTYPES = {"float32": np.float32, "float": np.float32, "float64": np.float64, "double": np.float64,
          "float16": np.float32, "half": np.float32, "bfloat16": np.float32, "int64": np.int64, "long": np.int64,
          "int32": np.int32, "int": np.int32, "int16": np.int16, "int8": np.int8, "uint8": np.uint8,
          "bool": np.bool_}  # fmt: skip
MOST_REPEATED = 2**28  # entries of a tensor that repeats its storage by strides of 0


def is_torch_file(data: bytes) -> bool:
    """Whether the file says it is one of PyTorch's."""
    return data.startswith((b"PK\x03\x04", LEGACY))


def load_torch(data: bytes, where: object) -> Any:
    """Its tensors and plain containers. FileError naming `where` for anything else."""
    try:
        return _load_zip(data) if data.startswith(b"PK") else _load_legacy(data)
    except FileError as error:
        raise FileError(f"{where}: not loaded: {error}") from None
    except (TypeError, ValueError, OverflowError, MemoryError, RecursionError, LookupError) as error:
        raise FileError(f"{where}: not loaded: it is damaged ({type(error).__name__}: {error})") from None


def _load_zip(data: bytes) -> Any:
    import zipfile

    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
        records: dict[str, bytes] = {}
        for entry in entries:
            name = entry.filename.partition("/")[2]
            if entry.compress_type != zipfile.ZIP_STORED or name in records or entry.file_size > len(data):
                raise FileError("its archive is compressed or has a name twice, as PyTorch's never is")
            records[name] = archive.read(entry)  # verifies a checksum
    except FileError:
        raise
    except Exception as error:  # the archive's own reader raises nearly everything
        raise FileError(f"its archive is damaged ({type(error).__name__}: {error})") from None
    if "data.pkl" not in records:
        raise FileError("a zip archive, but not one of PyTorch's: it has no data.pkl")
    if records.get("byteorder", b"little") != b"little":
        raise FileError("its numbers are big-endian; save it again on a common machine")
    storages = Storages()

    def persistent(pid: Any) -> Storage:
        kind, key, count = storages.described(pid)
        if f"data/{key}" not in records:
            raise FileError(f"damaged: it has no record data/{key}")
        return storages.get(kind, key, count, records[f"data/{key}"])

    return Reader(records["data.pkl"], find, persistent).read()


def _load_legacy(data: bytes) -> Any:
    storages, wanted = Storages(), OrderedDict[str, tuple[str, int]]()

    def described(pid: Any) -> Storage:
        kind, key, count = storages.described(pid)
        if wanted.setdefault(key, (kind, count)) != (kind, count):
            raise FileError(f"damaged: storage {key} is described in two ways")
        return storages.later(key)

    place, parts = 0, []
    for persistent in (_none, _none, _none, described, _none):
        reader = Reader(data, find, persistent, place)
        parts.append(reader.read())
        place = reader.end
    result, keys = parts[3], parts[4]
    if not isinstance(parts[2], dict) or parts[2].get("little_endian") is not True:
        raise FileError("its numbers are big-endian; save it again on a common machine")
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(wanted):
        raise FileError("damaged: its list of storages is not what its tensors use")
    for key in map(str, keys):
        kind, count = wanted[key]
        size = count * np.dtype(STORAGES[kind][0]).itemsize
        if data[place : place + 8] != count.to_bytes(8, "little") or place + 8 + size > len(data):
            raise FileError(f"damaged or truncated: storage {key} has another length than its tensors say")
        storages.get(kind, key, count, data[place + 8 : place + 8 + size])
        place += 8 + size
    if place != len(data):
        raise FileError(f"damaged: {len(data) - place} bytes are left over")
    return _with_memory(result, {})


def _none(pid: Any) -> Any:
    raise FileError("damaged: a storage in the wrong place")


class Storage:
    """The memory that tensors of a file are views of: a flat array, once it is known."""

    def __init__(self) -> None:
        self.array: np.ndarray | None = None


class Later:
    """A tensor whose memory follows after the pickle: what is needed to make it then."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments


class Storages:
    """The storages of one file by their key, so that tensors share memory as they did."""

    def __init__(self) -> None:
        self.known: dict[Any, Storage] = {}

    def described(self, pid: Any) -> tuple[str, str, int]:
        """(class, key, number of entries) of a persistent id."""
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage" or (len(pid) == 6 and pid[5]):
            raise FileError("damaged: a storage that is not described as PyTorch does")
        kind, key, count = pid[1], pid[2], pid[4]
        if not isinstance(kind, Allowed) or kind.name not in STORAGES:
            raise FileError("damaged: a storage of no known class")
        if not isinstance(key, str) or isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise FileError("damaged: a storage without key and length")
        return kind.name, key, count

    def later(self, key: str) -> Storage:
        """The storage of that key, whose memory may come later."""
        return self.known.setdefault(key, Storage())

    def get(self, kind: str, key: str, count: int, raw: bytes) -> Storage:
        """The storage of that key with its memory, `count` entries in `raw`."""
        stored, dtype = STORAGES[kind]
        storage = self.known.setdefault(key, Storage())
        if len(raw) != count * np.dtype(stored).itemsize:
            raise FileError(f"damaged: storage {key} has {len(raw)} bytes, not {count} entries of {kind}")
        if storage.array is None:
            array = np.frombuffer(raw, stored)
            if kind == "BFloat16Storage":
                array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
            storage.array = array.astype(dtype)  # a copy: aligned, writable
        elif storage.array.dtype != dtype or storage.array.size != count:
            raise FileError(f"damaged: storage {key} is described in two ways")
        return storage


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, *rest: Any) -> Any:
    """A view of a storage, every number checked."""
    if not isinstance(storage, Storage):
        raise FileError("damaged: a tensor without storage")
    if storage.array is None:
        return Later(storage, offset, size, stride, requires_grad)
    if not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise FileError("damaged: a tensor whose size and strides are no tuples")
    numbers = (offset, *size, *stride)
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers) or len(size) != len(stride):
        raise FileError(f"damaged: a tensor at {offset} of size {size} with strides {stride}")
    entries, flat = math.prod(size), storage.array
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if (entries and last >= flat.size) or offset > flat.size or entries > max(flat.size, MOST_REPEATED):
        raise FileError(f"damaged: a tensor of size {size} with strides {stride} at {offset} leaves its storage of "
                        f"{flat.size} entries")  # fmt: skip
    view = np.lib.stride_tricks.as_strided(
        flat[offset:], size, [s * flat.itemsize for s in stride] if entries else None
    )
    if entries > flat.size or any(s == 0 and n > 1 for n, s in zip(size, stride, strict=True)):
        view.flags.writeable = False
    tensor = Tensor._wrap(view)
    return tensor.requires_grad_() if requires_grad is True and view.dtype.kind == "f" else tensor


def _parameter(data: Any, requires_grad: Any = True, *rest: Any) -> Any:
    if isinstance(data, Later):
        return Later(*data.arguments[:4], requires_grad)
    if not isinstance(data, Tensor):
        raise FileError("damaged: a parameter without tensor")
    return data.requires_grad_() if requires_grad is True and data.dtype.kind == "f" else data


def _with_memory(value: Any, made: dict[int, Any]) -> Any:
    """`value` with its tensors made, now that their memory is there; containers that were shared stay shared."""
    if id(value) in made:
        return made[id(value)][0]
    result = value
    if isinstance(value, Later):
        result = _tensor(*value.arguments)
    elif isinstance(value, dict):
        result = type(value)((key, _with_memory(v, made)) for key, v in value.items())
    elif isinstance(value, list | tuple):
        result = type(value)(_with_memory(v, made) for v in value)
    made[id(value)] = (result, value)
    return result


def _ordered(items: Any = ()) -> OrderedDict[Any, Any]:
    if not isinstance(items, list | tuple) or not all(isinstance(i, list | tuple) and len(i) == 2 for i in items):
        raise FileError("damaged: an OrderedDict of something else than pairs")
    result: OrderedDict[Any, Any] = OrderedDict()
    for key, value in items:
        if not isinstance(key, str | int):
            raise FileError("damaged: an OrderedDict with an odd key")
        result[key] = value
    return result


def _set(items: Any = ()) -> set[Any]:
    if not isinstance(items, list) or not all(isinstance(item, str | int | float) for item in items):
        raise FileError("damaged: a set of something else than plain values")
    return set(items)


def _size(sizes: Any = ()) -> tuple[int, ...]:
    if not isinstance(sizes, list | tuple) or not all(isinstance(n, int) for n in sizes):
        raise FileError("damaged: a torch.Size of something else than numbers")
    return tuple(sizes)


def _device(name: Any = "cpu", *index: Any) -> str:
    return str(name)


ALLOWED = {
    ("collections", "OrderedDict"): Allowed("OrderedDict", _ordered),
    ("__builtin__", "set"): Allowed("set", _set),
    ("builtins", "set"): Allowed("set", _set),
    ("torch", "Size"): Allowed("torch.Size", _size),
    ("torch", "device"): Allowed("torch.device", _device),
    ("torch._utils", "_rebuild_tensor"): Allowed("_rebuild_tensor", _tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Allowed("_rebuild_tensor_v2", _tensor),
    ("torch._utils", "_rebuild_parameter"): Allowed("_rebuild_parameter", _parameter),
    **{("torch", name): Allowed(name) for name in STORAGES},
    **{("torch", name): Allowed(name, value=np.dtype(dtype)) for name, dtype in DTYPES.items()},
}


def find(module: str, name: str) -> Allowed:
    """What the file may name; FileError for everything else. Nothing is imported."""
    if (module, name) not in ALLOWED:
        raise FileError(
            f"it names {module[:80]}.{name[:80]}, which is not let in (nothing in it was run); of a model, save its "
            f"state_dict() in PyTorch"
        )
    return ALLOWED[(module, name)]
