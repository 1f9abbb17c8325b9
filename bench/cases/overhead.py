"""What one operation costs apart from its arithmetic: tiny tensors, long chains, diamonds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..measure import Case, Run

TINY = np.linspace(0.1, 1.0, 4, dtype=np.float32)


def tiny(torch: Any, gradient: bool = False) -> Any:
    """A leaf of four numbers."""
    x = torch.from_numpy(TINY.copy())
    return x.requires_grad_() if gradient else x


def forward(torch: Any) -> Run:
    """x + x without a graph."""
    x = tiny(torch)
    return lambda: x + x


def recorded(torch: Any) -> Run:
    """x + x with a graph."""
    x = tiny(torch, gradient=True)
    return lambda: x + x


def chain(n: int, operation: Callable[[Any], Any]) -> Callable[[Any], Run]:
    """Forward and backward through n operations one behind the other."""

    def make(torch: Any) -> Run:
        x = tiny(torch, gradient=True)

        def run() -> Any:
            y = x
            for _ in range(n):
                y = operation(y)
            (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
            return gradient

        return run

    return make


def module_call(torch: Any) -> Run:
    """A module that returns what it is given: the cost of the call itself."""
    module, x = torch.nn.Identity(), tiny(torch)
    return lambda: module(x)


def optimizer_step(name: str, count: int) -> Callable[[Any], Run]:
    """One step over `count` tiny parameters."""

    def make(torch: Any) -> Run:
        parameters = [torch.nn.Parameter(tiny(torch)) for _ in range(count)]
        for p in parameters:
            p.grad = tiny(torch)
        optimizer = getattr(torch.optim, name)(parameters, lr=1e-6)

        def run() -> Any:
            optimizer.step()
            return parameters[0]

        return run

    return make


def halves(y: Any) -> Any:
    """y, by way of two paths that meet again."""
    return y * 0.5 + y * 0.5


def cases(quick: bool = False) -> list[Case]:
    """Times are per operation, node or call. In `quick`, the long chains are left out."""
    found = [
        Case("overhead", "x + x, not recorded", forward),
        Case("overhead", "x + x, recorded", recorded),
        Case("overhead", "Module call", module_call),
        Case("overhead", "SGD step, 4 tiny parameters", optimizer_step("SGD", 4)),
        Case("overhead", "Adam step, 4 tiny parameters", optimizer_step("Adam", 4), tolerance=1e-3),
    ]
    for n in (100,) if quick else (100, 1_000, 10_000, 100_000):
        found.append(Case("nodes", f"chain of {n:,} nodes, per node", chain(n, lambda y: y * 1.0), units=n))
    for n in (30,) if quick else (30, 300, 3_000):
        found.append(Case("nodes", f"diamonds {n:,} deep, per node", chain(n, halves), units=3 * n))
    return found
