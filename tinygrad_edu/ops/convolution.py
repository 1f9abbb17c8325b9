"""Convolution. Its two gradients are convolutions again, so the three operations differentiate into each other.

With y = w ⋆ x the number ⟨g, w ⋆ x⟩ is linear in g, w and x. Fixing two of them and differentiating by the third gives
`Convolve` (by g), `ConvolveInput` (by x) and `ConvolveWeight` (by w): each one's derivatives are the other two.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..autograd import Operation
from ..autograd.variable import Variable
from ..errors import InputError, KindError
from ..kernels import K
from ..kernels.geometry import convolved, transposed
from ._common import Array, ShapeError, per_dimension
from .padding import pad_constant

Sizes = tuple[int, ...]


class Geometry(NamedTuple):
    """How the window moves: one number per spatial dimension, and the number of groups of channels."""

    stride: Sizes
    padding: Sizes
    dilation: Sizes
    groups: int


class Convolve(Operation):
    """y (N, O, *S') = w (O, C/groups, *k) ⋆ x (N, C, *S) + b;  dx, dw as above, db = Σ g."""

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array:
        dx, dw, _, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if dw else None, w if dx else None)
        ctx.geometry, ctx.spatial, ctx.kernel = geometry, x.shape[2:], w.shape[2:]
        return K.convolve(x, w, b, *geometry)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        return (
            None if w is None else ConvolveInput.apply(g, w, ctx.spatial, ctx.geometry),
            None if x is None else ConvolveWeight.apply(g, x, ctx.kernel, ctx.geometry),
            g.sum((0, *range(2, g.ndim))) if ctx.needs_input_grad[2] else None,
            None,
        )

    @staticmethod
    def fused_backward(ctx: Any, g: Array) -> Any:
        (x, w), dw, db = ctx.saved_arrays, None, None
        if x is not None and ctx.needs_input_grad[2]:
            dw, db = K.convolve_parameter_gradients(g, x, ctx.kernel, *ctx.geometry)
        elif x is not None:
            dw = K.convolve_weight_gradient(g, x, ctx.kernel, *ctx.geometry)
        elif ctx.needs_input_grad[2]:
            db = K.sum(g, (0, *range(2, g.ndim)), False)
        dx = None if w is None else K.convolve_input_gradient(g, w, ctx.spatial, *ctx.geometry)
        return dx, dw, db, None


class ConvolveInput(Operation):
    """dx (N, C, *S) from g (N, O, *S') and w: the transposed convolution of g."""

    @staticmethod
    def forward(ctx: Any, g: Array, w: Array, spatial: Sizes, geometry: Geometry) -> Array:
        dg, dw, _, _ = ctx.needs_input_grad
        ctx.save_for_backward(g if dw else None, w if dg else None)
        ctx.geometry, ctx.kernel = geometry, w.shape[2:]
        return K.convolve_input_gradient(g, w, spatial, *geometry)

    @staticmethod
    def backward(ctx: Any, u: Any) -> Any:
        g, w = ctx.saved_tensors
        return (
            None if w is None else Convolve.apply(u, w, None, ctx.geometry),
            None if g is None else ConvolveWeight.apply(g, u, ctx.kernel, ctx.geometry),
            None,
            None,
        )

    @staticmethod
    def fused_backward(ctx: Any, u: Array) -> Any:
        g, w = ctx.saved_arrays
        return (
            None if w is None else K.convolve(u, w, None, *ctx.geometry),
            None if g is None else K.convolve_weight_gradient(g, u, ctx.kernel, *ctx.geometry),
            None,
            None,
        )


class ConvolveWeight(Operation):
    """dw (O, C/groups, *k) from g (N, O, *S') and x (N, C, *S)."""

    @staticmethod
    def forward(ctx: Any, g: Array, x: Array, kernel: Sizes, geometry: Geometry) -> Array:
        dg, dx, _, _ = ctx.needs_input_grad
        ctx.save_for_backward(g if dx else None, x if dg else None)
        ctx.geometry, ctx.spatial = geometry, x.shape[2:]
        return K.convolve_weight_gradient(g, x, kernel, *geometry)

    @staticmethod
    def backward(ctx: Any, u: Any) -> Any:
        g, x = ctx.saved_tensors
        return (
            None if x is None else Convolve.apply(x, u, None, ctx.geometry),
            None if g is None else ConvolveInput.apply(g, u, ctx.spatial, ctx.geometry),
            None,
            None,
        )


# -- the functions -------------------------------------------------------------------------------------------


def check_convolution(operation: str, x: Any, weight: Any, bias: Any, d: int, channels: int, outputs: int) -> None:
    """The errors that both kinds of convolution share; `channels` and `outputs` as the weight has them."""
    for name, value in (("input", x), ("weight", weight), ("bias", bias)):
        if not isinstance(value, Variable) and (name != "bias" or value is not None):
            raise KindError(f"{operation}: {name} must be a tensor, got {type(value).__name__}")
    shape, kernel = tuple(x.shape), tuple(weight.shape)
    if len(kernel) != d + 2:
        raise ShapeError(f"{operation}: the weight has shape {kernel}; it needs {d + 2} dimensions")
    if len(shape) not in (d + 1, d + 2):
        raise ShapeError(
            f"{operation}: the input has shape {shape}; it must be (batch, channels, {d} spatial sizes), "
            f"or the same without the batch" + ("; did you mean x.unsqueeze(1)?" if len(shape) == d else "")
        )
    if shape[-d - 1] != channels:
        raise ShapeError(
            f"{operation}: the input of shape {shape} has {shape[-d - 1]} channels, but a weight of shape {kernel} "
            f"takes {channels}"
        )
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise ShapeError(f"{operation}: the bias has shape {tuple(bias.shape)}; {(outputs,)} goes with this weight")
    kinds = {t._array.dtype for t in (x, weight, bias) if t is not None}
    if len(kinds) > 1 or next(iter(kinds)).kind != "f":
        raise KindError(
            f"{operation}: input is {x.dtype}, weight {weight.dtype}: they must be one float dtype; "
            f"convert the input (x.to(weight.dtype)) or the module (model.double())"
        )


def check_groups(operation: str, groups: int, weight: Any) -> None:
    """ShapeError unless the weight's first size divides into groups."""
    if not isinstance(weight, Variable):
        raise TypeError(f"{operation}: weight must be a tensor, got {type(weight).__name__}")
    shape = weight._array.shape
    if len(shape) < 2 or groups < 1 or shape[0] % groups:
        raise ShapeError(f"{operation}: groups={groups} must be positive and divide the first size of a weight {shape}")


def conv(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, d: int) -> Any:
    """Cross-correlation of x (N, C, *S) or (C, *S) with weight (O, C/groups, *k) over d spatial dimensions.

    `padding`: numbers, "valid" (none), or "same" (as many outputs as inputs, stride 1; an odd entry goes to the end).
    """
    operation = f"conv{d}d"
    check_groups(operation, groups, weight)
    check_convolution(operation, x, weight, bias, d, weight.shape[1] * groups, weight.shape[0])
    kernel = tuple(weight.shape[2:])
    stride, dilation = (per_dimension(v, d, operation, n, 1) for v, n in ((stride, "stride"), (dilation, "dilation")))
    if padding == "same":
        if any(s != 1 for s in stride):
            raise InputError(f'{operation}: padding="same" needs stride 1, got {stride}; give the padding as numbers')
        total = [e * (k - 1) for e, k in zip(dilation, kernel, strict=True)]
        padding = tuple([t // 2 for t in total])
        x = pad_constant(x, [n for t in reversed(total) for n in (0, t % 2)])
    elif isinstance(padding, str) and padding != "valid":
        raise InputError(f'{operation}: padding is "{padding}"; it can be numbers, "same" or "valid"')
    padding = per_dimension(0 if padding == "valid" else padding, d, operation, "padding", 0)
    spatial = tuple(x.shape[-d:])
    sizes = [convolved(*size) for size in zip(spatial, kernel, stride, padding, dilation, strict=True)]
    if min(sizes) < 1 or 0 in kernel:
        raise ShapeError(
            f"{operation}: a window of {kernel} (dilation {dilation}) does not fit an input of {spatial} "
            f"with padding {padding}"
        )
    batch = x if x.ndim == d + 2 else x.unsqueeze(0)
    y = Convolve.apply(batch, weight, bias, Geometry(stride, padding, dilation, groups))
    return y if x.ndim == d + 2 else y.squeeze(0)


def conv_transpose(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any, d: int
) -> Any:
    """The transpose of `conv` as a linear map ("deconvolution"): x (N, C, *S), weight (C, O/groups, *k) → (N, O, *S').

    `output_padding` (less than stride or dilation) chooses among the sizes that the convolution would take to S.
    """
    operation = f"conv_transpose{d}d"
    check_groups(operation, groups, weight)
    check_convolution(operation, x, weight, bias, d, weight.shape[0], weight.shape[1] * groups)
    stride, dilation = (per_dimension(v, d, operation, n, 1) for v, n in ((stride, "stride"), (dilation, "dilation")))
    padding = per_dimension(padding, d, operation, "padding", 0)
    more = per_dimension(output_padding, d, operation, "output_padding", 0)
    if any(m >= max(s, e) for m, s, e in zip(more, stride, dilation, strict=True)):
        raise InputError(
            f"{operation}: output_padding {more} must be smaller than the stride {stride} or the dilation {dilation}"
        )
    kernel = tuple(weight.shape[2:])
    sizes = zip(x.shape[-d:], kernel, stride, padding, dilation, more, strict=True)
    spatial = tuple([transposed(*size) for size in sizes])
    if min(spatial) < 1:
        raise ShapeError(f"{operation}: an input of {tuple(x.shape[-d:])} and padding {padding} give outputs {spatial}")
    batch = x if x.ndim == d + 2 else x.unsqueeze(0)
    if any(m >= s for m, s in zip(more, stride, strict=True)):  # more windows fit: what they see is zero
        batch = pad_constant(batch, [n for m, s in zip(more[::-1], stride[::-1], strict=True) for n in (0, m // s)])
    y = ConvolveInput.apply(batch, weight, spatial, Geometry(stride, padding, dilation, groups))
    y = y if bias is None else y + bias.reshape(-1, *[1] * d)
    return y if x.ndim == d + 2 else y.squeeze(0)
