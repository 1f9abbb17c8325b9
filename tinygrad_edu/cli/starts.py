"""Learning from few examples, from nothing or with a new last layer on a pretrained model: pictures and sentences."""

from __future__ import annotations

import math
import re
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim, zoo
from tinygrad_edu import train as training

from ..data import NotFound, Pictures, load_fashion_sample, texture_patches
from ..data.reviews import load_reviews
from .experiment import Refused

F = nn.functional
Progress = Callable[[int, int], None]


@dataclass
class Way:
    """One way to start: rows (n, …) of train and dev as its model sees them, and how the model is made."""

    name: str
    train: np.ndarray
    dev: np.ndarray
    build: Callable[[int], Any]


@dataclass
class Task:
    """What is to be learned: labels of train and dev rows, and the ways to start that are compared."""

    name: str
    y: np.ndarray
    dev_y: np.ndarray
    ways: list[Way]

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.y.max()) + 1


def textures(seed: int, progress: Progress) -> Task:
    """Brick, grass or gravel: patches of 48 × 48 pixels; EfficientNet-Lite0 against three convolutions."""
    pool, dev = texture_patches(40, seed=seed), texture_patches(60, part="dev", seed=seed)
    ways = [Way("from nothing", standardised(pool.X), standardised(dev.X), _convolutions)]
    return Task("textures", pool.y, dev.y, [*ways, _new_layer(pool, dev, progress)])


def fashion(seed: int, progress: Progress) -> Task:
    """Ten kinds of clothes, 28 × 28 pixels: the negative control, on which photographs are no preparation."""
    pool, dev = load_fashion_sample("train"), load_fashion_sample("dev")
    ways = [Way("from nothing", pool.X.astype(np.float32) / 255, dev.X.astype(np.float32) / 255, _dense)]
    return Task("fashion", pool.y, dev.y, [*ways, _new_layer(pool, dev, progress)])


def reviews(seed: int, progress: Progress) -> Task:
    """Positive or negative: 500 sentences of film reviews; MiniLM against the words that a sentence has."""
    try:
        texts, labels = load_reviews()
        pieces, model = zoo.load_wordpieces(), zoo.load_pretrained("minilm")
    except NotFound as missing:
        raise Refused(str(missing)) from None
    draw = np.random.default_rng(seed)
    ranked = [draw.permutation(np.flatnonzero(labels == label))[:250] for label in (0, 1)]
    rows = np.concatenate([[each[i] for each in ranked] for i in range(250)]).astype(int)  # classes take turns
    texts, labels = [texts[i] for i in rows], labels[rows]
    found = []
    with tg.no_grad():
        for start in range(0, len(texts), 20):
            progress(start, len(texts))
            found.append(model(*pieces(texts[start : start + 20], longest=48)).numpy())
    vectors, words = np.concatenate(found), bags(texts[:200], texts)  # all of length 1: small numbers over-fit less
    ways = [Way("from nothing", words[:200], words[200:], lambda classes: nn.Linear(words.shape[1], classes)),
            Way("pretrained", vectors[:200], vectors[200:], lambda classes: nn.Linear(384, classes))]  # fmt: skip
    return Task("reviews", labels[:200], labels[200:], ways)


TASKS = {"textures": textures, "fashion": fashion, "reviews": reviews}


def standardised(pictures: np.ndarray) -> np.ndarray:
    """(n, H, W) → (n, 1, H, W) float32, each picture of mean 0 and spread 1: brightness gives nothing away."""
    x = pictures[:, None].astype(np.float32)
    return (x - x.mean((2, 3), keepdims=True)) / (x.std((2, 3), keepdims=True) + 1e-6)


def bags(known: list[str], texts: list[str]) -> np.ndarray:
    """TF-IDF: which of the words in `known` a text has, rare ones counting more; rows of length 1 (Salton 1975)."""
    cut = [re.findall(r"\w\w+", text.lower()) for text in texts]
    documents = Tally(word for text in known for word in set(re.findall(r"\w\w+", text.lower())))
    place = {word: i for i, word in enumerate(sorted(documents))}
    x = np.zeros((len(texts), len(place)), np.float32)
    for row, words in zip(x, cut, strict=True):
        for word in words:
            if word in place:
                row[place[word]] += math.log((1 + len(known)) / (1 + documents[word])) + 1
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)


def _convolutions(classes: int) -> Any:
    return nn.Sequential(nn.Conv2d(1, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU(), nn.Conv2d(32, 32, 3, 2),
                         nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes))  # fmt: skip


def _dense(classes: int) -> Any:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, classes))


def _new_layer(pool: Pictures, dev: Pictures, progress: Progress) -> Way:
    """What EfficientNet's last layer reads of the pictures, once: its other layers stay as they are."""
    try:
        model = zoo.load_pretrained("efficientnet-lite0")
    except NotFound as missing:
        raise Refused(str(missing)) from None
    pictures = np.concatenate([pool.X, dev.X])
    found = []
    for start in range(0, len(pictures), 20):
        progress(start, len(pictures))
        found.append(zoo.features_of_grey(model, pictures[start : start + 20]))
    x = np.concatenate(found)
    return Way("pretrained", x[: len(pool)], x[len(pool) :], lambda classes: nn.Linear(x.shape[1], classes))


def accuracies(task: Task, each: list[int], seeds: int, epochs: int) -> list[dict[str, Any]]:
    """For each number of examples of a class: accuracy on dev for each way to start, mean over draws of them."""
    most = int(np.bincount(task.y).min())
    if max(each) > most:
        raise Refused(f"{max(each)} examples of a class; {task.name} has {most}")
    rows: list[dict[str, Any]] = []
    for count in each:
        row: dict[str, Any] = {"per class": count}
        for way in task.ways:
            scores = []
            for seed in range(seeds):
                order = np.random.default_rng(seed).permutation(len(task.y))
                some = np.concatenate([order[task.y[order] == label][:count] for label in range(task.classes)])
                tg.manual_seed(seed)
                model = way.build(task.classes)
                trainer = training.Trainer(model, F.cross_entropy, optim.Adam(model.parameters(), lr=3e-3), seed=seed,
                                           metrics={"accuracy": training.accuracy}, progress="none",
                                           record="none")  # fmt: skip
                trainer.fit((way.train[some], task.y[some]), epochs=epochs, batch_size=32)
                scores.append(trainer.evaluate((way.dev, task.dev_y))["accuracy"])
            row[way.name] = float(np.mean(scores))
        rows.append(row)
    return rows
