"""Derivatives against central differences: the check that every rule in this library has to pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import StateError
from .engine import arithmetic, grad
from .variable import Variable


class GradcheckError(StateError):
    """A derivative does not agree with the differences; the message names the worst entry."""


def gradcheck(
    function: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
) -> bool:
    """Compare the derivative of `function` with (f(x+eps) − f(x−eps)) / 2 eps, entry by entry.

    `inputs`: a tensor or a tuple; those that require grad must be float64 (float32 has too few digits for a
    difference). Every output is checked against every input. A mismatch beyond atol + rtol·|difference| raises
    `GradcheckError`, or returns False with `raise_exception=False`; so does a second evaluation of the same derivative
    that differs by more than `nondet_tol`.
    """
    args = (inputs,) if isinstance(inputs, Variable) else tuple(inputs)
    try:
        for position, x in enumerate(args):
            if isinstance(x, Variable) and x._requires_grad:
                if str(x._array.dtype) != "float64":
                    raise GradcheckError(f"gradcheck: input {position} is {x._array.dtype}; use float64")
                _check_input(function, args, position, eps, atol, rtol, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    function: Callable[..., Any], inputs: Any, grad_outputs: Any = None, **tolerances: Any
) -> bool:  # fmt: skip
    """`gradcheck` of the first derivative: is the second one right? Also with respect to `grad_outputs`, if given."""
    args = (inputs,) if isinstance(inputs, Variable) else tuple(inputs)
    which = [i for i, x in enumerate(args) if isinstance(x, Variable) and x._requires_grad]

    given = () if grad_outputs is None else tuple(_tuple(grad_outputs))

    def first(*both: Any) -> Any:
        xs = both[: len(args)]
        outputs = [y for y in _tuple(function(*xs)) if y._requires_grad]
        seeds = list(both[len(args) :]) or [_uneven(y) for y in outputs]
        found = grad(outputs, [xs[i] for i in which], seeds, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None and g._requires_grad)

    return gradcheck(first, (*args, *given), **tolerances)


def _uneven(y: Any) -> Any:
    """A fixed gradient for y, different in each entry: with equal ones, derivatives of a softmax would cancel."""
    seed = Variable.wrap(arithmetic().zeros(y._array.shape, y._array.dtype, y._array))
    flat = seed._array.reshape(-1)
    for i in range(flat.size):
        flat[i] = 0.5 + (0.618 * i) % 1
    return seed


def _tuple(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple) else (value,)


def _check_input(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    position: int,
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
) -> None:
    x = args[position]
    if not x._array.flags.c_contiguous:
        raise GradcheckError(f"gradcheck: input {position} is not contiguous; pass x.contiguous()")
    slopes = [_differences(function, args, x._array.reshape(-1), i, eps) for i in range(x._array.size)]
    outputs = _differentiable(function, args)
    for number, y in enumerate(outputs):
        for entry in range(y.numel()):
            seed = Variable.wrap(arithmetic().zeros(y._array.shape, y._array.dtype, y._array))
            seed._array.reshape(-1)[entry] = 1.0
            (analytic,), (again,) = [grad([y], [x], [seed], retain_graph=True, allow_unused=True) for _ in range(2)]
            if analytic is not None and again is not None and not (abs(analytic - again) <= nondet_tol)._array.all():
                raise GradcheckError(f"gradcheck: backward() to input {position} gave two different results")
            for i, slope in enumerate(slopes):
                numeric = float(slope[number][entry])
                found = 0.0 if analytic is None else float(analytic._array.reshape(-1)[i])
                if not abs(found - numeric) <= atol + rtol * abs(numeric):
                    raise GradcheckError(
                        f"gradcheck: d output{number}[{entry}] / d input{position}[{i}] is {found:.9g} by backward(), "
                        f"{numeric:.9g} by differences (flat positions; shapes {tuple(y.shape)}, {tuple(x.shape)})"
                    )


def _differences(function: Callable[..., Any], args: tuple[Any, ...], flat: Any, i: int, eps: float) -> list[Any]:
    """Central differences of all outputs, flat, along one input entry; the input is put back as it was."""
    before = float(flat[i])
    sides = []
    try:
        for shift in (eps, -eps):
            flat[i] = before + shift
            # copies: an output may be a view of the input, which is about to change
            sides.append([arithmetic().copy(y._array).reshape(-1) for y in _differentiable(function, args)])
    finally:
        flat[i] = before
    return [(above - below) / (2 * eps) for above, below in zip(*sides)]  # noqa: B905 - the same function twice


def _differentiable(function: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
    """The outputs that have a gradient, evaluated anew (recorded: a function may differentiate inside)."""
    return [y for y in _tuple(function(*args)) if y._requires_grad]
