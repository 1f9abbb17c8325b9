"""What a recurrent cell does between its matrix products: gates, and the new state."""

from __future__ import annotations

import numpy as np

from ..protocol import Array
from .basic import quiet, sigmoid


@quiet
def lstm_cell(gx: Array, gh: Array, c: Array) -> tuple[Array, Array, Array]:
    i, f, g, o = np.split(gx + gh, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    new = f * c + i * g
    return o * np.tanh(new), new, np.concatenate([i, f, g, o], axis=1)


@quiet
def lstm_cell_backward(dh: Array, dc: Array, gates: Array, c: Array, new: Array) -> tuple[Array, Array]:
    i, f, g, o = np.split(gates, 4, axis=1)
    t = np.tanh(new)
    dnew = dc + dh * o * (1 - t * t)
    di, df, dg, do = dnew * g, dnew * c, dnew * i, dh * t
    da = [di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)]
    return np.concatenate(da, axis=1), dnew * f


@quiet
def gru_cell(gx: Array, gh: Array, h: Array) -> tuple[Array, Array]:
    (xr, xz, xn), (hr, hz, hn) = np.split(gx, 3, axis=1), np.split(gh, 3, axis=1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * hn)
    return (1 - z) * n + z * h, np.concatenate([r, z, n, hn], axis=1)


@quiet
def gru_cell_backward(dh: Array, gates: Array, h: Array) -> tuple[Array, Array, Array]:
    r, z, n, hn = np.split(gates, 4, axis=1)
    dn = dh * (1 - z) * (1 - n * n)
    dz = dh * (h - n) * z * (1 - z)
    dr = dn * hn * r * (1 - r)
    return np.concatenate([dr, dz, dn], axis=1), np.concatenate([dr, dz, dn * r], axis=1), dh * z
