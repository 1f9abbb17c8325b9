"""Categorical and Bernoulli: by probabilities or by logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..creation import rand
from ..errors import InputError
from ..kernels import K
from ..nn import functional as F
from ..ops import sigmoid
from ..tensor import Tensor
from .distribution import Distribution, Shape, as_value, parameters


def one_of(probs: Any, logits: Any, name: str) -> None:
    """InputError unless exactly one is given."""
    if (probs is None) == (logits is None):
        raise InputError(f"{name}: give either probs or logits, not both")


class Categorical(Distribution):
    """One of C classes, by `probs` (…, C), which are divided by their sum, or by `logits` (…, C)."""

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        one_of(probs, logits, "Categorical")
        given = probs if probs is not None else logits
        if given.ndim < 1:
            raise InputError("Categorical: probs or logits need a last dimension of classes")
        super().__init__(given.shape[:-1], (), validate_args)
        self._num_events = given.shape[-1]
        if probs is not None:
            self._require((probs >= 0) & (probs.sum(-1, keepdim=True) > 0), "probs must be ≥ 0, with a sum above 0")
            self.probs = probs / probs.sum(-1, keepdim=True)
            tiny = float(np.finfo(probs.dtype).eps)
            self.logits = self.probs.clamp(tiny, 1 - tiny).log()
        else:
            self._require(logits == logits, "logits are NaN somewhere")
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
            self.probs = F.softmax(self.logits, -1)

    arg_names = ("logits",)

    def _tail(self, name: str) -> Shape:
        return (self._num_events,)

    def sample(self, sample_shape: Any = ()) -> Any:
        """Class numbers (int64) of shape sample_shape + batch_shape: the first whose cumulative sum exceeds u."""
        shape = self._shape(sample_shape)
        u = rand((*shape, 1), dtype=np.float64)._array
        p = K.cast(self.probs.detach()._array, np.dtype(np.float64))
        bounds = np.cumsum(p, axis=-1)
        chosen = (u * bounds[..., -1:] >= bounds).sum(-1)
        return Tensor._wrap(np.asarray(np.minimum(chosen, self._num_events - 1), np.int64))

    def log_prob(self, value: Any) -> Any:
        value = as_value(value)
        self._require((value >= 0) & (value < self._num_events), f"the value is no class of 0 … {self._num_events - 1}")
        index = value.long()
        shape = np.broadcast_shapes(index.shape, self.batch_shape)
        table = self.logits.expand(*shape, self._num_events)
        return table.gather(-1, index.expand(*shape).unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Any:
        lowest = float(np.finfo(self.logits.dtype).min)
        return -(self.probs * self.logits.clamp(min=lowest)).sum(-1)

    @property
    def param_shape(self) -> Shape:
        """The shape of probs and logits."""
        return tuple(self.logits.shape)

    @property
    def mode(self) -> Any:
        """The most probable class."""
        return self.probs.argmax(-1)

    @property
    def mean(self) -> Any:
        """NaN: classes have no order."""
        return self.logits[..., 0].detach() * float("nan")

    variance = mean

    def __repr__(self) -> str:
        return f"Categorical(logits: {self.logits.shape})"


class Bernoulli(Distribution):
    """1 with probability `probs` (or sigmoid(`logits`)), else 0."""

    arg_names = ("logits",)

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        one_of(probs, logits, "Bernoulli")
        (given,) = parameters(probs if probs is not None else logits)
        super().__init__(given.shape, (), validate_args)
        if probs is not None:
            self._require((given >= 0) & (given <= 1), "probs must lie in [0, 1]")
            tiny = float(np.finfo(given.dtype).eps)
            kept = given.clamp(tiny, 1 - tiny)
            self.probs, self.logits = given, kept.log() - (-kept).log1p()
        else:
            self._require(given == given, "logits are NaN somewhere")
            self.probs, self.logits = sigmoid(given), given

    def sample(self, sample_shape: Any = ()) -> Any:
        """Zeros and ones of the parameters' dtype."""
        u = rand(self._shape(sample_shape), dtype=self.probs.dtype)
        return (u < self.probs.detach()).to(self.probs.dtype)

    def log_prob(self, value: Any) -> Any:
        value = as_value(value)
        self._require((value == 0) | (value == 1), "the value is neither 0 nor 1")
        value = value.to(self.logits.dtype)
        return value * self.logits - F.softplus(self.logits)

    def entropy(self) -> Any:
        return F.softplus(self.logits) - self.logits * self.probs

    @property
    def mean(self) -> Any:
        return self.probs

    @property
    def variance(self) -> Any:
        return self.probs * (1 - self.probs)
