"""What programs set and ask at their beginning: default dtype, printing, devices, mixed precision; old constructors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg


@pytest.fixture
def double() -> Iterator[None]:
    """float64 as the default dtype."""
    tg.set_default_dtype(tg.float64)
    yield
    tg.set_default_dtype(tg.float32)


def dtypes(torch: Any) -> list[str]:
    """What is made of Python's floats, of sizes alone, and of integers that become floats."""
    x = torch.arange(3)
    made = [
        torch.tensor([1.0, 2.0]), torch.zeros(2), torch.ones(1, 2), torch.full((2,), 1.5), torch.rand(2),
        torch.randn(2), torch.empty(2), torch.eye(2), torch.linspace(0, 1, 3), torch.arange(0.0, 1.0, 0.5),
        x / 2, x * 1.5, x.exp(),
        torch.ones(2, dtype=torch.float32) * 1.5, torch.nn.Linear(2, 2).weight, torch.tensor(1), torch.Tensor(2, 3),
        torch.tensor([1.0], dtype=torch.float32) + x, torch.nn.LSTM(1, 1).weight_ih_l0, torch.normal(torch.zeros(2)),
        torch.sqrt(torch.tensor(2)), torch.nn.functional.one_hot(x).float(),
        torch.nn.MultiheadAttention(2, 1).in_proj_bias,
    ]  # fmt: skip
    return [str(t.dtype).removeprefix("torch.") for t in made] + [str(torch.get_default_dtype()).removeprefix("torch.")]


def test_the_default_dtype_is_that_of_what_has_none(double: None) -> None:
    torch = pytest.importorskip("torch")
    assert dtypes(tg).count("float64") == 20
    torch.set_default_dtype(torch.float64)
    try:
        assert dtypes(tg) == dtypes(torch)
    finally:
        torch.set_default_dtype(torch.float32)
    with pytest.raises(TypeError, match="only floating-point"):
        tg.set_default_dtype(tg.int64)


def test_the_default_dtype_is_float32_otherwise() -> None:
    assert dtypes(tg) == dtypes(pytest.importorskip("torch"))
    assert dtypes(tg).count("float32") == 23


def test_tensors_are_printed_as_one_wishes() -> None:
    x = tg.tensor([1.23456789, 0.00001])
    try:
        tg.set_printoptions(precision=2, sci_mode=False)
        assert repr(x) == "tensor([1.23, 0.  ])"
        tg.set_printoptions(sci_mode=True)
        assert repr(x) == "tensor([1.23e+00, 1.00e-05])"
        tg.set_printoptions(profile="short")
        assert repr(tg.zeros(2000)) == "tensor([0., 0., ..., 0., 0.])"
        tg.set_printoptions(profile="full")
        assert repr(tg.zeros(2000)).count("0.") == 2000
        with pytest.raises(ValueError, match="profile 'wide' is unknown"):
            tg.set_printoptions(profile="wide")
    finally:
        tg.set_printoptions(profile="default")
    assert repr(x) == "tensor([1.2346e+00, 1.0000e-05])"


def test_old_constructors_take_sizes_or_data() -> None:
    assert [tuple(t.shape) for t in (tg.Tensor(), tg.Tensor(3), tg.Tensor(2, 3), tg.Tensor(2.5), tg.Tensor([1.0]))] == [
        (0,), (3,), (2, 3), (), (1,),
    ]  # fmt: skip
    assert tg.Tensor([1.0], tg.float64, "cpu", True).requires_grad
    old = tg.autograd.Variable(tg.ones(2), requires_grad=True)
    (old * 3).sum().backward()
    assert isinstance(old, tg.Tensor)
    assert old.grad.tolist() == [3.0, 3.0]
    kept = tg.autograd.Variable(x := tg.zeros(2))
    kept.add_(1)
    assert x.tolist() == [1.0, 1.0]
    for make in (tg.zeros, tg.ones, tg.rand, tg.randn, tg.empty):
        assert tuple(make(size=(2, 3)).shape) == tuple(make(2, 3).shape) == (2, 3)


def test_there_is_no_other_device_and_switches_can_be_set() -> None:
    for home in (tg.cuda, tg.backends.mps, tg.accelerator, tg.xpu, tg.backends.cudnn, tg.backends.mkl):
        assert not home.is_available()
    assert tg.accelerator.current_accelerator() is None
    assert tg.cuda.device_count() == tg.accelerator.device_count() == tg.cuda.memory_allocated() == 0
    tg.backends.cudnn.benchmark = True
    tg.backends.cuda.matmul.allow_tf32 = True
    assert tg.backends.cudnn.benchmark
    tg.use_deterministic_algorithms(True, warn_only=True)
    assert tg.are_deterministic_algorithms_enabled()
    tg.set_float32_matmul_precision("medium")
    assert tg.get_float32_matmul_precision() == "medium"
    tg.set_float32_matmul_precision("highest")
    with pytest.raises(ValueError, match="none of"):
        tg.set_float32_matmul_precision("low")
    tg.set_default_device("cpu")
    assert tg.get_default_device() == tg.device("cpu")
    with pytest.raises(RuntimeError, match="cpu"):
        tg.set_default_device("cuda")
    for call in (tg.cuda.get_device_name, lambda: tg.cuda.set_device(0)):
        with pytest.raises(RuntimeError, match="no GPU"):
            call()
    a, b = tg.seed(), tg.seed()
    assert a != b == tg.initial_seed()
    tg.mps.manual_seed(5)
    assert tg.initial_seed() == 5
    assert tg.pi == np.pi
    assert tg.inf == np.inf
    assert np.isnan(tg.nan)


def test_mixed_precision_and_compilation_change_nothing() -> None:
    layer = tg.nn.Linear(3, 2)
    optimizer = tg.optim.SGD(layer.parameters(), lr=0.1)
    scaler = tg.cuda.amp.GradScaler(enabled=True)
    x = tg.randn(4, 3)

    @tg.autocast("cuda", dtype=tg.float16)
    def loss(x: Any) -> Any:
        with tg.autocast(device_type="cpu", enabled=False):
            return layer(x).square().sum()

    assert loss(x).dtype == tg.float32
    before = layer.weight.detach().clone()
    scaler.scale(loss(x)).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    np.testing.assert_allclose(layer.weight.detach().numpy(), (before - 0.1 * layer.weight.grad).numpy(), rtol=1e-6)
    assert scaler.get_scale() == 1
    scaler.load_state_dict(scaler.state_dict())
    with pytest.raises(ValueError, match="device_type is a word"):
        tg.autocast(True)  # type: ignore[arg-type]
    assert tg.jit.script(layer) is layer is tg.jit.trace(layer, x)
    assert not tg.jit.is_scripting()

    @tg.jit.export
    def plain(x: int) -> int:
        return x + 1

    assert plain(1) == 2
