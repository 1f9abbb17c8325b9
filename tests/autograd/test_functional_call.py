"""Modules called with other parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn


class Tied(nn.Module):
    """One weight under two names, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2, bias=False)
        self.second = nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("shift", tg.zeros(2))

    def forward(self, x: Any, factor: float = 1.0) -> Any:
        return self.second(self.first(x)) * factor + self.shift


def test_a_module_is_called_with_other_parameters() -> None:
    net, x = Tied(), tg.randn(3, 2)
    before = {name: id(value) for name, value in net.state_dict(keep_vars=True).items()}
    w = tg.randn(2, 2, requires_grad=True)
    y = tg.func.functional_call(net, {"first.weight": w, "shift": tg.ones(2)}, (x,), {"factor": 2.0})
    np.testing.assert_allclose(y.detach().numpy(), (2 * (x @ w.T @ w.T) + 1).detach().numpy(), rtol=1e-5, atol=1e-6)
    y.sum().backward()
    assert w.grad is not None
    assert net.first.weight.grad is None
    apart = tg.func.functional_call(net, ({"first.weight": w}, {"shift": tg.ones(2)}), x, tie_weights=False)
    expected = x @ w.T @ net.second.weight.T + 1
    np.testing.assert_allclose(apart.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(RuntimeError, match="unexpected names"):
        tg.func.functional_call(net, {"third": w}, x)
    with pytest.raises(RuntimeError, match="missing names"):
        tg.func.functional_call(net, {"first.weight": w}, x, strict=True)
    with pytest.raises(RuntimeError):
        tg.func.functional_call(net, {"shift": tg.ones(5)}, x)
    assert {name: id(value) for name, value in net.state_dict(keep_vars=True).items()} == before
