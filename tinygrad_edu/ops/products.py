"""Products of matrices and tensors, all by `matmul`: einsum, tensordot, and the named ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from ._common import ShapeError, normalized_dim, own_result
from .elementwise import sqrt, where
from .linalg import matmul
from .reduce import sum
from .shape import cat, expand, permute, reshape, transpose, unsqueeze


def _expect(name: str, dims: tuple[int, ...], *tensors: Any) -> None:
    if tuple(t.ndim for t in tensors) != dims:
        raise ShapeError(f"{name}: tensors of {', '.join(map(str, dims))} dimensions are wanted, got shapes "
                         f"{', '.join(str(tuple(t.shape)) for t in tensors)}")  # fmt: skip


def mm(input: Any, mat2: Any) -> Any:
    """(M, K) · (K, N)."""
    _expect("mm", (2, 2), input, mat2)
    return matmul(input, mat2)


def bmm(input: Any, mat2: Any) -> Any:
    """(B, M, K) · (B, K, N), one product for each of the batch."""
    _expect("bmm", (3, 3), input, mat2)
    if input.shape[0] != mat2.shape[0]:
        raise ShapeError(f"bmm: batches of {input.shape[0]} and {mat2.shape[0]}; matmul would broadcast")
    return matmul(input, mat2)


def mv(input: Any, vec: Any) -> Any:
    """(M, K) · (K,)."""
    _expect("mv", (2, 1), input, vec)
    return matmul(input, vec)


def dot(input: Any, tensor: Any) -> Any:
    """Σ aᵢ·bᵢ of two vectors."""
    _expect("dot", (1, 1), input, tensor)
    return matmul(input, tensor)


def outer(input: Any, vec2: Any) -> Any:
    """aᵢ·bⱼ of two vectors."""
    _expect("outer", (1, 1), input, vec2)
    return unsqueeze(input, 1) * unsqueeze(vec2, 0)


ger = outer


def vdot(input: Any, other: Any) -> Any:
    """Σ aᵢ·bᵢ of two vectors: `dot`, since numbers are real here."""
    return dot(input, other)


def _sum_of(input: Any, product: Any, beta: float, alpha: float) -> Any:
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product + 0 * sum(input.detach() * 0)  # NaN in what does not count does not count either
    return (input if beta == 1 else input * beta) + product


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta · input + alpha · mat1·mat2."""
    return _sum_of(input, mm(mat1, mat2), beta, alpha)


def addmv(input: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta · input + alpha · mat·vec."""
    return _sum_of(input, mv(mat, vec), beta, alpha)


def addr(input: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta · input + alpha · vec1ᵢ·vec2ⱼ."""
    return _sum_of(input, outer(vec1, vec2), beta, alpha)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta · input + alpha · Σ over the batch of batch1·batch2."""
    return _sum_of(input, sum(bmm(batch1, batch2), 0, dtype=batch1.dtype), beta, alpha)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta · input + alpha · batch1·batch2, for each of the batch."""
    return _sum_of(input, bmm(batch1, batch2), beta, alpha)


def inner(input: Any, other: Any) -> Any:
    """Σ over the last dimension of both."""
    if not input.ndim or not other.ndim:
        return input * other
    return tensordot(input, other, ([-1], [-1]))


def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """Σ over pairs of dimensions: the last `dims` of a with the first of b, or the pairs listed."""
    if isinstance(dims, int):
        da, db = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        da, db = (
            [normalized_dim(d, t.ndim, "tensordot") for d in which] for t, which in zip((a, b), dims, strict=True)
        )
    if [a.shape[i] for i in da] != [b.shape[i] for i in db]:
        raise ShapeError(f"tensordot: dims {da} of {tuple(a.shape)} and {db} of {tuple(b.shape)} have other sizes")
    ra, rb = ([i for i in range(t.ndim) if i not in used] for t, used in ((a, da), (b, db)))
    shape = [a.shape[i] for i in ra] + [b.shape[i] for i in rb]
    rows, inside, columns = (_product([t.shape[i] for i in which]) for t, which in ((a, ra), (a, da), (b, rb)))
    left = reshape(permute(a, ra + da), (rows, inside))
    return own_result(reshape(matmul(left, reshape(permute(b, db + rb), (inside, columns))), shape))


def _product(sizes: list[int]) -> int:
    n = 1
    for size in sizes:
        n *= size
    return n


def kron(input: Any, other: Any) -> Any:
    """Every entry of the first times the whole second, in blocks."""
    n = max(input.ndim, other.ndim)
    a, b = (reshape(t, (*(1,) * (n - t.ndim), *t.shape)) for t in (input, other))
    blocks = reshape(a, [m for s in a.shape for m in (s, 1)]) * reshape(b, [m for s in b.shape for m in (1, s)])
    return own_result(reshape(blocks, [p * q for p, q in zip(a.shape, b.shape, strict=True)]))


def trace(input: Any) -> Any:
    """Σ of the diagonal of a matrix."""
    _expect("trace", (2,), input)
    n = min(input.shape)
    from .arrangement import diagonal

    return sum(diagonal(input)) if n else sum(input)


def cross(input: Any, other: Any, dim: int | None = None) -> Any:
    """The vector at right angles to both, along a dimension of size 3 (by default the first one)."""
    if dim is None:
        dim = next((d for d, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise InputError(f"cross: shape {tuple(input.shape)} has no dimension of size 3")
    axis = normalized_dim(dim, input.ndim, "cross")
    if input.shape[axis] != 3 or other.shape[axis] != 3:
        raise InputError(f"cross: dim {dim} must have size 3; got shapes {tuple(input.shape)} and {tuple(other.shape)}")
    from .arrangement import narrow

    a, b = ([narrow(t, axis, i, 1) for i in range(3)] for t in (input, other))
    return cat([a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))], axis)


def linalg_cross(input: Any, other: Any, *, dim: int = -1) -> Any:
    """The vector at right angles to both, along `dim`, by default the last."""
    return cross(input, other, dim)


def cdist(x1: Any, x2: Any, p: float = 2.0) -> Any:
    """The p-distance of every row of x1 (…, P, M) from every row of x2 (…, R, M)."""
    difference = (unsqueeze(x1, -2) - unsqueeze(x2, -3)).abs()
    if p == 1:
        return sum(difference, -1)
    if p == float("inf"):
        return difference.amax(-1)
    total = sum(difference * difference if p == 2 else difference**p, -1)
    zero = total == 0  # the distance to itself has no derivative; 0 stands in
    safe = where(zero, 1.0, total)
    return where(zero, 0.0, sqrt(safe) if p == 2 else safe ** (1 / p))


# -- einsum ------------------------------------------------------------------------------------------------------
def einsum(equation: str, *operands: Any) -> Any:
    """Einstein's sum: "ij,jk->ik" is a product of matrices, "...ii->...i" the diagonals, "i,j" all products of pairs.

    Indices that do not stand after -> are summed over; without ->, those that occur once stay, in alphabetical order.
    Operands are joined from left to right, each time by one `matmul`.
    """
    if len(operands) == 1 and isinstance(operands[0], Sequence):
        operands = tuple(operands[0])
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise InputError(f"einsum: {equation!r} names {len(terms)} operands, {len(operands)} were given")
    wide = max(
        (t.ndim - len(s.replace("...", "")) for s, t in zip(terms, operands, strict=True) if "..." in s), default=0
    )
    dots = "".join(chr(0x100 + i) for i in range(wide))  # labels of their own for the dimensions behind …
    labels = []
    for term, t in zip(terms, operands, strict=True):
        have = t.ndim - len(term.replace("...", ""))
        if have < 0 or (have and "..." not in term):
            raise InputError(f"einsum: {term!r} does not fit an operand of shape {tuple(t.shape)}")
        labels.append(term.replace("...", dots[wide - have :]))
    named = "".join(labels)
    if not all(c.isalpha() or c in dots for c in named):
        raise InputError(f"einsum: {equation!r} has something else than letters, commas, ... and ->")
    if not arrow:
        right = dots + "".join(sorted(c for c in set(named) if named.count(c) == 1 and c not in dots))
    else:
        right = right.replace("...", dots)
    unknown = [c for c in right if c not in named]
    if unknown or len(set(right)) < len(right):
        raise InputError(f"einsum: the result {right!r} names {unknown or 'an index twice'}")
    sizes: dict[str, int] = {}
    parts = []
    for label, t in zip(labels, operands, strict=True):
        label, t = _diagonals(label, t)
        for c, n in zip(label, t.shape, strict=True):
            if sizes.setdefault(c, n) != n and 1 not in (sizes[c], n):
                raise ShapeError(f"einsum: index {c!r} has sizes {sizes[c]} and {n}")
            sizes[c] = max(sizes[c], n) if sizes[c] and n else min(sizes[c], n)
        parts.append((label, t))
    label, result = parts[0]
    for i, (other, t) in enumerate(parts[1:], start=1):
        later = set(right).union(*[set(p[0]) for p in parts[i + 1 :]])
        label, result = _pair(label, result, other, t, later, sizes)
    gone = [i for i, c in enumerate(label) if c not in right]
    result = sum(result, tuple(gone)) if gone else result
    kept = [c for c in label if c in right]
    return permute(result, [kept.index(c) for c in right]) if right else result


def _diagonals(label: str, t: Any) -> tuple[str, Any]:
    """An operand without repeated indices: "ii" is its diagonal."""
    from .arrangement import diagonal

    for c in sorted(set(label)):
        while label.count(c) > 1:
            i = label.index(c)
            j = label.index(c, i + 1)
            if t.shape[i] != t.shape[j]:
                raise ShapeError(f"einsum: index {c!r} has sizes {t.shape[i]} and {t.shape[j]}")
            t = diagonal(t, 0, i, j)
            label = label[:i] + label[i + 1 : j] + label[j + 1 :] + c
    return label, t


def _pair(la: str, a: Any, lb: str, b: Any, later: set[str], sizes: dict[str, int]) -> tuple[str, Any]:
    """Two operands as one: indices that both have are multiplied, those that nobody needs later summed over."""
    for label, t in ((la, a), (lb, b)):
        mine = [i for i, c in enumerate(label) if c not in later and c not in (lb if label is la else la)]
        if mine:
            short = "".join(c for i, c in enumerate(label) if i not in mine)
            if label is la:
                la, a = short, sum(t, tuple(mine))
            else:
                lb, b = short, sum(t, tuple(mine))
    both = [c for c in la if c in lb]
    batch, inside = [c for c in both if c in later], [c for c in both if c not in later]
    rows, columns = [c for c in la if c not in both], [c for c in lb if c not in both]

    def laid(label: str, t: Any, order: list[str], shape: list[int]) -> Any:
        t = permute(t, [label.index(c) for c in order])
        return reshape(expand(t, [sizes[c] for c in order]), shape)

    n, k = _product([sizes[c] for c in batch]), _product([sizes[c] for c in inside])
    m, q = _product([sizes[c] for c in rows]), _product([sizes[c] for c in columns])
    left = laid(la, a, [*batch, *rows, *inside], [n, m, k])
    product = matmul(left, transpose(laid(lb, b, [*batch, *columns, *inside], [n, q, k]), 1, 2))
    label = "".join([*batch, *rows, *columns])
    return label, reshape(product, [sizes[c] for c in label])


__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "cdist", "cross", "dot", "einsum", "ger", "inner", "kron",
    "mm", "mv", "outer", "tensordot", "trace", "vdot",
]  # fmt: skip
