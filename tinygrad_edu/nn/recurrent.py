"""Recurrent layers and cells: `RNN`, `LSTM`, `GRU`, `RNNCell`, `LSTMCell`, `GRUCell`.

Elman 1990; Hochreiter & Schmidhuber 1997; Cho et al. 2014; projections: Sak et al. 2014.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

from ..creation import empty, zeros
from ..errors import InputError, KindError, StateError
from ..ops import cat, recurrent, stack
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


class RNNBase(Module):
    """Layers of cells over a sequence, in one or two directions.

    Input (T, N, input_size), (N, T, input_size) with `batch_first`, (T, input_size) for one sequence, or a
    `PackedSequence`. Output: the last layer's state at every step, (T, N, D·P) and so on, and the state after the last
    step, (D·num_layers, N, P), of each layer and direction. D is 2 with `bidirectional`, P is hidden_size, or
    proj_size where that is positive. Weights are uniform in ±1/√hidden_size.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._check_sizes(mode, input_size, hidden_size, num_layers, dropout, proj_size)
        self.mode = mode
        self.input_size, self.hidden_size, self.num_layers, self.proj_size = (
            input_size,
            hidden_size,
            num_layers,
            proj_size,
        )
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        directions, state, gates = 1 + bidirectional, proj_size or hidden_size, GATES[mode] * hidden_size
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else directions * state
            for suffix in self._suffixes(layer):
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, inputs), "weight_hh": (gates, state)}
                if bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    setattr(self, name + suffix, Parameter(empty(*shape, dtype=dtype, device=device)))
        self.reset_parameters()

    def _check_sizes(self, mode: str, inputs: int, hidden: int, layers: int, dropout: float, projection: int) -> None:
        name = type(self).__name__
        for what, value in (("input_size", inputs), ("hidden_size", hidden), ("num_layers", layers)):
            if not isinstance(value, int):
                raise KindError(f"{name}: {what} must be an integer, got {type(value).__name__}")
        if hidden <= 0 or layers <= 0:
            raise InputError(f"{name}: hidden_size {hidden} and num_layers {layers} must be positive")
        if not 0 <= dropout <= 1:
            raise InputError(f"{name}: dropout is {dropout}; a probability lies in [0, 1]")
        if projection and mode != "LSTM":
            raise InputError(f"{name}: proj_size goes with an LSTM alone")
        if not 0 <= projection < hidden:
            raise InputError(f"{name}: proj_size {projection} must be smaller than hidden_size {hidden}")
        if dropout > 0 and layers == 1:
            warnings.warn(
                f"{name}: dropout comes between layers, and there is only one; set num_layers above 1", stacklevel=4
            )

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    @property
    def all_weights(self) -> list[list[Any]]:
        """For each layer and direction its parameters."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        suffixes = [s for layer in range(self.num_layers) for s in self._suffixes(layer)]
        return [[self._parameters[k + s] for k in kinds if k + s in self._parameters] for s in suffixes]

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """PyTorch's call for GPUs; here parameters stay where they are."""

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """(output, last state); the initial state `hx` is zeros unless given."""
        if isinstance(input, PackedSequence):
            data, sizes, order, back = input
            self._check_input(data, 2)
            state = self._initial(hx, data, int(sizes[0].item()), order, batched=True)
            output, last = self._layers(data, state, tuple(sizes.tolist()))
            last = last if back is None else tuple([h[:, back] for h in last])
            return PackedSequence(output, sizes, order, back), self._packaged(last)
        if input.ndim not in (2, 3):
            raise InputError(f"{self._kind()}: expected input of 2 or 3 dimensions, got shape {tuple(input.shape)}")
        self._check_input(input, input.ndim)
        batched = input.ndim == 3
        rows = (input.transpose(0, 1) if self.batch_first else input) if batched else input.unsqueeze(1)
        steps, batch = rows.shape[:2]
        if steps == 0:
            raise StateError(f"{self._kind()}: the sequence is empty: shape {tuple(input.shape)}; it needs a step")
        state = self._initial(hx, input, batch, None, batched)
        output, last = self._layers(rows.reshape(steps * batch, self.input_size), state, (batch,) * steps)
        output = output.reshape(steps, batch, output.shape[-1])
        if not batched:
            return output.squeeze(1), self._packaged(tuple([h.squeeze(1) for h in last]))
        return output.transpose(0, 1) if self.batch_first else output, self._packaged(last)

    def _layers(self, rows: Any, state: tuple[Any, ...], sizes: tuple[int, ...]) -> tuple[Any, tuple[Any, ...]]:
        """All layers over rows (sum of sizes, features); state and result (D·num_layers, N, ·) of each kind."""
        finals: list[tuple[Any, ...]] = []
        for layer in range(self.num_layers):
            outputs = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                w = {name.removesuffix(suffix): p for name, p in self._parameters.items() if name.endswith(suffix)}
                w = {k: v for k, v in w.items() if k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")}
                start = [s[len(finals)] for s in state]
                y, *last = recurrent(
                    self.mode, rows, start, w["weight_ih"], w["weight_hh"], w.get("bias_ih"), w.get("bias_hh"),
                    w.get("weight_hr"), sizes, direction == 1,
                )  # fmt: skip
                outputs.append(y)
                finals.append(tuple(last))
            rows = outputs[0] if len(outputs) == 1 else cat(outputs, 1)
            if layer < self.num_layers - 1:
                rows = F.dropout(rows, self.dropout, self.training)
        return rows, tuple([stack(kind) for kind in zip(*finals, strict=True)])

    # -- the state: (h,) here, (h, c) in an LSTM -------------------------------------------------------------
    def _state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size,)

    def _packaged(self, state: tuple[Any, ...]) -> Any:
        return state[0]

    def _kind(self) -> str:
        return type(self).__name__

    def _check_input(self, input: Any, ndim: int) -> None:
        weight = self.weight_ih_l0
        if input.ndim != ndim or input.shape[-1] != self.input_size:
            raise StateError(
                f"{self!r}: the input's last size must be input_size {self.input_size}, got shape {tuple(input.shape)}"
            )
        if input.dtype != weight.dtype:
            raise InputError(
                f"{self._kind()}: the input is {input.dtype}, the weights are {weight.dtype}; convert the input "
                f"(x.to(weight.dtype)) or the module (model.double())"
            )

    def _initial(self, hx: Any, input: Any, batch: int, order: Any, batched: bool) -> tuple[Any, ...]:
        """The state before the first step, with a batch dimension, in the order of the packed sequences."""
        count = self.num_layers * (1 + self.bidirectional)
        if hx is None:
            return tuple(
                [zeros(count, batch, size, dtype=input.dtype, device=input.device) for size in self._state_sizes()]
            )
        given = tuple(hx) if isinstance(hx, tuple | list) else (hx,)
        if len(given) != len(self._state_sizes()):
            wanted = "(h_0, c_0)" if len(self._state_sizes()) == 2 else "h_0"
            raise StateError(f"{self._kind()}: the initial state is {wanted}, got {len(given)} tensors")
        result = []
        for number, (s, size) in enumerate(zip(given, self._state_sizes(), strict=True)):
            wanted_shape = (count, batch, size) if batched else (count, size)
            if tuple(s.shape) != wanted_shape:
                raise StateError(
                    f"{self._kind()}: the initial state {number} must have the shape {wanted_shape} "
                    f"({'layers · directions, batch, size' if batched else 'layers · directions, size'}), "
                    f"got {tuple(s.shape)}"
                )
            s = s if batched else s.unsqueeze(1)
            result.append(s if order is None else s[:, order])
        return tuple(result)

    def extra_repr(self) -> str:
        """Sizes, and what is not the default, as PyTorch prints them."""
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False),
                              ("dropout", 0), ("bidirectional", False)):  # fmt: skip
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


class RNN(RNNBase):
    """h' = tanh(W_ih·x + b_ih + W_hh·h + b_hh), or max(·, 0) with nonlinearity "relu". See `RNNBase`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise InputError(f'RNN: nonlinearity is {nonlinearity!r}; it can be "tanh" or "relu"')
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0,
                         device, dtype)  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """i, f, g, o = σ, σ, tanh, σ of W_ih·x + W_hh·h + biases;  c' = f·c + i·g;  h' = o·tanh c'. See `RNNBase`.

    The state is (h, c); with `proj_size`, h is W_hr·(o·tanh c') and c keeps hidden_size.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         proj_size, device, dtype)  # fmt: skip

    def _state_sizes(self) -> tuple[int, ...]:
        return self.proj_size or self.hidden_size, self.hidden_size

    def _packaged(self, state: tuple[Any, ...]) -> Any:
        return state


class GRU(RNNBase):
    """r, z = σ of W_ih·x + W_hh·h + biases;  n = tanh(W_in·x + b_in + r·(W_hn·h + b_hn));  h' = (1 − z)·n + z·h.

    See `RNNBase`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0,
                         device, dtype)  # fmt: skip


class _Cell(Module):
    """One step of a recurrent layer: input (N, input_size) or (input_size,), state (N, hidden_size) or (hidden_size,).

    Weights are uniform in ±1/√hidden_size.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool, gates: int, device: Any, dtype: Any) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = gates * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, dtype=dtype, device=device))
        self.weight_hh = Parameter(empty(rows, hidden_size, dtype=dtype, device=device))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0.0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _step(self, mode: str, input: Any, state: tuple[Any, ...] | None, carried: int) -> Iterator[Any]:
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise InputError(f"{name}: expected input of 1 or 2 dimensions, got shape {tuple(input.shape)}")
        if input.shape[-1] != self.input_size:
            raise StateError(f"{self!r}: the input must have {self.input_size} features, got {tuple(input.shape)}")
        rows = input if input.ndim == 2 else input.unsqueeze(0)
        wanted = (len(rows), self.hidden_size) if input.ndim == 2 else (self.hidden_size,)
        if state is None:
            state = (zeros(*wanted, dtype=input.dtype, device=input.device),) * carried
        for s in state:
            if tuple(s.shape) != wanted:
                raise StateError(f"{name}: the state must have the shape {wanted}, got {tuple(s.shape)}")
        start = [s if input.ndim == 2 else s.unsqueeze(0) for s in state]
        _, *last = recurrent(mode, rows, start, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh,
                             sizes=(len(rows),))  # fmt: skip
        return iter([s if input.ndim == 2 else s.squeeze(0) for s in last])

    def extra_repr(self) -> str:
        """Sizes, as PyTorch prints them."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """h' = tanh(W_ih·x + b_ih + W_hh·h + b_hh), or max(·, 0) with nonlinearity "relu"."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
                 device: Any = None, dtype: Any = None) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise InputError(f'RNNCell: nonlinearity is {nonlinearity!r}; it can be "tanh" or "relu"')
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The new state; `hx` is zeros unless given."""
        mode = f"RNN_{self.nonlinearity.upper()}"
        return next(self._step(mode, input, None if hx is None else (hx,), 1))

    def extra_repr(self) -> str:
        """Sizes, as PyTorch prints them."""
        return super().extra_repr() + (f", nonlinearity={self.nonlinearity}" if self.nonlinearity != "tanh" else "")


class LSTMCell(_Cell):
    """One step of an `LSTM`; the state is (h, c)."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
                 dtype: Any = None) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """The new (h, c); `hx` is (zeros, zeros) unless given."""
        h, c = self._step("LSTM", input, None if hx is None else tuple(hx), 2)
        return h, c


class GRUCell(_Cell):
    """One step of a `GRU`."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
                 dtype: Any = None) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The new state; `hx` is zeros unless given."""
        return next(self._step("GRU", input, None if hx is None else (hx,), 1))
