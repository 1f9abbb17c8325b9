"""Jacobians, Hessians, products, `func`, Function's contract, hooks, anomaly mode and grad modes: as in PyTorch."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function, once_differentiable

X, W = np.random.default_rng(3).standard_normal((3, 2)), np.array([0.7, -1.5])


def numbers(value: Any) -> Any:
    """Nested results as arrays."""
    if isinstance(value, tuple | list):
        return [numbers(v) for v in value]
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items()}
    return value.detach().numpy() if hasattr(value, "detach") else value


def same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        same(list(ours.values()), list(theirs.values()))
    else:
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def both(program: Callable[..., Any]) -> None:
    """`program(module, x, w)` gives the same here and in PyTorch."""
    torch = pytest.importorskip("torch")
    results = [numbers(program(m, m.tensor(X), m.tensor(W))) for m in (tg, torch)]
    same(*results)


def scalar(x: Any, w: Any) -> Any:
    return ((x * w).tanh() * x * x).sum()


def vector(x: Any, w: Any) -> Any:
    return (x * w).exp().sum(1)


CASES: dict[str, Callable[..., Any]] = {
    "jacobian": lambda m, x, w: m.autograd.functional.jacobian(lambda a: vector(a, w), x),
    "jacobian_of_two": lambda m, x, w: m.autograd.functional.jacobian(vector, (x, w)),
    "jacobian_of_two_outputs": lambda m, x, w: m.autograd.functional.jacobian(
        lambda a, b: (vector(a, b), scalar(a, b)), (x, w)),
    "jacobian_unused": lambda m, x, w: m.autograd.functional.jacobian(lambda a, b: vector(a, a[0]), (x, w)),
    "jacobian_constant": lambda m, x, w: m.autograd.functional.jacobian(lambda a: m.ones(2), x),
    "jacobian_vectorized": lambda m, x, w: m.autograd.functional.jacobian(vector, (x, w), vectorize=True),
    "hessian": lambda m, x, w: m.autograd.functional.hessian(lambda a: scalar(a, w), x),
    "hessian_of_two": lambda m, x, w: m.autograd.functional.hessian(scalar, (x, w)),
    "hessian_linear": lambda m, x, w: m.autograd.functional.hessian(lambda a: (a * w).sum(), x),
    "vjp": lambda m, x, w: m.autograd.functional.vjp(vector, (x, w), m.tensor([1.0, -2.0, 0.5], dtype=m.float64)),
    "vjp_scalar": lambda m, x, w: m.autograd.functional.vjp(scalar, (x, w)),
    "jvp": lambda m, x, w: m.autograd.functional.jvp(vector, (x, w), (x * 2, w + 1)),
    "hvp": lambda m, x, w: m.autograd.functional.hvp(scalar, (x, w), (x * 2, w + 1)),
    "vhp": lambda m, x, w: m.autograd.functional.vhp(lambda a: scalar(a, w), x, x + 1),
    "func_grad": lambda m, x, w: m.func.grad(scalar)(x, w),
    "func_grad_of_both": lambda m, x, w: m.func.grad(scalar, argnums=(0, 1))(x, w),
    "func_grad_of_the_last": lambda m, x, w: m.func.grad(scalar, argnums=-1)(x, w),
    "func_grad_aux": lambda m, x, w: m.func.grad(lambda a: (scalar(a, w), a * 2), has_aux=True)(x),
    "func_grad_of_a_dict": lambda m, x, w: m.func.grad(lambda p: scalar(p["x"], p["w"]))({"x": x, "w": w}),
    "func_grad_and_value": lambda m, x, w: m.func.grad_and_value(scalar)(x, w),
    "func_third": lambda m, x, w: m.func.grad(lambda c: m.func.grad(lambda b: m.func.grad(
        lambda a: (a**5) * b * c)(b) * b)(c) * c)(w[0]),
    "func_vjp": lambda m, x, w: m.func.vjp(vector, x, w)[1](m.tensor([1.0, -2.0, 0.5], dtype=m.float64)),
    "func_jvp": lambda m, x, w: m.func.jvp(vector, (x, w), (x * 2, w + 1)),
    "func_jacrev": lambda m, x, w: m.func.jacrev(vector, argnums=(0, 1))(x, w),
    "func_jacfwd": lambda m, x, w: m.func.jacfwd(lambda a: vector(a, w))(x),
    "func_hessian": lambda m, x, w: m.func.hessian(scalar)(x, w),
    "func_grad_inside_a_graph": lambda m, x, w: m.autograd.grad(
        m.func.grad(scalar)(x, v := w.clone().requires_grad_()).sum(), v),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own
@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_functions_are_pytorchs(name: str) -> None:
    both(CASES[name])


def test_results_are_differentiable_only_where_that_was_asked_for() -> None:
    x = tg.tensor(X, requires_grad=True)
    plain = tg.autograd.functional.jacobian(lambda a: a.exp().sum(1), x)
    assert not plain.requires_grad
    again = tg.autograd.functional.jacobian(lambda a: a.exp().sum(1), x, create_graph=True)
    again.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(X))
    assert not tg.func.grad(lambda a: a.exp().sum())(x.detach()).requires_grad
    with pytest.raises(RuntimeError, match="strict"):
        tg.autograd.functional.jacobian(lambda a, b: a * 2, (x, x), strict=True)
    with pytest.raises(RuntimeError, match="one number"):
        tg.autograd.functional.hessian(lambda a: a * 2, x)
    with pytest.raises(ValueError, match="v has shapes"):
        tg.autograd.functional.vjp(lambda a: a * 2, x, tg.ones(2))
    with pytest.raises(RuntimeError, match="0-d tensor"):
        tg.func.grad(lambda a: a * 2)(x)


def test_grad_of_unused_inputs() -> None:
    x, unused = tg.tensor(X, requires_grad=True), tg.tensor(W, requires_grad=True)
    assert tg.autograd.grad(x.sum(), [x, unused], materialize_grads=True)[1].tolist() == [0.0, 0.0]
    tg.autograd.backward([x.sum(), (x * 2).sum()])
    assert x.grad.tolist() == [[3.0, 3.0]] * 3
    with pytest.raises(RuntimeError, match="inputs is empty"):
        x.sum().backward(inputs=[])


# -- Function ------------------------------------------------------------------------------------------------


def test_a_function_with_a_context_of_its_own() -> None:
    class Product(Function):
        """a · b, in the form with setup_context."""

        @staticmethod
        def forward(a: Any, b: Any) -> Any:
            return a * b

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            a, b = ctx.saved_tensors
            return g * b if ctx.needs_input_grad[0] else None, g * a if ctx.needs_input_grad[1] else None

    a, b = tg.tensor(W, requires_grad=True), tg.tensor(W * 2, requires_grad=True)
    assert tg.autograd.gradcheck(Product.apply, (a, b))
    assert tg.autograd.gradgradcheck(Product.apply, (a, b))


def test_a_function_may_change_its_input() -> None:
    class Doubled(Function):
        """x *= 2, in place."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            x.mul_(2)
            ctx.mark_dirty(x)
            ctx.save_for_backward(x)
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            assert ctx.saved_tensors[0].shape == g.shape
            return g * 2

    x = tg.tensor(W, requires_grad=True)
    h = x * 3
    gc.collect()
    y = Doubled.apply(h)
    assert y is h
    (h * h).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 72 * W)
    with pytest.raises(RuntimeError, match="leaf that requires grad"):
        Doubled.apply(tg.tensor(W, requires_grad=True))
    with pytest.raises(RuntimeError, match="view"):
        Doubled.apply((x * 3)[1:])


def test_a_function_may_hand_through_what_is_no_tensor() -> None:
    class Told(Function):
        """2x, and how many."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2, x.numel()

        @staticmethod
        def backward(ctx: Any, g: Any, _: Any) -> Any:
            return g * 2

    x = tg.tensor(W, requires_grad=True)
    y, n = Told.apply(x)
    y.sum().backward()
    assert n == 2
    assert x.grad.tolist() == [2.0, 2.0]


def test_once_differentiable() -> None:
    class Cube(Function):
        """x³ whose derivative is computed outside the graph."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            assert not tg.is_grad_enabled()
            return tg.tensor(3 * x.detach().numpy() ** 2) * g

    x = tg.tensor(W, requires_grad=True)
    (g,) = tg.autograd.grad(Cube.apply(x).sum(), x, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), 3 * W**2)
    with pytest.raises(RuntimeError, match=r"Cube.*once_differentiable"):
        g.sum().backward()


# -- hooks, the graph from outside, anomaly mode -------------------------------------------------------------


def test_hooks_after_accumulation() -> None:
    x = tg.tensor(W, requires_grad=True)
    seen: list[Any] = []
    handle = x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
    (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
    assert seen == [[2.0, 2.0]]
    with pytest.raises(RuntimeError, match="only a leaf"):
        (x * 2).register_post_accumulate_grad_hook(print)


class Logged(tg.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, log: Any, name: Any) -> Any:
        ctx.save_for_backward(x, w)
        ctx.log, ctx.name = log, name
        return x * w

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        ctx.log.append(f"backward of layer {ctx.name}")
        return g * w, (g * x).sum(), None, None


def three_layers(first_twice: bool) -> list[str]:
    """What happens in a backward pass through three layers, each with a weight that is watched."""
    log: list[str] = []
    weights = [tg.tensor(2.0 + i, requires_grad=True) for i in range(3)]
    for i, w in enumerate(weights):
        w.register_post_accumulate_grad_hook(lambda p, i=i: log.append(f"gradient {i} = {p.grad.item():g}"))
    x = tg.tensor([1.0, 1.0])
    for i in (0, 1, 2, *([0] if first_twice else [])):
        x = Logged.apply(x, weights[i], log, i)
    x.sum().backward()
    return log


def test_a_gradient_is_announced_as_soon_as_it_is_complete() -> None:
    assert three_layers(first_twice=False) == [
        "backward of layer 2", "gradient 2 = 12",
        "backward of layer 1", "gradient 1 = 16",
        "backward of layer 0", "gradient 0 = 24",
    ]  # fmt: skip


def test_the_gradient_of_a_shared_weight_is_announced_once_after_its_last_part() -> None:
    assert three_layers(first_twice=True) == [
        "backward of layer 0",
        "backward of layer 2", "gradient 2 = 24",
        "backward of layer 1", "gradient 1 = 32",
        "backward of layer 0", "gradient 0 = 96",
    ]  # fmt: skip


def test_a_gradient_without_a_hook_is_left_alone_by_a_backward_that_fails_later() -> None:
    x, w = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor(3.0, requires_grad=True)
    y = x.exp()
    z = (y * w).sum()
    with tg.no_grad():
        y.zero_()  # Exp has saved it; the gradient of w is known by the time this is noticed
    with pytest.raises(RuntimeError, match="changed in place"):
        z.backward()
    assert w.grad is None
    assert x.grad is None


def test_a_function_may_call_its_notes_as_it_likes() -> None:
    class Noting(tg.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            for note in (
                "name",
                "edges",
                "outputs",
                "saved",
                "view",
                "hooks",
                "operation",
                "sequence",
                "dirty",
                "trace",
            ):
                setattr(ctx, note, 3)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2 * (ctx.saved + ctx.view + ctx.name) / 9

    x = tg.tensor(W, requires_grad=True)
    Noting.apply(x).sum().backward()
    assert x.grad.tolist() == [2.0] * len(W)


def test_the_graph_can_be_walked() -> None:
    x = tg.tensor(W, requires_grad=True)
    node = (x.exp() * 2).grad_fn
    assert node.name() == "Mul"
    (exp, number), (nothing, _) = node.next_functions
    assert (exp.name(), number, nothing) == ("Exp", 0, None)
    assert exp.next_functions[0][0].variable is x


def test_anomaly_mode_names_the_operation_and_the_line() -> None:
    x = tg.tensor([0.0, 1.0], requires_grad=True)
    with tg.autograd.detect_anomaly():
        assert tg.autograd.is_anomaly_enabled()
        y = (x * 0).sqrt()  # the line to be named
        with pytest.raises(RuntimeError, match="Function Sqrt returned NaN") as caught:
            (y * 0).sum().backward()
    assert not tg.autograd.is_anomaly_enabled()
    assert "# the line to be named" in "".join(caught.value.__notes__)
    with tg.autograd.set_detect_anomaly(True, check_nan=False):
        y = (x * 0).sqrt()
    (y * 0).sum().backward()
    assert np.isnan(x.grad.numpy()).any()


def test_grad_modes_decorate_functions_and_generators() -> None:
    @tg.no_grad()
    def steps() -> Any:
        got = yield tg.is_grad_enabled()
        try:
            yield got, tg.is_grad_enabled()
        except ValueError:
            yield "caught", tg.is_grad_enabled()
        return "end"

    generator = steps()
    assert next(generator) is False
    assert tg.is_grad_enabled()
    assert generator.send(5) == (5, False)
    assert generator.throw(ValueError()) == ("caught", False)
    with pytest.raises(StopIteration, match="end"):
        next(generator)
    assert tg.is_grad_enabled()

    @tg.set_grad_enabled(False)
    def plain() -> bool:
        return tg.is_grad_enabled()

    @tg.inference_mode
    def inferred() -> bool:
        return tg.is_grad_enabled()

    assert tg.is_grad_enabled()
    assert plain() is inferred() is False
    with tg.inference_mode():
        assert not tg.is_grad_enabled()
    with tg.inference_mode(False):
        assert tg.is_grad_enabled()
    with tg.no_grad():
        tg.set_grad_enabled(True)
        assert tg.is_grad_enabled()
    assert tg.is_grad_enabled()


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("outside", [False, True])
def test_a_pass_is_recorded_if_its_graph_is_wanted_whatever_holds_outside(create_graph: bool, outside: bool) -> None:
    said: dict[str, bool] = {}

    def says(name: str) -> Any:
        def hook(*_: Any) -> None:
            said[name] = tg.is_grad_enabled()

        return hook

    class Double(tg.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            says("derivative")()
            return 2 * g

    for watched in ("leaf", "result", "derivative", "accumulated", "nothing"):
        x = tg.ones(3, requires_grad=True)
        y = x * 3
        if watched == "leaf":
            x.register_hook(says(watched))
        if watched == "result":
            y.register_hook(says(watched))
        if watched == "accumulated":
            x.register_post_accumulate_grad_hook(says(watched))
        z = Double.apply(y) if watched == "derivative" else y.exp()
        loss = (z * z).sum()
        with tg.set_grad_enabled(outside):
            loss.backward(create_graph=create_graph)
            assert tg.is_grad_enabled() == outside
        assert x.grad.requires_grad == create_graph
    assert said == dict.fromkeys(("leaf", "result", "derivative", "accumulated"), create_graph)
