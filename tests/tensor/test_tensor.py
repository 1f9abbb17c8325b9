"""The tensor as a user meets it: promotion, indexing, views, conversion, printing, errors."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg

DTYPES = ["bool", "uint8", "int8", "int32", "int64", "float32", "float64"]


def twin(torch: Any, x: Any) -> Any:
    return torch.tensor(x.detach().numpy())


def test_promotion_is_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    for a, b in itertools.product(DTYPES, DTYPES):
        for sa, sb in itertools.product([(2,), ()], repeat=2):
            x, y = tg.ones(*sa, dtype=a), tg.ones(*sb, dtype=b)
            expected = (twin(torch, x) * twin(torch, y)).dtype
            assert str((x * y).dtype) == str(expected).removeprefix("torch."), (a, b, sa, sb)
    for a, number in itertools.product(DTYPES, [True, 2, 2.5]):
        x = tg.ones(2, dtype=a)
        for operation in (lambda u, v: u * v, lambda u, v: v / u, lambda u, v: u + v):
            expected = operation(twin(torch, x), number).dtype
            assert str(operation(x, number).dtype) == str(expected).removeprefix("torch."), (a, number)


INDICES = [
    0, -1, slice(1, None), slice(None, None, 2), (slice(None), 1), (Ellipsis, 0), (None, 1), (0, 1, 2), [2, 0],
    ([0, 1], [1, 1]), (slice(None), [0, 2]), ([[0], [2]], [1, 0]), (slice(1, 1),), (1, Ellipsis), Ellipsis, (),
    ([True, False, True],), (slice(None), [False, True, True, False]), (0, [1, 2]), ([0, 1], slice(None), [3, 0]),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing_and_assignment_are_pytorchs(index: Any) -> None:
    torch = pytest.importorskip("torch")
    values = np.arange(60.0).reshape(3, 4, 5)
    if isinstance(index, tuple):
        index = tuple(tg.tensor(i) if isinstance(i, list) else i for i in index)
        theirs = tuple(twin(torch, i) if isinstance(i, tg.Tensor) else i for i in index)
    else:
        theirs = index
    ours, other = tg.tensor(values), torch.tensor(values)
    np.testing.assert_array_equal(ours[index].numpy(), other[theirs].numpy())
    ours[index] = -1.0
    other[theirs] = -1.0
    np.testing.assert_array_equal(ours.numpy(), other.numpy())


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (5, IndexError, r"shape \(3, 4\).*index 5"),
        ((0, 0, 0), IndexError, "too many indices"),
        ("a", TypeError, "cannot be indexed by str"),
        (1.5, IndexError, r"not by 1.5; use int"),
        (slice(None, None, -1), ValueError, "flip"),
    ],
)
def test_wrong_indices_are_explained(index: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        tg.ones(3, 4)[index]
    with pytest.raises(IndexError, match=r"convert it: index\.long"):
        tg.ones(3)[tg.ones(2)]


def test_views_share_memory_and_write_through() -> None:
    x = tg.zeros(2, 3)
    x.T[0, 1] = 5.0
    x.reshape(6)[0] = 1.0
    x[1][2] = 7.0
    x.view(3, 2)[1, 0] = 2.0
    assert x.tolist() == [[1.0, 0.0, 2.0], [5.0, 0.0, 7.0]]
    assert x.detach().data_ptr() == x.data_ptr()
    with pytest.raises(ValueError, match="needs a copy; use reshape"):
        x.T.view(6)
    with pytest.raises(RuntimeError, match="several entries share"):
        tg.zeros(1).expand(3).add_(1)


@pytest.mark.parametrize(
    "call", [lambda x: x.reshape(2.5, 12), lambda x: x.permute(0.6, 1), lambda x: x.expand(4, "6")]
)
def test_sizes_and_dimensions_are_integers(call: Any) -> None:
    """A size that came out of a division is not cut off in silence."""
    with pytest.raises(TypeError, match="must be integers"):
        call(tg.zeros(4, 6))


def test_slice_assignment_of_whole_columns_as_positional_encodings_do() -> None:
    table = tg.zeros(4, 6)
    position = tg.arange(4).float().unsqueeze(1)
    table[:, 0::2] = (position * tg.ones(3)).sin()
    table[:, 1::2] = (position * tg.ones(3)).cos()
    np.testing.assert_allclose(table[:, 0].numpy(), np.sin(np.arange(4)), rtol=1e-6)
    np.testing.assert_allclose(table[:, 5].numpy(), np.cos(np.arange(4)), rtol=1e-6)


def test_arrays_go_in_and_out_without_a_copy() -> None:
    array = np.zeros(3)
    x = tg.from_numpy(array)
    array[0] = 1
    assert x[0].item() == 1
    assert np.asarray(x) is not None
    assert np.shares_memory(np.asarray(x), array)
    assert np.shares_memory(tg.from_dlpack(x).numpy(), array)
    assert np.shares_memory(np.from_dlpack(x), array)
    assert not np.shares_memory(tg.tensor(array).numpy(), array)
    with pytest.raises(RuntimeError, match="detach"):
        tg.ones(2, requires_grad=True).numpy()
    with pytest.raises(TypeError, match="not supported"):
        tg.from_numpy(np.zeros(2, complex))


def test_a_mistyped_attribute_raises() -> None:
    x = tg.ones(2)
    with pytest.raises(AttributeError):
        x.requires_gradient = True
    with pytest.raises(AttributeError):
        x.graad


def test_how_it_prints() -> None:
    assert repr(tg.tensor([1.0, 2.5])) == "tensor([1. , 2.5])"
    assert repr(tg.tensor([1, 2])) == "tensor([1, 2])"
    assert repr(tg.tensor([1.0], dtype="float64")) == "tensor([1.], dtype=float64)"
    assert repr(tg.tensor([1.0], requires_grad=True)) == "tensor([1.], requires_grad=True)"
    assert repr(tg.tensor([1.0], requires_grad=True) * 2) == "tensor([2.], grad_fn=<Mul>)"
    assert f"{tg.tensor(1.234):.2f}" == "1.23"
    assert repr(tg.zeros(0, 3)) == "tensor([], size=(0, 3))"


def test_numbers_and_truth() -> None:
    assert float(tg.tensor(2.5)) == 2.5
    assert int(tg.tensor([3])) == 3
    assert [10, 20][tg.tensor(1)] == 20
    assert bool(tg.tensor(0.0)) is False
    assert 2 in tg.tensor([1, 2])
    assert len(tg.zeros(4, 2)) == 4
    assert [row.tolist() for row in tg.tensor([[1], [2]])] == [[1], [2]]
    with pytest.raises(RuntimeError, match="neither true nor false"):
        bool(tg.ones(2))
    with pytest.raises(ValueError, match="holds 2 numbers"):
        tg.ones(2).item()
    with pytest.raises(TypeError, match="0-d"):
        len(tg.tensor(1.0))


def test_copies_and_pickles_are_leaves_of_their_own() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    for twin_ in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin_.tolist() == x.tolist()
        assert twin_.requires_grad
        twin_.data[0] = 9.0
        assert x[0].item() == 1.0
    with pytest.raises(RuntimeError, match="detach"):
        copy.deepcopy(x * 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tg.ones(2, 3) @ tg.ones(2, 3), ValueError, r"\(2, 3\) and \(2, 3\).*did you mean a @ b.T"),
        (lambda: tg.ones(3, 2) @ tg.ones(3, 4), ValueError, r"did you mean a.T @ b"),
        (lambda: tg.ones(3) + tg.ones(4), ValueError, r"add: shapes \(3,\) and \(4,\) do not broadcast"),
        (lambda: tg.ones(3) + tg.ones(3, 2), ValueError, r"as a column, x.reshape\(3, 1\)"),
        (lambda: tg.ones(2, 3).reshape(4, 2), ValueError, "has 6 entries.*needs 8"),
        (lambda: tg.ones(2, 3).sum(2), IndexError, "dim 2 is out of range for 2 dimensions"),
        (lambda: tg.ones(2, 3).sum((0, 0)), ValueError, "appears twice"),
        (lambda: tg.ones(2, dtype="int64").mean(), TypeError, "x.float"),
        (lambda: tg.zeros(0).max(), IndexError, "no entry"),
        (lambda: tg.ones(2) + "a", TypeError, "expected a tensor or a number, got str"),
        (lambda: tg.ones(2) & tg.ones(2), TypeError, "compare first"),
        (lambda: tg.ones(2, requires_grad=True, dtype="int64"), RuntimeError, "only floats have gradients"),
        (lambda: tg.tensor([1, [2]]), ValueError, "ragged"),
        (lambda: tg.tensor("x"), TypeError, "cannot make numbers"),
        (lambda: tg.ones(2, dtype=tg.bfloat16), TypeError, "bfloat16 is not supported; use float32"),
        (lambda: tg.ones(2, device="cuda"), RuntimeError, "not available"),
        (lambda: tg.cat([tg.ones(2), tg.ones(2, 2)]), ValueError, "must have dimensions"),
        (lambda: tg.zeros(2, -1), ValueError, "not negative"),
        (lambda: tg.ops.mse_loss(tg.ones(3, 1), tg.ones(3)), ValueError, r"target.reshape\(3, 1\)"),
        (lambda: tg.ops.cross_entropy(tg.ones(2, 3), tg.tensor([0, 3])), IndexError, r"target\[1\] is 3.*\[0, 2\]"),
        (lambda: tg.ops.cross_entropy(tg.ones(2, 3), tg.tensor([[0], [1]])), ValueError, r"target.reshape\(2\)"),
        (lambda: tg.ops.cross_entropy(tg.ones(2, 3), tg.ones(2)), ValueError, "class numbers are integers"),
        (lambda: tg.ops.linear(tg.ones(2, 3), tg.ones(3, 4)), ValueError, "did you mean weight.T"),
        (lambda: tg.ops.linear(tg.ones(2, 3, dtype="float64"), tg.ones(4, 3)), TypeError, "model.double"),
        (lambda: tg.ones(2).fill_(1)[0:1].copy_(tg.ones(3)), ValueError, "does not broadcast"),
        (lambda: tg.ones(2, dtype="int64").add_(0.5), TypeError, "cannot be put into"),
        (lambda: tg.ones(2).add_(tg.ones(3, 2)), ValueError, "the result has shape"),
        (lambda: tg.manual_seed(-1), ValueError, "the seed is -1"),
        (lambda: tg.ops.dropout(tg.ones(2), 1.5), ValueError, "p is 1.5"),
    ],
)  # fmt: skip
def test_errors_say_what_and_how_to_mend_it(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, tg.TinygradError)


def test_golden_random_numbers() -> None:
    """Frozen: these numbers may not change within a major version."""
    assert [hex(w) for w in tg.kernels.K.philox(4, 0, 0, 0)] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    generator = tg.Generator(1)
    np.testing.assert_allclose(
        tg.randn(3, generator=generator).numpy(), [0.38040075, -0.29627788, -0.24923342], rtol=1e-6
    )
    assert sorted(tg.randperm(5, generator=generator).tolist()) == [0, 1, 2, 3, 4]
    state = generator.get_state()
    first = tg.rand(4, generator=generator).tolist()
    generator.set_state(state)
    assert tg.rand(4, generator=generator).tolist() == first
    with pytest.raises(ValueError, match="lacks"):
        generator.set_state({"seed": 1})


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_draws_of_any_size_take_new_numbers(n: int) -> None:
    generator = tg.Generator(0)
    for draw in (tg.rand, tg.randn):
        first, second = draw(n, generator=generator), draw(n, generator=generator)
        assert not set(first.tolist()) & set(second.tolist())


def test_random_numbers_are_what_they_say() -> None:
    generator = tg.Generator(0)
    x = tg.randn(200_000, generator=generator)
    assert abs(x.mean().item()) < 0.01
    assert abs(x.std().item() - 1) < 0.01
    u = tg.rand(200_000, generator=generator)
    assert 0 <= u.min().item() < u.max().item() < 1
    assert abs(u.mean().item() - 0.5) < 0.005
    d = tg.randint(2, 5, (30_000,), generator=generator)
    assert {v: bool(abs((d == v).sum().item() - 10_000) < 400) for v in (2, 3, 4)} == {2: True, 3: True, 4: True}
    y = tg.ops.dropout(tg.ones(100_000), 0.3, generator=generator)
    assert abs((y == 0).sum().item() / 100_000 - 0.3) < 0.01
    np.testing.assert_allclose(y[y > 0].numpy(), 1 / 0.7, rtol=1e-6)


def test_dropout_masks_the_gradient_as_it_masked_the_value() -> None:
    x = tg.ones(1000, requires_grad=True)
    y = tg.ops.dropout(x, 0.4, generator=tg.Generator(2))
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    assert tg.ops.dropout(x, 0.4, training=False) is x


def test_casts_carry_the_gradient_back_in_the_old_dtype() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (x.double() * tg.tensor([1.0, 3.0], dtype="float64")).sum().backward()
    assert x.grad.dtype == tg.float32
    assert x.grad.tolist() == [1.0, 3.0]


SHAPES = [(), (1,), (3,), (2, 3), (2, 1), (1, 3), (0, 3), (2, 2, 3)]
STEPS: dict[str, Any] = {
    "add": lambda m, a, b: a + b,
    "sub": lambda m, a, b: a - b * 0.5,
    "mul": lambda m, a, b: a * b,
    "div": lambda m, a, b: a / (b * b + 1),
    "maximum": lambda m, a, b: m.maximum(a, b),
    "matmul": lambda m, a, b: a @ b,
    "tanh": lambda m, a, b: a.tanh(),
    "sigmoid": lambda m, a, b: a.sigmoid(),
    "exp": lambda m, a, b: (a * 0.3).exp(),
    "sum": lambda m, a, b: a.sum(0),
    "mean": lambda m, a, b: a.mean(-1, keepdim=True),
    "T": lambda m, a, b: a.t(),
    "reshape": lambda m, a, b: a.reshape(-1),
    "row": lambda m, a, b: a[0],
    "slice": lambda m, a, b: a[..., 1:],
    "unsqueeze": lambda m, a, b: a.unsqueeze(0),
    "squeeze": lambda m, a, b: a.squeeze(),
    "softmax": lambda m, a, b: a.softmax(-1),
    "cat": lambda m, a, b: m.cat([a, b], 0),
    "where": lambda m, a, b: m.where(a > 0, a, b),
}


def outcome(module: Any, start: list[Any], program: list[tuple[str, int, int]]) -> Any:
    """The last value and the gradients of the leaves, or "raises"."""
    values = list(start)
    try:
        for name, i, j in program:
            values.append(STEPS[name](module, values[i % len(values)], values[j % len(values)]))
        total = values[-1].sum()
        for value in values[len(start) : -1]:
            total = total + value.sum() * 0.1
        total.backward()
    except (ValueError, RuntimeError, IndexError, TypeError):
        return "raises"
    gradients = [None if x.grad is None else x.grad.numpy() for x in start]
    return total.detach().numpy(), values[-1].detach().numpy(), gradients


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(SHAPES), min_size=2, max_size=3),
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8),
)
def test_random_programs_agree_with_pytorch(shapes: Any, program: Any) -> None:
    torch = pytest.importorskip("torch")
    arrays = [np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate(shapes)]
    ours = outcome(tg, [tg.tensor(a, requires_grad=True) for a in arrays], program)
    theirs = outcome(torch, [torch.tensor(a, requires_grad=True) for a in arrays], program)
    if isinstance(ours, str) or isinstance(theirs, str):
        assert isinstance(ours, str) == isinstance(theirs, str), (ours, theirs)
        return
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-9, atol=1e-9)
    assert ours[1].shape == theirs[1].shape
    for a, b in zip(ours[2], theirs[2], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)
