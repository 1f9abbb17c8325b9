"""Anomaly mode: every node remembers where it was made, and the first NaN of a backward pass is traced to it."""

from __future__ import annotations

import os
import traceback
from typing import Any

from ..errors import StateError


class _State:
    enabled, check_nan = False, True


state = _State()


class set_detect_anomaly:
    """Switch anomaly mode on or off: as a call, until the next one; as a context manager, within it.

    It costs much time. `check_nan=False` remembers the places and does not look for NaN.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.previous = state.enabled, state.check_nan
        state.enabled, state.check_nan = bool(mode), check_nan

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        state.enabled, state.check_nan = self.previous


class detect_anomaly:
    """Within it, a backward pass names the operation whose derivative is NaN, and where it was called."""

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan

    def __enter__(self) -> None:
        self.mode = set_detect_anomaly(True, self.check_nan)

    def __exit__(self, *error: object) -> None:
        self.mode.__exit__()


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return state.enabled


def stack() -> str:
    """Where the program is, without the frames of the engine itself."""
    here = os.path.dirname(__file__)
    frames = [f for f in traceback.extract_stack() if os.path.dirname(f.filename) != here]
    return "".join(traceback.format_list(frames))


def check(node: Any, results: Any, has_nan: Any) -> None:
    """StateError if a derivative of `node` holds NaN."""
    if state.check_nan:
        for i, g in enumerate(results):
            if g is not None and has_nan(getattr(g, "_array", g)):
                raise StateError(f"Function {node._name} returned NaN as the gradient of its input {i}")


def explain(node: Any, error: Exception) -> None:
    """Add to `error` where the forward pass made `node`."""
    if node._trace:
        error.add_note(f"{node._name} was called in the forward pass at:\n{node._trace}")
