"""From one memory to another."""

from __future__ import annotations

from typing import Any

from ..autograd import Operation, is_grad_enabled
from ..autograd.variable import Variable
from ..kernels import K, device_of, moved
from ..kernels.cuda import pick, put


class Moved(Operation):
    """x on another device;  dx = g, back on the old one."""

    @staticmethod
    def forward(ctx: Any, x: Any, device: str) -> Any:
        ctx.device = device_of(x)
        return moved(x, device)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Moved.apply(g, ctx.device), None

    @staticmethod
    def fused_backward(ctx: Any, g: Any) -> Any:
        return moved(g, ctx.device), None


def to_device(input: Any, device: Any) -> Any:
    """The tensor itself if it is on the device, else a copy of it there."""
    kind = str(device).partition(":")[0]
    if device_of(input._array).partition(":")[0] == kind:
        return input
    if is_grad_enabled() and input._array.dtype.kind == "f":
        return Moved.apply(input, kind)
    return Variable.wrap(moved(input._array, kind))


def picked(x: Any, index: Any) -> Any:
    """x[index] on the GPU, for index arrays."""
    return pick(x, index)


def write(part: Any, arrays: Any, value: Any) -> None:
    """part[arrays] = value, where one of them is on the GPU."""
    if arrays:
        put(part, arrays, value)
    else:
        K.copy(value, out=part)
