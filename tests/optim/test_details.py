"""Optimisers: what is loaded, what is refused, mixed dtypes, printing, and closures."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim


def stepped(kind: str, dtype: str = "float32", **options: Any) -> Any:
    """An optimiser after one step."""
    p = nn.Parameter(tg.ones(2, dtype=dtype))
    p.grad = tg.ones(2, dtype=dtype)
    optimiser = getattr(optim, kind)([p], **options)
    optimiser.step()
    return optimiser


def test_a_state_is_copied_and_converted_to_the_parameters_dtype() -> None:
    source, target = stepped("Adam"), stepped("Adam", "float64")
    state = source.state_dict()
    buffers = {k: v.numpy() if isinstance(v, tg.Tensor) else v for k, v in state["state"][0].items()}
    as_stored = {"state": {"0": buffers}, "param_groups": json.loads(json.dumps(state["param_groups"]))}
    target.load_state_dict(as_stored)  # as a file gives it back: text keys, arrays, lists
    p = target.param_groups[0]["params"][0]
    assert target.state[p]["exp_avg"].dtype == tg.float64
    held = source.state[source.param_groups[0]["params"][0]]["exp_avg"].tolist()
    target.step()
    assert source.state[source.param_groups[0]["params"][0]]["exp_avg"].tolist() == held
    assert target.state[p]["step"] == 2


def test_a_state_that_is_wrong_anywhere_changes_nothing() -> None:
    for spoil, message in [
        (lambda s: s["param_groups"][0].update(lr=-1.0), "lr is -1.0"),
        (lambda s: s["param_groups"][0].update(betas=(2.0, 0.1)), "betas are"),
        (lambda s: s["state"].update({5: {}}), "parameter 5"),
        (lambda s: s["state"][0].update(exp_avg_sq=tg.ones(3)), "exp_avg_sq of parameter 0"),
    ]:
        source, target = stepped("Adam", lr=0.5), stepped("Adam", lr=0.25)
        state = copy.deepcopy(source.state_dict())
        spoil(state)
        before = copy.deepcopy(target.state_dict())
        with pytest.raises(ValueError, match=message):
            target.load_state_dict(state)
        after = target.state_dict()
        assert after["param_groups"] == before["param_groups"]
        assert after["state"][0]["exp_avg"].tolist() == before["state"][0]["exp_avg"].tolist()


def test_parameters_of_two_dtypes_in_one_group() -> None:
    torch = pytest.importorskip("torch")
    for kind, options in (("SGD", {"momentum": 0.9}), ("AdamW", {})):
        ours = [nn.Parameter(tg.ones(3, dtype=d)) for d in ("float32", "float64")]
        theirs = [torch.nn.Parameter(torch.ones(3, dtype=d)) for d in (torch.float32, torch.float64)]
        a = getattr(optim, kind)(ours, lr=0.1, **options)
        b = getattr(torch.optim, kind)(theirs, lr=0.1, foreach=False, **options)
        for step in range(5):
            for p, q in zip(ours, theirs, strict=True):
                g = np.arange(3) - step
                p.grad, q.grad = tg.tensor(g).to(p.dtype), torch.tensor(g).to(q.dtype)
            a.step()
            b.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-6)


def test_parameters_and_gradients_of_any_layout() -> None:
    for kind in ("SGD", "AdamW"):
        plain, turned = nn.Parameter(tg.ones(4, 3)), nn.Parameter(tg.ones(3, 4).T)
        assert not turned.is_contiguous()
        g = tg.tensor(np.arange(12, dtype="float32").reshape(3, 4)).T
        plain.grad, turned.grad = g.contiguous(), g
        optimiser = getattr(optim, kind)([plain, turned], lr=0.1, weight_decay=0.1)
        for _ in range(3):
            optimiser.step()
        np.testing.assert_array_equal(plain.detach().numpy(), turned.detach().numpy())
        assert (plain.detach().numpy() != 1).all()


def test_a_parameter_without_a_gradient_is_left_alone() -> None:
    for kind in ("SGD", "AdamW"):
        p = nn.Parameter(tg.ones(2))
        optimiser = getattr(optim, kind)([p], lr=0.1, weight_decay=0.5)
        optimiser.step()
        assert p.tolist() == [1.0, 1.0]
        assert optimiser.state_dict()["state"] == {}


def test_groups_added_later_and_gradients_set_to_zero() -> None:
    a, b = nn.Parameter(tg.ones(1)), nn.Parameter(tg.ones(1))
    optimiser = optim.SGD([a], lr=0.1)
    optimiser.add_param_group({"params": b, "lr": 1.0})
    (a * b).sum().backward()
    optimiser.step()
    assert (a.item(), b.item()) == (pytest.approx(0.9), 0.0)
    optimiser.zero_grad(set_to_none=False)
    assert a.grad.tolist() == [0.0]
    optimiser.zero_grad()
    assert b.grad is None
    with pytest.raises(ValueError, match="lr is -2"):
        optimiser.add_param_group({"params": nn.Parameter(tg.ones(1)), "lr": -2})
    assert len(optimiser.param_groups) == 2


def test_it_prints_as_pytorchs_does() -> None:
    text = repr(optim.SGD([nn.Parameter(tg.ones(1))], lr=0.1))
    assert text.splitlines()[:3] == ["SGD (", "Parameter Group 0", "    dampening: 0"]
    assert text.endswith("    weight_decay: 0\n)")


def test_programs_that_ask_for_pytorchs_implementations_run() -> None:
    p = nn.Parameter(tg.ones(1))
    for kind in (optim.SGD, optim.Adam, optim.AdamW):
        assert kind([p], fused=True, foreach=False).param_groups[0]["fused"]  # kept, and without effect


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: optim.SGD({p}), TypeError, "no fixed order"),
        (lambda p: optim.SGD([{"params": {p}}]), TypeError, "no fixed order"),
        (lambda p: optim.SGD([{"lr": 1.0}]), TypeError, 'dictionary with "params"'),
        (lambda p: optim.SGD([tg.tensor([1])]), TypeError, "only floats"),
        (lambda p: optim.SGD([p], lr="0.1"), ValueError, "lr is '0.1'"),
        (lambda p: optim.SGD([p], momentum=-0.1), ValueError, "momentum is -0.1"),
        (lambda p: optim.Adam([p], weight_decay=-1), ValueError, "weight_decay is -1"),
        (lambda p: optim.Adam([p], betas=(0.9,)), ValueError, "betas are"),
        (lambda p: optim.Optimizer([p], {"lr": 1.0, "weight_decay": 0}).step(lambda: p.sum().backward()),
         NotImplementedError, "_update"),
    ],
)  # fmt: skip
def test_wrong_calls_are_refused(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(nn.Parameter(tg.ones(2)))
