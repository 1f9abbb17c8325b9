"""Dropout of entries."""

from __future__ import annotations

from typing import Any

from ... import ops


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Any = None) -> Any:
    """In training, zero entries with probability p and scale the others by 1/(1 − p). Srivastava et al. 2014."""
    return ops.dropout(input, p, training, generator)
