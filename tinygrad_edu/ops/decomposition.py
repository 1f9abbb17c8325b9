"""Solving, determinants, and decompositions of matrices (…, M, N), with their derivatives.

The rules are those of Giles, "Collected matrix derivative results for forward and reverse mode", 2008, and for the
singular values Townsend, "Differentiating the singular value decomposition", 2016.
"""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

import numpy as np

from ..autograd import Operation
from ..autograd.variable import Variable
from ..errors import InputError, StateError
from ..kernels import K
from ._common import ShapeError, floating, normalized_dim, own_result
from .arrangement import diag_embed, diagonal, movedim, tril
from .elementwise import where
from .linalg import matmul
from .reduce import amax, amin, check_float, norm, sum
from .shape import reshape

QR = namedtuple("QR", ["Q", "R"])
SVD = namedtuple("SVD", ["U", "S", "Vh"])
Eigh = namedtuple("Eigh", ["eigenvalues", "eigenvectors"])
SLogDet = namedtuple("SLogDet", ["sign", "logabsdet"])


def _run(name: str, kernel: Any, *arguments: Any) -> Any:
    """A kernel's result; NumPy's error with the name of what failed."""
    try:
        return kernel(*arguments)
    except np.linalg.LinAlgError as error:
        raise StateError(f"linalg.{name}: {error} (shape {arguments[0].shape})") from None


def _matrix(name: str, a: Any, square: bool = True) -> Any:
    a = floating(a)
    if a.ndim < 2 or (square and a.shape[-1] != a.shape[-2]):
        raise StateError(f"linalg.{name}: {'square ' if square else ''}matrices are wanted, got shape {tuple(a.shape)}")
    return a


class Solve(Operation):
    """X = A⁻¹·B;  dB = A⁻ᵀ·G, dA = −dB·Xᵀ."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        x = _run("solve", K.solve, a, b)
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        a, x = ctx.saved_tensors
        db = Solve.apply(a.mT, g)
        return -matmul(db, x.mT), db


class Inverse(Operation):
    """Y = A⁻¹;  dA = −Yᵀ·G·Yᵀ."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        y = _run("inv", K.inverse, a)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return -matmul(matmul(y.mT, g), y.mT)


class LogDet(Operation):
    """sign and ln|det A|;  dA = g·A⁻ᵀ."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        sign, logabs = K.slogdet(a)
        ctx.save_for_backward(a)
        ctx.mark_non_differentiable(sign)
        return sign, logabs

    @staticmethod
    def backward(ctx: Any, _: Any, g: Any) -> Any:
        (a,) = ctx.saved_tensors
        return g.unsqueeze(-1).unsqueeze(-1) * inv(a).mT


class Det(Operation):
    """det A;  dA = g·det A·A⁻ᵀ, of a singular matrix the cofactors, from its singular values."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        sign, logabs = K.slogdet(a)
        y = np.asarray(sign * np.exp(logabs), a.dtype)
        ctx.save_for_backward(a, y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        a, y = ctx.saved_tensors
        g = g.unsqueeze(-1).unsqueeze(-1)
        if (y._array != 0).all():
            return g * y.unsqueeze(-1).unsqueeze(-1) * inv(a).mT
        u, s, vh = K.svd(a._array, True)
        n = s.shape[-1]
        others = np.stack([np.delete(s, i, -1).prod(-1) for i in range(n)], -1)
        turn = K.slogdet(u)[0] * K.slogdet(vh)[0]
        return g * Variable.wrap(np.asarray((u * others[..., None, :]) @ vh * turn[..., None, None], a.dtype))


class Cholesky(Operation):
    """L with A = L·Lᵀ;  dA = ½(S + Sᵀ), S = L⁻ᵀ·Φ(Lᵀ·G)·L⁻¹, Φ: lower triangle, diagonal halved."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        y = _run("cholesky", K.cholesky, a)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        product = matmul(y.mT, g)
        phi = tril(product) - diag_embed(diagonal(product, 0, -2, -1)) * 0.5
        inverse = inv(y)
        s = matmul(matmul(inverse.mT, phi), inverse)
        return (s + s.mT) * 0.5


class QRDecomposition(Operation):
    """A = Q·R;  dA = (dQ + Q·copy(M))·R⁻ᵀ, M = R·dRᵀ − dQᵀ·Q, copy: the lower triangle mirrored upwards."""

    @staticmethod
    def forward(ctx: Any, a: Any, complete: bool) -> Any:
        q, r = K.qr(a, complete)
        ctx.save_for_backward(q, r)
        return q, r

    @staticmethod
    def backward(ctx: Any, gq: Any, gr: Any) -> Any:
        q, r = ctx.saved_tensors
        if q.shape[-1] != r.shape[-1] or r.shape[-2] != r.shape[-1]:
            raise StateError(
                "linalg.qr: has a derivative for matrices that are at least as high as wide, reduced, only"
            )
        m = matmul(r, gr.mT) - matmul(gq.mT, q)
        mirrored = tril(m) + tril(m, -1).mT
        return matmul(gq + matmul(q, mirrored), inv(r).mT), None


class SVDecomposition(Operation):
    """A = U·diag(s)·Vᵀ, reduced; see the head of the file for the derivative."""

    @staticmethod
    def forward(ctx: Any, a: Any, full: bool) -> Any:
        u, s, vh = _run("svd", K.svd, a, full)
        ctx.save_for_backward(u, s, vh)
        ctx.full = full and a.shape[-1] != a.shape[-2]
        return u, s, vh

    @staticmethod
    def backward(ctx: Any, gu: Any, gs: Any, gvh: Any) -> Any:
        if ctx.full:
            raise StateError("linalg.svd: has a derivative with full_matrices=False only")
        u, s, vh = ctx.saved_tensors
        v, gv, n = vh.mT, gvh.mT, s.shape[-1]
        squares = s * s
        difference = squares.unsqueeze(-2) - squares.unsqueeze(-1)
        f = where(difference == 0, 0.0, 1 / where(difference == 0, 1.0, difference))
        row, column = s.unsqueeze(-2), s.unsqueeze(-1)
        j, k = f * matmul(u.mT, gu), f * matmul(vh, gv)
        middle = (j + j.mT) * row + column * (k + k.mT) + diag_embed(gs)
        result = matmul(matmul(u, middle), vh)
        if u.shape[-2] > n:
            rest = gu - matmul(u, matmul(u.mT, gu))
            result = result + matmul(rest / row, vh)
        if v.shape[-2] > n:
            rest = gv - matmul(v, matmul(vh, gv))
            result = result + matmul(u, (rest / row).mT)
        return result, None


class SymmetricEigen(Operation):
    """A = V·diag(w)·Vᵀ;  dA = V·(diag(dw) + F∘(Vᵀ·dV))·Vᵀ, Fᵢⱼ = 1/(wⱼ − wᵢ)."""

    @staticmethod
    def forward(ctx: Any, a: Any, lower: bool) -> Any:
        w, v = _run("eigh", K.eigh, a, lower)
        ctx.save_for_backward(w, v)
        return w, v

    @staticmethod
    def backward(ctx: Any, gw: Any, gv: Any) -> Any:
        w, v = ctx.saved_tensors
        difference = w.unsqueeze(-2) - w.unsqueeze(-1)
        f = where(difference == 0, 0.0, 1 / where(difference == 0, 1.0, difference))
        inside = diag_embed(gw) + f * matmul(v.mT, gv)
        result = matmul(matmul(v, inside), v.mT)
        return (result + result.mT) * 0.5, None


# -- the functions -----------------------------------------------------------------------------------------------
def solve(A: Any, B: Any, *, left: bool = True) -> Any:
    """X with A·X = B (X·A = B with left=False); B is a matrix, or a vector."""
    a, b = _matrix("solve", A), floating(B)
    if not left:
        return solve(a.mT, b.mT).mT
    vector = b.ndim == 1 or (b.ndim == a.ndim - 1 and tuple(b.shape) == tuple(a.shape[:-1]))
    b = b.unsqueeze(-1) if vector else b
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = Solve.apply(a.expand(*batch, *a.shape[-2:]), b.expand(*batch, *b.shape[-2:]))
    return own_result(x.squeeze(-1)) if vector else x


def inv(A: Any) -> Any:
    """The inverse of each matrix; an error for a singular one."""
    return Inverse.apply(_matrix("inv", A))


def det(A: Any) -> Any:
    """The determinant of each matrix."""
    return Det.apply(_matrix("det", A))


def slogdet(A: Any) -> Any:
    """(sign, logabsdet) of the determinant: det = sign · e^logabsdet, without overflow."""
    return SLogDet(*LogDet.apply(_matrix("slogdet", A)))


def logdet(input: Any) -> Any:
    """ln of the determinant; NaN if it is negative."""
    sign, logabs = slogdet(input)
    return where(sign < 0, math.nan, logabs)


def cholesky(input: Any, *, upper: bool = False) -> Any:
    """The triangle L with A = L·Lᵀ of a symmetric positive-definite matrix (Lᵀ with `upper`)."""
    found = Cholesky.apply(_matrix("cholesky", input))
    return found.mT if upper else found


def qr(A: Any, mode: str = "reduced") -> Any:
    """(Q, R): Q has orthonormal columns, R is an upper triangle; mode "reduced" or "complete"."""
    if mode not in ("reduced", "complete"):
        raise InputError(f'linalg.qr: mode is {mode!r}; it can be "reduced" or "complete"')
    return QR(*QRDecomposition.apply(_matrix("qr", A, square=False), mode == "complete"))


def svd(A: Any, full_matrices: bool = True) -> Any:
    """(U, S, Vh): A = U·diag(S)·Vh, singular values from large to small."""
    return SVD(*SVDecomposition.apply(_matrix("svd", A, square=False), bool(full_matrices)))


def svdvals(A: Any) -> Any:
    """The singular values, from large to small."""
    return svd(A, False).S


def eigh(input: Any, UPLO: str = "L") -> Any:
    """(eigenvalues from small to large, eigenvectors as columns) of a symmetric matrix, of which one half is read."""
    return Eigh(*SymmetricEigen.apply(_matrix("eigh", input), UPLO.upper() == "L"))


def eigvalsh(input: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of a symmetric matrix."""
    return eigh(input, UPLO).eigenvalues


def pinv(input: Any, *, rtol: float | None = None) -> Any:
    """The pseudo-inverse: singular values below rtol times the largest count as zero."""
    a = _matrix("pinv", input, square=False)
    u, s, vh = svd(a, False)
    limit = max(a.shape[-2:]) * float(np.finfo(a.dtype).eps) if rtol is None else rtol
    small = s <= limit * s.detach().amax(-1, keepdim=True)
    inverse = where(small, 0.0, 1 / where(small, 1.0, s))
    return matmul(vh.mT * inverse.unsqueeze(-2), u.mT)


def matrix_power(input: Any, n: int) -> Any:
    """A·A·… n times; the inverse for negative n."""
    a = _matrix("matrix_power", input)
    if n < 0:
        return matrix_power(inv(a), -n)
    result = None
    while n:  # squares: log₂ n products
        if n & 1:
            result = a if result is None else matmul(result, a)
        n >>= 1
        a = matmul(a, a) if n else a
    eye = Variable.wrap(np.eye(a.shape[-1], dtype=a.dtype))
    return result if result is not None else eye.expand(a.shape).clone()  # type: ignore[attr-defined]


def multi_dot(tensors: Any) -> Any:
    """The product of several matrices, from left to right."""
    result = tensors[0]
    for t in tensors[1:]:
        result = matmul(result, t)
    return result


def matrix_rank(input: Any, *, rtol: float | None = None) -> Any:
    """How many singular values are above rtol times the largest; int64."""
    a = _matrix("matrix_rank", input, square=False)
    s = svdvals(a.detach())
    limit = max(a.shape[-2:]) * float(np.finfo(a.dtype).eps) if rtol is None else rtol
    return sum(s > limit * s.amax(-1, keepdim=True), -1)


def vector_norm(x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False) -> Any:
    """(Σ|x|ᵒʳᵈ)^{1/ord} over `dim` or all; the largest |x| for inf, the smallest for −inf, the count for 0."""
    check_float("norm", x)
    if ord == 0:
        return sum((x != 0).to(x.dtype), dim, keepdim)
    if ord == -math.inf:
        return amin(x.abs(), dim, keepdim)
    if ord < 0:
        return sum(x.abs() ** ord, dim, keepdim) ** (1 / ord)
    return norm(x, ord, dim, keepdim)


def matrix_norm(input: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False) -> Any:
    """Norm of matrices: "fro", "nuc" (sum of singular values), ±1 (columns), ±inf (rows), ±2 (singular values)."""
    check_float("norm", input)
    a = input
    rows, columns = (normalized_dim(d, a.ndim, "matrix_norm") for d in dim)
    if ord == "fro":
        return norm(a, 2, (rows, columns), keepdim)
    moved = movedim(a, (rows, columns), (-2, -1))
    if ord in (1, -1, math.inf, -math.inf):
        sums = sum(moved.abs(), -2 if ord in (1, -1) else -1)
        found = amax(sums, -1) if ord in (1, math.inf) else amin(sums, -1)
    elif ord in ("nuc", 2, -2):
        s = svdvals(moved)
        found = sum(s, -1) if ord == "nuc" else amax(s, -1) if ord == 2 else amin(s, -1)
    else:
        raise InputError(f"linalg.matrix_norm: ord is {ord!r}; it can be fro, nuc, ±1, ±2 or ±inf")
    return (
        own_result(reshape(found, [1 if i in (rows, columns) else n for i, n in enumerate(a.shape)]))
        if keepdim
        else found
    )


def any_norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """`torch.norm`: "fro" and numbers are norms of vectors over `dim` or all entries, "nuc" is one of matrices."""
    input = input if dtype is None else input.to(dtype)
    if p == "nuc":
        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim)
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim)


def general_norm(input: Any, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Any:
    """`linalg.norm`: of all entries, of vectors (one dim), or of matrices (two dims, or a word for `ord`)."""
    if ord is None:
        return vector_norm(input, 2, dim, keepdim)
    if isinstance(ord, str) or (dim is not None and not isinstance(dim, int) and len(dim) == 2):
        return matrix_norm(input, ord, (-2, -1) if dim is None else dim, keepdim)
    if dim is None and input.ndim == 2:
        return matrix_norm(input, ord, keepdim=keepdim)
    if dim is None and input.ndim > 2:
        raise ShapeError(
            f"linalg.norm: ord={ord} of shape {tuple(input.shape)}; say with dim which dimensions are meant"
        )
    return vector_norm(input, ord, dim, keepdim)


__all__ = [
    "any_norm", "cholesky", "det", "eigh", "eigvalsh", "general_norm", "inv", "logdet", "matrix_norm", "matrix_power",
    "matrix_rank", "multi_dot", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "vector_norm",
]  # fmt: skip
