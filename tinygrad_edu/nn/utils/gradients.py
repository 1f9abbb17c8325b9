"""Gradient clipping."""

from __future__ import annotations

import math
from typing import Any

from ...autograd import no_grad
from ...errors import StateError
from ...ops import stack
from ...tensor import Tensor


def _with_gradients(parameters: Any) -> list[Any]:
    found = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p for p in found if p.grad is not None]


@no_grad()
def clip_grad_norm_(parameters: Any, max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False) -> Any:  # fmt: skip
    """Scale all gradients, together one long vector, to a norm of at most max_norm. Returns the norm before.

    Pascanu, Mikolov & Bengio 2013.
    """
    chosen = _with_gradients(parameters)
    if not chosen:
        return Tensor(0.0)
    norms = stack([p.grad.double().norm(norm_type) for p in chosen])  # in float64 the squares of floats are finite
    total = norms.norm(norm_type).to(chosen[0].grad.dtype)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise StateError(f"clip_grad_norm_: the gradients' norm is {total.item()}; look for the step it appeared in")
    factor = min(max_norm / (total.item() + 1e-6), 1.0)
    for p in chosen if not factor >= 1.0 else []:
        p.grad.mul_(factor)
    return total


@no_grad()
def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Limit every entry of every gradient to ±clip_value."""
    for p in _with_gradients(parameters):
        p.grad.clamp_(-clip_value, clip_value)
