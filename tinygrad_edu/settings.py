"""Settings of PyTorch that programs make at their beginning."""

from __future__ import annotations

import secrets
from typing import Any

from .errors import InputError
from .kernels.cuda import products
from .random import manual_seed
from .tensor import PRINTING
from .types import CPU, check_device, get_default_dtype, set_default_dtype

__all__ = [
    "are_deterministic_algorithms_enabled",
    "get_default_device",
    "get_default_dtype",
    "get_float32_matmul_precision",
    "seed",
    "set_default_device",
    "set_default_dtype",
    "set_float32_matmul_precision",
    "set_printoptions",
    "use_deterministic_algorithms",
]

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 75},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 75},
    "full": {"precision": 4, "threshold": float("inf"), "edgeitems": 3, "linewidth": 75},
}


def set_printoptions(precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None,
                     linewidth: int | None = None, profile: str | None = None, sci_mode: bool | None = None
                     ) -> None:  # fmt: skip
    """How tensors are printed: digits, the size from which the middle is left out, line width, 1e-3 or not."""
    if profile is not None and profile not in _PROFILES:
        raise InputError(f"set_printoptions: profile {profile!r} is unknown; choose one of {[*_PROFILES]}")
    PRINTING.update(_PROFILES.get(profile or "", {}))
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    PRINTING.update({name: value for name, value in given.items() if value is not None})
    PRINTING["sci_mode"] = sci_mode


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for equal results of equal runs; they are always equal here, so that False changes nothing."""


def are_deterministic_algorithms_enabled() -> bool:
    """Whether equal runs give equal results: yes."""
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """How exact products of float32 matrices have to be on a GPU: their operands may be rounded for tensor cores.

    "highest": not at all. "high": to TF32, 10 bits behind the point. "medium": to bfloat16, 7 bits. Sums are in float32
    always, and the CPU computes in float32 whatever is said here.
    """
    if precision not in ("highest", "high", "medium"):
        raise InputError(f'set_float32_matmul_precision: {precision!r} is none of "highest", "high", "medium"')
    products.precision[0] = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was last given, or "high" after `backends.cuda.matmul.allow_tf32 = True`."""
    return products.precision[0]


def set_default_device(device: Any) -> None:
    """Make new tensors on this device: the CPU; RuntimeError for another."""
    check_device(device)


def get_default_device() -> Any:
    """Where new tensors are made."""
    return CPU


def seed() -> int:
    """Seed the generator from the system's randomness, and say with what."""
    chosen = secrets.randbits(63)
    manual_seed(chosen)
    return chosen
