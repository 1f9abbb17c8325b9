"""What people build with PyTorch besides the classics, in both libraries from the same weights: equal losses.

Each program is one function of the module `torch`. float64 is the default dtype of both, so that what differs is a
mistake, not rounding. What is random, initial weights aside, is drawn by NumPy.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

from .twins import Losses, agree, copy_weights, images

RNG = np.random.default_rng
pytestmark = pytest.mark.usefixtures("double")


def graph(torch: Any, weights: dict[str, Any], attention: bool) -> Losses:
    """Digits that look alike are neighbours; a few have labels (Kipf & Welling 2017; Veličković et al. 2018)."""
    nn, F = torch.nn, torch.nn.functional

    class GraphConv(nn.Module):  # type: ignore[misc, name-defined]
        """Neighbours' features, mixed by a kernel."""

        def __init__(self, inputs: int, outputs: int, use_bias: bool = False) -> None:
            super().__init__()
            self.kernel = nn.Parameter(torch.Tensor(inputs, outputs))
            nn.init.xavier_normal_(self.kernel)
            self.bias = None
            if use_bias:
                self.bias = nn.Parameter(torch.Tensor(outputs))
                nn.init.zeros_(self.bias)

        def forward(self, x: Any, adj: Any) -> Any:
            output = torch.mm(adj, torch.mm(x, self.kernel))
            return output if self.bias is None else output + self.bias

    class GraphAttention(nn.Module):  # type: ignore[misc, name-defined]
        """Neighbours' features, weighted by heads of attention."""

        def __init__(self, inputs: int, outputs: int, heads: int) -> None:
            super().__init__()
            self.heads, self.width = heads, outputs // heads
            self.W = nn.Parameter(torch.empty(size=(inputs, outputs)))
            self.a = nn.Parameter(torch.empty(size=(heads, 2 * self.width, 1)))
            self.leakyrelu = nn.LeakyReLU(0.2)
            nn.init.xavier_uniform_(self.W)
            nn.init.xavier_uniform_(self.a)

        def forward(self, x: Any, adj: Any) -> Any:
            n = x.shape[0]
            h = torch.mm(x, self.W).view(n, self.heads, self.width).permute(1, 0, 2)
            source = torch.matmul(h, self.a[:, : self.width, :])
            target = torch.matmul(h, self.a[:, self.width :, :])
            e = self.leakyrelu(source + target.mT)
            attention = F.softmax(torch.where(adj > 0, e, -9e16 * torch.ones_like(e)), dim=-1)
            return torch.matmul(attention, h).permute(1, 0, 2).contiguous().view(n, -1)

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        """Two layers."""

        def __init__(self) -> None:
            super().__init__()
            self.one = GraphAttention(64, 16, 4) if attention else GraphConv(64, 16, True)
            self.two = GraphConv(16, 10)

        def forward(self, x: Any, adj: Any) -> Any:
            h = F.elu(self.one(x, adj)) if attention else F.relu(self.one(x, adj))
            return F.log_softmax(self.two(h, adj), dim=1)

    x, y = images(120)
    features = torch.tensor(x.reshape(120, -1))
    near = torch.cdist(features, features).argsort(dim=1)[:, :5]
    adj = torch.zeros(120, 120)
    adj[torch.arange(120).unsqueeze(1), near] = 1.0
    adj = ((adj + adj.T) > 0).to(torch.get_default_dtype())
    degree = adj.sum(1).pow(-0.5)
    adj = torch.diag(degree) @ adj @ torch.diag(degree)
    labels, known = torch.LongTensor(y), torch.arange(0, 120, 3)
    torch.manual_seed(0)
    model = copy_weights(torch, Net(), weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=5e-4)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = F.nll_loss(model(features, adj)[known], labels[known])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("attention", [False, True])
def test_graphs(attention: bool) -> None:
    agree(graph, attention, falls=0.5)


def vision_transformer(torch: Any, weights: dict[str, Any]) -> Losses:
    """Patches as words (Dosovitskiy et al. 2021)."""
    nn = torch.nn

    class PatchExtractor(nn.Module):  # type: ignore[misc, name-defined]
        """(N, C, H, W) → (N, patches, pixels)."""

        def __init__(self, patch_size: int = 4) -> None:
            super().__init__()
            self.patch_size = patch_size

        def forward(self, x: Any) -> Any:
            b, c, p = x.size(0), x.size(1), self.patch_size
            patches = x.unfold(2, p, p).unfold(3, p, p).contiguous().view(b, c, -1, p, p)
            return patches.permute(0, 2, 3, 4, 1).contiguous().view(b, -1, p * p * c)

    class ViT(nn.Module):  # type: ignore[misc, name-defined]
        """Patches, a class token, places, an encoder, a head."""

        def __init__(self) -> None:
            super().__init__()
            self.patches, self.embed = PatchExtractor(), nn.Linear(16, 24)
            self.cls_token = nn.Parameter(torch.randn(1, 1, 24))
            self.position = nn.Parameter(torch.randn(1, 5, 24) * 0.1)
            layer = nn.TransformerEncoderLayer(24, 4, 48, 0.0, activation="gelu", batch_first=True, norm_first=True)
            self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
            self.head = nn.Sequential(nn.LayerNorm(24), nn.Linear(24, 10))

        def forward(self, x: Any) -> Any:
            x = self.embed(self.patches(x))
            x = torch.cat([self.cls_token.expand(x.size(0), -1, -1), x], dim=1) + self.position
            return self.head(self.encoder(x)[:, 0])

    x, y = images(800)
    torch.manual_seed(1)
    model = copy_weights(torch, ViT(), weights)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.05)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    losses = []
    for i in range(50):
        rows = slice(16 * i, 16 * i + 16)
        loss = criterion(model(torch.tensor(x[rows])), torch.tensor(y[rows]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def test_vision_transformer() -> None:
    agree(vision_transformer, falls=0.8)


def forward_forward(torch: Any, weights: dict[str, Any]) -> Losses:
    """Layers that learn by themselves what is right and what is wrong (Hinton 2022)."""
    nn = torch.nn

    class Layer(nn.Linear):  # type: ignore[misc, name-defined]
        """Has an optimiser of its own."""

        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__(inputs, outputs)
            self.opt = torch.optim.Adam(self.parameters(), lr=0.02)

        def forward(self, x: Any) -> Any:
            direction = x / (x.norm(2, 1, keepdim=True) + 1e-4)
            return torch.relu(torch.mm(direction, self.weight.T) + self.bias.unsqueeze(0))

        def learn(self, right: Any, wrong: Any) -> tuple[float, Any, Any]:
            good, bad = (self.forward(x).pow(2).mean(1) for x in (right, wrong))
            loss = torch.log(1 + torch.exp(torch.cat([-good + 1.0, bad - 1.0]))).mean()
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            return loss.item(), self.forward(right).detach(), self.forward(wrong).detach()

    def overlay(x: Any, y: Any) -> Any:
        marked = x.clone()
        marked[:, :10] *= 0.0
        marked[range(x.shape[0]), y] = x.max()
        return marked

    x, y = images(100)
    data, labels = torch.tensor(x.reshape(100, -1)), torch.tensor(y)
    wrong = torch.tensor((y + RNG(0).integers(1, 10, 100)) % 10)
    torch.manual_seed(2)
    layers = copy_weights(torch, nn.ModuleList([Layer(64, 32), Layer(32, 32)]), weights)
    losses = []
    for _ in range(25):
        right, false = overlay(data, labels), overlay(data, wrong)
        for layer in layers:
            loss, right, false = layer.learn(right, false)
            losses.append(loss)
    goodness = []
    for label in range(10):
        h, total = overlay(data, label), []
        for layer in layers:
            h = layer(h)
            total.append(h.pow(2).mean(1))
        goodness.append(sum(total).unsqueeze(1))
    found = torch.cat(goodness, 1).argmax(1)
    return [*losses, 0.01 * (1 - found.eq(labels).float().mean().item())]


def test_layers_that_learn_by_themselves() -> None:
    agree(forward_forward)


def diffusion(torch: Any, weights: dict[str, Any]) -> Losses:
    """Noise is taken away step by step (Ho et al. 2020); a slow copy of the net follows it."""
    nn, F = torch.nn, torch.nn.functional
    steps = 20
    betas = torch.linspace(1e-3, 0.2, steps)
    alphas = 1.0 - betas
    products = torch.cumprod(alphas, axis=0)
    before = F.pad(products[:-1], (1, 0), value=1.0)
    variance = betas * (1.0 - before) / (1.0 - products)

    def extract(a: Any, t: Any, shape: Any) -> Any:
        return a.gather(-1, t.cpu()).reshape(t.shape[0], *((1,) * (len(shape) - 1))).to(t.device)

    class Denoiser(nn.Module):  # type: ignore[misc, name-defined]
        """Convolutions told the time by sines."""

        def __init__(self) -> None:
            super().__init__()
            self.time = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 16))
            self.first = nn.Conv2d(1, 16, 3, padding=1)
            self.norm = nn.GroupNorm(4, 16)
            self.last = nn.Conv2d(16, 1, 3, padding=1)

        def forward(self, x: Any, t: Any) -> Any:
            rates = torch.exp(torch.arange(4, device=t.device) * -(math.log(10000) / 3))
            angles = t[:, None] * rates[None, :]
            clock = self.time(torch.cat((angles.sin(), angles.cos()), dim=-1))
            return self.last(F.silu(self.norm(self.first(x)) + clock[:, :, None, None]))

    x, _ = images(400)
    torch.manual_seed(3)
    model = copy_weights(torch, Denoiser(), weights)
    slow = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    rng, losses = RNG(4), []
    for i in range(50):
        start = torch.tensor(x[8 * i : 8 * i + 8]) * 2 - 1
        t, noise = torch.tensor(rng.integers(0, steps, 8)), torch.tensor(rng.standard_normal(start.shape))
        noisy = (
            extract(products.sqrt(), t, start.shape) * start + extract((1.0 - products).sqrt(), t, start.shape) * noise
        )
        loss = F.huber_loss(model(noisy, t), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for kept, new in zip(slow.parameters(), model.parameters(), strict=True):
                kept.mul_(0.9).add_(new.data, alpha=0.1)
        losses.append(loss.item())
    image = torch.tensor(rng.standard_normal((2, 1, 8, 8)))
    with torch.inference_mode():
        for step in reversed(range(steps)):
            t = torch.full((2,), step, dtype=torch.long)
            predicted = betas[step] * slow(image, t) / (1.0 - products[step]).sqrt()
            image = (image - predicted) / alphas[step].sqrt()
            if step:
                image = image + variance[step].sqrt() * torch.tensor(rng.standard_normal((2, 1, 8, 8)))
    pixels = image.clamp(-1, 1).add(1).mul(127.5).to("cpu", torch.uint8).numpy()
    assert pixels.dtype == np.uint8
    return [*losses, 1e-3 * float(image.abs().mean())]


def test_diffusion() -> None:
    agree(diffusion)


def critic(torch: Any, weights: dict[str, Any]) -> Losses:
    """A Wasserstein critic, its gradient's norm held at 1 by a gradient of a gradient (Gulrajani et al. 2017)."""
    nn, autograd = torch.nn, torch.autograd
    torch.manual_seed(4)
    generator = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2, inplace=True), nn.Linear(16, 2))
    judge = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Softplus(), nn.Linear(16, 1))
    copy_weights(torch, nn.ModuleList([generator, judge]), weights)
    of_judge = torch.optim.Adam(judge.parameters(), lr=5e-3, betas=(0.0, 0.9))
    of_generator = torch.optim.RMSprop(generator.parameters(), lr=5e-3)
    rng, losses = RNG(5), []
    for step in range(60):
        real = torch.tensor(rng.standard_normal((16, 2)) * 0.3 + [2.0, -1.0])
        fake = generator(torch.tensor(rng.standard_normal((16, 4))))
        share = torch.tensor(rng.random((16, 1)))
        between = (share * real + (1 - share) * fake.detach()).requires_grad_(True)
        verdict = judge(between)
        slope = autograd.grad(
            outputs=verdict, inputs=between, grad_outputs=torch.ones(verdict.size()), create_graph=True,
            retain_graph=True, only_inputs=True,
        )[0]  # fmt: skip
        penalty = ((slope.view(slope.size(0), -1).norm(2, dim=1) - 1) ** 2).mean()
        of_judge.zero_grad()
        loss = -torch.mean(judge(real)) + torch.mean(judge(fake.detach())) + 10 * penalty
        loss.backward()
        of_judge.step()
        losses.append(loss.item())
        if step % 3 == 0:
            of_generator.zero_grad()
            (-judge(fake).mean()).backward()
            of_generator.step()
    return losses


def test_a_critic_with_a_gradient_penalty() -> None:
    agree(critic)


def learning_to_learn(torch: Any, weights: dict[str, Any]) -> Losses:
    """Weights from which one step fits any sine wave: gradients through a step (Finn et al. 2017)."""
    nn, F = torch.nn, torch.nn.functional
    functional_call = torch.func.functional_call
    torch.manual_seed(5)
    net = copy_weights(torch, nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1)), weights)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    rng, losses = RNG(6), []
    for _ in range(50):
        optimizer.zero_grad()
        total = 0.0
        for _ in range(2):
            size, phase = rng.uniform(0.5, 2), rng.uniform(0, 3)
            x = torch.tensor(rng.uniform(-3, 3, (10, 1)))
            y = size * torch.sin(x + phase)
            fast = dict(net.named_parameters())
            inner = F.mse_loss(functional_call(net, fast, (x[:5],)), y[:5])
            grads = torch.autograd.grad(inner, tuple(fast.values()), create_graph=True)
            fast = {name: p - 0.1 * g for (name, p), g in zip(fast.items(), grads, strict=True)}
            outer = F.mse_loss(functional_call(net, fast, (x[5:],)), y[5:])
            outer.backward()
            total += outer.item()
        optimizer.step()
        losses.append(total)
    return losses


def test_learning_to_learn() -> None:
    agree(learning_to_learn, falls=2.0)
