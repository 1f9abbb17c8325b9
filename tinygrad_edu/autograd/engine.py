"""The backward pass: walk the graph from the roots, newest node first, and send gradients along its edges."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import InputError, KindError, StateError
from . import anomaly
from .anomaly import state as anomaly_state
from .collector import reveal
from .function import refresh
from .grad_mode import switch_grad
from .variable import Node, Variable, wrapped

_SEQUENCE = operator.attrgetter("_sequence")


class Arithmetic:
    """The little arithmetic that the engine needs on gradients; `ops` fills it in with kernels."""

    __slots__ = ("add", "add_into", "copy", "has_nan", "is_own", "ones", "own", "same_shape", "stack", "zeros")

    add: Callable[[Any, Any], Any]  # a new array a + b
    add_into: Callable[[Any, Any], None]  # a += b
    own: Callable[[Any], Any]  # the array itself if nobody else can hold its memory, else a copy
    is_own: Callable[[Any], bool]
    copy: Callable[[Any], Any]
    zeros: Callable[[tuple[int, ...], Any, Any], Any]  # of a shape and dtype, where another array is
    ones: Callable[[Any], Any]  # of the shape and dtype of another array, and where that is
    has_nan: Callable[[Any], bool]
    same_shape: Callable[[Any, Any], bool]  # of an array and another, or a shape; a no says: look more carefully
    stack: Callable[[Sequence[Any]], Any]  # tensors of one shape as one tensor


_arithmetic = Arithmetic()


def arithmetic() -> Arithmetic:
    """The one that the engine uses."""
    return _arithmetic


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
    work = _Pass(create_graph, targets, True)
    work.run(roots, _seeds(grad_tensors, len(roots)), bool(create_graph if retain_graph is None else retain_graph))
    for leaf, gradient, fresh in work.found.values():
        _accumulate(leaf, gradient, fresh, create_graph)
    if work.hooked:
        for leaf, _, _ in work.found.values():
            if leaf._post_hooks:
                _after_accumulation(leaf)


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
    work = _Pass(create_graph, targets, False)
    work.run(roots, _seeds(grad_outputs, len(roots)), bool(create_graph if retain_graph is None else retain_graph))
    found = work.found
    result = []
    for i, x in enumerate(wanted):
        if _key(x) in found:
            gradient = found[_key(x)][1]
            result.append(gradient if create_graph else wrapped(_arithmetic.own(gradient)))
        elif materialize_grads:
            result.append(wrapped(_arithmetic.zeros(x._array.shape, x._array.dtype, x._array)))
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


def _key(x: Variable) -> Any:
    """Names the place where the gradient of x arrives: the leaf itself, or an output of its node."""
    return id(x) if x._node is None else (x._node, x._index)


def _seed(root: Variable, gradient: Variable | None, create_graph: bool) -> Any:
    """The gradient to begin with: `gradient`, or 1; an array, or a tensor if the pass is recorded."""
    refresh(root)
    array = root._array
    if not root._requires_grad:
        raise StateError(
            "backward: the tensor does not require grad and has no graph; was it computed under no_grad(), "
            "or did no input have requires_grad=True?"
        )
    if gradient is None:
        if array.size != 1:
            raise StateError(
                f"backward: a gradient can be left out for one number only, this tensor has shape "
                f"{tuple(array.shape)}; reduce it first (.sum() or .mean()), or pass gradient="
            )
        ones = _arithmetic.ones(array)
        return wrapped(ones) if create_graph else ones
    if not isinstance(gradient, Variable):
        raise KindError(f"backward: the gradient is a {type(gradient).__name__}; it must be a tensor")
    if gradient._array.shape != array.shape:
        raise StateError(
            f"backward: the gradient has shape {tuple(gradient._array.shape)}, the tensor {tuple(array.shape)}: "
            f"they must be equal"
        )
    return gradient if create_graph else gradient._array


def _needed(order: list[Node], targets: dict[Any, Any]) -> set[Node]:
    """The nodes through which a target can be reached from above; all others would be wasted work."""
    needed: set[Node] = set()
    for node in reversed(order):  # parents first
        for edge in node._edges:
            if edge is None:
                continue
            if id(edge[0]) in targets or edge in targets or edge[0] in needed:
                needed.add(node)
                break
    return needed


class _Pass:
    """One backward pass: the gradients on their way, summed where paths meet.

    They are arrays, or tensors when the pass itself is recorded (`create_graph`). With each goes whether its memory is
    nobody else's: such an array is summed into, and becomes a leaf's gradient without a copy.
    """

    def __init__(self, create_graph: bool, targets: dict[Any, Any] | None, into_grad: bool) -> None:
        self.create_graph = create_graph
        self.targets = targets  # where the gradients are wanted; None for all leaves
        self.into_grad = into_grad  # whether they will be added to `.grad`
        self.nodes: dict[Node, list[Any]] = {}  # for each output of a node None or (gradient, fresh)
        self.leaves: dict[int, tuple[Any, Any, bool]] = {}
        self.recording = False  # whether operations were recorded before the pass
        self.switched = False  # whether the pass has changed that
        self.hooked = False  # is there a leaf with hooks that wait for its gradient?
        self.waiting: dict[int, int] | None = None  # those leaves, and for how many more gradients they wait
        self.found: dict[Any, tuple[Any, Any, bool]] = {}  # what arrived where it was wanted

    def run(self, roots: Sequence[Variable], seeds: Sequence[Variable | None], retain_graph: bool) -> None:
        """Send gradients through the graph, from the roots to the leaves."""
        if len(roots) != len(seeds):
            raise InputError(f"backward: {len(roots)} tensors but {len(seeds)} gradients")
        for i in range(len(roots)):
            root = roots[i]
            start = _seed(root, seeds[i], self.create_graph)
            self.send((root, 0) if root._node is None else (root._node, root._index), start, False)
        order = self.order()
        needed = None if self.targets is None else _needed(order, self.targets)
        if self.hooked and self.into_grad and self.targets is None:
            self.count_hooked(order)
        try:
            if self.create_graph:
                self.set_recording()
            for node in order:
                slots = self.nodes.pop(node, None)
                if slots is not None:  # a gradient came this way
                    self.visit(node, slots, needed is None or node in needed)
                    if not retain_graph and node._saved:
                        node._saved = None
                if self.waiting:
                    self.settle(node)
            for key, arrival in self.leaves.items():
                leaf = arrival[0]
                if leaf._requires_grad if self.targets is None else key in self.targets:
                    if leaf._hooks:
                        self.set_recording()
                        arrival = (leaf, *_hooked(leaf._hooks, arrival[1], arrival[2], self.create_graph))
                    self.found[key] = arrival
        finally:
            if self.switched:
                switch_grad(self.recording)

    def set_recording(self) -> None:
        """Before what may be recorded: it is if the pass is. Derivatives that are kernels alone do without."""
        if not self.switched:
            self.recording = switch_grad(self.create_graph)
            self.switched = True

    def order(self) -> list[Node]:
        """All nodes that the roots depend on, newest first: a topological order, since parents are made before
        children."""
        seen, stack, order = set(), [], []
        for node in self.nodes:
            seen.add(node)
            stack.append(node)
        sorted_already, last = True, -1
        while stack:
            node = stack.pop()
            sorted_already = sorted_already and (last < 0 or node._sequence < last)
            last = node._sequence
            order.append(node)
            for edge in node._edges:
                if edge is None:
                    continue
                target = edge[0]
                if isinstance(target, Node):
                    if target not in seen:
                        seen.add(target)
                        stack.append(target)
                    continue
                leaf = target
                if leaf._post_hooks:
                    self.hooked = True
        if not sorted_already:  # a chain is found in order
            order.sort(key=_SEQUENCE, reverse=True)
        return order

    def visit(self, node: Node, slots: list[Any], needed: bool) -> None:
        """One node: its hooks, the targets among its outputs, and its derivative."""
        self.complete(node, slots)
        if self.targets is not None:
            for i in range(len(slots)):
                gradient = slots[i][0]
                if gradient is not None and (node, i) in self.targets:
                    self.found[(node, i)] = (self.targets[(node, i)], gradient, False)
                    slots[i] = (gradient, False)  # further down nothing may be added into it
        if not needed:
            return
        try:
            self.propagate(node, slots)
        except Exception as error:
            anomaly.explain(node, error)
            raise

    def complete(self, node: Node, slots: list[Any]) -> None:
        """The gradient of each output of `node`, after its hooks; zeros (or None) where none came."""
        for i in range(len(slots)):
            slot = slots[i]
            if slot is None:
                slot = (None, False)
                if node.materialize_grads and node._outputs[i][1] is not None:
                    zeros = _arithmetic.zeros(*node._outputs[i], _first_array(slots))
                    slot = (wrapped(zeros) if self.create_graph else zeros, True)
            elif node._hooks is not None or node._retained is not None:
                self.set_recording()
                slot = _hooked((node._hooks or {}).get(i), slot[0], slot[1], self.create_graph)
                keeper = node._retained[i]() if node._retained is not None and i in node._retained else None
                if keeper is not None:
                    _accumulate(keeper, slot[0], False, self.create_graph)
            else:
                continue  # nearly always
            slots[i] = slot

    def propagate(self, node: Node, slots: list[Any]) -> None:
        """One step of the chain rule: the node's derivative, and its results sent along the edges."""
        operation = node._operation
        fused = None if self.create_graph else operation.fused_backward
        if fused is not None:
            results = fused(node, slots[0][0]) if len(slots) == 1 else fused(node, *[slot[0] for slot in slots])
        elif self.create_graph:
            results = operation.backward(node, *[slot[0] for slot in slots])
        else:
            self.set_recording()
            results = operation.backward(node, *[None if slot[0] is None else wrapped(slot[0]) for slot in slots])
        if not isinstance(results, tuple):
            results = (results,)
        if len(results) != len(node._edges):
            raise StateError(
                f"{node._name}.backward returned {len(results)} gradients for {len(node._edges)} arguments of forward; "
                f"return one for each, None for constants"
            )
        if anomaly_state.enabled:
            anomaly.check(node, results, _arithmetic.has_nan)
        for i in range(len(results)):
            edge, gradient = node._edges[i], results[i]
            if edge is None or gradient is None:
                continue
            value = gradient._array if isinstance(gradient, Variable) else gradient
            if not _arithmetic.same_shape(value, node.input_like(i)) and value.shape != node.input_shape(i):
                shape = node.input_shape(i)
                raise StateError(
                    f"{node._name}.backward: the gradient of argument {i} has shape {tuple(value.shape)}, "
                    f"the argument {tuple(shape)}; sum over the axes that were broadcast"
                )
            if self.create_graph:
                self.send(edge, gradient, False)
            else:
                self.send(edge, value, fused is not None and _is_fresh(value, i, results, slots))

    def send(self, edge: tuple[Any, int], gradient: Any, fresh: bool) -> None:
        """Add `gradient` at the end of `edge`."""
        if isinstance(edge[0], Node):
            node, index = edge[0], edge[1]
            slots = self.nodes.get(node)
            if slots is None:
                slots = self.nodes[node] = [None] * len(node._outputs)
            slots[index] = (gradient, fresh) if slots[index] is None else self.sum(slots[index], gradient, fresh)
            return
        leaf = edge[0]
        key = id(leaf)
        held = self.leaves.get(key)
        if held is None:
            self.leaves[key] = (leaf, gradient, fresh)
        else:
            self.leaves[key] = (leaf, *self.sum(held[1:], gradient, fresh))

    def sum(self, held: tuple[Any, bool], gradient: Any, fresh: bool) -> tuple[Any, bool]:
        """What is held already and one more gradient, in the memory of one of them if that is nobody else's."""
        if self.create_graph:
            return held[0] + gradient, True
        if held[1] and _arithmetic.is_own(held[0]):
            _arithmetic.add_into(held[0], gradient)
            return held
        if fresh and _arithmetic.is_own(gradient):
            _arithmetic.add_into(gradient, held[0])
            return gradient, True
        return _arithmetic.add(held[0], gradient), True

    # -- leaves that somebody waits for ------------------------------------------------------------------------
    def count_hooked(self, order: list[Node]) -> None:
        """How many gradients will come to each leaf that has hooks to be called when it has got them all."""
        waiting: dict[int, int] = {}
        for node in order:
            for edge in node._edges:
                if edge is None or isinstance(edge[0], Node):
                    continue
                leaf = edge[0]
                if leaf._post_hooks:
                    waiting[id(leaf)] = waiting.get(id(leaf), 0) + 1
        self.waiting = waiting

    def settle(self, node: Node) -> None:
        """`node` sends nothing more: finish the leaves for which it was the last, so that their hooks run now."""
        waiting: Any = self.waiting
        for edge in node._edges:
            if edge is None or id(edge[0]) not in waiting:
                continue
            key = id(edge[0])
            waiting[key] -= 1
            if waiting[key]:
                continue
            del waiting[key]
            if key in self.leaves and edge[0]._requires_grad:
                self.set_recording()
                leaf, gradient, fresh = self.leaves.pop(key)
                gradient, fresh = _hooked(leaf._hooks, gradient, fresh, self.create_graph)
                _accumulate(leaf, gradient, fresh, self.create_graph)
                _after_accumulation(leaf)


def _first_array(slots: list[Any]) -> Any:
    """An array of a gradient that did come."""
    for slot in slots:
        if slot is not None and slot[0] is not None:
            return slot[0]._array if isinstance(slot[0], Variable) else slot[0]
    return None


def _hooked(hooks: Any, gradient: Any, fresh: bool, create_graph: bool) -> tuple[Any, bool]:
    """The gradient after the user's hooks, each of which may replace it."""
    for hook in list((hooks or {}).values()):
        tensor = gradient if create_graph else wrapped(gradient)
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


def _is_fresh(value: Any, position: int, results: tuple[Any, ...], slots: list[Any]) -> bool:
    """A fused derivative's array is nobody else's, unless it is an incoming gradient or was returned twice.

    Or a view of one: that is looked at (`_arithmetic.own`) where it matters.
    """
    for i in range(len(results)):
        if results[i] is value and i != position:
            return False
    for i in range(len(slots)):
        slot = slots[i]
        if slot[0] is value:
            return slot[1]  # type: ignore[no-any-return]
    return True


def _accumulate(leaf: Variable, gradient: Any, fresh: bool, create_graph: bool) -> None:
    """leaf.grad += gradient."""
    if create_graph:
        leaf._grad = gradient if leaf._grad is None else leaf._grad + gradient
        reveal(leaf._grad)
    elif leaf._grad is None:
        leaf._grad = wrapped(_arithmetic.own(gradient) if fresh else _arithmetic.copy(gradient))
    elif leaf._grad._requires_grad:
        leaf._grad = wrapped(_arithmetic.add(leaf._grad._array, gradient))
    else:
        _arithmetic.add_into(leaf._grad._array, gradient)
        leaf._grad._version.changes += 1


def _after_accumulation(leaf: Variable) -> None:
    for hook in list(leaf._post_hooks.values()):  # type: ignore[union-attr]
        hook(leaf)
