"""Recurrent layers, cells and packed sequences against PyTorch's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from twins import built, leaves, same

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn.utils import rnn

torch = pytest.importorskip("torch")
KINDS = ["RNN", "GRU", "LSTM"]
rng = np.random.default_rng(3)


def draw(*shape: int) -> Any:
    return rng.standard_normal(shape)


def state(kind: str, *shape: int, cell: int | None = None) -> Any:
    h = draw(*shape)
    return (h, draw(*shape[:-1], cell or shape[-1])) if kind == "LSTM" else h


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_layers(kind: str, bidirectional: bool, layers: int, batch_first: bool, dtype: str) -> None:
    pair = built(kind, 3, 5, layers, batch_first=batch_first, bidirectional=bidirectional, bias=layers == 3)
    x = draw(2, 7, 3) if batch_first else draw(7, 2, 3)
    same(*pair, x, dtype=dtype)
    same(*pair, x, state(kind, layers * (1 + bidirectional), 2, 5), dtype=dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_one_sequence_needs_no_batch(kind: str) -> None:
    pair = built(kind, 3, 4, 2, bidirectional=True)
    same(*pair, draw(5, 3))
    same(*pair, draw(1, 3), state(kind, 4, 4))


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # PyTorch's own remark
def test_variants() -> None:
    same(*built("RNN", 3, 4, 2, "relu"), draw(5, 2, 3))
    for bidirectional in (False, True):
        pair = built("LSTM", 3, 5, 2, proj_size=2, bidirectional=bidirectional)
        same(*pair, draw(4, 3, 3))
        same(*pair, draw(4, 3, 3), state("LSTM", 2 + 2 * bidirectional, 3, 2, cell=5), dtype="float32")
    same(*built("GRU", 3, 4), draw(2, 0, 3))  # no sequence at all


@pytest.mark.parametrize("kind", KINDS)
def test_cells(kind: str) -> None:
    for options in ({}, {"bias": False}, *([{"nonlinearity": "relu"}] if kind == "RNN" else [])):
        pair = built(f"{kind}Cell", 3, 4, **options)
        same(*pair, draw(6, 3), state(kind, 6, 4))
        same(*pair, draw(6, 3), dtype="float32")
        same(*pair, draw(3), state(kind, 4))


def test_a_layer_is_its_cell_step_by_step() -> None:
    tg.manual_seed(2)
    layer, cell = nn.LSTM(3, 4), nn.LSTMCell(3, 4)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x = tg.tensor(draw(6, 2, 3), dtype=tg.float32)
    now = (tg.zeros(2, 4), tg.zeros(2, 4))
    outputs = []
    for step in x:
        now = cell(step, now)
        outputs.append(now[0])
    y, (h, c) = layer(x)
    np.testing.assert_allclose(y.detach().numpy(), tg.stack(outputs).detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(c[0].detach().numpy(), now[1].detach().numpy(), atol=1e-6)
    np.testing.assert_array_equal(h[0].detach().numpy(), y[-1].detach().numpy())


LENGTHS = [2, 5, 1, 4]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_through_layers(kind: str, bidirectional: bool) -> None:
    sequences = [draw(n, 3) for n in LENGTHS]
    ours, theirs = built(kind, 3, 4, 2, bidirectional=bidirectional)
    ours, theirs = ours.double(), theirs.double()
    ours.load_state_dict({k: tg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    h = state(kind, 2 + 2 * bidirectional, 4, 4)
    results = []
    for engine, module, pack in ((tg, ours, rnn), (torch, theirs, torch.nn.utils.rnn)):
        xs = [engine.tensor(s).requires_grad_() for s in sequences]
        start = tuple(engine.tensor(s).requires_grad_() for s in h) if kind == "LSTM" else engine.tensor(h)
        y, last = module(pack.pack_sequence(xs, enforce_sorted=False), start)
        padded, lengths = pack.pad_packed_sequence(y, batch_first=True, padding_value=-2.0)
        ((padded**2).sum() + sum(((part * part).sum() for part in leaves(last)), 0.0)).backward()
        parts = [padded, lengths, y.batch_sizes, y.sorted_indices, y.unsorted_indices, *leaves(last)]
        results.append([p.detach() for p in parts] + [x.grad for x in xs] + [p.grad for p in module.parameters()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-11, atol=1e-12)


def test_packing_is_pytorchs() -> None:
    sequences = [draw(n, 3) for n in LENGTHS]
    results = []
    for engine, pack in ((tg, rnn), (torch, torch.nn.utils.rnn)):
        xs = [engine.tensor(s) for s in sequences]
        longest_first = sorted(xs, key=len, reverse=True)
        for packed in (
            pack.pack_sequence(longest_first),
            pack.pack_sequence(xs, enforce_sorted=False),
            pack.pack_padded_sequence(pack.pad_sequence(xs), LENGTHS, enforce_sorted=False),
            pack.pack_padded_sequence(pack.pad_sequence(xs, True), engine.tensor(LENGTHS), True, False),
        ):
            results.append([*packed, *pack.pad_packed_sequence(packed, total_length=7), *pack.unpack_sequence(packed)])
        padded = [pack.pad_sequence(xs, side == "left", 9.0, side) for side in ("left", "right")]
        results.append([*padded, *pack.unpad_sequence(padded[1] * 1, engine.tensor(LENGTHS))])
    half = len(results) // 2
    for mine, other in zip(results[:half], results[half:], strict=True):
        for a, b in zip(mine, other, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_array_equal(a.numpy(), b.numpy())
                assert str(a.dtype) == str(b.dtype).removeprefix("torch.")


def test_gradients_pass_through_packing_and_padding() -> None:
    xs = [tg.tensor(draw(n, 2), requires_grad=True) for n in LENGTHS]
    padded, _ = rnn.pad_packed_sequence(rnn.pack_sequence(xs, enforce_sorted=False))
    (padded * padded).sum().backward()
    for x in xs:
        np.testing.assert_allclose(x.grad.numpy(), 2 * x.detach().numpy())


def test_a_packed_sequence_converts() -> None:
    packed = rnn.pack_sequence([tg.ones(2, 1), tg.ones(1, 1)])
    assert packed.double().data.dtype == tg.float64
    assert packed.float() is packed
    assert packed.cpu() is packed
    assert not packed.is_cuda
    data, batch_sizes, order, back = packed
    assert (data.shape, batch_sizes.tolist(), order, back) == ((3, 1), [2, 1], None, None)


def test_dropout_comes_between_layers_in_training_alone() -> None:
    tg.manual_seed(4)
    module = nn.GRU(3, 4, 2, dropout=0.5)
    x = tg.tensor(draw(5, 2, 3), dtype=tg.float32)
    assert not np.array_equal(module(x)[0].detach().numpy(), module(x)[0].detach().numpy())
    theirs = torch.nn.GRU(3, 4, 2, dropout=0.5)
    same(module, theirs, draw(5, 2, 3), training=False)
    with pytest.warns(UserWarning, match="between layers"):
        nn.GRU(3, 4, dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.GRU(3, 4, 2, dropout=0.5)


def test_the_last_state_is_memory_of_its_own() -> None:
    module = nn.LSTM(2, 3)
    y, (h, c) = module(tg.tensor(draw(4, 1, 2), dtype=tg.float32))
    with tg.no_grad():
        h.zero_()
        c.zero_()
    y.sum().backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in module.parameters())


def test_detached_states_carry_over() -> None:
    module = nn.LSTM(2, 3)
    hidden = None
    for _ in range(3):
        y, hidden = module(tg.tensor(draw(4, 1, 2), dtype=tg.float32), hidden)
        y.sum().backward()
        hidden = tuple(h.detach() for h in hidden)
    assert module.weight_hh_l0.grad.abs().sum().item() > 0


def test_printing_names_and_initialisation() -> None:
    for options in ({}, {"num_layers": 2, "bias": False, "batch_first": True, "dropout": 0.1, "bidirectional": True}):
        for kind in KINDS:
            a, b = built(kind, 3, 4, **options)
            assert repr(a) == repr(b)
            assert [n for n, _ in a.named_parameters()] == [n for n, _ in b.named_parameters()]
            assert len(a.all_weights) == len(b.all_weights)
            assert [len(w) for w in a.all_weights] == [len(w) for w in b.all_weights]
    assert repr(nn.LSTM(3, 4, proj_size=2)) == repr(torch.nn.LSTM(3, 4, proj_size=2))
    assert repr(nn.RNNCell(3, 4, nonlinearity="relu")) == repr(torch.nn.RNNCell(3, 4, nonlinearity="relu"))
    assert repr(nn.GRUCell(3, 4, bias=False)) == repr(torch.nn.GRUCell(3, 4, bias=False))
    weights = nn.utils.parameters_to_vector(nn.LSTM(20, 100).parameters())
    assert -0.1 <= weights.min().item() < -0.099
    assert 0.099 < weights.max().item() <= 0.1
    assert nn.GRU(2, 2, dtype=tg.float64).weight_ih_l0.dtype == tg.float64
    assert nn.GRU(2, 2).flatten_parameters() is None


REFUSED: list[tuple[Any, Any, str]] = [
    (lambda: nn.LSTM(3, 4)(tg.zeros(2, 5, 6, 3)), ValueError, "2 or 3 dimensions"),
    (lambda: nn.LSTM(3, 4)(tg.zeros(2, 5, 2)), RuntimeError, r"input_size 3, got shape \(2, 5, 2\)"),
    (lambda: nn.LSTM(3, 4)(tg.zeros(2, 5, 3), (tg.zeros(1, 4, 4),) * 2), RuntimeError, r"\(1, 5, 4\).*got \(1, 4, 4\)"),
    (lambda: nn.LSTM(3, 4)(tg.zeros(2, 5, 3), tg.zeros(1, 5, 4)), RuntimeError, r"\(h_0, c_0\)"),
    (lambda: nn.RNN(3, 4)(tg.zeros(2, 3), tg.zeros(1, 1, 4)), RuntimeError, r"got \(1, 1, 4\)"),
    (lambda: nn.RNN(3, 4)(tg.zeros(0, 5, 3)), RuntimeError, "empty"),
    (lambda: nn.RNN(3, 4)(tg.zeros(2, 5, 3).double()), ValueError, "float64.*float32"),
    (lambda: nn.RNN(3, 0), ValueError, "positive"),
    (lambda: nn.RNN(3.5, 4), TypeError, "input_size must be an integer"),
    (lambda: nn.RNN(3, 4, nonlinearity="elu"), ValueError, '"tanh" or "relu"'),
    (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "smaller than hidden_size"),
    (lambda: nn.GRU(3, 4, 2, dropout=1.5), ValueError, r"\[0, 1\]"),
    (lambda: nn.LSTMCell(3, 4)(tg.zeros(2, 5)), RuntimeError, "3 features"),
    (lambda: nn.LSTMCell(3, 4)(tg.zeros(2, 2, 3)), ValueError, "1 or 2 dimensions"),
    (lambda: nn.GRUCell(3, 4)(tg.zeros(2, 3), tg.zeros(3, 4)), RuntimeError, r"\(2, 4\), got \(3, 4\)"),
    (lambda: rnn.pack_sequence([tg.ones(1, 2), tg.ones(2, 2)]), RuntimeError, "enforce_sorted=False"),
    (lambda: rnn.pack_padded_sequence(tg.zeros(3, 2, 1), [3, 0]), RuntimeError, "positive"),
    (lambda: rnn.pack_padded_sequence(tg.zeros(3, 2, 1), [4, 1]), RuntimeError, "batch_first"),
    (lambda: rnn.pack_padded_sequence(tg.zeros(3, 2, 1), [3, 1, 1]), RuntimeError, "2 sequences need 2 lengths"),
    (lambda: rnn.pad_packed_sequence(rnn.pack_sequence([tg.ones(3, 2)]), total_length=2), ValueError, "3 steps"),
    (lambda: rnn.pad_sequence([]), RuntimeError, "no sequences"),
    (lambda: rnn.pad_sequence([tg.ones(2, 3), tg.ones(2, 4)]), RuntimeError, "first size alone"),
    (lambda: rnn.pad_sequence([tg.ones(2)], padding_side="top"), ValueError, '"right" or "left"'),
    (lambda: rnn.PackedSequence(tg.ones(3, 2), tg.tensor([2])), ValueError, "3 entries"),
]


@pytest.mark.parametrize(("attempt", "error", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_does_not_fit_is_refused(attempt: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        attempt()


def test_an_inverted_permutation_undoes_it() -> None:
    order = tg.randperm(9)
    undone = nn.utils.rnn.invert_permutation(order)
    assert order[undone].tolist() == list(range(9))
    assert nn.utils.rnn.invert_permutation(None) is None
