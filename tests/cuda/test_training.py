"""A whole training run on device "cuda" ends where the same run on the CPU ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import DataLoader, TensorDataset, load_digits, train_dev_test_split


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
