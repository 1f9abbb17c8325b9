"""Weights of rows: a loss in which some rows, or some classes, count for more than others."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..data.dataset import gather
from ..errors import InputError, KindError
from ..tensor import Tensor


class WeightedRows:
    """A data set of (x, y) rows with a third part: the weight of the row."""

    def __init__(self, dataset: Any, weights: np.ndarray) -> None:
        self.dataset = dataset
        self.weights = weights

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        x, y = self.dataset[index]
        return x, y, Tensor._wrap(np.array(self.weights[index]))

    def gather(self, indices: np.ndarray) -> tuple[Any, ...]:
        """The rows `indices`, as (x, y, weights)."""
        x, y = gather(self.dataset, indices)
        return x, y, Tensor._wrap(self.weights[indices])


def row_weights(dataset: Any, sample_weight: Any, class_weight: Any, dtype: Any) -> np.ndarray | None:
    """One weight per row of `dataset`, or None where nothing was asked for.

    `sample_weight`: an array of one number per row, none of them negative. `class_weight`: {label: weight} (labels left
    out weigh 1), or "balanced", which gives every class the same total: rows / (classes · rows of the class). Both
    given are multiplied. Raises ValueError for other lengths, negative or infinite weights, and weights that are all 0.
    """
    if sample_weight is None and class_weight is None:
        return None
    weights = np.ones(len(dataset), dtype)
    if sample_weight is not None:
        given = np.asarray(sample_weight.numpy() if isinstance(sample_weight, Tensor) else sample_weight, np.float64)
        if given.shape != (len(dataset),):
            raise InputError(
                f"sample_weight has shape {given.shape}; one weight for each of {len(dataset)} rows is due"
            )
        if not np.isfinite(given).all() or (given < 0).any():
            raise InputError("sample_weight has negative or infinite entries; a weight is 0 or a positive number")
        weights *= given.astype(dtype)
    if class_weight is not None:
        weights *= _class_weights(np.asarray(dataset[:][1].numpy()), class_weight).astype(dtype)
    if len(weights) and not weights.any():
        raise InputError("all rows have weight 0: nothing would be learned")
    return weights


def _class_weights(labels: np.ndarray, class_weight: Mapping[int, float] | str) -> np.ndarray:
    """The weight of each row by its label."""
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        raise InputError(f"class_weight is for integer labels; the targets are {labels.dtype} of shape {labels.shape}")
    classes, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise InputError(f'class_weight is {class_weight!r}; it can be "balanced" or a dict {{label: weight}}')
        return np.asarray((len(labels) / (len(classes) * counts))[place])
    values = np.array([float(class_weight.get(int(label), 1.0)) for label in classes])
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputError(f"class_weight {dict(class_weight)} has a negative or infinite weight")
    return np.asarray(values[place])


def row_losses(loss: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """`loss` without its mean: a function of (outputs, targets) that gives one number per row, shape (N,).

    A module with a `reduction` is copied with "none"; any other callable must take `reduction="none"`, as those of
    `nn.functional` do. Several numbers a row (a row of N outputs) are averaged. TypeError if there is no way.
    """
    if hasattr(loss, "reduction"):
        each = copy.copy(loss)
        each.__dict__["reduction"] = "none"
    else:

        def each(outputs: Any, targets: Any) -> Any:
            try:
                return loss(outputs, targets, reduction="none")
            except TypeError as error:
                raise KindError(
                    f"row weights need one loss per row, but {getattr(loss, '__name__', type(loss).__name__)} does not "
                    f'take reduction="none" ({error}); use a loss of nn or nn.functional'
                ) from error

    def per_row(outputs: Any, targets: Any) -> Any:
        losses = each(outputs, targets)
        if losses.ndim == 0 or losses.shape[0] != len(targets):
            raise KindError(f"row weights need one loss per row; this loss gave shape {tuple(losses.shape)}")
        return losses.reshape(len(targets), -1).mean(1) if losses.ndim > 1 else losses

    return per_row


def weighted_mean(losses: Any, weights: Any) -> Any:
    """Σ w·l / Σ w; a batch of rows that all weigh nothing has loss 0."""
    total = float(weights.sum().item())
    return (losses * weights).sum() / (total if total else 1.0)
