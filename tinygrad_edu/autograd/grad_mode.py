"""Is the graph being recorded? One answer per thread, changed by `no_grad`, `enable_grad`, `set_grad_enabled`."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any


class _State(threading.local):
    enabled: bool = True  # the class attribute is what a new thread starts with


_state = _State()


def is_grad_enabled() -> bool:
    """Whether operations are recorded for the backward pass in this thread."""
    return _state.enabled


class set_grad_enabled:
    """Switch recording on or off: as a call, until the next one; as a context manager or decorator, within it."""

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)
        self.previous = [_state.enabled]  # a stack, so that one object can be entered twice
        _state.enabled = self.mode

    def __enter__(self) -> set_grad_enabled:
        return self

    def __exit__(self, *error: object) -> None:
        _state.enabled = self.previous[0]


class _Mode:
    """A context manager that is a decorator as well, with or without parentheses."""

    mode = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        self = object.__new__(cls)
        self.__init__()  # type: ignore[misc]
        return self if function is None else self(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self.previous: list[bool] = []

    def __enter__(self) -> None:
        self.previous.append(_state.enabled)
        _state.enabled = self.mode

    def __exit__(self, *error: object) -> None:
        _state.enabled = self.previous.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        mode = type(self)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with mode():  # a fresh one each call: safe for recursion and for threads
                return function(*args, **kwargs)

        return wrapped


class no_grad(_Mode):
    """Within it, operations are not recorded: results do not require grad and no graph is kept."""

    mode = False


class enable_grad(_Mode):
    """Within it, operations are recorded again, inside a `no_grad` too."""

    mode = True
