"""The backward pass: what is accumulated where, in what order, at what cost, and what is refused."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function, Operation, grad
from tinygrad_edu.autograd.variable import Node


def leaf(*values: float) -> Any:
    return tg.tensor(list(values), dtype="float64", requires_grad=True)


def test_two_backward_calls_accumulate_on_leaves_only() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert x.grad.tolist() == [4.0, 8.0]
    assert y.grad is None


def test_each_leaf_owns_its_gradient() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = tg.tensor([1.0, 1.0], dtype="float64")
    (a + b).backward(seed)
    a.grad.mul_(10)
    assert b.grad.tolist() == [1.0, 1.0]
    assert seed.tolist() == [1.0, 1.0]


def test_a_seed_that_reaches_a_leaf_unchanged_is_copied() -> None:
    x, seed = leaf(1.0, 2.0), tg.tensor([1.0, 1.0], dtype="float64")
    x.clone().backward(seed)
    x.grad.mul_(10)
    assert seed.tolist() == [1.0, 1.0]


def test_ties_share_the_gradient_of_an_extreme() -> None:
    x = leaf(2.0, 5.0, 5.0)
    x.amax().backward()
    assert x.grad.tolist() == [0.0, 0.5, 0.5]


def test_a_view_of_the_incoming_gradient_is_copied_for_the_leaf() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = a.reshape(2, 1) + b.reshape(2, 1)
    y.sum().backward()
    a.grad.zero_()
    assert b.grad.tolist() == [1.0, 1.0]


def test_a_chain_of_100000_operations_differentiates_and_is_freed() -> None:
    x = leaf(2.0)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward(tg.ones(1, dtype="float64"))
    assert x.grad.tolist() == [100_001.0]
    del y


def test_a_diamond_of_depth_n_costs_n_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Twice(Operation):
        """x + x as two separate inputs."""

        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            return a + b

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            calls.append(1)
            return g, g

    y = x = leaf(1.0)
    for _ in range(60):
        y = Twice.apply(y, y)
    y.sum().backward()
    assert x.grad.tolist() == [2.0**60]
    assert len(calls) == 60


def test_no_reference_cycle_is_left_after_a_step() -> None:
    gc.collect()
    gc.disable()
    try:
        w = tg.randn(5, 3, requires_grad=True)
        for _ in range(3):
            h = tg.ops.linear(tg.randn(4, 3), w).tanh().exp()
            loss = tg.ops.cross_entropy(h, tg.tensor([0, 1, 2, 3]))
            watched = [weakref.ref(h), weakref.ref(loss), weakref.ref(loss.grad_fn), weakref.ref(h.grad_fn)]
            loss.backward()
            del h, loss
            assert [ref() for ref in watched] == [None] * 4
        dropped = tg.softmax(w, 1)  # never differentiated: the graph must go all the same
        watched = [weakref.ref(dropped), weakref.ref(dropped.grad_fn)]
        del dropped
        assert [ref() for ref in watched] == [None] * 2
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_four_hundred_steps_leak_nothing_with_the_cycle_collector_off() -> None:
    model = tg.nn.Sequential(tg.nn.Linear(8, 16), tg.nn.GELU(), tg.nn.Dropout(0.1), tg.nn.Linear(16, 3))
    optimizer = tg.optim.Adam(model.parameters())
    x, y = tg.randn(4, 8), tg.tensor([0, 1, 2, 0])

    def steps(n: int) -> tuple[int, int | None]:
        for _ in range(n):
            optimizer.zero_grad()
            tg.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        return tracemalloc.get_traced_memory()[0], tg.kernels.memory_stats().get("live_bytes")

    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        python, arrays = steps(50)
        later, arrays_later = steps(400)
    finally:
        tracemalloc.stop()
        gc.enable()
    assert arrays_later == arrays
    assert later - python < 20_000  # fifty bytes a step: caches that fill up, but no object that stays


def test_a_freed_graph_names_the_operation_and_the_way_out() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"Mul.*freed.*retain_graph=True"):
        y.backward()


def test_an_in_place_change_of_a_saved_input_is_noticed() -> None:
    x = leaf(1.0, 2.0) * 1
    y = x.exp().log()
    h = x * x
    with tg.no_grad():
        x.add_(1)
    y.sum().backward()  # exp saved its output, log its input: x itself was not needed
    with pytest.raises(RuntimeError, match=r"Mul.*\(2,\).*changed in place.*version 1, expected 0.*clone"):
        h.sum().backward()


def test_an_in_place_change_of_a_saved_output_is_noticed() -> None:
    y = leaf(1.0, 2.0).exp()
    with tg.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match=r"Exp: its output of shape \(2,\) was changed in place"):
        y.sum().backward()


def test_a_change_through_a_view_is_noticed_too() -> None:
    base = leaf(1.0, 2.0, 3.0) * 1
    y = base * base
    with tg.no_grad():
        base.reshape(3, 1)[1] = 7.0
    with pytest.raises(RuntimeError, match=r"Mul.*changed in place"):
        y.sum().backward()
    z = leaf(1.0, 2.0) * 1
    w = z * z
    z.detach().add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        w.sum().backward()


def test_recorded_in_place_changes_are_differentiated() -> None:
    x = leaf(1.0, 2.0, 3.0)
    c = x * 2
    c += c + 1
    c[0] = x[2] * x[2]
    c.mul_(x)
    c.sum().backward()  # c = [x2² x0, (4 x1 + 1) x1, (4 x2 + 1) x2]
    assert x.grad.tolist() == [9.0, 17.0, 25.0 + 6.0]


def test_a_leaf_that_requires_grad_is_not_changed_in_place_while_recording() -> None:
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="leaf that requires grad"):
        x.add_(1)
    with tg.no_grad():
        x.add_(1)
    assert x.tolist() == [2.0]


def test_the_gradient_of_something_not_a_number_needs_a_seed() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"shape \(2,\); reduce it"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="the gradient has shape"):
        (x * 2).backward(tg.ones(3, dtype="float64"))
    with pytest.raises(RuntimeError, match="does not require grad"):
        x.detach().sum().backward()


def test_unneeded_gradients_are_not_computed() -> None:
    class Picky(Operation):
        """a·b that refuses to work for nothing."""

        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            ctx.save_for_backward(b)
            return a * b

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            assert ctx.needs_input_grad == (True, False)
            return g * ctx.saved_tensors[0], None

    x = leaf(1.0, 2.0)
    Picky.apply(x, tg.tensor([3.0, 4.0], dtype="float64")).sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]


def test_grad_visits_only_what_leads_to_the_inputs() -> None:
    visited = []

    class Loud(Function):
        """Identity that tells."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            visited.append(1)
            return g

    a, b = leaf(1.0), leaf(2.0)
    y = (Loud.apply(a) * b * b).sum()
    (gb,) = grad(y, b, retain_graph=True)
    assert gb.tolist() == [4.0]
    assert visited == []
    assert a.grad is None
    assert b.grad is None
    (ga,) = grad(y, a)
    assert ga.tolist() == [4.0]
    assert visited == [1]


def test_grad_of_an_intermediate_value_and_of_an_unused_one() -> None:
    x, unused = leaf(1.0, 2.0), leaf(1.0)
    h = x * 3
    y = (h * h).sum()
    assert grad(y, h, retain_graph=True)[0].tolist() == [6.0, 12.0]
    with pytest.raises(RuntimeError, match="do not depend on input 0"):
        grad(y, unused, retain_graph=True)
    assert grad(y, [x, unused], allow_unused=True)[1] is None


def test_the_gradient_of_an_intermediate_value_is_not_added_to_further_down() -> None:
    w = tg.ones(100_000, requires_grad=True)
    a = w * 1
    c = a * 3
    y = a + tg.ones(100_000)  # passes its gradient on as it is
    gy, ga = tg.autograd.grad((y * 5 + c).sum(), [y, a])
    assert (gy == 5).all()
    assert (ga == 8).all()


def test_gradients_that_a_hook_keeps_are_not_added_into() -> None:
    w = tg.ones(100_000, requires_grad=True)
    a = w * 1
    seen = []
    parts = [a + tg.ones(100_000), a + tg.ones(100_000)]  # pass their gradients on as they are, to meet at a
    for part in parts:
        part.register_hook(seen.append)
    (parts[0] * 2 + parts[1] * 3).sum().backward()
    assert (w.grad == 5).all()
    assert sorted(kept[0].item() for kept in seen) == [2, 3]


def test_backward_into_chosen_inputs_only() -> None:
    a, b = leaf(1.0), leaf(2.0)
    (a * b).backward(tg.ones(1, dtype="float64"), inputs=[a])
    assert a.grad.tolist() == [2.0]
    assert b.grad is None


def test_third_derivative() -> None:
    x = leaf(2.0)
    y = x**5
    for expected in (80.0, 160.0, 240.0):
        (y,) = grad(y.sum(), x, create_graph=True)
        assert y.item() == pytest.approx(expected)


def test_hooks_see_and_replace_gradients_and_can_be_removed() -> None:
    x = leaf(1.0, 2.0)
    h = x * 2
    seen: list[Any] = []
    handle = h.register_hook(lambda g: seen.append(g.tolist()))
    h.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    (h * 1).sum().backward(retain_graph=True)
    assert seen == [[1.0, 1.0]]
    assert x.grad.tolist() == [21.0, 21.0]
    handle.remove()
    x.grad = None
    (h * 1).sum().backward()
    assert len(seen) == 1


def test_retain_grad_keeps_the_gradient_of_an_intermediate_value() -> None:
    x = leaf(1.0, 2.0)
    h = x * 2
    h.retain_grad()
    (h * h).sum().backward()
    assert h.grad.tolist() == [4.0, 8.0]


def test_no_grad_is_per_thread_nests_and_decorates() -> None:
    inside: list[bool] = []
    with tg.no_grad():
        assert not (leaf(1.0) * 2).requires_grad
        with tg.enable_grad():
            assert tg.is_grad_enabled()
        thread = threading.Thread(target=lambda: inside.append(tg.is_grad_enabled()))
        thread.start()
        thread.join()
        assert not tg.is_grad_enabled()
    assert inside == [True]

    @tg.no_grad()
    def plain() -> bool:
        return tg.is_grad_enabled()

    @tg.no_grad
    def bare() -> bool:
        return tg.is_grad_enabled()

    assert plain() is bare() is False
    assert tg.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        raise ZeroDivisionError
    assert tg.is_grad_enabled()
    with tg.set_grad_enabled(False):
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


def test_a_function_of_ones_own_has_pytorchs_contract() -> None:
    class Scale(Function):
        """x · factor, and the sign of it, which has no gradient."""

        @staticmethod
        def forward(ctx: Any, x: Any, factor: float) -> Any:
            assert isinstance(x, tg.Tensor)
            assert not tg.is_grad_enabled()
            ctx.factor = factor
            signs = x.sign()
            ctx.mark_non_differentiable(signs)
            return x * factor, signs

        @staticmethod
        def backward(ctx: Any, g: Any, _: Any) -> Any:
            return g * ctx.factor, None

    x = leaf(1.0, -2.0)
    y, signs = Scale.apply(x, 3.0)
    assert not signs.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert y.grad_fn.name() == "Scale"
    assert isinstance(y.grad_fn, Node)


@pytest.mark.parametrize(
    ("result", "message"),
    [((1,), "returned 1 gradients for 2"), ((None, None, None), "returned 3 gradients for 2")],
)
def test_a_wrong_number_of_gradients_is_said(result: Any, message: str) -> None:
    class Wrong(Function):
        """a + b with a broken derivative."""

        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            return a + b

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return result

    with pytest.raises(RuntimeError, match=f"Wrong.backward {message}"):
        Wrong.apply(leaf(1.0), leaf(2.0)).sum().backward()


def test_a_gradient_of_the_wrong_shape_is_said() -> None:
    class Forgot(Function):
        """a + b that forgets to sum over the broadcast axis."""

        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            return a + b

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g, g

    with pytest.raises(RuntimeError, match=r"Forgot.backward.*argument 1 has shape \(2,\).*\(1,\).*broadcast"):
        Forgot.apply(leaf(1.0, 2.0), leaf(1.0)).sum().backward()


def test_gradcheck_finds_a_wrong_derivative() -> None:
    class Half(Function):
        """x² with half its derivative."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0]

    x = leaf(1.0, 2.0)
    with pytest.raises(tg.autograd.GradcheckError, match=r"d output0\[0\] / d input0\[0\] is 1 by backward\(\), 2"):
        tg.autograd.gradcheck(Half.apply, x)
    assert not tg.autograd.gradcheck(Half.apply, x, raise_exception=False)
    with pytest.raises(tg.autograd.GradcheckError, match="use float64"):
        tg.autograd.gradcheck(tg.exp, tg.tensor([1.0], requires_grad=True))


def test_eight_threads_train_as_one() -> None:
    def gradient(out: list[Any]) -> None:
        generator = tg.Generator(3)
        w = tg.randn(16, 8, generator=generator, requires_grad=True)
        for _ in range(20):
            x = tg.randn(32, 8, generator=generator)
            loss = tg.ops.linear(x, w).tanh().square().mean()
            loss.backward()
        out.append(w.grad.numpy().tobytes())

    alone: list[Any] = []
    gradient(alone)
    together: list[Any] = []
    threads = [threading.Thread(target=gradient, args=(together,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone * 8


def test_leaf_gradients_add_up_over_many_paths_without_touching_saved_values() -> None:
    x = leaf(3.0)
    y = sum((x * float(i) for i in range(10)), tg.zeros(1, dtype="float64"))
    y.backward(tg.ones(1, dtype="float64"))
    np.testing.assert_array_equal(x.grad.numpy(), [45.0])


@pytest.mark.parametrize("gradient", [1.0, 3, np.ones(()), "x", [], [tg.ones(())]], ids=repr)
def test_a_gradient_that_is_no_tensor_is_refused(gradient: Any) -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(TypeError, match=f"the gradient is a {type(gradient).__name__}; it must be a tensor"):
        x.sum().backward(gradient)
    assert x.grad is None
