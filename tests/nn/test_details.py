"""What long-lived models rely on: registration, states that do not fit, containers, clipping, initialisation."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn


def test_a_name_has_one_home() -> None:
    module = nn.Module()
    module.register_buffer("x", tg.ones(1), persistent=False)
    with pytest.raises(KeyError, match="already"):
        module.register_parameter("x", nn.Parameter(tg.ones(1)))
    module.x = nn.Parameter(tg.ones(2))  # assignment replaces, and what was not saved as a buffer is as a parameter
    assert list(module.state_dict()) == ["x"]
    assert list(module.named_buffers()) == []
    module.x = None
    assert module.x is None
    assert list(module.parameters()) == []
    del module.x
    with pytest.raises(AttributeError, match="no attribute 'x'"):
        module.x
    module.x = tg.ones(1)  # a plain tensor is neither a parameter nor a buffer
    assert list(module.state_dict()) == []
    with pytest.raises(KeyError, match="already"):
        module.register_buffer("x", tg.ones(1))
    with pytest.raises(KeyError, match="no dot"):
        module.add_module("a.b", nn.ReLU())
    module.register_buffer("y", tg.ones(1))
    module.y = tg.zeros(2)  # a tensor assigned to a buffer stays a buffer
    assert module.state_dict()["y"].tolist() == [0, 0]


def test_submodules_are_found_by_their_dotted_name() -> None:
    model = nn.Sequential(nn.Sequential(nn.Tanh()), nn.ReLU())
    assert model.get_submodule("0.0") is model[0][0]
    assert model.get_submodule("") is model
    with pytest.raises(AttributeError, match="'7' is missing"):
        model.get_submodule("0.7")
    order: list[str] = []
    model.apply(lambda module: order.append(type(module).__name__))
    assert order == ["Tanh", "Sequential", "ReLU", "Sequential"]


def test_a_state_of_anything_but_numbers_changes_nothing() -> None:
    model = nn.Linear(2, 1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for bad in (np.array([1j]), np.array(["a"]), np.array([None])):
        with pytest.raises(nn.StateDictError, match=r"bias: .* are not numbers"):
            model.load_state_dict({"weight": np.zeros((1, 2)), "bias": bad})
    with pytest.raises(TypeError, match="expected a dictionary"):
        model.load_state_dict([1, 2])
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name].numpy())
    memory = model.weight.data_ptr()
    model.load_state_dict({"weight": np.array([[3, 4]]), "bias": tg.tensor([1.0], dtype="float64")})
    assert model.weight.tolist() == [[3.0, 4.0]]
    assert model.weight.data_ptr() == memory
    assert model.bias.dtype == tg.float32


def test_loading_and_converting_are_noticed_by_a_graph_recorded_before() -> None:
    for change in (
        lambda m: m.load_state_dict(m.state_dict()),
        lambda m: m.double(),
        lambda m: nn.init.ones_(m.weight),
    ):
        model, x = nn.Linear(2, 1), tg.ones(1, 2)
        loss = model(x.requires_grad_()).sum()
        change(model)
        with pytest.raises(RuntimeError, match="changed in place"):
            loss.backward()


def test_converting_keeps_tied_weights_tied_and_gradients_with_them() -> None:
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    b.weight = a.weight
    model = nn.Sequential(a, b)
    model(tg.ones(1, 2)).sum().backward()
    model.to(tg.ones(1, dtype="float64"))
    assert a.weight is b.weight
    assert a.weight.grad.dtype == a.weight.dtype == tg.float64
    assert model.cpu() is model
    assert model.float()[0].weight.dtype == tg.float32


def test_parameters_share_the_memory_of_a_tensor() -> None:
    t = tg.zeros(2)
    p = nn.Parameter(t)
    t[0] = 5.0
    assert p.tolist() == [5.0, 0.0]
    assert p.requires_grad
    assert p.is_leaf
    assert not nn.Parameter(t, requires_grad=False).requires_grad
    assert repr(p).startswith("Parameter containing:\ntensor([5., 0.]")
    with pytest.raises(RuntimeError, match="floats"):
        nn.Parameter(tg.tensor([1]))


def test_containers_insert_delete_and_keep_names() -> None:
    model = nn.Sequential(OrderedDict(a=nn.Tanh(), b=nn.ReLU(), c=nn.ELU()))
    assert [name for name, _ in model[1:].named_children()] == ["b", "c"]
    del model[0]
    assert [name for name, _ in model.named_children()] == ["b", "c"]
    items = nn.ModuleList([nn.Tanh(), nn.ReLU()])
    items.insert(1, nn.ELU()).extend([nn.SiLU()])
    assert [(n, type(m).__name__) for n, m in items.named_children()] == [
        ("0", "Tanh"), ("1", "ELU"), ("2", "ReLU"), ("3", "SiLU"),
    ]  # fmt: skip
    del items[1:3]
    assert [(n, type(m).__name__) for n, m in items.named_children()] == [("0", "Tanh"), ("1", "SiLU")]
    assert items[np.int64(-1)] is items[1]
    with pytest.raises(TypeError, match="expected a Module"):
        items.insert(0, 3)
    named = nn.ModuleDict()
    named.update({"x": nn.Tanh(), "y": nn.ReLU()})
    assert isinstance(named.pop("x"), nn.Tanh)
    assert [type(m) for m in named.values()] == [nn.ReLU]
    assert [n for n, _ in named.items()] == ["y"]
    named.clear()
    assert len(named) == 0


def test_lists_and_losses_print_as_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    for build in (
        lambda m: m.ModuleList([m.Linear(2, 2), m.Linear(2, 2), m.Sequential(m.Tanh()), m.Linear(2, 3)]),
        lambda m: m.ModuleList(),
        lambda m: m.ModuleDict({"a": m.Dropout(0.1), "b": m.Softplus()}),
        lambda m: m.Sequential(),
        lambda m: m.CrossEntropyLoss(),
        lambda m: m.MSELoss(),
    ):
        assert repr(build(nn)) == repr(build(torch.nn))


def test_norms_are_clipped_for_every_kind_of_norm() -> None:
    torch = pytest.importorskip("torch")
    for kind in (1.0, 2.0, 3.0, float("inf")):
        ours, theirs = nn.Parameter(tg.zeros(3)), torch.nn.Parameter(torch.zeros(3))
        ours.grad, theirs.grad = tg.tensor([3.0, -4.0, 1.0]), torch.tensor([3.0, -4.0, 1.0])
        expected = torch.nn.utils.clip_grad_norm_(theirs, 2.0, norm_type=kind)
        assert nn.utils.clip_grad_norm_(ours, 2.0, norm_type=kind).item() == pytest.approx(expected.item())
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-6)


def test_clipping_at_the_extremes() -> None:
    huge, bad, none = (nn.Parameter(tg.zeros(2)) for _ in range(3))
    huge.grad = tg.tensor([3e30, 4e30])
    assert nn.utils.clip_grad_norm_([huge, none], 1.0).item() == pytest.approx(5e30)
    np.testing.assert_allclose(huge.grad.numpy(), [0.6, 0.8], rtol=1e-6)
    assert none.grad is None
    bad.grad = tg.tensor([float("nan"), 1.0])
    with pytest.raises(RuntimeError, match="norm is nan"):
        nn.utils.clip_grad_norm_(bad, 1.0, error_if_nonfinite=True)
    assert bad.grad[1].item() == 1.0
    assert np.isnan(nn.utils.clip_grad_norm_(bad, 1.0).item())
    assert np.isnan(bad.grad.numpy()).all()
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0.0


def test_initialisation_comes_from_the_generator_given_and_fits_any_layout() -> None:
    for fill in (nn.init.uniform_, nn.init.normal_, nn.init.xavier_uniform_, nn.init.xavier_normal_,
                 nn.init.kaiming_uniform_, nn.init.kaiming_normal_, nn.init.orthogonal_):  # fmt: skip
        one, two = tg.zeros(4, 3), tg.zeros(3, 4).T
        assert fill(one, generator=tg.Generator(7)) is one
        fill(two, generator=tg.Generator(7))
        np.testing.assert_array_equal(one.numpy(), two.numpy())
        assert len(np.unique(fill(tg.zeros(4, 3), generator=tg.Generator(8)).numpy() == one.numpy())) == 1
        with pytest.raises(TypeError, match="float dtype"):
            fill(tg.tensor([[1, 2]]))
    tall, wide = nn.init.orthogonal_(tg.zeros(5, 3)), nn.init.orthogonal_(tg.zeros(3, 2, 4))
    np.testing.assert_allclose((tall.T @ tall).numpy(), np.eye(3), atol=1e-6)
    drawn = tg.Generator(7).normal((5, 3), 0.0, 1.0, np.float64)
    q = nn.init.orthogonal_(tg.zeros(5, 3), generator=tg.Generator(7)).numpy()
    assert (np.diag(q.T @ drawn) > 0).all()  # the one Q with a positive R: only so are all directions equally likely
    flat = wide.reshape(3, 8)
    np.testing.assert_allclose((flat @ flat.T).numpy(), np.eye(3), atol=1e-6)
    weight = nn.init.kaiming_uniform_(tg.zeros(200, 8, 5, 5), a=5**0.5)
    assert 0.95 < weight.abs().max().item() * 200**0.5 <= 1  # fan-in counts the receptive field
    for fill in (nn.init.kaiming_uniform_, nn.init.xavier_normal_):
        assert fill(tg.zeros(0, 0)).shape == (0, 0)
    with pytest.raises(ValueError, match="fan_in"):
        nn.init.kaiming_normal_(weight, mode="fan")
    with pytest.raises(ValueError, match="unknown"):
        nn.init.calculate_gain("swish")


def test_a_layer_of_no_inputs_or_no_rows_works() -> None:
    assert nn.Linear(0, 3)(tg.zeros(2, 0)).tolist() == [[0.0] * 3] * 2
    layer = nn.Linear(3, 2)
    layer(tg.zeros(0, 3)).sum().backward()
    assert layer.weight.grad.abs().sum().item() == 0
    with pytest.raises(ValueError, match="not negative"):
        nn.Linear(-1, 2)


def test_hooks_see_inputs_and_outputs_and_may_be_removed_twice() -> None:
    layer = nn.Tanh()
    seen: list[Any] = []
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append((module, inputs, output)))
    x = tg.ones(1)
    y = layer(x)
    assert seen[0][0] is layer
    assert seen[0][1][0] is x
    assert seen[0][2] is y
    handle.remove()
    handle.remove()
    layer(x)
    assert len(seen) == 1
