"""Reverse-mode automatic differentiation: the graph, the backward pass, `Function`, grad modes, gradcheck.

Nothing here knows what a number is: arrays are opaque, and all arithmetic on them is done by the operations. Read in
the order `variable` → `function` → `engine` → `inplace`.
"""

from .engine import backward, grad
from .function import Function, Operation, refresh
from .grad_mode import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .variable import Variable

__all__ = [
    "Function",
    "GradcheckError",
    "Operation",
    "Variable",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "is_grad_enabled",
    "no_grad",
    "refresh",
    "set_grad_enabled",
]
