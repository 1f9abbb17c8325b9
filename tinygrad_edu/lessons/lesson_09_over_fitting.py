"""
9. Over-fitting and its cures
=============================

A large model learns few examples by heart, errors and all: perfect on what it has seen, poor on everything else.

A hundred images, and every fifth label is wrong: somebody was tired. The network has 256 hidden units, 19,210
parameters for 100 rows. It can satisfy every label, also the wrong ones. The distance between what it does on train and
on dev says that it has.
"""

import itertools
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import Subset, TensorDataset, load_digits
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.train import EarlyStopping, History, Trainer, accuracy

lesson = Lesson(__doc__)
digits = load_digits()
rng = np.random.default_rng(lesson.seed)
rows = rng.permutation(len(digits))
dev = Subset(TensorDataset(digits.X / 16, digits.y), rows[:500])

# %%
# Labels as they come: 20 % are replaced by another digit. On dev, all are right.

labels = digits.y.copy()
wrong = rows[500:][rng.random(len(rows) - 500) < 0.2]
labels[wrong] = (labels[wrong] + rng.integers(1, 10, len(wrong))) % 10


def examples(n: int) -> Subset:
    """The first `n` rows for training, with their partly wrong labels."""
    return Subset(TensorDataset(digits.X / 16, labels), rows[500 : 500 + n])


def train(n: int, epochs: int, weight_decay: float = 0.0, patience: int = 0, seed: int = 0) -> tuple[History, Trainer]:
    """256 hidden units on `n` examples."""
    tg.manual_seed(1000 * lesson.seed + seed)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = optim.Adam(model.parameters(), lr=3e-3, weight_decay=weight_decay)
    stop = [EarlyStopping("val_loss", patience=patience, restore_best=True)] if patience else []
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics={"accuracy": accuracy}, callbacks=stop,
                      seed=lesson.seed, record="none", progress="none")  # fmt: skip
    return trainer.fit(examples(n), epochs=epochs, val=dev), trainer


def ends(n: int, **how: Any) -> tuple[float, float]:
    """Accuracy on train and on dev at the end, means over three seeds."""
    runs = [train(n, seed=s, **how)[1] for s in range(3)]
    first, second = (float(np.mean([t.evaluate(part)["accuracy"] for t in runs])) for part in (examples(n), dev))
    return first, second


# %%
# The disease. Watch both losses: on train it falls and falls; on dev it falls, turns, and rises. From the turn on, the
# model does not learn what digits look like, but what these hundred rows are.

history, _ = train(100, 200)
turn = int(np.argmin(history["val_loss"]))
lesson.table([{"epoch": e, "train loss": history["loss"][e - 1], "dev loss": history["val_loss"][e - 1],
               "train accuracy": history["accuracy"][e - 1], "dev accuracy": history["val_accuracy"][e - 1]}
              for e in (1, turn + 1, 50, 200)])  # fmt: skip

# %%
# The cures. *Weight decay* pulls parameters towards zero: learning by heart needs large ones. *Early stopping* ends at
# the turn. *More data* is the best of all: there is more to agree on, and errors cancel out.

cures = {
    "nothing": ends(100, epochs=200),
    "weight decay 3e-2": ends(100, epochs=200, weight_decay=3e-2),
    "early stopping": ends(100, epochs=200, patience=10),
}
lesson.table([{"cure": name, "train": a, "dev": b, "gap": a - b} for name, (a, b) in cures.items()])
sizes = (100, 200, 400, 800)
by_size = [ends(n, epochs=60) for n in sizes]
lesson.table([{"examples": n, "train": a, "dev": b, "gap": a - b} for n, (a, b) in zip(sizes, by_size, strict=True)])
gaps = [a - b for a, b in by_size]

# %%
# Read the table of cures again: weight decay makes train *worse*, and dev better. On train, 80 % is all that an honest
# model can reach, because a fifth of the labels are wrong.

figure, axes = lesson.figure(1, 3, width=12, height=3.6, title="A hundred examples, a fifth of the labels wrong")
axes[0].plot(history["loss"], color="#1f6fb4", label="train")
axes[0].plot(history["val_loss"], color="#d1622b", label="dev")
axes[0].axvline(turn, color="#8a8a8a", lw=1.0, ls=(0, (4, 3)))
axes[0].text(turn + 3, 2.0, "the turn", color="#8a8a8a")
axes[0].set(xlabel="epoch", title="loss", ylim=(0, None))
axes[0].legend()
for k, (name, part) in enumerate((("train", 0), ("dev", 1))):
    colour = ("#1f6fb4", "#d1622b")[k]
    axes[1].barh(np.arange(3) + 0.2 - 0.4 * k, [pair[part] for pair in cures.values()], 0.36, color=colour, label=name)
    axes[2].plot(sizes, [pair[part] for pair in by_size], "o-", color=colour, label=name)
axes[1].set_yticks(range(3), list(cures))
axes[1].invert_yaxis()
axes[1].set(xlabel="accuracy", xlim=(0.5, 1.02), title="cures (3 seeds)")
axes[2].set(xlabel="examples", xscale="log", ylim=(0.6, 1.02), title="accuracy: more data")
axes[2].set_xticks(sizes, [str(n) for n in sizes])
axes[2].minorticks_off()
axes[2].legend(loc="lower right")

# %%
# What was shown. Try: ``dropout``, a smaller network, or a tenth of wrong labels.

lesson.claim("train accuracy, no cure", cures["nothing"][0], at_least=0.99)
lesson.claim("dev accuracy, no cure", cures["nothing"][1], at_least=0.55, at_most=0.80)
lesson.claim("weight decay: dev accuracy gained", cures["weight decay 3e-2"][1] - cures["nothing"][1], at_least=0.03)
lesson.claim("early stopping: dev accuracy gained", cures["early stopping"][1] - cures["nothing"][1], at_least=0.01)
lesson.claim("more data narrows the gap every time", all(a > b for a, b in itertools.pairwise(gaps)))
lesson.end()
