"""`LBFGS`: quasi-Newton steps from the last few changes of position and gradient, with a strong-Wolfe line search."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..autograd import enable_grad, no_grad
from ..errors import InputError, KindError, StateError
from ..ops import cat
from ..tensor import Tensor
from .optimizer import Optimizer, positive


def dot(a: Any, b: Any) -> float:
    """The inner product of two flat tensors."""
    return float((a * b).sum())


def largest(a: Any) -> float:
    """max |a|."""
    return float(a.abs().max())


class LBFGS(Optimizer):
    """Limited-memory BFGS (Nocedal & Wright 2006, algorithm 7.4); `step(closure)` makes up to `max_iter` iterations.

    `closure` clears the gradients, computes the loss, calls backward and returns the loss; it is called several times
    a step. `line_search_fn`: "strong_wolfe", or None for steps of length lr. It stops early where no gradient exceeds
    tolerance_grad, where loss or position change by less than tolerance_change, or after max_eval evaluations.
    One parameter group only.
    """

    def __init__(self, params: Any, lr: float = 1, max_iter: int = 20, max_eval: int | None = None,
                 tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
                 line_search_fn: str | None = None) -> None:  # fmt: skip
        if line_search_fn not in (None, "strong_wolfe"):
            raise StateError(f'LBFGS: line_search_fn is {line_search_fn!r}; it can be None or "strong_wolfe"')
        positive("lr", lr)
        evaluations = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, {"lr": lr, "max_iter": max_iter, "max_eval": evaluations,
                                  "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
                                  "history_size": history_size, "line_search_fn": line_search_fn})  # fmt: skip
        if len(self.param_groups) != 1:
            raise InputError("LBFGS: it has one parameter group: its steps mix all parameters")
        self._params: list[Any] = self.param_groups[0]["params"]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to max_iter iterations; returns the loss at the start."""
        if closure is None:
            raise KindError("LBFGS.step: it needs a closure that computes the loss and its gradients, several times")
        with no_grad():
            return self._step(closure)

    def _step(self, closure: Callable[[], Any]) -> Any:
        group, state = self.param_groups[0], self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss, g = self._evaluate(closure)
        loss, evaluations = float(first_loss), 1
        state["func_evals"] += 1
        if largest(g) <= group["tolerance_grad"]:
            return first_loss
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = self._direction(g, state, group)
            state["prev_flat_grad"], state["prev_loss"], before = g, loss, loss
            t = group["lr"] * (min(1.0, 1.0 / float(g.abs().sum())) if state["n_iter"] == 1 else 1.0)
            slope, used = dot(g, d), 0
            state["d"], state["t"] = d, t
            if slope > -group["tolerance_change"]:
                break
            if group["line_search_fn"]:
                here = Point(0.0, loss, g, slope)
                probe, left = self._probe(closure, d), group["max_eval"] - evaluations
                found, used = strong_wolfe(probe, here, t, largest(d), group["tolerance_change"], limit=left)
                loss, g, t = found.loss, found.gradient, found.t
                self._move(d, t)
            else:
                self._move(d, t)
                if iteration < group["max_iter"]:
                    value, g = self._evaluate(closure)
                    loss, used = float(value), 1
            state["t"] = t
            evaluations += used
            state["func_evals"] += used
            if (evaluations >= group["max_eval"] or largest(g) <= group["tolerance_grad"]
                    or largest(d) * t <= group["tolerance_change"]
                    or abs(loss - before) < group["tolerance_change"]):  # fmt: skip
                break
        return first_loss

    def _direction(self, g: Any, state: dict[str, Any], group: dict[str, Any]) -> Any:
        """−H·g with the inverse Hessian H that the history implies: the two-loop recursion."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -g
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = dot(y, s)
        if curvature > 1e-10:
            for name, value in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / curvature)):
                state[name] = [*state[name], value][-group["history_size"] :]
            state["H_diag"] = curvature / dot(y, y)
        history = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
        d, alphas = -g, []
        for y, s, ro in reversed(history):
            alphas.append(dot(s, d) * ro)
            d = d - alphas[-1] * y
        d = d * state["H_diag"]
        for (y, s, ro), alpha in zip(history, reversed(alphas), strict=True):
            d = d + (alpha - dot(y, d) * ro) * s
        return d

    def _evaluate(self, closure: Callable[[], Any]) -> tuple[Any, Any]:
        """The loss, and all gradients in one flat tensor."""
        with enable_grad():
            loss = closure()
        flat = [(p.detach() * 0 if p.grad is None else p.grad.detach()).reshape(-1) for p in self._params]
        return loss, cat(flat)

    def _move(self, d: Any, t: float) -> None:
        start = 0
        for p in self._params:
            p.add_(d[start : start + p.numel()].reshape(p.shape), alpha=t)
            start += p.numel()

    def _probe(self, closure: Callable[[], Any], d: Any) -> Callable[[float], Point]:
        """A function of t: loss and gradient at p + t·d, after which the parameters are back, to the bit."""
        kept = [p.detach().clone() for p in self._params]

        def probe(t: float) -> Point:
            self._move(d, t)
            loss, g = self._evaluate(closure)
            for p, old in zip(self._params, kept, strict=True):
                p.copy_(old)
            return Point(t, float(loss), g, dot(g, d))

        return probe

    def _taken(self, what: str, name: str, value: Any, p: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._taken(what, name, v, p) for v in value]
        if name in ("ro", "H_diag", "t", "prev_loss") and value is not None:
            return float(value)
        return Tensor(value, p.dtype, p.device) if hasattr(value, "__array__") else value


class Point(NamedTuple):
    """A place t on the line: loss, gradient, and slope along the line."""

    t: float
    loss: float
    gradient: Any
    slope: float


def cubic_minimum(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through two points and slopes is least, kept within bounds. Nocedal & Wright, equation 3.59."""
    low, high = bounds or (min(a.t, b.t), max(a.t, b.t))
    a, b = (a, b) if a.t <= b.t else (b, a)
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    d2 = math.sqrt(square)
    bottom = b.slope - a.slope + 2 * d2
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / bottom) if bottom else math.nan
    return min(max(t, low), high) if t == t else (low + high) / 2


def strong_wolfe(probe: Callable[[float], Point], start: Point, t: float, size: float, tolerance: float,
                 c1: float = 1e-4, c2: float = 0.9, limit: int = 25) -> tuple[Point, int]:  # fmt: skip
    """A point with enough decrease (c1) and a flat enough slope (c2), and how many evaluations it took.

    First widen until a bracket holds one, then narrow it: Nocedal & Wright, algorithms 3.5 and 3.6, with cubic steps.
    """
    high_enough = lambda point: point.loss > start.loss + c1 * point.t * start.slope  # noqa: E731
    flat_enough = lambda point: abs(point.slope) <= -c2 * start.slope  # noqa: E731
    before, point, rounds = start, probe(t), 0
    while rounds < limit:
        if high_enough(point) or (rounds > 1 and point.loss >= before.loss):
            break
        if flat_enough(point):
            return point, rounds + 1
        if point.slope >= 0:
            break
        t = cubic_minimum(before, point, (point.t + 0.01 * (point.t - before.t), point.t * 10))
        before, point, rounds = point, probe(t), rounds + 1
    if rounds == limit:
        before = start
    low, high = (before, point) if before.loss <= point.loss else (point, before)
    stuck = False  # the last step was near an end of the bracket
    while rounds < limit and abs(high.t - low.t) * size >= tolerance:
        left, right = min(low.t, high.t), max(low.t, high.t)
        t, margin = cubic_minimum(low, high), 0.1 * (right - left)
        near = min(right - t, t - left) < margin
        if near and (stuck or t >= right or t <= left):
            t, near = (right - margin if abs(t - right) < abs(t - left) else left + margin), False
        stuck = near
        point, rounds = probe(t), rounds + 1
        if high_enough(point) or point.loss >= low.loss:
            low, high = (low, point) if low.loss <= point.loss else (point, low)
            continue
        if flat_enough(point):
            return point, rounds + 1
        if point.slope * (high.t - low.t) >= 0:
            high = low
        low = point
    return low, rounds + 1
