"""One module in both libraries: the same weights by state_dict both ways, then everything about a step compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

TOLERANCE = {"float32": 2e-5, "float64": 1e-11}


def twins(build: Callable[[Any], Any], dtype: str = "float64") -> tuple[Any, Any, Any]:
    """(torch, ours, theirs): `build` called with both `nn`s, the weights made equal there and back."""
    torch = pytest.importorskip("torch")
    ours, theirs = build(nn), build(torch.nn)
    if dtype == "float64":
        ours, theirs = ours.double(), theirs.double()
    state = ours.state_dict()
    rng = np.random.default_rng(5)
    for value in state.values():  # values of their own, so that nothing agrees because it is still 0 or 1
        if value.is_floating_point():
            value.copy_(tg.tensor(np.abs(rng.standard_normal(value.shape)) * 0.5 + 0.1))
    theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in state.items()})
    ours.load_state_dict({name: tg.tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    return torch, ours, theirs


def arrays(inputs: list[Any], dtype: str, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    """Shapes as normal numbers; arrays (integers) as they are."""
    rng = np.random.default_rng(seed)
    return [x if isinstance(x, np.ndarray) else rng.standard_normal(x).astype(dtype) for x in inputs]


def close(ours: Any, theirs: Any, dtype: str, what: str) -> None:
    """Equal in shape and dtype, and within rounding in value."""
    expected = theirs.detach().numpy()
    actual = ours.detach().numpy()
    assert actual.shape == expected.shape, what
    assert actual.dtype == expected.dtype, what
    scale = float(np.abs(expected).max(initial=1.0))
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * scale, err_msg=what)


def step(torch: Any, ours: Any, theirs: Any, values: list[Any], dtype: str) -> None:
    """Forward and backward in both: outputs, and the gradients of inputs and parameters."""
    a = [tg.tensor(v, requires_grad=v.dtype.kind == "f") for v in values]
    b = [torch.tensor(v, requires_grad=v.dtype.kind == "f") for v in values]
    y, z = ours(*a), theirs(*b)
    for i, (mine, other) in enumerate(zip(*[(t if isinstance(t, tuple) else (t,)) for t in (y, z)], strict=True)):
        close(mine, other, dtype, f"output {i}")
    y, z = (t[0] if isinstance(t, tuple) else t for t in (y, z))
    if not z.requires_grad:
        assert not y.requires_grad
        return
    seed = np.random.default_rng(9).standard_normal(tuple(z.shape)).astype(dtype)
    for module in (ours, theirs):
        module.zero_grad()
    y.backward(tg.tensor(seed))
    z.backward(torch.tensor(seed))
    for i, (mine, other) in enumerate(zip(a, b, strict=True)):
        if other.grad is not None:
            close(mine.grad, other.grad, dtype, f"gradient of input {i}")
    others = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert (parameter.grad is None) == (others[name].grad is None), name
        if parameter.grad is not None:
            close(parameter.grad, others[name].grad, dtype, f"gradient of {name}")


def check(build: Callable[[Any], Any], inputs: list[Any], dtype: str = "float64", steps: int = 1) -> None:
    """Several steps in training mode, then one in evaluation; in between and at the end all buffers are equal."""
    torch, ours, theirs = twins(build, dtype)
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }
    for training in (True, False):
        for module in (ours, theirs):
            module.train(training)
        for i in range(steps if training else 1):
            step(torch, ours, theirs, arrays(inputs, dtype, i), dtype)
        others = dict(theirs.named_buffers())
        for name, buffer in ours.named_buffers():
            close(buffer, others[name], dtype, f"buffer {name}")
