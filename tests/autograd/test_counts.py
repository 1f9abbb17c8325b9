"""What a training step may cost: nodes, kernel calls and arrays are counted, so that none comes back unnoticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn
from tinygrad_edu.kernels import K
from tinygrad_edu.kernels.protocol import KERNELS


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each kernel has been called; `empty`, a cast that is none and random numbers count as well."""
    counted: Counter[str] = Counter()

    def counting(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            counted[name] += 1
            return kernel(*args, **kwargs)

        return call

    for name in KERNELS:
        monkeypatch.setattr(K, name, counting(name, getattr(K, name)))
    return counted


def nodes(y: Any) -> list[str]:
    """The names of the nodes that y depends on, from the newest."""
    found, stack = {y.grad_fn}, [y.grad_fn]
    while stack:
        for node, _ in stack.pop().next_functions:
            if node is not None and node.name() != "AccumulateGrad" and node not in found:
                found.add(node)
                stack.append(node)
    return [node.name() for node in sorted(found, key=lambda n: -n._sequence)]


LABELS = np.arange(32) % 10


def mlp() -> Any:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def test_the_step_of_the_digits_mlp(calls: Counter[str]) -> None:
    model, x, y = mlp(), tg.randn(32, 64), tg.tensor(LABELS)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    calls.clear()
    loss = F.cross_entropy(model(x), y)
    assert calls == {"linear_activation": 1, "linear": 1, "cross_entropy": 1}
    assert nodes(loss) == ["CrossEntropy", "Linear", "LinearActivation"]
    calls.clear()
    loss.backward()
    assert calls == {"cross_entropy_backward": 1, "linear_backward": 2}
    calls.clear()
    optimizer.step()
    assert calls == {"sgd": 1}


def test_gradients_are_added_where_they_are(calls: Counter[str]) -> None:
    model, x, y = mlp(), tg.randn(32, 64), tg.tensor(LABELS)
    F.cross_entropy(model(x), y).backward()
    held = [p.grad._array for p in model.parameters()]
    loss = F.cross_entropy(model(x), y)
    calls.clear()
    loss.backward()
    assert calls == {"cross_entropy_backward": 1, "linear_backward": 2, "add": 4}
    assert all(p.grad._array is array for p, array in zip(model.parameters(), held, strict=True))


def test_a_gradient_becomes_grad_without_a_copy(calls: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    kernel = K.linear_backward
    monkeypatch.setattr(K, "linear_backward", lambda *args: made.append(kernel(*args)) or made[-1])
    layer = nn.Linear(3, 4)
    y, g = layer(tg.randn(5, 3)), tg.ones(5, 4)
    calls.clear()
    y.backward(g)
    assert layer.weight.grad._array is made[0][1]
    assert layer.bias.grad._array is made[0][2]
    assert calls["copy"] == 0


def test_no_work_for_gradients_that_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[tuple[bool, bool, bool]] = []
    kernel = K.linear_backward

    def watched(g: Any, x: Any, w: Any, *rest: Any) -> Any:
        wanted.append((w is not None, x is not None, rest[-1]))
        return kernel(g, x, w, *rest)

    monkeypatch.setattr(K, "linear_backward", watched)
    model = nn.Sequential(*[nn.Linear(3, 3) for _ in range(4)])
    model[0].requires_grad_(False)  # below the first trained layer nothing is computed
    model[2].requires_grad_(False)
    model[3].weight.requires_grad_(False)
    model(tg.randn(5, 3)).sum().backward()
    assert wanted == [(True, False, True), (True, False, False), (False, True, True)]  # for input, weight, bias


def test_the_step_of_a_cnn(calls: Counter[str]) -> None:
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten()]
    model, x, y = nn.Sequential(*layers, nn.Linear(32, 10)), tg.randn(32, 1, 8, 8), tg.tensor(LABELS)
    calls.clear()
    loss = F.cross_entropy(model(x), y)
    assert calls == {"convolve": 2, "relu": 2, "max_pool": 1, "linear": 1, "cross_entropy": 1}
    calls.clear()
    loss.backward()
    if K.name == "reference":
        del calls["copy"]  # what NumPy gives may be a view
    assert calls == {
        "cross_entropy_backward": 1, "linear_backward": 1, "relu_backward": 2, "scatter_planes": 1,
        "convolve_parameter_gradients": 2,
        "convolve_input_gradient": 1,  # of the second layer alone: the pictures want none
    }  # fmt: skip


def test_pieces_get_their_gradients_side_by_side(calls: Counter[str]) -> None:
    x = tg.randn(4, 9, requires_grad=True)
    a, b, c = x.split(3, dim=1)
    y = a.exp().sum() + b.exp().sum() + c.exp().sum()
    calls.clear()
    y.backward()
    assert calls["empty"] == 1  # of x's shape
    assert "full" not in calls  # the 1 that it starts from is always the same
    assert calls["add"] == 0
    np.testing.assert_allclose(x.grad.numpy(), x.detach().exp().numpy(), rtol=1e-6)


def test_a_sum_repeats_its_gradient_without_writing_it(calls: Counter[str]) -> None:
    x = tg.randn(100, requires_grad=True)
    y = x.tanh().mean()
    calls.clear()
    y.backward()
    assert calls == {"div": 1, "tanh_backward": 1}


def test_a_residual_connection_adds_once(calls: Counter[str]) -> None:
    x = tg.randn(5, requires_grad=True)
    y = (x + x.tanh()).sum()
    calls.clear()
    y.backward()
    assert calls == {"tanh_backward": 1, "add": 1}


def test_a_number_makes_no_array(calls: Counter[str]) -> None:
    x = tg.randn(5, requires_grad=True)
    calls.clear()
    y = ((2 * x - 1) / 3 + 0.5).clamp(min=0)
    assert calls == {"mul": 1, "sub": 1, "div": 1, "add": 1, "lt": 1, "where": 1}
    assert nodes(y) == ["Where", "Add", "Div", "Sub", "Mul"]


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss])
def test_losses_of_numbers(loss: Any, calls: Counter[str]) -> None:
    x, y = tg.randn(32, 1, requires_grad=True), tg.randn(32, 1)
    value = loss(x, y)
    assert len(nodes(value)) <= 3
    calls.clear()
    value.backward()
    assert calls["empty"] == 0
    assert "full" not in calls  # the 1 that it starts from is always the same


def test_without_a_graph_nothing_is_kept() -> None:
    model, x = mlp(), tg.randn(32, 64)
    with tg.no_grad():
        y = model(x)
    assert y.grad_fn is None
    assert not y.requires_grad
