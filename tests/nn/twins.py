"""A module here and its twin in PyTorch: the same weights, results, gradients, printing and state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn

TOLERANCES = {"float32": 2e-5, "float64": 1e-11}


def leaves(value: Any) -> Iterator[Any]:
    """The tensors in nested tuples, lists and packed sequences, in order; None is left out."""
    if isinstance(value, tuple | list):
        for part in value:
            yield from leaves(part)
    elif value is not None:
        yield value


def share_weights(ours: Any, theirs: Any) -> None:
    """Give ours PyTorch's weights through state_dict, and hand them back: names, shapes and values must fit."""
    state = {name: tg.tensor(value.numpy()) for name, value in theirs.state_dict().items()}
    assert ours.load_state_dict(state) == ([], [])
    assert list(ours.state_dict()) == list(theirs.state_dict())
    import torch

    back = theirs.state_dict()  # with the version numbers that PyTorch keeps beside the values
    back.update({name: torch.tensor(value.numpy()) for name, value in ours.state_dict().items()})
    theirs.load_state_dict(back)


def call(module: Any, wrap: Callable[[Any], Any], inputs: Any, options: dict[str, Any]) -> tuple[Any, list[Any]]:
    """The module's results for arrays (nested), and the input tensors that may have a gradient."""
    found: list[Any] = []

    def made(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(made(v) for v in value)
        if not isinstance(value, np.ndarray):
            return value
        tensor = wrap(value)
        if value.dtype.kind == "f":
            found.append(tensor.requires_grad_())
        return tensor

    arguments = made(tuple(inputs))
    named = {k: wrap(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    return module(*arguments, **named), found


def same(ours: Any, theirs: Any, *inputs: Any, dtype: str = "float64", tolerance: float | None = None,
         training: bool = True, **options: Any) -> Any:  # fmt: skip
    """Equal results for equal inputs and weights, and equal gradients of every input and parameter."""
    import torch

    limit = TOLERANCES[dtype] if tolerance is None else tolerance
    ours, theirs = ours.to(dtype), theirs.to(getattr(torch, dtype))
    share_weights(ours, theirs)
    for module in (ours, theirs):
        module.train(training)
        module.zero_grad()

    def cast(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(cast(v) for v in value)
        floating = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        return value.astype(dtype) if floating else value

    inputs, options = cast(inputs), {k: cast(v) for k, v in options.items()}
    mine, x = call(ours, tg.tensor, inputs, options)
    other, y = call(theirs, torch.tensor, inputs, options)
    results = list(zip(leaves(mine), leaves(other), strict=True))
    weights = np.random.default_rng(7)
    total, total_other = 0, 0
    for a, b in results:
        assert tuple(a.shape) == tuple(b.shape)
        assert str(a.dtype).removeprefix("torch.") == str(b.dtype).removeprefix("torch.")
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=limit, atol=limit)
        if b.requires_grad:
            w = weights.standard_normal(tuple(b.shape)).astype(dtype)
            total, total_other = total + (a * tg.tensor(w)).sum(), total_other + (b * torch.tensor(w)).sum()
    total.backward()
    total_other.backward()
    pairs = [(f"input {i}", a.grad, b.grad) for i, (a, b) in enumerate(zip(x, y, strict=True))]
    named = dict(theirs.named_parameters())
    assert [name for name, _ in ours.named_parameters()] == list(named)
    pairs += [(name, p.grad, named[name].grad) for name, p in ours.named_parameters()]
    for name, a, b in pairs:
        assert (a is None) == (b is None), name
        if b is not None:
            scale = max(float(b.abs().max()) if b.numel() else 0.0, 1.0)
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=20 * limit, atol=10 * limit * scale, err_msg=name)
    return mine


def built(name: str, *arguments: Any, **options: Any) -> tuple[Any, Any]:
    """The module of that name here and in PyTorch, from equal arguments."""
    import torch

    torch.manual_seed(0)
    return getattr(nn, name)(*arguments, **options), getattr(torch.nn, name)(*arguments, **options)
