"""Errors: one base, `TinygradError`, and a class for each kind, which is Python's own kind too.

`except tg.TinygradError` catches what this library has refused; `except ValueError` works as everywhere else.
"""

from __future__ import annotations


class TinygradError(Exception):
    """The base of all errors that this library raises on purpose."""


class InputError(TinygradError, ValueError):
    """A value that an argument cannot have."""


class KindError(TinygradError, TypeError):
    """An argument of the wrong type or dtype."""


class RangeError(TinygradError, IndexError):
    """An index or a dimension that does not exist."""


class StateError(TinygradError, RuntimeError):
    """Something that cannot be done now, such as a second backward() through a graph that has been freed."""


class ShapeError(TinygradError, ValueError, RuntimeError):
    """Shapes that do not fit: a ValueError, and a RuntimeError too, which is what PyTorch raises."""


# What Python calls it → what we raise; the C++ kernels look here.
KINDS = {
    ValueError: InputError,
    TypeError: KindError,
    IndexError: RangeError,
    RuntimeError: StateError,
}
