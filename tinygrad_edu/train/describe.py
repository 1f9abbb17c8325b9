"""The trainer in words: its loop, its parameters and hyperparameters, its model layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..random import default_generator
from .callbacks import Callback
from .hparams import HParams


def name_of(function: Any) -> str:
    """A name for a loss or a metric: of a function, a partial function, or a module."""
    inner = getattr(function, "func", function)
    return str(getattr(inner, "__name__", type(inner).__name__))


def explain(trainer: Any) -> str:
    """See `Trainer.explain`."""
    loader, loss = trainer._loader, name_of(trainer.loss)
    order = (
        ""
        if loader is None
        else f"   # {len(loader)} batches"
        + (f", shuffled (seed {trainer.seed})" if getattr(loader, "shuffle", False) else "")
    )
    every = trainer.accumulate
    lines: list[str] = []

    def line(depth: int, text: str) -> None:
        lines.append("    " * depth + text)

    def hook(depth: int, moment: str) -> None:
        for callback in trainer.callbacks:
            if getattr(type(callback), moment) is not getattr(Callback, moment):
                told = (getattr(type(callback), moment).__doc__ or "").strip().split("\n")[0]
                line(depth, f"→ {type(callback).__name__}.{moment}" + (f"   # {told}" if told else ""))

    hook(0, "on_fit_start")
    line(0, "for epoch in range(epochs):")
    line(1, "model.train()")
    hook(1, "on_epoch_start")
    line(1, f"for xb, yb in train:{order}")
    hook(2, "on_batch_start")
    line(2, "optimizer.zero_grad()" + (f"   # before the first of {every} batches" if every > 1 else ""))
    line(2, "outputs = model(xb)")
    line(2, f"loss = {loss}(outputs, yb)")
    hook(2, "after_forward")
    line(2, "loss.backward()" if every == 1 else "(loss * len(xb)).backward()")
    if every > 1:
        line(2, f"if it is not the last of {every} batches: continue")
        line(2, "divide every gradient by the rows of these batches")
    if trainer.parallel is not None:
        line(2, "sum the gradients of all processes")
    hook(2, "after_backward")
    if trainer.clip_norm is not None:
        line(2, f"clip_grad_norm_(model.parameters(), {trainer.clip_norm:g})")
    line(2, f"optimizer.step()   # {type(trainer.optimizer).__name__}")
    hook(2, "after_update")
    hook(1, "on_validation_start")
    line(1, "evaluate(val)   # model.eval(), no gradients" + "".join(f", {name}" for name in trainer.metrics))
    hook(1, "on_validation_end")
    line(1, "history.rows.append(…)")
    hook(1, "on_epoch_end")
    hook(0, "on_fit_end")
    return "\n".join(lines)


def describe(trainer: Any, hparams: HParams | None = None) -> str:
    """See `Trainer.describe`; `hparams` adds the settings of a whole experiment."""
    lines = ["parameters: what training finds", f"  {'name':<28} {'shape':<16} {'numbers':>12}  learns"]
    total = trainable = 0
    for name, p in trainer.model.named_parameters():
        lines.append(f"  {name:<28} {tuple(p.shape)!s:<16} {p.numel():>12,}  {'yes' if p.requires_grad else 'frozen'}")
        total += p.numel()
        trainable += p.numel() if p.requires_grad else 0
    lines.append(f"  {'in all':<45} {total:>12,}  {trainable:,} of them")
    decided: dict[str, Any] = {} if hparams is None else hparams.as_dict()
    decided |= {"loss": name_of(trainer.loss), "optimizer": type(trainer.optimizer).__name__}
    for index, group in enumerate(trainer.optimizer.param_groups):
        prefix = f"group {index}: " if len(trainer.optimizer.param_groups) > 1 else ""
        decided |= {f"{prefix}{key}": value for key, value in group.items() if key not in ("params", "initial_lr")}
    if trainer.schedule is not None:
        decided["schedule"] = type(trainer.schedule.scheduler).__name__
    if trainer._loader is not None:
        decided |= {"epochs": trainer.state.epochs, "batch_size": trainer._loader.batch_size}
    decided |= {"accumulate": trainer.accumulate, "clip_norm": trainer.clip_norm, "seed": trainer.seed}
    lines += ["", "hyperparameters: what was decided beforehand"]
    return "\n".join(lines + [f"  {name:<28} {value}" for name, value in decided.items()])


@dataclass
class LayerRow:
    """One layer of a summary: multiplications are multiply-adds of one forward pass over the whole example batch."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiplications: int


def layer_rows(model: Any, x: Any) -> list[LayerRow]:
    """Run `x` through the model once, in evaluation mode, and note every layer without parts of its own.

    Parameters, buffers, random numbers and modes are afterwards as before. A parameter that two layers share is
    counted where it is met first.
    """
    rows: list[LayerRow] = []
    counted: set[int] = set()
    handles = []
    modes = [(module, module.training) for module in model.modules()]

    def note(name: str, module: Any) -> Any:
        def hook(_: Any, inputs: Any, output: Any) -> None:
            own = [p for p in module.parameters() if id(p) not in counted]
            counted.update(id(p) for p in own)
            first = output[0] if isinstance(output, tuple | list) else output
            rows.append(LayerRow(name or "(model)", type(module).__name__, tuple(first.shape),
                                 sum(p.numel() for p in own), _multiplications(module, first)))  # fmt: skip

        return hook

    drawn = default_generator.get_state()
    try:
        for name, module in model.named_modules():
            if not list(module.children()):
                handles.append(module.register_forward_hook(note(name, module)))
        model.eval()
        with no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
        default_generator.set_state(drawn)
    return rows


def summary(model: Any, x: Any) -> str:
    """See `Trainer.summary`."""
    rows = layer_rows(model, x)
    lines = [f"{'layer':<28} {'kind':<16} {'output':<20} {'parameters':>12} {'multiply-adds':>14}"]
    for r in rows:
        lines.append(f"{r.name:<28} {r.kind:<16} {r.shape!s:<20} {r.parameters:>12,} {r.multiplications:>14,}")
    total = sum(p.numel() for p in model.parameters())
    lines.append(f"{'in all':<66} {total:>12,} {sum(r.multiplications for r in rows):>14,}")
    return "\n".join(lines)


def _multiplications(module: Any, output: Any) -> int:
    """Multiply-adds of a layer: each output number of a linear or convolution layer takes one dot product."""
    weight = getattr(module, "weight", None)
    if weight is None or weight.ndim < 2 or type(module).__name__ == "Embedding":
        return 0
    return int(np.prod(output.shape, dtype=np.int64)) * math.prod(weight.shape[1:])
