"""The quick checks: a "yes" only where the careful ones, which explain themselves, find nothing either."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import KindError
from tinygrad_edu.kernels import K
from tinygrad_edu.ops import linalg

compiled = pytest.mark.skipif(not hasattr(K, "alike"), reason="only the compiled kernels check quickly")
DTYPES = [np.float32, np.float64, np.float16, np.int64, np.dtype(">f4"), np.bool_]
SHAPES: list[tuple[int, ...]] = [(), (3,), (4,), (3, 4), (4, 3), (2, 3, 4), (0, 4), (4, 4)]


def arrays() -> list[Any]:
    return [np.zeros(shape, dtype) for shape in SHAPES for dtype in DTYPES]


@compiled
def test_alike() -> None:
    for a, b in itertools.product(arrays(), arrays()):
        same = a.shape == b.shape and a.dtype == b.dtype
        assert K.alike(a, b) == (same and a.dtype.type in (np.float32, np.float64))


@compiled
def test_same_shape() -> None:
    for a, b in itertools.product(arrays(), arrays()):
        assert K.same_shape(a, b) == (a.shape == b.shape)
        assert K.same_shape(a, b.shape) == (a.shape == b.shape)
    x = np.zeros((2, 3))
    for other in (None, 2, [2, 3], (2.0, 3), (2, 1 << 80), (2, None)):
        assert not K.same_shape(x, other)
        assert not K.same_shape(other, x)


@compiled
def test_linear_fits() -> None:
    seen = set()
    for x, w in itertools.product(arrays(), arrays()):
        for b in (None, *arrays()[:24]):
            said = K.linear_fits(x, w, b)
            seen.add(said)
            try:
                linalg._check_carefully(x, w, b)
            except (ValueError, TypeError):
                assert not said
            else:
                assert said == (x.dtype.type is not np.float16)
    assert seen == {True, False}


@compiled
def test_of_one_dtype() -> None:
    single, double = np.zeros(2, np.float32), np.zeros((3, 1))
    assert K.of_one_dtype([single, single[:1]], [single])
    assert K.of_one_dtype([double], [])
    assert not K.of_one_dtype([], [])
    assert not K.of_one_dtype([single, double], [single, single])
    assert not K.of_one_dtype([single], [double])
    assert not K.of_one_dtype([single], [single.tolist()])


@compiled
def test_what_is_no_array_is_left_to_the_careful_ones() -> None:
    x = np.zeros((2, 2), np.float32)
    for other in (None, 1.0, "x", [[1.0]], np.float32(1)):
        assert not K.alike(x, other)
        assert not K.alike(other, x)
        assert not K.linear_fits(other, x, None)
        assert not K.linear_fits(x, other, None)
        assert other is None or not K.linear_fits(x, x, other)


@compiled
@pytest.mark.parametrize("check", ["alike", "linear_fits", "of_one_dtype", "same_shape"])
def test_wrong_arguments_are_refused(check: str) -> None:
    x = np.zeros(2, np.float32)
    for arguments in ((), (x,), (x, x, x, x), (x, 1)):
        if check in ("alike", "same_shape") and len(arguments) == 2:
            continue
        with pytest.raises(TypeError, match="expected"):
            getattr(K, check)(*arguments)


def test_optimizer_step_with_several_dtypes() -> None:
    p, q = tg.ones(2, requires_grad=True), tg.ones(3, dtype=tg.float64, requires_grad=True)
    optimizer = tg.optim.SGD([p, q], lr=0.5)
    (p.sum() + q.sum()).backward()
    optimizer.step()
    assert p.tolist() == [0.5] * 2
    assert q.tolist() == [0.5] * 3


def test_mse_of_unlike_dtypes() -> None:
    x, y = tg.ones(3), tg.zeros(3, dtype=tg.float64)
    assert tg.nn.functional.mse_loss(x, y).dtype == tg.float64
    assert tg.nn.functional.mse_loss(x, tg.zeros(3, dtype=tg.int64)).item() == 1


def test_linear_of_unlike_dtypes() -> None:
    with pytest.raises(KindError, match="must be one float dtype"):
        tg.nn.functional.linear(tg.ones(2, 3), tg.ones(4, 3, dtype=tg.float64))


def test_linear_of_what_is_no_tensor() -> None:
    x, w = tg.ones(2, 3), tg.ones(4, 3)
    for arguments in ((x.numpy(), w), (x, None), (x, w, 3.0), (None, w, None)):
        with pytest.raises(KindError, match="they must be tensors, or None for no bias"):
            tg.nn.functional.linear(*arguments)  # type: ignore[arg-type]


HOOK_KINDS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@compiled
@pytest.mark.parametrize("kind", HOOK_KINDS)
def test_is_plain(kind: str) -> None:
    layer = tg.nn.Linear(2, 2)
    assert K.is_plain(layer)
    hooks = getattr(layer, kind)
    hooks[0] = "a hook"
    assert not K.is_plain(layer)
    hooks.clear()
    assert K.is_plain(layer)
    layer.__dict__[kind] = None  # what it means is for others to find out
    assert not K.is_plain(layer)
    del layer.__dict__[kind]
    assert not K.is_plain(layer)
    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\)"):
        layer(tg.ones(1, 2))
    layer = tg.nn.Linear(2, 2)
    layer.forward = lambda x: x  # type: ignore[method-assign]
    assert not K.is_plain(layer)


@compiled
def test_weight_and_bias() -> None:
    layer = tg.nn.Linear(2, 3)
    weight, bias = K.weight_and_bias(layer)
    assert weight is layer.weight
    assert bias is layer.bias
    assert K.weight_and_bias(tg.nn.Linear(2, 3, bias=False))[1] is None
    del layer._parameters["bias"]
    assert K.weight_and_bias(layer) is None
    layer.bias = tg.ones(3)  # an attribute as any other: it is found, only not so quickly
    assert layer._weight_and_bias()[1] is layer.bias
    assert layer(tg.zeros(1, 2)).tolist() == [[1.0] * 3]
    assert K.weight_and_bias(tg.nn.ReLU()) is None
    for check in (K.weight_and_bias, K.is_plain):
        with pytest.raises(AttributeError):
            check(3)
