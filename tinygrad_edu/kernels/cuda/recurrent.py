"""Recurrent cells. Signatures and meanings: `protocol.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .gpu import device
from .layout import contiguous, named

Array = Any


def _cell(name: str, outputs: list[Array], *inputs: Array) -> None:
    """The kernel with a thread for each entry of the last of the outputs' states, (N, H)."""
    rows, hidden = inputs[-1].shape
    device().flat(named(name, inputs[0].dtype), rows * hidden, *outputs, *[contiguous(x) for x in inputs], rows, hidden)


def _like(x: Array, blocks: int) -> Array:
    """An empty (N, blocks·H) beside the state x (N, H)."""
    return device().empty((x.shape[0], blocks * x.shape[1]), x.dtype)


def lstm_cell(gx: Array, gh: Array, c: Array) -> tuple[Array, Array, Array]:
    h, new, gates = _like(c, 1), _like(c, 1), _like(c, 4)
    _cell("lstm_cell", [h, new, gates], gx, gh, c)
    return h, new, gates


def lstm_cell_backward(dh: Array, dc: Array, gates: Array, c: Array, new: Array) -> tuple[Array, Array]:
    da, earlier = _like(c, 4), _like(c, 1)
    _cell("lstm_cell_backward", [da, earlier], dh, dc, gates, c, new)
    return da, earlier


def gru_cell(gx: Array, gh: Array, h: Array) -> tuple[Array, Array]:
    new, kept = _like(h, 1), _like(h, 4)
    _cell("gru_cell", [new, kept], gx, gh, h)
    return new, kept


def gru_cell_backward(dh: Array, gates: Array, h: Array) -> tuple[Array, Array, Array]:
    dgx, dgh, earlier = _like(h, 3), _like(h, 3), _like(h, 1)
    _cell("gru_cell_backward", [dgx, dgh, earlier], dh, gates, h)
    return dgx, dgh, earlier


TABLE: dict[str, Callable[..., Any]] = {
    "lstm_cell": lstm_cell,
    "lstm_cell_backward": lstm_cell_backward,
    "gru_cell": gru_cell,
    "gru_cell_backward": gru_cell_backward,
}
