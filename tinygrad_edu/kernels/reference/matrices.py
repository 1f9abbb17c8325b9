"""Decompositions of matrices, by LAPACK through NumPy. Arrays (…, N, N) or (…, M, N), floats."""

from __future__ import annotations

import numpy as np

from ..protocol import Array


def solve(a: Array, b: Array) -> Array:
    return np.asarray(np.linalg.solve(a, b), a.dtype)


def inverse(a: Array) -> Array:
    return np.asarray(np.linalg.inv(a), a.dtype)


def slogdet(a: Array) -> tuple[Array, Array]:
    sign, logabs = np.linalg.slogdet(a)
    return np.asarray(sign, a.dtype), np.asarray(logabs, a.dtype)


def cholesky(a: Array) -> Array:
    return np.asarray(np.linalg.cholesky(a), a.dtype)


def qr(a: Array, complete: bool) -> tuple[Array, Array]:
    q, r = np.linalg.qr(a, "complete" if complete else "reduced")
    return np.asarray(q, a.dtype), np.asarray(r, a.dtype)


def svd(a: Array, full_matrices: bool) -> tuple[Array, Array, Array]:
    u, s, vh = np.linalg.svd(a, full_matrices)
    return np.asarray(u, a.dtype), np.asarray(s, a.dtype), np.asarray(vh, a.dtype)


def eigh(a: Array, lower: bool) -> tuple[Array, Array]:
    w, v = np.linalg.eigh(a, "L" if lower else "U")
    return np.asarray(w, a.dtype), np.asarray(v, a.dtype)
