"""The steps of csrc/ladder, from the definition to the library's own kernel: checked, timed, set against the peak."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from . import native
from .measure import Effort, Run, check, interleaved, summary

MATMUL = {
    "1_naive": "the definition",
    "2_order": "loop order: along rows, so the compiler makes vectors",
    "3_rows": "register tile: four rows share what is loaded",
    "4_blocked": "cache blocks: pieces of B stay near",
    "5_packed": "packing: memory in the order it is read",
    "6_vectors": "vectors: the tile's sums stay in registers",
    "7_threads": "threads: each a share of the rows",
    "8_unit": "a matrix unit: float32 in three parts",
}
SOFTMAX = {
    "1_naive": "the definition, in three passes",
    "2_keep": "keep the exponentials, divide once",
    "3_vectors": "vectors, with an exponential of our own",
    "4_online": "online: maximum and sum in one pass",
}
EXPONENTIAL = 20.0  # operations that an exponential is counted as, so that softmax has a speed in FLOP/s


def _pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def matmul_steps() -> dict[str, str]:
    """The steps that this machine can go."""
    return {name: idea for name, idea in MATMUL.items() if name != "8_unit" or native.ladder().unit_is_there()}


def matmul(size: int, threads: int) -> tuple[dict[str, Run], dict[str, Any]]:
    """The steps for a product of squares, each into memory of its own; and what each wrote."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    runs: dict[str, Run] = {}
    results: dict[str, Any] = {"": a.astype(float) @ b.astype(float)}
    for name in matmul_steps():
        function, c = getattr(native.ladder(), f"matmul_{name}"), np.empty((size, size), np.float32)
        sizes = [ctypes.c_long(size)] * 3
        runs[name] = lambda f=function, c=c, s=sizes: f(
            *s, _pointer(a), _pointer(b), _pointer(c), ctypes.c_int(threads)
        )
        results[name] = c
    return runs | libraries(lambda torch, x, y: x @ y, a, b), results


def softmax(rows: int, columns: int) -> tuple[dict[str, Run], dict[str, Any]]:
    """The steps for a softmax of rows."""
    x = np.random.default_rng(1).standard_normal((rows, columns), dtype=np.float32)
    wide = np.exp(x.astype(float) - x.max(1, keepdims=True))
    runs: dict[str, Run] = {}
    results: dict[str, Any] = {"": wide / wide.sum(1, keepdims=True)}
    for name in SOFTMAX:
        function, y = getattr(native.ladder(), f"softmax_{name}"), np.empty_like(x)
        sizes = [ctypes.c_long(rows), ctypes.c_long(columns)]
        runs[name] = lambda f=function, y=y, s=sizes: f(*s, _pointer(x), _pointer(y))
        results[name] = y
    return runs | libraries(lambda torch, x: torch.softmax(x, -1), x), results


def libraries(function: Callable[..., Any], *inputs: np.ndarray) -> dict[str, Run]:
    """The same by this library and by PyTorch."""
    import torch

    import tinygrad_edu

    runs = {}
    for name, module in (("tinygrad_edu", tinygrad_edu), ("torch", torch)):
        tensors = [module.from_numpy(array) for array in inputs]
        runs[name] = lambda m=module, t=tensors: function(m, *t)
    return runs


def rows(limits: dict[str, float], threads: int, effort: Effort, quick: bool) -> list[dict[str, Any]]:
    """A row per step of both ladders, then the library, then PyTorch."""
    size, shape = (48, (8, 40)) if quick else (768, (4096, 256))
    found = []
    for family, meanings, (runs, results), flops in (
        (f"matmul {size}³", matmul_steps(), matmul(size, threads), 2.0 * size**3),
        (f"softmax {shape[0]}×{shape[1]}", SOFTMAX, softmax(*shape), EXPONENTIAL * shape[0] * shape[1]),
    ):
        for name in meanings:
            runs[name]()
            check(f"{family}, step {name}", [results[name]], [results[""]], 1e-4)
        times = {name: summary(values, 1) for name, values in interleaved(runs, effort).items()}
        for name, time in times.items():
            found.append({
                "family": family, "name": name.replace("_", " "), "idea": meanings.get(name, ""), "seconds": time,
                "gflops": flops / time["median"] / 1e9, "of_peak": flops / time["median"] / limits["flops"],
                "ratio": times["torch"]["median"] / time["median"],
            })  # fmt: skip
    return found
