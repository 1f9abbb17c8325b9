"""Tensors on device "cuda": how they get there and back, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn


def test_tensors_are_made_on_the_device() -> None:
    data = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    for x in (tg.tensor(data, device="cuda"), tg.tensor(data).to("cuda"), tg.tensor(data).cuda(),
              tg.tensor(np.array(data, np.float32), device=tg.device("cuda:0"))):  # fmt: skip
        assert x.device == tg.device("cuda:0")
        assert x.is_cuda
        assert x.get_device() == 0
        assert x.cpu().numpy().tolist() == x.tolist() == data
        assert x.to("cuda") is x
        assert x.cpu().device == "cpu"
    assert tg.ones(2, 3, device="cuda").tolist() == [[1.0] * 3] * 2
    assert tg.zeros_like(x).device == tg.empty(2, device="cuda").device == x.new_zeros(2).device == x.device
    tg.manual_seed(3)
    mine = [tg.rand(5, device="cuda"), tg.randn(5, device="cuda")]
    tg.manual_seed(3)
    assert mine[0].tolist() == tg.rand(5).tolist()
    np.testing.assert_allclose(mine[1].tolist(), tg.randn(5).tolist(), rtol=1e-6)
    assert tg.arange(4, device="cuda").tolist() == [0, 1, 2, 3]


def test_numbers_come_back() -> None:
    x = tg.tensor([1.5, 2.5], device="cuda")
    assert x.sum().item() == 4.0
    assert bool((x > 1).all())
    assert repr(x) == "tensor([1.5, 2.5], device='cuda:0')"
    with pytest.raises(TypeError, match=r"x\.cpu"):
        x.numpy()
    with pytest.raises(TypeError, match=r"x\.cpu"):
        np.asarray(x)
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.tolist() == [1.5, 2.5]
        assert twin.device == x.device
        assert twin.data_ptr() != x.data_ptr()


def test_views_share_memory_and_launch_nothing(gpu: Any) -> None:
    x = tg.tensor(np.arange(24.0, dtype=np.float32).reshape(2, 3, 4), device="cuda")
    before = dict(gpu.launches)
    views = [x.reshape(6, 4), x.permute(2, 0, 1), x[0], x[:, 1:, ::2], x.unsqueeze(1), x[..., None].expand(2, 3, 4, 5)]
    assert dict(gpu.launches) == before
    x.mul_(2)
    for view, wanted in zip(views[1:4], [x.cpu().permute(2, 0, 1), x.cpu()[0], x.cpu()[:, 1:, ::2]], strict=True):
        assert view.tolist() == wanted.tolist()
    assert x.permute(2, 0, 1).reshape(4, 6).tolist() == x.cpu().permute(2, 0, 1).reshape(4, 6).tolist()


def test_assignments() -> None:
    x = tg.zeros(2, 3, device="cuda")
    x[0] = 1.0
    x[1, 1:] = tg.tensor([5.0, 6.0])
    x[:, :1] = tg.tensor([[7.0], [8.0]], device="cuda")
    assert x.tolist() == [[7.0, 1.0, 1.0], [8.0, 5.0, 6.0]]
    assert tg.zeros(2, 3).copy_(x).tolist() == x.tolist()
    assert tg.cat([x, x[:1]], 0).tolist() == [*x.tolist(), x[0].tolist()]
    assert tg.stack([x, x], 1).shape == (2, 2, 3)
    assert x.fill_(2).sum().item() == 12


def test_index_arrays_and_masks() -> None:
    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    x, rows, mask = tg.tensor(data, device="cuda"), tg.tensor([2, 0, 2], device="cuda"), data % 3 == 0
    assert x[rows].tolist() == x[[2, 0, 2]].tolist() == data[[2, 0, 2]].tolist()
    assert x[:, tg.tensor([-1, 0])].tolist() == data[:, [-1, 0]].tolist()
    assert x[tg.tensor(mask, device="cuda")].tolist() == x[tg.tensor(mask)].tolist() == data[mask].tolist()
    assert x.nonzero().tolist() == np.argwhere(data).tolist()
    assert x.nonzero().is_cuda
    assert x[rows[1], 1].item() == 1.0  # a number
    x[rows] = tg.tensor([[1.0], [2.0], [3.0]], device="cuda")  # of two for one row the last
    assert x[:, 0].tolist() == [2.0, 4.0, 3.0]
    x[x > 6] = -1.0
    assert x.tolist() == [[2.0] * 4, [4.0, 5.0, 6.0, -1.0], [3.0] * 4]
    w = tg.tensor(data, device="cuda", requires_grad=True)
    ((w[rows] * tg.tensor([[1.0], [10.0], [100.0]], device="cuda")).sum() + w[:, rows].sum()).backward()
    assert w.grad.tolist() == np.add([[10.0], [0.0], [101.0]], [1.0, 0.0, 2.0, 0.0]).tolist()
    y = w * 1
    y[rows[:2]] = 0.0
    (g,) = tg.autograd.grad(y.sum(), w)
    assert g.tolist() == [[0.0] * 4, [1.0] * 4, [0.0] * 4]
    with pytest.raises(RuntimeError, match="the index is on the GPU, the tensor on the CPU"):
        tg.tensor(data)[rows]
    with pytest.raises(IndexError, match="index 3 is out of range"):
        x[tg.tensor([3], device="cuda")].tolist()


def test_gradients_come_back_to_where_leaves_are() -> None:
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    loss = (w.to("cuda") * tg.tensor([3.0, 4.0], device="cuda")).sum()
    loss.backward()
    assert w.grad.device == "cpu"
    assert w.grad.tolist() == [3.0, 4.0]
    x = tg.tensor([1.0, 2.0], device="cuda", requires_grad=True)
    (g,) = tg.autograd.grad((x**3).sum(), x, create_graph=True)
    (h,) = tg.autograd.grad(g.sum(), x)
    assert (g.tolist(), h.tolist()) == ([3.0, 12.0], [6.0, 12.0])
    assert h.is_cuda


def test_modules_move_with_their_state() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x = tg.randn(5, 3)
    wanted = model(x)
    held = list(model.parameters())
    assert model.to("cuda") is model
    assert all(a is b and a.is_cuda for a, b in zip(held, model.parameters(), strict=True))
    np.testing.assert_allclose(model(x.cuda()).tolist(), wanted.tolist(), rtol=1e-5)
    state = {name: value.cpu() * 0 + 1 for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    assert all(p.is_cuda and p.tolist() == (p.cpu() * 0 + 1).tolist() for p in model.parameters())
    assert not any(p.is_cuda for p in model.cpu().parameters())


def test_two_memories_in_one_operation_are_refused() -> None:
    x, y = tg.ones(3, device="cuda"), tg.ones(3)
    with pytest.raises(RuntimeError, match="one tensor is on the GPU and one on the CPU"):
        x + y
    with pytest.raises(RuntimeError, match="one tensor is on the GPU and one on the CPU"):
        nn.Linear(3, 2)(x)
    assert (x + tg.tensor(2.0)).tolist() == [3.0] * 3  # a number is welcome
    with pytest.raises(RuntimeError, match="svd"):
        tg.linalg.svd(tg.ones(2, 2, device="cuda"))
    with pytest.raises(RuntimeError, match='"cuda:1" is not available'):
        tg.ones(2, device="cuda:1")


def test_what_programs_ask() -> None:
    assert tg.cuda.is_available()
    assert tg.cuda.device_count() == 1
    assert tg.cuda.current_device() == 0
    tg.ones(3, device="cuda")
    assert "fill_f32" in tg.kernels.explain()
    tg.cuda.synchronize()
    loss = nn.CrossEntropyLoss()(tg.zeros(2, 3, device="cuda"), tg.tensor([0, 5], device="cuda"))
    with pytest.raises(IndexError, match=r"target\[1\] is 5"):
        tg.cuda.synchronize()
    assert np.isnan(loss.item())
