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

from ..errors import StateError
from . import anomaly
from .grad_mode import enable_grad, is_grad_enabled
from .variable import Node, Saved, Variable, View

NOT_RECORDED = "it was made under no_grad()"


class Operation:
    """One differentiable operation on arrays: a formula and its derivative."""

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
        needs = needed_gradients(args)
        arrays = [a._array if isinstance(a, Variable) else a for a in args]
        node = Node(cls, (False,) * len(args) if needs is None else needs)
        results = cls.forward(node, *arrays)
        if isinstance(results, tuple):
            tensors = tuple([_output(cls, node, args, value) for value in results])
            if needs is not None:
                record(node, args, arrays, results, tensors)
            return tensors
        tensor = _output(cls, node, args, results)
        if needs is not None:
            record(node, args, arrays, (results,), (tensor,))
        return tensor


def needed_gradients(args: tuple[Any, ...]) -> tuple[bool, ...] | None:
    """Which arguments want a gradient; None if no graph is to be made. Views get the history that they have by now."""
    if not is_grad_enabled():
        return None
    needs, wanted = [], False
    for a in args:
        if isinstance(a, Variable):
            if a._view is not None:
                refresh(a)
            needs.append(a._requires_grad)
            wanted = wanted or a._requires_grad
        else:
            needs.append(False)
    return tuple(needs) if wanted else None


def _output(cls: Any, node: Node, args: tuple[Any, ...], value: Any) -> Any:
    """The tensor around one result of forward; a view shares its input's version counter, and knows its base."""
    if not node.view:
        return Variable.wrap(value)
    whole = args[0]
    tensor = Variable.wrap(value, whole._version)
    refusal = "" if is_grad_enabled() else NOT_RECORDED
    if whole._view is None:
        tensor._view = View(whole, (None, cls, args[1:]), refusal)
    else:
        before = whole._view
        tensor._view = View(before.base, (before.steps, cls, args[1:]), before.refusal or refusal)
    return tensor


def record(node: Node, args: tuple[Any, ...], inputs: Any, values: Any, tensors: tuple[Any, ...]) -> None:
    """Append `node` to the graph: its edges, its outputs, and its saved values with their versions."""
    for a, needed in zip(args, node.needs_input_grad):  # noqa: B905 - equal by construction; this is the hot path
        if not needed:
            node.edges.append(None)
        elif a._node is not None:
            node.edges.append((a._node, a._index))
        else:
            node.edges.append((a, 0))
    for i, (value, tensor) in enumerate(zip(values, tensors)):  # noqa: B905
        if not isinstance(tensor, Variable):
            node.outputs.append(((), None))
            continue
        node.outputs.append((tensor._array.shape, tensor._array.dtype))
        if tensor._array.dtype.kind == "f" and not any(value is x for x in node.non_differentiable):
            tensor._node, tensor._index, tensor._requires_grad = node, i, True
    if node.saved:
        node.saved = [_saved(value, node, args, inputs, values, tensors) for value in node.saved]
    if anomaly.state.enabled:
        node.trace = anomaly.stack()


def _saved(
    value: Any, node: Node, args: tuple[Any, ...], inputs: Any, values: Any, tensors: tuple[Any, ...]
) -> Saved:  # fmt: skip
    """Recognise a saved value by identity, as an input or an output: it keeps its place in the graph."""
    for x, a in zip(inputs, args):  # noqa: B905
        if x is value and isinstance(a, Variable) and a._node is not node:
            return Saved(a, a, -1)
    for i, y in enumerate(values):
        if y is value:
            return Saved(tensors[i]._array, tensors[i], i)
    return Saved(value, value if isinstance(value, Variable) else None, -1)


def refresh(x: Variable) -> None:
    """Give x, if it is a view whose base has been changed since, the history that it has by now."""
    view = x._view
    if view is None or not view.stale():
        return
    if view.refusal:
        raise StateError(
            f"a view of shape {tuple(x._array.shape)} is used after a recorded operation has changed its base in "
            f"place, and cannot follow: {view.refusal}; make the view again after the change, or change a copy"
        )
    with enable_grad():
        again = follow(view.base, view.steps)
    set_history(x, again)
    view.node, view.required = view.base._node, view.base._requires_grad


def follow(x: Any, steps: Any) -> Any:
    """The view of x at the end of `steps`."""
    path = []
    while steps is not None:
        path.append(steps)
        steps = steps[0]
    for _, operation, constants in reversed(path):
        x = operation.apply(x, *constants)
    return x


def set_history(x: Variable, result: Variable) -> None:
    """Let x come from where `result` comes from. Its gradient, if it is to be retained, is that of the new value."""
    node = x._node
    if node is not None and node.retained is not None and result._node is not None:
        keeper = node.retained.get(x._index)
        if keeper is not None and keeper() is x:
            del node.retained[x._index]
            result._node.retained = {**(result._node.retained or {}), result._index: keeper}
    x._node, x._index, x._requires_grad = result._node, result._index, result._requires_grad
