"""Is the graph being recorded? One answer per thread, changed by `no_grad`, `enable_grad`, `set_grad_enabled`."""

from __future__ import annotations

import functools
import inspect
import threading
from _thread import get_ident
from collections.abc import Callable
from typing import Any

# The threads that do not record, by number: nearly always none, and to ask a set is quicker than a threading.local.
_off: set[int] = set()
_known: set[int] = set()
_end = threading.local()


class _EndOfThread:
    """Goes with its thread: the next one may get the same number, and starts with recording."""

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.forget = (_off.discard, _known.discard)  # at the end of the process the module may be gone before

    def __del__(self) -> None:
        for forget in self.forget:
            forget(self.thread)


def is_grad_enabled() -> bool:
    """Whether operations are recorded for the backward pass in this thread."""
    return not _off or get_ident() not in _off


def switch_grad(enabled: bool) -> bool:
    """Record operations from now on, or do not; what it was before."""
    thread = get_ident()
    before = not _off or thread not in _off
    if enabled:
        if not before:
            _off.remove(thread)
    elif before:
        if thread not in _known:
            _end.of = _EndOfThread(thread)
            _known.add(thread)
        _off.add(thread)
    return before


class _Mode:
    """A context manager that is a decorator as well, with or without parentheses, of functions and generators."""

    mode = False

    def __new__(cls, function: Any = None) -> Any:
        self = object.__new__(cls)
        self.__init__()  # type: ignore[misc]
        return self(function) if callable(function) else self

    def __init__(self, function: Any = None) -> None:
        self.previous: list[bool] = []

    def __enter__(self) -> None:
        self.previous.append(switch_grad(self.mode))

    def __exit__(self, *error: object) -> None:
        switch_grad(self.previous.pop())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _decorated(function, self.mode)


class no_grad(_Mode):
    """Within it, operations are not recorded: results do not require grad and no graph is kept."""

    mode = False


class enable_grad(_Mode):
    """Within it, operations are recorded again, inside a `no_grad` too."""

    mode = True


class inference_mode(_Mode):
    """`no_grad` for code that will never differentiate what it computes; `inference_mode(False)` does nothing."""

    def __new__(cls, mode: Any = True) -> Any:
        self = object.__new__(cls)
        self.__init__(mode)  # type: ignore[misc]
        return self(mode) if callable(mode) else self

    def __init__(self, mode: Any = True) -> None:
        super().__init__()
        self.mode = not mode and is_grad_enabled()


class set_grad_enabled(_Mode):
    """Switch recording on or off: as a call, until the next one; as a context manager or decorator, within it."""

    def __new__(cls, mode: bool) -> Any:
        return object.__new__(cls)

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)
        self.previous = [switch_grad(self.mode)]

    def __enter__(self) -> None:
        switch_grad(self.mode)

    def __exit__(self, *error: object) -> None:
        switch_grad(self.previous[0])

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        switch_grad(self.previous[0])  # a decorator changes nothing outside its function
        return _decorated(function, self.mode)


class _Within(_Mode):
    """A mode of its own for each call: safe for recursion and for threads."""

    def __new__(cls, mode: bool) -> Any:
        return object.__new__(cls)

    def __init__(self, mode: bool) -> None:
        self.mode, self.previous = mode, []


def _decorated(function: Callable[..., Any], mode: bool) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            return (yield from _Resumed(function(*args, **kwargs), mode))

        return generator

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with _Within(mode):
            return function(*args, **kwargs)

    return wrapped


class _Resumed:
    """A generator whose every step runs in a mode; between its steps the caller's mode holds."""

    def __init__(self, steps: Any, mode: bool) -> None:
        self.steps, self.mode = steps, mode

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """Resume with `value`."""
        with _Within(self.mode):
            return self.steps.send(value)

    def throw(self, *error: Any) -> Any:
        """Resume with an exception."""
        with _Within(self.mode):
            return self.steps.throw(*error)

    def close(self) -> None:
        """End it."""
        with _Within(self.mode):
            self.steps.close()
