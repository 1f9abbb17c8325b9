"""
4. Which loss
=============

The loss decides what "best" means: with the same data and the same model, another loss finds other parameters.

To see that without distraction, take the smallest model there is: one number, the same answer for everybody. Which
number is best? That depends on how a wrong answer is counted, and for each way of counting the best number is known.
"""

from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import load_diabetes, load_digits
from tinygrad_edu.lessons import Lesson

lesson = Lesson(__doc__)
F = nn.functional
diabetes = load_diabetes()
y = ((diabetes.y - diabetes.y.mean()) / diabetes.y.std()).astype(np.float64)
LOSSES: dict[str, Any] = {"squared error": F.mse_loss, "absolute error": F.l1_loss, "Huber (δ = 1)": F.huber_loss}

# %%
# Gradient descent on one parameter, with steps that become smaller and smaller: the absolute error has a kink at its
# minimum, and steps of one size would jump to and fro across it.


def minimiser(loss: Any, targets: np.ndarray, start: np.ndarray | float = 0.0) -> np.ndarray:
    """The parameter at which `loss(parameter for every row, targets)` is smallest, found by Adam."""
    c = tg.tensor(start, dtype=tg.float64, requires_grad=True)
    rows = tg.tensor(targets)
    optimizer = optim.Adam([c], lr=0.1)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.985)
    for _ in range(800):
        optimizer.zero_grad()
        loss(c.expand(len(targets), *c.shape), rows).backward()
        optimizer.step()
        schedule.step()
    return c.detach().numpy()


# %%
# What mathematics says: squares → the mean; absolute values → the median, or anything between the two middle rows; the
# Huber loss, squares near 0 and absolute values far out → the number whose errors, cut off at ±1, sum to 0.


def huber_centre(y: np.ndarray) -> float:
    """Where Σ clip(y − c, −1, 1) = 0, by halving an interval."""
    low, high = float(y.min()), float(y.max())
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(y - middle, -1, 1).sum() > 0 else (low, middle)
    return low


def off(found: float, low: float, high: float | None = None) -> float:
    """How far a number lies outside [low, high]."""
    return max(low - found, found - (low if high is None else high), 0.0)


# %%
# Now spoil the data: 20 people's values are written down ten times too large, as happens. Which answer will move?

errors: dict[str, float] = {}
table = []
spoiled = y.copy()
spoiled[np.random.default_rng(lesson.seed).permutation(len(y))[:20]] += 10
for name, loss in LOSSES.items():
    row: dict[str, Any] = {"loss": name}
    for what, data in (("as measured", y), ("20 of 442 wrong", spoiled)):
        found, middle = float(minimiser(loss, data)), np.sort(data)[[len(y) // 2 - 1, len(y) // 2]]
        known = {"squared error": (data.mean(),), "absolute error": tuple(middle)}.get(name, (huber_centre(data),))
        errors[name] = max(errors.get(name, 0.0), off(found, *map(float, known)))
        row[what], row[f"known ({what})"] = found, float(np.mean(known))
    table.append(row)
lesson.table(table)
moved = {str(row["loss"]): float(row["20 of 442 wrong"]) - float(row["as measured"]) for row in table}

# %%
# And for kinds instead of amounts? A model that knows nothing of an image gives the same ten numbers (*logits*) to
# every one. *Cross-entropy* counts −ln of the probability that was given to the right digit. It is smallest when the
# probabilities are the frequencies of the digits: the honest answer of somebody who sees nothing.

labels = load_digits().y[:300]
logits = minimiser(F.cross_entropy, labels, np.zeros(10))
shares = np.exp(logits) / np.exp(logits).sum()
frequencies = np.bincount(labels, minlength=10) / len(labels)
errors["cross-entropy"] = float(np.abs(shares - frequencies).max())
lesson.say(f"probabilities found {np.round(shares, 3)}\nfrequencies        {np.round(frequencies, 3)}\n")

# %%
# Two parameters make a landscape: progression = w₁·bmi + w₂·s5. The valley of the squares lies elsewhere than that of
# the absolute values, and it moves further when the data are spoiled.

x = (diabetes.X - diabetes.X.mean(0)) / diabetes.X.std(0)
x = x[:, [diabetes.columns.index("bmi"), diabetes.columns.index("s5")]]
grid = np.linspace(-0.5, 1.3, 61)
figure, axes = lesson.figure(1, 3, width=12, height=3.8, title="The loss decides where the valley is")
errors_at = np.linspace(-3, 3, 301)
for name, loss in LOSSES.items():
    axes[0].plot(errors_at, [float(loss(tg.tensor([e]), tg.zeros(1, dtype=tg.float64))) for e in errors_at], label=name)
axes[0].set(xlabel="error of one row", title="what an error costs", ylim=(0, 5))
axes[0].legend(loc="upper center")
w1, w2 = np.meshgrid(grid, grid)
answers = w1[..., None] * x[:, 0] + w2[..., None] * x[:, 1]
for place, (title, cost) in enumerate((("squared error", np.square), ("absolute error", np.abs)), start=1):
    for data, colour in ((y, "#1f6fb4"), (spoiled, "#d1622b")):
        surface = cost(answers - data).mean(-1)
        levels = surface.min() + np.ptp(surface) * np.array([0.005, 0.03, 0.1, 0.25])
        axes[place].contour(w1, w2, surface, levels=levels, colors=colour, linewidths=1.2)
        at = np.unravel_index(surface.argmin(), surface.shape)
        axes[place].plot(w1[at], w2[at], "o", color=colour, label="as measured" if data is y else "20 of 442 wrong")
    axes[place].set(
        xlabel="weight of bmi", ylabel="weight of s5", title=f"{title}: its landscape", aspect="equal", ylim=(-0.9, 1.3)
    )
    axes[place].legend(loc="lower left")

# %%
# What was shown. Try: more spoiled rows; at how many does the median begin to move?

lesson.claim("squared error: distance from the mean", errors["squared error"], at_most=1e-3)
lesson.claim("absolute error: distance from the median", errors["absolute error"], at_most=1e-3)
lesson.claim("Huber: distance from the closed form", errors["Huber (δ = 1)"], at_most=1e-3)
lesson.claim("cross-entropy: distance from the frequencies", errors["cross-entropy"], at_most=1e-3)
lesson.claim("spoiled rows move the mean by", moved["squared error"], at_least=0.4)
lesson.claim("… and the median by", moved["absolute error"], at_most=0.15)
lesson.end()
