"""Hooks of modules: functions called before and after forward, and when the gradients of a call have been computed."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..autograd import Function
from ..tensor import HookHandle, Tensor


@dataclass(frozen=True)
class Hook:
    """A function, whether it wants keyword arguments, and whether it runs after an error too."""

    function: Callable[..., Any]
    with_kwargs: bool = False
    always_call: bool = False


#: Hooks of all modules, by kind; they run before a module's own.
GLOBAL: dict[str, OrderedDict[int, Hook]] = {
    kind: OrderedDict() for kind in ("forward", "forward_pre", "backward", "backward_pre")
}
ALL_FORWARD, ALL_FORWARD_PRE, ALL_BACKWARD, ALL_BACKWARD_PRE = GLOBAL.values()


def registered(hooks: OrderedDict[int, Hook], hook: Hook, prepend: bool = False) -> HookHandle:
    """Add a hook, before or after the others, and return what removes it."""
    if not callable(hook.function):
        raise TypeError(f"a hook is a function, got {type(hook.function).__name__}")
    handle = HookHandle(hooks, hook)
    if prepend:
        hooks.move_to_end(handle.key, last=False)
    return handle


def hooks_of(module: Any, kind: str) -> list[tuple[int, Hook]]:
    """(key, hook) of the hooks of one kind that a call of this module runs, in order."""
    return [*GLOBAL[kind].items(), *getattr(module, f"_{kind}_hooks").items()]


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> HookHandle:
    """Call `hook(module, args, output)` after each forward of every module."""
    return registered(GLOBAL["forward"], Hook(hook, with_kwargs, always_call))


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> HookHandle:
    """Call `hook(module, args)` before each forward of every module."""
    return registered(GLOBAL["forward_pre"], Hook(hook))


def register_module_full_backward_hook(hook: Callable[..., Any]) -> HookHandle:
    """Call `hook(module, grad_input, grad_output)` in the backward pass of every module."""
    return registered(GLOBAL["backward"], Hook(hook))


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> HookHandle:
    """Call `hook(module, grad_output)` before the backward pass of every module."""
    return registered(GLOBAL["backward_pre"], Hook(hook))


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`module.forward` between its hooks; after an error, the hooks that asked for it still run."""
    done: set[int] = set()
    result = None
    try:
        args, kwargs = _before(module, args, kwargs)
        backward = hooks_of(module, "backward") or hooks_of(module, "backward_pre")
        passage = Passage(module) if backward else None
        if passage is not None:
            args = passage.enter(args)
        result = module.forward(*args, **kwargs)
        for key, hook in hooks_of(module, "forward"):
            done.add(key)
            changed = _after(module, hook, args, kwargs, result)
            result = result if changed is None else changed
        return result if passage is None else passage.leave(result)
    except Exception:
        for key, hook in hooks_of(module, "forward"):
            if hook.always_call and key not in done:
                try:
                    _after(module, hook, args, kwargs, result)
                except Exception as error:
                    warnings.warn(f"a forward hook that is always called failed too: {error}", stacklevel=3)
        raise


def _before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments after the forward pre-hooks."""
    for _, hook in hooks_of(module, "forward_pre"):
        if not hook.with_kwargs:
            changed = hook.function(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
            continue
        changed = hook.function(module, args, kwargs)
        if changed is not None:
            if not isinstance(changed, tuple) or len(changed) != 2:
                raise RuntimeError(
                    f"a forward pre-hook with keyword arguments returns None or (args, kwargs), got {changed!r}"
                )
            args, kwargs = changed
    return args, kwargs


def _after(module: Any, hook: Hook, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
    return hook.function(module, args, kwargs, result) if hook.with_kwargs else hook.function(module, args, result)


class Passage:
    """One call of a module whose gradients are watched on their way out (`grad_output`) and in (`grad_input`)."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.inputs = 0
        self.watched: list[int] = []  # positions of the arguments that have a gradient
        self.outputs: list[int] = []
        self.width = 0
        self.grad_output: tuple[Any, ...] = ()

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of forward, with a node in front of them that sees their gradients."""
        self.inputs = len(args)
        self.watched = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        return _through(GradientsIn, self, args, self.watched)

    def leave(self, result: Any) -> Any:
        """The result of forward, with a node behind it that sees its gradient."""
        values = result if isinstance(result, tuple) else (result,)
        self.outputs = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
        self.width = len(values)
        values = _through(GradientsOut, self, values, self.outputs)
        return values if isinstance(result, tuple) else values[0]

    def going_out(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """The gradients of the outputs arrive; the backward pre-hooks may replace them."""
        full = _placed(grads, self.outputs, self.width)
        for _, hook in hooks_of(self.module, "backward_pre"):
            full = _replaced(hook.function(self.module, full), full, "backward pre-hook")
        self.grad_output = full
        if not self.watched:  # nothing will come back through the inputs
            self.coming_in(())
        return tuple([full[i] for i in self.outputs])

    def coming_in(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """The gradients of the inputs have been computed; the backward hooks may replace them."""
        full = _placed(grads, self.watched, self.inputs)
        for _, hook in hooks_of(self.module, "backward"):
            changed = hook.function(self.module, full, self.grad_output)
            if not self.watched and changed is not None and any(g is not None for g in changed):
                raise RuntimeError("a backward hook of a module none of whose inputs has a gradient must return None")
            full = _replaced(changed, full, "backward hook")
        return tuple([full[i] for i in self.watched])


def _placed(grads: tuple[Any, ...], places: list[int], width: int) -> tuple[Any, ...]:
    full = [None] * width
    for i, g in zip(places, grads, strict=True):
        full[i] = g
    return tuple(full)


def _replaced(changed: Any, grads: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    if changed is None:
        return grads
    new = changed if isinstance(changed, tuple) else (changed,)
    if len(new) != len(grads):
        raise RuntimeError(f"a {what} returned {len(new)} gradients in place of {len(grads)}; return one for each")
    return new


def _through(node: Any, passage: Passage, values: tuple[Any, ...], places: list[int]) -> tuple[Any, ...]:
    """`values` with those at `places` sent through an identity that the backward pass stops at."""
    if not places:
        return values
    passed, full = node.apply(passage, *[values[i] for i in places]), list(values)
    for i, tensor in zip(places, passed, strict=True):
        full[i] = tensor
    return tuple(full)


class GradientsIn(Function):
    """Identity in front of a module; its backward calls the module's backward hooks."""

    @staticmethod
    def forward(ctx: Any, passage: Passage, *tensors: Any) -> Any:
        ctx.passage = passage
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx.passage.coming_in(grads))


class GradientsOut(Function):
    """Identity behind a module; its backward notes the gradient of the output."""

    @staticmethod
    def forward(ctx: Any, passage: Passage, *tensors: Any) -> Any:
        ctx.passage = passage
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx.passage.going_out(grads))
