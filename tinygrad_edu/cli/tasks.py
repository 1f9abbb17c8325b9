"""What `tge train` can learn: for each task the data made ready, the model, the loss, and how the result is told."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from tinygrad_edu import data, linalg, nn, optim, tensor
from tinygrad_edu import train as training
from tinygrad_edu.random import Generator

from . import pictures, plots

F = nn.functional
OPTIMIZERS: dict[str, Any] = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD}
INITS = ("random", "zeros")
TABLES = ("digits", "diabetes")  # rows of numbers with a label each
# Smoothing earns its place on the dev rows: accuracy 0.984 with 0.1, 0.971 without, means over 12 seeds.
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"hidden": (128,), "lr": 3e-3, "epochs": 40, "label_smoothing": 0.1},
    "diabetes": {"hidden": (), "lr": 1e-2, "epochs": 60},
    "names": {"hidden": (128,), "lr": 3e-3, "epochs": 10, "batch_size": 64, "optimizer": "adamw", "weight_decay": 0.05},
}
AUTOENCODE: dict[str, Any] = {"hidden": (128,), "lr": 2e-3, "epochs": 100, "batch_size": 64}
LETTERS = len(data.names.ALPHABET)
EMBEDDING = 16  # numbers for a character


class Refused(click.ClickException):
    """Wrong use: a message, and exit status 2."""

    exit_code = 2


@dataclass(frozen=True)
class HParams(training.HParams):
    """Everything a person decides about a run of `tge`."""

    data: str
    hidden: tuple[int, ...]
    lr: float
    epochs: int
    batch_size: int = 32
    optimizer: str = "adam"
    split: str = "random"
    seed: int = 0
    patience: int | None = None
    label_smoothing: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    accumulate: int = 1
    task: str = "predict"
    code: int = 8
    context: int = 6
    init: str = "random"
    shuffle: bool = True
    sort: bool = False
    shuffle_labels: bool = False


@dataclass
class Task:
    """A data set made ready: split, scaled, with its model, its loss, and what is told in the end."""

    train: data.TensorDataset
    dev: data.TensorDataset
    test: data.HeldOut
    loss: Any
    build: Callable[[], nn.Sequential]
    sizes: str  # of the model's layers, for people
    split: str
    headline: Callable[[dict[str, Any]], str]
    draw: Callable[[np.ndarray, nn.Sequential, Path], str]  # (first weights before, model, run folder) → file's name
    metrics: dict[str, Any] = field(default_factory=dict)
    preprocess: dict[str, Any] = field(default_factory=dict)  # scaling of inputs and outputs; goes into the run folder
    beside: dict[str, float] = field(default_factory=dict)  # what the result is to be compared with


def settings(name: str, wanted: dict[str, Any]) -> HParams:
    """The hyperparameters of a new run: the defaults, and what was given; UsageError for what does not go together."""
    task = wanted.get("task", "predict")
    if wanted.get("split", "random") not in data.SPLITS[name]:
        raise click.UsageError(f"{name} has no split {wanted['split']!r}; it has {', '.join(data.SPLITS[name])}")
    if wanted.get("label_smoothing") and (name != "digits" or task != "predict"):
        what = {"diabetes": "diabetes has a number as its target", "names": "names has its own characters"}
        raise click.UsageError(f"--label-smoothing is for the labels of digits; {what.get(name, 'here are none')}")
    if task == "autoencode" and name != "digits":
        raise click.UsageError(f"--task autoencode is for digits, not for {name}")
    if "code" in wanted and task != "autoencode":
        raise click.UsageError("--code is the bottleneck of an autoencoder: --task autoencode")
    if "context" in wanted and name != "names":
        raise click.UsageError(f"--context is for names; {name} has no characters")
    for flag in ("sort", "shuffle_labels"):
        if wanted.get(flag) and (name not in TABLES or task != "predict"):
            raise click.UsageError(f"--{flag.replace('_', '-')} is for rows with a label each: {', '.join(TABLES)}")
    defaults = AUTOENCODE if task == "autoencode" else DEFAULTS[name]
    return HParams(data=name, **{**defaults, **wanted})


def understood(params: HParams) -> bool:
    """Whether hyperparameters read from a file are such as `tge` writes."""
    counts = (*params.hidden, params.epochs, params.batch_size, params.patience or 1, params.accumulate,
              params.code, params.context)  # fmt: skip
    fine = params.init in INITS and min(counts) > 0 and 0 < params.lr < np.inf and 0 <= params.label_smoothing < 1
    fine = fine and params.weight_decay >= 0 and (params.clip_norm is None or params.clip_norm > 0)
    known = params.data in DEFAULTS and params.split in data.SPLITS[params.data] and params.optimizer in OPTIMIZERS
    return fine and known and params.task in (("predict", "autoencode") if params.data == "digits" else ("predict",))


def prepare(params: HParams) -> Task:
    """Load, split and scale the data."""
    makers = {"digits": digits, "diabetes": diabetes, "names": names}
    task = autoencoder(params) if params.task == "autoencode" else makers[params.data](params)
    if params.shuffle_labels or params.sort:
        task.train = rearranged(task.train, params)
    if params.init == "zeros":
        task.build = functools.partial(zeroed, task.build)
    return task


def rearranged(rows: Any, params: HParams) -> data.TensorDataset:
    """The training rows with labels drawn from each other's (--shuffle-labels), in the order of labels (--sort)."""
    x, y = (part.numpy() for part in rows[:])
    if params.shuffle_labels:
        y = y[Generator(params.seed).permutation(len(y))]
    if params.sort:
        order = np.argsort(y.reshape(len(y)), kind="stable")
        x, y = x[order], y[order]
    return data.TensorDataset(x, y)


def zeroed(build: Callable[[], nn.Sequential]) -> nn.Sequential:
    """A model whose parameters all begin at 0, so that no unit of a layer can ever differ from the others."""
    model = build()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return model


def build_model(inputs: int, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.ReLU()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def _parts(split: data.Split, ready: Callable[..., Any]) -> dict[str, Any]:
    """Train, dev and test, made ready by a function of their rows; those of test when they are opened."""
    train, dev = (data.TensorDataset(*ready(*part[:])) for part in (split.train, split.dev))
    test = split.test.map(lambda rows: data.TensorDataset(*ready(*rows[:])))
    return {"train": train, "dev": dev, "test": test, "split": str(split)}


def _arrows(*sizes: int) -> str:
    return " → ".join(str(size) for size in sizes)


def _layers(params: HParams, inputs: int, outputs: int) -> dict[str, Any]:
    """The plain network of a table, and the picture of its first layer."""
    return {"build": lambda: build_model(inputs, params.hidden, outputs),
            "sizes": _arrows(inputs, *params.hidden, outputs)}  # fmt: skip


def _weights(before: np.ndarray, model: nn.Sequential, run: Path, columns: list[str] | None = None) -> str:
    plots.weights(before, model[0].weight.detach().numpy(), run / "weights.png", columns)
    return "weights.png"


def digits(params: HParams) -> Task:
    """Which digit is in the picture?"""
    split = data.load_digits().split(params.split, seed=params.seed)
    return Task(
        **_parts(split, lambda x, y: (x.numpy() / np.float32(16), y)),
        **_layers(params, 64, 10),
        loss=functools.partial(F.cross_entropy, label_smoothing=params.label_smoothing),
        metrics={"accuracy": training.accuracy},
        preprocess={"divide": 16},
        headline=lambda result: f"test accuracy {result['test_accuracy']:.4f}",
        draw=_weights,
    )


def diabetes(params: HParams) -> Task:
    """How far will the disease have gone in a year?"""
    source = data.load_diabetes()
    split = source.split(params.split, seed=params.seed)
    x, y = split.train[:]
    x_scale, y_scale = data.Standardize().fit(x), data.Standardize().fit(y.numpy()[:, None])
    columns = list(source.columns)
    return Task(
        **_parts(split, lambda x, y: (x_scale(x), y_scale(y.numpy()[:, None]))),
        **_layers(params, len(columns), 1),
        loss=F.mse_loss,
        metrics={"mae": training.mean_absolute_error},
        preprocess={"x": x_scale.state_dict(), "y": y_scale.state_dict(), "columns": columns},
        headline=lambda result: f"test R² {result['test_r2']:.4f}, root mean squared error {result['test_rmse']:.1f}",
        draw=functools.partial(_weights, columns=columns),
    )


def autoencoder(params: HParams) -> Task:
    """Give back the picture, through a bottleneck of a few numbers; its labels are not looked at."""
    split = data.load_digits().split(params.split, seed=params.seed)
    parts = _parts(split, lambda x, y: (x / 16, x / 16))
    there = (64, *params.hidden, params.code)
    train, dev = (parts[name][:][0].numpy() for name in ("train", "dev"))
    pca = {f"{name}_pca": pca_error(train, rows, params.code) for name, rows in (("train", train), ("dev", dev))}

    def build() -> nn.Sequential:
        return nn.Sequential(*build_model(64, params.hidden, params.code),
                             *build_model(params.code, params.hidden[::-1], 64))  # fmt: skip

    return Task(
        **parts,
        build=build,
        sizes=_arrows(*there, *there[-2::-1]),
        loss=F.mse_loss,
        preprocess={"divide": 16},
        beside=pca,
        headline=lambda result: (
            f"mean squared error of a pixel {result['test_loss']:.5f} on test, {result['dev_loss']:.5f} on dev "
            f"(PCA with {params.code} numbers on dev: {pca['dev_pca']:.5f})"
        ),
        draw=lambda before, model, run: pictures.restored(model, dev, run / "restored.png"),
    )


def pca_error(train: np.ndarray, rows: np.ndarray, code: int) -> float:
    """How well the first `code` principal components of train restore rows; on train nothing linear is better."""
    mean = train.mean(0)
    directions = linalg.svd(tensor(train - mean), full_matrices=False)[2].numpy()[:code]
    rest = (rows - mean) - (rows - mean) @ directions.T @ directions
    return float((rest**2).mean())


def names(params: HParams) -> Task:
    """Which character comes next in a first name? Whole names are held out, not single characters."""
    words = data.load_names().first
    split = split_names(params)

    def ready(rows: Any) -> Any:
        return data.next_characters([words[row] for row in rows.numpy()], params.context)

    inputs = EMBEDDING * params.context
    parts = _parts(split, ready)
    return Task(
        **parts,
        build=lambda: names_model(params),
        sizes=f"{params.context} characters of {EMBEDDING} numbers, " + _arrows(inputs, *params.hidden, LETTERS),
        loss=F.cross_entropy,
        headline=lambda result: (
            f"−ln p of the next character {result['test_loss']:.4f} on test, {result['dev_loss']:.4f} on dev "
            f"(guessing: ln 27 = {math.log(LETTERS):.4f})"
        ),
        draw=lambda before, model, run: pictures.letters(model, parts["dev"][:][0].numpy(), run / "letters.png"),
    )


def split_names(params: HParams) -> data.Split:
    """Row numbers of `load_names().first`: 80 % train, 10 % dev, 10 % test."""
    rows = data.TensorDataset(np.arange(len(data.load_names().first)))
    return data.train_dev_test_split(rows, dev=0.1, test=0.1, seed=params.seed, stratify=False)


def names_model(params: HParams) -> nn.Sequential:
    """Characters (N, context) → logits (N, 27) of the next: an embedding, and linear layers with Tanh between them."""
    layers: list[nn.Module] = [nn.Embedding(LETTERS, EMBEDDING), nn.Flatten()]
    inputs = EMBEDDING * params.context
    for size in params.hidden:
        layers += [nn.Linear(inputs, size), nn.Tanh()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, LETTERS))
