"""`Function`: differentiable functions of a user's own, with PyTorch's contract."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..errors import StateError
from .function import Operation, needed_gradients, record
from .grad_mode import is_grad_enabled, no_grad
from .variable import Node, Variable, View

OF_A_FUNCTION = "it is the output of a Function of yours, whose backward() would be passed over"


class Function(Operation):
    """A differentiable function of your own; use it as `MyFunction.apply(x, …)`.

    >>> class Square(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 2 * x

    `forward` gets tensors, and is not recorded. Or write `forward(*inputs)` without ctx, and beside it
    `setup_context(ctx, inputs, output)`.
    """

    setup_context: Any = None

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Compute, and record a node if a gradient may be asked for."""
        wanted = needed_gradients(args)
        node = Node(cls, tuple([isinstance(a, Variable) and a._requires_grad for a in args]))
        with no_grad():
            if cls.setup_context is None:
                results = cls.forward(node, *args)
            else:
                results = cls.forward(*args)
                cls.setup_context(node, args, results)
        values = results if isinstance(results, tuple) else (results,)
        for x in node._dirty:
            _check_dirty(cls.__name__, x)
        tensors = tuple([_output(node, args, value) for value in values])
        if wanted is not None:
            record(node, args, [node, *args], values, tensors)
        return tensors if isinstance(results, tuple) else tensors[0]


def _output(node: Node, args: tuple[Any, ...], value: Any) -> Any:
    """The tensor around one result of forward; what is no tensor is handed through."""
    if not isinstance(value, Variable) or any(value is x for x in node._dirty):
        return value
    if value._view is None and not any(a is value for a in args):
        return Variable.wrap(value._array[...])
    tensor = Variable.wrap(value._array[...], value._version)  # an input handed through, or a view of one
    tensor._view = View(value if value._view is None else value._view.base, None, OF_A_FUNCTION)
    return tensor


def _check_dirty(name: str, x: Variable) -> None:
    """StateError if forward may not have changed x, which it has marked as changed."""
    if not is_grad_enabled():
        return
    if x._requires_grad and x._node is None:
        raise StateError(f"{name}: mark_dirty of a leaf that requires grad; change a copy: x.clone()")
    if x._view is not None:
        raise StateError(f"{name}: mark_dirty of a view, whose base would not know; change a copy: x.clone()")


class _OnlyOnce(Operation):
    """The result of a derivative that cannot be differentiated again: itself, until somebody tries."""

    @staticmethod
    def forward(ctx: Any, name: str, g: Any, *grads: Any) -> Any:
        ctx.function = name
        return g[...]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        raise StateError(f"{ctx.function}: its backward is marked @once_differentiable and was differentiated again")


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a Function's `backward` that does not compute by recorded operations: a second derivative raises."""

    @functools.wraps(backward)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            results = backward(ctx, *grads)
        if not is_grad_enabled():
            return results
        several = results if isinstance(results, tuple) else (results,)
        depends = [*grads, *ctx.saved_tensors]
        marked = tuple([None if r is None else _OnlyOnce.apply(ctx._name, r, *depends) for r in several])
        return marked if isinstance(results, tuple) else marked[0]

    return wrapped
