"""Functions of functions: `grad(f)` is the function that computes the gradient of f; they nest.

Arguments that are differentiated may be tensors, or tuples, lists and dicts of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .autograd import enable_grad
from .autograd.functional import directional, gradients, jacobian_rows
from .autograd.variable import Node, Variable
from .errors import InputError, KindError, StateError

Argnums = int | tuple[int, ...]


def _leaves(tree: Any) -> list[Any]:
    """The tensors in nested tuples, lists and dicts, in order."""
    if isinstance(tree, Variable):
        return [tree]
    if not isinstance(tree, tuple | list | dict):
        raise KindError(f"func: expected tensors in tuples, lists or dicts, got {type(tree).__name__}")
    return [leaf for part in (tree.values() if isinstance(tree, dict) else tree) for leaf in _leaves(part)]


def _rebuilt(tree: Any, leaves: Any) -> Any:
    """`tree` with the tensors of the iterator `leaves` in their places."""
    if isinstance(tree, Variable):
        return next(leaves)
    if isinstance(tree, dict):
        return {key: _rebuilt(part, leaves) for key, part in tree.items()}
    parts = [_rebuilt(part, leaves) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


class _Level:
    """The arguments of one call made anew, so that one level of differentiation does not see another's."""

    def __init__(self, args: Sequence[Any], argnums: Argnums) -> None:
        self.several = isinstance(argnums, tuple)
        chosen = argnums if isinstance(argnums, tuple) else (argnums,)
        if any(not -len(args) <= i < len(args) for i in chosen):
            raise InputError(f"func: argnums {argnums} does not fit {len(args)} arguments")
        self.trees = [args[i] for i in chosen]
        old = [leaf for tree in self.trees for leaf in _leaves(tree)]
        self.inputs = [x[...] if x.requires_grad else x.detach().requires_grad_() for x in old]
        self.own = {id(x) for x in self.inputs}
        leaves = iter(self.inputs)
        self.args = list(args)
        for i, tree in zip(chosen, self.trees, strict=True):
            self.args[i] = _rebuilt(tree, leaves)

    def shaped(self, values: Sequence[Any]) -> Any:
        """Values, one for each input, in the form of the arguments."""
        leaves = iter([self.released(v) for v in values])
        trees = tuple([_rebuilt(tree, leaves) for tree in self.trees])
        return trees if self.several else trees[0]

    def released(self, tree: Any) -> Any:
        """Results detached, unless they depend on something that is differentiated outside."""
        return _rebuilt(tree, iter([y if self._outer(y) else y.detach() for y in _leaves(tree)]))

    def _outer(self, y: Any) -> bool:
        seen: set[Any] = set()
        stack = [(y.grad_fn if y.grad_fn is not None else y, 0)] if y.requires_grad else []
        while stack:
            origin = stack.pop()[0]
            if isinstance(origin, Node):
                if origin not in seen:
                    seen.add(origin)
                    stack += [edge for edge in origin._edges if edge is not None]
            elif id(origin) not in self.own:
                return True
        return False


def _called(func: Callable[..., Any], args: Sequence[Any], kwargs: Any, has_aux: bool) -> tuple[Any, Any]:
    result = func(*args, **kwargs)
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise KindError("func: with has_aux=True the function must return (output, aux)")
    return result


def grad_and_value(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives (gradient, value) of `func`, one number; (gradient, (value, aux)) with aux."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            level = _Level(args, argnums)
            y, aux = _called(func, level.args, kwargs, has_aux)
            if not isinstance(y, Variable) or y.ndim:  # type: ignore[attr-defined]
                raise StateError("func.grad: the function must return a 0-d tensor; reduce it: .sum() or .mean()")
            found = gradients([y], level.inputs, None, create_graph=True)
            value = level.released(y)
            return level.shaped(found), (value, _detached(level, aux)) if has_aux else value

    return wrapped


def _detached(level: _Level, aux: Any) -> Any:
    try:
        return level.released(aux)
    except KindError:
        return aux  # anything that is no tensor may come along


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives the gradient of `func`, which gives one number; (gradient, aux) with aux."""
    both = grad_and_value(func, argnums, has_aux)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(func(*primals), the function v ↦ vᵀ·J[, aux])."""
    with enable_grad():
        level = _Level(primals, tuple(range(len(primals))))
        outputs, aux = _called(func, level.args, {}, has_aux)

    def product(*cotangents: Any) -> Any:
        with enable_grad():
            vs = _leaves(cotangents[0] if len(cotangents) == 1 else cotangents)
            return level.shaped(gradients(_leaves(outputs), level.inputs, vs, create_graph=True))

    return (level.released(outputs), product, aux) if has_aux else (level.released(outputs), product)


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> Any:  # fmt: skip
    """(func(*primals), J·tangents[, aux])."""
    with enable_grad():
        level = _Level(primals, tuple(range(len(primals))))
        outputs, aux = _called(func, level.args, {}, has_aux)
        flat = _leaves(outputs)
        moved = directional(flat, level.inputs, _leaves(tangents), create_graph=True)
        both = level.released(outputs), level.released(_rebuilt(outputs, iter(moved)))
    return (*both, aux) if has_aux else both


def jacrev(func: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives the Jacobian of `func`, of shape (*output, *input)."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            level = _Level(args, argnums)
            outputs, aux = _called(func, level.args, kwargs, has_aux)
            rows = [level.shaped(jacobian_rows(y, level.inputs, create_graph=True)) for y in _leaves(outputs)]
            jacobian = rows[0] if isinstance(outputs, Variable) else _nested(outputs, iter(rows))
            return (jacobian, _detached(level, aux)) if has_aux else jacobian

    return wrapped


def _nested(tree: Any, parts: Any) -> Any:
    if isinstance(tree, Variable):
        return next(parts)
    if isinstance(tree, dict):
        return {key: _nested(part, parts) for key, part in tree.items()}
    return type(tree)([_nested(part, parts) for part in tree])


jacfwd = jacrev  # the same numbers; there is no forward mode here


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that gives the matrix of second derivatives of `func`."""
    return jacrev(jacrev(func, argnums), argnums)


def compile(model: Any = None, **options: Any) -> Any:
    """`model` itself, as a function or decorator: every operation runs at once here, there is nothing to compile."""
    return model if model is not None else lambda function: function


def functional_call(
    module: Any, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: dict[str, Any] | None = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """`module(*args, **kwargs)` with these tensors in the places of its parameters and buffers of those names.

    Gradients flow to the tensors given. `tie_weights`: a tensor given for one name of a shared parameter stands for
    all. `strict`: all names must be given.
    """
    dicts = parameter_and_buffer_dicts
    given = dict(dicts) if hasattr(dicts, "items") else {k: v for d in dicts for k, v in d.items()}
    places = {
        (f"{path}." if path else "") + name: (home, name)
        for path, owner in module.named_modules(remove_duplicate=False)
        for home in (owner._parameters, owner._buffers)
        for name in home
    }
    unknown, missing = [n for n in given if n not in places], [n for n in places if n not in given]
    if unknown or (strict and missing):
        raise StateError(
            f"functional_call: unexpected names {unknown}" + (f", missing names {missing}" if strict else "")
        )
    if tie_weights:
        shared = {id(places[n][0][places[n][1]]): value for n, value in given.items()}
        own = {n: shared.get(id(home[name])) for n, (home, name) in places.items() if home[name] is not None}
        given = {**{n: value for n, value in own.items() if value is not None}, **given}
    before = [(home, name, home[name]) for home, name in (places[n] for n in given)]
    try:
        for n, value in given.items():
            home, name = places[n]
            home[name] = value
        args = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*args, **(kwargs or {}))
    finally:
        for home, name, value in before:
            home[name] = value
