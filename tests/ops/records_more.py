"""Records of the elementary functions, running sums and decompositions; see `records`."""

from __future__ import annotations

from typing import Any

from records import PAIRS, UNARY, Record, away, normal, positive

import tinygrad_edu as tg
from tinygrad_edu.ops.devices import Moved


def _unary(name: str, inner: Any = lambda x: x, samples: list[Any] | None = None) -> Record:
    """A function of one tensor, both of us calling it on `inner` of the sample."""
    chosen = [(s,) for s in (samples or UNARY)]
    return Record(name, lambda x: getattr(tg, name)(inner(x)), lambda t, x: getattr(t, name)(inner(x)), chosen)


def _small(x: Any) -> Any:
    return x.tanh() * 0.9


def _large(x: Any) -> Any:
    return x * x + 1.5


def _square(x: Any) -> Any:
    """Matrices that are far from singular."""
    return x @ x.mT + 2.0 * _eye(x)


def _eye(x: Any) -> Any:
    module = tg if isinstance(x, tg.Tensor) else __import__("torch")
    return module.eye(x.shape[-1], dtype=x.dtype)


MATRICES = [(normal(3, 3),), (normal(2, 3, 3),), (normal(1, 1),), (normal(0, 2, 2),)]
POSITIVE = [positive(2, 3), positive(), positive(0, 2)]


def _both(name: str, function: Any, *samples: Any) -> Record:
    """A function of a module (ours or PyTorch) and tensors."""
    return Record(name, lambda *x: function(tg, *x), function, list(samples))


RECORDS = [
    Record("moved", lambda x: Moved.apply(x, "cpu"), lambda torch, x: x.to("cpu"), [(normal(2, 3),)]),
    *[_unary(name) for name in ("exp2", "expm1", "tan", "sinh", "cosh", "atan", "asinh", "erfc")],
    *[_unary(name, samples=POSITIVE) for name in ("log2", "log10", "rsqrt")],
    *[_unary(name, _small) for name in ("asin", "acos", "atanh", "erfinv")],
    _unary("acosh", _large),
    *[_unary(name, samples=[away(2, 3), away()]) for name in ("floor", "ceil", "trunc", "round")],
    _both("atan2", lambda t, y, x: t.atan2(y, x), *[(away(*a), away(*b)) for a, b in PAIRS]),
    _both("remainder", lambda t, a, b: t.remainder(a, b), (away(2, 3), positive(3)), (away(), positive())),
    _both("fmod", lambda t, a, b: t.fmod(a, b), (away(2, 3), positive(2, 1))),
    _both("cumsum", lambda t, x: t.cumsum(x, -1), *[(s,) for s in UNARY]),
    _both("solve", lambda t, a, b: t.linalg.solve(_square(a), b), (normal(3, 3), normal(3, 2)),
          (normal(2, 3, 3), normal(2, 3, 1)), (normal(2, 2), normal(2))),
    *[_both(name, lambda t, x, f=name: getattr(t.linalg, f)(_square(x)), *MATRICES)
      for name in ("inv", "det", "cholesky", "eigvalsh")],
    _both("slogdet", lambda t, x: t.linalg.slogdet(_square(x))[1], *MATRICES),
    _both("qr", lambda t, x: _product(t.linalg.qr(x)), (normal(4, 3),), (normal(2, 2),)),
    _both("svd", lambda t, x: _weighted(t.linalg.svd(x, full_matrices=False)), (normal(4, 3),), (normal(2, 2, 3),)),
    _both("eigh", lambda t, x: _weighted(t.linalg.eigh(_square(x))[::-1]), (normal(3, 3),)),
]  # fmt: skip


def _product(parts: Any) -> Any:
    """Something of Q and R that does not depend on signs."""
    q, r = parts
    return (q * q) @ (r * r) + q @ r


def _weighted(parts: Any) -> Any:
    """Something of vectors and values that does not depend on signs."""
    vectors, values = parts[0], parts[1]
    return (vectors * vectors) @ (values * values).unsqueeze(-1)
