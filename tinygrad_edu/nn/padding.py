"""Padding layers, and layers that change the size of images."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..errors import InputError
from . import functional as F
from .module import Module


class _Pad(Module):
    """`padding`: a number for all sides, or (left, right[, top, bottom[, front, back]])."""

    d, mode = 0, ""

    def __init__(self, padding: Any) -> None:
        super().__init__()
        amounts = tuple(padding) if isinstance(padding, tuple | list) else (padding,) * (2 * self.d)
        if len(amounts) != 2 * self.d or any(isinstance(n, bool) or not isinstance(n, int) for n in amounts):
            raise InputError(f"{type(self).__name__}: padding is {padding!r}; give an integer, or {2 * self.d} of them")
        self.padding = amounts

    def forward(self, input: Any) -> Any:
        """(N, C, …) or (C, …) → the same with larger sizes."""
        if input.ndim not in (self.d + 1, self.d + 2):
            raise ops.ShapeError(
                f"{self!r}: the input has shape {tuple(input.shape)}; "
                f"it must have {self.d + 1} or {self.d + 2} dimensions"
            )
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """The amounts."""
        return f"{self.padding}"


class ReflectionPad1d(_Pad):
    """(N, C, L) mirrored at its ends, the border entry not repeated."""

    d, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """(N, C, H, W) mirrored at its borders, the border entries not repeated."""

    d, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """(N, C, D, H, W) mirrored at its borders, the border entries not repeated."""

    d, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """(N, C, L) with its end entries repeated."""

    d, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """(N, C, H, W) with its border entries repeated."""

    d, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """(N, C, D, H, W) with its border entries repeated."""

    d, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """(N, C, L) continued from its other end."""

    d, mode = 1, "circular"


class CircularPad2d(_Pad):
    """(N, C, H, W) continued from its other side."""

    d, mode = 2, "circular"


class CircularPad3d(_Pad):
    """(N, C, D, H, W) continued from its other side."""

    d, mode = 3, "circular"


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Entries of `value` around the last dimension."""

    d = 1


class ConstantPad2d(_ConstantPad):
    """Entries of `value` around the last two dimensions."""

    d = 2


class ConstantPad3d(_ConstantPad):
    """Entries of `value` around the last three dimensions."""

    d = 3


class ZeroPad1d(_ConstantPad):
    """Zeros around the last dimension."""

    d = 1

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ZeroPad1d):
    """Zeros around the last two dimensions."""

    d = 2


class ZeroPad3d(ZeroPad1d):
    """Zeros around the last three dimensions."""

    d = 3


class Upsample(Module):
    """(N, C, …) resampled to `size`, or by `scale_factor`; modes as in `F.interpolate`."""

    def __init__(self, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                 align_corners: bool | None = None, recompute_scale_factor: bool | None = None) -> None:  # fmt: skip
        super().__init__()
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.recompute_scale_factor = recompute_scale_factor
        if isinstance(scale_factor, tuple | list):
            self.scale_factor: Any = tuple([float(s) for s in scale_factor])
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None

    def forward(self, input: Any) -> Any:
        """(N, C, …) → the new sizes."""
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners,
                             self.recompute_scale_factor)  # fmt: skip

    def extra_repr(self) -> str:
        """Size or factor, and mode."""
        what = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{what}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` with mode "nearest"."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` with mode "bilinear" and aligned corners."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)


class PixelShuffle(Module):
    """(…, C·r², H, W) → (…, C, H·r, W·r): channels become pixels. Shi et al. 2016."""

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Any) -> Any:
        """Fewer channels, larger images."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"upscale_factor={self.upscale_factor}"


class ChannelShuffle(Module):
    """The channels of (N, C, …) dealt out anew, one from each group in turn. Zhang et al. 2018."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Any) -> Any:
        """(N, C, …)."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """The number of groups."""
        return f"groups={self.groups}"


class PixelUnshuffle(Module):
    """(…, C, H·r, W·r) → (…, C·r², H, W): pixels become channels."""

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Any) -> Any:
        """More channels, smaller images."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"downscale_factor={self.downscale_factor}"
