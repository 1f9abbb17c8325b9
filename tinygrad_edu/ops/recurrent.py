"""Recurrent layers: one node for all steps of one direction of one layer.

The inputs of all steps go through one matrix product; then each step is one product with the state and one cell
kernel. Rows are those of a packed sequence: step t has `sizes[t]` of them (the same number for each step of a plain
batch), and sizes only shrink, because sequences are sorted by length.
Elman 1990; Hochreiter & Schmidhuber 1997 (LSTM); Cho et al. 2014 (GRU); Sak et al. 2014 (projection).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import Operation, enable_grad, grad
from ..kernels import K, beside, on_gpu
from ._common import Array
from .activation import relu, sigmoid, tanh
from .linalg import linear
from .shape import cat, reshape, split

Step = tuple[slice, int]  # the rows of a step, and how many they are


def steps(sizes: Sequence[int], reverse: bool) -> list[Step]:
    """The steps in the order in which this direction takes them."""
    stops = np.cumsum(sizes).tolist()
    found = [(slice(stop - n, stop), n) for n, stop in zip(sizes, stops, strict=True)]
    return found[::-1] if reverse else found


def joined(new: Array, old: Array) -> Array:
    """The state after a step: new rows, and the old ones of the sequences that took no part in it."""
    if len(new) == len(old):
        return new
    state = beside(old).empty(old.shape, old.dtype)
    put(state, slice(len(new)), new)
    put(state, slice(len(new), None), old[len(new) :])
    return state


def put(y: Array, rows: slice, x: Array) -> None:
    """y[rows] = x"""
    if on_gpu(y):
        K.copy(x, out=y[rows])
    else:
        y[rows] = x


class Recurrent(Operation):
    """y, state = cells applied step by step to x;  the derivative walks the steps backwards.

    x (rows, I), w_ih (gates·H, I), w_hh (gates·H, P), biases (gates·H,) or None, w_hr (P, H) or None (then P = H),
    state: h (N, P) and whatever else the cell carries (N, H). Returns y (rows, P) and the state after the last step.
    """

    @classmethod
    def cell(cls, gx: Array, gh: Array, *state: Array) -> tuple[list[Array], list[Array]]:
        """The state after a step, and what its derivative needs, from the two products gx and gh."""
        raise NotImplementedError

    @classmethod
    def cell_backward(cls, grads: list[Array], state: list[Array], kept: list[Array]) -> Any:
        """d gx, d gh, and the part of d state that does not pass through gh (None for none)."""
        raise NotImplementedError

    @classmethod
    def cell_mathematics(cls, gx: Any, gh: Any, *state: Any) -> list[Any]:
        """`cell` written in operations on tensors."""
        raise NotImplementedError

    @classmethod
    def forward(  # type: ignore[override]
        cls, ctx: Any, x: Array, w_ih: Array, w_hh: Array, b_ih: Any, b_hh: Any, w_hr: Any, sizes: Any, reverse: bool,
        *state: Array
    ) -> Any:  # fmt: skip
        gx = K.linear(x, w_ih, b_ih)
        y = beside(x).empty((len(x), state[0].shape[1]), x.dtype)
        now, trace = list(state), []
        for rows, n in steps(sizes, reverse):
            before = [s[:n] for s in now]
            after, kept = cls.cell(gx[rows], K.linear(before[0], w_hh, b_hh), *before)
            trace += [*before, *kept, after[0]]
            if w_hr is not None:
                after[0] = K.linear(after[0], w_hr, None)
            put(y, rows, after[0])
            now = [joined(new, old) for new, old in zip(after, now, strict=True)]
        ctx.save_for_backward(x, w_ih, w_hh, b_ih, b_hh, w_hr, *state, *trace)
        ctx.constants = sizes, reverse, len(state)
        return (y, *[K.copy(s) for s in now])

    @classmethod
    def fused_backward(cls, ctx: Any, dy: Array, *dstate: Array) -> Any:  # type: ignore[override]
        x, w_ih, w_hh, _, _, w_hr, *saved = ctx.saved_arrays
        sizes, reverse, carried = ctx.constants
        order, trace = steps(sizes, reverse), saved[carried:]
        width = len(trace) // max(len(order), 1)
        empty = beside(x).empty
        dgx, dgh = empty((len(x), len(w_ih)), x.dtype), empty((len(x), len(w_ih)), x.dtype)
        previous, full = empty((len(x), w_hh.shape[1]), x.dtype), None
        if w_hr is not None:
            full, projected = empty((len(x), w_hr.shape[1]), x.dtype), empty((len(x), len(w_hr)), x.dtype)
        now = list(dstate)
        for i, (rows, n) in reversed(list(enumerate(order))):
            *kept, hidden = trace[i * width : (i + 1) * width]
            before, kept = kept[:carried], kept[carried:]
            grads = [K.add(now[0][:n], dy[rows]), *[d[:n] for d in now[1:]]]
            if full is not None:
                put(full, rows, hidden)
                put(projected, rows, grads[0])
                grads[0] = K.matmul(grads[0], w_hr)
            dx, d, direct = cls.cell_backward(grads, before, [*kept, hidden])
            put(dgx, rows, dx)
            put(dgh, rows, d)
            put(previous, rows, before[0])
            through = K.matmul(d, w_hh)
            earlier = [through if direct[0] is None else K.add(through, direct[0]), *direct[1:]]
            now = [joined(new, old) for new, old in zip(earlier, now, strict=True)]
        needs = ctx.needs_input_grad
        return (
            K.matmul(dgx, w_ih) if needs[0] else None,
            K.matmul(dgx.T, x) if needs[1] else None,
            K.matmul(dgh.T, previous) if needs[2] else None,
            K.sum(dgx, (0,), False) if needs[3] else None,
            K.sum(dgh, (0,), False) if needs[4] else None,
            None if full is None or not needs[5] else K.matmul(projected.T, full),
            None,
            None,
            *now,
        )

    @classmethod
    def backward(cls, ctx: Any, *grads: Any) -> Any:
        """The derivative of the same steps written in operations: this is what can be differentiated again."""
        sizes, reverse, carried = ctx.constants
        inputs = ctx.saved_tensors[: 6 + carried]
        with enable_grad():
            own: list[Any] = [
                None if x is None else reshape(x, x.shape) for x in inputs
            ]  # where the new graph is cut off
            outputs = cls.mathematics(*own[:6], sizes, reverse, *own[6:])
            needs = (*ctx.needs_input_grad[:6], *ctx.needs_input_grad[8:])
            wanted = [x for x, needed in zip(own, needs, strict=True) if needed]
            reached = [(y, g) for y, g in zip(outputs, grads, strict=True) if y.requires_grad]
            roots, seeds = [y for y, _ in reached], [g for _, g in reached]
            found = iter(grad(roots, wanted, seeds, create_graph=True, allow_unused=True))
        result = [next(found) if needed else None for needed in needs]
        return (*result[:6], None, None, *result[6:])

    @classmethod
    def mathematics(
        cls, x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any, sizes: Any, reverse: bool, *state: Any
    ) -> list[Any]:
        """`forward` written in operations on tensors."""
        gx, now, outputs = linear(x, w_ih, b_ih), list(state), []
        for rows, n in steps(sizes, reverse):
            before = [s[:n] for s in now]
            after = cls.cell_mathematics(gx[rows], linear(before[0], w_hh, b_hh), *before)
            after[0] = after[0] if w_hr is None else linear(after[0], w_hr)
            outputs.append(after[0])
            now = [new if len(new) == len(old) else cat([new, old[n:]]) for new, old in zip(after, now, strict=True)]
        return [cat(outputs[::-1] if reverse else outputs), *now]


class TanhCells(Recurrent):
    """h' = tanh(gx + gh)."""

    @classmethod
    def cell(cls, gx: Array, gh: Array, *state: Array) -> Any:
        return [K.tanh(K.add(gx, gh))], []

    @classmethod
    def cell_backward(cls, grads: list[Array], state: list[Array], kept: list[Array]) -> Any:
        d = K.tanh_backward(grads[0], kept[-1])
        return d, d, [None]

    @classmethod
    def cell_mathematics(cls, gx: Any, gh: Any, *state: Any) -> Any:
        return [tanh(gx + gh)]


class ReluCells(Recurrent):
    """h' = max(gx + gh, 0)."""

    @classmethod
    def cell(cls, gx: Array, gh: Array, *state: Array) -> Any:
        return [K.relu(K.add(gx, gh))], []

    @classmethod
    def cell_backward(cls, grads: list[Array], state: list[Array], kept: list[Array]) -> Any:
        d = K.relu_backward(grads[0], kept[-1])
        return d, d, [None]

    @classmethod
    def cell_mathematics(cls, gx: Any, gh: Any, *state: Any) -> Any:
        return [relu(gx + gh)]


class LSTMCells(Recurrent):
    """i, f, g, o = σ, σ, tanh, σ of gx + gh;  c' = f·c + i·g;  h' = o·tanh c'."""

    @classmethod
    def cell(cls, gx: Array, gh: Array, *state: Array) -> Any:
        h, c, gates = K.lstm_cell(gx, gh, state[1])
        return [h, c], [c, gates]

    @classmethod
    def cell_backward(cls, grads: list[Array], state: list[Array], kept: list[Array]) -> Any:
        d, dc = K.lstm_cell_backward(grads[0], grads[1], kept[1], state[1], kept[0])
        return d, d, [None, dc]

    @classmethod
    def cell_mathematics(cls, gx: Any, gh: Any, *state: Any) -> Any:
        i, f, g, o = split(gx + gh, gx.shape[1] // 4, 1)
        c = sigmoid(f) * state[1] + sigmoid(i) * tanh(g)
        return [sigmoid(o) * tanh(c), c]


class GRUCells(Recurrent):
    """r, z = σ of gx + gh;  n = tanh(gx + r·gh);  h' = (1 − z)·n + z·h."""

    @classmethod
    def cell(cls, gx: Array, gh: Array, *state: Array) -> Any:
        h, gates = K.gru_cell(gx, gh, state[0])
        return [h], [gates]

    @classmethod
    def cell_backward(cls, grads: list[Array], state: list[Array], kept: list[Array]) -> Any:
        dgx, dgh, dh = K.gru_cell_backward(grads[0], kept[0], state[0])
        return dgx, dgh, [dh]

    @classmethod
    def cell_mathematics(cls, gx: Any, gh: Any, *state: Any) -> Any:
        size = gx.shape[1] // 3
        (xr, xz, xn), (hr, hz, hn) = split(gx, size, 1), split(gh, size, 1)
        z = sigmoid(xz + hz)
        return [(1 - z) * tanh(xn + sigmoid(xr + hr) * hn) + z * state[0]]


MODES = {"RNN_TANH": TanhCells, "RNN_RELU": ReluCells, "LSTM": LSTMCells, "GRU": GRUCells}


def recurrent(
    mode: str, x: Any, state: Sequence[Any], w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, w_hr: Any = None,
    sizes: Sequence[int] = (), reverse: bool = False
) -> tuple[Any, ...]:  # fmt: skip
    """All steps of one direction of one layer: y (rows, P) and the last state; see `Recurrent` for the shapes."""
    return MODES[mode].apply(x, w_ih, w_hh, b_ih, b_hh, w_hr, tuple(sizes), reverse, *state)  # type: ignore[no-any-return]
