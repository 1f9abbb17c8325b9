"""`python -m bench cuda`: the ladder of matrix products on a GPU, and what memory allows for the other kernels.

Each step is checked against float64 before it is timed; times are the GPU's own, between two events
around one call, turn by turn, so that the clock's ups and downs meet all alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.kernels import cuda
from tinygrad_edu.kernels.cuda import products

STEPS = {name: (name, "highest") for name in products.LADDER} | {
    format: ("block128", precision) for precision, format in products.FORMATS.items()
}
ERRORS = {"highest": 1e-5, "high": 1e-3, "medium": 1e-2}  # for each entry of a row

Call = Callable[[], Any]
Timer = Callable[[Call], float]


def by_events(call: Call) -> float:
    """Seconds that the GPU takes for what a call launches."""
    cupy = cuda.device().cupy
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    call()
    end.record()
    end.synchronize()
    return float(cupy.cuda.get_elapsed_time(start, end)) / 1e3


def interleaved(calls: dict[str, Call], timer: Timer, rounds: int) -> dict[str, float]:
    """The median time of each call, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            seconds = timer(call)
            if turn:
                times[name].append(seconds)
    return {name: statistics.median(found) for name, found in times.items()}


def on_step(name: str, a: Any, b: Any, c: Any) -> Call:
    """The product by one step of the ladder."""

    def call() -> None:
        before = products.step[0], products.precision[0]
        products.step[0], products.precision[0] = STEPS[name]
        try:
            products.product(c, a, b)
        finally:
            products.step[0], products.precision[0] = before

    return call


def ladder(size: int, timer: Timer, rounds: int, libraries: bool) -> list[dict[str, Any]]:
    """Rows for the product of two square matrices: each step, cuBLAS, and PyTorch where it has the GPU."""
    rng = np.random.default_rng(0)
    host = [rng.standard_normal((size, size), dtype=np.float32) for _ in range(2)]
    a, b = (cuda.to_device(x) for x in host)
    steps = STEPS if cuda.device().gpu.capability >= 80 else products.LADDER  # tensor cores came later
    results = {name: cuda.empty((size, size), np.float32) for name in steps}
    calls = {name: on_step(name, a, b, c) for name, c in results.items()}
    wanted = host[0].astype(np.float64) @ host[1]
    for name, call in calls.items():
        call()
        error = np.abs(cuda.to_host(results[name]) - wanted).max()
        if not error <= ERRORS[STEPS[name][1]] * size:
            raise AssertionError(f"{name}: {size} × {size} is wrong by {error}")
    if libraries:
        cupy = cuda.device().cupy
        calls["cuBLAS (cupy.matmul)"] = lambda: cupy.matmul(a, b)
        calls |= _torch(host)
    seconds = interleaved(calls, timer, rounds)
    best = seconds.get("cuBLAS (cupy.matmul)", min(seconds.values()))
    return [
        {"size": size, "step": name, "seconds": s, "gflops": 2 * size**3 / s / 1e9, "of_cublas": best / s}
        for name, s in seconds.items()
    ]


def _torch(host: list[np.ndarray]) -> dict[str, Call]:
    try:
        import torch
    except ImportError:
        return {}
    if not torch.cuda.is_available():
        return {}
    x, y = (torch.from_numpy(h).cuda() for h in host)

    def product(precision: str) -> None:
        torch.set_float32_matmul_precision(precision)
        x @ y

    return {"PyTorch": lambda: product("highest"), "PyTorch, TF32": lambda: product("high")}


def bandwidth(entries: int, timer: Timer, rounds: int) -> list[dict[str, Any]]:
    """Rows for kernels that memory limits: bytes moved in a second, beside a copy's."""
    x = cuda.to_device(np.random.default_rng(1).standard_normal((entries // 1024, 1024), dtype=np.float32))
    out = cuda.empty(x.shape, np.float32)
    moved: dict[str, tuple[int, Call]] = {  # arrays of x's size that are read and written
        "copy": (2, lambda: cuda.copy(x, out=out)),
        "add": (3, lambda: cuda.add(x, x, out=out)),
        "gelu": (2, lambda: cuda.gelu(x, False, out=out)),
        "sum of rows": (1, lambda: cuda.sum(x, (1,), False)),
        "sum of columns": (1, lambda: cuda.sum(x, (0,), False)),
        "softmax": (2, lambda: cuda.softmax(x, 1)),
        "transpose": (2, lambda: cuda.copy(x.T)),
    }
    seconds = interleaved({name: call for name, (_, call) in moved.items()}, timer, rounds)
    speed = {name: arrays * x.nbytes / seconds[name] / 1e9 for name, (arrays, _) in moved.items()}
    return [{"kernel": name, "gb_per_s": value, "of_copy": value / speed["copy"]} for name, value in speed.items()]


def measured(quick: bool = False, timer: Timer = by_events, libraries: bool = True) -> dict[str, Any]:
    """Everything: the rows of the ladder, and of the bandwidth."""
    rounds = 2 if quick else 20
    sizes = [128] if quick else [512, 1024, 2048, 4096]
    return {
        "ladder": [row for size in sizes for row in ladder(size, timer, rounds, libraries)],
        "bandwidth": bandwidth(2**14 if quick else 2**26, timer, rounds),
    }


def markdown(found: dict[str, Any]) -> str:
    """The tables."""
    lines = ["| product | step | ms | GFLOP/s | of cuBLAS |", "|---|---|---:|---:|---:|"]
    for row in found["ladder"]:
        lines.append(f"| {row['size']}² | {row['step']} | {row['seconds'] * 1e3:.3f} | {row['gflops']:,.0f} | "
                     f"{row['of_cublas']:.0%} |")  # fmt: skip
    lines += ["", "| kernel | GB/s | of a copy |", "|---|---:|---:|"]
    lines += [f"| {row['kernel']} | {row['gb_per_s']:,.0f} | {row['of_copy']:.0%} |" for row in found["bandwidth"]]
    return "\n".join(lines)
