"""`Optimizer`: parameter groups, state, and what all optimisers share."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import enable_grad, no_grad
from ..kernels import K
from ..tensor import Tensor


def positive(name: str, value: Any, zero: bool = True) -> None:
    """ValueError unless `value` is a number ≥ 0 (> 0 without `zero`)."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.number)
        or not value >= 0
        or (not zero and value == 0)
    ):
        raise ValueError(f"{name} is {value!r}; it must be a number {'≥' if zero else '>'} 0")


class Optimizer:
    """Changes parameters by their gradients. Subclasses write `_update(group, parameters)`.

    `params`: tensors, or dictionaries {"params": tensors, "lr": …} that override `defaults` for their group.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError("Optimizer: params is one tensor; pass a list of them, such as model.parameters()")
        if isinstance(params, set | frozenset):
            raise TypeError("Optimizer: params is a set, which has no fixed order; pass a list")
        self.defaults = defaults
        self.state: dict[Any, dict[str, Any]] = defaultdict(dict)  # by parameter: its own buffers
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("Optimizer: there are no parameters; is model.parameters() empty, or used up already?")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add parameters with hyperparameters of their own."""
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(
                'Optimizer: a parameter group is a dictionary with "params", such as {"params": […], "lr": …}'
            )
        chosen = group["params"]
        if isinstance(chosen, set | frozenset):
            raise TypeError("Optimizer: params is a set, which has no fixed order; pass a list")
        chosen = [chosen] if isinstance(chosen, Tensor) else list(chosen)
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for i, p in enumerate(chosen):
            if not isinstance(p, Tensor):
                raise TypeError(f"Optimizer: parameter {i} is a {type(p).__name__}, not a tensor")
            if not p.is_leaf:
                raise ValueError(f"Optimizer: parameter {i} of shape {p.shape} was computed; only leaves are optimised")
            if p.dtype.kind != "f":
                raise TypeError(f"Optimizer: parameter {i} of shape {p.shape} is {p.dtype}; only floats are optimised")
            if id(p) in known:
                raise ValueError(f"Optimizer: parameter {i} of shape {p.shape} appears twice")
            known.add(id(p))
        complete = {**self.defaults, **group, "params": chosen}
        self._check(complete)
        self.param_groups.append(complete)

    def _check(self, group: dict[str, Any]) -> None:
        positive("lr", group["lr"])
        positive("weight_decay", group["weight_decay"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or set them to zero."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p.grad is None:
                    p.grad = None
                else:
                    p.grad.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of all parameters that have a gradient. `closure`, if given, computes it; its loss is returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                chosen = [p for p in group["params"] if p.grad is not None]
                for p in chosen:
                    if p.grad.dtype != p.dtype:
                        raise TypeError(f"step: a parameter is {p.dtype}, its gradient {p.grad.dtype}; they must agree")
                for dtype in {p.dtype: None for p in chosen}:  # nearly always one: a kernel call takes one dtype
                    self._update(group, [p for p in chosen if p.dtype == dtype])
                for p in chosen:
                    p._bump()
        return loss

    def _update(self, group: dict[str, Any], chosen: list[Any]) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no _update(group, parameters)")

    def _buffers(self, chosen: list[Any], name: str) -> list[Any]:
        """The arrays of one state buffer, made of zeros where a parameter has none yet."""
        for p in chosen:
            state = self.state.setdefault(p, {})
            if name not in state:
                state[name] = Tensor._wrap(K.full(p.shape, 0, p.dtype))
        return [self.state[p][name]._array for p in chosen]

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
            raise ValueError(f"load_state_dict: the state has groups of {theirs} parameters, this optimiser {sizes}")
        parameters: dict[int, Any] = {
            int(number): p
            for g, own in zip(groups, self.param_groups, strict=True)
            for number, p in zip(g["params"], own["params"], strict=True)
        }
        loaded: dict[Any, dict[str, Any]] = defaultdict(dict)
        for number, buffers in state_dict["state"].items():
            if int(number) not in parameters:
                raise ValueError(f"load_state_dict: there is state for parameter {number}, but no group has it")
            p = parameters[int(number)]
            for name, value in buffers.items():
                if name == "step":
                    loaded[p][name] = int(value)
                elif isinstance(value, Tensor | np.ndarray):
                    if tuple(value.shape) != p.shape:
                        raise ValueError(
                            f"load_state_dict: {name} of parameter {number} has shape {value.shape}, not {p.shape}"
                        )
                    loaded[p][name] = Tensor(value, p.dtype)  # a copy, in the dtype that the update works in
                else:
                    loaded[p][name] = copy.deepcopy(value)
        merged = [
            {**own, **copy.deepcopy({k: v for k, v in g.items() if k != "params"})}
            for own, g in zip(self.param_groups, groups, strict=True)
        ]
        for group in merged:
            self._check(group)
        self.state = loaded
        for own, group in zip(self.param_groups, merged, strict=True):
            own.update(group)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak 1964; Nesterov 1983) and weight decay.

    m ← momentum·m + (1 − dampening)·g, p ← p − lr·m. Without momentum p ← p − lr·g. `foreach` and `fused` are taken
    for the sake of programs written for PyTorch; every step here is one kernel call over all parameters.
    """

    def __init__(self, params: Any, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
                 weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, fused: bool | None = None) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                                  "nesterov": nesterov, "maximize": maximize})  # fmt: skip

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        positive("momentum", group["momentum"])
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")

    def _update(self, group: dict[str, Any], chosen: list[Any]) -> None:
        options = {name: group[name] for name in
                   ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")}  # fmt: skip
        if not group["momentum"]:
            K.sgd([p._array for p in chosen], [p.grad._array for p in chosen], None, first=False, **options)
            return
        fresh = [p for p in chosen if "momentum_buffer" not in self.state.get(p, {})]
        seen = [p for p in chosen if "momentum_buffer" in self.state.get(p, {})]
        for part, first in ((fresh, True), (seen, False)):
            if part:
                momenta = self._buffers(part, "momentum_buffer")
                K.sgd([p._array for p in part], [p.grad._array for p in part], momenta, first=first, **options)


class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square. Kingma & Ba 2015.

    `weight_decay` is added to the gradient; `amsgrad` uses the largest second moment so far (Reddi et al. 2018).
    `foreach` and `fused` change nothing, as in `SGD`.
    """

    decoupled = False

    def __init__(self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, amsgrad: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, fused: bool | None = None) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "amsgrad": amsgrad, "maximize": maximize})  # fmt: skip

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        positive("eps", group["eps"])
        if len(group["betas"]) != 2 or not all(0 <= beta < 1 for beta in group["betas"]):
            raise ValueError(f"betas are {group['betas']}; each of the two must lie in [0, 1)")

    def _update(self, group: dict[str, Any], chosen: list[Any]) -> None:
        by_step: dict[int, list[Any]] = {}  # parameters that were without a gradient for a while count on their own
        for p in chosen:
            state = self.state.setdefault(p, {})
            state["step"] = int(state.get("step", 0)) + 1
            by_step.setdefault(state["step"], []).append(p)
        for step, part in by_step.items():
            K.adam(
                [p._array for p in part],
                [p.grad._array for p in part],
                self._buffers(part, "exp_avg"),
                self._buffers(part, "exp_avg_sq"),
                self._buffers(part, "max_exp_avg_sq") if group["amsgrad"] else None,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                eps=group["eps"],
                weight_decay=group["weight_decay"],
                step=step,
                decoupled=self.decoupled,
                maximize=group["maximize"],
            )


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: p ← p·(1 − lr·weight_decay). Loshchilov & Hutter 2019."""

    decoupled = True

    def __init__(self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, fused: bool | None = None) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
