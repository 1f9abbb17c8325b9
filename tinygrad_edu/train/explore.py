"""Looking before leaping: one visible step, the learning-rate finder, and the can-it-overfit test.

`find_lr` and `overfit` work on copies; parameters, optimiser, random numbers and modes stay as they were.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..data import DataLoader
from ..errors import InputError
from ..random import Generator, default_generator


@dataclass
class StepTrace:
    """One update: what the loss was, what the gradient said it would become, and what it became.

    `rows`: name → (values, gradient, update) as arrays; the updates are `p_after − p_before`, whatever the optimiser.
    `predicted` is Σ gradient · update, the first-order change of the loss; `actual` the change on the same batch, with
    the same dropout. For ever smaller steps their ratio tends to 1.
    """

    loss: float
    loss_after: float
    predicted: float
    rows: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = field(repr=False)

    @property
    def actual(self) -> float:
        """The change of the loss."""
        return self.loss_after - self.loss

    def __str__(self) -> str:
        lines = [f"{'parameter':<24} {'shape':<14} {'|w|':>10} {'|gradient|':>10} {'|update|':>10} {'update/w':>9}"]
        for name, (value, grad, update) in self.rows.items():
            w, g, u = (float(np.sqrt(np.mean(np.square(a, dtype=np.float64)))) for a in (value, grad, update))
            ratio = u / w if w else math.inf if u else 0.0
            lines.append(f"{name:<24} {value.shape!s:<14} {w:>10.3g} {g:>10.3g} {u:>10.3g} {ratio:>9.2g}")
        lines.append(f"loss {self.loss:.6g} → {self.loss_after:.6g}: predicted change {self.predicted:.4g}, "
                     f"actual {self.actual:.4g}")  # fmt: skip
        return "\n".join(lines)


def step(trainer: Any, xb: Any, yb: Any) -> StepTrace:
    """One update of `trainer`'s model on a batch, with the same code that `fit` runs."""
    xb, yb, _ = trainer._placed(trainer._floats(xb), trainer._floats(yb))
    if not hasattr(xb, "requires_grad"):
        (xb, yb) = trainer._dataset((xb, yb), "batch")[:]
    state, model = trainer.state, trainer.model
    state.xb, state.yb, state.weights = xb, yb, None
    drawn = default_generator.get_state()
    model.train()
    trainer._forward()
    loss = float(state.loss.item())
    trainer._backward()
    trainer._gathered()
    named = dict(model.named_parameters())
    before = {name: np.array(p.detach().cpu().numpy()) for name, p in named.items()}
    grads = {
        name: np.zeros_like(before[name]) if p.grad is None else np.array(p.grad.cpu().numpy())
        for name, p in named.items()
    }
    buffers = {name: np.array(b.detach().cpu().numpy()) for name, b in model.named_buffers()}
    trainer._update()
    updates = {name: p.detach().cpu().numpy() - before[name] for name, p in named.items()}
    predicted = sum(float(np.sum(grads[n].astype(np.float64) * updates[n])) for n in named)
    after = default_generator.get_state()
    default_generator.set_state(drawn)  # the same units are dropped as in the step
    with no_grad():
        loss_after = float(trainer.loss(model(xb), yb).item())
        for name, buffer in model.named_buffers():  # that look was not training: running statistics go back
            buffer.copy_(type(buffer)._wrap(buffers[name]))
    default_generator.set_state(after)
    state.outputs = state.loss = None
    return StepTrace(loss, loss_after, predicted, {n: (before[n], grads[n], updates[n]) for n in named})


@dataclass
class LRCurve:
    """Learning rates tried, the loss at each (smoothed), and a suggestion: where the loss falls fastest."""

    lrs: list[float]
    losses: list[float]
    suggestion: float
    diverged_at: float | None

    def plot(self, path: Any = None) -> Any:
        """A matplotlib figure of loss against learning rate; also written to `path` if given."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.lrs, self.losses, color="#1f4e79")
        axes.axvline(self.suggestion, color="#c0504d", linestyle="--", label=f"suggestion {self.suggestion:.2g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss (smoothed)")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    def __str__(self) -> str:
        end = "" if self.diverged_at is None else f"; it exploded at {self.diverged_at:.2g}"
        return f"the loss fell fastest at a learning rate of {self.suggestion:.2g}{end}"


def find_lr(trainer: Any, data: Any, lo: float, hi: float, steps: int, batch_size: int) -> LRCurve:
    """See `Trainer.find_lr`."""
    if not (0 < lo < hi < math.inf) or steps < 10:
        raise InputError(f"find_lr: 0 < lo < hi and steps ≥ 10 are wanted; got lo={lo}, hi={hi}, steps={steps}")
    probe = _copy(trainer)
    rates = [float(r) for r in np.geomspace(lo, hi, steps)]
    tried: list[float] = []
    losses: list[float] = []
    average, diverged = 0.0, None
    with _random_numbers_kept():
        batches = _endless(trainer, data, batch_size)
        for n, rate in enumerate(rates, start=1):
            for group in probe.optimizer.param_groups:
                group["lr"] = rate
            loss = _train_step(probe, *next(batches))
            average = 0.9 * average + 0.1 * loss
            smooth = average / (1 - 0.9**n)
            if not math.isfinite(loss) or (n > 5 and smooth > 4 * min(losses)):
                diverged = rate
                break
            tried.append(rate)
            losses.append(smooth)
    if len(losses) < 5:
        raise InputError(
            f"find_lr: the loss exploded at a learning rate of {diverged:.2g} at once; start at a lower lo"
        )
    slopes = np.gradient(np.array(losses), np.log(tried))
    return LRCurve(tried, losses, tried[int(slopes.argmin())], diverged)


@dataclass
class Verdict:
    """Whether a copy of the model learned a few batches by heart."""

    passed: bool
    steps: int
    loss: float
    target: float
    first_loss: float

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        if self.passed:
            course = f"loss {self.first_loss:.4g} → {self.loss:.4g}"
            return f"learned by heart: {course} ≤ {self.target:g} in {self.steps} steps"
        if not math.isfinite(self.loss):
            return f"the loss became {self.loss} in step {self.steps}: the learning rate is too large"
        return (
            f"not learned by heart: loss {self.first_loss:.4g} → {self.loss:.4g} > {self.target:g} after {self.steps} "
            f"steps; check that labels belong to their rows, the loss fits the outputs, and the learning rate"
        )


def overfit(trainer: Any, data: Any, batches: int, steps: int, target: float, batch_size: int) -> Verdict:
    """See `Trainer.overfit`."""
    if batches < 1 or steps < 1:
        raise InputError(f"overfit: batches and steps must be at least 1; got {batches}, {steps}")
    probe = _copy(trainer)
    with _random_numbers_kept():
        source = _endless(trainer, data, batch_size)
        chosen = [next(source) for _ in range(batches)]
        first = loss = math.nan
        recent: list[float] = []
        for n in range(1, steps + 1):
            loss = _train_step(probe, *chosen[(n - 1) % batches])
            first = loss if n == 1 else first
            recent = [*recent, loss][-batches:]
            if not math.isfinite(loss) or (len(recent) == batches and max(recent) <= target):
                break
    passed = math.isfinite(loss) and len(recent) == batches and max(recent) <= target
    return Verdict(passed, n, max(recent) if passed or math.isfinite(loss) else loss, target, first)


def _copy(trainer: Any) -> Any:
    """Model, loss and optimiser as copies that know each other, in a plain trainer."""
    model, optimizer, loss = copy.deepcopy((trainer.model, trainer.optimizer, trainer.loss))
    return type(trainer)(model, loss, optimizer, clip_norm=trainer.clip_norm, device=trainer.device, record="none",
                         progress="none")  # fmt: skip


def _train_step(probe: Any, xb: Any, yb: Any) -> float:
    """One update of the copy; the loss before it. A loss that is not finite changes nothing."""
    state = probe.state
    state.xb, state.yb, state.weights = probe._placed(xb, yb)
    state.pending = 0.0
    probe.model.train()
    probe._forward()
    loss = float(state.loss.item())
    if math.isfinite(loss):
        probe._backward()
        probe._gathered()
        probe._update()
    return loss


def _endless(trainer: Any, data: Any, batch_size: int) -> Any:
    """Batches of shuffled data, epoch after epoch, from a generator of their own."""
    if isinstance(data, DataLoader):
        loader = DataLoader(data.dataset, data.batch_size or 1, True, generator=Generator(trainer.seed))
    else:
        loader = DataLoader(trainer._dataset(data, "data"), batch_size, True, generator=Generator(trainer.seed))
    while True:
        for xb, yb, *_ in loader:
            yield xb, yb


class _random_numbers_kept:
    """The default generator afterwards where it was before."""

    def __enter__(self) -> None:
        self.state = default_generator.get_state()

    def __exit__(self, *error: object) -> None:
        default_generator.set_state(self.state)


def as_record(verdict: Verdict | LRCurve) -> dict[str, Any]:
    """The figures of a verdict or a curve, fit for JSON."""
    return asdict(verdict)
