"""Pools over windows: the largest entry, the mean, or as many windows as asked for."""

from __future__ import annotations

from typing import Any

from .. import ops
from . import functional as F
from .module import Module


class _MaxPool(Module):
    """The largest entry of each window; with `return_indices` also its position in the flattened plane."""

    d = 0

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
                 return_indices: bool = False, ceil_mode: bool = False) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.return_indices, self.ceil_mode = padding, dilation, return_indices, ceil_mode

    def forward(self, input: Any) -> Any:
        """(N, C, …) or (C, …) → fewer entries."""
        y, indices = ops.max_pool(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.d
        )
        return (y, indices) if self.return_indices else y

    def extra_repr(self) -> str:
        """The windows."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest entry of each window of (N, C, L); a window of −inf padding around the input never wins."""

    d = 1


class MaxPool2d(_MaxPool):
    """The largest entry of each window of (N, C, H, W)."""

    d = 2


class MaxPool3d(_MaxPool):
    """The largest entry of each window of (N, C, D, H, W)."""

    d = 3


class _MaxUnpool(Module):
    d = 0

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = ops.per_dimension(kernel_size, self.d, name, "kernel_size", 1)
        self.stride = ops.per_dimension(kernel_size if stride is None else stride, self.d, name, "stride", 1)
        self.padding = ops.per_dimension(padding, self.d, name, "padding", 0)

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        """What a pool gave, and its indices → its input's shape, zeros elsewhere."""
        unpool = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[self.d - 1]
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        """The windows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Puts the entries of a `MaxPool1d(…, return_indices=True)` back where they were."""

    d = 1


class MaxUnpool2d(_MaxUnpool):
    """Puts the entries of a `MaxPool2d(…, return_indices=True)` back where they were."""

    d = 2


class MaxUnpool3d(_MaxUnpool):
    """Puts the entries of a `MaxPool3d(…, return_indices=True)` back where they were."""

    d = 3


class _AvgPool(Module):
    d = 0

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True, divisor_override: int | None = None) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def forward(self, input: Any) -> Any:
        """(N, C, …) or (C, …) → fewer entries."""
        return ops.avg_pool(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                            self.count_include_pad, self.divisor_override, self.d)  # fmt: skip

    def extra_repr(self) -> str:
        """The windows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The mean of each window of (N, C, L)."""

    d = 1

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True) -> None:  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.kernel_size = ops.per_dimension(kernel_size, 1, "AvgPool1d", "kernel_size", 1)
        self.stride = ops.per_dimension(self.stride, 1, "AvgPool1d", "stride", 1)
        self.padding = ops.per_dimension(padding, 1, "AvgPool1d", "padding", 0)


class AvgPool2d(_AvgPool):
    """The mean of each window of (N, C, H, W), or its sum over `divisor_override`."""

    d = 2


class AvgPool3d(_AvgPool):
    """The mean of each window of (N, C, D, H, W), or its sum over `divisor_override`."""

    d = 3


class _AdaptiveAvgPool(Module):
    d = 0

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        """(N, C, …) → (N, C, *output_size)."""
        return ops.adaptive_avg_pool(input, self.output_size, self.d)

    def extra_repr(self) -> str:
        """The size."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of `output_size` windows that cover (N, C, L)."""

    d = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of `output_size` windows that cover (N, C, H, W); None keeps a size."""

    d = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of `output_size` windows that cover (N, C, D, H, W); None keeps a size."""

    d = 3


class _AdaptiveMaxPool(_AdaptiveAvgPool):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Any) -> Any:
        y, indices = ops.adaptive_max_pool(input, self.output_size, self.d)
        return (y, indices) if self.return_indices else y


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest entries of `output_size` windows that cover (N, C, L)."""

    d = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest entries of `output_size` windows that cover (N, C, H, W); None keeps a size."""

    d = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest entries of `output_size` windows that cover (N, C, D, H, W); None keeps a size."""

    d = 3


class LPPool2d(Module):
    """(Σ xᵖ)^{1/p} of each window of (N, C, H, W)."""

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Any) -> Any:
        """(N, C, H, W) → fewer entries."""
        return F.lp_pool2d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        """The norm and the windows."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(LPPool2d):
    """(Σ xᵖ)^{1/p} of each window of (N, C, L)."""

    def forward(self, input: Any) -> Any:
        """(N, C, L) → fewer entries."""
        return F.lp_pool1d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(LPPool2d):
    """(Σ xᵖ)^{1/p} of each window of (N, C, D, H, W)."""

    def forward(self, input: Any) -> Any:
        """(N, C, D, H, W) → fewer entries."""
        return F.lp_pool3d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)
