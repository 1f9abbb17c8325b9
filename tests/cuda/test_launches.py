"""How many kernels a training step launches: counted, so that neither growth nor thrift goes unseen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.zoo.gpt import GPT


def mlp() -> Any:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def gpt() -> Any:
    return GPT(vocabulary=11, context=8, width=16, layers=2, heads=2, dropout=0.0)


def one_step(model: Any, optimizer: Any, x: Any, y: Any, gpu: Any, clip: bool) -> dict[str, int]:
    """What the second of two training steps launches."""
    for _ in range(2):
        before = dict(gpu.launches)
        optimizer.zero_grad()
        logits = model(x)
        nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), y).backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return {name: n - before.get(name, 0) for name, n in gpu.launches.items() if n != before.get(name, 0)}


OPTIMISERS = {
    "sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9),
    "adam": lambda p: optim.AdamW(p, 1e-3),
}


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize(("make", "most"), [(mlp, 18), (gpt, 107)])
def test_launches_of_a_step(make: Any, most: int, name: str, gpu: Any) -> None:
    tg.manual_seed(0)
    rng = np.random.default_rng(0)
    if make is mlp:
        x, y = tg.tensor(rng.normal(size=(32, 64)).astype(np.float32)), tg.tensor(rng.integers(0, 10, 32))
    else:
        x, y = tg.tensor(rng.integers(0, 11, (2, 7))), tg.tensor(rng.integers(0, 11, 14))
    model = make().to("cuda")
    optimizer = OPTIMISERS[name](model.parameters())
    launches = one_step(model, optimizer, x.cuda(), y.cuda(), gpu, True)
    assert launches[f"{name}_f32"] == 1  # for all parameters
    assert [launches[k] for k in ("squares_f32", "norm_f32", "limit_norm_f32")] == [1, 1, 1]
    assert sum(launches.values()) == most
    if make is gpt:  # one forward and two backward for each layer, and no T × S weights between them
        fused = {f"attention{which}64_f32": 2 for which in ("", "_rows", "_keys")}
        assert {k: n for k, n in launches.items() if "attention" in k} == fused
