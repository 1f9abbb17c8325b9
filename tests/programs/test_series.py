"""Series: recurrent nets that continue sine waves, and sets of numbers, in both libraries from the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .twins import Losses, copy_weights, libraries


def waves(count: int, length: int) -> np.ndarray[Any, Any]:
    """Sine waves that begin at different places."""
    shifts = np.random.default_rng(2).integers(-80, 80, count)
    return np.sin((np.arange(length) + shifts[:, None]) / 5.0)


def wave_model(torch: Any, size: int) -> Any:
    """Two LSTM cells and a linear map, step by step; `future` steps feed on themselves."""
    nn = torch.nn

    class Sequence(nn.Module):  # type: ignore[misc, name-defined]
        """(N, T) → (N, T + future)."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm1 = nn.LSTMCell(1, size)
            self.lstm2 = nn.LSTMCell(size, size)
            self.linear = nn.Linear(size, 1)

        def forward(self, input: Any, future: int = 0) -> Any:
            outputs = []
            h_t = torch.zeros(input.size(0), size, dtype=torch.double)
            c_t = torch.zeros(input.size(0), size, dtype=torch.double)
            h_t2 = torch.zeros(input.size(0), size, dtype=torch.double)
            c_t2 = torch.zeros(input.size(0), size, dtype=torch.double)
            for input_t in input.split(1, dim=1):
                h_t, c_t = self.lstm1(input_t, (h_t, c_t))
                h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                output = self.linear(h_t2)
                outputs += [output]
            for _ in range(future):
                h_t, c_t = self.lstm1(output, (h_t, c_t))
                h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                output = self.linear(h_t2)
                outputs += [output]
            return torch.cat(outputs, dim=1)

    return Sequence()


def fit_waves(torch: Any, steps: int, line_search: str | None, weights: dict[str, Any]) -> tuple[Losses, Any]:
    """All at once by L-BFGS in float64, with a closure; then the waves go on."""
    nn, optim = torch.nn, torch.optim
    np.random.seed(0)
    torch.manual_seed(0)
    data = waves(8, 25)
    input, target = torch.from_numpy(data[2:, :-1]), torch.from_numpy(data[2:, 1:])
    test_input, test_target = torch.from_numpy(data[:2, :-1]), torch.from_numpy(data[:2, 1:])
    seq = wave_model(torch, 8)
    seq.double()
    copy_weights(torch, seq, weights)
    criterion = nn.MSELoss()
    optimizer = optim.LBFGS(seq.parameters(), lr=0.8, line_search_fn=line_search)
    losses: Losses = []
    for _ in range(steps):

        def closure() -> Any:
            optimizer.zero_grad()
            loss = criterion(seq(input), target)
            losses.append(loss.item())
            loss.backward()
            return loss

        optimizer.step(closure)
    with torch.no_grad():
        pred = seq(test_input, future=10)
        losses.append(criterion(pred[:, :-10], test_target).item())
        return losses, pred.detach().numpy()


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_sine_waves_by_lbfgs(line_search: str | None) -> None:
    weights: dict[str, Any] = {}
    (ours, waves), (theirs, other) = (fit_waves(torch, 3, line_search, weights) for torch in libraries())
    assert len(ours) == len(theirs)  # as many evaluations
    assert len(ours) > 50
    np.testing.assert_allclose(ours[:60], theirs[:60], rtol=1e-4)
    assert ours[-2] < 0.1 * ours[0]
    np.testing.assert_allclose(waves, other, atol=1e-3)


def classify_sequences(torch: Any, kind: str, steps: int, weights: dict[str, Any]) -> Losses:
    """Waves or noise? Sequences of different lengths, packed, through a bidirectional net of two layers."""
    nn, F = torch.nn, torch.nn.functional

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        """Packed sequences → logits from the last states of both directions."""

        def __init__(self) -> None:
            super().__init__()
            self.rnn = getattr(nn, kind)(1, 6, num_layers=2, bidirectional=True, batch_first=True)
            self.head = nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 2))

        def forward(self, packed: Any) -> Any:
            self.rnn.flatten_parameters()
            _, hidden = self.rnn(packed)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            hidden = hidden.view(2, 2, -1, 6)[-1]
            return self.head(torch.cat([hidden[0], hidden[1]], dim=1))

    torch.manual_seed(1)
    model = copy_weights(torch, Net(), weights)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.99)
    rng, losses = np.random.default_rng(3), []
    for _ in range(steps):
        labels = rng.integers(0, 2, 10)
        series = [
            torch.tensor((np.sin(np.arange(n) + n) if c else rng.standard_normal(n)).astype(np.float32)).unsqueeze(-1)
            for c, n in zip(labels, rng.integers(4, 12, 10), strict=True)
        ]
        packed = nn.utils.rnn.pack_sequence(series, enforce_sorted=False)
        loss = F.cross_entropy(model(packed), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_sequences_of_different_lengths(kind: str) -> None:
    weights: dict[str, Any] = {}
    ours, theirs = (classify_sequences(torch, kind, 50, weights) for torch in libraries())
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert np.mean(ours[-10:]) < np.mean(ours[:10])


def sort_numbers(torch: Any, steps: int, weights: dict[str, Any]) -> tuple[Losses, Any]:
    """An encoder and a decoder (`nn.Transformer`) that sorts digits; all masks; a schedule with warm-up."""
    nn = torch.nn

    class Sorter(nn.Module):  # type: ignore[misc, name-defined]
        """Digits in, sorted digits out; 10 begins, 11 is padding."""

        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = nn.Embedding(12, 16, padding_idx=11), nn.Embedding(8, 16)
            self.transformer = nn.Transformer(16, 2, 1, 1, 32, dropout=0.0, batch_first=True, norm_first=True)
            self.head = nn.Linear(16, 12)

        def embed(self, x: Any) -> Any:
            return self.tokens(x) + self.places(torch.arange(x.shape[1]))

        def forward(self, src: Any, tgt: Any) -> Any:
            mask = nn.Transformer.generate_square_subsequent_mask(tgt.shape[1])
            padding = torch.zeros(src.shape).masked_fill(src == 11, float("-inf"))
            y = self.transformer(self.embed(src), self.embed(tgt), tgt_mask=mask, src_key_padding_mask=padding,
                                 memory_key_padding_mask=padding)  # fmt: skip
            return self.head(y)

    torch.manual_seed(4)
    model = copy_weights(torch, Sorter(), weights)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.98), eps=1e-9)
    warm = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 16**-0.5 * min((step + 1) ** -0.5, (step + 1) * 30**-1.5)
    )
    rng, losses = np.random.default_rng(5), []
    loss_function = nn.CrossEntropyLoss(ignore_index=11)

    def batch(n: int) -> tuple[Any, Any]:
        src = rng.integers(0, 10, (n, 6))
        src[np.arange(6) >= rng.integers(3, 7, n)[:, None]] = 11
        return src, np.concatenate([np.full((n, 1), 10), np.sort(src, 1)], 1)

    for _ in range(steps):
        src, tgt = (torch.tensor(a) for a in batch(16))
        logits = model(src, tgt[:, :-1])
        loss = loss_function(logits.reshape(-1, 12), tgt[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warm.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        src = torch.tensor(batch(4)[0])
        out = torch.full((4, 1), 10, dtype=torch.long)
        for _ in range(6):
            out = torch.cat([out, model(src, out)[:, -1].argmax(-1, keepdim=True)], dim=1)
    return losses, out.tolist()


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True", "ignore:.*nested tensors")
def test_a_transformer_sorts_numbers() -> None:
    """In float64: its warm-up is steep, and in float32 a last bit has become a percent after fifty steps."""
    weights: dict[str, Any] = {}
    results = []
    for torch in libraries():
        torch.set_default_dtype(torch.float64)
        try:
            results.append(sort_numbers(torch, 60, weights))
        finally:
            torch.set_default_dtype(torch.float32)
    (ours, sorted_), (theirs, other) = results
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert sorted_ == other
    assert np.mean(ours[-5:]) < 0.8 * np.mean(ours[:5])
