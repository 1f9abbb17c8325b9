"""Nodes are hidden from Python's cycle collector, and every cycle that a user can tie is collected all the same."""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function, collector
from tinygrad_edu.kernels import K

hides = pytest.mark.skipif(not hasattr(K, "hide_node"), reason="only the compiled kernels can hide nodes")


def leaf() -> Any:
    return tg.tensor([1.0, 2.0], requires_grad=True)


def chain(x: Any, n: int = 3) -> Any:
    for _ in range(n):
        x = (x * 1.5).exp()
    return x


def nodes(x: Any) -> list[Any]:
    found, waiting = [], [x.grad_fn]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += [to for to, _ in node.next_functions if to is not None and to.name() != "AccumulateGrad"]
    return found


@hides
def test_a_graph_is_hidden_and_what_it_consists_of_as_well() -> None:
    gc.collect()
    x = leaf()
    before = len(gc.get_objects())
    y = chain(x, 500)
    for _ in range(3):
        gc.collect()  # by which tuples of what it never looks at go, from the inside
    if not collector.__file__.endswith(".py"):  # uncompiled nodes have dictionaries
        assert len(gc.get_objects()) - before < 50
    assert not any(gc.is_tracked(node) for node in nodes(y))
    y.sum().backward()
    assert x.grad is not None


@hides
def test_what_hangs_onto_a_tensor_keeps_the_nodes_after_it_visible() -> None:
    class Kept(Function):
        """x, and something on ctx."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.something = []
            return x * 1

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    x = leaf()
    h = chain(x)
    y = chain(h)
    assert not any(gc.is_tracked(node) for node in nodes(y))
    h.register_hook(lambda g: None)
    seen = nodes(chain(h, 1))
    assert all(gc.is_tracked(node) for node in seen)
    assert len(seen) == 8
    assert all(gc.is_tracked(node) for node in nodes(chain(Kept.apply(x))))
    x.register_hook(lambda g: None)
    assert all(gc.is_tracked(node) for node in nodes(chain(x)))


def hook_on_a_leaf_before(x: Any) -> Any:
    held: list[Any] = []
    x.register_hook(lambda g: held[0] + g)
    held.append(chain(x))
    return held[0]


def hook_on_a_leaf_after(x: Any) -> Any:
    y = chain(x)
    x.register_hook(lambda g: y + g)
    return y


def hook_on_a_result_before(x: Any) -> Any:
    held: list[Any] = []
    h = chain(x)
    h.register_hook(lambda g: held[0] + g)
    held.append(chain(h))
    return held[0]


def hook_on_a_result_after(x: Any) -> Any:
    h = chain(x)
    y = chain(h)
    h.register_hook(functools.partial(lambda y, g: y + g, y))
    return y


def hook_with_a_list(x: Any) -> Any:
    several = [chain(x), chain(x)]
    x.register_hook(lambda g: several[1] + g)
    return several[1]


def hook_that_is_a_method(x: Any) -> Any:
    y = chain(x)
    x.register_hook(y.add)
    return y


class Holder:
    """An object that holds a tensor, and is a hook or has one."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __call__(self, g: Any) -> Any:
        return g + self.held


def hook_that_is_an_object(x: Any) -> Any:
    y = chain(x)
    x.register_hook(Holder(y))
    return y


def hook_that_is_an_objects_method(x: Any) -> Any:
    y = chain(x)
    x.register_hook(Holder(y).__call__)
    return y


def hook_after_accumulation(x: Any) -> Any:
    y = chain(x)
    x.register_post_accumulate_grad_hook(lambda x, y=y: None)
    return y


def gradient_with_a_history(x: Any) -> Any:
    y = chain(x)
    y.sum().backward(create_graph=True)
    return x.grad


def gradient_that_is_set(x: Any) -> Any:
    x.grad = chain(x)
    return x.grad


def gradient_that_was_set_before(x: Any) -> Any:
    x.grad = tg.zeros(2, requires_grad=True) * 1
    y = chain(x)
    x.grad = chain(y)
    return y


def leaf_that_is_overwritten(x: Any) -> Any:
    y = chain(x)
    x.requires_grad_(False)
    x.copy_(y)
    return y


def leaf_that_is_a_view(x: Any) -> Any:
    base = tg.zeros(2, 2)
    part = base[0].requires_grad_()
    y = chain(part)
    base[1] = y
    return y


@pytest.mark.parametrize(
    "tie",
    [
        hook_on_a_leaf_before,
        hook_on_a_leaf_after,
        hook_on_a_result_before,
        hook_on_a_result_after,
        hook_with_a_list,
        hook_that_is_a_method,
        hook_that_is_an_object,
        hook_that_is_an_objects_method,
        hook_after_accumulation,
        gradient_with_a_history,
        gradient_that_is_set,
        gradient_that_was_set_before,
        leaf_that_is_overwritten,
        leaf_that_is_a_view,
    ],
    ids=lambda tie: tie.__name__,
)
def test_cycles_that_a_user_ties_are_collected(tie: Callable[[Any], Any]) -> None:
    x = leaf()
    last = tie(x)
    watched = [weakref.ref(node) for node in nodes(last)]
    watched.append(weakref.ref(x))
    del last, x
    gc.collect()
    assert [ref() for ref in watched] == [None] * len(watched)


@hides
@pytest.mark.parametrize("change", ["hide_node", "show_node"])
def test_hiding_takes_nodes_alone(change: str) -> None:
    for wrong in [(), (1, (), ()), ([], ()), ([], [], ()), ([], (), (1,)), ([], (), (), ())]:
        with pytest.raises(TypeError, match="expected a node"):
            getattr(K, change)(*wrong)
