"""Convolution layers and their transposes, over one, two and three dimensions; windows as columns."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..creation import empty
from ..errors import InputError
from ..kernels.geometry import transposed
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class _Convolution(Module):
    """What all convolutions share: sizes, parameters, initialisation, printing."""

    d = 0
    transposed = False

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
                 output_padding: Any, groups: int, bias: bool, padding_mode: str, device: Any,
                 dtype: Any) -> None:  # fmt: skip
        super().__init__()
        name = type(self).__name__
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise InputError(f"{name}: groups={groups} must divide in_channels {in_channels} and {out_channels}")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise InputError(
                f'{name}: padding_mode is "{padding_mode}"; it can be "zeros", "reflect", "replicate" or "circular"'
            )
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise InputError(f'{name}: padding is "{padding}"; it can be numbers, "same" or "valid"')
        self.in_channels, self.out_channels, self.groups, self.padding_mode = (
            in_channels,
            out_channels,
            groups,
            padding_mode,
        )
        self.kernel_size = ops.per_dimension(kernel_size, self.d, name, "kernel_size", 1)
        self.stride = ops.per_dimension(stride, self.d, name, "stride", 1)
        self.dilation = ops.per_dimension(dilation, self.d, name, "dilation", 1)
        self.output_padding = ops.per_dimension(output_padding, self.d, name, "output_padding", 0)
        self.padding: Any = (
            padding if isinstance(padding, str) else ops.per_dimension(padding, self.d, name, "padding", 0)
        )
        if padding == "same" and any(s != 1 for s in self.stride):
            raise InputError(f'{name}: padding="same" needs stride 1, got {self.stride}; give the padding as numbers')
        outer, inner = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(empty(outer, inner // groups, *self.kernel_size, dtype=dtype, device=device))
        self.register_parameter("bias", Parameter(empty(out_channels, dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, uniform in ±1/√(what one output sums over)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan = init.fans(self.weight)[0]
        if self.bias is not None and fan:
            init.uniform_(self.bias, -1 / math.sqrt(fan), 1 / math.sqrt(fan))

    def _around(self) -> list[int]:
        """The padding as `F.pad` takes it."""
        flat: list[int] = []
        for i in reversed(range(self.d)):
            total = self.dilation[i] * (self.kernel_size[i] - 1)
            flat += {"same": [total // 2, total - total // 2], "valid": [0, 0]}.get(self.padding, [self.padding[i]] * 2)
        return flat

    def forward(self, input: Any) -> Any:
        """(N, in_channels, …) or without N → (N, out_channels, …)."""
        try:
            padding = self.padding
            if self.padding_mode != "zeros":
                input, padding = F.pad(input, self._around(), self.padding_mode), 0
            weight, bias = self._weight_and_bias()
            return ops.conv(input, weight, bias, self.stride, padding, self.dilation, self.groups, self.d)
        except ops.ShapeError as error:
            raise ops.ShapeError(f"{self!r}: {error}") from None

    def extra_repr(self) -> str:
        """Sizes, and what is not a default."""
        none, ones = (0,) * self.d, (1,) * self.d
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != none else ""
        text += f", dilation={self.dilation}" if self.dilation != ones else ""
        text += f", output_padding={self.output_padding}" if self.output_padding != none else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        return text + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class _Conv(_Convolution):
    """The order of arguments of convolutions."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
                 device: Any = None, dtype: Any = None) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias,
                         padding_mode, device, dtype)  # fmt: skip


class Conv1d(_Conv):
    """Cross-correlation over (N, C, L): weight (out_channels, in_channels/groups, k), bias (out_channels,).

    `padding`: numbers, "same" or "valid"; `padding_mode`: "zeros", "reflect", "replicate" or "circular". Both
    parameters start uniform in ±1/√(in_channels/groups·k).
    """

    d = 1


class Conv2d(_Conv):
    """Cross-correlation over (N, C, H, W): weight (out_channels, in_channels/groups, kH, kW), bias (out_channels,).

    `padding`: numbers, "same" or "valid"; `padding_mode`: "zeros", "reflect", "replicate" or "circular". Both
    parameters start uniform in ±1/√(in_channels/groups·kH·kW).
    """

    d = 2


class Conv3d(_Conv):
    """Cross-correlation over (N, C, D, H, W): weight (out_channels, in_channels/groups, kD, kH, kW), see `Conv2d`."""

    d = 3


class _ConvTranspose(_Convolution):
    """The order of arguments of transposed convolutions, and the choice of their output size."""

    transposed = True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 output_padding: Any = 0, groups: int = 1, bias: bool = True, dilation: Any = 1,
                 padding_mode: str = "zeros", device: Any = None, dtype: Any = None) -> None:  # fmt: skip
        if padding_mode != "zeros" or isinstance(padding, str):
            raise InputError(f'{type(self).__name__}: padding is by numbers, and padding_mode "zeros" only')
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups,
                         bias, padding_mode, device, dtype)  # fmt: skip

    def _output_padding(self, input: Any, output_size: Any) -> Any:
        """What brings the smallest output to `output_size`."""
        if output_size is None:
            return self.output_padding
        wanted = tuple(output_size)[-self.d :]
        around = zip(input.shape[-self.d :], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        least = [transposed(*sizes, 0) for sizes in around]
        more = [w - n for w, n in zip(wanted, least, strict=False)]
        if len(wanted) != self.d or any(not 0 <= m < s for m, s in zip(more, self.stride, strict=True)):
            most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
            raise InputError(f"{self!r}: output_size {tuple(output_size)} must lie between {least} and {most}")
        return more

    def forward(self, input: Any, output_size: Any = None) -> Any:
        """(N, in_channels, …) or without N → (N, out_channels, …), of `output_size` where a stride allows several."""
        more = self._output_padding(input, output_size)
        try:
            return ops.conv_transpose(input, self.weight, self.bias, self.stride, self.padding, more, self.groups,
                                      self.dilation, self.d)  # fmt: skip
        except ops.ShapeError as error:
            raise ops.ShapeError(f"{self!r}: {error}") from None


class ConvTranspose1d(_ConvTranspose):
    """The transpose of a `Conv1d`: weight (in_channels, out_channels/groups, k)."""

    d = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of a `Conv2d` ("deconvolution"): weight (in_channels, out_channels/groups, kH, kW).

    With the same arguments it turns the output size of a `Conv2d` into its input size; where a stride makes several
    sizes possible, `output_padding` or forward's `output_size` chooses. Zeiler et al. 2010.
    """

    d = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of a `Conv3d`: weight (in_channels, out_channels/groups, kD, kH, kW)."""

    d = 3


class Unfold(Module):
    """Windows of images (N, C, H, W) as columns (N, C·kH·kW, number of windows)."""

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Any) -> Any:
        """Images to columns."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The windows."""
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Unfold):
    """Columns added up where the windows of an image of `output_size` lie."""

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        """Columns to images."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The size and the windows."""
        return f"output_size={self.output_size}, {super().extra_repr()}"
