"""`Module`: a tree of parameters and a forward pass."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..kernels import K, on
from ..tensor import HookHandle, Tensor, check_dtype
from .hooks import (
    ALL_BACKWARD,
    ALL_BACKWARD_PRE,
    ALL_FORWARD,
    ALL_FORWARD_PRE,
    Hook,
    call_with_hooks,
    registered,
)
from .parameter import Buffer, Parameter
from .state import IncompatibleKeys, collect, load

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


# The compiled kernels say quickly what is nearly always so; a no says nothing.
_plain = getattr(K, "is_plain", lambda module: False)
_weight_and_bias = getattr(K, "weight_and_bias", lambda module: None)


class _Called:
    """What every use of a module goes through, apart so that it can be compiled without calls by name (module.pxd)."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not is_plain(self) and _is_watched(self):
            return call_with_hooks(self, args, kwargs)
        return self.forward(*args, **kwargs) if kwargs else self.forward(*args)  # type: ignore[attr-defined]


def is_plain(module: Any) -> bool:
    """Whether a call of the module is the forward of its class and nothing more: no hooks, no forward of its own."""
    if ALL_FORWARD or ALL_FORWARD_PRE or ALL_BACKWARD or ALL_BACKWARD_PRE:
        return False
    return bool(_plain(module)) or not ("forward" in module.__dict__ or _is_watched(module))


def _is_watched(module: Any) -> bool:
    """Whether a call of the module calls hooks."""
    own = module.__dict__  # asked once: an attribute of a module, which has a __getattr__, is dear
    try:
        watched = own["_forward_hooks"] or own["_forward_pre_hooks"]
        watched = watched or own["_backward_hooks"] or own["_backward_pre_hooks"]
    except KeyError:
        raise AttributeError(f"{type(module).__name__}: call super().__init__() in its __init__ first") from None
    return bool(watched or ALL_FORWARD or ALL_FORWARD_PRE or ALL_BACKWARD or ALL_BACKWARD_PRE)


class Module(_Called):
    """The base of all layers and models: subclass it, assign parameters and modules to attributes, write `forward`.

    Assignment registers: `Parameter`s are what optimisers change, `Module`s are searched in turn, buffers
    (`register_buffer`) are saved but not optimised.
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Any]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        for name in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(self, name, {})
        for name in HOOKS:
            object.__setattr__(self, name, OrderedDict())
        object.__setattr__(self, "_transient", set())
        object.__setattr__(self, "training", True)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; subclasses write it, callers call the module itself."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(); write one")

    def _held(self, name: str) -> Any:
        """`getattr(self, name)` of a parameter or buffer; a look for an attribute that is not there is dear."""
        own = self.__dict__
        if name in own["_parameters"]:
            return own["_parameters"][name]
        return own["_buffers"][name] if name in own["_buffers"] else getattr(self, name)

    def _weight_and_bias(self) -> tuple[Any, Any]:
        """`self.weight, self.bias`, which nearly always are parameters."""
        return _weight_and_bias(self) or (self.weight, self.bias)

    # -- hooks -----------------------------------------------------------------------------------------------
    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> HookHandle:
        """Call `hook(module, args, output)` after each forward; what it returns (if anything) is the output.

        `with_kwargs`: it is called as `hook(module, args, kwargs, output)`. `always_call`: after an error too.
        `prepend`: before the hooks that are there already. `remove()` of the handle takes the hook away.
        """
        return registered(self._forward_hooks, Hook(hook, with_kwargs, always_call), prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args)` before each forward; what it returns (if anything) are the arguments.

        `with_kwargs`: it is called as `hook(module, args, kwargs)` and returns (args, kwargs).
        """
        return registered(self._forward_pre_hooks, Hook(hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of forward's arguments have been computed.

        Both are tuples, with None for what has no gradient; a tuple that it returns takes the place of grad_input.
        """
        return registered(self._backward_hooks, Hook(hook), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_output)` before the backward pass of a call; what it returns replaces grad_output."""
        return registered(self._backward_pre_hooks, Hook(hook), prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, prefix, keep_vars)` before this module's tensors are put into a state."""
        return registered(self._state_dict_pre_hooks, Hook(hook))

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after they were put there; it may change it."""
        return registered(self._state_dict_hooks, Hook(hook))

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Before anything is loaded, call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)`: it may rename entries (`state_dict` is a copy) and report errors."""
        return registered(self._load_state_dict_pre_hooks, Hook(hook))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, incompatible_keys)` after loading; names it takes out of the lists are forgiven."""
        return registered(self._load_state_dict_post_hooks, Hook(hook))

    # -- registration ----------------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning {name}")
        kinds = (self._parameters, self._buffers, self._modules)
        if isinstance(value, Parameter):
            home: dict[str, Any] | None = self._parameters
        elif isinstance(value, Module):
            home = self._modules
        elif isinstance(value, Tensor) and (name in self._buffers or isinstance(value, Buffer)):
            home = self._buffers
        elif value is None and any(name in kind for kind in kinds):
            home = next(kind for kind in kinds if name in kind)
        elif name in self._parameters or name in self._modules:
            what = "Parameter" if name in self._parameters else "Module"
            raise TypeError(f"{type(self).__name__}.{name} is a {what}; it cannot become a {type(value).__name__}")
        else:
            home = None
        if home is None:
            object.__setattr__(self, name, value)
            return
        for other in (*kinds, self.__dict__):
            if other is not home:
                other.pop(name, None)
        if isinstance(value, Buffer):
            (self._transient.discard if value.persistent else self._transient.add)(name)
        elif home is not self._buffers:
            self._transient.discard(name)
        home[name] = value

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for kind in ("_parameters", "_buffers", "_modules"):
            if kind in own and name in own[kind]:
                return own[kind][name]
        close = difflib.get_close_matches(name, dir(self), 1) if not name.startswith("_") else []
        hint = f"; did you mean {close[0]}?" if close else ""
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    def __delattr__(self, name: str) -> None:
        for kind in (self._parameters, self._buffers, self._modules):
            if kind.pop(name, self) is not self:
                self._transient.discard(name)
                return
        if name not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Add a parameter under `name`; None reserves the name (a layer without bias)."""
        if parameter is not None and not isinstance(parameter, Parameter):
            raise TypeError(f"register_parameter: {name} is a {type(parameter).__name__}; wrap it: nn.Parameter(…)")
        self._check_name(name, self._parameters)
        self._parameters[name] = parameter

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Add a tensor that belongs to the state but is not trained; `persistent=False` keeps it out of state_dict."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer: {name} is a {type(tensor).__name__}, not a tensor")
        self._check_name(name, self._buffers)
        self._buffers[name] = tensor
        (self._transient.discard if persistent else self._transient.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under `name`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: {name} is a {type(module).__name__}, not a Module")
        self._check_name(name, self._modules)
        self._modules[name] = module

    register_module = add_module

    def _check_name(self, name: str, home: dict[str, Any]) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"{type(self).__name__}: {name!r} cannot be a name: names are not empty and have no dot")
        taken = name in self.__dict__ or hasattr(type(self), name)
        if taken or any(name in kind for kind in (self._parameters, self._buffers, self._modules) if kind is not home):
            raise KeyError(f"{type(self).__name__} has an attribute {name!r} already; choose another name")

    # -- looking around --------------------------------------------------------------------------------------
    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(dotted name, module) of this module and all below it, each once unless duplicates are asked for."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def _named(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        places = self.named_modules(None, prefix, remove_duplicate) if recurse else iter([(prefix, self)])
        for path, module in places:
            for name, value in getattr(module, kind).items():
                if value is not None and id(value) not in seen:
                    if remove_duplicate:
                        seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter), each parameter once even if it is used in two places (weight tying)."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """(dotted name, buffer), each once unless duplicates are asked for."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the modules directly below, each once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below."""
        return (module for _, module in self.named_children())

    def get_submodule(self, target: str) -> Module:
        """The module with a dotted name; "" is this one."""
        module = self
        for name in target.split(".") if target else []:
            found = module._modules.get(name)
            if found is None:
                raise AttributeError(f"{type(self).__name__} has no submodule {target!r} ({name!r} is missing)")
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with a dotted name."""
        return self._found("_parameters", target, "parameter")  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Any:
        """The buffer with a dotted name."""
        return self._found("_buffers", target, "buffer")

    def _found(self, kind: str, target: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        home = getattr(self.get_submodule(path), kind)
        if name not in home:
            raise AttributeError(f"{type(self).__name__} has no {what} {target!r}")
        return home[name]

    # -- switches --------------------------------------------------------------------------------------------
    def train(self, mode: bool = True) -> Any:
        """Training mode for this module and all below it: dropout drops."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: the mode is True or False, got {mode!r}")
        object.__setattr__(self, "training", mode)
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Any:
        """Evaluation mode: the opposite of `train()`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Freeze (False) or thaw all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or set them to zero."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad.zero_()

    def apply(self, function: Callable[[Module], Any]) -> Any:
        """Call `function` on every module, children first; for initialisation of one's own."""
        for module in self.children():
            module.apply(function)
        function(self)
        return self

    def to(self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False,
           memory_format: Any = None) -> Any:  # fmt: skip
        """Parameters and buffers on a device, floats in `dtype`; in place: optimisers keep their parameters.

        Arguments as of `Tensor.to`: a dtype, a device, both, or a tensor whose dtype is wanted.
        """
        for a in args:
            if isinstance(a, Tensor):
                dtype, device = a.dtype, a.device
            elif (isinstance(a, str) and a.split(":")[0] in ("cpu", "cuda")) or type(a).__name__ == "device":
                device = a
            elif a is not None and not isinstance(a, bool):
                dtype = a
        on(device)  # it is there, or this is an error
        wanted = None if dtype is None else check_dtype(dtype)
        if wanted is not None and wanted.kind != "f":
            raise TypeError(f"Module.to: parameters are floats, they cannot become {wanted}")
        for tensor in (*self.parameters(), *self.buffers()):
            there = tensor.detach().to(dtype=wanted if tensor.dtype.kind == "f" else None, device=device)
            if there.dtype != tensor.dtype or there.device != tensor.device:
                tensor.data = there
                tensor._bump()  # a graph recorded before must not go on with the new memory
                tensor.grad = None if tensor.grad is None else tensor.grad.detach().to(there)
        return self

    def cpu(self) -> Any:
        """The module with parameters and buffers on the CPU."""
        return self.to(device="cpu")

    def cuda(self, device: Any = None) -> Any:
        """The module with parameters and buffers on the GPU."""
        return self.to(device="cuda")

    def type(self, dst_type: Any) -> Any:
        """All float parameters and buffers in the dtype `dst_type`."""
        return self.to(dtype=dst_type)

    def half(self) -> Any:
        """All float parameters and buffers in float16."""
        return self.to(dtype="float16")

    def bfloat16(self) -> Any:
        """All float parameters and buffers in bfloat16."""
        return self.to(dtype="bfloat16")

    def share_memory(self) -> Any:
        """The module itself: processes that are forked from this one see its memory as it was at that moment."""
        return self

    def float(self) -> Any:
        """All float parameters and buffers in float32."""
        return self.to(np.dtype(np.float32))

    def double(self) -> Any:
        """All float parameters and buffers in float64."""
        return self.to(np.dtype(np.float64))

    # -- state -----------------------------------------------------------------------------------------------
    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Dotted name → tensor (outside the graph, sharing memory) of all parameters and persistent buffers.

        Names start with `prefix` and are added to `destination` if there is one; `keep_vars` gives the parameters
        themselves.
        """
        state: Any = OrderedDict() if destination is None else destination
        collect(self, state, prefix, keep_vars)
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values into the parameters and buffers of the same names.

        Everything is checked first: all missing, unexpected and mis-shaped names are reported in one error, and then
        nothing has been changed. `strict=False` lets names be missing or unexpected, and returns them. `assign` puts
        the tensors of the state in the place of the module's own instead of copying from them.
        """
        return load(self, state_dict, strict, assign)

    # -- printing --------------------------------------------------------------------------------------------
    def extra_repr(self) -> str:
        """What stands between the brackets when the module is printed."""
        return ""

    def __repr__(self) -> str:
        lines = self.extra_repr().split("\n") if self.extra_repr() else []
        children = []
        for name, module in self._modules.items():
            first, *rest = repr(module).split("\n")
            children.append("\n".join([f"({name}): {first}", *["  " + line for line in rest]]))
        head = type(self).__name__ + "("
        if len(lines) == 1 and not children:
            return head + lines[0] + ")"
        lines += children
        return head + ("\n  " + "\n  ".join("\n  ".join(lines).split("\n  ")) + "\n" if lines else "") + ")"
