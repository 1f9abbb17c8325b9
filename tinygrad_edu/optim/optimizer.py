"""`Optimizer`: parameter groups, state, and what all optimisers share."""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import enable_grad
from ..autograd.grad_mode import switch_grad
from ..autograd.variable import arrays_of, count_changes, forget_gradients, gradients_of, with_gradient
from ..errors import InputError, KindError
from ..kernels import K, beside
from ..tensor import HookHandle, Tensor

_of_one_dtype = getattr(K, "of_one_dtype", None)  # says quickly that they are; nothing else
NUMBERS = {"step", "mu_product", "eta", "mu"}  # entries of a state that are numbers here and 0-d tensors in PyTorch


def positive(name: str, value: Any, zero: bool = True) -> None:
    """ValueError unless `value` is a number ≥ 0 (> 0 without `zero`)."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.number)
        or not value >= 0
        or (not zero and value == 0)
    ):
        raise InputError(f"{name} is {value!r}; it must be a number {'≥' if zero else '>'} 0")


def switches(foreach: bool | None = None, capturable: bool = False, differentiable: bool = False,
             fused: Any = False) -> dict[str, Any]:  # fmt: skip
    """PyTorch's switches between its implementations, kept in the groups for its sake; there is one implementation."""
    if differentiable:
        raise NotImplementedError("differentiable=True: steps are not recorded here; write p - lr * p.grad yourself")
    names = {"foreach": foreach, "capturable": capturable, "differentiable": differentiable}
    return names if fused is False else {**names, "fused": fused}


class Optimizer:
    """Changes parameters by their gradients. Subclasses write `_update(group, parameters)`, or all of `step`.

    `params`: tensors, (name, tensor) pairs, or dictionaries {"params": tensors, "lr": …} that override `defaults` for
    their group.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in vars(cls):  # a subclass may bring a step of its own: hooks are called all the same
            cls.step = _with_hooks(vars(cls)["step"])  # type: ignore[method-assign]

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise KindError("Optimizer: params is one tensor; pass a list of them, such as model.parameters()")
        if isinstance(params, set | frozenset):
            raise KindError("Optimizer: params is a set, which has no fixed order; pass a list")
        self.defaults = defaults
        self._pre_hooks: dict[int, Callable[..., Any]] = {}
        self._post_hooks: dict[int, Callable[..., Any]] = {}
        self.state: dict[Any, dict[str, Any]] = defaultdict(dict)  # by parameter: its own buffers
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise InputError("Optimizer: there are no parameters; is model.parameters() empty, or used up already?")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add parameters with hyperparameters of their own."""
        if not isinstance(group, dict) or "params" not in group:
            raise KindError(
                'Optimizer: a parameter group is a dictionary with "params", such as {"params": […], "lr": …}'
            )
        chosen = group["params"]
        if isinstance(chosen, set | frozenset):
            raise KindError("Optimizer: params is a set, which has no fixed order; pass a list")
        chosen = [chosen] if isinstance(chosen, Tensor) else list(chosen)
        names = {}
        if chosen and all(isinstance(p, tuple) and len(p) == 2 for p in chosen):  # model.named_parameters()
            names = {"param_names": [name for name, _ in chosen]}
            chosen = [p for _, p in chosen]
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for i, p in enumerate(chosen):
            if not isinstance(p, Tensor):
                raise KindError(f"Optimizer: parameter {i} is a {type(p).__name__}, not a tensor")
            if not p.is_leaf:
                raise InputError(f"Optimizer: parameter {i} of shape {p.shape} was computed; only leaves are optimised")
            if p.dtype.kind != "f":
                raise KindError(f"Optimizer: parameter {i} of shape {p.shape} is {p.dtype}; only floats are optimised")
            if id(p) in known:
                raise InputError(f"Optimizer: parameter {i} of shape {p.shape} appears twice")
            known.add(id(p))
        complete = {**self.defaults, **group, **names, "params": chosen}
        self._check(complete)
        self.param_groups.append(complete)

    def _check(self, group: dict[str, Any]) -> None:
        for name in ("lr", "weight_decay", "eps", "momentum", "lr_decay", "momentum_decay", "lambd"):
            if name in group:
                positive(name, group[name])
        betas = group.get("betas", ())
        if betas and (len(betas) != 2 or not all(0 <= beta < 1 for beta in betas)):
            raise InputError(f"betas are {betas}; each of the two must lie in [0, 1)")

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return new (args, kwargs)."""
        return HookHandle(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return HookHandle(self._post_hooks, hook)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or set them to zero."""
        for group in self.param_groups:
            if set_to_none:
                forget_gradients(group["params"])
                continue
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of all parameters that have a gradient. `closure`, if given, computes it; its loss is returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        recording = switch_grad(False)
        try:
            for group in self.param_groups:
                chosen = with_gradient(group["params"])
                for part in _by_dtype(chosen):
                    self._update(group, part)
                count_changes(chosen)
        finally:
            switch_grad(recording)
        return loss

    def _update(self, group: dict[str, Any], chosen: list[Any]) -> None:
        """Change the parameters `chosen`, of one dtype, all with a gradient."""
        raise NotImplementedError(f"{type(self).__name__} has no _update(group, parameters)")

    def _buffers(self, chosen: list[Any], name: str) -> list[Any]:
        """The arrays of one state buffer, made of zeros where a parameter has none yet."""
        states, buffers = self.state, []
        for p in chosen:
            state = states[p]
            if name not in state or state[name] is None:  # PyTorch's files have a None there
                state[name] = Tensor._wrap(beside(p._array).full(p.shape, 0, p.dtype))
            buffers.append(state[name])
        return arrays_of(buffers)

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: buffers}, "param_groups": [...]} with parameters as numbers, as PyTorch lays it out."""
        numbers = {id(p): i for i, p in enumerate(p for g in self.param_groups for p in g["params"])}
        groups = [{**g, "params": [numbers[id(p)] for p in g["params"]]} for g in self.param_groups]
        return {"state": {numbers[id(p)]: dict(s) for p, s in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state; it must have as many groups and parameters as this optimiser, and buffers that fit."""
        groups = state_dict["param_groups"]
        sizes, theirs = [len(g["params"]) for g in self.param_groups], [len(g["params"]) for g in groups]
        if sizes != theirs:
            raise InputError(f"load_state_dict: the state has groups of {theirs} parameters, this optimiser {sizes}")
        parameters: dict[int, Any] = {
            int(number): p
            for g, own in zip(groups, self.param_groups, strict=True)
            for number, p in zip(g["params"], own["params"], strict=True)
        }
        loaded: dict[Any, dict[str, Any]] = defaultdict(dict)
        for number, buffers in state_dict["state"].items():
            if int(number) not in parameters:
                raise InputError(f"load_state_dict: there is state for parameter {number}, but no group has it")
            p = parameters[int(number)]
            for name, value in buffers.items():
                loaded[p][name] = self._taken(f"{name} of parameter {number}", name, value, p)
        merged = [
            {**own, **copy.deepcopy({k: v for k, v in g.items() if k != "params"})}
            for own, g in zip(self.param_groups, groups, strict=True)
        ]
        for group in merged:
            self._check(group)
        self.state = loaded
        for own, group in zip(self.param_groups, merged, strict=True):
            own.update(group)

    def _taken(self, what: str, name: str, value: Any, p: Any) -> Any:
        """A copy of one entry of a foreign state, as the update works with it."""
        if name in NUMBERS:
            return int(value) if name == "step" else float(value)
        if not hasattr(value, "__array__"):
            return copy.deepcopy(value)
        if tuple(value.shape) != p.shape:
            raise InputError(f"load_state_dict: {what} has shape {tuple(value.shape)}, not {p.shape}")
        return Tensor(value, p.dtype, p.device)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def _by_dtype(chosen: list[Any]) -> list[list[Any]]:
    """Parameters of one dtype together, as a kernel call takes them: nearly always one list.

    TypeError if a gradient has another dtype than its parameter.
    """
    arrays, gradients = arrays_of(chosen), gradients_of(chosen)
    if _of_one_dtype is not None and _of_one_dtype(arrays, gradients):
        return [chosen]
    several = False
    for i in range(len(arrays)):
        dtype = arrays[i].dtype
        if gradients[i].dtype is not dtype and gradients[i].dtype != dtype:
            p = chosen[i]
            raise KindError(f"step: a parameter is {p.dtype}, its gradient {p.grad.dtype}; they must agree")
        several = several or (dtype is not arrays[0].dtype and dtype != arrays[0].dtype)
    if not several:
        return [chosen] if chosen else []
    parts: dict[Any, list[Any]] = {}
    for p in chosen:
        parts.setdefault(p._array.dtype, []).append(p)
    return list(parts.values())


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` between the hooks that its optimiser has."""

    @functools.wraps(step)
    def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._pre_hooks and not self._post_hooks:
            return step(self, *args, **kwargs) if args or kwargs else step(self)
        if self._pre_hooks:
            for hook in list(self._pre_hooks.values()):
                changed = hook(self, args, kwargs)
                if changed is not None:
                    args, kwargs = changed
        result = step(self, *args, **kwargs)
        if self._post_hooks:
            for hook in list(self._post_hooks.values()):
                hook(self, args, kwargs)
        return result

    return hooked


Optimizer.step = _with_hooks(Optimizer.step)  # type: ignore[method-assign]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak 1964; Nesterov 1983) and weight decay.

    m ← momentum·m + (1 − dampening)·g, p ← p − lr·m. Without momentum p ← p − lr·g. `foreach` and `fused` are taken
    for the sake of programs written for PyTorch; every step here is one kernel call over all parameters.
    """

    def __init__(self, params: Any, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
                 weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, differentiable: bool = False,
                 fused: bool | None = None) -> None:  # fmt: skip
        flags = switches(foreach, False, differentiable, fused)
        del flags["capturable"]
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                                  "nesterov": nesterov, "maximize": maximize, **flags})  # fmt: skip

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise InputError("nesterov needs a momentum above 0 and no dampening")

    def _update(self, group: dict[str, Any], chosen: list[Any]) -> None:
        if not group["momentum"]:
            K.sgd(arrays_of(chosen), gradients_of(chosen), None, lr=group["lr"], momentum=0,
                  dampening=0, weight_decay=group["weight_decay"], nesterov=False, maximize=group["maximize"],
                  first=False)  # fmt: skip
            return
        options = {name: group[name] for name in
                   ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")}  # fmt: skip
        seen = [p for p in chosen if self.state.get(p, {}).get("momentum_buffer") is not None]
        fresh = [p for p in chosen if self.state.get(p, {}).get("momentum_buffer") is None]
        for part, first in ((fresh, True), (seen, False)):
            if part:
                momenta = self._buffers(part, "momentum_buffer")
                K.sgd(arrays_of(part), gradients_of(part), momenta, first=first, **options)


class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square. Kingma & Ba 2015.

    `weight_decay` is added to the gradient, or with `decoupled_weight_decay` shrinks the parameter as in `AdamW`;
    `amsgrad` uses the largest second moment so far (Reddi et al. 2018). `foreach` and `fused` change nothing.
    """

    decoupled = False

    def __init__(self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None,
                 maximize: bool = False, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None, decoupled_weight_decay: bool = False) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "amsgrad": amsgrad, "maximize": maximize,
                                  **switches(foreach, capturable, differentiable, fused),
                                  "decoupled_weight_decay": decoupled_weight_decay or self.decoupled})  # fmt: skip

    def _update(self, group: dict[str, Any], chosen: list[Any]) -> None:
        by_step: dict[int, list[Any]] = {}  # parameters that were without a gradient for a while count on their own
        states = self.state
        for p in chosen:
            state = states[p]
            step = state["step"] = int(state["step"]) + 1 if "step" in state else 1
            if step in by_step:
                by_step[step].append(p)
            else:
                by_step[step] = [p]
        for step, part in by_step.items():
            K.adam(
                arrays_of(part),
                gradients_of(part),
                self._buffers(part, "exp_avg"),
                self._buffers(part, "exp_avg_sq"),
                self._buffers(part, "max_exp_avg_sq") if group["amsgrad"] else None,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                eps=group["eps"],
                weight_decay=group["weight_decay"],
                step=step,
                decoupled=self.decoupled or group["decoupled_weight_decay"],
                maximize=group["maximize"],
            )


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: p ← p·(1 − lr·weight_decay). Loshchilov & Hutter 2019."""

    decoupled = True

    def __init__(self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, foreach=foreach,
                         capturable=capturable, differentiable=differentiable, fused=fused)  # fmt: skip
