"""A whole training run on device "cuda" ends where the same run on the CPU ends."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import DataLoader, TensorDataset, load_digits, train_dev_test_split
from tinygrad_edu.zoo.gpt import GPT


def digits(device: str, make_optimizer: Any, smoothing: float, steps: int) -> tuple[list[np.ndarray], list[float]]:
    """Parameters and losses of the first steps of `tge train digits`, on a device."""
    data = load_digits()
    train, _, _ = train_dev_test_split(TensorDataset(data.X / 16, data.y), dev=0.2, test=0.2, seed=0)
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
    optimizer = make_optimizer(model.parameters())
    loss_function = nn.CrossEntropyLoss(label_smoothing=smoothing)
    losses = []
    for step, (x, y) in enumerate(DataLoader(train, batch_size=32, shuffle=True, generator=tg.Generator(0))):
        if step == steps:
            break
        optimizer.zero_grad()
        loss = loss_function(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [p.detach().cpu().numpy().copy() for p in model.parameters()], losses


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("adam", lambda p: optim.Adam(p, lr=3e-3)),
        ("adamw, amsgrad", lambda p: optim.AdamW(p, lr=3e-3, weight_decay=0.1, amsgrad=True)),
        ("sgd", lambda p: optim.SGD(p, lr=0.1)),
        ("nesterov", lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)),
    ],
)
def test_digits_learn_the_same_on_both(name: str, make: Any, gpu: Any) -> None:
    on_cpu, losses = digits("cpu", make, 0.1, 30)
    on_gpu, its_losses = digits("cuda", make, 0.1, 30)
    assert losses[-1] < 0.95 * losses[0]
    # Sums in another order: float32 agrees to about 1e-6 a step, and Adam makes of a small gradient a whole step.
    np.testing.assert_allclose(its_losses, losses, rtol=1e-4)
    for a, b in zip(on_cpu, on_gpu, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=2e-4)


# -- a small CNN, and a small Transformer ------------------------------------------------------------------------------
class Cnn(nn.Module):
    """What fits 8 × 8 digits: two convolutions, both pools, batch normalisation, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.GELU(), nn.AvgPool2d(2),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 10))

    def forward(self, x: Any) -> Any:
        return self.head(self.features(x))


class Reader(nn.Module):
    """Reads a picture as 16 words of four pixels each: embedding, attention, layer normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.place = nn.Embedding(17, 16), nn.Embedding(64, 16)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.norm, self.head = nn.RMSNorm(16), nn.Linear(16, 10)

    def forward(self, x: Any) -> Any:
        places = tg.arange(64, device=x.device)
        return self.head(self.norm(self.block(self.word(x) + self.place(places)).mean(1)))


def trained(model: Any, x: Any, y: Any, device: str) -> tuple[dict[str, np.ndarray], list[float]]:
    """State and losses of 8 steps with clipped gradients."""
    model = model.to(device)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for step in range(8):
        rows = slice(16 * step, 16 * step + 16)
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x[rows].to(device)), y[rows].to(device))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return {name: value.cpu().numpy().copy() for name, value in model.state_dict().items()}, losses


@pytest.mark.parametrize("kind", [Cnn, Reader])
def test_networks_learn_the_same_on_both(kind: Any, gpu: Any) -> None:
    data = load_digits()
    x = tg.tensor(data.X[:128]).long() if kind is Reader else tg.tensor(data.X[:128] / 16).reshape(128, 1, 8, 8)
    y = tg.tensor(data.y[:128])
    results = {}
    for device in ("cpu", "cuda"):
        tg.manual_seed(4)  # initial weights and dropout's masks are the same on both
        results[device] = trained(kind(), x, y, device)
    (on_cpu, losses), (on_gpu, its_losses) = results["cpu"], results["cuda"]
    np.testing.assert_allclose(its_losses, losses, rtol=1e-4)
    for name, value in on_cpu.items():
        np.testing.assert_allclose(on_gpu[name], value, rtol=0, atol=1e-3, err_msg=name)


# -- language: what comes next ---------------------------------------------------------------------------------------
TEXT = "the cat sat on the mat, and the dog sat on the cat. " * 8
LETTERS = sorted(set(TEXT))


class CharLSTM(nn.Module):
    """Two layers with dropout between them, over embedded letters."""

    def __init__(self) -> None:
        super().__init__()
        self.letter, self.head = nn.Embedding(len(LETTERS), 12), nn.Linear(20, len(LETTERS))
        self.lstm = nn.LSTM(12, 20, num_layers=2, dropout=0.1, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(self.letter(x))[0])


class CharGRU(nn.Module):
    """One layer in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.letter, self.head = nn.Embedding(len(LETTERS), 12), nn.Linear(20, len(LETTERS))
        self.gru = nn.GRU(12, 10, bidirectional=True, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.head(self.gru(self.letter(x))[0])


def char_gpt() -> Any:
    return GPT(vocabulary=len(LETTERS), context=16, width=24, layers=2, heads=3, dropout=0.1)


def letters(device: str, make: Any) -> tuple[dict[str, np.ndarray], list[float], list[float]]:
    """State, losses and gradients' norms of 8 steps with AdamW and clipping."""
    tg.manual_seed(3)
    model = make().to(device)
    optimizer = optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    numbers = tg.tensor([LETTERS.index(c) for c in TEXT])
    losses, norms = [], []
    for step in range(8):
        rows = tg.stack([numbers[37 * step + 5 * i : 37 * step + 5 * i + 13] for i in range(6)]).to(device)
        optimizer.zero_grad()
        logits = model(rows[:, :-1])
        loss = nn.functional.cross_entropy(logits.reshape(-1, len(LETTERS)), rows[:, 1:].reshape(-1))
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.25))
        optimizer.step()
        losses.append(loss)
    state = {name: value.cpu().numpy().copy() for name, value in model.state_dict().items()}
    return state, [loss.item() for loss in losses], [norm.item() for norm in norms]


@pytest.mark.parametrize("make", [CharLSTM, CharGRU, char_gpt])
def test_language_models_learn_the_same_on_both(make: Any, gpu: Any) -> None:
    (on_cpu, losses, norms), (on_gpu, its_losses, its_norms) = (letters(device, make) for device in ("cpu", "cuda"))
    assert losses[-1] < losses[0]
    assert max(norms) > 0.25  # some were clipped
    np.testing.assert_allclose(its_losses, losses, rtol=1e-5)
    np.testing.assert_allclose(its_norms, norms, rtol=1e-4)
    for name, value in on_cpu.items():
        np.testing.assert_allclose(on_gpu[name], value, rtol=0, atol=2e-4, err_msg=name)


def test_the_trainer_trains_on_the_gpu() -> None:
    data = load_digits()
    train, dev, _ = train_dev_test_split(TensorDataset(data.X[:300] / 16, data.y[:300]), dev=0.3, test=0.2, seed=0)
    histories = []
    for device in ("cpu", "cuda"):
        tg.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        trainer = tg.train.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=3e-3), seed=0,
                                   metrics={"accuracy": tg.train.accuracy}, device=device, progress="none")  # fmt: skip
        histories.append(trainer.fit(train, epochs=2, val=dev, batch_size=32))
    for name in ("loss", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(histories[1][name], histories[0][name], rtol=1e-4)
    assert model[0].weight.is_cuda


def test_the_command_trains_on_the_gpu(tmp_path: Any) -> None:
    commands = pytest.importorskip("tinygrad_edu.cli.commands")
    testing = pytest.importorskip("click.testing")
    results = []
    for device in ("cpu", "cuda"):
        out = str(tmp_path / device)
        arguments = ["train", "digits", "--epochs", "2", "--hidden", "16", "--device", device, "--out", out]
        done = testing.CliRunner().invoke(commands.cli, arguments)
        assert done.exit_code == 0, done.output
        results.append(json.loads((tmp_path / device / "digits-1" / "result.json").read_text()))
    assert "kernels cuda" in done.output
    for name in ("train_loss", "dev_loss", "test_accuracy"):
        assert results[1][name] == pytest.approx(results[0][name], rel=1e-3)
