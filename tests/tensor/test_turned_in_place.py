"""In-place forms of views: the tensor itself gets another shape; history, memory and other views as in PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

import tinygrad_edu as tg


def turned(torch: Any) -> list[Any]:
    """What a few tensors are afterwards, and gradients through them."""
    log: list[Any] = []
    x = torch.arange(6.0).reshape(2, 3)
    row = x[0]
    log += [list(x.t_().shape), x.tolist(), list(x.unsqueeze_(1).shape), list(x.squeeze_(1).shape)]
    x.mul_(2)  # the memory is shared still
    log += [row.tolist(), list(x.transpose_(0, 1).shape), list(torch.zeros(1, 2, 1).squeeze_().shape)]
    log += [list(torch.zeros(2, 1).squeeze_(0).shape), list(torch.zeros(4).unsqueeze_(-1).shape)]

    w = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    y = w * w
    z = y.unsqueeze_(0).transpose_(1, 2)  # (1, 3, 1)
    z *= torch.tensor([1.0, 10.0, 100.0]).unsqueeze_(1)
    log += [z is y, list(y.shape), y.tolist(), y.is_leaf]
    y.sum().backward()
    log += [w.grad.tolist()]

    base = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    copy = base * 1
    part = copy[:, 1].unsqueeze_(0)  # a view of a view, turned, then changed: the whole sees it
    part.mul_(5)
    (copy * copy).sum().backward()
    log += [copy.tolist(), base.grad.tolist()]
    with torch.no_grad():
        base.t_()
    log += [base.requires_grad, base.tolist()]
    return log


def test_tensors_turned_in_place() -> None:
    ours = turned(tg)
    assert ours[:2] == [[3, 2], [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]]
    assert ours == turned(pytest.importorskip("torch"))


def test_a_leaf_that_requires_grad_is_not_turned_while_operations_are_recorded() -> None:
    x = tg.ones(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="t_: a leaf that requires grad"):
        x.t_()
    assert tuple(x.shape) == (2, 3)
