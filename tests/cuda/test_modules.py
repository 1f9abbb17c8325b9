"""Every layer, loss and optimiser does on the GPU what it does on the CPU; the layers are those of tests/nn."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.nn.test_activations_and_losses import ACTIVATIONS, LOSSES
from tests.nn.test_layers import CASES
from tinygrad_edu import nn, optim
from tinygrad_edu.nn.utils import rnn

REFUSED = {"AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"}  # and Embedding with max_norm
rng = np.random.default_rng(11)


def draw(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def tensors(value: Any) -> list[Any]:
    """The tensors in nested tuples and packed sequences, in order."""
    if isinstance(value, tg.Tensor):
        return [value]
    return [t for v in value for t in tensors(v)] if isinstance(value, tuple | list) else []


def there(value: Any, device: str) -> Any:
    """Arrays, also in tuples, as tensors; floats want a gradient."""
    if isinstance(value, np.ndarray):
        made = tg.tensor(value).to(device)
        return made.requires_grad_() if value.dtype.kind == "f" else made
    return tuple(there(v, device) for v in value) if isinstance(value, tuple) else value


def results(module: Any, inputs: Any, device: str, options: Any) -> dict[str, Any]:
    """Outputs, and after a backward pass gradients and buffers, as arrays."""
    tg.manual_seed(8)  # dropout's masks
    module = copy.deepcopy(module).to(device)
    given = [there(x, device) for x in inputs]
    outputs = [y for y in tensors(module(*given, **options)) if y.is_floating_point()]
    found = {f"output {i}": y for i, y in enumerate(outputs)}
    assert all(y.is_cuda == (device == "cuda") for y in outputs)
    reached = [(y * tg.tensor(weights(y.shape), device=device)).sum() for y in outputs if y.requires_grad]
    if reached:
        tg.stack(reached).sum().backward()
    found |= {f"gradient of input {i}": x.grad for i, x in enumerate(tensors(given)) if x.requires_grad}
    found |= {f"gradient of {name}": p.grad for name, p in module.named_parameters()}
    found |= dict(module.named_buffers())
    return {name: None if t is None else t.detach().cpu().numpy() for name, t in found.items()}


def weights(shape: Any) -> np.ndarray:
    return np.random.default_rng(4).standard_normal(tuple(shape)).astype(np.float32)


def same(module: Any, *inputs: Any, training: bool = True, **options: Any) -> None:
    module.train(training)
    wanted, found = (results(module, inputs, device, options) for device in ("cpu", "cuda"))
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        assert (value is None) == (found[name] is None), name
        if value is not None:
            near = 2e-5 * max(1.0, np.abs(value).max(initial=0))
            np.testing.assert_allclose(found[name], value, rtol=0, atol=near, err_msg=name)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)])
def test_layers(case: Any, training: bool) -> None:
    name, args, options, inputs = case
    arrays = [x if isinstance(x, np.ndarray) else draw(*x) for x in inputs]
    if name in REFUSED or "max_norm" in options:
        with pytest.raises(RuntimeError, match=r"there is no GPU kernel for it yet.*x\.cpu\(\)"):
            same(getattr(nn, name)(*args, **options), *arrays, training=training)
    else:
        same(getattr(nn, name)(*args, **options), *arrays, training=training)


@pytest.mark.parametrize("case", ACTIVATIONS, ids=[f"{case[0]}-{i}" for i, case in enumerate(ACTIVATIONS)])
def test_activations(case: Any) -> None:
    name, args, options = case
    same(getattr(nn, name)(*args, **options), draw(4, 6))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("case", LOSSES, ids=[f"{case[0]}-{i}" for i, case in enumerate(LOSSES)])
def test_losses(case: Any, reduction: str) -> None:
    name, options, inputs, others = case
    made = {k: tg.tensor(v.astype(np.float32)) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    arrays = [x.astype(np.float32) if x.dtype.kind == "f" else x for x in [*inputs, *others]]
    same(getattr(nn, name)(reduction=reduction, **made), *arrays)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_recurrent_layers_and_cells(kind: str) -> None:
    layer = getattr(nn, kind)(5, 7, num_layers=2, bidirectional=True, dropout=0.2)
    h = draw(4, 3, 7)
    same(layer, draw(6, 3, 5))
    same(layer, draw(6, 3, 5), (h, draw(4, 3, 7)) if kind == "LSTM" else h)
    same(getattr(nn, kind)(5, 7, batch_first=True, bias=False), draw(3, 6, 5))
    same(getattr(nn, f"{kind}Cell")(5, 7), draw(3, 5))
    if kind == "LSTM":
        same(nn.LSTM(5, 7, proj_size=3), draw(6, 3, 5))


class Packed(nn.Module):
    """A recurrent layer over sequences of different lengths."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(5, 4, bidirectional=True, batch_first=True)

    def forward(self, x: Any) -> Any:
        packed = rnn.pack_padded_sequence(x, [2, 6, 3], batch_first=True, enforce_sorted=False)
        y, state = self.layer(packed)
        return rnn.pad_packed_sequence(y, batch_first=True)[0], state


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_packed_sequences(kind: str) -> None:
    same(Packed(kind), draw(3, 6, 5))


def test_packed_sequences_move() -> None:
    rows = [tg.tensor(draw(n, 5)) for n in (2, 6, 3)]
    packed = rnn.pack_sequence(rows, enforce_sorted=False)
    moved = packed.to("cuda")
    assert (packed.is_cuda, moved.is_cuda, moved.batch_sizes.is_cuda, moved.sorted_indices.is_cuda) == (0, 1, 0, 1)
    for a, b in zip(rnn.unpack_sequence(moved), rows, strict=True):
        assert a.is_cuda
        np.testing.assert_array_equal(a.cpu().numpy(), b.numpy())
    assert not moved.cpu().is_cuda
    padded = rnn.pad_sequence([r.cuda() for r in rows], batch_first=True)
    np.testing.assert_array_equal(padded.cpu().numpy(), rnn.pad_sequence(rows, batch_first=True).numpy())


@pytest.mark.parametrize("training", [True, False])
def test_transformers(training: bool) -> None:
    left_out = np.array([[False] * 5, [False, False, True, True, True]])
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    options = {"batch_first": True, "dropout": 0.1}
    x, memory = draw(2, 5, 12), draw(2, 7, 12)
    attention = nn.MultiheadAttention(12, 3, batch_first=True, add_zero_attn=True, add_bias_kv=True)
    same(attention, x, memory, memory, training=training)
    same(attention, x, x, x, left_out, training=training)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(12, 3, 16, **options), 2)
    same(encoder, x, None, left_out, training=training)
    same(encoder, x, causal.numpy(), training=training)
    same(nn.TransformerDecoder(nn.TransformerDecoderLayer(12, 3, 16, **options), 2), x, memory, training=training)
    same(nn.Transformer(12, 3, 1, 1, 16, **options), memory, x, training=training)


OPTIMISERS = {
    "SGD": {"momentum": 0.9}, "Adam": {"amsgrad": True}, "AdamW": {}, "RMSprop": {"centered": True, "momentum": 0.5},
    "Adagrad": {"initial_accumulator_value": 0.1}, "Adadelta": {}, "Adamax": {}, "NAdam": {}, "RAdam": {}, "ASGD": {},
    "Rprop": {}, "LBFGS": {"max_iter": 3},
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_and_their_state(name: str) -> None:
    x = draw(7, 4)
    found = []
    for device in ("cpu", "cuda"):
        tg.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(device)
        optimizer = getattr(optim, name)(model.parameters(), **OPTIMISERS[name])
        inputs = tg.tensor(x, device=device)

        def closure(model: Any = model, optimizer: Any = optimizer, inputs: Any = inputs) -> Any:
            optimizer.zero_grad()
            loss = (model(inputs) ** 2).sum()
            loss.backward()
            return loss

        for _ in range(4):
            optimizer.step(closure)
        again = getattr(optim, name)(model.parameters(), **OPTIMISERS[name])
        again.load_state_dict(optimizer.state_dict())
        again.step(closure)
        found.append([p.detach().cpu().numpy() for p in model.parameters()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


def test_every_optimiser_is_there() -> None:
    public = {n for n, c in vars(optim).items() if isinstance(c, type) and issubclass(c, optim.Optimizer)}
    assert public - {"Optimizer"} == set(OPTIMISERS)
