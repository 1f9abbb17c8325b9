"""Checkpointed functions, and PyTorch's addresses of modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.utils.checkpoint import checkpoint, checkpoint_sequential


def model() -> Any:
    tg.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 2))


def gradients(net: Any, run: Any, requires_grad: bool) -> list[Any]:
    """The output, and the gradients of input and parameters; the same dropout each time."""
    net.zero_grad()
    tg.manual_seed(7)
    x = tg.tensor(np.random.default_rng(0).standard_normal((5, 3)), dtype=tg.float32, requires_grad=requires_grad)
    y = run(x)
    after = tg.rand(3)  # whoever draws next is not disturbed
    (y * y).sum().backward()
    return [y.detach(), after, *([x.grad] if requires_grad else []), *[p.grad.clone() for p in net.parameters()]]


@pytest.mark.parametrize("requires_grad", [True, False])
def test_checkpointing_changes_no_bit(requires_grad: bool) -> None:
    net = model()
    plain = gradients(net, net, requires_grad)
    for run in (
        lambda x: checkpoint(net, x, use_reentrant=False),
        lambda x: checkpoint_sequential(net, 2, x),
        lambda x: checkpoint(lambda v, scale: net(v) * scale, x, scale=1.0),
    ):
        for a, b in zip(plain, gradients(net, run, requires_grad), strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_inner_values_are_not_kept_and_computed_again() -> None:
    calls = []

    def f(x: Any, y: Any) -> Any:
        calls.append(tg.is_grad_enabled())
        return x * y, (x + y).exp()

    x, y = tg.ones(2, requires_grad=True), tg.full((2,), 2.0)
    a, b = checkpoint(f, x, y)
    (a + b).sum().backward()
    assert calls == [False, True]
    np.testing.assert_allclose(x.grad.numpy(), 2 + np.exp(3), rtol=1e-6)


def test_addresses_of_modules() -> None:
    themes = nn.modules
    assert themes.Linear is themes.linear.Linear is themes.module.Linear is nn.Linear
    assert isinstance(nn.BatchNorm2d(2), themes.batchnorm._BatchNorm)
    assert isinstance(nn.Conv1d(1, 1, 1), themes.conv._ConvNd)
    assert isinstance(nn.CrossEntropyLoss(), themes.loss._WeightedLoss)
    assert isinstance(nn.MSELoss(), themes.loss._Loss)
    assert (themes.utils._pair(3), themes.utils._pair((1, 2)), themes.utils._triple(0)) == ((3, 3), (1, 2), (0, 0, 0))
    assert nn.init._calculate_fan_in_and_fan_out(tg.zeros(4, 3, 2)) == (6, 8)
    with pytest.raises(AttributeError, match="no name 'Linea'"):
        themes.Linea
