"""What Python's cycle collector sees of a graph.

It walks again and again through all that could be part of a cycle, so that a node of a graph of 100,000 would cost
several times one of a graph of 100. But a graph of our own operations has no cycles: a node refers to what came before
it, never to what comes later. Such nodes are hidden from the collector; reference counts free them.

What comes later can be reached where a user hangs something onto a tensor: a hook, a gradient with a history of its
own, an attribute of a `Function`'s ctx. There, and wherever it leads to, the nodes stay visible, and others become so.
Not seen is what hangs onto a leaf as an attribute (`p.last_loss = loss`), or what a hook gets hold of after the nodes
were made: such cycles stay, as they do in PyTorch, whose nodes the collector never sees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .variable import Node, Variable

_Change = Callable[[Node, tuple[Any, ...], tuple[Any, ...]], None]
_hide: _Change | None = None
_show: _Change | None = None


def use_collector(hide_node: _Change | None, show_node: _Change | None) -> None:
    """Say how nodes are hidden and shown; without the compiled kernels, which can do it, nothing is hidden.

    Both are called with a node, its edges and what it has saved; its other tuples hold nothing that the collector
    would look at again.
    """
    global _hide, _show
    _hide, _show = hide_node, show_node


def hide(node: Node) -> None:
    """Hide a node of one of our own operations, if no cycle can go through it."""
    if _hide is None:
        return
    for edge in node._edges:
        if edge is None:
            continue
        if isinstance(edge[0], Node):
            parent = edge[0]
            if not parent._hidden:
                return
        elif _leads_on(edge[0]):
            return
    _hide(node, node._edges, node._saved or ())
    node._hidden = True


def _leads_on(leaf: Variable) -> bool:
    """Whether something hangs onto a leaf that may have been computed from it."""
    if leaf._hooks is not None or leaf._post_hooks is not None or leaf._view is not None:
        return True
    return leaf._grad is not None and leaf._grad._node is not None


def reveal(x: Variable) -> None:
    """Show all nodes that x was computed by: something that they depend on is about to refer to x."""
    if x._node is None or not x._node._hidden:
        return
    shown = [x._node]
    x._node._hidden = False
    for node in shown:  # which grows
        _show(node, node._edges, node._saved or ())  # type: ignore[misc]
        for edge in node._edges:
            if edge is not None and isinstance(edge[0], Node) and edge[0]._hidden:
                edge[0]._hidden = False
                shown.append(edge[0])


def reveal_held(hook: Any) -> None:
    """Show what the tensors were computed by that a hook has hold of."""
    held = [cell.cell_contents for cell in getattr(hook, "__closure__", None) or () if _is_filled(cell)]
    held += [getattr(hook, "__self__", None), *(getattr(hook, "__defaults__", None) or ())]
    held += [*getattr(hook, "args", ()), *getattr(hook, "keywords", {}).values()]  # of functools.partial
    for owner in (hook, getattr(hook, "__self__", None)):  # an object that is called, or whose method is
        held += getattr(owner, "__dict__", {}).values()
    for value in held:
        for x in value if isinstance(value, list | tuple) else [value]:
            if isinstance(x, Variable):
                reveal(x)


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
