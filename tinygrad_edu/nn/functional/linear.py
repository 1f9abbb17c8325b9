"""Linear maps, and class numbers as vectors."""

from __future__ import annotations

from typing import Any

from ... import ops


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """input·weightᵀ + bias: input (…, in), weight (out, in), bias (out,)."""
    return ops.linear(input, weight, bias)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """int64 rows with a single 1, at the position that the entry names."""
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"one_hot: class numbers are integers, got {tensor.dtype}")
    if tensor.numel() and tensor.min().item() < 0:
        raise ValueError(f"one_hot: class numbers are not negative, got {tensor.min().item()}")
    classes = int(tensor.max().item()) + 1 if num_classes == -1 else num_classes
    if tensor.numel() and tensor.max().item() >= classes:
        raise ValueError(f"one_hot: class {tensor.max().item()} does not fit {classes} classes")
    numbers = type(tensor)(list(range(classes)), "int64")
    return (tensor.unsqueeze(-1) == numbers).long()
