"""Normalisation to mean 0 and variance 1, over the last axis or over everything but the channels; norms of lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..protocol import Array
from .basic import quiet

ROWS, BATCH = (-1,), (0, 2)  # the axes of the statistics


def normalized(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array, Array]:
    """(x̂, mean, rstd) in float64, the last two with axes of size 1."""
    wide = x.astype(np.float64)
    if not np.prod([x.shape[a] for a in axes]):
        nan = np.full([1 if i in axes or i - x.ndim in axes else n for i, n in enumerate(x.shape)], np.nan)
        return wide, nan, nan  # there is nothing to take a mean of
    mean = wide.mean(axis=axes, keepdims=True)
    rstd = 1 / np.sqrt(np.square(wide - mean).mean(axis=axes, keepdims=True) + eps)
    return (wide - mean) * rstd, mean, rstd


def gradient(h: Array, xhat: Array, rstd: Array, axes: tuple[int, ...]) -> Array:
    """dx from the gradient h of x̂."""
    if h.size == 0:
        return h
    return np.asarray(rstd * (h - h.mean(axes, keepdims=True) - xhat * (h * xhat).mean(axes, keepdims=True)))


@quiet
def layer_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    y, mean, rstd = normalized(x, ROWS, eps)
    y = y if weight is None else y * weight
    y = y if bias is None else y + bias
    return y.astype(x.dtype), mean[..., 0].astype(x.dtype), rstd[..., 0].astype(x.dtype)


@quiet
def layer_norm_backward(
    g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None
) -> tuple[Array, Array | None, Array | None]:
    wide, scale = g.astype(np.float64), rstd[..., None].astype(np.float64)
    xhat = (x - mean[..., None].astype(np.float64)) * scale
    dx = gradient(wide if weight is None else wide * weight, xhat, scale, ROWS).astype(g.dtype)
    if weight is None:
        return dx, None, None
    rows = tuple(range(x.ndim - 1))
    return dx, (wide * xhat).sum(axis=rows).astype(g.dtype), wide.sum(axis=rows).astype(g.dtype)


@quiet
def rms_norm(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    wide = x.astype(np.float64)
    square = np.square(wide).sum(axis=-1, keepdims=True) / np.float64(x.shape[-1])
    rstd = 1 / np.sqrt(square + eps)
    y = wide * rstd if weight is None else wide * rstd * weight
    return y.astype(x.dtype), rstd[..., 0].astype(x.dtype)


@quiet
def rms_norm_backward(g: Array, x: Array, rstd: Array, weight: Array | None) -> tuple[Array, Array | None]:
    wide, scale = g.astype(np.float64), rstd[..., None].astype(np.float64)
    xhat = x * scale
    h = wide if weight is None else wide * weight
    dx = scale * (h - xhat * (h * xhat).sum(axis=-1, keepdims=True) / np.float64(x.shape[-1]))
    dweight = None if weight is None else (wide * xhat).sum(axis=tuple(range(x.ndim - 1))).astype(g.dtype)
    return dx.astype(g.dtype), dweight


@quiet
def batch_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    y, mean, rstd = normalized(x, BATCH, eps)
    y = y if weight is None else y * weight[:, None]
    y = y if bias is None else y + bias[:, None]
    return y.astype(x.dtype), mean.reshape(-1).astype(x.dtype), rstd.reshape(-1).astype(x.dtype)


@quiet
def batch_norm_backward(
    g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None
) -> tuple[Array, Array, Array]:
    wide, scale = g.astype(np.float64), rstd[:, None].astype(np.float64)
    xhat = (x - mean[:, None].astype(np.float64)) * scale
    dx = gradient(wide if weight is None else wide * weight[:, None], xhat, scale, BATCH)
    return dx.astype(g.dtype), (wide * xhat).sum(axis=BATCH).astype(g.dtype), wide.sum(axis=BATCH).astype(g.dtype)


# -- lists of arrays as one long vector -----------------------------------------------------------------------------
@quiet
def total_norm(arrays: Sequence[Array]) -> Array:
    squares = [np.sum(np.square(x, dtype=np.float64)) for x in arrays]
    return np.asarray(np.sqrt(np.sum(squares)), arrays[0].dtype)


@quiet
def limit_norm(arrays: Sequence[Array], norm: Array, most: float) -> None:
    factor = most / (float(norm) + 1e-6)
    for x in arrays if not factor >= 1 else []:  # NaN is not
        x *= x.dtype.type(factor)
