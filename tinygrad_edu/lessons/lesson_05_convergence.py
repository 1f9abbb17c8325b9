"""
5. Epochs and convergence
=========================

An epoch shows every example once; step by step the parameters come closer to the best, unless the steps are too long.

With a weighted sum and the squared error the best parameters are known exactly, so that the distance to them can be
measured after every step. The curvature of the loss says beforehand how long a step may be. Both are rare luxuries: for
a network, neither is known. What is seen here happens there as well.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import DataLoader, TensorDataset, load_diabetes
from tinygrad_edu.lessons import Lesson

lesson = Lesson(__doc__)
diabetes = load_diabetes()
x = ((diabetes.X - diabetes.X.mean(0)) / diabetes.X.std(0)).astype(np.float64)
y = ((diabetes.y - diabetes.y.mean()) / diabetes.y.std()).astype(np.float64)[:, None]

# %%
# First the word. An *epoch* is one pass: each of the 442 rows exactly once, in an order drawn by lot, in batches of 32.
# The last batch has the 26 rows that are left. Count how often each row is seen in three epochs.

seen = np.zeros((3, len(x)), int)
loader = DataLoader(TensorDataset(np.arange(len(x))), 32, shuffle=True, generator=tg.Generator(lesson.seed))
for epoch in range(3):
    batches = [rows.numpy() for (rows,) in loader]
    for rows in batches:
        seen[epoch, rows] += 1
lesson.say(
    f"{len(batches)} batches an epoch, the last of {len(batches[-1])}; each row seen {np.unique(seen)} times an epoch\n"
)

# %%
# The loss is a bowl over eleven parameters. How steep it is, in its steepest direction, is the largest eigenvalue L of
# its second derivatives, the *Hessian*. Theory: with steps of lr < 2/L the distance to the bottom shrinks every time;
# beyond 2/L it grows, however near one was.

design = np.c_[x, np.ones(len(x))]
hessian = 2 / len(x) * design.T @ design
curvatures = np.linalg.eigvalsh(hessian)
limit = 2 / curvatures[-1]
best = np.linalg.solve(hessian, 2 / len(x) * design.T @ y)[:, 0]
found = tg.func.hessian(lambda p: nn.functional.mse_loss(tg.tensor(design) @ p, tg.tensor(y)[:, 0]))(tg.tensor(best))
lesson.say(f"L = {curvatures[-1]:.3f}, so lr may be up to 2/L = {limit:.4f}")
lesson.say(f"the same Hessian by automatic differentiation: off by {np.abs(found.numpy() - hessian).max():.1e}\n")


# %%
# Try that: all rows in every step, four learning rates, the distance to the best parameters after each step.


def distances(lr: float, steps: int = 300) -> np.ndarray:
    """|parameters − best| before the first step and after each."""
    tg.manual_seed(lesson.seed)
    model = nn.Linear(10, 1, dtype=tg.float64)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    inputs, targets = tg.tensor(x), tg.tensor(y)
    course = []
    for _ in range(steps + 1):
        now = np.concatenate([p.detach().numpy().reshape(-1) for p in model.parameters()])
        course.append(np.linalg.norm(now - best))
        optimizer.zero_grad()
        nn.functional.mse_loss(model(inputs), targets).backward()
        optimizer.step()
    return np.array(course)


parts = (0.1, 0.5, 0.95, 1.02)
courses = {part: distances(part * limit) for part in parts}
lesson.table([{"lr · L/2": part, "lr": part * limit, "at first": course[0], "after 30 steps": course[30],
               "after 300": course[300]} for part, course in courses.items()])  # fmt: skip
growth = {part: float((course[1:] / course[:-1]).max()) for part, course in courses.items()}
predicted = abs(1 - 1.02 * limit * curvatures[-1])
grows = float(courses[1.02][-1] / courses[1.02][-2])
lesson.say(
    f"beyond the limit each step multiplies the distance by {grows:.4f}; the Hessian predicted {predicted:.4f}\n"
)

# %%
# Why is it so slow towards the end? The bowl is a gutter: the flattest direction is far flatter than the steepest, and
# the steepest forbids longer steps. That ratio, the *condition*, is what momentum, Adam and normalised layers fight.

condition = curvatures[-1] / curvatures[0]
lesson.say(f"steepest direction : flattest direction = {condition:.0f} : 1")

# %%
# Small batches: each step is cheap and a little wrong. With a constant learning rate the parameters end up hovering
# around the bottom; a rate that is lowered lets them settle. Look at how far the loss is above the smallest there is.


def stochastic(decay: float, epochs: int = 80) -> list[float]:
    """The loss above the smallest one after each epoch of batches of 32; lr is multiplied by `decay` after each."""
    tg.manual_seed(lesson.seed)
    model = nn.Linear(10, 1, dtype=tg.float64)
    optimizer = optim.SGD(model.parameters(), lr=0.3 * limit)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, decay)
    loader = DataLoader(TensorDataset(x, y), 32, shuffle=True, generator=tg.Generator(lesson.seed))
    course = []
    for _ in range(epochs):
        for inputs, targets in loader:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(inputs), targets).backward()
            optimizer.step()
        schedule.step()
        loss = float(nn.functional.mse_loss(model(tg.tensor(x)), tg.tensor(y)))
        course.append(loss - float(np.mean((design @ best - y[:, 0]) ** 2)))
    return course


hovering, settling = stochastic(1.0), stochastic(0.95)
figure, (left, right) = lesson.figure(1, 2, width=10.5, height=3.8, title="On the way to the best parameters")
for part, course in courses.items():
    left.semilogy(course, label=f"{part:g} · 2/L", color="#c0392b" if part > 1 else None)
left.set(xlabel="step", ylim=(0.1, 1e3), title="all rows in every step: distance to them")
left.legend(title="learning rate")
right.semilogy(range(1, 81), hovering, label="constant learning rate")
right.semilogy(range(1, 81), settling, label="lowered by 5 % an epoch")
right.set(xlabel="epoch", title="batches of 32: loss above the smallest")
right.legend()

# %%
# What was shown. Try: momentum=0.9 in `distances`, and see what becomes of the limit.

lesson.claim("every row seen exactly once an epoch", bool((seen == 1).all()))
lesson.claim("rows in the last batch", len(batches[-1]), at_least=26, at_most=26)
lesson.claim("largest growth of the distance in a step, lr < 2/L", max(growth[p] for p in parts if p < 1), at_most=1.0)
lesson.claim("growth at 1.02 · 2/L, measured / predicted", grows / predicted, at_least=0.99, at_most=1.01)
rest = float(np.mean(hovering[-20:]) / np.mean(settling[-20:]))
lesson.claim("constant / lowered rate, loss above the smallest at the end", rest, at_least=1.5)
lesson.end()
