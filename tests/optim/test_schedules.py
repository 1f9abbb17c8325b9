"""Schedules in all their options against PyTorch's: groups, chains, restarts, momentum, resuming, wrong arguments."""

from __future__ import annotations

from typing import Any

import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.optim import lr_scheduler as schedules

pytestmark = pytest.mark.filterwarnings("ignore:Detected call of:UserWarning")


def pair(torch: Any, kind: str = "SGD", **options: Any) -> tuple[Any, Any]:
    """One optimiser of ours and one of PyTorch's, each with two groups."""
    result = []
    for library, one in ((tg, tg.ones), (torch, torch.ones)):
        groups = [{"params": [library.nn.Parameter(one(1))]}, {"params": [library.nn.Parameter(one(1))], "lr": 0.7}]
        result.append(getattr(library.optim, kind)(groups, lr=0.3, **options))
    return result[0], result[1]


def momenta(optimiser: Any) -> list[float]:
    return [g["betas"][0] if "betas" in g else g["momentum"] for g in optimiser.param_groups]


CASES: list[tuple[str, dict[str, Any]]] = [
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.02}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}),
    ("CosineAnnealingLR", {"T_max": 5, "eta_min": 0.02}),  # up again after T_max
    ("MultiStepLR", {"milestones": [4, 2, 2]}),  # unsorted, and one twice
    ("LinearLR", {"start_factor": 0.5, "end_factor": 0.1, "total_iters": 3}),
    ("LambdaLR", {"lr_lambda": [lambda t: 0.9**t, lambda t: t + 1]}),
    ("OneCycleLR", {"max_lr": [1.0, 2.0], "epochs": 4, "steps_per_epoch": 6, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 24, "three_phase": True, "base_momentum": 0.7}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 24, "pct_start": 0.4, "div_factor": 10.0, "final_div_factor": 50.0}),
]


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}{i}" for i, (n, _) in enumerate(CASES)])
def test_rates_and_momenta_of_every_group_are_pytorchs(name: str, options: dict[str, Any], kind: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, kind, **({"momentum": 0.9} if kind == "SGD" else {}))
    a = getattr(schedules, name)(ours, **options)
    b = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    for step in range(23):
        assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-9, abs=1e-12), step
        assert momenta(ours) == pytest.approx(momenta(theirs), rel=1e-12), step
        a.step()
        b.step()


def test_two_schedules_on_one_optimiser_multiply_and_a_rate_set_by_hand_stays() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch)
    built = []
    for optimiser, s in ((ours, schedules), (theirs, torch.optim.lr_scheduler)):
        chain = [s.ConstantLR(optimiser, 0.1, 2), s.ExponentialLR(optimiser, 0.9)]
        built.append([*chain, s.StepLR(optimiser, 3), s.CosineAnnealingLR(optimiser, 20)])
    for step in range(12):
        if step == 7:
            ours.param_groups[0]["lr"] = theirs.param_groups[0]["lr"] = 5.0
        rates = [[g["lr"] for g in o.param_groups] for o in (ours, theirs)]
        assert rates[0] == pytest.approx(rates[1], rel=1e-9), step
        for chain in built:
            for schedule in chain:
                schedule.step()


def test_warm_up_then_cosine_then_steps() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch)
    a, b = (
        s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 6), s.StepLR(o, 2)], [4, 10])
        for o, s in ((ours, schedules), (theirs, torch.optim.lr_scheduler))
    )
    for step in range(16):
        assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-9, abs=1e-12), step
        a.step()
        b.step()


def test_a_resumed_run_has_the_same_rates_to_the_bit() -> None:
    def build() -> tuple[Any, list[Any]]:
        optimiser = optim.SGD([nn.Parameter(tg.ones(1))], lr=0.3, momentum=0.9)
        return optimiser, [schedules.ExponentialLR(optimiser, 0.9), schedules.CosineAnnealingLR(optimiser, 30)]

    def advance(chain: list[Any], steps: int) -> list[float]:
        rates = []
        for _ in range(steps):
            for schedule in chain:
                schedule.step()
            rates.append(chain[0].get_last_lr()[0])
        return rates

    _, whole = build()
    expected = advance(whole, 20)
    optimiser, first = build()
    assert advance(first, 8) == expected[:8]
    other, second = build()
    other.load_state_dict(optimiser.state_dict())
    for old, new in zip(first, second, strict=True):
        new.load_state_dict(old.state_dict())
    assert advance(second, 12) == expected[8:]

    third = optim.SGD([nn.Parameter(tg.ones(1))], lr=0.3)
    third.load_state_dict(schedules.StepLR(third, 2).optimizer.state_dict())
    assert schedules.StepLR(third, 2, last_epoch=3).get_last_lr() == pytest.approx([0.03])  # from 3 to 4 is a step
    with pytest.raises(KeyError, match="initial_lr"):
        schedules.StepLR(optim.SGD([nn.Parameter(tg.ones(1))]), 2, last_epoch=3)
    groups = [{"params": [nn.Parameter(tg.ones(1))]} for _ in range(2)]
    with pytest.raises(ValueError, match="of 1 parameter groups"):
        schedules.StepLR(optim.SGD(groups), 2).load_state_dict(first[0].state_dict())


def test_one_cycle_ends() -> None:
    schedule = schedules.OneCycleLR(optim.Adam([nn.Parameter(tg.ones(1))]), 1.0, 10)
    for _ in range(10):
        schedule.step()
    with pytest.raises(ValueError, match="step 11 is beyond total_steps 10"):
        schedule.step()
    for share in (0.0, 0.1, 1.0):  # phases of no length
        schedule = schedules.OneCycleLR(optim.Adam([nn.Parameter(tg.ones(1))]), 1.0, 10, pct_start=share)
        for _ in range(9):
            schedule.step()
            assert 0 < schedule.get_last_lr()[0] <= 1.0


def test_a_plateau_with_a_floor_for_each_group() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch)
    options = {"patience": 0, "factor": 0.5, "min_lr": [0.1, 0.3], "threshold": 0.05, "threshold_mode": "abs"}
    a = schedules.ReduceLROnPlateau(ours, **options)
    b = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    for value in (1.0, 0.96, 0.94, 0.9, float("nan"), 0.8):
        a.step(tg.tensor(value))
        b.step(value)
        assert a.get_last_lr() == pytest.approx(b.get_last_lr())
    copy = schedules.ReduceLROnPlateau(ours, **options)
    copy.load_state_dict(a.state_dict())
    assert copy.state_dict() == a.state_dict()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda o: schedules.StepLR([1], 3), TypeError, "StepLR: expected an optimiser, got list"),
        (lambda o: schedules.ReduceLROnPlateau(3), TypeError, "expected an optimiser"),
        (lambda o: schedules.StepLR(o, 0), ValueError, "step_size is 0"),
        (lambda o: schedules.StepLR(o, 1.5), ValueError, "step_size is 1.5"),
        (lambda o: schedules.StepLR(o, float("inf")), ValueError, "step_size is inf"),
        (lambda o: schedules.CosineAnnealingLR(o, 0), ValueError, "T_max is 0"),
        (lambda o: schedules.CosineAnnealingWarmRestarts(o, 1.5), ValueError, "T_0 is 1.5"),
        (lambda o: schedules.LinearLR(o, 0.0), ValueError, "start 0.0"),
        (lambda o: schedules.ConstantLR(o, 2), ValueError, "factor is 2"),
        (lambda o: schedules.LambdaLR(o, [abs, abs]), ValueError, "2 functions for 1"),
        (lambda o: schedules.OneCycleLR(o, 1.0), ValueError, "total_steps, or both"),
        (lambda o: schedules.OneCycleLR(o, 1.0, 10, pct_start=2), ValueError, "pct_start is 2"),
        (lambda o: schedules.OneCycleLR(o, 1.0, 10, anneal_strategy="x"), ValueError, "'x'"),
        (lambda o: schedules.OneCycleLR(o, [1.0, 2.0], 10), ValueError, "2 values of max_lr"),
        (lambda o: schedules.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor is 1.0"),
        (lambda o: schedules.ReduceLROnPlateau(o, min_lr=[1, 2]), ValueError, "2 values of min_lr"),
        (lambda o: schedules.SequentialLR(o, [], []), ValueError, "at least"),
        (lambda o: schedules.SequentialLR(o, [schedules.ReduceLROnPlateau(o)], []), TypeError, "ReduceLROnPlateau"),
        (lambda o: schedules.SequentialLR(optim.SGD([nn.Parameter(tg.ones(1))]), [schedules.StepLR(o, 1)], []),
         ValueError, "another optimiser"),
        (lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 1)] * 3, [5, 2]), ValueError, "must increase"),
        (lambda o: schedules.LRScheduler(o), NotImplementedError, "has no rate"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(optim.SGD([nn.Parameter(tg.ones(1))], lr=0.1))


MORE: list[tuple[str, dict[str, Any]]] = [
    ("MultiplicativeLR", {"lr_lambda": [lambda t: 0.95, lambda t: 1 + 1 / (t + 1)]}),
    ("PolynomialLR", {"total_iters": 9, "power": 2.5}),
    ("PolynomialLR", {}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 3}),
    ("CyclicLR", {"base_lr": [0.1, 0.2], "max_lr": [0.5, 0.9], "step_size_up": 3, "step_size_down": 5,
                  "mode": "triangular2", "base_momentum": 0.5}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 3, "mode": "exp_range", "gamma": 0.9}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 4, "scale_fn": lambda x: 1 / (5**(x * 0.1)),
                  "scale_mode": "iterations", "cycle_momentum": False}),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), MORE, ids=[f"{n}{i}" for i, (n, _) in enumerate(MORE)])
def test_more_rates_and_momenta_of_every_group_are_pytorchs(name: str, options: dict[str, Any], kind: str) -> None:
    test_rates_and_momenta_of_every_group_are_pytorchs(name, options, kind)


def test_chained_schedules_step_together_and_their_state_comes_back() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch)
    a, b = (
        s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9), s.MultiplicativeLR(o, lambda t: 0.99)])
        for o, s in ((ours, schedules), (theirs, torch.optim.lr_scheduler))
    )
    for _ in range(8):
        assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-9)
        a.step()
        b.step()
    fresh, _ = pair(torch)
    again = schedules.ChainedScheduler([schedules.ConstantLR(fresh, 0.1, 3), schedules.ExponentialLR(fresh, 0.9),
                                        schedules.MultiplicativeLR(fresh, lambda t: 0.99)])  # fmt: skip
    fresh.load_state_dict(ours.state_dict())
    again.load_state_dict(a.state_dict())
    again.step()
    a.step()
    assert again.get_last_lr() == a.get_last_lr()


def test_a_schedule_of_ones_own_writes_get_lr() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch)
    made = []
    for optimiser, base in ((ours, schedules._LRScheduler), (theirs, torch.optim.lr_scheduler.LRScheduler)):

        class WarmUp(base):  # type: ignore[valid-type, misc]
            def get_lr(self) -> list[float]:
                return [base * min(1.0, (self.last_epoch + 1) / 5) for base in self.base_lrs]

        made.append(WarmUp(optimiser))
    for _ in range(8):
        assert made[0].get_last_lr() == pytest.approx(made[1].get_last_lr())
        for schedule in made:
            schedule.step()


def test_warm_restarts_take_fractions_of_an_epoch() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch)
    a = schedules.CosineAnnealingWarmRestarts(ours, 3, 2)
    b = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(theirs, 3, 2)
    for i in range(60):
        a.step(i / 4)
        b.step(i / 4)
        assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-9)


@pytest.mark.parametrize("name", ["StepLR", "CosineAnnealingLR", "ExponentialLR", "PolynomialLR", "LinearLR"])
def test_states_of_schedules_go_to_pytorch_and_back(name: str) -> None:
    torch = pytest.importorskip("torch")
    options = {"StepLR": {"step_size": 2}, "CosineAnnealingLR": {"T_max": 9}, "ExponentialLR": {"gamma": 0.9}}
    ours, theirs = pair(torch)
    a = getattr(schedules, name)(ours, **options.get(name, {}))
    b = getattr(torch.optim.lr_scheduler, name)(theirs, **options.get(name, {}))
    for _ in range(3):
        a.step()
        b.step()
    mine, other = a.state_dict(), b.state_dict()
    a.load_state_dict(other)
    b.load_state_dict(mine)
    for _ in range(4):
        a.step()
        b.step()
        assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-9)
