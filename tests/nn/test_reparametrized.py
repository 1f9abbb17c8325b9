"""Weights computed from other parameters, lists and dictionaries of parameters, assigned buffers: as in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

from .twins import same

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated in favor of", "ignore:.*weight_norm")
RNG = np.random.default_rng(4)


@pytest.mark.parametrize("dim", [0, 1, -1, None])
@pytest.mark.parametrize("build", ["linear", "conv", "transposed"])
@pytest.mark.parametrize("what", ["weight_norm", "spectral_norm"])
def test_reparametrised_layers(what: str, build: str, dim: int | None) -> None:
    torch = pytest.importorskip("torch")
    if what == "spectral_norm" and dim == -1:
        dim = None
    builders: dict[str, Any] = {
        "linear": lambda nn: nn.Linear(4, 3),
        "conv": lambda nn: nn.Conv2d(4, 3, 2),
        "transposed": lambda nn: nn.ConvTranspose2d(4, 3, 2),
    }
    ours, theirs = (getattr(lib.nn.utils, what)(builders[build](lib.nn), dim=dim).train() for lib in (tg, torch))
    x = RNG.standard_normal((2, 4) if build == "linear" else (2, 4, 5, 5))
    for training in (True, True, False):  # the singular vectors move in training only
        same(ours, theirs, x, training=training)
    assert dict(ours.named_buffers()).keys() == dict(theirs.named_buffers()).keys()
    for name, buffer in ours.named_buffers():
        np.testing.assert_allclose(buffer.numpy(), dict(theirs.named_buffers())[name].numpy(), rtol=1e-9)
    for lib, module in ((tg, ours), (torch, theirs)):
        getattr(lib.nn.utils, f"remove_{what}")(module)
        assert not module._forward_pre_hooks
    assert sorted(ours.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(ours.weight.detach().numpy(), theirs.weight.detach().numpy(), rtol=1e-9, atol=1e-12)
    y, z = ours(tg.tensor(x)), theirs(torch.tensor(x))
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-9, atol=1e-12)
    y.sum().backward()
    assert ours.weight.grad is not None


def test_the_weight_stays_what_it_was() -> None:
    layer = nn.Linear(4, 3)
    before = layer.weight.detach().numpy().copy()
    nn.utils.weight_norm(layer)
    np.testing.assert_allclose(layer.weight.detach().numpy(), before, rtol=1e-6)
    assert [name for name, _ in layer.named_parameters()] == ["bias", "weight_g", "weight_v"]
    with pytest.raises(RuntimeError, match="has it already"):
        nn.utils.weight_norm(layer)
    with pytest.raises(ValueError, match="no parameter 'weights'"):
        nn.utils.spectral_norm(layer, "weights")
    with pytest.raises(ValueError, match="not found"):
        nn.utils.remove_spectral_norm(layer)
    with pytest.raises(ValueError, match="must be positive"):
        nn.utils.spectral_norm(nn.Linear(2, 2), n_power_iterations=0)


def test_spectral_norm_finds_the_largest_singular_value() -> None:
    tg.manual_seed(2)
    layer = nn.utils.spectral_norm(nn.Linear(6, 5))
    for _ in range(200):
        layer(tg.zeros(1, 6))
    assert np.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)[0] == pytest.approx(1, rel=1e-5)


def lists(torch: Any) -> list[Any]:
    """What happens to lists and dictionaries of parameters, as text and numbers."""
    nn, log = torch.nn, []
    values = nn.ParameterList([nn.Parameter(torch.zeros(2, 3)), torch.ones(4)])
    values.append(nn.Parameter(torch.full((1,), 2.0)))
    values += [torch.full((2,), 3.0), "text"]
    log += [len(values), [tuple(p.shape) for p in values.parameters()], list(values.state_dict()), values[-1]]
    log += [len(values[1:3]), values[-2].requires_grad, type(values[1]).__name__]
    values[0] = torch.full((5,), 1.0)
    log += [list(values[0].shape), [n for n, _ in values.named_parameters()]]
    held = nn.ParameterDict({"b": torch.zeros(1), "a": nn.Parameter(torch.ones(2))})
    held["c"] = nn.Parameter(torch.zeros(3))
    held.update({"d": torch.zeros(4)})
    log += [list(held), len(held), "c" in held, held.get("x"), list(held.pop("b").shape), list(held.keys())]
    log += [[(k, list(v.shape)) for k, v in held.items()], list(held.state_dict())]
    held.setdefault("e", torch.ones(1))
    del held["a"]
    log += [[list(v.shape) for v in held.values()]]
    held.clear()
    log += [len(held), list(held.parameters())]
    return log


def test_lists_and_dictionaries_of_parameters() -> None:
    ours = lists(tg)
    assert ours[0] == 5
    assert ours == lists(pytest.importorskip("torch"))
    assert repr(nn.ParameterList([tg.ones(2), 1])) == (
        "ParameterList(\n  (0): Parameter containing: [float32 of size 2]\n  (1): Object of type: int\n)"
    )
    with pytest.raises(IndexError, match="out of range for 1"):
        nn.ParameterList([tg.ones(1)])[1]
    with pytest.raises(KeyError):
        nn.ParameterDict()["a"]


def test_buffers_by_assignment_and_the_module_that_stands_for_several() -> None:
    def trace(torch: Any) -> list[Any]:
        module = torch.nn.Linear(2, 2, bias=False)
        module.mean = torch.nn.Buffer(torch.zeros(2))
        module.scratch = torch.nn.Buffer(torch.ones(1), persistent=False)
        module.mean = torch.ones(2)
        log: list[Any] = [list(module.state_dict()), [n for n, _ in module.named_buffers()], module.mean.tolist()]
        several = torch.nn.DataParallel(module)
        x = torch.ones(1, 2)
        return [*log, list(several.state_dict()), bool((several(x) == module(x)).all()), several.module is module]

    assert trace(tg) == trace(pytest.importorskip("torch"))
