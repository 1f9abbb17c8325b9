"""Changes in place: what may be changed, and the history of what was.

A change is written into memory first, and recorded after. If the tensor is a view, it is its base that has changed:
the base comes out of an `Overwritten` node from then on, and every view of it follows (`refresh`).
"""

from __future__ import annotations

from typing import Any

from ..errors import StateError
from .function import Operation, follow, refresh, set_history
from .grad_mode import is_grad_enabled
from .variable import Variable


class Overwritten(Operation):
    """x after v was written into the part of it that `steps` and then `index` select.

    dv = g there, dx = g with zeros there.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, v: Any, steps: Any, index: Any) -> Any:
        ctx.steps, ctx.index = steps, index
        return x  # it has been written

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        needs_x, needs_v, _, _ = ctx.needs_input_grad
        dx = None
        if needs_x:
            dx = g.clone()
            follow(dx, ctx.steps)[ctx.index] = 0
        return dx, follow(g, ctx.steps)[ctx.index] if needs_v else None, None, None


def is_recorded(x: Variable, others: tuple[Any, ...] = ()) -> bool:
    """Whether changing x, with `others` as operands, belongs into the graph; RuntimeError if x cannot be changed so."""
    if not is_grad_enabled():
        return False
    refresh(x)
    if x._requires_grad or (x._view is not None and x._view.base._requires_grad):
        return True
    return any(isinstance(o, Variable) and o._requires_grad for o in others)


def check_change(operation: str, x: Variable) -> None:
    """RuntimeError if x may not be changed by a recorded operation."""
    view = x._view
    if x._requires_grad and x._node is None:
        raise StateError(
            f"{operation}: a leaf that requires grad cannot be changed in place while operations are recorded; "
            f"do it under no_grad(), or compute a new tensor"
        )
    if view is None:
        return
    if view.base._node is None and (view.base._requires_grad or x._requires_grad):
        raise StateError(
            f"{operation}: this is a view of a leaf that requires grad, which cannot be changed in place while "
            f"operations are recorded; do it under no_grad(), or change a copy: x.clone()"
        )
    if view.refusal:
        raise StateError(
            f"{operation}: a view of shape {tuple(x._array.shape)} cannot be changed by a recorded operation: "
            f"{view.refusal}; change the tensor it is a view of (x[i] = …), or compute a new tensor"
        )


def record_change(x: Variable, result: Variable, whole: bool, index: Any = ...) -> None:
    """x[index] has just been overwritten with the value of `result`: go on from there.

    `whole` says that all of x is what `result` is: x then comes from where `result` comes from.
    """
    view = x._view
    if view is None:
        set_history(x, result if whole and result._node is not None else Overwritten.apply(x, result, None, index))
    else:
        set_history(view.base, Overwritten.apply(view.base, result, view.steps, index))
