"""`tg.jit`: PyTorch's compiler of models. Operations run at once here, so each of these gives back what it got."""

from __future__ import annotations

from typing import Any


def script(obj: Any, *args: Any, **options: Any) -> Any:
    """The function or module itself."""
    return obj


def trace(func: Any, example_inputs: Any = None, **options: Any) -> Any:
    """The function or module itself, called as ever."""
    return func


def ignore(fn: Any = None, **options: Any) -> Any:
    """A decorator that changes nothing."""
    return fn if callable(fn) else lambda function: function


def is_scripting() -> bool:
    """Whether this runs compiled."""
    return False


export = unused = ignore
