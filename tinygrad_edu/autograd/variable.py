"""`Variable`: what the graph knows of a tensor; `Node`: one recorded operation."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

from ..errors import StateError

_sequence = itertools.count()


class Version:
    """How often a piece of memory has been changed; shared by all tensors that are views of it."""

    __slots__ = ("changes",)

    def __init__(self) -> None:
        self.changes = 0  # a saved value checks that it is still what was saved


class View:
    """How a view came out of its base: the base, and the steps that lead from it to the view.

    A recorded change of a view is a change of its base, whose history goes on with it. Any other view of that base
    finds, when it is used next, that its base has another history by now, and repeats its steps to get its own.
    There are references from a view to its base and none back.
    """

    __slots__ = ("base", "node", "refusal", "required", "steps")

    def __init__(self, base: Variable, steps: Any, refusal: str) -> None:
        self.base = base  # never a view itself
        self.steps = steps  # (steps before, operation, its constants), None at the base
        self.refusal = refusal  # why its history cannot be made anew, "" if it can
        self.node = base._node  # the base's history when the view got its own
        self.required = base._requires_grad

    def stale(self) -> bool:
        """Whether the base has got another history since."""
        return self.base._node is not self.node or (self.base._requires_grad and not self.required)


class Variable:
    """A value, its gradient, and where it came from. `Tensor` is a Variable with methods.

    A *leaf* has no `_node`: it was made by the user. Any other came out of `_node`, as its output number `_index`.
    There is no reference from a node back to its outputs, so a graph is freed by reference counts alone.
    """

    __slots__ = (
        "__weakref__",
        "_array",
        "_grad",
        "_hooks",
        "_index",
        "_node",
        "_post_hooks",
        "_requires_grad",
        "_version",
        "_view",
    )

    _array: Any
    _grad: Any
    _hooks: dict[int, Callable[..., Any]] | None
    _index: int
    _node: Node | None
    _post_hooks: dict[int, Callable[..., Any]] | None
    _requires_grad: bool
    _version: Version
    _view: View | None

    def _adopt(self, array: Any, version: Version | None = None) -> None:
        """Become the leaf that holds `array`; every way of making a tensor ends here."""
        self._array = array
        self._grad = None
        self._hooks = None
        self._post_hooks = None
        self._index = 0
        self._node = None
        self._requires_grad = False
        if version is None:
            version = Version.__new__(Version)
            version.changes = 0
        self._version = version
        self._view = None

    @staticmethod
    def wrap(array: Any, version: Version | None = None) -> Any:
        """A new tensor around `array` itself; with `version`, a view that shares this counter."""
        return wrapped(array, version)


_tensor_class: Any = Variable


def set_tensor_class(kind: type[Variable]) -> None:
    """Say what `Variable.wrap` makes: `tensor.py`, of which this package knows nothing, puts Tensor here."""
    global _tensor_class
    _tensor_class = kind


def wrapped(array: Any, version: Version | None = None) -> Any:
    """What `Variable.wrap` says."""
    kind: type = _tensor_class
    # Said so, this is no call by name in the compiled form.
    tensor: Variable = kind.__new__(kind)  # type: ignore[call-overload]
    tensor._adopt(array, version)
    return tensor


class Saved:
    """One value kept for the backward pass: its memory with the version at that moment, and its place in the graph.

    It holds no tensor but a leaf that requires grad, which nothing recorded can change: a tensor that is changed in
    place gets a new history, and that one may lead to here.
    """

    __slots__ = ("changes", "index", "node", "value", "version")

    node: Node | None  # None at an output of the node itself, which would otherwise hold itself
    index: int  # the output number of `node`, or of the node itself; −1 for constants
    version: Version | None
    changes: int
    value: Any

    def array(self) -> Any:
        """The value as an array."""
        if isinstance(self.value, Variable):
            leaf = self.value
            return leaf._array
        return self.value

    def tensor(self, holder: Node) -> Any:
        """The value as a tensor that knows its place in the graph; `holder` is the node that it was saved for."""
        if self.value is None or isinstance(self.value, Variable | float | int):
            return self.value
        tensor = wrapped(self.value, self.version)
        if self.index >= 0:
            tensor._node, tensor._index, tensor._requires_grad = self.node or holder, self.index, True
        return tensor


def save(value: Any, owner: Variable | None, output: int) -> Saved:
    """Keep `value`: that of the tensor `owner` if there is one; `output` says which output of the node, if any."""
    saved: Saved = Saved.__new__(Saved)
    saved.node, saved.index, saved.version, saved.changes = None, output, None, 0
    if owner is not None:
        saved.version, saved.changes = owner._version, owner._version.changes
        if output < 0 and owner._node is not None:
            saved.node, saved.index = owner._node, owner._index
        value = owner if output < 0 and owner._node is None and owner._requires_grad else owner._array
    saved.value = value
    return saved


class Node:
    """One recorded operation: its inputs' origins, its saved values. It is the `ctx` of forward and backward.

    `edges[i]` says where the gradient of input i goes: `(node, output number)`, `(leaf, 0)`, or None.
    Users may hang attributes of their own on it.
    """

    def __init__(self, operation: Any, needs_input_grad: tuple[bool, ...]) -> None:
        self._begin(operation, needs_input_grad)

    def _begin(self, operation: Any, needs_input_grad: tuple[bool, ...]) -> None:
        self._operation = operation
        self.needs_input_grad = needs_input_grad
        self._sequence = next(_sequence)  # parents always have smaller numbers: sorting by it is a topological order
        self._edges: tuple[tuple[Any, int] | None, ...] = ()
        self._outputs: tuple[tuple[tuple[int, ...], Any], ...] = ()  # shape and dtype of each output
        self._saved: tuple[Any, ...] | None = ()  # what forward has saved, then a `Saved` for each
        self.non_differentiable: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()
        self._trace = ""  # where forward was called, in anomaly mode
        self._is_view = False
        self._hidden = False  # from the cycle collector (collector.py)
        self.materialize_grads = True
        self._hooks: dict[int, dict[int, Callable[..., Any]]] | None = None
        self._retained: dict[int, weakref.ref[Variable]] | None = None

    def name(self) -> str:
        """The operation's name."""
        return self._name

    @property
    def _name(self) -> str:
        return str(self._operation.__name__)

    def __repr__(self) -> str:
        return f"<{self._name}>"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """Where the gradient of each input goes: (node, output), (`AccumulateGrad`, 0) at a leaf, or (None, 0)."""
        edges = [(None, 0) if edge is None else edge for edge in self._edges]
        return tuple([(AccumulateGrad(to) if isinstance(to, Variable) else to, i) for to, i in edges])

    # -- what forward calls ----------------------------------------------------------------------------------
    def save_for_backward(self, *values: Any) -> None:
        """Keep inputs, outputs or intermediate values of forward for backward."""
        self._saved = values

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Declare outputs that have no gradient."""
        self.non_differentiable = outputs

    def mark_dirty(self, *inputs: Any) -> None:
        """Declare inputs that forward has changed in place, and returns."""
        self._dirty = inputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether the gradient of an output nobody used reaches backward as zeros (True) or as None."""
        self.materialize_grads = value

    # -- what backward calls ---------------------------------------------------------------------------------
    def input_like(self, i: int) -> Any:
        """What has the shape of argument i, which wants a gradient: that shape, or the array of a leaf."""
        edge: Any = self._edges[i]
        if isinstance(edge[0], Node):
            node = edge[0]
            return node._outputs[edge[1]][0]
        leaf = edge[0]
        return leaf._array

    def input_shape(self, i: int) -> tuple[int, ...]:
        """The shape of argument i, which wants a gradient."""
        like = self.input_like(i)
        return like if isinstance(like, tuple) else like.shape  # type: ignore[no-any-return]

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The saved values as tensors that know their place in the graph."""
        return tuple([saved.tensor(self) for saved in self._checked()])

    @property
    def saved_arrays(self) -> tuple[Any, ...]:
        """The saved values as plain arrays."""
        return self._arrays()

    def _arrays(self) -> tuple[Any, ...]:
        arrays = []
        for saved in self._checked():
            arrays.append(saved.array())
        return tuple(arrays)

    def _checked(self) -> tuple[Saved, ...]:
        if self._saved is None:
            raise StateError(
                f"{self._name}: the values saved for the backward pass were freed by an earlier backward(); "
                f"call the first one with retain_graph=True, or run the forward pass again"
            )
        position = -1
        for saved in self._saved:
            position += 1
            if saved.version is not None and saved.version.changes != saved.changes:
                shape = tuple(saved.array().shape)
                what = "its output" if saved.index >= 0 and saved.node is None else f"saved value {position}"
                raise StateError(
                    f"{self._name}: {what} of shape {shape} was changed in place after the forward pass "
                    f"(version {saved.version.changes}, expected {saved.changes}); "
                    f"change a copy instead: x = x.clone(), or y = x + … in place of x += …"
                )
        return self._saved


# -- what an optimiser asks of many tensors ----------------------------------------------------------------------------
def with_gradient(tensors: list[Any]) -> list[Any]:
    """Those that have a gradient."""
    chosen = []
    for x in tensors:
        if x._grad is not None:
            chosen.append(x)
    return chosen


def arrays_of(tensors: list[Any]) -> list[Any]:
    """Their arrays."""
    arrays = []
    for x in tensors:
        arrays.append(x._array)
    return arrays


def gradients_of(tensors: list[Any]) -> list[Any]:
    """The arrays of their gradients."""
    arrays = []
    for x in tensors:
        gradient = x._grad
        arrays.append(gradient._array)
    return arrays


def count_changes(tensors: list[Any]) -> None:
    """Their memory was changed by something that is not recorded."""
    for x in tensors:
        x._version.changes += 1


def forget_gradients(tensors: list[Any]) -> None:
    """None in the place of their gradients."""
    for x in tensors:
        x._grad = None


def new_node(operation: Any, needs_input_grad: tuple[bool, ...]) -> Node:
    """A node, made without a call by name in the compiled form."""
    node: Node = Node.__new__(Node)
    node._begin(operation, needs_input_grad)
    return node


class AccumulateGrad:
    """The end of an edge: the leaf `variable`, whose `.grad` gets what arrives."""

    next_functions = ()

    def __init__(self, variable: Variable) -> None:
        self.variable = variable

    def name(self) -> str:
        """As of any node."""
        return "AccumulateGrad"

    def __repr__(self) -> str:
        return "<AccumulateGrad>"
