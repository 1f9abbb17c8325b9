"""
2. Parameters
=============

A model is a formula with numbers left open; training puts numbers in. Here there are eleven, and you see all of them.

442 people with diabetes: ten measurements each, and how far the disease had progressed a year later. The formula is a
weighted sum, ``w₁·age + w₂·sex + … + w₁₀·glucose + b``. It has ten weights and one bias: eleven *parameters*. The
formula was chosen by a person. The values of its parameters are found by training, and by nothing else.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import load_diabetes
from tinygrad_edu.lessons import Lesson

lesson = Lesson(__doc__)
diabetes = load_diabetes()
x = (diabetes.X - diabetes.X.mean(0)) / diabetes.X.std(0)  # every column with mean 0 and standard deviation 1
y = ((diabetes.y - diabetes.y.mean()) / diabetes.y.std())[:, None]

# %%
# The model, and its parameters before anything was learned: small random numbers.

model = nn.Linear(10, 1)
lesson.say(f"{model}: {sum(p.numel() for p in model.parameters())} parameters")
names = (*diabetes.columns, "bias")


def values(model: nn.Linear) -> np.ndarray:
    """All parameters in one row (11,)."""
    return np.concatenate([p.detach().numpy().reshape(-1) for p in model.parameters()])


# %%
# Training is a loop of five lines. After each pass the eleven numbers are written down.


def train(model: nn.Linear, x: np.ndarray, y: np.ndarray, steps: int = 600) -> np.ndarray:
    """Gradient descent on the mean squared error over all rows at once; the parameters after every step."""
    inputs, targets = tg.tensor(x), tg.tensor(y)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    course = [values(model)]
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        course.append(values(model))
    return np.array(course)


course = train(model, x, y)
lesson.table([{"parameter": name, "before": start, "after 1": one, "after 20": few, "after 600": end}
              for name, start, one, few, end in zip(
                  names, *course[[0, 1, 20, 600]].tolist(), strict=True)])  # fmt: skip

# %%
# For this formula, and almost only for this one, the best values are also known in closed form (Gauss 1809). Did
# training find them? Compare what the two models *say*: the share of the target's variance that they explain, R².


def best(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The parameters with the smallest squared error, by least squares (11,)."""
    return np.linalg.lstsq(np.c_[x, np.ones(len(x))].astype(np.float64), y[:, 0], rcond=None)[0]


def r2(parameters: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """1 − (squared error) / (variance of the target)."""
    error = y[:, 0] - np.c_[x, np.ones(len(x))] @ parameters
    return float(1 - np.mean(error**2) / np.var(y))


trained, exact = r2(course[-1], x, y), r2(best(x, y), x, y)
lesson.say(f"R² of the trained model {trained:.4f}, of the closed form {exact:.4f}\n")

# %%
# Now split the people by lot into two halves, and train the *same* formula on each. What will be equal, and what not?

halves = np.random.default_rng(lesson.seed).permutation(len(x)).reshape(2, -1)
models = [nn.Linear(10, 1) for _ in halves]
fits = [train(m, x[rows], y[rows])[-1] for m, rows in zip(models, halves, strict=True)]
lesson.table([{"parameter": name, "first half": a, "second half": b, "difference": a - b}
              for name, a, b in zip(names, *(fit.tolist() for fit in fits), strict=True)])  # fmt: skip
gaps = [abs(r2(fit, x[rows], y[rows]) - r2(best(x[rows], y[rows]), x[rows], y[rows]))
        for fit, rows in zip(fits, halves, strict=True)]  # fmt: skip

# %%
# The number of parameters is a property of the formula; their values are a property of formula *and* data. Look at s1
# to s6: blood values that rise and fall together. Their weights differ wildly between the halves, because one can take
# over another's part; what the models say differs much less. Do not read a story into a single weight.

figure, (left, right) = lesson.figure(1, 2, width=11, height=4.2, title="Eleven parameters, found by training")
for name, line in zip(names, course.T, strict=True):
    bold = name in ("bmi", "bp", "s1", "s5")
    left.plot(line[:201], color=None if bold else "#c9c9c9", label=name if bold else None, zorder=2 if bold else 1)
left.set(xlabel="step", ylabel="value", ylim=(None, 0.68), title="the values during the first 200 steps")
left.legend(loc="upper right", ncols=4)
rows = np.arange(11)
right.barh(rows - 0.2, fits[0], 0.36, color="#1f6fb4", label="trained on the first half")
right.barh(rows + 0.2, fits[1], 0.36, color="#d1622b", label="trained on the second half")
right.axvline(0, color="#8a8a8a", lw=0.8)
right.set_yticks(rows, names)
right.invert_yaxis()
right.set_title("the same formula, two data sets")
right.legend(loc="upper left", bbox_to_anchor=(0, -0.05), ncols=2)

# %%
# What was shown. Try: ``tge train diabetes``, then ``tge compare runs/diabetes-1 runs/diabetes-2``.

lesson.claim("parameters of each of the three models", len(course[-1]), at_least=11, at_most=11)
lesson.claim("distance of R² from the closed form", abs(trained - exact), at_most=1e-3)
lesson.claim("the same on each half, the larger", max(gaps), at_most=1e-3)
lesson.claim(
    "largest difference of a parameter between the halves", float(np.abs(fits[0] - fits[1]).max()), at_least=0.05
)
lesson.end()
