"""scikit-learn estimators on this library: `Classifier().fit(X, y).score(X, y)`. Needs scikit-learn.

They pass `sklearn.utils.estimator_checks.check_estimator` without exceptions, so that GridSearchCV, Pipeline and
PredefinedSplit just work. Every one is a network of linear layers with ReLU between them, trained by `Trainer`.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

try:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        RegressorMixin,
        TransformerMixin,
    )
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("the estimators need scikit-learn: pip install 'tinygrad_edu[sklearn]'") from error

from .. import nn, optim
from ..autograd import no_grad
from ..data import DataLoader, TensorDataset
from ..random import default_generator, manual_seed
from ..train import EarlyStopping, Trainer

F = nn.functional


def network(sizes: list[int]) -> nn.Sequential:
    """Linear layers of these sizes with ReLU between them."""
    layers: list[nn.Module] = []
    for i, o in itertools.pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def run(model: Any, x: np.ndarray) -> np.ndarray:
    """The outputs of a model for the rows of x, in float64."""
    model.eval()
    with no_grad():
        return np.concatenate([model(xb).numpy() for (xb,) in DataLoader(TensorDataset(x), 1024)]).astype(np.float64)


class _Network(BaseEstimator):  # type: ignore[misc]
    """What the three share: hyperparameters, standardised inputs, training, and a forward pass.

    Parameters
    ----------
    hidden : tuple of int
        Units of each hidden layer; () for a linear model.
    lr : float
        Learning rate of Adam.
    epochs : int
        Passes over the rows.
    batch_size : int
        Rows of one update.
    weight_decay : float
        Of AdamW, decoupled.
    patience : int or None
        With a number, a tenth of the rows is set aside, and training stops when their loss has not improved for so
        many epochs; the best weights are kept.
    dtype : "float32" or "float64"
        Of parameters and arithmetic.
    random_state : int, RandomState or None
        Initial values and order of the rows. The library's own generator is left as it was.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (64,),
        lr: float = 1e-2,
        epochs: int = 100,
        batch_size: int = 200,
        weight_decay: float = 0.0,
        patience: int | None = None,
        dtype: str = "float64",
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.patience = patience
        self.dtype = dtype
        self.random_state = random_state

    def _train(self, X: np.ndarray, targets: np.ndarray, parts: list[list[int]], loss: Any, weights: Any) -> None:
        """Fit networks of the sizes `parts`, one after the other, to the rows.

        Sets `model_`, `history_`, `n_iter_`, and the scaling of the inputs, `mean_` and `scale_`.
        """
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f'dtype is {self.dtype!r}; it can be "float32" or "float64"')
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        share = np.ones(len(X)) if weights is None else weights
        total = share.sum()
        self.mean_ = share @ X / total
        variance = share @ (X - self.mean_) ** 2 / total
        self.scale_ = np.where(variance > 0, np.sqrt(variance), 1.0)
        before = default_generator.get_state()
        try:
            manual_seed(seed)
            model = nn.Sequential(*[network(sizes) for sizes in parts]).to(self.dtype)
            optimizer = optim.AdamW(model.parameters(), lr=self.lr, weight_decay=self.weight_decay)
            callbacks = [] if self.patience is None else [EarlyStopping("val_loss", patience=self.patience)]
            trainer = Trainer(model, loss, optimizer, callbacks=callbacks, seed=seed, record="none", progress="none")
            self.history_ = trainer.fit(
                TensorDataset(self._scaled(X), targets),
                epochs=int(self.epochs),
                val=None if self.patience is None else 0.1,
                batch_size=int(self.batch_size),
                sample_weight=weights,
            ).to_dict()
        finally:
            default_generator.set_state(before)
        self.model_ = model
        self.n_iter_ = max(1, len(self.history_.get("epoch", [])))

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray((X - self.mean_) / self.scale_, dtype=self.dtype)

    def _outputs(self, X: Any, part: Any = None) -> np.ndarray:
        """The outputs (N, O) in float64 of the whole network, or a part, for rows that nobody has looked at yet."""
        check_is_fitted(self, "model_")
        X = validate_data(self, X, reset=False)
        return run(self.model_ if part is None else self.model_[part], self._scaled(X))


class Classifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A network that tells classes apart, trained with cross-entropy. See `_Network` for the parameters."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Classifier:
        """Learn from rows X (N, D) and labels y (N,) of any kind; `sample_weight` (N,) says how much each counts."""
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if weights is not None:
            kept = np.unique(labels[weights > 0])
            if len(kept) < 2 <= len(self.classes_):
                raise ValueError("all rows of nonzero weight are of one class: nothing is to be told apart")
        sizes = [X.shape[1], *self.hidden, max(2, len(self.classes_))]
        self._train(X, labels.astype(np.int64), [sizes], F.cross_entropy, weights)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores (N, C); of two classes, how much more the second scores, (N,)."""
        scores = self._outputs(X)[:, : max(1, len(self.classes_))]
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (N, C), in the order of `classes_`."""
        check_is_fitted(self, "model_")
        scores = self._outputs(X)[:, : len(self.classes_)]
        shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each row."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])


class Regressor(RegressorMixin, _Network):  # type: ignore[misc]
    """A network that predicts a number, trained with the squared error. See `_Network` for the parameters."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Regressor:
        """Learn from rows X (N, D) and numbers y (N,); `sample_weight` (N,) says how much each counts."""
        X, y = validate_data(self, X, y, y_numeric=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
        y = np.asarray(y, np.float64)
        share = np.ones(len(y)) if weights is None else weights
        self.y_mean_ = float(share @ y / share.sum())
        spread = float(np.sqrt(share @ (y - self.y_mean_) ** 2 / share.sum()))
        self.y_scale_ = spread if spread > 0 else 1.0
        targets = ((y - self.y_mean_) / self.y_scale_)[:, None].astype(self.dtype)
        self._train(X, targets, [[X.shape[1], *self.hidden, 1]], F.mse_loss, weights)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """One number per row, in the units of y."""
        return self._outputs(X)[:, 0] * self.y_scale_ + self.y_mean_


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Network):  # type: ignore[misc]
    """A network that writes each row as `code` numbers from which it can be restored: no labels are needed.

    `hidden` are the units between the row and its code, in reverse order on the way back; () gives a linear
    autoencoder, whose codes span the same space as the first principal components.
    """

    def __init__(
        self,
        code: int = 2,
        hidden: tuple[int, ...] = (),
        lr: float = 1e-2,
        epochs: int = 100,
        batch_size: int = 200,
        weight_decay: float = 0.0,
        patience: int | None = None,
        dtype: str = "float64",
        random_state: Any = None,
    ) -> None:
        super().__init__(hidden, lr, epochs, batch_size, weight_decay, patience, dtype, random_state)
        self.code = code

    def fit(self, X: Any, y: Any = None) -> Autoencoder:
        """Learn from rows X (N, D); `y` is ignored."""
        X = validate_data(self, X)
        if self.code < 1:
            raise ValueError(f"code is {self.code}; it must be at least 1")
        sizes = [X.shape[1], *self.hidden, self.code]
        spread = X.std(0)
        targets = ((X - X.mean(0)) / np.where(spread > 0, spread, 1.0)).astype(self.dtype)
        self._train(X, targets, [sizes, sizes[::-1]], F.mse_loss, None)
        return self

    @property
    def _n_features_out(self) -> int:
        return self.code

    def transform(self, X: Any) -> np.ndarray:
        """The code of each row, (N, code)."""
        return self._outputs(X, part=0)

    def inverse_transform(self, codes: Any) -> np.ndarray:
        """Rows (N, D), in the units of X, from codes (N, code)."""
        check_is_fitted(self, "model_")
        codes = np.asarray(codes, dtype=self.dtype)
        if codes.ndim != 2 or codes.shape[1] != self.code:
            raise ValueError(f"inverse_transform: codes have shape {codes.shape}; (rows, {self.code}) is wanted")
        return np.asarray(run(self.model_[1], codes) * self.scale_ + self.mean_)

    def reconstruction_error(self, X: Any) -> float:
        """The mean squared difference between the rows and what is restored from their codes."""
        X = np.asarray(X)
        return float(np.mean((self.inverse_transform(self.transform(X)) - X) ** 2))
