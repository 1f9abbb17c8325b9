"""`Parameter`: a tensor that a module registers and an optimiser changes."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor


class Parameter(Tensor):
    """A leaf that requires grad; assigned to a module's attribute, it becomes one of the module's parameters.

    `Parameter(data, requires_grad=True)` shares the memory of a tensor; anything else is copied as by `Tensor`.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        if isinstance(data, Tensor):
            self._adopt(data._array[...])
            self.requires_grad_(requires_grad)
        else:
            super().__init__(data, requires_grad=requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Buffer(Tensor):
    """A tensor that a module registers as a buffer when it is assigned to an attribute: saved, but not optimised."""

    __slots__ = ("persistent",)

    def __init__(self, data: Any, *, persistent: bool = True) -> None:
        self.persistent = persistent
        if isinstance(data, Tensor):
            self._adopt(data._array[...])
        else:
            super().__init__(data)
