"""`Operation.apply`: run a forward pass and append one node to the graph.

`Operation` is what the library's own operations derive from: their `forward` gets arrays. `Function` is the same for
users, with PyTorch's contract: its `forward` gets tensors. Both have

    forward(ctx, *inputs)          compute; `ctx.save_for_backward(...)` what the derivative needs
    backward(ctx, *grads)          the mathematics, on tensors, so that it can be differentiated again
    fused_backward(ctx, *grads)    optional: the same on arrays, taken when no graph of the backward pass is wanted

A fused_backward returns new arrays, or the very gradient it was given; never one that somebody else holds.
"""

from __future__ import annotations

from typing import Any

from .grad_mode import is_grad_enabled, no_grad
from .variable import Node, Saved, Variable


class Operation:
    """One differentiable operation on arrays: a formula and its derivative."""

    takes_tensors = False
    fused_backward: Any = None

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """The value, from arrays and constants."""
        raise NotImplementedError("a Function needs a static method forward(ctx, *inputs)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """The gradient of each argument (None for constants), on tensors."""
        raise NotImplementedError("a Function needs a static method backward(ctx, *grads) to be differentiated")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Compute, and record a node if a gradient may be asked for."""
        record = False
        arrays, needs = [], []
        for a in args:
            if isinstance(a, Variable):
                if a._rebases != a._version.rebases:
                    raise stale_view(cls.__name__, a)
                arrays.append(a._array)
                needs.append(a._requires_grad)
                record = record or a._requires_grad
            else:
                arrays.append(a)
                needs.append(False)
        record = record and is_grad_enabled()

        node = Node(cls, tuple(needs))
        if cls.takes_tensors:
            with no_grad():
                results = cls.forward(node, *args)
            inputs: Any = args
        else:
            results = cls.forward(node, *arrays)
            inputs = arrays
        several = isinstance(results, tuple)
        values = results if several else (results,)
        tensors = tuple([_output(cls, node, args, value) for value in values])
        if record:
            _record(node, args, inputs, values, tensors)
        return tensors if several else tensors[0]


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
    """

    takes_tensors = True


def _output(cls: Any, node: Node, args: tuple[Any, ...], value: Any) -> Any:
    """The tensor around one result of forward: sharing the version counter of its input if it is a view of it."""
    if cls.takes_tensors:
        if not isinstance(value, Variable):
            raise TypeError(f"{cls.__name__}.forward returned {type(value).__name__}: it must return tensors")
        for a in args:
            if a is value:  # an input handed through: a tensor of its own on the same memory
                return Variable.wrap(value._array[...], value._version)
        return Variable.wrap(value._array[...], value._version if value._view else None)
    return Variable.wrap(value, args[0]._version if node.view else None)


def _record(node: Node, args: tuple[Any, ...], inputs: Any, values: Any, tensors: tuple[Any, ...]) -> None:
    """Append `node` to the graph: its edges, its outputs, and its saved values with their versions."""
    for a, needed in zip(args, node.needs_input_grad):  # noqa: B905 - equal by construction; this is the hot path
        if not needed:
            node.edges.append(None)
        elif a._node is not None:
            node.edges.append((a._node, a._index))
        else:
            node.edges.append((a, 0))
    for i, (value, tensor) in enumerate(zip(values, tensors)):  # noqa: B905
        node.outputs.append((tensor._array.shape, tensor._array.dtype))
        if not any(value is x for x in node.non_differentiable):
            tensor._node, tensor._index, tensor._requires_grad = node, i, True
    if node.saved:
        node.saved = [_saved(value, args, inputs, values, tensors) for value in node.saved]


def _saved(value: Any, args: tuple[Any, ...], inputs: Any, values: Any, tensors: tuple[Any, ...]) -> Saved:
    """Recognise a saved value by identity: an input is kept as its tensor, an output without its node (no cycle)."""
    for x, a in zip(inputs, args):  # noqa: B905
        if x is value and isinstance(a, Variable):
            return Saved(a, a._version, -1)
    for i, y in enumerate(values):
        if y is value:
            return Saved(tensors[i]._array, tensors[i]._version, i)
    if isinstance(value, Variable):
        return Saved(value, value._version, -1)
    return Saved(value, None, -1)


def stale_view(operation: str, a: Variable) -> RuntimeError:
    """The error for a view whose memory got a new history behind its back."""
    return RuntimeError(
        f"{operation}: a view of shape {tuple(a._array.shape)} was made before its memory was changed in place by a "
        f"recorded operation; make the view again after the change, or change a copy (y = x + … in place of x += …)"
    )
