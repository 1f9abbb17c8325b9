"""The backward pass: walk the graph from the roots, newest node first, and send gradients along its edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import InputError, KindError, StateError
from . import anomaly
from .function import refresh
from .grad_mode import set_grad_enabled
from .variable import Node, Variable


class Arithmetic:
    """The little arithmetic that the engine needs on gradients; `ops` fills it in with kernels."""

    add: Callable[[Any, Any], Any]  # a new array a + b
    add_into: Callable[[Any, Any], None]  # a += b
    own: Callable[[Any], Any]  # the array itself if nobody else can hold its memory, else a copy
    copy: Callable[[Any], Any]
    zeros: Callable[[tuple[int, ...], Any], Any]
    ones: Callable[[tuple[int, ...], Any], Any]
    has_nan: Callable[[Any], bool]
    stack: Callable[[Sequence[Any]], Any]  # tensors of one shape as one tensor


def backward(
    tensors: Variable | Sequence[Variable],
    grad_tensors: Variable | Sequence[Variable | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Variable | Sequence[Variable] | None = None,
) -> None:
    """Accumulate d(tensors)/d(leaf) into `.grad` of every leaf (or of `inputs` alone)."""
    roots = [tensors] if isinstance(tensors, Variable) else list(tensors)
    targets = None
    if inputs is not None:
        wanted = [inputs] if isinstance(inputs, Variable) else list(inputs)
        if not wanted:
            raise StateError("backward: inputs is empty; leave it out to reach every leaf")
        targets = {_key(_wanting(x, "backward", i)): x for i, x in enumerate(wanted)}
    retain = bool(create_graph if retain_graph is None else retain_graph)
    found = _run(roots, _seeds(grad_tensors, len(roots)), retain, create_graph, targets)
    for leaf, gradient, fresh in found.values():
        _accumulate(leaf, gradient, fresh, create_graph)
        for hook in list((leaf._post_hooks or {}).values()):
            hook(leaf)


def grad(
    outputs: Variable | Sequence[Variable],
    inputs: Variable | Sequence[Variable],
    grad_outputs: Variable | Sequence[Variable | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` with respect to `inputs`, returned instead of accumulated.

    Each has its input's shape. With `create_graph` they can be differentiated again. An input that the outputs do not
    depend on is an error, None with `allow_unused`, zeros with `materialize_grads`. `only_inputs` is always true.
    """
    roots = [outputs] if isinstance(outputs, Variable) else list(outputs)
    wanted = [inputs] if isinstance(inputs, Variable) else list(inputs)
    if not only_inputs:
        raise InputError("grad: only_inputs can only be true; use backward() for gradients of other leaves")
    targets = {_key(_wanting(x, "grad", i)): x for i, x in enumerate(wanted)}
    retain = bool(create_graph if retain_graph is None else retain_graph)
    found = _run(roots, _seeds(grad_outputs, len(roots)), retain, create_graph, targets)
    result = []
    for i, x in enumerate(wanted):
        if _key(x) in found:
            gradient = found[_key(x)][1]
            result.append(gradient if create_graph else Variable.wrap(Arithmetic.own(gradient)))
        elif materialize_grads:
            result.append(Variable.wrap(Arithmetic.zeros(x._array.shape, x._array.dtype)))
        elif allow_unused:
            result.append(None)
        else:
            raise StateError(
                f"grad: the outputs do not depend on input {i} of shape {tuple(x._array.shape)}; "
                f"pass allow_unused=True to get None for it"
            )
    return tuple(result)


def _wanting(x: Variable, operation: str, position: int) -> Variable:
    """x, if it can have a gradient."""
    if not isinstance(x, Variable):
        raise KindError(f"{operation}: input {position} is a {type(x).__name__}, not a tensor")
    refresh(x)
    if not x._requires_grad:
        raise StateError(f"{operation}: input {position} does not require grad; call requires_grad_() before using it")
    return x


def _seeds(grads: Variable | Sequence[Variable | None] | None, count: int) -> list[Variable | None]:
    if grads is None:
        return [None] * count
    return [grads] if isinstance(grads, Variable) else list(grads)


def _origin(x: Variable) -> Any:
    return x if x._node is None else x._node


def _key(x: Variable) -> Any:
    """Names the place where the gradient of x arrives: the leaf itself, or an output of its node."""
    return id(x) if x._node is None else (x._node, x._index)


def _seed(root: Variable, gradient: Variable | None) -> Any:
    refresh(root)
    if not root._requires_grad:
        raise StateError(
            "backward: the tensor does not require grad and has no graph; was it computed under no_grad(), "
            "or did no input have requires_grad=True?"
        )
    if gradient is None:
        if root._array.size != 1:
            raise StateError(
                f"backward: a gradient can be left out for one number only, this tensor has shape "
                f"{tuple(root._array.shape)}; reduce it first (.sum() or .mean()), or pass gradient="
            )
        return Variable.wrap(Arithmetic.ones(root._array.shape, root._array.dtype))
    if not isinstance(gradient, Variable):
        raise KindError(f"backward: the gradient is a {type(gradient).__name__}; it must be a tensor")
    if gradient._array.shape != root._array.shape:
        raise StateError(
            f"backward: the gradient has shape {tuple(gradient._array.shape)}, the tensor {tuple(root._array.shape)}: "
            f"they must be equal"
        )
    return gradient


def _order(roots: list[Node]) -> list[Node]:
    """All nodes that the roots depend on, newest first: a topological order, since parents are made before children."""
    seen, stack = set(roots), list(roots)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and isinstance(edge[0], Node) and edge[0] not in seen:
                seen.add(edge[0])
                stack.append(edge[0])
    return sorted(seen, key=lambda node: node.sequence, reverse=True)


def _needed(order: list[Node], targets: dict[Any, Any]) -> set[Node]:
    """The nodes through which a target can be reached from above; all others would be wasted work."""
    needed: set[Node] = set()
    for node in reversed(order):  # parents first
        for edge in node.edges:
            if edge is None:
                continue
            if id(edge[0]) in targets or edge in targets or edge[0] in needed:
                needed.add(node)
                break
    return needed


class _Buffers:
    """Gradients on their way, summed where paths meet; in arrays, or in tensors when the pass itself is recorded."""

    def __init__(self, as_tensors: bool) -> None:
        self.as_tensors = as_tensors
        self.nodes: dict[Node, list[Any]] = {}
        self.leaves: dict[int, tuple[Any, Any, bool]] = {}

    def send(self, edge: tuple[Any, int], gradient: Any, fresh: bool) -> None:
        """Add `gradient` at the end of `edge`; `fresh` says that nobody else holds its memory."""
        target, index = edge
        if isinstance(target, Node):
            slots = self.nodes.get(target)
            if slots is None:
                slots = self.nodes[target] = [None] * len(target.outputs)
            slots[index] = self._sum(slots[index], gradient, fresh)
        else:
            held = self.leaves.get(id(target))
            total, fresh = self._sum(None if held is None else held[1:], gradient, fresh)
            self.leaves[id(target)] = (target, total, fresh)

    def _sum(self, held: Any, gradient: Any, fresh: bool) -> tuple[Any, bool]:
        if held is None:
            return gradient, fresh
        if self.as_tensors:
            return held[0] + gradient, True
        if held[1]:
            Arithmetic.add_into(held[0], gradient)
            return held
        return Arithmetic.add(held[0], gradient), True


def _run(
    roots: Sequence[Variable],
    seeds: Sequence[Variable | None],
    retain_graph: bool,
    create_graph: bool,
    targets: dict[Any, Any] | None,
) -> dict[Any, tuple[Any, Any, bool]]:
    """Send gradients through the graph; return what arrived at the leaves (or at the targets): value, freshness."""
    if len(roots) != len(seeds):
        raise InputError(f"backward: {len(roots)} tensors but {len(seeds)} gradients")
    buffers = _Buffers(create_graph)
    captured: dict[Any, tuple[Any, Any, bool]] = {}
    for root, seed in zip(roots, seeds, strict=True):
        start = _seed(root, seed)
        buffers.send((_origin(root), root._index), start if create_graph else start._array, False)

    order = _order(list(buffers.nodes))
    needed = None if targets is None else _needed(order, targets)
    with set_grad_enabled(create_graph):
        for node in order:
            slots = buffers.nodes.pop(node, None)
            if slots is None:
                continue  # no gradient came this way
            grads, fresh = _arrived(node, slots, create_graph)
            if targets is not None:
                for i in range(len(grads)):
                    if (node, i) in targets and grads[i] is not None:
                        captured[(node, i)] = (targets[(node, i)], grads[i], False)
            if needed is None or node in needed:
                try:
                    _propagate(node, grads, fresh, buffers, create_graph)
                except Exception as error:
                    anomaly.explain(node, error)
                    raise
            if not retain_graph and node.saved:
                node.saved = None
        for key, (leaf, gradient, is_fresh) in buffers.leaves.items():
            if (targets is None and leaf._requires_grad) or (targets is not None and key in targets):
                captured[key] = (leaf, *_hooked(leaf._hooks, gradient, is_fresh, create_graph))
    return captured


def _arrived(node: Node, slots: list[Any], create_graph: bool) -> tuple[list[Any], list[bool]]:
    """The gradient of each output of `node`, after its hooks; zeros (or None) where none came."""
    grads, fresh = [], []
    for i, slot in enumerate(slots):
        if slot is None:
            if node.materialize_grads and node.outputs[i][1] is not None:
                zeros = Arithmetic.zeros(*node.outputs[i])
                slot = (Variable.wrap(zeros) if create_graph else zeros, True)
            else:
                slot = (None, False)
        elif node.hooks is not None or node.retained is not None:
            slot = _hooked((node.hooks or {}).get(i), slot[0], slot[1], create_graph)
            keeper = node.retained[i]() if node.retained is not None and i in node.retained else None
            if keeper is not None:
                _accumulate(keeper, slot[0], False, create_graph)
        grads.append(slot[0])
        fresh.append(slot[1])
    return grads, fresh


def _hooked(hooks: Any, gradient: Any, fresh: bool, create_graph: bool) -> tuple[Any, bool]:
    """The gradient after the user's hooks, each of which may replace it."""
    for hook in list((hooks or {}).values()):
        tensor = gradient if create_graph else Variable.wrap(gradient)
        replacement = hook(tensor)
        fresh = False  # the hook may have kept it
        if replacement is not None:
            if replacement._array.shape != tensor._array.shape:
                raise StateError(
                    f"hook: it returned a gradient of shape {tuple(replacement._array.shape)} for one of "
                    f"{tuple(tensor._array.shape)}: the shape must not change"
                )
            gradient = replacement if create_graph else replacement._array
    return gradient, fresh


def _propagate(node: Node, grads: list[Any], fresh: list[bool], buffers: _Buffers, create_graph: bool) -> None:
    """One step of the chain rule: the node's derivative, and its results sent along the edges."""
    fused = node.operation.fused_backward
    if create_graph:
        results = node.operation.backward(node, *grads)
    elif fused is not None:
        results = fused(node, *grads)
    else:
        results = node.operation.backward(node, *[None if g is None else Variable.wrap(g) for g in grads])
    if not isinstance(results, tuple):
        results = (results,)
    if len(results) != len(node.edges):
        raise StateError(
            f"{node.name}.backward returned {len(results)} gradients for {len(node.edges)} arguments of forward; "
            f"return one for each, None for constants"
        )
    if anomaly.state.enabled:
        anomaly.check(node, results, Arithmetic.has_nan)
    for i, (edge, gradient) in enumerate(zip(node.edges, results)):  # noqa: B905 - checked above; the hot path
        if edge is None or gradient is None:
            continue
        shape = edge[0].outputs[edge[1]][0] if isinstance(edge[0], Node) else edge[0]._array.shape
        value = gradient._array if isinstance(gradient, Variable) else gradient
        if value.shape != shape:
            raise StateError(
                f"{node.name}.backward: the gradient of argument {i} has shape {tuple(value.shape)}, "
                f"the argument {tuple(shape)}; sum over the axes that were broadcast"
            )
        if create_graph:
            buffers.send(edge, gradient, False)
        else:
            buffers.send(edge, value, fused is not None and _is_fresh(value, i, results, grads, fresh))


def _is_fresh(value: Any, position: int, results: Any, grads: list[Any], fresh: list[bool]) -> bool:
    """A fused derivative's array is nobody else's unless it is an incoming gradient, or was returned twice."""
    for i, other in enumerate(results):
        if other is value and i != position:
            return False
    for g, was_fresh in zip(grads, fresh):  # noqa: B905
        if g is value:
            return was_fresh
    return Arithmetic.own(value) is value


def _accumulate(leaf: Any, gradient: Any, fresh: bool, create_graph: bool) -> None:
    """leaf.grad += gradient."""
    if create_graph:
        leaf._grad = gradient if leaf._grad is None else leaf._grad + gradient
    elif leaf._grad is None:
        leaf._grad = Variable.wrap(gradient if fresh else Arithmetic.copy(gradient))
    elif leaf._grad._requires_grad:
        leaf._grad = Variable.wrap(Arithmetic.add(leaf._grad._array, gradient))
    else:
        Arithmetic.add_into(leaf._grad._array, gradient)
        leaf._grad._version.changes += 1
