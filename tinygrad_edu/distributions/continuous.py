"""Normal, Laplace, Uniform and Exponential: a formula for each quantity."""

from __future__ import annotations

import math
from typing import Any

from ..creation import rand, randn
from ..ops import erf, where
from .distribution import Distribution, as_value, parameters


def open_uniform(shape: tuple[int, ...], dtype: Any) -> Any:
    """Uniform in (0, 1): the middles of the 2²⁴ intervals that `rand` chooses from."""
    return rand(shape, dtype=dtype) + 2.0**-25


class Normal(Distribution):
    """The normal distribution with mean `loc` and standard deviation `scale` > 0."""

    has_rsample = True
    arg_names = ("loc", "scale")

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = parameters(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)
        self._require(self.loc == self.loc, "loc is NaN somewhere")
        self._require(self.scale > 0, "scale must be above 0 everywhere")

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.loc + self.scale * randn(self._shape(sample_shape), dtype=self.loc.dtype)

    def log_prob(self, value: Any) -> Any:
        value = as_value(value)
        self._require(value == value, "the value is NaN somewhere")
        z = (value - self.loc) / self.scale
        return -0.5 * z * z - self.scale.log() - 0.5 * math.log(2 * math.pi)

    def entropy(self) -> Any:
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()

    def cdf(self, value: Any) -> Any:
        return 0.5 * (1 + erf((as_value(value) - self.loc) / (self.scale * math.sqrt(2))))

    @property
    def mean(self) -> Any:
        return self.loc

    mode = mean

    @property
    def stddev(self) -> Any:
        return self.scale

    @property
    def variance(self) -> Any:
        return self.scale * self.scale


class Laplace(Distribution):
    """The double exponential distribution around `loc` with `scale` > 0."""

    has_rsample = True
    arg_names = ("loc", "scale")

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = parameters(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)
        self._require(self.scale > 0, "scale must be above 0 everywhere")

    def rsample(self, sample_shape: Any = ()) -> Any:
        u = 2 * open_uniform(self._shape(sample_shape), self.loc.dtype) - 1
        return self.loc - self.scale * u.sign() * (1 - u.abs()).log()

    def log_prob(self, value: Any) -> Any:
        return -(2 * self.scale).log() - (as_value(value) - self.loc).abs() / self.scale

    def entropy(self) -> Any:
        return 1 + (2 * self.scale).log()

    def cdf(self, value: Any) -> Any:
        z = (as_value(value) - self.loc) / self.scale
        return 0.5 + 0.5 * z.sign() * (1 - (-z.abs()).exp())

    @property
    def mean(self) -> Any:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Any:
        return 2 * self.scale * self.scale


class Uniform(Distribution):
    """Uniform in [low, high)."""

    has_rsample = True
    arg_names = ("low", "high")

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = parameters(low, high)
        super().__init__(self.low.shape, (), validate_args)
        self._require(self.low < self.high, "low must be below high everywhere")

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.low + (self.high - self.low) * rand(self._shape(sample_shape), dtype=self.low.dtype)

    def log_prob(self, value: Any) -> Any:
        value = as_value(value)
        inside = (value >= self.low) & (value < self.high)
        self._require((value >= self.low) & (value <= self.high), "the value is outside [low, high]")
        density = -(self.high - self.low).log() + 0 * value
        return where(inside, density, density - math.inf)

    def entropy(self) -> Any:
        return (self.high - self.low).log()

    def cdf(self, value: Any) -> Any:
        return ((as_value(value) - self.low) / (self.high - self.low)).clamp(0, 1)

    @property
    def mean(self) -> Any:
        return (self.low + self.high) / 2

    @property
    def variance(self) -> Any:
        width = self.high - self.low
        return width * width / 12


class Exponential(Distribution):
    """Waiting times at `rate` > 0 per unit."""

    has_rsample = True
    arg_names = ("rate",)

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = parameters(rate)
        super().__init__(self.rate.shape, (), validate_args)
        self._require(self.rate > 0, "rate must be above 0 everywhere")

    def rsample(self, sample_shape: Any = ()) -> Any:
        return -open_uniform(self._shape(sample_shape), self.rate.dtype).log() / self.rate

    def log_prob(self, value: Any) -> Any:
        value = as_value(value)
        self._require(value >= 0, "the value is below 0")
        return self.rate.log() - self.rate * value

    def entropy(self) -> Any:
        return 1 - self.rate.log()

    def cdf(self, value: Any) -> Any:
        return 1 - (-self.rate * as_value(value)).exp()

    @property
    def mean(self) -> Any:
        return 1 / self.rate

    @property
    def variance(self) -> Any:
        return 1 / (self.rate * self.rate)
