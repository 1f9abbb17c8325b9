"""Optimisers and schedules: the trajectories of PyTorch's, state, groups, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim

OPTIMISERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.4, "maximize": True}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.1, "amsgrad": True}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
]
IDS = [f"{name}-{i}" for i, (name, _) in enumerate(OPTIMISERS)]
SHAPES = [(4, 3), (3,), ()]


def pair(torch: Any, dtype: str = "float64") -> tuple[list[Any], list[Any]]:
    start = [np.asarray(np.random.default_rng(i).standard_normal(s), dtype) for i, s in enumerate(SHAPES)]
    return [nn.Parameter(tg.tensor(a)) for a in start], [torch.nn.Parameter(torch.tensor(a)) for a in start]


def set_gradients(torch: Any, ours: list[Any], theirs: list[Any], step: int) -> None:
    rng = np.random.default_rng(1000 + step)
    for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
        g = np.asarray(rng.standard_normal(SHAPES[i]), str(p.dtype))
        skip = i == 1 and step % 7 < 2  # a parameter that takes no part now and then
        p.grad, q.grad = (None, None) if skip else (tg.tensor(g), torch.tensor(g))


@pytest.mark.parametrize(("name", "options"), OPTIMISERS, ids=IDS)
def test_a_hundred_steps_are_pytorchs(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        ours, theirs = pair(torch, dtype)
        a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
        for step in range(100):
            set_gradients(torch, ours, theirs, step)
            a.step()
            b.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "options"), OPTIMISERS, ids=IDS)
def test_a_saved_state_continues_to_the_bit(name: str, options: dict[str, Any]) -> None:
    def parameters() -> list[Any]:
        return [nn.Parameter(tg.tensor(np.random.default_rng(i).standard_normal(s))) for i, s in enumerate(SHAPES)]

    def advance(optimiser: Any, chosen: list[Any], steps: range) -> None:
        for step in steps:
            for i, p in enumerate(chosen):
                p.grad = tg.tensor(np.asarray(np.random.default_rng(step * 10 + i).standard_normal(SHAPES[i])))
            optimiser.step()

    whole = parameters()
    advance(getattr(optim, name)(whole, **options), whole, range(20))
    first = parameters()
    before = getattr(optim, name)(first, **options)
    advance(before, first, range(9))
    second = [nn.Parameter(p.detach().clone()) for p in first]
    after = getattr(optim, name)(second, lr=123.0)
    after.load_state_dict(before.state_dict())
    advance(after, second, range(9, 20))
    for p, q in zip(whole, second, strict=True):
        assert p.detach().numpy().tobytes() == q.detach().numpy().tobytes()


def test_groups_have_their_own_rates_and_state_dict_has_pytorchs_layout() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch)
    a = optim.SGD([{"params": ours[:1]}, {"params": ours[1:], "lr": 0.5}], lr=0.1, momentum=0.9)
    b = torch.optim.SGD([{"params": theirs[:1]}, {"params": theirs[1:], "lr": 0.5}], lr=0.1, momentum=0.9)
    set_gradients(torch, ours, theirs, 3)
    a.step()
    b.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-12)
    mine, other = a.state_dict(), b.state_dict()
    assert mine["state"].keys() == other["state"].keys()
    assert [g["params"] for g in mine["param_groups"]] == [g["params"] for g in other["param_groups"]]
    assert mine["state"][0].keys() == other["state"][0].keys()


def test_steps_happen_in_place_and_are_noticed_by_the_graph() -> None:
    w = nn.Parameter(tg.ones(2))
    memory = w.data_ptr()
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    optim.SGD([w], lr=0.1).step()
    assert w.data_ptr() == memory
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_closures_are_called_with_gradients_on() -> None:
    w = nn.Parameter(tg.ones(1))
    optimiser = optim.SGD([w], lr=0.5)

    def closure() -> Any:
        optimiser.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        assert optimiser.step(closure).item() == 1.0
    assert w.item() == 0.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: optim.SGD([], lr=1), ValueError, "no parameters"),
        (lambda p: optim.SGD(p, lr=1), TypeError, "one tensor"),
        (lambda p: optim.SGD([p, p], lr=1), ValueError, "appears twice"),
        (lambda p: optim.SGD([p * 2], lr=1), ValueError, "only leaves"),
        (lambda p: optim.SGD([3], lr=1), TypeError, "not a tensor"),
        (lambda p: optim.SGD([p], lr=-1), ValueError, "lr is -1"),
        (lambda p: optim.SGD([p], lr=float("nan")), ValueError, "lr is nan"),
        (lambda p: optim.SGD([p], lr=1, nesterov=True), ValueError, "nesterov needs a momentum"),
        (lambda p: optim.Adam([p], betas=(0.9, 1.0)), ValueError, "betas are"),
        (lambda p: optim.AdamW([p], eps=-1), ValueError, "eps is -1"),
        (lambda p: optim.SGD([p]).load_state_dict(optim.SGD([tg.ones(1), tg.ones(2)]).state_dict()), ValueError,
         r"groups of \[2\] parameters, this optimiser \[1\]"),
    ],
)  # fmt: skip
def test_errors_say_what_and_how_to_mend_it(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(nn.Parameter(tg.ones(2)))


def test_a_state_of_other_shapes_is_refused_before_anything_changes() -> None:
    a, b = nn.Parameter(tg.ones(2)), nn.Parameter(tg.ones(3))
    source, target = optim.Adam([a], lr=0.1), optim.Adam([b], lr=0.2)
    a.grad = tg.ones(2)
    source.step()
    with pytest.raises(ValueError, match=r"exp_avg of parameter 0 has shape \(2,\), not \(3,\)"):
        target.load_state_dict(source.state_dict())
    assert target.param_groups[0]["lr"] == 0.2
    assert target.state == {}


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 5], "gamma": 0.1}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("ConstantLR", {"factor": 0.5, "total_iters": 4}),
    ("LinearLR", {"start_factor": 0.25, "total_iters": 6}),
    ("CosineAnnealingLR", {"T_max": 8, "eta_min": 0.01}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 20}),
    ("LambdaLR", {"lr_lambda": lambda t: 1 / (t + 1)}),
]


@pytest.mark.filterwarnings("ignore:Detected call of:UserWarning")
@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=[name for name, _ in SCHEDULES])
def test_schedules_are_pytorchs_and_resume(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    ours = optim.SGD([nn.Parameter(tg.ones(1))], lr=0.3, momentum=0.9)
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.3, momentum=0.9)
    a = getattr(optim.lr_scheduler, name)(ours, **options)
    extra = {"cycle_momentum": False} if name == "OneCycleLR" else {}
    b = getattr(torch.optim.lr_scheduler, name)(theirs, **options, **extra)
    for step in range(15):
        assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-9), step
        a.step()
        b.step()
    other = getattr(optim.lr_scheduler, name)(optim.SGD([nn.Parameter(tg.ones(1))], lr=0.3), **options)
    other.load_state_dict(a.state_dict())
    assert other.get_last_lr() == a.get_last_lr()


@pytest.mark.filterwarnings("ignore:Detected call of:UserWarning")
def test_schedules_in_sequence() -> None:
    torch = pytest.importorskip("torch")

    def build(module: Any, parameter: Any) -> Any:
        optimiser = module.SGD([parameter], lr=0.3)
        s = module.lr_scheduler
        parts = [s.ConstantLR(optimiser, 0.1, 100), s.ExponentialLR(optimiser, 0.9)]
        return s.SequentialLR(optimiser, parts, [4])

    a, b = build(optim, nn.Parameter(tg.ones(1))), build(torch.optim, torch.nn.Parameter(torch.ones(1)))
    for _ in range(8):
        assert a.get_last_lr() == pytest.approx(b.get_last_lr())
        a.step()
        b.step()
    with pytest.raises(ValueError, match="need 1 milestones"):
        optim.lr_scheduler.SequentialLR(a.optimizer, a.schedulers, [])


def test_a_plateau_lowers_the_rate_as_pytorch_does() -> None:
    torch = pytest.importorskip("torch")
    values = [1.0, 0.9, 0.9, 0.9, 0.95, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.1]
    for options in ({"patience": 1}, {"patience": 2, "mode": "max", "cooldown": 1}, {"patience": 0, "min_lr": 0.02}):
        ours = optim.SGD([nn.Parameter(tg.ones(1))], lr=0.3)
        theirs = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.3)
        a = optim.lr_scheduler.ReduceLROnPlateau(ours, **options)
        b = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
        for value in values:
            a.step(value)
            b.step(value)
            assert a.get_last_lr() == pytest.approx(b.get_last_lr())
