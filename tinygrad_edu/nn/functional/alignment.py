"""The loss of a sequence whose alignment to the input is not known (Graves et al. 2006)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...errors import InputError
from ...ops._common import only_on_cpu
from ...tensor import Tensor

_NEVER = -1e30  # the logarithm of a probability of 0; finite, so that gradients are


def ctc_loss(log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0,
             reduction: str = "mean", zero_infinity: bool = False) -> Any:  # fmt: skip
    """Connectionist temporal classification: −log of the probability of all ways to spell the targets.

    log_probs (T, N, C), or (T, C), logarithms of probabilities; targets (N, S), or all in one row; lengths (N,).
    "mean" divides each loss by its target's length first. `zero_infinity`: losses of what cannot be spelled count 0.
    """
    if reduction not in ("none", "mean", "sum"):
        raise InputError(f'ctc_loss: reduction is "{reduction}"; it can be "none", "mean" or "sum"')
    only_on_cpu("ctc_loss", log_probs, targets, input_lengths, target_lengths)
    single = log_probs.ndim == 2
    if single:
        log_probs = log_probs.unsqueeze(1)
    steps, n, classes = log_probs.shape
    given, wanted = (np.asarray(x._array if isinstance(x, Tensor) else x, np.int64).reshape(-1) for x in
                     (input_lengths, target_lengths))  # fmt: skip
    if len(given) != n or len(wanted) != n or (given > steps).any():
        raise ops.ShapeError(f"ctc_loss: there are {n} sequences of at most {steps} steps, the lengths say otherwise")
    if not 0 <= blank < classes:
        raise InputError(f"ctc_loss: blank is {blank}; there are {classes} classes")
    labels = _extended(targets._array, wanted, blank)  # (N, 2S+1)
    emitted = log_probs.gather(2, Tensor._wrap(np.broadcast_to(labels, (steps, *labels.shape)).copy()))
    leaps = np.zeros(labels.shape, bool)  # where the blank before may be left out
    leaps[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    leap, never = Tensor._wrap(leaps), Tensor._wrap(np.full((n, 2), _NEVER, log_probs.dtype))
    first = Tensor._wrap(np.arange(labels.shape[1]) < np.minimum(2 * wanted[:, None] + 1, 2))
    alpha = ops.where(first, emitted[0], _NEVER)
    for t in range(1, steps):
        before = ops.cat([never, alpha], 1)
        ways = ops.stack([alpha, before[:, 1:-1], ops.where(leap, before[:, :-2], _NEVER)])
        later = ops.logsumexp(ways, 0) + emitted[t]
        alpha = ops.where(Tensor._wrap(given > t).unsqueeze(1), later, alpha)
    last = Tensor._wrap(np.stack([2 * wanted, np.maximum(2 * wanted - 1, 0)], 1))
    ends = alpha.gather(1, last)
    ends = ops.where(Tensor._wrap(np.stack([wanted >= 0, wanted > 0], 1)), ends, _NEVER)
    loss = -ops.logsumexp(ends, 1)
    loss = ops.where(loss > -_NEVER / 2, 0.0 if zero_infinity else np.inf, loss)
    if reduction == "mean":
        return (loss / Tensor._wrap(np.maximum(wanted, 1).astype(log_probs.dtype))).mean()
    if reduction == "sum":
        return loss.sum()
    return loss.squeeze(0) if single else loss


def _extended(targets: Any, lengths: Any, blank: int) -> Any:
    """(N, 2S+1): the targets with a blank before, between and after them."""
    longest = int(lengths.max(initial=0))
    padded = np.full((len(lengths), longest), blank, np.int64)
    rows = targets if targets.ndim == 2 else np.split(targets, np.cumsum(lengths)[:-1])
    for row, target, length in zip(padded, rows, lengths, strict=True):
        row[:length] = target[:length]
    labels = np.full((len(lengths), 2 * longest + 1), blank, np.int64)
    labels[:, 1::2] = padded
    return labels
