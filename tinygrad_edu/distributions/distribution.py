"""`Distribution`: shapes and the methods that all distributions share; `Independent`: dimensions taken together."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import no_grad
from ..creation import as_tensor, tensor
from ..errors import InputError, KindError
from ..tensor import Tensor

Shape = tuple[int, ...]


def parameters(*values: Any) -> list[Any]:
    """Numbers and tensors as tensors of one shape (the batch) and one float dtype."""
    known = [v for v in values if isinstance(v, Tensor)]
    dtype = np.result_type(*[v.dtype for v in known if v.dtype.kind == "f"]) if known else np.dtype(np.float32)
    made = [v if isinstance(v, Tensor) else tensor(v, dtype=dtype) for v in values]
    shape = np.broadcast_shapes(*[v.shape for v in made])
    return [v.expand(*shape) if v.shape != shape else v for v in made]


class Distribution:
    """The base: a batch of distributions (`batch_shape`) over values of `event_shape`.

    `sample(sample_shape)` and `rsample` (differentiable) have the shape sample_shape + batch_shape + event_shape;
    `log_prob(value)` and `entropy()` have one number for each event. Parameters outside their range, and values
    outside the support, raise ValueError unless `validate_args=False`. Random numbers come from the default generator.
    """

    has_rsample = False
    arg_names: tuple[str, ...] = ()  # the parameters, as attributes

    def __init__(self, batch_shape: Shape = (), event_shape: Shape = (), validate_args: bool | None = None) -> None:
        self.batch_shape, self.event_shape = tuple(batch_shape), tuple(event_shape)
        self._validate = validate_args is not False

    def _require(self, good: Any, what: str) -> None:
        """InputError (a ValueError) unless `good` holds for all entries, NaN counting as bad."""
        if self._validate and not bool(good.all()):
            raise InputError(f"{type(self).__name__}: {what}")

    def _shape(self, sample_shape: Any = ()) -> Shape:
        return (*tuple(sample_shape), *self.batch_shape, *self.event_shape)

    def sample(self, sample_shape: Any = ()) -> Any:
        """Random values, outside the graph."""
        with no_grad():
            return self.rsample(sample_shape).detach()

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Random values as a differentiable function of the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no differentiable samples; use sample()")

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the density or probability of `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def entropy(self) -> Any:
        """Minus the expected log_prob."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy")

    def cdf(self, value: Any) -> Any:
        """The probability of at most `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def expand(self, batch_shape: Any) -> Any:
        """The same distributions with a larger batch shape."""
        shape = tuple(batch_shape)
        made = {name: getattr(self, name).expand(*shape, *self._tail(name)) for name in self.arg_names}
        return type(self)(**made, validate_args=self._validate)

    def _tail(self, name: str) -> Shape:
        """The dimensions of a parameter behind the batch's."""
        return ()

    @property
    def mean(self) -> Any:
        """The expected value."""
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    @property
    def variance(self) -> Any:
        """The variance."""
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def stddev(self) -> Any:
        """The standard deviation."""
        return self.variance.sqrt()

    def perplexity(self) -> Any:
        """e^entropy."""
        return self.entropy().exp()

    def __repr__(self) -> str:
        shown = [(name, getattr(self, name)) for name in self.arg_names]
        text = ", ".join(f"{name}: {v if v.ndim == 0 else v.shape}" for name, v in shown)
        return f"{type(self).__name__}({text})"


def as_value(value: Any) -> Any:
    """A value as a tensor; TypeError for what is none."""
    if not isinstance(value, Tensor):
        try:
            return as_tensor(value)
        except (TypeError, ValueError):
            raise KindError(f"log_prob: the value is a {type(value).__name__}, not a tensor") from None
    return value


class Independent(Distribution):
    """The last `reinterpreted_batch_ndims` dimensions of a batch as one event: their log-probabilities add up."""

    def __init__(self, base_distribution: Distribution, reinterpreted_batch_ndims: int,
                 validate_args: bool | None = None) -> None:  # fmt: skip
        shape, count = base_distribution.batch_shape, reinterpreted_batch_ndims
        if not 0 <= count <= len(shape):
            raise InputError(f"Independent: {count} dimensions wanted of the batch shape {shape}")
        split = len(shape) - count
        super().__init__(shape[:split], shape[split:] + base_distribution.event_shape, validate_args)
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, count
        self.has_rsample = base_distribution.has_rsample

    def _summed(self, value: Any) -> Any:
        count = self.reinterpreted_batch_ndims
        return value.sum(tuple(range(-count, 0))) if count else value

    def sample(self, sample_shape: Any = ()) -> Any:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Any) -> Any:
        return self._summed(self.base_dist.log_prob(value))

    def entropy(self) -> Any:
        return self._summed(self.base_dist.entropy())

    def expand(self, batch_shape: Any) -> Any:
        inner = tuple(batch_shape) + self.base_dist.batch_shape[len(self.batch_shape) :]
        return Independent(self.base_dist.expand(inner), self.reinterpreted_batch_ndims)

    @property
    def mean(self) -> Any:
        return self.base_dist.mean

    @property
    def variance(self) -> Any:
        return self.base_dist.variance

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"
