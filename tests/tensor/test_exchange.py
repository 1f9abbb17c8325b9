"""Tensors to and from NumPy, DLPack, pickle and copy: memory is shared where it should be, and errors where not."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim

DTYPES = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]
WAYS = pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3), (0, 3), ()])
def test_dlpack_shares_memory_both_ways(dtype: str, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    ours = tg.ones(*shape).to(getattr(tg, dtype))
    theirs = torch.from_dlpack(ours)
    back = tg.from_dlpack(theirs)
    assert str(theirs.dtype) == f"torch.{dtype}"
    assert (back.shape, back.dtype) == (ours.shape, ours.dtype)
    array = np.from_dlpack(ours)
    theirs.zero_()
    for other in (ours.numpy(), array, back.numpy()):
        assert not other.any()
    if ours.numel():
        assert ours.data_ptr() == theirs.data_ptr() == array.ctypes.data == back.data_ptr()


def test_dlpack_keeps_strides_and_refuses_what_it_cannot_do() -> None:
    torch = pytest.importorskip("torch")
    view = tg.arange(12).reshape(3, 4).T[1:, ::2]
    assert torch.from_dlpack(view).stride() == view.stride()
    assert torch.from_dlpack(view).tolist() == view.tolist()
    assert tg.from_dlpack(torch.arange(6).reshape(2, 3).T).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert view.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="requires grad"):
        torch.from_dlpack(tg.ones(2, requires_grad=True))
    with pytest.raises(TypeError, match="from_dlpack"):
        tg.from_dlpack(torch.ones(2).bfloat16())
    with pytest.raises(TypeError, match="int has no __dlpack__"):
        tg.from_dlpack(3)


def test_numpy_and_back() -> None:
    x, a = tg.arange(3), np.arange(3.0)
    assert np.shares_memory(x.numpy(), np.asarray(x))
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    assert not np.shares_memory(np.array(x), x.numpy())
    assert tg.from_numpy(a).data_ptr() == a.ctypes.data
    with pytest.raises(ValueError, match="copy"):
        np.array(x, dtype=np.float32, copy=False)
    leaf = tg.ones(2, requires_grad=True)
    for attempt in (leaf.numpy, lambda: np.asarray(leaf)):
        with pytest.raises(RuntimeError, match="requires grad"):
            attempt()
    assert leaf.numpy(force=True).tolist() == [1, 1]


@WAYS
def test_layouts_and_shared_memory_survive(twin: Any) -> None:
    base = tg.arange(24).float().reshape(4, 6)
    views = [base, base[1], base.T, base.flip(0), base[1:3, ::2], base.reshape(-1), tg.ones(1, 3).expand(2, 3)]
    new = twin(views)
    for a, b in zip(views, new, strict=True):
        assert (a.shape, a.dtype, a.tolist()) == (b.shape, b.dtype, b.tolist())
        assert not np.shares_memory(a.numpy(), b.numpy())
    new[0][1, 2] = -7.0
    assert new[1][2].item() == new[2][2, 1].item() == new[4][0, 1].item() == new[5][8].item() == -7.0
    assert base[1, 2].item() == 8.0
    for empty in (
        tg.ones(0, 3),
        tg.tensor(2.5),
        tg.from_numpy(np.asfortranarray(np.ones((2, 3)))),
        tg.from_numpy(np.arange(6)[::-2]),
    ):
        assert twin(empty).tolist() == empty.tolist()
        assert twin(empty).dtype == empty.dtype


@WAYS
def test_models_keep_their_ties_and_optimisers_their_parameters(twin: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    optimiser = optim.Adam(model.parameters(), lr=0.1)
    model(tg.ones(2, 3)).sum().backward()
    optimiser.step()
    new_model, new_optimiser = twin((model, optimiser))
    assert new_model[1].weight is new_model[0].weight
    assert isinstance(new_model[0].weight, nn.Parameter)
    assert new_optimiser.param_groups[0]["params"][0] is new_model[0].weight
    for m, o in ((model, optimiser), (new_model, new_optimiser)):
        m.zero_grad()
        m(tg.ones(2, 3)).sum().backward()
        o.step()
    for a, b in zip(model.parameters(), new_model.parameters(), strict=True):
        assert a.tolist() == b.tolist()
        assert not np.shares_memory(a.numpy(force=True), b.numpy(force=True))


def test_gradients_go_with_deepcopy_and_a_shallow_copy_shares_memory() -> None:
    p = nn.Parameter(tg.ones(2))
    p.grad = tg.ones(2)
    twin = copy.deepcopy(p)
    assert twin.grad.tolist() == [1, 1]
    assert twin.grad is not p.grad
    shallow = copy.copy(p)
    assert shallow is not p
    assert shallow.data_ptr() == p.data_ptr()
    assert shallow.requires_grad
    computed = p * 2
    for attempt in (copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError, match="only leaves"):
            attempt(computed)


def test_copies_of_views_notice_each_others_changes() -> None:
    a = tg.ones(4, requires_grad=False)
    b = a.detach()
    c, d = copy.deepcopy([a, b])
    w = tg.ones(4, requires_grad=True)
    loss = (w * c).sum()
    d.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_a_matrix_is_shared_as_an_array() -> None:
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)  # its * is a product of matrices
    for x in (tg.from_numpy(matrix), tg.as_tensor(matrix)):
        assert type(x.numpy()) is np.ndarray
        assert (x * x).tolist() == [[1.0, 4.0], [9.0, 16.0]]
        x[0, 0] = 5.0
        assert matrix[0, 0] == 5.0
        matrix[0, 0] = 1.0
