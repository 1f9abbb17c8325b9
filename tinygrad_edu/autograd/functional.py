"""Derivatives of functions: Jacobians, Hessians, and their products with vectors.

A Jacobian is taken a row at a time by the backward pass; J·v comes out of two of them: Jᵀu is linear in u, and its
derivative in the direction v is J·v.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import KindError, ShapeError, StateError
from .engine import arithmetic, grad
from .grad_mode import enable_grad
from .variable import Variable


def tensors(values: Any, what: str) -> tuple[tuple[Any, ...], bool]:
    """One tensor or several as a tuple, and whether there were several."""
    several = isinstance(values, tuple | list)
    result = tuple(values) if several else (values,)
    for value in result:
        if not isinstance(value, Variable):
            raise KindError(f"{what}: expected tensors, got {type(value).__name__}")
    return result, several


def _fresh(inputs: Sequence[Any], create_graph: bool) -> tuple[Any, ...]:
    """Inputs to differentiate with respect to, still in the caller's graph if that is to be differentiated too."""
    return tuple([x[...] if create_graph and x.requires_grad else x.detach().requires_grad_() for x in inputs])


def _zeros(x: Any) -> Any:
    return Variable.wrap(arithmetic().zeros(x._array.shape, x._array.dtype, x._array))


def _ones(x: Any) -> Any:
    return Variable.wrap(arithmetic().ones(x._array))


def gradients(
    outputs: Sequence[Any], inputs: Sequence[Any], seeds: Any, create_graph: bool, strict: bool = False, what: str = ""
) -> tuple[Any, ...]:
    """`grad` that takes outputs without a graph, and gives zeros (an error if `strict`) where nothing depends."""
    live = [i for i, y in enumerate(outputs) if y.requires_grad]
    found: Any = (None,) * len(inputs)
    if live:
        found = grad(
            [outputs[i] for i in live],
            inputs,
            None if seeds is None else [seeds[i] for i in live],
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
    if strict and any(g is None for g in found):
        raise StateError(f"{what}: an output does not depend on an input, and strict=True was asked for")
    return tuple([_zeros(x) if g is None else g for x, g in zip(inputs, found, strict=True)])


def _vectors(v: Any, like: Sequence[Any], what: str) -> tuple[Any, ...]:
    """The vector(s) of a product, one of the shape of each in `like`; None stands for 1 where that is one number."""
    if v is None:
        if any(x.numel() != 1 for x in like):
            raise StateError(f"{what}: v may be left out only where it would be one number")
        return tuple([_ones(x) for x in like])
    vs, _ = tensors(v, what)
    if [tuple(x.shape) for x in vs] != [tuple(x.shape) for x in like]:
        raise ShapeError(f"{what}: v has shapes {[tuple(x.shape) for x in vs]}, not {[tuple(x.shape) for x in like]}")
    return vs


def _given(values: Sequence[Any], several: bool, create_graph: bool) -> Any:
    results = tuple([v if create_graph else v.detach() for v in values])
    return results if several else results[0]


def jacobian_rows(y: Any, inputs: Sequence[Any], create_graph: bool, strict: bool = False) -> tuple[Any, ...]:
    """dy/dx for each input, of shape (*y.shape, *x.shape)."""
    rows: list[list[Any]] = [[] for _ in inputs]
    for i in range(y.numel()):
        seed = _zeros(y)
        seed._array.reshape(-1)[i] = 1
        for row, g in zip(rows, gradients([y], inputs, [seed], create_graph, strict, "jacobian"), strict=True):
            row.append(g)
    shapes = [(*y.shape, *x.shape) for x in inputs]
    return tuple(
        [
            arithmetic().stack(row).reshape(shape)
            if row
            else Variable.wrap(arithmetic().zeros(shape, x._array.dtype, x._array))
            for row, shape, x in zip(rows, shapes, inputs, strict=True)
        ]
    )


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """d func / d inputs: of shape (*output, *input), nested in tuples as the outputs, then the inputs, are.

    Rows are computed one after the other; `vectorize` and `strategy` change nothing.
    """
    with enable_grad():
        given, several = tensors(inputs, "jacobian")
        xs = _fresh(given, create_graph)
        ys, several_outputs = tensors(func(*xs), "jacobian")
        rows = tuple([_given(jacobian_rows(y, xs, create_graph, strict), several, create_graph) for y in ys])
    return rows if several_outputs else rows[0]


def _gradient_of(func: Callable[..., Any], what: str) -> Callable[..., Any]:
    """The gradient, to be differentiated again, of a function that gives one number."""

    def first(*xs: Any) -> Any:
        (y,), _ = tensors(func(*xs), what)
        if y.numel() != 1:
            raise StateError(f"{what}: the function must give one number, it gave shape {tuple(y.shape)}")
        return gradients([y], xs, [_ones(y)], create_graph=True)

    return first


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function that gives one number: of shape (*input, *input), a tuple of tuples."""
    given, several = tensors(inputs, "hessian")
    result = jacobian(_gradient_of(func, "hessian"), given, create_graph, strict)
    return result if several else result[0][0]


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(inputs), vᵀ·J)."""
    with enable_grad():
        given, several = tensors(inputs, "vjp")
        xs = _fresh(given, create_graph)
        ys, several_outputs = tensors(func(*xs), "vjp")
        products = gradients(ys, xs, _vectors(v, ys, "vjp"), create_graph, strict, "vjp")
        return _given(ys, several_outputs, create_graph), _given(products, several, create_graph)


def directional(ys: Sequence[Any], xs: Sequence[Any], vs: Sequence[Any], create_graph: bool) -> tuple[Any, ...]:
    """J·v: the derivative of uᵀ·J, which is linear in u, in the direction v."""
    us = [_zeros(y).requires_grad_() for y in ys]
    return gradients(gradients(ys, xs, us, create_graph=True), us, vs, create_graph)


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(inputs), J·v)."""
    with enable_grad():
        given, _ = tensors(inputs, "jvp")
        xs = _fresh(given, create_graph)
        ys, several_outputs = tensors(func(*xs), "jvp")
        if strict:
            gradients(ys, xs, [_ones(y) for y in ys], create_graph, strict, "jvp")
        products = directional(ys, xs, _vectors(v, xs, "jvp"), create_graph)
        return _given(ys, several_outputs, create_graph), _given(products, several_outputs, create_graph)


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(inputs), vᵀ·H) of a function that gives one number."""
    with enable_grad():
        given, several = tensors(inputs, "vhp")
        xs = _fresh(given, create_graph)
        y = func(*xs)
        first = _gradient_of(lambda *_: y, "vhp")(*xs)
        products = gradients(first, xs, _vectors(v, xs, "vhp"), create_graph, strict, "vhp")
        return _given([y], False, create_graph), _given(products, several, create_graph)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(inputs), H·v) of a function that gives one number: H is symmetric, so it is vᵀ·H."""
    return vhp(func, inputs, v, create_graph, strict)
