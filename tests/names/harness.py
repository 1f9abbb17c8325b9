"""Calls of names in both libraries: values, dtypes, gradients, second gradients, and which calls are refused.

A `Call` holds the name and its arguments; an argument made by `X` stands for a tensor that is drawn anew for each
dtype. The same call is made in PyTorch and here, and everything that comes back is compared.
"""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinygrad_edu as tg

FLOATS, INTEGERS = ("float64", "float32"), ("int64", "int32", "uint8")
ALL = (*FLOATS, *INTEGERS, "bool")
NO_DERIVATIVE = ("not implemented", "not differentiable", "does not require grad")  # PyTorch has no such derivative
NO_KERNEL = ("not implemented for", "no longer supported", "not supported", "does not support")  # PyTorch lacks a dtype
TOLERANCE = {"float64": 1e-9, "float32": 2e-5}


@dataclass
class X:
    """A tensor argument. Without shapes, it takes those of the call; `kind` says what its floats are like.

    normal, positive, unit (inside (−1, 1)), away (from 0 and from halves), spd (symmetric positive definite), distinct
    (no ties), or, whatever the call's dtype: index:n (int64 in [0, n)), mask (bool), float (never another dtype).
    """

    shape: tuple[int, ...] | None = None
    kind: str = "normal"
    grad: bool = True

    def draw(self, shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        shape = shape if self.shape is None else self.shape
        if self.kind.startswith("index:"):
            return np.asarray(random.integers(0, int(self.kind[6:]), shape), np.int64)
        if self.kind.startswith("sorted"):
            return np.sort(np.asarray(random.standard_normal(shape)).astype(dtype), -1)
        if self.kind == "sign":
            return np.where(random.random(shape) < 0.5, -1.0, 1.0).astype(dtype)
        if self.kind == "mask":
            return np.asarray(random.random(shape) < 0.5)
        if self.kind == "distinct":
            values = (random.permutation(int(np.prod(shape))).reshape(shape) - np.prod(shape) // 2) * 0.25
            return np.asarray(values if dtype in FLOATS else values * 4).astype(dtype)
        if self.kind == "float":
            dtype = dtype if dtype in FLOATS else "float64"
        if dtype in INTEGERS:
            low, high = (1, 6) if self.kind in ("positive", "away") or dtype == "uint8" else (-4, 5)
            return np.asarray(random.integers(low, high, shape)).astype(dtype)
        if dtype == "bool":
            return np.asarray(random.random(shape) < 0.5)
        values = random.standard_normal(shape)
        if self.kind == "positive":
            values = np.abs(values) + 0.3
        elif self.kind == "unit":
            values = np.tanh(values) * 0.9
        elif self.kind == "probability":
            values = 0.05 + 0.9 / (1 + np.exp(values))
        elif self.kind == "away":
            values = np.trunc(values * 3) + np.where(values >= 0, 0.3, -0.3)
        elif self.kind == "spd":
            values = values @ np.swapaxes(values, -1, -2) + 2 * np.eye(shape[-1])
        elif self.kind == "solid":
            values = values + 3 * np.eye(shape[-1])
        return np.asarray(values, dtype)


@dataclass
class Call:
    """One way to call a name, and what is special about it."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = ((),)
    dtypes: tuple[str, ...] = ALL
    method: bool = True
    grad: bool = True
    second: bool = True
    keywords: bool = True
    layout: bool = True
    pick: Callable[[Any], Any] | None = None  # of the result, what is compared
    prepare: Callable[[Any, Any], Any] | None = None  # of (module, a drawn tensor), what is passed


ELEMENTWISE = ((2, 3), (), (0, 3), (4, 1, 2))


def resolve(module: Any, name: str) -> Any:
    """The function `name` of a module; F means nn.functional, getattr Python's own."""
    if name == "getattr":
        return getattr
    for part in (name.replace("F.", "nn.functional.") if name != "F" else "nn.functional").split("."):
        module = getattr(module, part)
    return module


def leaves_of(value: Any) -> Iterator[X]:
    if isinstance(value, X):
        yield value
    elif isinstance(value, list | tuple):
        for v in value:
            yield from leaves_of(v)


def filled(value: Any, tensors: Iterator[Any]) -> Any:
    """`value` with every `X` in it replaced by the next tensor."""
    if isinstance(value, X):
        return next(tensors)
    if isinstance(value, list | tuple):
        return type(value)([filled(v, tensors) for v in value])
    return value


def dtype_in(module: Any, value: Any) -> Any:
    """Words that stand for dtypes become the module's."""
    return getattr(module, value[6:]) if isinstance(value, str) and value.startswith("dtype:") else value


def arrays(call: Call, shape: tuple[int, ...], dtype: str) -> list[np.ndarray]:
    slots = [*leaves_of(call.args), *leaves_of(tuple(call.kwargs.values()))]
    return [x.draw(shape, dtype, 7 + i) for i, x in enumerate(slots)]


def spread(array: np.ndarray) -> np.ndarray:
    """The same numbers, every second one of a transposed memory."""
    wide = np.zeros([2 * n for n in array.shape[::-1]], array.dtype)
    every = (..., *[slice(None, None, 2) for _ in array.shape])
    wide[every] = array.T
    return wide[every].T


@dataclass
class Outcome:
    """What a call gave: flat results and gradients as arrays, or the error."""

    results: list[Any]
    gradients: list[Any] | None
    second: list[Any] | None
    error: Exception | None = None


def flat(result: Any) -> list[Any]:
    if isinstance(result, tuple) and all(isinstance(n, int) for n in result):
        return [tuple(result)]
    if isinstance(result, list | tuple):
        return list(itertools.chain.from_iterable(flat(r) for r in result))
    return [result]


def to_numpy(value: Any) -> Any:
    if hasattr(value, "detach"):
        return np.array(value.detach().numpy(force=True))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return tuple(value) if isinstance(value, list | tuple) else str(value).removeprefix("torch.")


def run(module: Any, call: Call, values: list[np.ndarray], how: str = "function", grad: bool = True) -> Outcome:
    """The call in one library; `how` is function, method, in place, or keyword."""
    if module is tg:
        return _run(module, call, values, how, grad)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch is about to give up
        return _run(module, call, values, how, grad)


def _run(module: Any, call: Call, values: list[np.ndarray], how: str, grad: bool) -> Outcome:
    make = tg.from_numpy if module is tg else module.from_numpy
    slots = [*leaves_of(call.args), *leaves_of(tuple(call.kwargs.values()))]
    tensors = [make(v) for v in values]
    tensors = [t.requires_grad_() if grad and x.grad and t.is_floating_point() else t
               for t, x in zip(tensors, slots, strict=True)]  # fmt: skip
    try:
        given = iter([call.prepare(module, t) if call.prepare else t for t in tensors])
        args = [filled(dtype_in(module, a), given) for a in call.args]
        kwargs = {k: filled(dtype_in(module, v), given) for k, v in call.kwargs.items()}
        last = call.name.rpartition(".")[2]
        if how == "function":
            result = resolve(module, call.name)(*args, **kwargs)
        elif how == "method":
            result = getattr(args[0], last)(*args[1:], **kwargs)
        elif how == "in place":
            start = args[0].clone() if grad else args[0]
            result = getattr(start, last + "_")(*args[1:], **kwargs)
            assert result is start
        else:
            names = list(inspect.signature(resolve(tg, call.name)).parameters)[: len(args)]
            result = resolve(module, call.name)(**dict(zip(names, args, strict=True)), **kwargs)
        result = call.pick(result) if call.pick else result
    except Exception as error:
        return Outcome([], [], [], error)
    results = flat(result)
    outcome = Outcome([to_numpy(r) for r in results], [], [])
    if not grad:
        return outcome
    with_graph = [r for r in results if hasattr(r, "requires_grad") and r.requires_grad]
    inputs = [t for t in tensors if t.requires_grad]
    if not with_graph or not inputs:
        return outcome
    weighted = [(r * make(_weights(r))).sum() for r in with_graph]
    autograd = module.autograd
    try:
        first = autograd.grad(sum(weighted[1:], weighted[0]), inputs, create_graph=call.second, allow_unused=True)
    except RuntimeError as error:
        if module is tg or not any(words in str(error) for words in NO_DERIVATIVE):
            raise
        outcome.gradients = outcome.second = None
        return outcome
    outcome.gradients = [to_numpy(g) for g in first]
    squares = [(g * g * 0.5 + g).sum() for g in first if g is not None and g.requires_grad]
    if call.second and squares:
        try:
            second = autograd.grad(sum(squares[1:], squares[0]), inputs, allow_unused=True)
        except RuntimeError as error:
            if module is tg or not any(words in str(error) for words in NO_DERIVATIVE):
                raise
            outcome.second = None
            return outcome
        outcome.second = [to_numpy(g) for g in second]
    return outcome


def _weights(result: Any) -> np.ndarray:
    shape = tuple(result.shape)
    dtype = str(result.dtype).removeprefix("torch.")
    return np.asarray(np.random.default_rng(99).standard_normal(shape) + 0.1, dtype)


def same(mine: Any, theirs: Any, tolerance: float) -> None:
    if isinstance(theirs, np.ndarray):
        assert isinstance(mine, np.ndarray), f"{type(mine).__name__}, not a tensor"
        assert mine.dtype == theirs.dtype, f"dtype {mine.dtype}, PyTorch {theirs.dtype}"
        assert mine.shape == theirs.shape, f"shape {mine.shape}, PyTorch {theirs.shape}"
        if theirs.dtype.kind == "f":
            finite = np.abs(theirs[np.isfinite(theirs)])
            np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance * max(1, finite.max(initial=0)))
        else:
            np.testing.assert_array_equal(mine, theirs)
    elif isinstance(theirs, float):
        assert mine == theirs or abs(mine - theirs) < tolerance
    else:
        assert mine == theirs


def compare(mine: Outcome, theirs: Outcome, dtype: str) -> None:
    """AssertionError unless both outcomes are the same."""
    if theirs.error is not None:
        if any(words in str(theirs.error) for words in NO_KERNEL):
            return
        if mine.error is not None and not isinstance(mine.error, tg.TinygradError | ZeroDivisionError):
            raise AssertionError(f"refused by chance: {type(mine.error).__name__}: {mine.error}") from mine.error
        assert mine.error is not None, f"PyTorch refuses: {str(theirs.error).splitlines()[0]}; we gave {mine.results}"
        return
    if mine.error is not None:
        raise AssertionError(f"refused: {type(mine.error).__name__}: {mine.error}") from mine.error
    tolerance = TOLERANCE.get(dtype, 1e-5)
    assert len(mine.results) == len(theirs.results), "number of results"
    for a, b in zip(mine.results, theirs.results, strict=True):
        same(a, b, tolerance)
    if dtype != "float64":
        return
    for ours, other in ((mine.gradients, theirs.gradients), (mine.second, theirs.second)):
        if other is None:  # PyTorch has no such derivative
            continue
        for i in range(max(len(ours), len(other))):
            a = ours[i] if i < len(ours) else None
            b = other[i] if i < len(other) else None
            a, b = (np.zeros(1) if v is None else v for v in (a, b))
            np.testing.assert_allclose(*np.broadcast_arrays(a, b), rtol=1e-7, atol=1e-8)
