"""Models whose parts are less usual, in both libraries from the same weights: equal losses.

Each program is one function of the module `torch`. float64 is the default dtype of both, so that what differs is a
mistake, not rounding. What is random, initial weights aside, is drawn by NumPy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from .text import words
from .twins import Losses, agree, copy_weights, images

RNG = np.random.default_rng
pytestmark = pytest.mark.usefixtures("double")


def large_model_in_small(torch: Any, weights: dict[str, Any]) -> Losses:
    """Rotary places, root-mean-square norms, gated maps, shared key heads, a cache (Touvron et al. 2023)."""
    nn, F = torch.nn, torch.nn.functional
    width, heads, shared, head = 16, 4, 2, 4
    tokens, vocabulary = words()

    def rotate(x: Any, cos: Any, sin: Any) -> Any:
        even, odd = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
        cos, sin = cos[None, :, None, :], sin[None, :, None, :]
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(3).type_as(x)

    class RMSNorm(nn.Module):  # type: ignore[misc, name-defined]
        """Written out."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(width))

        def forward(self, x: Any) -> Any:
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        """Attention with a cache, then a gated map."""

        def __init__(self) -> None:
            super().__init__()
            self.wq, self.wo = (nn.Linear(width, width, bias=False) for _ in range(2))
            self.wk, self.wv = (nn.Linear(width, shared * head, bias=False) for _ in range(2))
            self.w1, self.w3 = (nn.Linear(width, 40, bias=False) for _ in range(2))
            self.w2 = nn.Linear(40, width, bias=False)
            self.attention_norm, self.ffn_norm = RMSNorm(), RMSNorm()
            self.cache_k = self.cache_v = None

        def forward(self, x: Any, start: int, cos: Any, sin: Any, mask: Any, caching: bool) -> Any:
            b, t, _ = x.shape
            h = self.attention_norm(x)
            q = rotate(self.wq(h).view(b, t, heads, head), cos, sin)
            k = rotate(self.wk(h).view(b, t, shared, head), cos, sin)
            v = self.wv(h).view(b, t, shared, head)
            if caching:
                if start == 0:
                    self.cache_k, self.cache_v = torch.zeros(b, 32, shared, head), torch.zeros(b, 32, shared, head)
                self.cache_k[:b, start : start + t] = k
                self.cache_v[:b, start : start + t] = v
                k, v = self.cache_k[:b, : start + t], self.cache_v[:b, : start + t]
            k, v = (torch.repeat_interleave(s, dim=2, repeats=heads // shared).transpose(1, 2) for s in (k, v))
            scores = torch.matmul(q.transpose(1, 2), k.transpose(2, 3)) / math.sqrt(head)
            if mask is not None:
                scores = scores + mask
            y = torch.matmul(F.softmax(scores, dim=-1), v).transpose(1, 2).contiguous().view(b, t, -1)
            x = x + self.wo(y)
            h = self.ffn_norm(x)
            return x + self.w2(F.silu(self.w1(h)) * self.w3(h))

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        """Words in, logits out."""

        def __init__(self) -> None:
            super().__init__()
            self.embeddings = nn.Embedding(len(vocabulary), width)
            self.layers = nn.ModuleList(Block() for _ in range(2))
            self.norm, self.output = RMSNorm(), nn.Linear(width, len(vocabulary), bias=False)
            rates = 1.0 / (10000.0 ** (torch.arange(0, head, 2)[: (head // 2)].double() / head))
            angles = torch.outer(torch.arange(32), rates)
            self.register_buffer("cos", torch.cos(angles), persistent=False)
            self.register_buffer("sin", torch.sin(angles), persistent=False)

        def forward(self, x: Any, start: int = 0, caching: bool = False) -> Any:
            t = x.shape[1]
            cos, sin = self.cos[start : start + t], self.sin[start : start + t]
            mask = None
            if t > 1:
                mask = torch.triu(torch.full((t, t), float("-inf")), diagonal=1)
                mask = torch.hstack([torch.zeros((t, start)), mask])
            h = self.embeddings(x)
            for layer in self.layers:
                h = layer(h, start, cos, sin, mask, caching)
            return self.output(self.norm(h))

    torch.manual_seed(6)
    model = copy_weights(torch, Model(), weights)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)
    losses = []
    for i in range(50):
        window = torch.tensor(np.stack([tokens[3 * i + 20 * j :][:13] for j in range(4)]))
        logits = model(window[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        start = torch.tensor(tokens[None, :5])
        whole, said = model(start), start
        logits = model(start, 0, True)
        assert torch.allclose(whole, logits)
        for position in range(5, 15):  # one at a time with the cache; all at once without
            probabilities = torch.softmax(logits[:, -1] / 0.7, dim=-1)
            ordered, index = torch.sort(probabilities, dim=-1, descending=True)
            ordered[torch.cumsum(ordered, dim=-1) - ordered > 0.5] = 0.0
            ordered.div_(ordered.sum(dim=-1, keepdim=True))
            next_token = torch.gather(index, -1, ordered.argmax(-1, keepdim=True))
            said = torch.cat([said, next_token], dim=1)
            logits = model(next_token, position, True)
            assert torch.allclose(logits[:, -1], model(said)[:, -1])
    return [*losses, 1e-3 * said.sum().item()]


def test_a_large_language_model_in_small() -> None:
    agree(large_model_in_small)


def bags_of_words(torch: Any, weights: dict[str, Any]) -> Losses:
    """Which half of the text is a window of words from? Means of embeddings; a collate function; three samplers."""
    nn, data = torch.nn, torch.utils.data
    tokens, vocabulary = words()
    windows = [(tokens[i : i + 4 + i % 4], int(i > len(tokens) // 2)) for i in range(0, len(tokens) - 8, 2)]

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        """Mean of a bag, then a linear map."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.EmbeddingBag(len(vocabulary), 8, sparse=False)
            self.fc = nn.Linear(8, 2)
            self.embedding.weight.data.uniform_(-0.5, 0.5)
            self.fc.bias.data.zero_()

        def forward(self, text: Any, offsets: Any) -> Any:
            return self.fc(self.embedding(text, offsets))

    def collate_batch(batch: Any) -> tuple[Any, Any, Any]:
        texts = [torch.tensor(text, dtype=torch.int64) for text, _ in batch]
        labels = torch.tensor([label for _, label in batch], dtype=torch.int64)
        offsets = torch.tensor([0, *[t.size(0) for t in texts]][:-1]).cumsum(dim=0)
        return labels, torch.cat(texts), offsets

    torch.manual_seed(7)
    model = copy_weights(torch, Model(), weights)
    loader = data.DataLoader(windows, batch_size=10, shuffle=False, collate_fn=collate_batch)
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1.0, gamma=0.7)
    losses: Losses = []
    while len(losses) < 50:
        for label, text, offsets in loader:
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(text, offsets), label)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
    return losses


def test_bags_of_words() -> None:
    agree(bags_of_words, falls=3.0)


def turned_digits(torch: Any, weights: dict[str, Any]) -> Losses:
    """A net that first turns and shifts the image as it likes (Jaderberg et al. 2015)."""
    nn, F = torch.nn, torch.nn.functional

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        """A localisation net, a grid, a classifier."""

        def __init__(self) -> None:
            super().__init__()
            self.localization = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2, stride=2), nn.ReLU(True))
            self.fc_loc = nn.Sequential(nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, 6))
            self.fc_loc[2].weight.data.mul_(0.1)
            self.fc_loc[2].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))
            self.conv, self.fc = nn.Conv2d(1, 8, 3), nn.Linear(288, 10)

        def forward(self, x: Any) -> Any:
            theta = self.fc_loc(self.localization(x).view(-1, 36)).view(-1, 2, 3)
            x = F.grid_sample(x, F.affine_grid(theta, x.size(), align_corners=False), align_corners=False)
            return F.log_softmax(self.fc(F.relu(self.conv(x)).flatten(1)), dim=1)

    x, y = images(800)
    torch.manual_seed(8)
    model = copy_weights(torch, Net(), weights)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for i in range(50):
        rows = slice(16 * i, 16 * i + 16)
        optimizer.zero_grad()
        loss = F.nll_loss(model(torch.tensor(x[rows])), torch.tensor(y[rows]))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_spatial_transformer() -> None:
    agree(turned_digits, tolerance=1e-5)


def rows_of_digits(torch: Any, weights: dict[str, Any]) -> Losses:
    """Two or three digits side by side, read column by column, their places unknown (Graves et al. 2006)."""
    nn = torch.nn
    x, y = images(300)

    class Reader(nn.Module):  # type: ignore[misc, name-defined]
        """Columns → a bidirectional LSTM → log-probabilities of digits and blank."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, 12, bidirectional=True)
            self.fc = nn.Linear(24, 11)

        def forward(self, columns: Any) -> Any:
            return self.fc(self.lstm(columns)[0]).log_softmax(2)

    torch.manual_seed(9)
    model = copy_weights(torch, Reader(), weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    criterion = nn.CTCLoss(blank=10, zero_infinity=True)
    losses = []
    for i in range(50):
        first = 5 * i
        lengths = [3, 2]
        wide = [
            np.concatenate(list(x[first : first + 3, 0]), 1).T,
            np.concatenate(list(x[first + 3 : first + 5, 0]), 1).T,
        ]
        columns = nn.utils.rnn.pad_sequence([torch.tensor(w) for w in wide])
        targets = torch.tensor(y[first : first + 5])
        loss = criterion(model(columns), targets, torch.tensor([24, 16]), torch.tensor(lengths))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_reading_without_alignment() -> None:
    agree(rows_of_digits, falls=0.8)


def parts_of_ones_own(torch: Any, weights: dict[str, Any]) -> Losses:
    """An optimiser, a schedule, a function with its derivative, hooks, normalised weights: all written by the user."""
    nn = torch.nn

    class Lion(torch.optim.Optimizer):  # type: ignore[misc, name-defined]
        """The sign of an average of gradients (Chen et al. 2023)."""

        def __init__(self, params: Any, lr: float = 1e-4, betas: Any = (0.9, 0.99), weight_decay: float = 0.0) -> None:
            super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

        @torch.no_grad()  # type: ignore[untyped-decorator]
        def step(self, closure: Any = None) -> Any:
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    p.data.mul_(1 - group["lr"] * group["weight_decay"])
                    state = self.state[p]
                    if len(state) == 0:
                        state["exp_avg"] = torch.zeros_like(p)
                    beta1, beta2 = group["betas"]
                    update = state["exp_avg"] * beta1 + p.grad * (1 - beta1)
                    p.add_(torch.sign(update), alpha=-group["lr"])
                    state["exp_avg"].mul_(beta2).add_(p.grad, alpha=1 - beta2)
            return loss

    class Warmup(torch.optim.lr_scheduler.LRScheduler):  # type: ignore[misc, name-defined]
        """Up in a line, then down with the square root."""

        def get_lr(self) -> list[float]:
            step = self.last_epoch + 1
            return [base * min(step / 5, (5 / step) ** 0.5) for base in self.base_lrs]

    class Swish(torch.autograd.Function):  # type: ignore[misc, name-defined]
        """x·sigmoid(x), its derivative by hand."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * torch.sigmoid(x)

        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Any:
            (x,) = ctx.saved_tensors
            s = torch.sigmoid(x)
            return grad_output * (s * (1 + x * (1 - s)))

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        """Two layers, of which one has its weight normalised."""

        def __init__(self) -> None:
            super().__init__()
            self.first = nn.utils.spectral_norm(nn.Linear(64, 16))
            self.last = nn.Linear(16, 10)
            self.scales = nn.ParameterList([nn.Parameter(torch.ones(16)), nn.Parameter(torch.zeros(16))])

        def forward(self, x: Any) -> Any:
            return self.last(Swish.apply(self.first(x)) * self.scales[0] + self.scales[1])

    x, y = images(800)
    torch.manual_seed(10)
    model = copy_weights(torch, Net(), weights)
    seen: list[float] = []
    model.last.register_forward_hook(lambda m, args, out: seen.append(out.abs().mean().item()))
    model.last.register_full_backward_hook(lambda m, gi, go: seen.append(gi[0].abs().mean().item()))
    model.scales[0].register_hook(lambda g: g * 0.5)
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = Lion([{"params": decay, "weight_decay": 0.1}, {"params": rest}], lr=3e-3)
    scheduler = Warmup(optimizer)
    losses = []
    for i in range(50):
        rows = slice(16 * i, 16 * i + 16)

        def closure(rows: Any = rows) -> Any:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(torch.tensor(x[rows].reshape(16, 64))), torch.tensor(y[rows]))
            loss.backward()
            return loss

        losses.append(optimizer.step(closure).item())
        scheduler.step()
    return [*losses[:25], *seen, *losses[25:]]


@pytest.mark.filterwarnings("ignore:.*spectral_norm")
def test_parts_of_ones_own() -> None:
    agree(parts_of_ones_own)
