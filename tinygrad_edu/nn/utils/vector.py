"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...autograd import no_grad
from ...errors import InputError
from ...ops import cat


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """All parameters, flattened and joined, in order."""
    return cat([p.reshape(-1) for p in parameters])


@no_grad()
def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Copy the pieces of a vector into parameters: the inverse of `parameters_to_vector`."""
    chosen = list(parameters)
    size = sum(p.numel() for p in chosen)
    if tuple(vec.shape) != (size,):
        raise InputError(f"vector_to_parameters: the parameters hold {size} numbers, the vector has {tuple(vec.shape)}")
    start = 0
    for p in chosen:
        p.copy_(vec[start : start + p.numel()].reshape(p.shape))
        start += p.numel()
