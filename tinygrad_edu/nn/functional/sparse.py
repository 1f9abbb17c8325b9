"""Class numbers as vectors: learned ones (`embedding`) or unit vectors (`one_hot`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...autograd import no_grad
from ...creation import arange
from ...errors import InputError, KindError
from ...tensor import Tensor


def embedding(input: Any, weight: Any, padding_idx: int | None = None, max_norm: float | None = None,
              norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False) -> Any:  # fmt: skip
    """Rows of `weight` (R, D) at the integers `input` (…), as (…, D).

    The row `padding_idx` gets no gradient. Rows longer than `max_norm` are first shortened to it, in place.
    """
    rows = weight.shape[0] if weight.ndim else 0
    if sparse or scale_grad_by_freq:
        raise InputError("embedding: sparse=True and scale_grad_by_freq=True are not supported; leave them out")
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise InputError(f"embedding: padding_idx {padding_idx} is out of range for {rows} rows")
    if max_norm is not None and input.numel():
        with no_grad():
            used = Tensor(np.unique(input._array))
            found = weight[used]
            length = found.norm(norm_type, 1, keepdim=True)
            weight[used] = ops.where(length > max_norm, found * (max_norm / (length + 1e-7)), found)
    return ops.take(weight, input, -1 if padding_idx is None else padding_idx % rows)


def one_hot(input: Any, num_classes: int = -1) -> Any:
    """int64 rows with a single 1, at the position that the entry names."""
    if input.dtype.kind not in "iu":
        raise KindError(f"one_hot: class numbers are integers, got {input.dtype}")
    if input.numel() and input.min().item() < 0:
        raise InputError(f"one_hot: class numbers are not negative, got {input.min().item()}")
    classes = int(input.max().item()) + 1 if num_classes == -1 else num_classes
    if input.numel() and input.max().item() >= classes:
        raise InputError(f"one_hot: class {input.max().item()} does not fit {classes} classes")
    return (input.unsqueeze(-1) == arange(classes)).long()
