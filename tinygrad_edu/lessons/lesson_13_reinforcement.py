"""
13. Learning by doing
=====================

There are no examples any more: a model acts, sees what comes of it, and does more of what went well.

A pole stands on a cart, joined to it by a hinge. Every 1/50 s the cart is pushed, to the left or to the right. Nobody
knows which push would have been right, so there is no label to learn from. There is only a reward: 1 for each step in
which the pole still stands. An episode ends when it leans more than 12 degrees, when the cart leaves its track, or
after 500 steps.
"""

import numpy as np
from matplotlib.patches import Rectangle

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.envs import CartPole
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.lessons.style import DEV, GREY, INK, TRAIN
from tinygrad_edu.train import play, rewards_to_go

F = nn.functional
lesson = Lesson(__doc__)

# %%
# The world shows four numbers: the cart's place and speed, the pole's angle and how fast it turns. Before there is any
# learning: how long does the pole stand if every push is drawn by lot? And by a rule that a child would find: push to
# the side to which it leans?


def last(rule: str, count: int = 100) -> float:
    """The mean number of steps that a rule keeps the pole up."""
    world, lots = CartPole(count), np.random.default_rng(lesson.seed)
    seen, _ = world.reset(seed=lesson.seed)
    total = 0.0
    while world.running.any():
        seen, rewards, *_ = world.step(lots.integers(0, 2, count) if rule == "lots" else seen[:, 2] > 0)
        total += rewards.sum()
    return total / count


lots, child = last("lots"), last("lean")
lesson.say(f"steps until it falls, mean of 100: by lot {lots:.0f}, pushing to the side of the lean {child:.0f}\n")

# %%
# The model is a policy: it says with which chance to push right. The pushes are drawn by these chances, so the policy
# tries things. After 16 episodes each push gets a weight: all the rewards that came after it (those far ahead count
# less, 0.99 for each step), minus what the 16 got on average from the same step on. Above the average: make this push
# likelier. Below: less likely. That is REINFORCE (Williams 1992). Does it need to know how a cart moves? Look for it.


def improve(policy: nn.Module, optimizer: optim.Optimizer, world: CartPole, draw: np.random.Generator) -> np.ndarray:
    """Play 16 episodes, learn from them, and return how long each was."""
    episodes = play(policy, world, draw)
    was = episodes.running  # (steps, 16): whether the episode was still going on
    ahead = rewards_to_go(episodes.rewards, 0.99)
    weight = (ahead - (ahead * was).sum(1, keepdims=True) / was.sum(1, keepdims=True))[was]
    weight = tg.tensor((weight / (weight.std() + 1e-6)).astype(np.float32))
    surprise = F.cross_entropy(
        policy(tg.tensor(episodes.seen[was])), tg.tensor(episodes.actions[was]), reduction="none"
    )
    optimizer.zero_grad()
    (weight * surprise).mean().backward()  # surprise: −ln of the chance that the push had
    optimizer.step()
    return episodes.returns


# %%
# Five learners, each with its own first parameters and its own lots, 1,200 episodes each at most. A learner stops when
# five updates in a row, 80 episodes, lasted 475 steps on average: then it can do it.


def learn(seed: int) -> tuple[nn.Module, list[float]]:
    """A policy, and the mean length of the episodes of each update."""
    tg.manual_seed(seed)
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = optim.Adam(policy.parameters(), lr=2e-2)
    world, draw = CartPole(16), np.random.default_rng(seed)
    world.reset(seed=seed)
    course: list[float] = []
    while len(course) < 75 and not np.mean(course[-5:] or 0) >= 475:
        course.append(improve(policy, optimizer, world, draw).mean())
    return policy, course


seeds = [100 * lesson.seed + learner for learner in range(5)]
learners = [learn(seed) for seed in seeds]
ends = [float(np.mean(course[-5:])) for _, course in learners]
fresh = [play(policy, CartPole(100), None, seed=9_000_000 + lesson.seed).returns.mean() for policy, _ in learners]
lesson.table([{"learner": seed, "episodes": 16 * len(course), "first 16": course[0], "last 80": end, "100 others": new}
              for seed, (_, course), end, new in zip(seeds, learners, ends, fresh, strict=True)])  # fmt: skip

# %%
# The last column: starts that no learner has seen, played without lots, always the likelier push. What has it found?
# The map shows the chance of a push to the right where the cart stands still in the middle. The child's border would be
# upright: push to where it leans. The learnt one is slanted: it also asks how fast the pole turns, and pushes before it
# leans. That is what a rule needs in order to last.

policy = learners[int(np.argmax(ends))][0]
angles, turning = np.meshgrid(np.linspace(-12, 12, 97), np.linspace(-60, 60, 97))  # degrees, degrees a second
grid = np.zeros((97 * 97, 4), dtype=np.float32)
grid[:, 2], grid[:, 3] = np.radians(angles.ravel()), np.radians(turning.ravel())
chance = policy(tg.tensor(grid)).softmax(1).detach().numpy()[:, 1].reshape(97, 97)
tg.manual_seed(lesson.seed)
beginner = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
films = {"before": play(beginner, CartPole(), np.random.default_rng(lesson.seed), seed=lesson.seed),
         "after": play(policy, CartPole(), None, seed=lesson.seed)}  # fmt: skip

figure, axes = lesson.figure(2, 2, width=11, height=6.4, title="Keeping a pole up, learnt from rewards alone",
                             gridspec_kw={"height_ratios": [2.6, 1], "width_ratios": [1.15, 1]})  # fmt: skip
course_axes, rule = axes[0]
for number, (_, course) in enumerate(learners):
    course_axes.plot(16 * np.arange(1, len(course) + 1), course, color=TRAIN, lw=1.3,
                     label="five learners" if not number else None)  # fmt: skip
for height in (500, lots, child):
    course_axes.axhline(height, color=GREY, lw=1, ls=(0, (4, 3)))
course_axes.text(1200, 506, "the longest possible", ha="right", fontsize=9)
course_axes.text(1200, child + 6, "upper line: to the side of the lean; lower: by lot", ha="right", fontsize=9)
course_axes.set(xlabel="episodes played", xlim=(0, 1210), ylim=(0, 540), title="steps that the pole stands, mean of 16")
course_axes.legend(loc="center right")
image = rule.pcolormesh(angles, turning, chance, cmap="PuOr", vmin=-0.4, vmax=1.4, shading="gouraud", rasterized=True)
rule.axvline(0, color=INK, lw=1, ls=(0, (4, 3)))
rule.text(0.3, -58, "the child's border", fontsize=9)
rule.plot(*np.degrees(films["after"].seen[:, 0, 2:].T), "o", color=INK, ms=1.6, mew=0)
rule.set(
    xlabel="angle of the pole, degrees", ylabel="degrees a second", title="the learnt rule, and where one episode went"
)
figure.colorbar(image, ax=rule, label="chance of a push to the right").ax.set_ylim(0, 1)
for axis, (when, film) in zip(axes[1], films.items(), strict=True):
    steps = np.unique(np.linspace(0, len(film.seen) - 1, 7).astype(int))
    for column, step in enumerate(steps):
        place, _, angle, _ = film.seen[step, 0]
        middle = 1.6 * column + 0.6 * place
        axis.add_patch(Rectangle((middle - 0.35, 0), 0.7, 0.3, color=TRAIN if when == "after" else DEV))
        axis.plot([middle, middle + np.sin(angle)], [0.3, 0.3 + np.cos(angle)], color=INK, lw=3, solid_capstyle="round")
        axis.text(1.6 * column, -0.12, f"{step / 50:.2g} s", ha="center", va="top", fontsize=9)
    axis.axhline(0, color=GREY, lw=1)
    axis.set(xlim=(-0.9, 10.5), ylim=(-0.5, 1.5), aspect="equal")
    axis.set_axis_off()
    axis.set_title(f"{when} learning: {len(film.seen)} steps")

# %%
# What was shown. Try: tge train cartpole --algo reinforce, then with --lr 0.3 and with --discount 0.5

lesson.claim("learners of 5 that last 400 steps, mean of 80 episodes", sum(end >= 400 for end in ends), at_least=4)
lesson.claim("episodes that the slowest of the five has played", max(16 * len(c) for _, c in learners), at_most=1200)
lesson.claim("learners of 5 that last 400 steps from 100 other starts", sum(new >= 400 for new in fresh), at_least=4)
lesson.claim("steps by lot", lots, at_most=30)
lesson.claim("steps by pushing to the side of the lean", child, at_most=60)
lesson.end()
