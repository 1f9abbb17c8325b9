"""
10. Under-fitting and capacity
==============================

A model that is too simple is poor on dev *and* on train: it cannot even say what it has been shown.

Over-fitting is too much freedom, under-fitting too little. The two look alike on dev; train tells them apart. How much
freedom a task needs depends on the task, and not on how many rows there are.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import Dataset, TensorDataset, blobs, load_digits, spirals, train_dev_test_split
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.train import Trainer, accuracy

lesson = Lesson(__doc__)
digits = load_digits()
split = train_dev_test_split(TensorDataset(digits.X / 16, digits.y), dev=0.2, test=0.2, seed=lesson.seed)


def train(width: int, data: Dataset, inputs: int, classes: int, epochs: int, lr: float, seed: int) -> Trainer:
    """One hidden layer of `width` units."""
    tg.manual_seed(100 * lesson.seed + seed)
    model = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, classes))
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=lr), seed=seed,
                      metrics={"accuracy": accuracy}, record="none", progress="none")  # fmt: skip
    trainer.fit(data, epochs=epochs)
    return trainer


# %%
# Digits through a bottleneck: every image becomes one number, or two, or sixteen, and from that the digit must be told.

widths = (1, 2, 4, 16, 64)
on_digits = {h: [train(h, split.train, 64, 10, 40, 3e-3, s) for s in range(3)] for h in widths}
scores = {h: [float(np.mean([t.evaluate(part)["accuracy"] for t in runs])) for part in (split.train, split.dev)]
          for h, runs in on_digits.items()}  # fmt: skip
lesson.table([{"hidden units": h, "train": a, "dev": b, "gap": a - b} for h, (a, b) in scores.items()])

# %%
# Hardly any gap anywhere, and with one unit a miserable result on both: that is under-fitting. More epochs or more data
# would not help; more units do.
#
# Two made-up tasks in the plane. *Blobs*: two heaps, a line parts them. *Spirals*: two arms wound around each other.
# Both have 600 points and two classes. Predict: which width does each of them need?

tasks = {"blobs": (blobs, 20), "spirals": (spirals, 150)}
plane = (1, 2, 4, 8, 16, 32, 64)
found: dict[str, np.ndarray] = {}
kept: dict[tuple[str, int], Trainer] = {}
for name, (draw, epochs) in tasks.items():
    train_rows, dev_rows = draw(600, seed=lesson.seed), draw(600, seed=lesson.seed + 1000)
    runs = []
    for width in plane:
        trainers = [train(width, train_rows, 2, 2, epochs, 1e-2, s) for s in range(2)]
        kept[name, width] = trainers[0]
        runs.append([t.evaluate(dev_rows)["accuracy"] for t in trainers])
    found[name] = np.array(runs)
lesson.table([{"hidden units": h, **{f"{name}, dev": float(found[name][i].mean()) for name in tasks}}
              for i, h in enumerate(plane)])  # fmt: skip

# %%
# A hidden unit is a fold: it lets the plane bend along one line. Look where the models put their border.

figure, axes = lesson.figure(1, 4, width=13, height=3.4, title="How much a task needs, and what a model can do")
axes[0].plot(range(len(plane)), found["blobs"].mean(1), "o-", color="#3c8d40", label="blobs")
axes[0].plot(range(len(plane)), found["spirals"].mean(1), "o-", color="#7b4fa3", label="spirals")
axes[0].set_xticks(range(len(plane)), [str(h) for h in plane])
axes[0].set(xlabel="hidden units", ylim=(0.45, 1.02), title="accuracy on dev")
axes[0].legend(loc="lower right")
points, arms = (t.numpy() for t in spirals(600, seed=lesson.seed).tensors)
line = np.linspace(-1.05, 1.05, 120, dtype=np.float32)
across, up = np.meshgrid(line, line)
for place, width in enumerate((2, 8, 32), start=1):
    logits = kept["spirals", width].predict(np.stack([across.ravel(), up.ravel()], 1))
    axes[place].contourf(across, up, (logits[:, 1] - logits[:, 0]).reshape(across.shape), levels=[-1e9, 0, 1e9],
                         colors=["#cfe0ee", "#f5dccf"])  # fmt: skip
    axes[place].scatter(*points.T, c=np.where(arms == 1, "#d1622b", "#1f6fb4"), s=3)
    axes[place].set(title=f"spirals, {width} units", aspect="equal", xlim=(-1.05, 1.05), ylim=(-1.05, 1.05))
    axes[place].set_axis_off()

# %%
# What was shown. Try: two hidden layers of 8 on the spirals. Depth folds what is folded already.

lesson.claim("digits, 1 unit: train accuracy", scores[1][0], at_most=0.45)
lesson.claim("digits, 1 unit: dev accuracy", scores[1][1], at_most=0.45)
lesson.claim("digits, 2 units: dev accuracy", scores[2][1], at_least=0.35, at_most=0.8)
lesson.claim("digits, 64 units: the worse of train and dev", min(scores[64]), at_least=0.95)
lesson.claim("blobs, 2 units", found["blobs"][1].mean(), at_least=0.97)
lesson.claim("spirals, 2 units", found["spirals"][1].mean(), at_most=0.75)
lesson.claim("spirals, 32 units", found["spirals"][5].mean(), at_least=0.97)
lesson.end()
