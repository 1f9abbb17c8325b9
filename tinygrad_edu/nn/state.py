"""A module's state: its tensors by name, taken out (`state_dict`) and put back (`load_state_dict`)."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..kernels import on_gpu
from ..tensor import Tensor
from .parameter import Parameter


class StateDictError(ValueError, RuntimeError):
    """A state that does not fit a module: a ValueError, and a RuntimeError too, which is what PyTorch raises."""


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` did not find in the state, and what it found there and has no place for."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if any(self) else "<All keys matched successfully>"


def collect(module: Any, state: Any, prefix: str, keep_vars: bool, hooks: bool = True) -> None:
    """Put the module's tensors, and those of all below it, into `state` under names that start with `prefix`."""
    for hook in list(module._state_dict_pre_hooks.values()) if hooks else []:
        hook.function(module, prefix, keep_vars)
    for name, value in (*module._parameters.items(), *module._buffers.items()):
        if value is not None and name not in module._transient:
            state[prefix + name] = value if keep_vars else value.detach()
    for name, child in module._modules.items():
        if child is not None:
            collect(child, state, f"{prefix}{name}.", keep_vars, hooks)
    for hook in list(module._state_dict_hooks.values()) if hooks else []:
        hook.function(module, state, prefix, {})


def load(module: Any, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """See `Module.load_state_dict`."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"load_state_dict: expected a dictionary of tensors, got {type(state_dict).__name__}")
    state = OrderedDict(state_dict)
    keys, problems = _prepared(module, state, strict)
    own: dict[str, Any] = {}
    collect(module, own, "", False, hooks=False)
    keys.missing_keys.extend(name for name in own if name not in state)
    keys.unexpected_keys.extend(name for name in state if name not in own)
    arrays = {
        name: value._array if isinstance(value, Tensor) else np.asarray(value)
        for name, value in state.items()
        if name in own
    }
    problems += _misfits(own, arrays, assign)
    # hooks that may still forgive a missing name see the module loaded; without them nothing changes before the check
    forgiving = [m for m in _children_first(module) if m._load_state_dict_post_hooks]
    _complain(module, problems if forgiving or not strict else [*problems, *_listed(keys)])
    if assign:
        _assign(module, {name: state[name] for name in arrays})
    else:
        with no_grad():
            for name, array in arrays.items():
                own[name].copy_(Tensor._wrap(array[...]))
    for home in forgiving:
        for hook in list(home._load_state_dict_post_hooks.values()):
            if hook.function(home, keys) is not None:
                raise RuntimeError("a load_state_dict post-hook changes the lists it is given and returns nothing")
    _complain(module, _listed(keys) if strict else [], loaded=True)
    return keys


def _listed(keys: IncompatibleKeys) -> list[str]:
    return [
        *(f"missing: {name}" for name in keys.missing_keys),
        *(f"unexpected: {name}" for name in keys.unexpected_keys),
    ]


def _prepared(module: Any, state: Any, strict: bool) -> tuple[IncompatibleKeys, list[str]]:
    """What the pre-hooks make of the state, report as incompatible, and complain of; each sees its module's part."""
    keys, problems = IncompatibleKeys([], []), list[str]()
    for path, home in module.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        for hook in list(home._load_state_dict_pre_hooks.values()):
            part = {name: state.pop(name) for name in list(state) if name.startswith(prefix)}
            hook.function(home, part, prefix, {}, strict, keys.missing_keys, keys.unexpected_keys, problems)
            state.update(part)
    return keys, problems


def _misfits(own: dict[str, Any], arrays: dict[str, Any], assign: bool) -> list[str]:
    """What keeps these arrays from becoming the values of these tensors."""
    problems = [
        f"{name}: shape {tuple(array.shape)} does not fit {own[name].shape}"
        for name, array in arrays.items()
        if tuple(array.shape) != own[name].shape
    ]
    problems += [
        f"{name}: {array.dtype} are not numbers that fit {own[name].dtype}"
        for name, array in arrays.items()
        if array.dtype.kind not in "biuf"
    ]
    if not assign:
        problems += [f"{name}: its memory is read-only" for name in arrays if not _writeable(own[name]._array)]
    return problems


def _writeable(array: Any) -> bool:
    return on_gpu(array) or bool(array.flags.writeable)


def _complain(module: Any, problems: list[str], loaded: bool = False) -> None:
    """One error that lists everything, if there is anything."""
    if problems:
        listed, what = "\n  ".join(problems), "" if loaded else "nothing was loaded, because"
        raise StateDictError(f"{type(module).__name__}.load_state_dict: {what}\n  {listed}")


def _children_first(module: Any) -> list[Any]:
    """The module and all below it, each after its children."""
    found: list[Any] = []
    for child in module.children():
        found += _children_first(child)
    return [*found, module]


def _assign(module: Any, values: Mapping[str, Any]) -> None:
    """Make these tensors the parameters and buffers of those names; a parameter keeps its requires_grad."""
    for target, value in values.items():
        path, _, name = target.rpartition(".")
        home = module.get_submodule(path)
        tensor = value if isinstance(value, Tensor) else Tensor(value)
        held = home._parameters.get(name)
        if held is not None and not isinstance(tensor, Parameter):
            tensor = Parameter(tensor.detach(), requires_grad=held.requires_grad)
        setattr(home, name, tensor)
