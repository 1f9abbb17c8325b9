"""`tge estimate`: what a model will cost before it is trained."""

from __future__ import annotations

import itertools
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import click

import tinygrad_edu as tg

from ..zoo.presets import STATES, training_bytes
from .experiment import Refused
from .options import positive, sizes, tell

GPU = 80e9  # bytes of a large accelerator


def layers_cost(layers: tuple[int, ...], batch: int) -> dict[str, int]:
    """Parameters, numbers kept for the backward pass, and multiply-adds of one step of a network of linear layers."""
    pairs = list(itertools.pairwise(layers))
    parameters = sum(i * o + o for i, o in pairs)
    kept = batch * sum(layers)  # the input and what each layer's ReLU passed on
    passing = 3 * batch * max(layers[1:])  # a layer's output before its ReLU, and the gradient arriving and leaving
    products = sum(i * o for i, o in pairs)
    first = layers[0] * layers[1]  # nobody asks for the gradient of the data
    return {"parameters": parameters, "kept": kept + passing, "multiply_adds": batch * (3 * products - first)}


def memory(parameters: float, optimizer: str, kept: float, bytes_each: int) -> dict[str, float]:
    """Bytes of weights, gradients, the optimiser's state, and what is kept for the backward pass."""
    return {**training_bytes(parameters, optimizer, bytes_each), "activations": kept * bytes_each}


def resident() -> float:
    """Bytes of this process at its largest so far: the interpreter and the library are part of the cost.

    Linux says so in VmHWM; the usage of resources counts what the parent had before it started this program.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024.0 * float(line.split()[1])
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def speed(seconds: float = 0.3) -> float:
    """Multiply-adds per second of this machine in a product of 512 × 512 matrices, measured now."""
    a = tg.rand(512, 512)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return 512**3 / statistics.median(times)


def words(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def duration(seconds: float) -> str:
    """Seconds for people."""
    for size, unit in ((86400 * 365, "years"), (86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.3g} {unit}"
    return f"{seconds:.3g} s"


@click.command()
@click.option("--params", type=float, callback=positive("a number of parameters"), help="How many, such as 10e9.")
@click.option("--layers", metavar="N,N[,N…]", help="Sizes of a network of linear layers, such as 784,512,256,10.")
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--optimizer", type=click.Choice(list(STATES)), default="adam", show_default=True)
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True)
@click.option("--rows", type=click.IntRange(min=1), help="Training rows, for the time of an epoch.")
@click.option("--epochs", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def estimate(
    params: float | None, layers: str | None, batch_size: int, optimizer: str, dtype: str, rows: int | None,
    epochs: int, as_json: bool,
) -> None:  # fmt: skip
    """Say what training a model takes, before it is trained: memory by what it is for, and time on this machine.

    \b
    tge estimate --params 10e9 --optimizer adam
    tge estimate --layers 784,512,256,10 --batch-size 128 --rows 60000 --epochs 5

    Every parameter needs room for itself, its gradient, and what the optimiser remembers of it (Adam: two numbers); on
    top of that comes what the forward pass keeps for the backward pass, which grows with the batch. The time is the
    multiplications of forward and backward pass at the speed of a matrix product, measured now; real steps take longer.
    """
    if (params is None) == (layers is None):
        raise Refused("give one of --params and --layers")
    each = 4 if dtype == "float32" else 8
    facts: dict[str, Any] = {"optimizer": optimizer, "dtype": dtype}
    if layers is not None:
        found = sizes(layers)
        if len(found) < 2:
            raise Refused(f"--layers {layers}: the sizes of the input and at least one layer are wanted")
        cost = layers_cost(found, batch_size)
        parameters, kept, products = float(cost["parameters"]), cost["kept"], float(cost["multiply_adds"])
    else:
        parameters, kept = float(params or 0), 0
        products = 3 * parameters * batch_size
    parts = memory(parameters, optimizer, kept, each)
    total = sum(parts.values())
    facts |= {"parameters": parameters, "bytes": parts, "total_bytes": total}
    lines = [f"{parameters:,.0f} parameters, {dtype}, {optimizer}", ""]
    lines += [f"{name:<18} {words(size):>10}" for name, size in parts.items() if size or name != "activations"]
    if layers is None:
        lines.append(f"{'activations':<18} {'?':>10}   (they depend on the layers and the batch)")
    lines.append(f"{'in all':<18} {words(total):>10}")
    base = resident()
    facts |= {"process_bytes": base, "peak_bytes": total + base}
    lines.append(f"{'with this process':<18} {words(total + base):>10}")
    if total > GPU:
        lines.append(f"that is more than {int(total // GPU)} accelerators of 80 GB hold" + (
            ", before activations" if layers is None else ""))  # fmt: skip
        facts["accelerators_80GB"] = total / GPU
    rate = speed()
    step = products / rate
    facts |= {"multiply_adds_per_step": products, "multiply_adds_per_second": rate, "seconds_per_step": step}
    lines += ["", f"one step of {batch_size} rows: {products:.3g} multiply-adds, at least {duration(step)} "
                  f"at {rate:.3g} a second"]  # fmt: skip
    if rows is not None:
        seconds = step * -(-rows // batch_size) * epochs
        facts["seconds"] = seconds
        lines.append(f"{epochs} epoch(s) of {rows:,} rows: at least {duration(seconds)}")
    tell("\n".join(lines), facts, as_json)
