"""Optimisers whose update is a few lines of tensor arithmetic for each parameter, written as in their papers."""

from __future__ import annotations

import math
from typing import Any

from ..creation import full, ones_like, zeros_like
from ..errors import InputError
from ..ops import maximum, where
from .optimizer import Optimizer, positive, switches

State = dict[str, Any]


class Elementwise(Optimizer):
    """One parameter at a time: subclasses write `_change(p, g, state, group)`, which changes p and state in place."""

    def _update(self, group: State, chosen: list[Any]) -> None:
        for p in chosen:
            state = self.state[p]
            if "step" not in state:
                state.update(step=0, **self._fresh(p, group))
            state["step"] += 1
            value, g, decay = p.detach(), p.grad.detach(), group.get("weight_decay", 0)
            g = -g if group["maximize"] else g
            if decay and group.get("decoupled_weight_decay"):
                value.mul_(1 - group["lr"] * decay)
            elif decay:
                g = g + decay * value
            self._change(value, g, state, group)

    def _fresh(self, p: Any, group: State) -> State:
        """The state of a parameter before its first step."""
        raise NotImplementedError(f"{type(self).__name__} has no _fresh(parameter, group)")

    def _change(self, p: Any, g: Any, state: State, group: State) -> None:
        """One step: p (outside the graph) and the state change in place; g has its sign and weight decay."""
        raise NotImplementedError(f"{type(self).__name__} has no _change(p, g, state, group)")


def running(mean: Any, new: Any, beta: float) -> Any:
    """mean ← beta·mean + (1 − beta)·new, in place."""
    return mean.mul_(beta).add_(new, alpha=1 - beta)


class RMSprop(Elementwise):
    """Steps divided by the running root mean square of the gradient. Hinton 2012; `centered`: Graves 2013.

    v ← alpha·v + (1 − alpha)·g², p ← p − lr·g/(√v + eps); centred, v − mean(g)² takes the place of v.
    """

    def __init__(self, params: Any, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
                 momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
                 maximize: bool = False, differentiable: bool = False) -> None:  # fmt: skip
        positive("alpha", alpha)
        super().__init__(params, {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
                                  "weight_decay": weight_decay, "maximize": maximize,
                                  **switches(foreach, capturable, differentiable)})  # fmt: skip

    def _fresh(self, p: Any, group: State) -> State:
        names = ["square_avg", "momentum_buffer"][: 1 + (group["momentum"] > 0)] + ["grad_avg"] * bool(
            group["centered"]
        )
        return {name: zeros_like(p) for name in names}

    def _change(self, p: Any, g: Any, state: State, group: State) -> None:
        v = running(state["square_avg"], g * g, group["alpha"])
        if group["centered"]:
            mean = running(state["grad_avg"], g, group["alpha"])
            v = v - mean * mean
        step = g / (v.sqrt() + group["eps"])
        if group["momentum"]:
            step = state["momentum_buffer"].mul_(group["momentum"]).add_(step)
        p.sub_(step, alpha=group["lr"])


class Adagrad(Elementwise):
    """Steps divided by the root of the sum of all squared gradients. Duchi, Hazan & Singer 2011."""

    def __init__(self, params: Any, lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
                 initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
                 maximize: bool = False, differentiable: bool = False, fused: bool | None = None) -> None:  # fmt: skip
        positive("initial_accumulator_value", initial_accumulator_value)
        flags = switches(foreach, False, differentiable, fused)
        del flags["capturable"]
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                                  "initial_accumulator_value": initial_accumulator_value, "maximize": maximize,
                                  **flags})  # fmt: skip
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = {"step": 0, **self._fresh(p, group)}

    def _fresh(self, p: Any, group: State) -> State:
        return {"sum": full(p.shape, group["initial_accumulator_value"], dtype=p.dtype, device=p.device)}

    def _change(self, p: Any, g: Any, state: State, group: State) -> None:
        lr = group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
        p.sub_(g / (state["sum"].add_(g * g).sqrt() + group["eps"]), alpha=lr)


class Adadelta(Elementwise):
    """Steps in the units of the parameter: d = √(d̄² + eps)/√(ḡ² + eps)·g, p ← p − lr·d. Zeiler 2012."""

    def __init__(self, params: Any, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
                 foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False,
                 differentiable: bool = False) -> None:  # fmt: skip
        if not 0 <= rho <= 1:
            raise InputError(f"rho is {rho}; it must lie in [0, 1]")
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                                  **switches(foreach, capturable, differentiable)})  # fmt: skip

    def _fresh(self, p: Any, group: State) -> State:
        return {"square_avg": zeros_like(p), "acc_delta": zeros_like(p)}

    def _change(self, p: Any, g: Any, state: State, group: State) -> None:
        v = running(state["square_avg"], g * g, group["rho"])
        step = (state["acc_delta"] + group["eps"]).sqrt() / (v + group["eps"]).sqrt() * g
        running(state["acc_delta"], step * step, group["rho"])
        p.sub_(step, alpha=group["lr"])


class Adamax(Elementwise):
    """Adam with the largest recent |g| in place of its root mean square. Kingma & Ba 2015, section 7."""

    def __init__(self, params: Any, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False,
                 differentiable: bool = False, capturable: bool = False) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "maximize": maximize, **switches(foreach, capturable, differentiable)})  # fmt: skip

    def _fresh(self, p: Any, group: State) -> State:
        return {"exp_avg": zeros_like(p), "exp_inf": zeros_like(p)}

    def _change(self, p: Any, g: Any, state: State, group: State) -> None:
        beta1, beta2 = group["betas"]
        m = running(state["exp_avg"], g, beta1)
        largest = state["exp_inf"].copy_(maximum(beta2 * state["exp_inf"], g.abs() + group["eps"]))
        p.sub_(m / largest, alpha=group["lr"] / (1 - beta1 ** state["step"]))


class NAdam(Elementwise):
    """Adam with Nesterov's momentum, itself scheduled by `momentum_decay`. Dozat 2016."""

    def __init__(self, params: Any, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
                 foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
                 differentiable: bool = False) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
                                  "maximize": maximize, **switches(foreach, capturable, differentiable)})  # fmt: skip

    def _fresh(self, p: Any, group: State) -> State:
        return {"mu_product": 1.0, "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}

    def _change(self, p: Any, g: Any, state: State, group: State) -> None:
        (beta1, beta2), t = group["betas"], state["step"]
        mu, after = (beta1 * (1 - 0.5 * 0.96 ** (n * group["momentum_decay"])) for n in (t, t + 1))
        state["mu_product"] *= mu
        m, v = running(state["exp_avg"], g, beta1), running(state["exp_avg_sq"], g * g, beta2)
        scale = (v / (1 - beta2**t)).sqrt() + group["eps"]
        p.sub_(g / scale, alpha=group["lr"] * (1 - mu) / (1 - state["mu_product"]))
        p.sub_(m / scale, alpha=group["lr"] * after / (1 - state["mu_product"] * after))


class RAdam(Elementwise):
    """Adam that waits with the second moment until its variance is known, and corrects for it. Liu et al. 2020."""

    def __init__(self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
                 maximize: bool = False, capturable: bool = False, differentiable: bool = False) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "maximize": maximize, **switches(foreach, capturable, differentiable),
                                  "decoupled_weight_decay": decoupled_weight_decay})  # fmt: skip

    def _fresh(self, p: Any, group: State) -> State:
        return {"exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}

    def _change(self, p: Any, g: Any, state: State, group: State) -> None:
        (beta1, beta2), t = group["betas"], state["step"]
        m, v = running(state["exp_avg"], g, beta1), running(state["exp_avg_sq"], g * g, beta2)
        limit = 2 / (1 - beta2) - 1
        rho = limit - 2 * t * beta2**t / (1 - beta2**t)  # the length of the average, in samples
        lr = group["lr"] / (1 - beta1**t)
        if rho > 5:
            rectified = math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
            p.sub_(m / (v.sqrt() + group["eps"]), alpha=lr * rectified * math.sqrt(1 - beta2**t))
        else:
            p.sub_(m, alpha=lr)


class ASGD(Elementwise):
    """Averaged SGD: `state[p]["ax"]` is the mean of p since step t0. Polyak & Juditsky 1992."""

    def __init__(self, params: Any, lr: float = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
                 weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False,
                 differentiable: bool = False, capturable: bool = False) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
                                  "maximize": maximize, **switches(foreach, capturable, differentiable)})  # fmt: skip

    def _fresh(self, p: Any, group: State) -> State:
        return {"eta": float(group["lr"]), "mu": 1.0, "ax": zeros_like(p)}

    def _change(self, p: Any, g: Any, state: State, group: State) -> None:
        p.mul_(1 - group["lambd"] * state["eta"]).sub_(g, alpha=state["eta"])
        state["ax"].add_(p - state["ax"], alpha=state["mu"])
        state["eta"] = group["lr"] / (1 + group["lambd"] * group["lr"] * state["step"]) ** group["alpha"]
        state["mu"] = 1 / max(1, state["step"] - group["t0"])


class Rprop(Elementwise):
    """Step sizes that grow while a gradient keeps its sign and shrink where it changes. Riedmiller & Braun 1993."""

    def __init__(self, params: Any, lr: float = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
                 step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
                 foreach: bool | None = None, maximize: bool = False,
                 differentiable: bool = False) -> None:  # fmt: skip
        if not 0 < etas[0] < 1 < etas[1]:
            raise InputError(f"etas are {etas}; the first must lie in (0, 1), the second above 1")
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize,
                                  **switches(foreach, capturable, differentiable)})  # fmt: skip

    def _fresh(self, p: Any, group: State) -> State:
        return {"prev": zeros_like(p), "step_size": full(p.shape, group["lr"], dtype=p.dtype, device=p.device)}

    def _change(self, p: Any, g: Any, state: State, group: State) -> None:
        same = (g * state["prev"]).sign()
        one = ones_like(p)  # in p's dtype: a constant would be float32
        factor = where(same > 0, one * group["etas"][1], where(same < 0, one * group["etas"][0], one))
        size = state["step_size"].copy_((state["step_size"] * factor).clamp(*group["step_sizes"]))
        g = where(same < 0, 0.0, g)
        state["prev"].copy_(g)
        p.sub_(g.sign() * size)
