"""`Module`: a tree of parameters and a forward pass."""

from __future__ import annotations

import difflib
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..tensor import HookHandle, Tensor, check_device, check_dtype
from .parameter import Parameter

IncompatibleKeys = namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])


class Module:
    """The base of all layers and models: subclass it, assign parameters and modules to attributes, write `forward`.

    Assignment registers: `Parameter`s are what optimisers change, `Module`s are searched in turn, buffers
    (`register_buffer`) are saved but not optimised.
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Any]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        for name in ("_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks"):
            object.__setattr__(self, name, {})
        object.__setattr__(self, "_transient", set())
        object.__setattr__(self, "training", True)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; subclasses write it, callers call the module itself."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(); write one")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._forward_hooks and not self._forward_pre_hooks:
            return self.forward(*args, **kwargs)
        for hook in list(self._forward_pre_hooks.values()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **kwargs)
        for hook in list(self._forward_hooks.values()):
            changed = hook(self, args, result)
            result = result if changed is None else changed
        return result

    def register_forward_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, inputs, output)` after each forward; what it returns (if anything) is the output."""
        return HookHandle(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, inputs)` before each forward; what it returns (if anything) are the inputs."""
        return HookHandle(self._forward_pre_hooks, hook)

    # -- registration ----------------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning {name}")
        kinds = (self._parameters, self._buffers, self._modules)
        if isinstance(value, Parameter):
            home: dict[str, Any] | None = self._parameters
        elif isinstance(value, Module):
            home = self._modules
        elif isinstance(value, Tensor) and name in self._buffers:
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
        if home is not self._buffers:
            self._transient.discard(name)
        home[name] = value

    def __getattr__(self, name: str) -> Any:
        for kind in ("_parameters", "_buffers", "_modules"):
            registered = self.__dict__.get(kind, {})
            if name in registered:
                return registered[name]
        close = difflib.get_close_matches(name, dir(self), 1) if not name.startswith("_") else []
        hint = f"; did you mean {close[0]}?" if close else ""
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    def __delattr__(self, name: str) -> None:
        for kind in (self._parameters, self._buffers, self._modules):
            if kind.pop(name, self) is not self:
                return
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
    def named_modules(self, prefix: str = "", _seen: set[int] | None = None) -> Iterator[tuple[str, Module]]:
        """(dotted name, module) of this module and all below it, each once."""
        seen = set() if _seen is None else _seen
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(f"{prefix}.{name}" if prefix else name, seen)

    def _named(self, kind: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, value in getattr(module, kind).items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter), each parameter once even if it is used in two places (weight tying)."""
        return self._named("_parameters", prefix, recurse)

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Any]]:
        """(dotted name, buffer), each once."""
        return self._named("_buffers", prefix, recurse)

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
        """(name, module) of the modules directly below."""
        return ((name, module) for name, module in self._modules.items() if module is not None)

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

    # -- switches --------------------------------------------------------------------------------------------
    def train(self, mode: bool = True) -> Any:
        """Training mode for this module and all below it: dropout drops."""
        for module in self.modules():
            object.__setattr__(module, "training", bool(mode))
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

    def to(self, *args: Any, dtype: Any = None, device: Any = None) -> Any:
        """Convert float parameters and buffers to `dtype`, in place: optimisers made before keep their parameters."""
        for a in args:
            if isinstance(a, str) and a.split(":")[0] in ("cpu", "cuda"):
                device = a
            else:
                dtype = a.dtype if isinstance(a, Tensor) else a
        check_device(device)
        if dtype is None:
            return self
        wanted = check_dtype(dtype)
        if wanted.kind != "f":
            raise TypeError(f"Module.to: parameters are floats, they cannot become {wanted}")
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.dtype.kind == "f" and tensor.dtype != wanted:
                tensor.data = tensor.detach().to(wanted)
                tensor._bump()  # a graph recorded before must not go on with the new memory
                tensor.grad = None if tensor.grad is None else tensor.grad.detach().to(wanted)
        return self

    def cpu(self) -> Any:
        """The module itself: there is only the CPU."""
        return self

    def float(self) -> Any:
        """All float parameters and buffers in float32."""
        return self.to(np.dtype(np.float32))

    def double(self) -> Any:
        """All float parameters and buffers in float64."""
        return self.to(np.dtype(np.float64))

    # -- state -----------------------------------------------------------------------------------------------
    def state_dict(self) -> OrderedDict[str, Any]:
        """Dotted name → tensor (outside the graph, sharing memory) of all parameters and persistent buffers."""
        state: OrderedDict[str, Any] = OrderedDict()
        self._collect(state, "")
        return state

    def _collect(self, state: OrderedDict[str, Any], prefix: str) -> None:
        for name, value in (*self._parameters.items(), *self._buffers.items()):
            if value is not None and name not in self._transient:
                state[prefix + name] = value.detach()
        for name, module in self._modules.items():
            if module is not None:
                module._collect(state, f"{prefix}{name}.")

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy values into the parameters and buffers of the same names.

        Everything is checked first: all missing, unexpected and mis-shaped names are reported in one error, and then
        nothing has been changed. `strict=False` lets names be missing or unexpected, and returns them.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dictionary of tensors, got {type(state_dict).__name__}")
        own = self.state_dict()
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        arrays = {
            name: value._array if isinstance(value, Tensor) else np.asarray(value)
            for name, value in state_dict.items()
            if name in own
        }
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
        problems += [f"{name}: its memory is read-only" for name in arrays if not own[name]._array.flags.writeable]
        if strict:
            problems += [f"missing: {name}" for name in missing] + [f"unexpected: {name}" for name in unexpected]
        if problems:
            listed = "\n  ".join(problems)
            raise StateDictError(f"{type(self).__name__}.load_state_dict: nothing was loaded, because\n  {listed}")
        with no_grad():
            for name, array in arrays.items():
                own[name].copy_(Tensor._wrap(array[...]))
        return IncompatibleKeys(missing, unexpected)

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


class StateDictError(ValueError, RuntimeError):
    """A state that does not fit a module: a ValueError, and a RuntimeError too, which is what PyTorch raises."""
