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
def get_total_norm(tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False,
                   foreach: bool | None = None) -> Any:  # fmt: skip
    """The norm of all tensors as one long vector. `foreach` is PyTorch's and changes nothing here."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not tensors:
        return Tensor(0.0)
    norms = stack([t.double().norm(norm_type) for t in tensors])  # in float64 the squares of floats are finite
    total = norms.norm(norm_type).to(tensors[0].dtype)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise StateError(f"clip_grad_norm_: the gradients' norm is {total.item()}; look for the step it appeared in")
    return total


@no_grad()
def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None) -> None:
    """Scale all gradients by max_norm/total_norm if that is below 1; `total_norm` as of `get_total_norm`."""
    factor = min(max_norm / (float(total_norm) + 1e-6), 1.0)
    for p in _with_gradients(parameters) if not factor >= 1.0 else []:
        p.grad.mul_(factor)


def clip_grad_norm_(parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
                    foreach: bool | None = None) -> Any:  # fmt: skip
    """Scale all gradients, together one long vector, to a norm of at most max_norm. Returns the norm before.

    Pascanu, Mikolov & Bengio 2013.
    """
    chosen = _with_gradients(parameters)
    total = get_total_norm([p.grad for p in chosen], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(chosen, max_norm, total)
    return total


@no_grad()
def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Limit every entry of every gradient to ±clip_value."""
    for p in _with_gradients(parameters):
        p.grad.clamp_(-clip_value, clip_value)
