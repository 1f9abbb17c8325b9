"""`tge gradcheck`: every operation on random inputs, its derivative against central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg

F = tg.nn.functional
LABELS = np.array([2, 0, 1])

# name: (function, shapes of its inputs, where they lie). "any" is normal, "positive" in [0.5, 2], "apart" has no two
# entries closer than 0.1 nor any that near to 0 (for functions with kinks: differences across a kink mean nothing).
CASES: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...], str]] = {
    "add": (lambda a, b: a + b, ((3, 4), (4,)), "any"),
    "sub": (lambda a, b: a - b, ((3, 1), (3, 4)), "any"),
    "mul": (lambda a, b: a * b, ((3, 4), (3, 1)), "any"),
    "div": (lambda a, b: a / b, ((3, 4), (1, 4)), "positive"),
    "pow": (lambda a, b: a**b, ((3, 4), (3, 4)), "positive"),
    "neg": (lambda a: -a, ((3, 4),), "any"),
    "abs": (tg.abs, ((3, 4),), "apart"),
    "exp": (tg.exp, ((3, 4),), "any"),
    "log": (tg.log, ((3, 4),), "positive"),
    "log1p": (tg.log1p, ((3, 4),), "positive"),
    "sqrt": (tg.sqrt, ((3, 4),), "positive"),
    "sin": (tg.sin, ((3, 4),), "any"),
    "cos": (tg.cos, ((3, 4),), "any"),
    "erf": (tg.erf, ((3, 4),), "any"),
    "maximum": (tg.maximum, ((3, 4), (3, 4)), "apart"),
    "minimum": (tg.minimum, ((3, 4), (3, 4)), "apart"),
    "clamp": (lambda a: tg.clamp(a, -0.05, 0.75), ((3, 4),), "apart"),
    "where": (lambda a, b: tg.where(tg.tensor([True, False, True, False]), a, b), ((3, 4), (3, 4)), "any"),
    "relu": (F.relu, ((3, 4),), "apart"),
    "leaky_relu": (F.leaky_relu, ((3, 4),), "apart"),
    "elu": (F.elu, ((3, 4),), "apart"),
    "sigmoid": (tg.sigmoid, ((3, 4),), "any"),
    "tanh": (tg.tanh, ((3, 4),), "any"),
    "gelu": (F.gelu, ((3, 4),), "any"),
    "gelu tanh": (lambda a: F.gelu(a, approximate="tanh"), ((3, 4),), "any"),
    "silu": (F.silu, ((3, 4),), "any"),
    "softplus": (F.softplus, ((3, 4),), "any"),
    "softmax": (lambda a: F.softmax(a, dim=1), ((3, 4),), "any"),
    "log_softmax": (lambda a: F.log_softmax(a, dim=-1), ((3, 4),), "any"),
    "logsumexp": (lambda a: tg.logsumexp(a, 0), ((3, 4),), "any"),
    "sum": (lambda a: a.sum(1), ((3, 4),), "any"),
    "mean": (lambda a: a.mean(0), ((3, 4),), "any"),
    "var": (lambda a: a.var(1), ((3, 4),), "any"),
    "amax": (lambda a: a.amax(1), ((3, 4),), "apart"),
    "amin": (lambda a: a.amin(0), ((3, 4),), "apart"),
    "reshape": (lambda a: a.reshape(4, 3), ((3, 4),), "any"),
    "transpose": (lambda a: a.transpose(0, 1), ((3, 4),), "any"),
    "getitem": (lambda a: a[1:, ::2], ((3, 4),), "any"),
    "index": (lambda a: a[tg.tensor([0, 2, 2])], ((3, 4),), "any"),
    "cat": (lambda a, b: tg.cat([a, b], 1), ((3, 2), (3, 1)), "any"),
    "stack": (lambda a, b: tg.stack([a, b]), ((3, 2), (3, 2)), "any"),
    "matmul": (lambda a, b: a @ b, ((3, 4), (4, 2)), "any"),
    "batched matmul": (lambda a, b: a @ b, ((2, 3, 4), (4, 2)), "any"),
    "linear": (F.linear, ((3, 4), (2, 4), (2,)), "any"),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, 2, 1), ((1, 2, 4, 3), (2, 2, 3, 2), (2,)), "any"),
    "conv_transpose2d": (lambda x, w: F.conv_transpose2d(x, w, None, 2, 1), ((1, 2, 2, 3), (2, 1, 3, 3)), "any"),
    "max_pool2d": (lambda a: F.max_pool2d(a, 2), ((1, 2, 4, 4),), "apart"),
    "avg_pool2d": (lambda a: F.avg_pool2d(a, 3, 2, 1), ((1, 2, 4, 4),), "any"),
    "layer_norm": (lambda a, w, b: F.layer_norm(a, (4,), w, b), ((3, 4), (4,), (4,)), "any"),
    "rms_norm": (lambda a, w: F.rms_norm(a, (4,), w), ((3, 4), (4,)), "any"),
    "batch_norm": (lambda a, w, b: F.batch_norm(a, None, None, w, b, True), ((4, 2, 3), (2,), (2,)), "any"),
    "embedding": (lambda w: F.embedding(tg.tensor(LABELS), w), ((3, 4),), "any"),
    "pad": (lambda a: F.pad(a, (1, 2), "reflect"), ((2, 4),), "any"),
    "interpolate": (lambda a: F.interpolate(a, 5, mode="linear"), ((1, 2, 3),), "any"),
    "cross_entropy": (lambda a: F.cross_entropy(a, tg.tensor(LABELS)), ((3, 4),), "any"),
    "mse_loss": (F.mse_loss, ((3, 4), (3, 4)), "any"),
}


def check_all(seed: int = 0, only: str = "") -> list[tuple[str, str, str | None]]:
    """(name, shapes, what is wrong or None) for each case whose name contains `only`."""
    rows = []
    for number, (name, (function, shapes, kind)) in enumerate(CASES.items()):
        if only not in name:
            continue
        rng = np.random.default_rng([seed, number])
        inputs = tuple([tg.tensor(x, requires_grad=True) for x in _draw(rng, shapes, kind)])
        problem = None
        try:
            tg.autograd.gradcheck(function, inputs, atol=1e-6, rtol=1e-5)
        except Exception as error:  # an operation that raises is as wrong as one whose gradient is
            problem = f"{type(error).__name__}: {error}"
        rows.append((name, " ".join(str(s).replace(" ", "") for s in shapes), problem))
    return rows


def _draw(rng: np.random.Generator, shapes: tuple[tuple[int, ...], ...], kind: str) -> list[np.ndarray]:
    """Random float64 inputs of one kind."""
    if kind == "any":
        return [rng.normal(size=shape) for shape in shapes]
    if kind == "positive":
        return [rng.uniform(0.5, 2.0, shape) for shape in shapes]
    total = sum(int(np.prod(shape)) for shape in shapes)
    values = rng.permutation((np.arange(total) - total // 2 + 0.5) * 0.2) + rng.uniform(-0.02, 0.02, total)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(values, ends[:-1]), shapes, strict=True)]
