"""The pictures of runs that are no tables: restored digits, what follows what, returns and a policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinygrad_edu import nn, no_grad, tensor
from tinygrad_edu.data.names import ALPHABET
from tinygrad_edu.lessons.style import GREY, TRAIN

from .plots import figure_of, in_our_style, save


@in_our_style
def restored(model: nn.Module, rows: np.ndarray, path: Path) -> str:
    """Twelve digits above what an autoencoder gives back. Returns the name of the file, as all do here."""
    with no_grad():
        back = model(tensor(rows[:12])).numpy()
    sheet = np.zeros((2 * 9, 12 * 9))
    for line, images in enumerate((rows[:12], back)):
        for column, image in enumerate(images):
            sheet[9 * line : 9 * line + 8, 9 * column : 9 * column + 8] = np.clip(image, 0, 1).reshape(8, 8)
    figure = figure_of(9.2, 2.2)
    axes = figure.add_subplot()
    axes.imshow(sheet, cmap="Greys")
    for line, name in enumerate(("given", "restored")):
        axes.text(-2, 9 * line + 3.5, name, ha="right", va="center")
    axes.set_axis_off()
    figure.suptitle("Digits of dev, and what comes back through the bottleneck", x=0.01, ha="left", fontweight="bold")
    return save(figure, path)


@in_our_style
def letters(model: nn.Module, contexts: np.ndarray, path: Path) -> str:
    """What comes after each character by the model: its mean over contexts (N, C) that end with that character."""
    with no_grad():
        chances = model(tensor(contexts)).softmax(1).numpy()
    table = np.full((len(ALPHABET), len(ALPHABET)), np.nan)
    for before in np.unique(contexts[:, -1]):
        table[before] = chances[contexts[:, -1] == before].mean(0)
    figure = figure_of(6.6, 6.2)
    axes = figure.add_subplot()
    image = axes.imshow(table, cmap="Blues", vmin=0, vmax=0.6)
    axes.set(xlabel="the next character (· the end of the name)", ylabel="the last character (· the beginning)")
    axes.set_xticks(range(len(ALPHABET)), ALPHABET.replace(".", "·"))
    axes.set_yticks(range(len(ALPHABET)), ALPHABET.replace(".", "·"))
    axes.tick_params(length=0)
    figure.colorbar(image, label="chance, mean over names of dev", shrink=0.8, extend="max")
    figure.suptitle("Which character comes next, says the model", x=0.01, ha="left", fontweight="bold")
    return save(figure, path)


@in_our_style
def returns(episodes: Sequence[int], means: Sequence[float], most: int, path: Path) -> str:
    """The mean return of each update against the episodes played."""
    figure = figure_of(6.4, 3.8)
    axes = figure.add_subplot()
    axes.plot(episodes, means, color=TRAIN)
    axes.axhline(most, color=GREY, lw=1, ls=(0, (4, 3)))
    axes.text(0.01, most * 1.015, "the longest possible", fontsize=9, transform=axes.get_yaxis_transform())
    axes.set(
        xlabel="episodes played",
        xlim=(0, 1.03 * episodes[-1]),
        ylim=(0, most * 1.1),
        title="steps that the pole stands",
    )
    figure.suptitle("CartPole: mean of the episodes of each update", x=0.01, ha="left", fontweight="bold")
    return save(figure, path)


@in_our_style
def policy(model: nn.Module, path: Path) -> str:
    """The chance of a push to the right by angle and turning, for a cart that stands still in the middle."""
    angle, turning = np.meshgrid(np.linspace(-12, 12, 97), np.linspace(-60, 60, 97))
    seen = np.zeros((angle.size, 4), dtype=np.float32)
    seen[:, 2], seen[:, 3] = np.radians(angle.ravel()), np.radians(turning.ravel())
    with no_grad():
        chance = model(tensor(seen)).softmax(1).numpy()[:, 1].reshape(angle.shape)
    figure = figure_of(6.4, 4.6)
    axes = figure.add_subplot()
    image = axes.pcolormesh(angle, turning, chance, cmap="PuOr", vmin=-0.4, vmax=1.4, shading="gouraud")
    axes.set(xlabel="angle of the pole, degrees", ylabel="degrees a second")
    figure.colorbar(image, label="chance of a push to the right").ax.set_ylim(0, 1)
    figure.suptitle("The learnt rule, for a cart at rest in the middle", x=0.01, ha="left", fontweight="bold")
    return save(figure, path)
