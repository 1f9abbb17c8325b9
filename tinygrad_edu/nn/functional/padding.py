"""Padding in every mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import ops


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Entries around a tensor: `pad` is (before, after) of the last dimension, then of the one before it, …

    `mode`: "constant" (of `value`, 0 by default), "reflect", "replicate" or "circular"; negative amounts cut off.
    """
    return ops.pad(input, pad, mode, value)
