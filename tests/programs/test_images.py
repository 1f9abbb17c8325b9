"""Programs on images as people write them for PyTorch, run in both libraries from the same weights: equal losses.

Each program is one function of the module `torch`; it is called with PyTorch and with tinygrad_edu. What is random
(initial weights aside, which are copied) is drawn outside and handed in.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

from .twins import Losses, copy_weights, digits, libraries


@pytest.fixture(scope="module")
def images() -> np.ndarray[Any, Any]:
    """The embedded digits as (1797, 1, 8, 8) in [0, 1]."""
    return digits()[0]


def classifier(torch: Any, x: Any, y: Any, steps: int, weights: dict[str, Any]) -> tuple[Losses, Any]:
    """A convolutional network with batch normalisation, dropout written but switched off, trained with momentum."""
    nn, F, optim = torch.nn, torch.nn.functional, torch.optim

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        """Two convolutions, two pools, two linear layers."""

        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
            self.bn1 = nn.BatchNorm2d(8)
            self.conv2 = nn.Conv2d(8, 16, 3, padding="same", bias=False)
            self.bn2 = nn.BatchNorm2d(16)
            self.drop = nn.Dropout2d(0.0)
            self.fc1 = nn.Linear(16 * 2 * 2, 32)
            self.fc2 = nn.Linear(32, 10)

        def forward(self, x: Any) -> Any:
            """(N, 1, 8, 8) → (N, 10)."""
            x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
            x = self.drop(F.avg_pool2d(F.relu(self.bn2(self.conv2(x))), 2))
            x = torch.flatten(x, 1)
            return F.log_softmax(self.fc2(F.dropout(F.relu(self.fc1(x)), 0.0, self.training)), dim=1)

    torch.manual_seed(1)
    model = copy_weights(torch, Net().double() if x.dtype == np.float64 else Net(), weights)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    losses = []
    model.train()
    for i in range(steps):
        rows = slice(32 * i % 1500, 32 * i % 1500 + 32)
        data, target = torch.tensor(x[rows]), torch.tensor(y[rows])
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        prediction = model(torch.tensor(x[1500:])).argmax(dim=1)
    return losses, (prediction == torch.tensor(y[1500:])).sum().item() / len(x[1500:])


@pytest.mark.parametrize(("dtype", "alike"), [(np.float64, 60), (np.float32, 10)])
def test_a_convolutional_network_learns_the_digits_step_by_step_as_in_pytorch(dtype: Any, alike: int) -> None:
    """float64 for all steps. In float32 the last digit decides which of two equal pixels is a window's largest."""
    x, y = digits()
    weights: dict[str, Any] = {}
    results = [classifier(torch, x.astype(dtype), y, 60, weights) for torch in libraries()]
    (ours, accuracy), (theirs, other) = results
    np.testing.assert_allclose(ours[:alike], theirs[:alike], rtol=1e-4 if dtype == np.float32 else 1e-9, atol=1e-5)
    assert ours[-1] < ours[0] / 2
    assert accuracy == pytest.approx(other, abs=0.05)
    assert accuracy > 0.75


def adversaries(torch: Any, x: Any, noise: Any, steps: int, weights: list[dict[str, Any]]) -> tuple[Losses, Any]:
    """DCGAN (Radford et al. 2015) in small: losses of discriminator and generator in turn, and an image at the end."""
    nn, optim = torch.nn, torch.optim

    def weights_init(m: Any) -> None:
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(m.weight.data, 0.0, 0.1)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.weight.data, 1.0, 0.02)
            nn.init.constant_(m.bias.data, 0)

    generator = nn.Sequential(
        nn.ConvTranspose2d(10, 16, 2, 1, 0, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Sigmoid(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(8, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(16, 1, 2, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0),
    )  # fmt: skip
    torch.manual_seed(2)
    for model, held in zip((generator, discriminator), weights, strict=True):
        model.apply(weights_init)
        copy_weights(torch, model, held)
    criterion = nn.BCELoss()
    optimizer_d = optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    optimizer_g = optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    losses: Losses = []
    for i in range(steps):
        real = torch.tensor(x[16 * i : 16 * i + 16])
        discriminator.zero_grad()
        label = torch.full((16,), 1.0)
        error_real = criterion(discriminator(real), label)
        error_real.backward()
        fake = generator(torch.tensor(noise[i]))
        error_fake = criterion(discriminator(fake.detach()), torch.zeros(16))
        error_fake.backward()
        optimizer_d.step()
        generator.zero_grad()
        error = criterion(discriminator(fake), label)  # the generator wants its images taken for real
        error.backward()
        optimizer_g.step()
        losses += [error_real.item() + error_fake.item(), error.item()]
    generator.eval()
    with torch.no_grad():
        return losses, generator(torch.tensor(noise[0])).numpy()


def test_a_generator_and_a_discriminator_play_the_same_game(images: Any) -> None:
    noise = np.random.default_rng(0).standard_normal((50, 16, 10, 1, 1)).astype(np.float32)
    weights: list[dict[str, Any]] = [{}, {}]
    (ours, image), (theirs, other) = (adversaries(torch, images, noise, 50, weights) for torch in libraries())
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(image, other, atol=1e-3)
    assert ours[-2] < ours[0]


def autoencoder(torch: Any, x: Any, noise: Any, steps: int, weights: dict[str, Any]) -> tuple[Losses, Any]:
    """A variational autoencoder (Kingma & Welling 2014), convolutional; loss per image, and a reconstruction."""
    nn, F, optim = torch.nn, torch.nn.functional, torch.optim

    class VAE(nn.Module):  # type: ignore[misc, name-defined]
        """8 × 8 pixels to 4 numbers and back."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(
                nn.Conv2d(1, 8, 3, 2, 1), nn.ELU(), nn.Flatten(), nn.Linear(128, 32), nn.Tanh()
            )
            self.mean, self.log_variance = nn.Linear(32, 4), nn.Linear(32, 4)
            self.decoder = nn.Sequential(
                nn.Linear(4, 32), nn.SiLU(), nn.Linear(32, 128), nn.Unflatten(1, (8, 4, 4)), nn.GroupNorm(2, 8),
                nn.ReLU(), nn.ConvTranspose2d(8, 1, 3, 2, 1, output_padding=1),
            )  # fmt: skip

        def forward(self, x: Any, noise: Any) -> Any:
            """The logits of a reconstruction, and the distribution of the code."""
            h = self.encoder(x)
            mean, log_variance = self.mean(h), self.log_variance(h)
            z = mean + noise * torch.exp(0.5 * log_variance)
            return self.decoder(z), mean, log_variance

    torch.manual_seed(3)
    model = copy_weights(torch, VAE(), weights)
    optimizer = optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for i in range(steps):
        data = torch.tensor(x[32 * i % 1500 : 32 * i % 1500 + 32])
        logits, mean, log_variance = model(data, torch.tensor(noise[i]))
        error = F.binary_cross_entropy_with_logits(logits, data, reduction="sum")
        divergence = -0.5 * torch.sum(1 + log_variance - mean**2 - log_variance.exp())
        loss = (error + divergence) / len(data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        return losses, torch.sigmoid(model(torch.tensor(x[1500:1510]), torch.zeros(10, 4))[0]).numpy()


def test_a_variational_autoencoder_learns_the_same_code(images: Any) -> None:
    noise = np.random.default_rng(1).standard_normal((60, 32, 4)).astype(np.float32)
    weights: dict[str, Any] = {}
    (ours, image), (theirs, other) = (autoencoder(torch, images, noise, 60, weights) for torch in libraries())
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    np.testing.assert_allclose(image, other, atol=1e-3)
    assert ours[-1] < 0.75 * ours[0]


def upscaler(torch: Any, x: Any, steps: int, weights: dict[str, Any]) -> Losses:
    """Super-resolution with pixel shuffling (Shi et al. 2016), and padding by reflection, on float64."""
    nn, F, optim = torch.nn, torch.nn.functional, torch.optim
    model = nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(1, 8, 3), nn.PReLU(8), nn.InstanceNorm2d(8, affine=True),
        nn.Conv2d(8, 4, 3, padding=1, padding_mode="replicate"), nn.PixelShuffle(2), nn.Hardtanh(0.0, 1.0),
    ).double()  # fmt: skip
    copy_weights(torch, model, weights)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for i in range(steps):
        sharp = torch.tensor(x[16 * i : 16 * i + 16].astype(np.float64))
        blurred = F.interpolate(sharp, scale_factor=0.5, mode="area")
        enlarged = F.interpolate(blurred, scale_factor=2, mode="bicubic", align_corners=False)
        loss = F.smooth_l1_loss(enlarged + 0.3 * model(blurred), sharp, beta=0.2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_super_resolution_takes_the_same_steps(images: Any) -> None:
    weights: dict[str, Any] = {}
    ours, theirs = (upscaler(torch, images, 50, weights) for torch in libraries())
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    assert np.mean(ours[-5:]) < np.mean(ours[:5])


def test_the_programs_reach_the_kernels_made_for_them() -> None:
    called: dict[str, int] = {}
    table = importlib.import_module("tinygrad_edu.kernels").K
    names = ["convolve", "convolve_input_gradient", "convolve_weight_gradient", "convolve_parameter_gradients",
             "batch_norm", "batch_norm_backward",
             "max_pool", "scatter_planes", "avg_pool", "avg_pool_backward"]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            kernel = getattr(table, name)

            def counted(*args: Any, name: str = name, kernel: Any = kernel) -> Any:
                called[name] = called.get(name, 0) + 1
                return kernel(*args)

            patch.setattr(table, name, counted)
        classifier(tg, *digits(), 1, {})
    # one step of two convolutions (the input needs no gradient); evaluation normalises by affine arithmetic
    assert called == {"convolve": 4, "convolve_input_gradient": 1, "convolve_weight_gradient": 1,
                      "convolve_parameter_gradients": 1, "batch_norm": 2,
                      "batch_norm_backward": 2, "max_pool": 2, "scatter_planes": 1, "avg_pool": 2,
                      "avg_pool_backward": 1}  # fmt: skip
