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
from .anomaly import stack
from .anomaly import state as anomaly_state
from .collector import hide, reveal
from .grad_mode import enable_grad, is_grad_enabled
from .variable import Node, Saved, Variable, View, new_node, save, wrapped

NOT_RECORDED = "it was made under no_grad()"
_NOTHING = save(None, None, -1)  # saved in the place of a None


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
        return applied(cls, args)


def applied(operation: Any, args: tuple[Any, ...]) -> Any:
    """What `Operation.apply` does: unwrap the arguments, run forward, wrap and record the result."""
    recording = is_grad_enabled()
    wanted = False
    needs = []
    inputs: list[Any] = [None]  # the node, then arrays and constants
    for a in args:
        needed = False
        if isinstance(a, Variable):
            x = a
            if recording:
                if x._view is not None:
                    refresh(x)
                needed = x._requires_grad
                wanted = wanted or needed
            inputs.append(x._array)
        else:
            inputs.append(a)
        needs.append(needed)
    node = inputs[0] = new_node(operation, tuple(needs))
    results = operation.forward(*tuple(inputs))
    if isinstance(results, tuple):
        tensors = tuple([_output(operation, node, args, value) for value in results])
        if wanted:
            record(node, args, inputs, results, tensors)
            hide(node)
        return tensors
    tensor = _output(operation, node, args, results)
    if wanted:
        record(node, args, inputs, (results,), (tensor,))
        hide(node)
    return tensor


def needed_gradients(args: tuple[Any, ...]) -> tuple[bool, ...] | None:
    """Which arguments want a gradient; None if no graph is to be made. Views get the history that they have by now."""
    if not is_grad_enabled():
        return None
    for a in args:
        if isinstance(a, Variable):
            refresh(a)
    needs = tuple([isinstance(a, Variable) and a._requires_grad for a in args])
    return needs if True in needs else None


def _output(operation: Any, node: Node, args: tuple[Any, ...], value: Any) -> Any:
    """The tensor around one result of forward; a view shares its input's version counter, and knows its base."""
    if not node._is_view:
        return wrapped(value, None)
    whole = args[0]
    tensor = wrapped(value, whole._version)
    refusal = "" if is_grad_enabled() else NOT_RECORDED
    if whole._view is None:
        tensor._view = View(whole, (None, operation, args[1:]), refusal)
    else:
        before = whole._view
        tensor._view = View(before.base, (before.steps, operation, args[1:]), before.refusal or refusal)
    return tensor


def record(node: Node, args: tuple[Any, ...], inputs: Any, values: tuple[Any, ...], tensors: tuple[Any, ...]) -> None:
    """Append `node` to the graph: its edges, its outputs, and its saved values with their versions.

    `inputs` is what forward was called with, the node and then what became of `args`; it gave `values`, in `tensors`.
    """
    edges: list[Any] = []
    for i in range(len(args)):
        if node.needs_input_grad[i]:
            x = args[i]
            edges.append((x, 0) if x._node is None else (x._node, x._index))
        else:
            edges.append(None)
    node._edges = tuple(edges)
    outputs: list[Any] = []
    for i in range(len(tensors)):
        if not isinstance(tensors[i], Variable):
            outputs.append(((), None))
            continue
        y = tensors[i]
        array = y._array
        dtype = array.dtype
        outputs.append((array.shape, dtype))
        if dtype.kind == "f" and not (node.non_differentiable and _is_one_of(values[i], node.non_differentiable)):
            y._node, y._index, y._requires_grad = node, i, True
    node._outputs = tuple(outputs)
    if node._saved:
        saved: list[Any] = []
        for value in node._saved:
            saved.append(_saved(value, node, args, inputs, values, tensors))
        node._saved = tuple(saved)
    if anomaly_state.enabled:
        node._trace = stack()


def _is_one_of(value: Any, several: tuple[Any, ...]) -> bool:
    return any(value is x for x in several)


def _saved(
    value: Any, node: Node, args: tuple[Any, ...], inputs: Any, values: tuple[Any, ...], tensors: tuple[Any, ...]
) -> Saved:  # fmt: skip
    """Recognise a saved value by identity, as an input or an output: it keeps its place in the graph."""
    if value is None:
        return _NOTHING
    for i in range(len(args)):
        if inputs[i + 1] is value and isinstance(args[i], Variable):
            owner = args[i]
            if owner._node is not node:
                return save(owner, owner, -1)
    for i in range(len(values)):
        if values[i] is value:
            owner = tensors[i]
            return save(owner._array, owner, i)
    return save(value, value if isinstance(value, Variable) else None, -1)


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
    if node is None:
        reveal(result)  # x may have been a leaf that it depends on
    if node is not None and node._retained is not None and result._node is not None:
        keeper = node._retained.get(x._index)
        if keeper is not None and keeper() is x:
            del node._retained[x._index]
            result._node._retained = {**(result._node._retained or {}), result._index: keeper}
    x._node, x._index, x._requires_grad = result._node, result._index, result._requires_grad
