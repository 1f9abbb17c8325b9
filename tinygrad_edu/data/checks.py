"""Bad data, said before training starts: empty, not finite, labels that are none."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError, KindError
from .dataset import as_tensor


def check_finite(values: Any, name: str = "X") -> None:
    """Raise ValueError if `values` has no rows, or NaN or infinity anywhere; the message says where first."""
    array = as_tensor(values)._array
    if array.ndim == 0 or array.shape[0] == 0:
        raise InputError(f"{name} is empty (shape {tuple(array.shape)}); there is nothing to learn from")
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    bad = ~np.isfinite(array)
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    rows = int(bad.reshape(len(array), -1).any(axis=1).sum())
    raise InputError(
        f"{name} has {array[place]} at {list(place)}, and {rows} of {len(array)} rows are not finite; "
        f"drop those rows (X[np.isfinite(X).all(1)]) or fill them in before training"
    )


def check_labels(labels: Any, classes: int | None = None, name: str = "y") -> int:
    """Check class labels 0 … classes−1 and return the number of classes.

    Raises TypeError for labels that are no integers, ValueError for a wrong shape, no labels, or one out of range.
    """
    array = as_tensor(labels)._array
    if array.dtype.kind not in "iu":
        raise KindError(f"{name}: class labels must be integers, not {array.dtype}; use y.astype(np.int64)")
    if array.ndim != 1:
        raise InputError(f"{name}: labels of shape {tuple(array.shape)}; one number per row is wanted (y.argmax(1)?)")
    if array.size == 0:
        raise InputError(f"{name} is empty: there is nothing to learn from")
    low, high = int(array.min()), int(array.max())
    if low < 0 or (classes is not None and high >= classes):
        wrong = low if low < 0 else high
        allowed = f"0 … {classes - 1}" if classes is not None else "0, 1, 2, …"
        row = int(np.flatnonzero(array == wrong)[0])
        raise InputError(
            f"{name}: label {wrong} in row {row}; labels must be {allowed} "
            f"(np.unique(y, return_inverse=True)[1] numbers any labels so)"
        )
    return classes if classes is not None else high + 1
