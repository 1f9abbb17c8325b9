"""Gradient clipping."""

from __future__ import annotations

import math
from typing import Any

from ...autograd import no_grad
from ...errors import StateError
from ...kernels import K
from ...ops import stack
from ...tensor import Tensor


def _with_gradients(parameters: Any) -> list[Any]:
    found = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p for p in found if p.grad is not None]


def _norm_of_norms(tensors: list[Any], norm_type: float) -> Any:
    norms = stack([t.double().norm(norm_type) for t in tensors])
    return norms.norm(norm_type).to(tensors[0].dtype)


@no_grad()
def get_total_norm(tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False,
                   foreach: bool | None = None) -> Any:  # fmt: skip
    """The norm of all tensors as one long vector. `foreach` is PyTorch's and changes nothing here."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not tensors:
        return Tensor(0.0)
    if norm_type == 2 and all(t.dtype.kind == "f" for t in tensors):
        total = Tensor._wrap(K.total_norm([t._array for t in tensors]))
    else:
        total = _norm_of_norms(tensors, norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise StateError(f"clip_grad_norm_: the gradients' norm is {total.item()}; look for the step it appeared in")
    return total


@no_grad()
def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None) -> None:
    """Scale all gradients by max_norm/total_norm if that is below 1; `total_norm` as of `get_total_norm`."""
    chosen = _with_gradients(parameters)
    grads = [p.grad for p in chosen]
    if not grads or (not grads[0].is_cuda and max_norm / (float(total_norm) + 1e-6) >= 1):
        return
    norm = total_norm if isinstance(total_norm, Tensor) else Tensor(float(total_norm))
    K.limit_norm([g._array for g in grads], norm.to(grads[0].device)._array, float(max_norm))  # a GPU decides itself
    for g in grads:
        g._bump()


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
