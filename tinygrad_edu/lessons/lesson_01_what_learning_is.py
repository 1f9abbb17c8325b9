"""
1. What learning is
===================

A model is fed examples and finds what their labels have in common with their pixels; shuffle the labels, and there is
nothing to find.

1,797 small images of handwritten digits are split once: the model learns on *train* and is judged on *dev*, rows that
it has never seen. Nobody tells it what a 3 looks like. It is shown a thousand examples, is told after each batch how
wrong it was, and shifts its numbers a little so that it would have been less wrong. That is all.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import Dataset, TensorDataset, load_digits, train_dev_test_split
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.train import Trainer, accuracy

lesson = Lesson(__doc__)

# %%
# The examples: 64 grey values each, and the digit that the writer meant.

digits = load_digits()
split = train_dev_test_split(TensorDataset(digits.X / 16, digits.y), dev=0.2, test=0.2, seed=lesson.seed)
lesson.say(f"{len(split.train)} examples to learn from, {len(split.dev)} to be judged on")


# %%
# The whole of training is in `fit`: 20 times through the examples, in batches of 32.


def train(examples: Dataset) -> tuple[nn.Module, list[float]]:
    """A network of 64 hidden units after 20 epochs, and its accuracy on dev after each of them."""
    tg.manual_seed(lesson.seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    trainer = Trainer(
        model, nn.CrossEntropyLoss(), optimizer, metrics={"accuracy": accuracy}, seed=lesson.seed, progress="none"
    )
    history = trainer.fit(examples, epochs=20, val=split.dev)
    return model, history["val_accuracy"]


model, learned = train(split.train)

# %%
# The negative control: the same images, the same labels, but every label given to an image drawn by lot. A model with
# enough parameters can still learn *these* examples by heart; on dev it can only guess, and one guess in ten is right.
# Alike images are guessed alike, so a single run of guessing can be lucky: here are five, each with its own lots.

rows = split.train.indices
lots = np.random.default_rng(lesson.seed)
runs = [train(TensorDataset(digits.X[rows] / 16, digits.y[lots.permutation(rows)]))[1] for _ in range(5)]
guessed = np.mean(runs, axis=0)

lesson.table([{"epoch": epoch, "dev accuracy": learned[epoch - 1], "labels shuffled, mean of 5": guessed[epoch - 1]}
              for epoch in (1, 2, 5, 10, 20)])  # fmt: skip

# %%
# What it has learned, on the first dev images, and how both runs went.

figure, axes = lesson.figure(1, 2, width=10, title="Examples in, digits out", gridspec_kw={"width_ratios": [1, 1.2]})
shown = split.dev.indices[:24]
answers = model(tg.tensor(digits.X[shown] / 16)).argmax(1).numpy()
sheet = np.full((4 * 9, 6 * 9), 0.0)
for i, row in enumerate(shown):
    top, left = 9 * (i // 6), 9 * (i % 6)
    sheet[top : top + 8, left : left + 8] = digits.X[row].reshape(8, 8)
    colour = "#3c8d40" if answers[i] == digits.y[row] else "#c0392b"
    axes[0].text(
        left + 7.6, top + 7.4, answers[i], color=colour, fontsize=9, fontweight="bold", ha="right", va="bottom"
    )
axes[0].imshow(sheet, cmap="Greys")
axes[0].set_axis_off()
axes[0].set_title("dev images, and the model's answers")
axes[1].plot(range(1, 21), learned, label="labels as they are", color="#1f6fb4")
for number, run in enumerate(runs):
    axes[1].plot(
        range(1, 21), run, color="#d1622b", lw=1.0, label="labels shuffled, five times" if not number else None
    )
axes[1].axhline(0.1, color="#8a8a8a", lw=1.0, ls=(0, (4, 3)))
axes[1].set(xlabel="epoch", ylim=(0, 1.02), title="accuracy on dev")
axes[1].legend(loc="center right")

# %%
# What was shown.

lesson.claim("dev accuracy after 20 epochs", learned[-1], at_least=0.95)
lesson.claim("dev accuracy with shuffled labels, mean of 5", guessed[-1], at_least=0.06, at_most=0.14)
lesson.end()
