"""Normalisation over features, channels, groups or instances, and of vectors to length 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...autograd import no_grad
from ...errors import InputError
from ...kernels import K
from ...kernels.protocol import Array


def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """weight·(x − mean)/√(variance + eps) + bias over the last dimensions. Ba, Kiros & Hinton 2016."""
    return ops.layer_norm(input, normalized_shape, weight, bias, eps)


def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """weight·x/√(mean(x²) + eps) over the last dimensions; eps None is the dtype's. Zhang & Sennrich 2019."""
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    return ops.rms_norm(input, normalized_shape, weight, eps)


def _update(running: Any, new: Array, momentum: Any) -> None:
    """running ← (1 − momentum)·running + momentum·new, in place."""
    if running is None:
        return
    here = running._array
    new = new if new.dtype == here.dtype else K.cast(new, here.dtype)
    K.add(K.mul(here, 1 - momentum), K.mul(new, momentum), out=here)
    running._bump()


def _variance(rstd: Array, eps: Any, factor: Any, one: Any = 1.0, zero: Any = 0.0) -> Array:
    """factor·(1/rstd² − eps), at least 0, in float64."""
    wide = K.cast(rstd, np.float64)
    return K.mul(K.maximum(K.sub(K.div(one, K.mul(wide, wide)), eps), zero), factor)


def batch_norm(input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
               training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Any:  # fmt: skip
    """Each channel of (N, C, …) brought to mean 0 and variance 1, then scaled and shifted. Ioffe & Szegedy 2015.

    In training with the statistics of this batch, which also move the running ones (their variance divided by the
    number of entries less one); otherwise with the running ones.
    """
    if input.ndim < 2:
        raise ops.ShapeError(f"batch_norm: the input has shape {tuple(input.shape)}; it needs (N, C, …)")
    for name, value in (("running_mean", running_mean), ("running_var", running_var)):
        if value is None and not training:
            raise InputError(f"batch_norm: {name} is None, but in evaluation it is what is used; pass training=True")
        if value is not None and tuple(value.shape) != (input.shape[1],):
            raise ops.ShapeError(f"batch_norm: {name} has shape {tuple(value.shape)}; {(input.shape[1],)} is needed")
    if not training:
        scale = 1 / (running_var + eps).sqrt()
        scale = scale if weight is None else scale * weight
        shift = -running_mean * scale
        return ops.channel_affine(input, scale, shift if bias is None else bias + shift)
    count = input.numel() // max(input.shape[1], 1)
    if count == 1:
        raise ops.ShapeError(
            f"batch_norm: an input of shape {tuple(input.shape)} has one value per channel: its variance is 0; "
            f"use a larger batch, or model.eval()"
        )
    y, mean, rstd = ops.batch_norm(input, weight, bias, eps)
    if count and (running_mean is not None or running_var is not None):
        _update(running_mean, mean._array, momentum)
        _update(running_var, _variance(rstd._array, eps, count / (count - 1)), momentum)
    return y


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(N, C, …) normalised over each group of C/num_groups channels of each sample. Wu & He 2018."""
    if input.ndim < 2 or num_groups < 1 or input.shape[1] % num_groups:
        raise ops.ShapeError(
            f"group_norm: the channels of shape {tuple(input.shape)} (dimension 1) must divide into {num_groups} groups"
        )
    n, size = input.shape[0], math.prod(input.shape[1:]) // num_groups
    y = ops.layer_norm(input.reshape(n, num_groups, size), size, None, None, eps).reshape(input.shape)
    return ops.channel_affine(y, weight, bias)


def instance_norm(input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
                  use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5) -> Any:  # fmt: skip
    """(N, C, …) normalised over each channel of each sample. Ulyanov, Vedaldi & Lempitsky 2016."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    n, c = input.shape[:2]
    size = math.prod(input.shape[2:])
    if size == 1:
        raise ops.ShapeError(
            f"instance_norm: an input of shape {tuple(input.shape)} has one value per channel: its variance is 0"
        )
    planes = input.reshape(n, c, size)
    if running_mean is not None or running_var is not None:
        with no_grad():
            _update(running_mean, planes.mean(2).mean(0)._array, momentum)
            _update(running_var, planes.var(2).mean(0)._array, momentum)
    return ops.channel_affine(ops.layer_norm(planes, size, None, None, eps).reshape(input.shape), weight, bias)


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    """x/(k + alpha·mean of x² over `size` neighbouring channels)^beta. Krizhevsky et al. 2012."""
    if input.ndim < 3:
        raise ops.ShapeError(f"local_response_norm: an input (N, C, …) is needed, not {tuple(input.shape)}")
    n, c, rest = input.shape[0], input.shape[1], math.prod(input.shape[2:])
    if input.numel() == 0:
        return input
    squares = ops.pad((input * input).reshape(n, 1, c, rest), (0, 0, size // 2, (size - 1) // 2))
    mean = ops.avg_pool(squares, (size, 1), 1, 0, False, True, None, 2)
    return input / (mean.reshape(input.shape) * alpha + k) ** beta


def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Any:
    """x/max(‖x‖ₚ, eps) along `dim`."""
    length = input.norm(p, dim, keepdim=True)
    return input / length.clamp(min=eps)
