"""
6. Hyperparameters
==================

Parameters are found by training; what a person decides before it are hyperparameters, and they can ruin everything.

How many layers, how many units, how many epochs, how long the steps: training cannot find these, because they say what
training *is*. To see what one of them does, change only that one, and leave everything else alone: a *sweep*. As chance
has a hand in every run, each setting is run with three seeds.
"""

import itertools
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import TensorDataset, load_digits, train_dev_test_split
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.train import Trainer, accuracy

lesson = Lesson(__doc__)
digits = load_digits()
split = train_dev_test_split(TensorDataset(digits.X / 16, digits.y), dev=0.2, test=0.2, seed=lesson.seed)
SEEDS = [10 * lesson.seed + k for k in range(3)]


def make(seed: int, lr: float = 0.1, width: int = 32, layers: int = 1) -> Trainer:
    """A network of `layers` hidden layers, to be trained by plain gradient descent with momentum."""
    tg.manual_seed(seed)
    sizes = [64, *[width] * layers]
    hidden = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    model = nn.Sequential(*hidden, nn.Linear(sizes[-1], 10))
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics={"accuracy": accuracy}, seed=seed, record="none",
                   progress="none")  # fmt: skip


# %%
# Both kinds of numbers in one table: what training will find, and what was decided.

lesson.say(make(SEEDS[0]).describe(), "\n")


def sweep(epochs: int, settings: list[dict[str, Any]]) -> np.ndarray:
    """Accuracy on dev after training, for each setting and seed (settings, 3)."""
    with np.errstate(all="ignore"):  # a run that diverges overflows; that is the point of it
        return np.array([[_accuracy(make(seed, **setting), epochs) for seed in SEEDS] for setting in settings])


def _accuracy(trainer: Trainer, epochs: int) -> float:
    trainer.fit(split.train, epochs=epochs)
    return trainer.evaluate(split.dev)["accuracy"]


# %%
# The learning rate, over six powers of ten. Predict: what will too small a rate look like, and what too large a one?

rates = [1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0]
by_rate = sweep(8, [{"lr": lr} for lr in rates])
lesson.table([{"lr": lr, "dev accuracy": float(runs.mean()), "±": float(runs.std(ddof=1))}
              for lr, runs in zip(rates, by_rate, strict=True)])  # fmt: skip

# %%
# Three regimes. *Flat*: the steps are so short that eight epochs lead nowhere; nothing is wrong, it only takes for
# ever. *Good*: a range, not a point, that must be hit. *Diverged*: each step throws the parameters further out. A
# good rate is often found just below the point where it breaks.

flat, good, diverged = by_rate[0], by_rate.mean(1).max(), by_rate[-1]
works = [lr for lr, mean in zip(rates, by_rate.mean(1), strict=True) if mean > good - 0.03]
lesson.say(f"within 0.03 of the best: lr from {works[0]:g} to {works[-1]:g}\n")

# %%
# Layers: none is a linear model. More are not simply better; with plain layers, very many can hardly be trained at all.

depths = [0, 1, 2, 3, 5, 8]
by_depth = sweep(8, [{"layers": n, "lr": 0.03} for n in depths])
lesson.table([{"hidden layers": n, "dev accuracy": float(runs.mean()), "±": float(runs.std(ddof=1))}
              for n, runs in zip(depths, by_depth, strict=True)])  # fmt: skip

# %%
# Epochs: one run of 40 shows all numbers up to 40. Much at first, little later, and at some point nothing.

courses = np.array([make(seed, lr=0.02).fit(split.train, epochs=40, val=split.dev)["val_accuracy"] for seed in SEEDS])
lesson.table([{"epochs": n, "dev accuracy": float(courses[:, n - 1].mean())} for n in (1, 2, 4, 8, 16, 40)])

# %%
# A mean and how far single runs are from it (one standard deviation, three seeds).


def band(axes: Any, x: Any, runs: np.ndarray) -> None:
    """The mean over seeds as a line, ± one standard deviation around it."""
    mean, sd = runs.mean(1), runs.std(1, ddof=1)
    axes.fill_between(x, mean - sd, mean + sd, color="#d1622b", alpha=0.25, lw=0)
    axes.plot(x, mean, "o-", ms=4, color="#d1622b")


figure, axes = lesson.figure(
    1, 3, width=12, height=3.6, sharey=True, title="Accuracy on dev, one hyperparameter at a time"
)
band(axes[0], rates, by_rate)
axes[0].set(xscale="log", xlabel="learning rate", ylim=(0, 1.05), title="flat, good, diverged")
for at, word in ((2e-5, "flat"), (1e-2, "good"), (2.0, "diverged")):
    axes[0].text(at, 0.02, word, color="#8a8a8a", ha="left")
band(axes[1], depths, by_depth)
axes[1].set(xlabel="hidden layers", title="layers (8 epochs)")
band(axes[2], range(1, 41), courses.T)
axes[2].set(xlabel="epochs", title="epochs")

# %%
# What was shown. Try: ``tge search random digits --lr 1e-4..1e-1 --hidden 8..256 --n 20``.

lesson.claim("dev accuracy at the best learning rate", good, at_least=0.94)
lesson.claim("flat: at lr = 1e-5, the best of three seeds", flat.max(), at_most=0.35)
lesson.claim("diverged: at lr = 10, the best of three seeds", diverged.max(), at_most=0.35)
lesson.claim("width of the good range, as a factor", works[-1] / works[0], at_least=3)
lesson.claim("one hidden layer against none", by_depth.mean(1)[1] - by_depth.mean(1)[0], at_least=0.0)
lesson.claim("40 epochs against one", courses.mean(0)[-1] - courses.mean(0)[0], at_least=0.1)
lesson.end()
