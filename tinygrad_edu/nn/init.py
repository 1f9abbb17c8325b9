"""Initialisation: fill a tensor in place from the init stream of a generator.

Glorot & Bengio 2010 ("xavier"), He et al. 2015 ("kaiming"), Saxe et al. 2014 ("orthogonal").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import InputError, KindError
from ..kernels import K
from ..random import Generator, default_generator


def _fill(tensor: Any, values: Any) -> Any:
    if tensor.dtype.kind != "f":
        raise KindError(f"init: a tensor of {tensor.dtype} cannot hold random or real numbers; use a float dtype")
    K.copy(np.asarray(values, tensor.dtype), out=tensor._array)
    tensor._bump()
    return tensor


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Any:
    """Uniform in [a, b)."""
    return _fill(tensor, (generator or default_generator).uniform(tensor.shape, a, b, tensor.dtype))


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Any:
    """Normal with the given mean and standard deviation."""
    return _fill(tensor, (generator or default_generator).normal(tensor.shape, mean, std, tensor.dtype))


def constant_(tensor: Any, val: float) -> Any:
    """One number everywhere."""
    return _fill(tensor, np.full(tensor.shape, val))


def zeros_(tensor: Any) -> Any:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Any) -> Any:
    """Ones."""
    return constant_(tensor, 1.0)


def eye_(tensor: Any) -> Any:
    """Ones on the diagonal of a matrix, zeros elsewhere."""
    if tensor.ndim != 2:
        raise InputError(f"eye_: a matrix is needed, not shape {tensor.shape}")
    return _fill(tensor, np.eye(*tensor.shape))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance of a signal through a nonlinearity."""
    if nonlinearity in ("linear", "sigmoid", *[f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)]):
        return 1.0
    gains = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in gains:
        raise InputError(f"calculate_gain: {nonlinearity!r} is unknown; choose linear, leaky_relu or one of {[*gains]}")
    return gains[nonlinearity]


def fans(tensor: Any) -> tuple[int, int]:
    """(inputs, outputs) of a weight (out, in, …): what one output sums over, what one input reaches."""
    if tensor.ndim < 2:
        raise InputError(f"init: fan-in and fan-out need at least two dimensions, not shape {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Generator | None = None) -> Any:
    """Uniform in ±gain·√(6/(in + out))."""
    bound = gain * math.sqrt(6 / max(sum(fans(tensor)), 1))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Generator | None = None) -> Any:
    """Normal with standard deviation gain·√(2/(in + out))."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / max(sum(fans(tensor)), 1)), generator)


def _kaiming_std(tensor: Any, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise InputError(f'kaiming: mode is {mode!r}; it can be "fan_in" or "fan_out"')
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fans(tensor)[mode == "fan_out"], 1))


def kaiming_uniform_(tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                     generator: Generator | None = None) -> Any:  # fmt: skip
    """Uniform with standard deviation gain/√fan."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                    generator: Generator | None = None) -> Any:  # fmt: skip
    """Normal with standard deviation gain/√fan."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Any, gain: float = 1, generator: Generator | None = None) -> Any:
    """A (semi-)orthogonal matrix times gain: the Q of a random normal matrix, its signs made unique."""
    if tensor.ndim < 2:
        raise InputError(f"orthogonal_: at least two dimensions are needed, not shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    flat = (generator or default_generator).normal((max(rows, columns), min(rows, columns)), 0.0, 1.0, np.float64)
    q, r = np.linalg.qr(flat)
    q = q * np.sign(np.diag(r))
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def trunc_normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
                  generator: Generator | None = None) -> Any:  # fmt: skip
    """Normal, but within [a, b]: numbers outside are drawn again."""
    if not a < b:
        raise InputError(f"trunc_normal_: a = {a} must be below b = {b}")
    inside = 0.5 * (math.erf((b - mean) / std / math.sqrt(2)) - math.erf((a - mean) / std / math.sqrt(2)))
    if not inside > 1e-6:
        raise InputError(f"trunc_normal_: [{a}, {b}] is too far from the mean {mean} for a standard deviation of {std}")
    values = (generator or default_generator).normal(tensor.shape, mean, std, np.float64)
    outside = (values < a) | (values > b)
    while outside.any():
        values[outside] = (generator or default_generator).normal((int(outside.sum()),), mean, std, np.float64)
        outside = (values < a) | (values > b)
    return _fill(tensor, np.clip(np.asarray(values, tensor.dtype), a, b))


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """A convolution's weight that hands its input channels through, as many as fit: a 1 in the middle of the window."""
    if tensor.ndim not in (3, 4, 5):
        raise InputError(f"dirac_: the weight of a convolution has 3 to 5 dimensions, not shape {tensor.shape}")
    outputs, inputs = tensor.shape[0], tensor.shape[1]
    if outputs % groups:
        raise InputError(f"dirac_: groups={groups} must divide the {outputs} output channels")
    values, middle = np.zeros(tensor.shape), tuple([n // 2 for n in tensor.shape[2:]])
    for group in range(groups):
        for channel in range(min(outputs // groups, inputs)):
            values[(group * (outputs // groups) + channel, channel, *middle)] = 1
    return _fill(tensor, values)


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Any:
    """A matrix of normal numbers, a share `sparsity` of each column set to zero. Martens 2010."""
    if tensor.ndim != 2:
        raise InputError(f"sparse_: a matrix is needed, not shape {tensor.shape}")
    rows, columns = tensor.shape
    source = generator or default_generator
    values = source.normal((rows, columns), 0.0, std, np.float64)
    for column in range(columns):
        values[source.permutation(rows, "init")[: math.ceil(sparsity * rows)], column] = 0
    return _fill(tensor, values)


_calculate_fan_in_and_fan_out = fans  # the name by which PyTorch programs reach it
