"""Known architectures in small, trained a few steps in both libraries from the same weights: equal losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from .twins import Losses, copy_weights, digits, libraries


def train(torch: Any, model: Any, loss: Any, batches: list[tuple[Any, ...]], weights: dict[str, Any],
          optimizer: Any = None) -> Losses:  # fmt: skip
    """One step per batch, in float64: what differs is then a mistake, not rounding."""
    model = copy_weights(torch, model.double(), weights)
    optimizer = (
        optimizer(model.parameters()) if optimizer else torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    )
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        value = loss(model, *[torch.tensor(b) for b in batch])
        value.backward()
        optimizer.step()
        losses.append(value.item())
    for name, value in model.state_dict().items():
        weights[f"end of {name}"] = [*weights.get(f"end of {name}", []), value.numpy()]
    return losses


def agree(program: Any, *args: Any, falls: float = 1.0) -> None:
    """The same losses, and at the end the same parameters and buffers, in both."""
    weights: dict[str, Any] = {}
    losses = [program(torch, weights, *args) for torch in libraries()]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-8)
    for name, values in weights.items():
        if name.startswith("end of"):
            np.testing.assert_allclose(values[0], values[1], rtol=1e-7, atol=1e-9, err_msg=name)
    assert np.mean(losses[0][-3:]) < falls * np.mean(losses[0][:3])


def images(steps: int, n: int = 16) -> list[tuple[Any, Any]]:
    """Batches of digits, (n, 1, 8, 8) float64 and classes."""
    x, y = digits()
    return [(x[i * n : i * n + n].astype(np.float64), y[i * n : i * n + n]) for i in range(steps)]


def residual(torch: Any, weights: dict[str, Any], batches: Any) -> Losses:
    """ResNet (He et al. 2016): blocks with a shortcut, strided, initialised by fan-out."""
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        """Two convolutions and a way around them."""

        def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.downsample = None
            if stride != 1 or inputs != outputs:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x: Any) -> Any:
            """(N, inputs, H, W) → (N, outputs, H/stride, W/stride)."""
            identity = x if self.downsample is None else self.downsample(x)
            out = F.relu(self.bn1(self.conv1(x)), inplace=True)
            out = self.bn2(self.conv2(out))
            out += identity
            return F.relu(out)

    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        Block(8, 8), Block(8, 16, 2), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.constant_(m.weight, 1)
            nn.init.constant_(m.bias, 0)
    return train(torch, model, lambda m, x, y: F.cross_entropy(m(x), y, label_smoothing=0.1), batches, weights)


def test_residual_network() -> None:
    agree(residual, images(15), falls=1.0)


def mobile(torch: Any, weights: dict[str, Any], batches: Any) -> Losses:
    """MobileNetV3 (Howard et al. 2019): depthwise separable convolutions, squeeze and excitation, hard activations."""
    nn, F = torch.nn, torch.nn.functional

    class Squeeze(nn.Module):  # type: ignore[misc, name-defined]
        """Channels weighted by what is in all of the image."""

        def __init__(self, channels: int) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

        def forward(self, x: Any) -> Any:
            """Any size of image."""
            scale = F.adaptive_avg_pool2d(x, 1)
            return x * F.hardsigmoid(self.fc2(F.relu6(self.fc1(scale))))

    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, 1, 1), nn.BatchNorm2d(8, momentum=0.01), nn.Hardswish(),
        nn.Conv2d(8, 8, 3, 2, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), Squeeze(8),
        nn.Conv2d(8, 16, 1), nn.Hardswish(), nn.AvgPool2d(2), nn.Flatten(1), nn.Linear(64, 10),
    )  # fmt: skip
    return train(torch, model, lambda m, x, y: F.cross_entropy(m(x), y), batches, weights,
                 lambda p: torch.optim.AdamW(p, lr=1e-2))  # fmt: skip


def test_mobile_network() -> None:
    agree(mobile, images(25), falls=0.9)


def u_net(torch: Any, weights: dict[str, Any], batches: Any) -> Losses:
    """U-Net (Ronneberger et al. 2015): down, up, and across; two losses together, one of them the Dice coefficient."""
    nn, F = torch.nn, torch.nn.functional

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        """Which pixels are ink."""

        def __init__(self) -> None:
            super().__init__()
            self.down1 = nn.Sequential(
                nn.Conv2d(1, 8, 3, padding=1, padding_mode="reflect"), nn.GroupNorm(2, 8), nn.SiLU()
            )
            self.down2 = nn.Sequential(
                nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.InstanceNorm2d(16), nn.Mish()
            )
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.up2 = nn.ConvTranspose2d(16, 8, 2, stride=2)
            self.out = nn.Conv2d(32, 1, 1)

        def forward(self, x: Any) -> Any:
            """(N, 1, H, W) → logits of the same shape."""
            a = self.down1(x)
            b = self.down2(a)
            return self.out(torch.cat([a, self.up(b), self.up2(b)], dim=1))

    def loss(model: Any, x: Any, _: Any) -> Any:
        target = (x > 0.5).to(x.dtype)
        logits = model(x * 0.5)
        p = torch.sigmoid(logits)
        dice = 1 - (2 * (p * target).sum((1, 2, 3)) + 1) / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)
        return F.binary_cross_entropy_with_logits(logits, target) + dice.mean()

    return train(torch, UNet(), loss, batches, weights)


def test_u_net() -> None:
    agree(u_net, images(25), falls=0.8)


def sentences(torch: Any, weights: dict[str, Any], batches: Any) -> Losses:
    """Convolutions over words (Kim 2014): padded embeddings, windows of three widths, the maximum over time."""
    nn, F = torch.nn, torch.nn.functional

    class TextCNN(nn.Module):  # type: ignore[misc, name-defined]
        """Two classes of sentences."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(20, 6, padding_idx=0)
            self.convs = nn.ModuleList([nn.Conv1d(6, 5, k, padding=k - 1) for k in (2, 3, 4)])
            self.norm, self.fc = nn.LayerNorm(15), nn.Linear(15, 2)

        def forward(self, words: Any) -> Any:
            """(N, T) → (N, 2)."""
            x = self.embedding(words).transpose(1, 2)
            pooled = [F.max_pool1d(F.elu(conv(x)), conv(x).shape[2]).squeeze(2) for conv in self.convs]
            return F.log_softmax(self.fc(self.norm(torch.cat(pooled, 1))), dim=-1)

    return train(torch, TextCNN(), lambda m, x, y: F.nll_loss(m(x), y), batches, weights)


def test_convolutions_over_words() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 20, (30, 12, 9))
    agree(sentences, [(w, (w == 7).any(axis=1).astype(np.int64)) for w in words], falls=0.9)


def masked(torch: Any, weights: dict[str, Any], batches: Any) -> Losses:
    """PixelCNN (van den Oord et al. 2016): kernels whose later pixels are zeroed by hand before every step."""
    nn, F = torch.nn, torch.nn.functional

    class Masked(nn.Conv2d):  # type: ignore[misc, name-defined]
        """Sees the pixels before its own, in reading order; kind "B" itself too."""

        def __init__(self, kind: str, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.register_buffer("mask", self.weight.data.clone())
            _, _, h, w = self.weight.size()
            self.mask.fill_(1)
            self.mask[:, :, h // 2, w // 2 + (kind == "B") :] = 0
            self.mask[:, :, h // 2 + 1 :] = 0

        def forward(self, x: Any) -> Any:
            """Only weights that may be seen."""
            self.weight.data *= self.mask
            return super().forward(x)

    model = nn.Sequential(Masked("A", 1, 8, 5, 1, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
                          Masked("B", 8, 8, 3, 1, 1, bias=False), nn.PReLU(8), nn.Conv2d(8, 3, 1))  # fmt: skip

    def loss(m: Any, x: Any, _: Any) -> Any:
        return F.cross_entropy(m(x), (x.squeeze(1) * 2.99).long(), reduction="none").sum((1, 2)).mean()

    return train(torch, model, loss, batches, weights, lambda p: torch.optim.Adam(p, lr=1e-2))


def test_masked_convolutions() -> None:
    agree(masked, images(25), falls=0.9)


def similar(torch: Any, weights: dict[str, Any], batches: Any) -> Losses:
    """A Siamese network: cosine, triplet and contrastive losses on normalised codes."""
    nn, F = torch.nn, torch.nn.functional
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.RMSNorm([6, 6]), nn.Softplus(), nn.AdaptiveMaxPool2d(2), nn.Flatten(),
                          nn.Linear(24, 5))  # fmt: skip

    def loss(m: Any, x: Any, y: Any) -> Any:
        code = F.normalize(m(x), dim=1)
        a, b, c = code[0::3][:5], code[1::3][:5], code[2::3][:5]
        sign = torch.where(y[0::3][:5] == y[1::3][:5], 1.0, -1.0).to(x.dtype)
        near = F.cosine_embedding_loss(a, b, sign, margin=0.1)
        return (
            near + F.triplet_margin_loss(a, b, c, margin=0.5) + F.hinge_embedding_loss(F.pairwise_distance(a, b), sign)
        )

    return train(torch, model, loss, batches, weights)


def test_siamese_network() -> None:
    agree(similar, images(4, 15) * 8)
