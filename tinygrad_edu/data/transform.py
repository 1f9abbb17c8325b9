"""`Standardize`: every column to mean 0 and deviation 1, by what the training rows say."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..tensor import Tensor
from .checks import check_finite


class Standardize:
    """z = (x − mean) / deviation, column by column; mean and deviation come from the rows given to `fit`.

    Fit it on the training rows alone: statistics of the test rows in the input are knowledge of the test set. Constant
    columns have no deviation; they become 0, and `constant` lists them. Arrays in, arrays out; tensors in, tensors out;
    floating dtypes are kept, integers become float32. Statistics are float64.
    """

    def __init__(self) -> None:
        self.mean: np.ndarray | None = None
        self.scale: np.ndarray | None = None
        self.constant: list[int] = []

    def fit(self, rows: Any) -> Standardize:
        """Learn mean and deviation from `rows`, shape (n, …). ValueError if empty or not finite."""
        check_finite(rows, "Standardize.fit: the data")
        array = _array(rows).astype(np.float64)
        self.mean = array.mean(axis=0)
        # Rounding leaves a constant column a deviation of about 1e-17: take it as constant by its values.
        constant = (array == array[0]).all(axis=0)
        self.scale = np.where(constant, 1.0, array.std(axis=0))
        self.mean = np.where(constant, array[0], self.mean)
        self.constant = [int(i) for i in np.flatnonzero(constant)]
        return self

    def transform(self, rows: Any) -> Any:
        """Standardise `rows` with what `fit` learned."""
        mean, scale, array = self._ready("transform", rows)
        return _like(rows, array, (array - mean) / scale)

    __call__ = transform

    def fit_transform(self, rows: Any) -> Any:
        """`fit(rows)`, then `transform(rows)`."""
        return self.fit(rows).transform(rows)

    def inverse_transform(self, rows: Any) -> Any:
        """Back to the original units."""
        mean, scale, array = self._ready("inverse_transform", rows)
        return _like(rows, array, array * scale + mean)

    def _ready(self, what: str, rows: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self.mean is None or self.scale is None:
            raise InputError(f"Standardize.{what} before fit: call fit(X_train) first, with the training rows only")
        array = _array(rows)
        if array.shape[1:] != self.mean.shape:
            raise InputError(
                f"Standardize.{what}: rows of shape {array.shape[1:]}, but fit saw rows of shape {self.mean.shape}; "
                f"a single row x is x[None]"
            )
        return self.mean, self.scale, array

    def state_dict(self) -> dict[str, Any]:
        """Mean, deviation and constant columns, as lists (JSON-able)."""
        if self.mean is None or self.scale is None:
            return {}
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist(), "constant": list(self.constant)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict()` gave."""
        self.mean = np.asarray(state["mean"], dtype=np.float64) if state else None
        self.scale = np.asarray(state["scale"], dtype=np.float64) if state else None
        self.constant = list(state["constant"]) if state else []

    def __repr__(self) -> str:
        return "Standardize(not fitted)" if self.mean is None else f"Standardize({self.mean.size} columns)"


def _array(rows: Any) -> np.ndarray:
    return rows._array if isinstance(rows, Tensor) else np.asarray(rows)


def _like(rows: Any, before: np.ndarray, after: np.ndarray) -> Any:
    after = after.astype(before.dtype if before.dtype.kind == "f" else np.float32)
    return Tensor._wrap(after) if isinstance(rows, Tensor) else after
