"""Whole training steps: forward, loss, backward, optimiser. A program each, run by both engines from the same weights.

`steps()` is the table of goals; each builder gets the library and returns the step to call.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..measure import Case, Run

VOCABULARY, WIDTH, HEADS, LAYERS, LENGTH, SEQUENCES = 65, 128, 4, 4, 64, 16


def same_weights(torch: Any, model: Any) -> Any:
    """Fill a model's matrices from one seed, fan-in scaled, and its biases with 0; norms keep their ones and zeros."""
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if len(p.shape) > 1:
                fan_in = int(np.prod(p.shape[1:]))
                p.copy_(torch.from_numpy((rng.standard_normal(tuple(p.shape)) / fan_in**0.5).astype(np.float32)))
            elif name.endswith("bias"):
                p.zero_()
    return model


def optimizer_of(torch: Any, name: str, model: Any) -> Any:
    """SGD or Adam with the settings of a first program."""
    kind = getattr(torch.optim, name)
    return kind(model.parameters(), lr=1e-2 if name == "SGD" else 1e-3)


def training_step(torch: Any, model: Any, loss_function: Any, optimizer: Any, x: np.ndarray, y: np.ndarray) -> Run:
    """The loop's body, as every tutorial writes it."""
    inputs, target = torch.from_numpy(x), torch.from_numpy(y)

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_function(model(inputs), target)
        loss.backward()
        optimizer.step()
        return loss

    step.model = model  # type: ignore[attr-defined]
    return step


def results(step: Any) -> Any:
    """What both engines must agree on: the first loss, every gradient of it, and two more losses."""
    first = step()
    gradients = [p.grad.detach().numpy().copy() for p in step.model.parameters()]
    return [first, gradients, step(), step()]


def rows(*shape: int) -> np.ndarray:
    """Inputs, the same for each engine."""
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def classes(n: int, count: int = 10) -> np.ndarray:
    """Labels."""
    return np.random.default_rng(2).integers(0, count, n)


def linear_regression(torch: Any, optimizer: str) -> Run:
    """10 → 1, batch 32."""
    model = same_weights(torch, torch.nn.Linear(10, 1))
    return training_step(
        torch, model, torch.nn.MSELoss(), optimizer_of(torch, optimizer, model), rows(32, 10), rows(32, 1)
    )


def mlp(sizes: tuple[int, ...], batch: int, activation: str) -> Callable[[Any, str], Run]:
    """A network of linear layers."""

    def build(torch: Any, optimizer: str) -> Run:
        nn = torch.nn
        layers = [part for i, o in itertools.pairwise(sizes) for part in (nn.Linear(i, o), getattr(nn, activation)())]
        model = same_weights(torch, nn.Sequential(*layers[:-1]))
        return training_step(
            torch,
            model,
            nn.CrossEntropyLoss(),
            optimizer_of(torch, optimizer, model),
            rows(batch, sizes[0]),
            classes(batch, sizes[-1]),
        )

    return build


def cnn(torch: Any, optimizer: str) -> Run:
    """Two 3×3 convolutions with pooling, two linear layers, on 28 × 28 pictures."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(3136, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )
    same_weights(torch, model)
    return training_step(
        torch, model, nn.CrossEntropyLoss(), optimizer_of(torch, optimizer, model), rows(64, 1, 28, 28), classes(64)
    )


def character_gpt(torch: Any, optimizer: str) -> Run:
    """A transformer of 4 layers over characters (Radford et al. 2019)."""
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.project = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

        def forward(self, x: Any) -> Any:
            b, t, d = x.shape
            q, k, v = self.qkv(self.norm1(x)).reshape(b, t, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.project(y.transpose(1, 2).reshape(b, t, d))
            return x + self.mlp(self.norm2(x))

    class GPT(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
            self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
            self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY)

        def forward(self, x: Any) -> Any:
            h = self.tokens(x) + self.positions(torch.arange(x.shape[1]))
            return self.head(self.norm(self.blocks(h))).reshape(-1, VOCABULARY)

    model = same_weights(torch, GPT())
    tokens = classes(SEQUENCES * (LENGTH + 1), VOCABULARY).reshape(SEQUENCES, LENGTH + 1)
    return training_step(
        torch,
        model,
        nn.CrossEntropyLoss(),
        optimizer_of(torch, optimizer, model),
        np.ascontiguousarray(tokens[:, :-1]),
        tokens[:, 1:].reshape(-1).copy(),
    )


def mlp_flops(sizes: tuple[int, ...], batch: int) -> float:
    """Three products a layer, two without the first layer's input gradient that nobody needs."""
    return batch * (6 * sum(i * o for i, o in itertools.pairwise(sizes)) - 2 * sizes[0] * sizes[1])


CNN_FLOPS = 64 * (4 * 784 * 9 * 32 + 6 * 196 * 9 * 32 * 64) + 64 * 6 * (3136 * 128 + 1280)
GPT_FLOPS = SEQUENCES * LENGTH * 6 * (LAYERS * (12 * WIDTH**2 + LENGTH * WIDTH) + WIDTH * VOCABULARY)
DIGITS, MNIST, WIDE = (64, 128, 10), (784, 512, 256, 10), (1024, 2048, 2048, 10)

# name, builder, optimiser, floating-point operations, goal × PyTorch
STEPS: list[tuple[str, Callable[[Any, str], Run], str, float, float]] = [
    ("linear regression 10-1, batch 32, SGD", linear_regression, "SGD", mlp_flops((10, 1), 32), 10),
    ("digits MLP 64-128-10, batch 32, SGD", mlp(DIGITS, 32, "ReLU"), "SGD", mlp_flops(DIGITS, 32), 8),
    ("digits MLP 64-128-10, batch 32, Adam", mlp(DIGITS, 32, "ReLU"), "Adam", mlp_flops(DIGITS, 32), 8),
    ("MNIST MLP 784-512-256-10, batch 128, SGD", mlp(MNIST, 128, "ReLU"), "SGD", mlp_flops(MNIST, 128), 2),
    ("MNIST MLP 784-512-256-10, batch 128, Adam", mlp(MNIST, 128, "ReLU"), "Adam", mlp_flops(MNIST, 128), 2),
    ("wide MLP 1024-2048-2048-10 GELU, batch 512, SGD", mlp(WIDE, 512, "GELU"), "SGD", mlp_flops(WIDE, 512), 1.25),
    ("wide MLP 1024-2048-2048-10 GELU, batch 512, Adam", mlp(WIDE, 512, "GELU"), "Adam", mlp_flops(WIDE, 512), 1.25),
    ("CNN 1-32-64 3×3, pool, 3136-128-10, batch 64, SGD", cnn, "SGD", CNN_FLOPS, 2),
    ("character GPT 4 layers, d 128, 4 heads, T 64, batch 16, Adam", character_gpt, "Adam", GPT_FLOPS, 1.7),
]


def cases() -> list[Case]:
    """One case a step."""
    return [
        Case(
            "step",
            name,
            lambda torch, b=build, o=optimizer: b(torch, o),
            flops=flops,
            goal=goal,
            tolerance=2e-3,
            results=results,
        )
        for name, build, optimizer, flops, goal in STEPS
    ]
