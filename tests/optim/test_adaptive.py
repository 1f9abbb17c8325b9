"""Every optimiser against PyTorch's over a hundred steps: options, groups, schedules, states exchanged."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim

SHAPES = [(4, 3), (3,), ()]
GRID: dict[str, dict[str, list[Any]]] = {
    "SGD": {"momentum": [0, 0.9], "dampening": [0, 0.3], "weight_decay": [0, 0.1], "maximize": [False, True]},
    "Adam": {"weight_decay": [0, 0.1], "amsgrad": [False, True], "maximize": [False, True],
             "decoupled_weight_decay": [False, True], "betas": [(0.9, 0.999), (0.5, 0.8)]},
    "AdamW": {"weight_decay": [0.01, 0.3], "amsgrad": [False, True], "maximize": [False, True], "eps": [1e-8, 1e-3]},
    "RMSprop": {"alpha": [0.99, 0.7], "weight_decay": [0, 0.1], "momentum": [0, 0.9], "centered": [False, True],
                "maximize": [False, True]},
    "Adagrad": {"lr_decay": [0, 0.1], "weight_decay": [0, 0.1], "initial_accumulator_value": [0, 0.5],
                "maximize": [False, True]},
    "Adadelta": {"rho": [0.9, 0.5], "eps": [1e-6, 1e-2], "weight_decay": [0, 0.1], "maximize": [False, True]},
    "Adamax": {"betas": [(0.9, 0.999), (0.5, 0.8)], "weight_decay": [0, 0.1], "maximize": [False, True]},
    "NAdam": {"weight_decay": [0, 0.1], "momentum_decay": [4e-3, 0.1], "decoupled_weight_decay": [False, True],
              "maximize": [False, True]},
    "RAdam": {"betas": [(0.9, 0.999), (0.5, 0.8)], "weight_decay": [0, 0.1], "decoupled_weight_decay": [False, True],
              "maximize": [False, True]},
    "ASGD": {"lambd": [1e-4, 0.1], "alpha": [0.75, 0.5], "t0": [1e6, 20], "weight_decay": [0, 0.1],
             "maximize": [False, True]},
    "Rprop": {"etas": [(0.5, 1.2), (0.3, 1.5)], "step_sizes": [(1e-6, 50), (1e-3, 0.1)], "maximize": [False, True]},
}  # fmt: skip
CASES = [
    (name, dict(zip(grid, values, strict=True)))
    for name, grid in GRID.items()
    for values in itertools.product(*grid.values())
]
STATEFUL = [(name, {k: v[-1] for k, v in grid.items()}) for name, grid in GRID.items()]


def pair(torch: Any, name: str, options: dict[str, Any]) -> tuple[Any, Any, list[Any], list[Any]]:
    """The same optimiser here and there, two groups with rates of their own, and the parameters of both."""
    start = [np.asarray(np.random.default_rng(i).standard_normal(s)) for i, s in enumerate(SHAPES)]
    ours = [nn.Parameter(tg.tensor(a)) for a in start]
    theirs = [torch.nn.Parameter(torch.tensor(a)) for a in start]
    return *(
        getattr(library.optim, name)([{"params": ps[:2]}, {"params": ps[2:], "lr": 0.02}], lr=0.05, **options)
        for library, ps in ((tg, ours), (torch, theirs))
    ), ours, theirs  # type: ignore[return-value]  # fmt: skip


def advance(torch: Any, a: Any, b: Any, ours: list[Any], theirs: list[Any], steps: range) -> None:
    """Steps of both with the same random gradients; one parameter takes no part now and then."""
    for step in steps:
        rng = np.random.default_rng(1000 + step)
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            g = np.asarray(rng.standard_normal(SHAPES[i]))
            skip = i == 1 and step % 7 < 2
            p.grad, q.grad = (None, None) if skip else (tg.tensor(g), torch.tensor(g))
        a.step()
        b.step()


def assert_same(ours: list[Any], theirs: list[Any], tolerance: float = 1e-9) -> None:
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)])
def test_a_hundred_steps_in_every_option_are_pytorchs(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    a, b, ours, theirs = pair(torch, name, options)
    advance(torch, a, b, ours, theirs, range(100))
    # PyTorch keeps ASGD's rate in float32
    assert_same(ours, theirs, 1e-6 if name == "ASGD" else 1e-9)


@pytest.mark.parametrize(("name", "options"), STATEFUL, ids=list(GRID))
def test_schedules_drive_every_optimiser_as_in_pytorch(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    a, b, ours, theirs = pair(torch, name, options)
    schedules = [library.optim.lr_scheduler.CosineAnnealingLR(o, 40) for library, o in ((tg, a), (torch, b))]
    for step in range(100):
        advance(torch, a, b, ours, theirs, range(step, step + 1))
        for schedule in schedules:
            schedule.step()
    assert_same(ours, theirs, 1e-6 if name == "ASGD" else 1e-9)


def as_theirs(torch: Any, value: Any) -> Any:
    """Our state with PyTorch's tensors in place of ours."""
    if isinstance(value, tg.Tensor):
        return torch.tensor(np.array(value.detach().numpy()))
    if isinstance(value, dict):
        return {k: as_theirs(torch, v) for k, v in value.items()}
    return [as_theirs(torch, v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("name", "options"), STATEFUL, ids=list(GRID))
def test_states_go_to_pytorch_and_back(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    a, b, ours, theirs = pair(torch, name, options)
    advance(torch, a, b, ours, theirs, range(30))
    mine, other = a.state_dict(), b.state_dict()
    assert mine["param_groups"][0].keys() == other["param_groups"][0].keys()
    assert {k: set(v) for k, v in mine["state"].items()} == {k: set(v) for k, v in other["state"].items()}
    a.load_state_dict(other)
    b.load_state_dict(as_theirs(torch, mine))
    advance(torch, a, b, ours, theirs, range(30, 60))
    assert_same(ours, theirs, 1e-6 if name == "ASGD" else 1e-9)


LBFGS_CASES = [
    {"line_search_fn": search, **rest}
    for search in (None, "strong_wolfe")
    for rest in ({"lr": 0.05}, {"lr": 0.1, "history_size": 3, "max_iter": 5}, {"lr": 0.02, "max_eval": 7},
                 {"lr": 1.0 if search else 0.03, "tolerance_grad": 1e-4, "tolerance_change": 1e-6})
]  # fmt: skip


@pytest.mark.parametrize("options", LBFGS_CASES, ids=str)
def test_lbfgs_takes_pytorchs_path_through_a_curved_valley(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    paths = []
    for library in (tg, torch):
        x = library.nn.Parameter(library.tensor([-1.2, 1.0, 0.5, 2.0], dtype=library.float64))
        unused = library.nn.Parameter(library.zeros(2, dtype=library.float64))
        optimiser = library.optim.LBFGS([x, unused], **options)

        def closure(optimiser: Any = optimiser, x: Any = x) -> Any:
            optimiser.zero_grad()
            loss = (10 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
            loss.backward()
            return loss

        path = []
        for _ in range(15 if options["line_search_fn"] else 7):  # steps of one length amplify rounding
            loss = optimiser.step(closure)
            path.append([loss.item(), *x.detach().tolist()])
        state = optimiser.state_dict()["state"][0]
        paths.append((path, state["n_iter"], state["func_evals"], set(state)))
    np.testing.assert_allclose(paths[0][0], paths[1][0], rtol=1e-6, atol=1e-6)
    assert paths[0][1:3] == paths[1][1:3]
    assert paths[0][3] == paths[1][3] - {"al"}  # scratch space


def test_lbfgs_states_go_to_and_fro() -> None:
    torch = pytest.importorskip("torch")
    runs = {}
    for library in (tg, torch):
        x = library.nn.Parameter(library.tensor([-1.2, 1.0], dtype=library.float64))
        optimiser = library.optim.LBFGS([x], lr=0.5, max_iter=3, line_search_fn="strong_wolfe")

        def closure(optimiser: Any = optimiser, x: Any = x) -> Any:
            optimiser.zero_grad()
            loss = 10 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
            loss.backward()
            return loss

        optimiser.step(closure)
        runs[library] = optimiser, closure, x
    mine, other = runs[tg][0].state_dict(), runs[torch][0].state_dict()
    runs[tg][0].load_state_dict(other)
    runs[torch][0].load_state_dict(as_theirs(torch, mine))
    for _ in range(3):
        for optimiser, closure, _x in runs.values():
            optimiser.step(closure)
    assert runs[tg][2].tolist() == pytest.approx(runs[torch][2].tolist(), abs=1e-8)


def test_lbfgs_refuses_what_it_cannot_do() -> None:
    p = nn.Parameter(tg.ones(2))
    with pytest.raises(ValueError, match="one parameter group"):
        optim.LBFGS([{"params": [p]}, {"params": [nn.Parameter(tg.ones(1))]}])
    with pytest.raises(RuntimeError, match="strong_wolfe"):
        optim.LBFGS([p], line_search_fn="armijo")
    with pytest.raises(TypeError, match="closure"):
        optim.LBFGS([p]).step()


def test_hooks_see_every_step_also_of_an_optimiser_of_ones_own() -> None:
    class Plain(optim.Optimizer):
        def __init__(self, params: Any, rate: float) -> None:
            super().__init__(params, {"rate": rate})

        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                for p in group["params"]:
                    p.data.add_(p.grad, alpha=-group["rate"])
                    self.state[p]["seen"] = True

    p = nn.Parameter(tg.ones(2))
    for optimiser in (Plain([p], 0.5), optim.SGD([p], lr=0.5)):
        calls: list[str] = []
        before = optimiser.register_step_pre_hook(lambda *_, calls=calls: calls.append("before"))
        optimiser.register_step_post_hook(lambda *_, calls=calls: calls.append("after"))
        p.grad = tg.ones(2)
        optimiser.step()
        before.remove()
        optimiser.step()
        assert calls == ["before", "after", "after"]
    assert p.tolist() == [-1.0, -1.0]


def test_named_parameters_keep_their_names() -> None:
    model = nn.Linear(2, 1)
    optimiser = optim.SGD(model.named_parameters(), lr=0.1)
    assert optimiser.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    with pytest.raises(NotImplementedError, match="differentiable"):
        optim.Adam(model.parameters(), differentiable=True)
