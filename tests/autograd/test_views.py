"""Views and changes in place: what is written through, what its gradient is, and what is refused, as in PyTorch."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

# Each program gets a module, m, and two leaves that require grad, x (4, 3) and w (3,); it returns what is summed.


def scaled_rows(m: Any, x: Any, w: Any) -> Any:
    c = x * 2
    c[1:].mul_(w)
    return c * c


def flat_view_of_a_constant(m: Any, x: Any, w: Any) -> Any:
    c = m.zeros(4, 3, dtype=m.float64)
    y = c.view(-1)
    y[1] = w[0]
    y[2:5].add_(w)
    return c * x


def row_of_a_transpose(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    c.t()[0].add_(x[:, 1] * 2)
    c.t()[2, 1:].mul_(w.sum())
    return c * c


def encodings(m: Any, x: Any, w: Any) -> Any:
    pe = m.zeros(4, 6, dtype=m.float64)
    pe[:, 0::2] = (x * w).sin()
    pe[:, 1::2] = (x * w).cos()
    return pe * pe[0]


def view_made_before_the_base_changes(m: Any, x: Any, w: Any) -> Any:
    c = x * 2
    v = c.reshape(3, 4)
    row = v[1]
    c.add_(w)
    c.mul_(2)
    return (v * v).sum() + (row * row).sum()


def views_of_views_in_any_order(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    a = c[1:]
    b = a[:, 1:]
    d = b.t()
    d.mul_(x[:2, :3].mean())
    a.add_(w)
    c[0] = w * w
    b[0].sub_(1)
    c.mul_(x)
    d[1, 1] = 5.0
    return (a * a).sum() + (b * x[1:, 1:]).sum() + (d * d).sum() + (c * c).sum()


def two_views_that_overlap(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    left, right = c[:, :2], c[:, 1:]
    left.mul_(3)
    right.add_(left.detach().clone())
    left.add_(right.clone() * 2)
    return c * c


def one_number(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    c[0, 1].mul_(w[2])
    c[-1, -1] = c[0, 0].clone() * w[1]
    return c * c


def c_plus_c(m: Any, x: Any, w: Any) -> Any:
    c = x * 2
    c += c + 1
    c *= c.detach().clone()
    c -= w
    c /= w * w + 1
    return c * c


def overwritten_whole(m: Any, x: Any, w: Any) -> Any:
    c = x * 2
    c.copy_(w)
    d = x * 3
    d.zero_()
    e = m.zeros(4, 3, dtype=m.float64)
    e.copy_(x)
    f = x * 1
    f.fill_(2)
    return c * c + d * x + e * e * e + f * x


def from_another_dtype(m: Any, x: Any, w: Any) -> Any:
    c = m.zeros(4, 3)
    c[:2] = x[:2]
    c[2, :2] = w[1:]
    return c * c


def chosen_rows(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    c[[0, 2]] = w
    c[m.tensor([1]), m.tensor([[0], [2]])] *= 3
    c[c > 1] = 0.5
    return c * c


def mask_of_a_view(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    c.t()[m.tensor([True, False, True]), 1:] = w
    c[1:][m.tensor([0, 2])] += w * w
    return c * c * x


def squeezed_and_expanded_views(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    c.unsqueeze(1).squeeze(1).transpose(0, 1)[1].mul_(x[:, 0])
    c[:1].expand(1, 3)[0].add_(w)
    w2 = c[2].unsqueeze(0).expand(4, 3)
    return c * w2


def written_through_one_row_of_an_expanded_view(m: Any, x: Any, w: Any) -> Any:
    c = w * 1
    c.expand(4, 3)[1].mul_(2)
    return c * x


def before_and_after(m: Any, x: Any, w: Any) -> Any:
    c = x + 1
    first = c * 1
    c[0] = 0.0
    second = c + w
    c[:, 1].mul_(w[0])
    return first * first + second * second + c * c


def changed_without_recording(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    v = c[1:]
    with m.no_grad():
        v.mul_(2)
        c[0] = 1.0
    return (v * w).sum() + (c * w).sum()


def detached_and_changed(m: Any, x: Any, w: Any) -> Any:
    c = m.ones(3, dtype=m.float64)
    d = c.detach()
    d.mul_(w)
    return d * d * x + c


def requires_grad_of_views(m: Any, x: Any, w: Any) -> Any:
    c = m.ones(4, 3, dtype=m.float64)
    v = c[0]
    assert not v.requires_grad
    assert v.is_leaf
    c[1] = w
    assert v.requires_grad
    assert not v.is_leaf
    assert v.grad_fn is not None
    return v.sum() + (c * x).sum()


def retained(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    c.retain_grad()
    c.mul_(3)
    (c * x).sum().backward(retain_graph=True)
    return c * c.grad.detach()


def hooked(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    c.register_hook(lambda g: g * 10)
    c.mul_(3)
    c.register_hook(lambda g: g + 1)
    c[0].add_(w)
    return c * x


def backward_from_a_view(m: Any, x: Any, w: Any) -> Any:
    c = x * w
    v = c[0]
    c.add_(x)
    v.sum().backward(retain_graph=True)
    return v.sum() + (c[1] * w).sum()


def data_is_not_counted(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    y = c * c
    c.data.add_(1)
    return y


def iterated(m: Any, x: Any, w: Any) -> Any:
    rows = list(x * w)
    return sum((row * i for i, row in enumerate(rows)), m.zeros(3, dtype=m.float64))


def loop_of_steps(m: Any, x: Any, w: Any) -> Any:
    h = m.zeros(4, 3, dtype=m.float64)
    for i in range(4):
        h[i] = (h[i - 1].clone() * w + x[i]).tanh() if i else x[0].tanh()
    return h.exp()


PROGRAMS: list[Callable[..., Any]] = [
    scaled_rows, flat_view_of_a_constant, row_of_a_transpose, encodings, view_made_before_the_base_changes,
    views_of_views_in_any_order, two_views_that_overlap, one_number, c_plus_c, overwritten_whole, from_another_dtype,
    chosen_rows, mask_of_a_view, squeezed_and_expanded_views, written_through_one_row_of_an_expanded_view,
    before_and_after, changed_without_recording, detached_and_changed, requires_grad_of_views, retained, hooked,
    backward_from_a_view, data_is_not_counted, iterated, loop_of_steps,
]  # fmt: skip

# -- and what both refuse


def leaf_changed(m: Any, x: Any, w: Any) -> Any:
    return x.add_(1)


def leaf_assigned_to(m: Any, x: Any, w: Any) -> Any:
    x[0] = 1.0
    return x


def view_of_a_leaf_changed(m: Any, x: Any, w: Any) -> Any:
    x.t()[0].mul_(2)
    return x


def one_of_several_views_changed(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    c.split(2)[0].add_(1)
    return c


def one_of_several_views_used_after_a_change(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    first, _ = c.split(2)
    c.add_(1)
    return first * 2


def rows_of_a_loop_changed(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    for row in c:
        row[0].mul_(2)
    return c


def view_made_without_recording_changed(m: Any, x: Any, w: Any) -> Any:
    c = m.zeros(4, 3, dtype=m.float64)
    with m.no_grad():
        v = c[0]
    v.add_(w)
    return c


def view_made_without_recording_used_after_a_change(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    with m.no_grad():
        v = c[0]
    c.mul_(2)
    return v * w


def expanded_memory_changed(m: Any, x: Any, w: Any) -> Any:
    c = w * 1
    c.expand(4, 3).mul_(x)
    return c


def expanded_memory_assigned_to(m: Any, x: Any, w: Any) -> Any:
    m.zeros(3, dtype=m.float64).expand(4, 3)[1:] = x[1:]
    return w * 1


def saved_base_changed_through_a_view(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    y = c * c
    c[0].zero_()
    return y


def saved_view_changed_through_the_base(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    v = c[0]
    y = v * w
    c.zero_()
    return y


def saved_and_changed_through_detach(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    y = c * c
    c.detach()[0].fill_(1)
    return y


def too_wide_a_value(m: Any, x: Any, w: Any) -> Any:
    c = x * 1
    c[0] = x
    return c


def whole_number_memory(m: Any, x: Any, w: Any) -> Any:
    c = m.zeros(3, dtype=m.int64)
    c.add_(w)
    return c


REFUSED: list[Callable[..., Any]] = [
    leaf_changed, leaf_assigned_to, view_of_a_leaf_changed, one_of_several_views_changed,
    one_of_several_views_used_after_a_change, rows_of_a_loop_changed, view_made_without_recording_changed,
    view_made_without_recording_used_after_a_change, expanded_memory_changed, expanded_memory_assigned_to,
    saved_base_changed_through_a_view, saved_view_changed_through_the_base, saved_and_changed_through_detach,
    too_wide_a_value, whole_number_memory,
]  # fmt: skip

X, W = np.random.default_rng(0).standard_normal((4, 3)), np.array([0.5, -1.25, 2.0])


def results(m: Any, program: Callable[..., Any]) -> list[Any]:
    """The value, the gradients, and the gradients of a sum of squares of the gradients, where there are any."""
    x, w = (m.tensor(a, dtype=m.float64, requires_grad=True) for a in (X, W))
    y = program(m, x, w).sum()
    first = m.autograd.grad(y, (x, w), create_graph=True, allow_unused=True)
    total = sum((g * g).sum() for g in first if g is not None)
    second: Any = (None, None)
    if isinstance(total, m.Tensor) and total.requires_grad:
        second = m.autograd.grad(total, (x, w), allow_unused=True)
    return [None if t is None else t.detach().numpy() for t in (y, *first, *second)]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_values_and_derivatives_are_pytorchs(program: Callable[..., Any]) -> None:
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(results(tg, program), results(torch, program), strict=True):
        if ours is None or theirs is None:  # a gradient of zeros may be absent
            assert not np.any(np.asarray(ours if theirs is None else theirs, dtype=float)) or ours is theirs
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-6 if program is from_another_dtype else 1e-11, atol=1e-12)


@pytest.mark.parametrize("program", REFUSED, ids=lambda f: f.__name__)
def test_what_pytorch_refuses_is_refused(program: Callable[..., Any]) -> None:
    torch = pytest.importorskip("torch")
    for m in (torch, tg):
        with pytest.raises((RuntimeError, TypeError)):
            results(m, program)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_no_cycle_is_left(program: Callable[..., Any]) -> None:
    gc.collect()
    gc.disable()
    try:
        x, w = (tg.tensor(a, dtype="float64", requires_grad=True) for a in (X, W))
        y = program(tg, x, w)
        node = weakref.ref(y.grad_fn)
        y.sum().backward()
        del y
        assert node() is None
        x.grad = w.grad = None
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 2, 0)])
def test_gradients_of_pieces_that_lie_side_by_side_go_where_they_belong(order: tuple[int, ...]) -> None:
    """They are slices of one array: taken as it is if they lie as the pieces did, not if they lie in another order."""
    x = tg.tensor(X, requires_grad=True)
    g = tg.tensor(np.arange(12.0).reshape(X.shape))
    pieces = (x * 1).unbind()
    tg.stack([pieces[i] for i in order]).backward(g)
    np.testing.assert_array_equal(x.grad.numpy(), g.numpy()[list(order)])


def test_a_value_saved_and_then_changed_makes_no_cycle() -> None:
    x = tg.tensor(X, requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        c = x * 1
        c.add_(c.sin() * c)  # sin and the product have saved what c was
        watched = weakref.ref(c)
        with pytest.raises(RuntimeError, match="changed in place"):
            c.sum().backward()
        del c
        assert watched() is None
    finally:
        gc.enable()


def test_the_refusals_say_why() -> None:
    x = tg.tensor(X, requires_grad=True)
    c = x * 1
    with pytest.raises(RuntimeError, match=r"add_: a view of shape \(2, 3\).*came out of split together with others"):
        c.split(2)[0].add_(1)
    with pytest.raises(RuntimeError, match=r"mul_: this is a view of a leaf that requires grad"):
        x[0].mul_(2)
    with tg.no_grad():
        v = c[0]
    with pytest.raises(RuntimeError, match=r"shape \(3,\) cannot be changed.*made under no_grad\(\)"):
        v.mul_(2)
    c.mul_(2)
    with pytest.raises(RuntimeError, match=r"shape \(3,\) is used after.*made under no_grad\(\)"):
        v * 2


IN_PLACE: list[tuple[str, tuple[Any, ...]]] = [
    ("add_", (0.5,)), ("sub_", (0.5,)), ("mul_", (0.5,)), ("div_", (0.5,)), ("clamp_", (-0.5, 0.5)), ("zero_", ()),
    ("fill_", (2.0,)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), IN_PLACE, ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("part", [lambda c: c, lambda c: c[1:], lambda c: c.t()[::2], lambda c: c[0, 1]])
def test_in_place_is_what_the_function_of_that_name_gives(name: str, arguments: Any, part: Any) -> None:
    x = tg.tensor(X, requires_grad=True)
    c = x * 1
    array = X.copy()
    selected = part(tg.from_numpy(array))
    if name in ("zero_", "fill_"):
        expected = np.full(selected.shape, arguments[0] if arguments else 0.0)
        slope = 0.0
    else:
        leaf = selected.clone().requires_grad_()
        functional = getattr(leaf, name[:-1])(*arguments)
        functional.sum().backward()
        expected, slope = functional.detach().numpy(), leaf.grad.numpy()
    result = getattr(part(c), name)(*arguments)
    np.testing.assert_array_equal(result.detach().numpy(), expected)
    c.sum().backward()
    slopes = tg.ones(4, 3, dtype="float64")
    part(slopes)[...] = tg.tensor(slope)
    np.testing.assert_array_equal(x.grad.numpy(), slopes.numpy())


@pytest.mark.parametrize(
    "made",
    [
        lambda x: x @ x,
        lambda x: x.logsumexp(0),
        lambda x: x.max(0)[0],
        lambda x: x.min(0)[1],
        lambda x: x.sum().softmax(0),
        lambda x: x.sum().log_softmax(0),
        lambda x: x.sum().gather(0, tg.tensor(0)),
    ],
)
def test_what_an_operation_has_computed_is_no_view_of_a_hidden_tensor(made: Any) -> None:
    with tg.no_grad():
        y = made(tg.tensor([1.0, 2.0], requires_grad=True))
    if y.is_floating_point():
        y += tg.tensor(1.0, requires_grad=True)  # which a view made under no_grad() refuses
        assert y.requires_grad


def test_a_view_keeps_its_history_when_its_base_stops_requiring_grad() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x[:1] * 3
    x.requires_grad_(False)
    y.backward()
    assert x.grad is None
    with pytest.raises(RuntimeError, match="does not require grad"):
        (x[:1] * 3).backward()


def test_the_standard_deviation_of_equal_numbers_has_the_gradient_zero() -> None:
    x = tg.tensor([[2.5, 2.5], [1.0, 3.0]], dtype="float64", requires_grad=True)
    (g,) = tg.autograd.grad(x.std(1).sum(), x, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), [[0, 0], [-(0.5**0.5), 0.5**0.5]])
    g[0].sum().backward()
    assert x.grad.tolist() == [[0, 0], [0, 0]]
