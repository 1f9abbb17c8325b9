"""`Variable`: what the graph knows of a tensor; `Node`: one recorded operation."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

_sequence = itertools.count()


class Version:
    """How often a piece of memory has been changed; shared by all tensors that are views of it."""

    __slots__ = ("changes", "rebases")

    def __init__(self) -> None:
        self.changes = 0  # writes of any kind: a saved value checks that it is still what was saved
        self.rebases = 0  # writes that were recorded: a view made before one no longer knows its own history


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
        "_rebases",
        "_requires_grad",
        "_version",
        "_view",
    )

    _array: Any
    _grad: Any
    _hooks: dict[int, Callable[..., Any]] | None
    _index: int
    _node: Node | None
    _rebases: int
    _requires_grad: bool
    _version: Version
    _view: bool

    def _adopt(self, array: Any, version: Version | None = None) -> None:
        """Become the leaf that holds `array`; every way of making a tensor ends here."""
        self._array = array
        self._grad = None
        self._hooks = None
        self._index = 0
        self._node = None
        self._requires_grad = False
        self._version = Version() if version is None else version
        self._rebases = self._version.rebases
        self._view = version is not None

    @staticmethod
    def wrap(array: Any, version: Version | None = None) -> Any:
        """A new tensor around `array`; `tensor.py` puts its own constructor here."""
        raise NotImplementedError("import tinygrad_edu before differentiating")


class Saved:
    """One value kept for the backward pass, and the version of its memory at that moment."""

    __slots__ = ("changes", "output", "value", "version")

    def __init__(self, value: Any, version: Version | None, output: int) -> None:
        self.value = value  # an input Variable, or an array
        self.version = version
        self.changes = version.changes if version is not None else 0
        self.output = output  # which output of the node it is, or −1


class Node:
    """One recorded operation: its inputs' origins, its saved values. It is the `ctx` of forward and backward.

    `edges[i]` says where the gradient of input i goes: `(node, output number)`, `(leaf, 0)`, or None.
    Users may hang attributes of their own on it.
    """

    def __init__(self, operation: Any, needs_input_grad: tuple[bool, ...]) -> None:
        self.operation = operation
        self.needs_input_grad = needs_input_grad
        self.sequence = next(_sequence)  # parents always have smaller numbers: sorting by it is a topological order
        self.edges: list[tuple[Any, int] | None] = []
        self.outputs: list[tuple[tuple[int, ...], Any]] = []  # shape and dtype of each output
        self.saved: list[Saved] | tuple[Any, ...] | None = ()
        self.non_differentiable: tuple[Any, ...] = ()
        self.view = False
        self.materialize_grads = True
        self.hooks: dict[int, dict[int, Callable[..., Any]]] | None = None
        self.retained: dict[int, weakref.ref[Variable]] | None = None

    @property
    def name(self) -> str:
        """The operation's name, as in error messages and `repr`."""
        return str(self.operation.__name__)

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # -- what forward calls ----------------------------------------------------------------------------------
    def save_for_backward(self, *values: Any) -> None:
        """Keep inputs, outputs or intermediate values of forward for backward."""
        self.saved = values

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Declare outputs that have no gradient."""
        self.non_differentiable = outputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether the gradient of an output nobody used reaches backward as zeros (True) or as None."""
        self.materialize_grads = value

    # -- what backward calls ---------------------------------------------------------------------------------
    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The saved values as tensors that know their place in the graph."""
        result: list[Any] = []
        for saved in self._checked():
            if isinstance(saved.value, Variable):
                result.append(saved.value)
            elif saved.value is None:
                result.append(None)
            else:
                tensor = Variable.wrap(saved.value)
                if saved.output >= 0:
                    tensor._node, tensor._index, tensor._requires_grad = self, saved.output, True
                result.append(tensor)
        return tuple(result)

    @property
    def saved_arrays(self) -> tuple[Any, ...]:
        """The saved values as plain arrays."""
        return tuple([s.value._array if isinstance(s.value, Variable) else s.value for s in self._checked()])

    def _checked(self) -> list[Saved]:
        if self.saved is None:
            raise RuntimeError(
                f"{self.name}: the values saved for the backward pass were freed by an earlier backward(); "
                f"call the first one with retain_graph=True, or run the forward pass again"
            )
        for position, saved in enumerate(self.saved):
            if saved.version is not None and saved.version.changes != saved.changes:
                shape = tuple((saved.value._array if isinstance(saved.value, Variable) else saved.value).shape)
                what = "its output" if saved.output >= 0 else f"saved value {position}"
                raise RuntimeError(
                    f"{self.name}: {what} of shape {shape} was changed in place after the forward pass "
                    f"(version {saved.version.changes}, expected {saved.changes}); "
                    f"change a copy instead: x = x.clone(), or y = x + … in place of x += …"
                )
        return self.saved  # type: ignore[return-value]
