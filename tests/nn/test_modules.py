"""Modules: registration, state, printing, errors, and results equal to PyTorch's."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn


class Tied(nn.Module):
    """Two names for one weight, a buffer, and a buffer that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3, bias=False)
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("count", tg.zeros(2))
        self.register_buffer("scratch", tg.zeros(1), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x)) + self.count.sum()


def mlp() -> Any:
    tg.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))


def test_parameters_are_listed_once_and_buffers_are_not_parameters() -> None:
    model = Tied()
    assert [name for name, _ in model.named_parameters()] == ["first.weight"]
    assert [name for name, _ in model.named_buffers()] == ["count", "scratch"]
    assert list(model.state_dict()) == ["count", "first.weight", "second.weight"]
    assert [name for name, _ in model.named_modules()] == ["", "first", "second"]
    assert [name for name, _ in model.named_children()] == ["first", "second"]


def test_state_goes_out_and_in() -> None:
    model, other = mlp(), mlp()
    other.apply(lambda m: nn.init.zeros_(m.weight) if isinstance(m, nn.Linear) else None)
    assert other[0].weight.abs().sum().item() == 0
    result = other.load_state_dict(model.state_dict())
    assert result == ([], [])
    np.testing.assert_array_equal(other[3].bias.detach().numpy(), model[3].bias.detach().numpy())
    model.state_dict()["0.bias"].zero_()  # it shares memory, as in PyTorch
    assert model[0].bias.abs().sum().item() == 0


def test_a_state_that_does_not_fit_changes_nothing_and_says_everything() -> None:
    model = mlp()
    before = model[0].weight.detach().clone()
    state = {name: value * 0 for name, value in model.state_dict().items()}
    state["0.bias"] = tg.zeros(9)
    del state["3.weight"]
    state["extra"] = tg.zeros(1)
    with pytest.raises(nn.StateDictError) as error:
        model.load_state_dict(state)
    text = str(error.value)
    assert "0.bias: shape (9,) does not fit (8,)" in text
    assert "missing: 3.weight" in text
    assert "unexpected: extra" in text
    np.testing.assert_array_equal(model[0].weight.detach().numpy(), before.numpy())
    with pytest.raises(RuntimeError, match=r"0\.bias"):
        model.load_state_dict(state, strict=False)
    del state["0.bias"]
    assert model.load_state_dict(state, strict=False) == (["0.bias", "3.weight"], ["extra"])


def test_training_mode_freezing_and_dtype() -> None:
    model = mlp()
    assert not model.eval()[2].training
    assert model.train()[2].training
    assert not any(p.requires_grad for p in model.requires_grad_(False).parameters())
    parameter = model[0].weight
    assert model.double()[0].weight is parameter
    assert {p.dtype for p in model.parameters()} == {tg.float64}
    with pytest.raises(TypeError, match="floats"):
        model.to("int64")
    with pytest.raises(RuntimeError, match="not available"):
        model.to("cuda")


def test_gradients_are_forgotten() -> None:
    model = mlp()
    model(tg.ones(2, 4)).sum().backward()
    model.zero_grad(set_to_none=False)
    assert model[3].bias.grad.tolist() == [0, 0]
    model.zero_grad()
    assert model[3].bias.grad is None


def test_hooks_run_and_go() -> None:
    layer = nn.Linear(2, 2)
    seen: list[Any] = []
    pre = layer.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 0,))
    post = layer.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()) or output + 1)
    np.testing.assert_allclose(layer(tg.ones(1, 2))[0].detach().numpy(), layer.bias.detach().numpy() + 1)
    pre.remove()
    post.remove()
    layer(tg.ones(1, 2))
    assert len(seen) == 1


def test_deep_copies_and_pickles_are_independent() -> None:
    model = mlp()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert list(twin.state_dict()) == list(model.state_dict())
        twin[0].weight.data.zero_()
        assert model[0].weight.abs().sum().item() > 0
    tied = copy.deepcopy(Tied())
    assert tied.first.weight is tied.second.weight


def test_a_module_is_an_object_like_any_other() -> None:
    class Base:
        def greeting(self) -> str:
            return "hello"

    class Model(nn.Module, Base):
        forward = staticmethod(lambda x: x + 1)

        def __getattr__(self, name: str) -> Any:
            return 3 if name == "three" else super().__getattr__(name)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return super().__call__(*args, **kwargs), "called"

    model = Model()
    model.layer = nn.Linear(2, 2)
    assert (model(4), model.three, model.greeting()) == ((5, "called"), 3, "hello")
    assert model.layer.weight.shape == (2, 2)
    model.forward = lambda x, by=2: x * by
    assert model(4, by=3) == (12, "called")
    assert weakref.ref(model)() is model
    shallow = copy.copy(model.layer)
    assert shallow.weight is model.layer.weight
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(model.layer, protocol))
        assert twin.weight.tolist() == model.layer.weight.tolist()
    replica = nn.Linear.__new__(nn.Linear)
    replica.__dict__.update(model.layer.__dict__)
    assert replica.weight is model.layer.weight
    assert replica(tg.ones(1, 2)).shape == (1, 2)


def test_containers() -> None:
    model = nn.Sequential(OrderedDict(a=nn.Linear(2, 3), b=nn.Tanh()))
    assert isinstance(model.b, nn.Tanh)
    assert model[-1] is model.b
    assert len(model) == 2
    assert len(mlp()[1:3]) == 2
    assert isinstance(nn.Sequential(nn.ReLU()).append(nn.Tanh())[1], nn.Tanh)
    items = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
    assert len(list(items.parameters())) == 4
    assert [type(m) for m in items] == [nn.Linear, nn.Linear]
    assert isinstance(items[:1], nn.ModuleList)
    items[0] = nn.Tanh()
    assert isinstance(items[0], nn.Tanh)
    named = nn.ModuleDict({"x": nn.Tanh()})
    named["y"] = nn.ReLU()
    assert list(named) == ["x", "y"]
    assert "x" in named
    del named["x"]
    assert list(named.keys()) == ["y"]
    with pytest.raises(IndexError, match="out of range for 2"):
        model[2]


def test_it_prints_as_pytorch_does() -> None:
    torch = pytest.importorskip("torch")

    def build(m: Any) -> Any:
        inner = m.Sequential(m.Linear(2, 3), m.LeakyReLU(0.2), m.Sequential(m.Flatten(), m.Tanh()))
        return m.Sequential(inner, m.Linear(3, 1, bias=False), m.ELU(), m.Softmax(dim=1), m.Unflatten(1, (1, 1)))

    assert repr(build(nn)) == repr(build(torch.nn))
    assert repr(nn.ReLU()) == "ReLU()"
    assert repr(nn.GELU("tanh")) == repr(torch.nn.GELU("tanh"))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Linear(3, 2)(tg.ones(4, 2)), ValueError, r"\(4, 2\) and weight of shape \(2, 3\)"),
        (lambda: nn.Linear(3, 2).wieght, AttributeError, "did you mean weight"),
        (lambda: nn.Dropout(1.5), ValueError, "p is 1.5"),
        (lambda: nn.MSELoss(reduction="avg"), ValueError, '"mean", "sum" or "none"'),
        (lambda: nn.MSELoss()(tg.ones(3, 1), tg.ones(3)), ValueError, "would be broadcast"),
        (lambda: nn.L1Loss()(tg.ones(3, 1), tg.ones(3)), ValueError, "would be broadcast"),
        (lambda: nn.BCELoss()(tg.tensor([1.5]), tg.tensor([1.0])), ValueError, "with_logits"),
        (lambda: nn.NLLLoss()(tg.zeros(2, 3), tg.tensor([0, 3])), IndexError, r"\[0, 2\]"),
        (lambda: nn.Sequential(3), TypeError, "not a Module"),
        (lambda: setattr(nn.Linear(1, 1), "weight", 3), TypeError, "is a Parameter"),
        (lambda: nn.Linear(1, 1).register_buffer("forward", tg.ones(1)), KeyError, "already"),
        (lambda: nn.Module()(1), NotImplementedError, "no forward"),
        (lambda: nn.functional.one_hot(tg.tensor([3]), 2), ValueError, "does not fit 2"),
    ],
)
def test_errors_say_what_and_how_to_mend_it(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_assigning_before_init_is_explained() -> None:
    class Hasty(nn.Module):
        """Forgets super().__init__()."""

        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        Hasty()


def test_calling_before_init_is_explained() -> None:
    class Bare(nn.Module):
        """Forgets super().__init__(), and has nothing to assign."""

        def __init__(self) -> None:
            pass

        def forward(self, x: Any) -> Any:
            return x

    with pytest.raises(AttributeError, match=r"Bare: call super\(\).__init__\(\)"):
        Bare()(1)


ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    ("ReLU", {}), ("LeakyReLU", {"negative_slope": 0.2}), ("Sigmoid", {}), ("Tanh", {}), ("GELU", {}), ("SiLU", {}),
    ("Softplus", {"beta": 2.0}), ("ELU", {"alpha": 0.5}), ("Softmax", {"dim": 1}), ("LogSoftmax", {"dim": 0}),
    ("Flatten", {}), ("Identity", {}), ("Unflatten", {"dim": 1, "unflattened_size": (2, 2)}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), ACTIVATIONS, ids=[name for name, _ in ACTIVATIONS])
def test_modules_without_parameters_are_pytorchs(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((3, 4))
    ours = getattr(nn, name)(**options)(tg.tensor(x))
    theirs = getattr(torch.nn, name)(**options)(torch.tensor(x))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12, atol=1e-14)


LOSSES: list[tuple[str, dict[str, Any], str]] = [
    ("MSELoss", {}, "real"), ("L1Loss", {}, "real"), ("HuberLoss", {"delta": 0.7}, "real"),
    ("SmoothL1Loss", {"beta": 0.5}, "real"), ("SmoothL1Loss", {"beta": 0.0}, "real"), ("BCELoss", {}, "probability"),
    ("BCEWithLogitsLoss", {}, "binary"), ("NLLLoss", {}, "class"), ("NLLLoss", {"ignore_index": 1}, "class"),
    ("CrossEntropyLoss", {"label_smoothing": 0.2, "ignore_index": 2}, "class"),
]  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "options", "kind"), LOSSES, ids=[f"{n}{i}" for i, (n, _, _) in enumerate(LOSSES)])
def test_losses_are_pytorchs(name: str, options: dict[str, Any], kind: str, reduction: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    x = rng.uniform(0.01, 0.99, (5, 3)) if kind == "probability" else rng.standard_normal((5, 3)) * 3
    target = {"real": rng.standard_normal((5, 3)), "class": rng.integers(0, 3, 5)}.get(kind, rng.uniform(0, 1, (5, 3)))
    a, b = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours = getattr(nn, name)(reduction=reduction, **options)(a, tg.tensor(target))
    theirs = getattr(torch.nn, name)(reduction=reduction, **options)(b, torch.tensor(target))
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12, atol=1e-13)
    ours.sum().backward()
    theirs.sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-11, atol=1e-13)


def test_class_weights_reach_the_losses() -> None:
    torch = pytest.importorskip("torch")
    x, t = np.random.default_rng(2).standard_normal((5, 3)), np.array([0, 1, 2, 2, 1])
    w = np.array([0.2, 1.5, 3.0])
    for name in ("CrossEntropyLoss", "NLLLoss"):
        ours = getattr(nn, name)(weight=tg.tensor(w))(tg.tensor(x), tg.tensor(t))
        theirs = getattr(torch.nn, name)(weight=torch.tensor(w))(torch.tensor(x), torch.tensor(t))
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)


def test_extreme_logits_do_not_overflow() -> None:
    x = tg.tensor([[1000.0, -1000.0], [-1000.0, 1000.0]], requires_grad=True)
    loss = nn.CrossEntropyLoss(reduction="none")(x, tg.tensor([0, 0]))
    assert loss.tolist() == [0.0, 2000.0]
    loss.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()
    z = tg.tensor([1000.0, -1000.0], requires_grad=True)
    nn.BCEWithLogitsLoss(reduction="sum")(z, tg.tensor([1.0, 0.0])).backward()
    assert z.grad.tolist() == [0.0, 0.0]


def test_initialisation_has_the_stated_distribution() -> None:
    tg.manual_seed(0)
    layer = nn.Linear(400, 300)
    bound = 1 / 20
    assert -bound <= layer.weight.min().item() < -0.99 * bound
    assert 0.99 * bound < layer.weight.max().item() <= bound
    w = tg.zeros(300, 400)
    for fill, expected in [
        (lambda: nn.init.xavier_uniform_(w), np.sqrt(2 / 700)),
        (lambda: nn.init.xavier_normal_(w, gain=2), 2 * np.sqrt(2 / 700)),
        (lambda: nn.init.kaiming_uniform_(w), np.sqrt(2 / 400)),
        (lambda: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), np.sqrt(2 / 300)),
        (lambda: nn.init.normal_(w, 1.0, 0.5), 0.5),
    ]:
        fill()
        assert w.std().item() == pytest.approx(expected, rel=0.02)
    nn.init.orthogonal_(w, gain=2)
    np.testing.assert_allclose((w @ w.T).numpy(), 4 * np.eye(300), atol=1e-4)
    assert nn.init.eye_(tg.zeros(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert nn.init.constant_(tg.zeros(2), 3).tolist() == [3, 3]
    torch = pytest.importorskip("torch")
    for name, param in [("relu", None), ("leaky_relu", 0.3), ("tanh", None), ("linear", None), ("selu", None)]:
        assert nn.init.calculate_gain(name, param) == pytest.approx(torch.nn.init.calculate_gain(name, param))
    with pytest.raises(ValueError, match="two dimensions"):
        nn.init.xavier_normal_(tg.zeros(3))


def test_clipping_is_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    grads = [np.random.default_rng(i).standard_normal((3, 2)) * 5 for i in range(3)]
    for limit in (1.0, 1e6):
        ours = [nn.Parameter(tg.zeros(3, 2, dtype="float64")) for _ in grads]
        theirs = [torch.nn.Parameter(torch.zeros(3, 2, dtype=torch.float64)) for _ in grads]
        for p, q, g in zip(ours, theirs, grads, strict=True):
            p.grad, q.grad = tg.tensor(g), torch.tensor(g)
        a = nn.utils.clip_grad_norm_(ours, limit)
        b = torch.nn.utils.clip_grad_norm_(theirs, limit)
        assert a.item() == pytest.approx(b.item(), rel=1e-12)
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-7)
        nn.utils.clip_grad_value_(ours, 0.1)
        assert max(p.grad.abs().max().item() for p in ours) <= 0.1


def test_parameters_as_a_vector_and_back() -> None:
    model = mlp()
    vector = nn.utils.parameters_to_vector(model.parameters()).detach()
    nn.utils.vector_to_parameters(vector * 2, model.parameters())
    np.testing.assert_array_equal(
        nn.utils.parameters_to_vector(model.parameters()).detach().numpy(), vector.numpy() * 2
    )
    with pytest.raises(ValueError, match="the vector has"):
        nn.utils.vector_to_parameters(vector[1:], model.parameters())


def test_sequential_joins_a_linear_and_its_activation_into_the_same_bits() -> None:
    x = tg.tensor(np.random.default_rng(0).standard_normal((5, 6)), dtype=tg.float32)
    for activation in (nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.GELU(), nn.GELU("tanh"), nn.SiLU()):
        model = nn.Sequential(nn.Linear(6, 7), activation, nn.Linear(7, 3))
        apart = model[2](model[1](model[0](x)))
        joined = model(x)
        np.testing.assert_array_equal(joined.detach().numpy(), apart.detach().numpy())
        results = []
        for y in (apart, joined):
            model.zero_grad()
            y.sum().backward()
            results.append([p.grad.numpy().copy() for p in model.parameters()])
        for a, b in zip(*results, strict=True):
            np.testing.assert_array_equal(a, b)


def test_sequential_takes_the_max_before_the_relu_with_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    values = rng.choice(np.float32([-np.inf, -2, -1, -0.0, 0, 1, 1, 2, np.inf, np.nan]), (3, 4, 9, 9))
    pools = (nn.MaxPool2d(2), nn.MaxPool2d(3, 1, 1), nn.MaxPool2d(3, 2, dilation=2), nn.MaxPool2d(2, ceil_mode=True))
    for relu, pool in [(nn.ReLU(), pool) for pool in pools] + [(nn.ReLU(inplace=True), pools[0])]:
        weights = rng.standard_normal(pool(tg.tensor(values)).shape).astype(np.float32)
        results = []
        for model in (nn.Sequential(relu, pool), lambda x, relu=relu, pool=pool: pool(relu(x))):
            x = tg.tensor(values, requires_grad=True)
            y = model(x)
            y.backward(tg.tensor(weights))
            results.append((y.detach().numpy().view(np.int32), x.grad.numpy().view(np.int32)))
        for joined, apart in zip(*results, strict=True):
            np.testing.assert_array_equal(joined, apart)


def test_sequential_takes_the_relu_first_where_that_can_be_seen() -> None:
    x = tg.tensor(np.random.default_rng(0).standard_normal((2, 3, 6, 6)), dtype=tg.float32)
    for position in (0, 1):
        seen: list[Any] = []
        model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
        handle = model[position].register_forward_hook(lambda module, inputs, output, seen=seen: seen.append(inputs[0]))
        model(x)
        np.testing.assert_array_equal(seen[0].numpy(), x.numpy() if position == 0 else nn.functional.relu(x).numpy())
        handle.remove()
    y, indices = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2, return_indices=True))(x)
    assert y.shape == indices.shape == (2, 3, 3, 3)


def test_sequential_keeps_apart_what_a_hook_watches() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.Tanh())
    model[0].bias.detach().numpy()[:] = -1.0  # so that some are below 0
    seen: list[Any] = []
    for module in (model[0], model[3]):
        module.register_forward_hook(lambda module, inputs, output: seen.append((type(module).__name__, output)))
    y = model(tg.ones(2, 3))
    assert [name for name, _ in seen] == ["Linear", "Tanh"]
    assert (seen[0][1].detach().numpy() < 0).any()  # before the activation
    np.testing.assert_array_equal(seen[1][1].detach().numpy(), y.detach().numpy())
