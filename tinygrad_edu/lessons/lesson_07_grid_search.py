"""
7. Choosing on dev, with the test set held out
==============================================

Whoever takes the best of many settings has used the data that judged them; only other data say how good it is.

Three parts, three purposes. On *train* the parameters are found, on *dev* the hyperparameters are chosen. *Test* is
read once, at the end, by nobody who still has a choice to make.
"""

import numpy as np

from tinygrad_edu import nn, optim
from tinygrad_edu.data import HeldOutError, TensorDataset, load_digits, train_dev_test_split
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.train import Trainer, accuracy
from tinygrad_edu.tune import GridSearch, SuccessiveHalving

lesson = Lesson(__doc__)
digits = load_digits()
split = train_dev_test_split(TensorDataset(digits.X / 16, digits.y), dev=0.2, test=0.2, seed=lesson.seed)
EPOCHS = 18


def make(setting: dict[str, float]) -> Trainer:
    """A trainer for one setting; the search trains it."""
    model = nn.Sequential(nn.Linear(64, int(setting["hidden"])), nn.ReLU(), nn.Linear(int(setting["hidden"]), 10))
    optimizer = optim.Adam(model.parameters(), lr=setting["lr"])
    return Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics={"accuracy": accuracy}, record="none",
                   progress="none")  # fmt: skip


# %%
# The simplest strategy: write down a few values for each hyperparameter, try all combinations. Five learning rates
# times three widths are fifteen models. Each is trained on train and judged on dev.

grid: dict[str, list[float]] = {"lr": [3e-4, 1e-3, 3e-3, 1e-2, 1e-1], "hidden": [4, 16, 64]}
search = GridSearch(make, grid, epochs=EPOCHS, score="accuracy", seed=lesson.seed).fit(split.train, split.dev)
lesson.say(search.table(), f"\nbest on dev: {search.best_params}, {search.best.score:.4f}\n")

# %%
# Now, once, the rows that had no part in it. The figure on dev was the best of fifteen, so it is a little too good;
# this one is not.

assert search.best_trainer is not None
test = search.best_trainer.evaluate(split.test)["accuracy"]
lesson.say(f"on test: {test:.4f}; test has been read {len(split.test.readings)} time")

# %%
# A second look, or a look from inside a search, is refused: the numbers would not change by it, but you would.

refused = []
try:
    split.test.open("just to see")
except HeldOutError as error:
    refused.append(str(error).split(".")[0])
fresh = train_dev_test_split(TensorDataset(digits.X / 16, digits.y), dev=0.2, test=0.2, seed=lesson.seed)


def peeping(setting: dict[str, float]) -> Trainer:
    """What must not work: code that makes models and reads the test rows on the way."""
    fresh.test.open("while nobody looks")
    return make(setting)


try:
    GridSearch(peeping, {"lr": [1e-3], "hidden": [4]}, epochs=1, score="accuracy").fit(fresh.train, fresh.dev)
except HeldOutError as error:
    refused.append(str(error).split(".")[0])
lesson.say("\n".join(f"refused: {reason}" for reason in refused), "\n")

# %%
# Must all fifteen be trained to the end? *Successive halving* trains all of them a little, keeps the best third, trains
# these three times as long, and so on.

halving = SuccessiveHalving(make, grid, epochs=EPOCHS, min_epochs=2, score="accuracy", seed=lesson.seed)
halving.fit(split.train, split.dev)
share = halving.epochs_used / search.epochs_used
lesson.say(f"halving: {halving.best_params}, dev {halving.best.score:.4f}, {halving.epochs_used} epochs instead of "
           f"{search.epochs_used}\n")  # fmt: skip

# %%
# How bad is it to choose on test? Take the purest case: labels thrown by a coin, so that nothing can be better than
# 0.5. Fifty "models" guess. Choose the best on the 100 test rows and report that figure; or choose on 100 dev rows
# and report the test figure of the chosen one. Two hundred times, to see what to expect.

rng = np.random.default_rng(lesson.seed)
on_dev, on_test = (rng.random((200, 50, 100)) < 0.5).mean(2), (rng.random((200, 50, 100)) < 0.5).mean(2)
picked_on_test = on_test.max(1)
picked_on_dev = on_test[np.arange(200), on_dev.argmax(1)]
lesson.say(f"nothing to learn: chosen on test {picked_on_test.mean():.3f}, chosen on dev {picked_on_dev.mean():.3f}")

# %%
# 0.61 out of nothing. The more one tries, the more one finds, in rows that one has looked at.

figure, (left, right) = lesson.figure(1, 2, width=10.5, height=3.8, title="Choose on dev, report on test")
scores = np.array([trial.score for trial in search.trials]).reshape(5, 3)
image = left.imshow(scores.T, origin="lower", cmap="viridis", aspect="auto")
left.set_xticks(range(5), [f"{lr:g}" for lr in grid["lr"]])
left.set_yticks(range(3), [str(h) for h in grid["hidden"]])
left.set(xlabel="learning rate", ylabel="hidden units", title="accuracy on dev of fifteen models")
for (i, j), score in np.ndenumerate(scores):
    best = score == scores.max()
    left.text(i, j, f"{score:.3f}", ha="center", va="center", fontsize=9, fontweight="bold" if best else "normal",
              color="white" if score < np.median(scores) else "black")  # fmt: skip
bins = np.arange(0.335, 0.73, 0.03)
right.hist(picked_on_dev, bins, color="#1f6fb4", alpha=0.8, label="chosen on dev")
right.hist(picked_on_test, bins, color="#d1622b", alpha=0.8, label="chosen on test")
right.axvline(0.5, color="#222222", lw=1.0, ls=(0, (4, 3)))
right.set(xlabel="reported accuracy on labels of a coin", ylabel="of 200 searches", title="what is reported of nothing")
right.legend(loc="upper left")

# %%
# What was shown. Try: ``tge search grid digits``, then the same with ``--test``, twice.

lesson.claim("best accuracy on dev", search.best.score, at_least=0.96)
lesson.claim("its accuracy on test", test, at_least=0.945)
lesson.claim("reading test again, or while searching, is refused", len(refused) == 2)
lesson.claim("halving: share of the grid's epochs", share, at_most=1 / 3)
lesson.claim("halving: dev accuracy below the grid's best by", search.best.score - halving.best.score, at_most=0.01)
lesson.claim("pure noise, chosen and reported on test", picked_on_test.mean(), at_least=0.593, at_most=0.633)
lesson.claim("pure noise, chosen on dev, reported on test", picked_on_dev.mean(), at_least=0.483, at_most=0.523)
lesson.end()
