"""`tg.cuda`: what programs ask before they use a GPU, and its memory."""

from __future__ import annotations

from typing import Any

from . import amp as amp
from .errors import StateError
from .kernels import cuda as _kernels
from .random import manual_seed as _manual_seed


def is_available() -> bool:
    """Whether there is a GPU that tensors can be on."""
    try:
        _kernels.device()
    except StateError:
        return False
    return True


def device_count() -> int:
    """The number of GPUs that tensors can be on: one is used, however many there are."""
    return int(is_available())


def current_device() -> int:
    """The number of the GPU in use; RuntimeError if there is none."""
    _gpu()
    return 0


def set_device(device: Any) -> None:
    """Choose a GPU: the first; RuntimeError if there is none."""
    _gpu()
    if str(device).rpartition(":")[2] not in ("0", "cuda"):
        raise StateError(f'cuda.set_device: {device} is not available: one GPU is used, "cuda:0"')


def get_device_name(device: Any = None) -> str:
    """What a GPU is called; RuntimeError if there is none."""
    found: bytes = _gpu().cupy.cuda.runtime.getDeviceProperties(0)["name"]
    return found.decode()


def is_bf16_supported() -> bool:
    """Whether kernels here compute in bfloat16: they do not."""
    return False


def _gpu() -> _kernels.Device:
    try:
        return _kernels.device()
    except StateError as error:
        raise StateError(f'cuda: no GPU is available; use device="cpu" ({error})') from None


# -- memory ----------------------------------------------------------------------------------------------------
def memory_stats(device: Any = None) -> dict[str, int]:
    """Bytes of the GPU's memory, `live_bytes` in tensors and `cached_bytes` kept for new ones."""
    gpu = _kernels.in_use()
    if gpu is None:
        return {"live_bytes": 0, "cached_bytes": 0}
    pool = gpu.cupy.get_default_memory_pool()
    return {"live_bytes": pool.used_bytes(), "cached_bytes": pool.free_bytes()}


def memory_allocated(device: Any = None) -> int:
    """Bytes of a GPU's memory in use by tensors."""
    return memory_stats()["live_bytes"]


def memory_reserved(device: Any = None) -> int:
    """Bytes of a GPU's memory that tensors use or that is kept for new ones."""
    stats = memory_stats()
    return stats["live_bytes"] + stats["cached_bytes"]


max_memory_allocated, max_memory_reserved = memory_allocated, memory_reserved


def reset_peak_memory_stats(device: Any = None) -> None:
    """Forget the largest amount of memory in use: it is not kept."""


def empty_cache() -> None:
    """Give a GPU's unused memory back."""
    gpu = _kernels.in_use()
    if gpu is not None:
        gpu.cupy.get_default_memory_pool().free_all_blocks()


# -- order and chance ------------------------------------------------------------------------------------------
def synchronize(device: object = None) -> None:
    """Wait for the GPU, and raise the error that a kernel has met since results were last read."""
    gpu = _kernels.in_use()
    if gpu is not None:
        gpu.synchronize()


def manual_seed_all(seed: int) -> None:
    """Seed the generator: all devices share one."""
    _manual_seed(seed)


manual_seed = manual_seed_all
