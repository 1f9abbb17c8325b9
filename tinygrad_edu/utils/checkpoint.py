"""Gradient checkpointing: memory for time. Griewank & Walther 2000; Chen et al. 2016."""

from __future__ import annotations

from typing import Any

from ..autograd import Function, backward, enable_grad, no_grad
from ..creation import zeros
from ..random import get_rng_state, set_rng_state
from ..tensor import Tensor


class Recomputed(Function):
    """A function whose inner values are not kept: the backward pass computes them again."""

    @staticmethod
    def forward(ctx: Any, anchor: Any, function: Any, kwargs: dict[str, Any], preserve: bool, *args: Any) -> Any:
        ctx.function, ctx.kwargs = function, kwargs
        ctx.args = [a.detach() if isinstance(a, Tensor) else a for a in args]
        ctx.wanted = [isinstance(a, Tensor) and a.requires_grad for a in args]
        ctx.random = get_rng_state() if preserve else None
        with no_grad():
            return function(*args, **kwargs)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        args = [a.detach().requires_grad_() if w else a for a, w in zip(ctx.args, ctx.wanted, strict=True)]
        now = get_rng_state()
        if ctx.random is not None:
            set_rng_state(ctx.random)  # dropout drops again what it dropped
        try:
            with enable_grad():
                outputs = ctx.function(*args, **ctx.kwargs)
        finally:
            set_rng_state(now)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [(y, g) for y, g in zip(outputs, grads, strict=True) if g is not None and y.requires_grad]
        if pairs:
            backward([y for y, _ in pairs], [g for _, g in pairs])  # adds to the gradients of parameters on its way
        return (None, None, None, None, *[a.grad if w else None for a, w in zip(args, ctx.wanted, strict=True)])


def checkpoint(function: Any, *args: Any, use_reentrant: bool | None = None, preserve_rng_state: bool = True,
               **kwargs: Any) -> Any:  # fmt: skip
    """`function(*args, **kwargs)`, of which only the arguments are kept for the backward pass.

    That runs it again, with the same random numbers if `preserve_rng_state`. For `backward()`; gradients of gradients
    do not go through it. `use_reentrant` is PyTorch's and changes nothing here.
    """
    anchor = zeros(1, requires_grad=True)  # so that it is recorded though only its parameters require grad
    return Recomputed.apply(anchor, function, kwargs, preserve_rng_state, *args)


def checkpoint_sequential(functions: Any, segments: int, input: Any, use_reentrant: bool | None = None) -> Any:
    """A chain of modules in `segments` parts, of which only the inputs are kept."""
    functions = list(functions)
    size = max(1, -(-len(functions) // segments))

    def run(part: list[Any]) -> Any:
        def chain(x: Any) -> Any:
            for f in part:
                x = f(x)
            return x

        return chain

    for start in range(0, len(functions), size):
        input = checkpoint(run(functions[start : start + size]), input)
    return input
