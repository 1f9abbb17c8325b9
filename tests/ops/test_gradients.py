"""Every operation's derivative: against central differences, against itself in other forms, and against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import records_more
import records_nn
from records import RECORDS as BASIC
from records import draw, is_random

import tinygrad_edu as tg
from tinygrad_edu.autograd import Operation, grad, gradcheck, gradgradcheck

RECORDS = [*BASIC, *records_more.RECORDS, *records_nn.RECORDS]
CASES = [pytest.param(record, sample, id=f"{record.name}-{i}") for record in RECORDS
         for i, sample in enumerate(record.samples)]  # fmt: skip


def arrays(sample: tuple[Any, ...], dtype: str) -> list[Any]:
    return [draw(argument, dtype, seed) for seed, argument in enumerate(sample)]


def tensors(values: list[Any]) -> list[Any]:
    return [tg.tensor(v, requires_grad=True) if isinstance(v, np.ndarray) else v for v in values]


def seeds(y: Any) -> Any:
    """An uneven gradient of y's shape, the same for equal shapes."""
    return np.random.default_rng(99).standard_normal(tuple(y.shape)).astype(str(y.dtype).removeprefix("torch."))


def run(record: Any, values: list[Any]) -> tuple[Any, list[Any]]:
    """The result and the gradients of one call."""
    leaves = tensors(values)
    y = record.function(*leaves)
    y.backward(tg.tensor(seeds(y)))
    return y.detach().numpy(), [x.grad.numpy() if x.grad is not None else None for x in leaves]


@pytest.mark.parametrize(("record", "sample"), CASES)
def test_first_and_second_derivative_agree_with_differences(record: Any, sample: Any) -> None:
    leaves = tensors(arrays(sample, "float64"))
    assert gradcheck(record.function, leaves)
    assert gradgradcheck(record.function, leaves)


@pytest.mark.parametrize(("record", "sample"), CASES)
def test_equal_to_pytorch(record: Any, sample: Any) -> None:
    torch = pytest.importorskip("torch")
    for dtype, forward, backward in (("float32", 1e-6, 1e-5), ("float64", 1e-13, 1e-12)):
        values = arrays(sample, dtype)
        y, grads = run(record, values)
        theirs = [torch.tensor(v, requires_grad=True) for v in values]
        expected = record.twin(torch, *theirs)
        expected.backward(torch.tensor(seeds(expected)))
        assert y.shape == tuple(expected.shape)
        assert str(y.dtype) == str(expected.dtype).removeprefix("torch.")
        np.testing.assert_allclose(y, expected.detach().numpy(), rtol=forward, atol=forward)
        for ours, other in zip(grads, theirs, strict=True):
            if other.grad is None or ours is None:
                assert other.grad is None
                assert ours is None
            else:
                np.testing.assert_allclose(ours, other.grad.numpy(), rtol=backward, atol=backward)


@pytest.mark.parametrize(("record", "sample"), CASES)
def test_second_gradient_is_pytorchs(record: Any, sample: Any) -> None:
    """The gradient of Σ (gradient)², as gradient penalties take it."""
    torch = pytest.importorskip("torch")
    values = arrays(sample, "float64")
    theirs = [torch.tensor(v, requires_grad=True) for v in values]
    expected = record.twin(torch, *theirs)
    seed = seeds(expected)
    first = torch.autograd.grad(expected, theirs, torch.tensor(seed), create_graph=True, allow_unused=True)
    ours = tensors(values)
    y = record.function(*ours)
    mine = grad(y, ours, tg.tensor(seed), create_graph=True, allow_unused=True)
    penalties = [sum((g * g).sum() for g in gradients if g is not None) for gradients in (mine, first)]
    if not penalties[1].requires_grad:  # linear, as PyTorch knows
        return
    try:
        penalties[1].backward()
    except RuntimeError as error:
        if "not implemented" not in str(error) and "got None" not in str(error):
            raise
        return  # PyTorch has no second derivative of it, or none without a weight
    if penalties[0].requires_grad:  # otherwise all second derivatives are zero
        penalties[0].backward()
    for a, b in zip(ours, theirs, strict=True):
        left = 0 if a.grad is None else a.grad.numpy()
        right = 0 if b.grad is None else b.grad.numpy(force=True)  # it may be zeros without memory
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("record", "sample"), CASES)
def test_fused_backward_equals_the_mathematics(record: Any, sample: Any) -> None:
    leaves = tensors(arrays(sample, "float64"))
    y = record.function(*leaves)
    seed = tg.tensor(seeds(y))
    fused = grad(y, leaves, seed, retain_graph=True, allow_unused=True)
    plain = grad(y, leaves, seed, create_graph=True, allow_unused=True)
    for a, b in zip(fused, plain, strict=True):
        if a is not None:
            np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("record", "sample"), CASES)
def test_any_memory_layout_gives_the_same(record: Any, sample: Any) -> None:
    values = arrays(sample, "float64")
    y, grads = run(record, values)
    leaves = []
    for v in values:  # the same numbers, transposed in memory and every second one
        wide = np.full([2 * n for n in v.shape[::-1]], np.nan)
        every_second = (..., *[slice(None, None, 2) for _ in v.shape])
        wide[every_second] = v.T
        view = wide[every_second].T
        leaves.append(tg.from_numpy(view).requires_grad_())
    z = record.function(*leaves)
    z.backward(tg.tensor(seeds(z)))
    np.testing.assert_allclose(z.detach().numpy(), y, rtol=1e-13, atol=1e-14)
    for x, g in zip(leaves, grads, strict=True):
        if g is not None:
            np.testing.assert_allclose(x.grad.numpy(), g, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_inputs_are_left_alone_and_runs_repeat_to_the_bit(record: Any) -> None:
    values = arrays(record.samples[0], "float32")
    before = [v.copy() for v in values]
    first, second = run(record, values), run(record, values)
    assert first[0].tobytes() == second[0].tobytes()
    for a, b in zip(first[1], second[1], strict=True):
        assert (a is None and b is None) or a.tobytes() == b.tobytes()
    for v, b in zip(values, before, strict=True):
        np.testing.assert_array_equal(v, b)


def test_every_operation_has_a_record() -> None:
    reached: set[str] = set()
    for record in RECORDS:
        for sample in record.samples:
            stack = [record.function(*tensors(arrays(sample, "float64"))).grad_fn]
            while stack:
                node = stack.pop()
                if hasattr(node, "_edges"):
                    reached.add(node.name())
                    stack += [edge[0] for edge in node._edges if edge is not None]
    operations, todo = set(), [Operation]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if kind.__module__.startswith("tinygrad_edu.ops"):
            operations.add(kind.__name__)
    # Cast is tested with promotion, Dropout with its statistics; some are met as second derivatives only;
    # the last four are base classes.
    second = {"Kinked", "Scatter", "ConvolveWeight", "SpreadMeans", "SumRows"}
    assert operations - reached == {"Cast", "Dropout", *second, "Elementary", "Extreme", "Extremum", "Recurrent"}


def test_record_arguments_are_random_arrays() -> None:
    assert all(is_random(a) for record in RECORDS for sample in record.samples for a in sample)
