"""`tg.cuda`: what programs ask before they use a GPU. This version computes on the CPU, and answers so."""

from __future__ import annotations

from typing import Any

from . import amp as amp
from .errors import StateError
from .random import manual_seed as _manual_seed


def is_available() -> bool:
    """Whether there is a GPU that tensors can be on."""
    return False


def device_count() -> int:
    """The number of GPUs that tensors can be on."""
    return 0


def current_device() -> int:
    """The number of the GPU in use; an error, since there is none."""
    raise StateError('cuda: no GPU is available to this version; use device="cpu"')


def set_device(device: Any) -> None:
    """Choose a GPU; an error, since there is none."""
    current_device()


def get_device_name(device: Any = None) -> str:
    """What a GPU is called; an error, since there is none."""
    raise StateError('cuda: no GPU is available to this version; use device="cpu"')


def is_bf16_supported() -> bool:
    """Whether there is a GPU that computes in bfloat16."""
    return False


def memory_allocated(device: Any = None) -> int:
    """Bytes of a GPU's memory in use."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device: Any = None) -> None:
    """Forget the largest amount of memory in use."""


def manual_seed_all(seed: int) -> None:
    """Seed the generator: all devices share one."""
    _manual_seed(seed)


manual_seed = manual_seed_all


def synchronize(device: object = None) -> None:
    """Wait for the GPU: nothing is under way there."""


def empty_cache() -> None:
    """Give a GPU's unused memory back: there is none."""
