"""Activations as modules; the mathematics is in `functional` and `ops.activation`."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..creation import empty
from ..errors import InputError
from . import functional as F
from .init import constant_
from .module import Module
from .parameter import Parameter


class _Activation(Module):
    """Takes PyTorch's `inplace`, and computes into new memory either way: the result is the same."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Whether it was asked to work in place."""
        return "inplace=True" if self.inplace else ""


class ReLU(_Activation):
    """max(x, 0)."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return ops.relu(input)


class Sigmoid(Module):
    """1/(1 + e⁻ˣ)."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return ops.sigmoid(input)


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return ops.tanh(input)


class SiLU(_Activation):
    """x·sigmoid(x)."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return ops.silu(input)


class LeakyReLU(_Activation):
    """x where x > 0, else negative_slope·x."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return ops.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class RReLU(_Activation):
    """x where x ≥ 0, else slope·x; slopes drawn from [lower, upper) in training, else their mean."""

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.lower, self.upper = lower, upper

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.rrelu(input, self.lower, self.upper, self.training)

    def extra_repr(self) -> str:
        """The bounds."""
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class GELU(Module):
    """x·Φ(x); `approximate` "none" or "tanh"."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return ops.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """The form."""
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """ln(1 + e^{beta·x})/beta, x itself where beta·x > threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return ops.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """The constants."""
        return f"beta={self.beta}, threshold={self.threshold}"


class ELU(_Activation):
    """x where x > 0, else alpha·(eˣ − 1)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return ops.elu(input, self.alpha)

    def extra_repr(self) -> str:
        """The constant."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class Softmax(Module):
    """eˣ/Σeˣ along `dim`."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """ln softmax along `dim`."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.log_softmax(input, self.dim)


class Softmin(Softmax):
    """e⁻ˣ/Σe⁻ˣ along `dim`."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.softmin(input, self.dim)


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Any) -> Any:
        """An image, or a batch of them."""
        if input.ndim not in (3, 4):
            raise ops.ShapeError(f"Softmax2d: an image is (N, C, H, W) or (C, H, W), not {tuple(input.shape)}")
        return ops.softmax(input, -3)


class Hardtanh(_Activation):
    """x limited to [min_val, max_val]."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False,
                 min_value: float | None = None, max_value: float | None = None) -> None:  # fmt: skip
        super().__init__(inplace)
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        if not self.min_val < self.max_val:
            raise InputError(f"Hardtanh: min_val {self.min_val} must be below max_val {self.max_val}")

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.hardtanh(input, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        """The limits."""
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class ReLU6(_Activation):
    """x limited to [0, 6]."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.relu6(input)


class Hardsigmoid(Module):
    """The line (x + 3)/6 limited to [0, 1]."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.hardsigmoid(input)


class Hardswish(Hardsigmoid):
    """x·hardsigmoid(x). Howard et al. 2019."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.hardswish(input)


class CELU(_Activation):
    """x where x > 0, else alpha·(e^{x/alpha} − 1). Barron 2017."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.celu(input, self.alpha)

    def extra_repr(self) -> str:
        """The constant."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class SELU(_Activation):
    """λ·elu(x, α) with the constants that keep mean 0 and variance 1. Klambauer et al. 2017."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.selu(input)


class Mish(_Activation):
    """x·tanh(softplus(x)). Misra 2019."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.mish(input)


class Softsign(Module):
    """x/(1 + |x|)."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.softsign(input)


class LogSigmoid(Module):
    """ln sigmoid(x)."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.logsigmoid(input)


class Tanhshrink(Module):
    """x − tanh x."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.tanhshrink(input)


class Softshrink(Module):
    """x moved towards 0 by lambd; 0 where |x| ≤ lambd."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The width."""
        return str(self.lambd)


class Hardshrink(Softshrink):
    """x; 0 where |x| ≤ lambd."""

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.hardshrink(input, self.lambd)


class Threshold(_Activation):
    """x where x > threshold, else value."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold, self.value = threshold, value

    def forward(self, input: Any) -> Any:
        """Any shape."""
        return F.threshold(input, self.threshold, self.value)

    def extra_repr(self) -> str:
        """The constants."""
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class GLU(Module):
    """a·sigmoid(b) for the two halves a, b of x along `dim`. Dauphin et al. 2017."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """(…, 2n, …) → (…, n, …)."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"


class PReLU(Module):
    """x where x > 0, else weight·x, with a learned weight (num_parameters,): one, or one a channel. He et al. 2015."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(empty(num_parameters, dtype=dtype, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All weights at their first value."""
        constant_(self.weight, self.init)

    def forward(self, input: Any) -> Any:
        """(N, C, …), or any shape with one weight."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """How many weights."""
        return f"num_parameters={self.num_parameters}"
