"""`tg.cuda`: what programs ask before they use a GPU. This version computes on the CPU, and answers so."""

from __future__ import annotations

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


def manual_seed_all(seed: int) -> None:
    """Seed the generator: all devices share one."""
    _manual_seed(seed)


manual_seed = manual_seed_all


def synchronize(device: object = None) -> None:
    """Wait for the GPU: nothing is under way there."""


def empty_cache() -> None:
    """Give a GPU's unused memory back: there is none."""
