"""`autograd.Variable` of PyTorch before 0.4, when a tensor had to be wrapped to take part in a graph."""

from typing import Any

from ..errors import KindError
from . import variable


class _LegacyVariable(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, variable.Variable)

    def __call__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
        if not isinstance(data, variable.Variable):
            raise KindError(f"Variable: data must be a Tensor, got {type(data).__name__}; make one by tensor(data)")
        made = variable.Variable.wrap(data._array, data._version)
        made._requires_grad = requires_grad
        return made


class Variable(metaclass=_LegacyVariable):
    """Old programs' `Variable(tensor, requires_grad=False)`: a tensor of the same memory, outside the graph.

    Every tensor is an instance of it. `volatile` is taken and ignored, as PyTorch does: use `no_grad()`.
    """
