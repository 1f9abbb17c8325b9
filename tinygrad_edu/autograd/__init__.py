"""Reverse-mode automatic differentiation: the graph, the backward pass, `Function`, grad modes, gradcheck.

Nothing here knows what a number is: arrays are opaque, and all arithmetic on them is done by the operations. Read in
the order `variable` → `function` → `engine` → `inplace`.
"""

from . import functional
from .anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from .custom import Function, once_differentiable
from .engine import backward, grad
from .function import Operation, refresh
from .grad_mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .legacy import Variable

__all__ = [
    "Function",
    "GradcheckError",
    "Operation",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "refresh",
    "set_detect_anomaly",
    "set_grad_enabled",
]
