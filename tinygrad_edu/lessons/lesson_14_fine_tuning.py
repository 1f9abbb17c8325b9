"""
14. Fine-tuning: the same network, a bit more training
======================================================

A model that has learned surnames needs only fifty first names to write those; one that starts from nothing needs ten
times as many.

What a model has learned can be the start of the next one. Fine-tuning keeps the network as it is and goes on training
it on other data, with small steps. It works where the two kinds of data have much in common.
"""

import copy

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import load_names, next_characters
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.lessons.style import COLOURS, GREY
from tinygrad_edu.train import EarlyStopping, History, Trainer

F = nn.functional
lesson = Lesson(__doc__)

# %%
# The model guesses the next letter of a name from the four before it. Its loss is the mean surprise at the letter that
# did come, −ln of its probability: ln 27 = 3.30 for a model that knows nothing, less for a better one.


def network() -> nn.Module:
    """Four characters (n, 4) → a score for each of 27 that may follow: 12,235 parameters."""
    return nn.Sequential(
        nn.Embedding(27, 16), nn.Flatten(), nn.Linear(4 * 16, 128), nn.Tanh(), nn.Linear(128, 27)
    )  # fmt: skip


def fit(model: nn.Module, names: list[str], epochs: int, lr: float, batch_size: int, stop: bool = True) -> History:
    """Train on names; dev names say after which epoch it was best, and those parameters are kept."""
    trainer = Trainer(model, F.cross_entropy, optim.Adam(model.parameters(), lr=lr), seed=lesson.seed, progress="none",
                      record="none", callbacks=[EarlyStopping(patience=4)] if stop else [])  # fmt: skip
    return trainer.fit(next_characters(names), epochs=epochs, batch_size=batch_size, val=dev)


def loss(model: nn.Module, names: list[str]) -> float:
    """The mean surprise of a model at every letter of some names."""
    x, y = next_characters(names)
    with tg.no_grad():
        return F.cross_entropy(model(tg.tensor(x)), tg.tensor(y)).item()


# %%
# Two kinds of names. There are many surnames. Of first names that only men have there are few, and we shall pretend to
# have fewer still. 150 of them are dev names, which choose; 150 are test names, which only judge.

names = load_names()
draw = np.random.default_rng(lesson.seed)
male = [str(name) for name in draw.permutation(sorted(set(names.male) - set(names.female)))]
pool, dev, test = male[:-300], next_characters(male[-300:-150]), male[-150:]
surnames = [str(name) for name in draw.permutation(sorted(set(names.surnames) - set(names.male)))]
kept, surnames = surnames[:500], surnames[500:]
lesson.say(f"{len(surnames):,} surnames to begin with; {len(pool)} male first names to go on with\n")

# %%
# First, surnames: four times through all of them. How well does it do on first names, having seen none of them?

tg.manual_seed(lesson.seed)
source = network()
fit(source, surnames, epochs=4, lr=3e-3, batch_size=256, stop=False)
zero = loss(source, male[-300:-150])
lesson.say(f"surprise at surnames {loss(source, kept):.3f}, at first names {zero:.3f}: they have much in common.\n")

# %%
# Now a few first names. Either we start anew, or from a copy of the surname model with steps a third as large: what it
# knows shall be bent, not broken. Which will be better with 50 names, with 200, with 588? By how much?

SIZES, DRAWS = (50, 200, len(pool)), 3
tuned, scratch = np.zeros((len(SIZES), DRAWS)), np.zeros((len(SIZES), DRAWS))
judged = np.zeros((len(SIZES), 2))
paths: dict[str, list[float]] = {}
for at, count in enumerate(SIZES):
    for number in range(DRAWS):
        some = [str(name) for name in np.random.default_rng((lesson.seed, number)).choice(pool, count, replace=False)]
        tg.manual_seed(100 * lesson.seed + number)
        anew, further = network(), copy.deepcopy(source)
        first = fit(anew, some, epochs=40, lr=3e-3, batch_size=32)
        second = fit(further, some, epochs=20, lr=1e-3, batch_size=32)
        scratch[at, number], tuned[at, number] = min(first["val_loss"]), min(second["val_loss"])
        judged[at] += loss(anew, test) / DRAWS, loss(further, test) / DRAWS
        if count == 200 and not number:
            paths = {"from scratch": first["val_loss"], "fine-tuned": [zero, *second["val_loss"]]}
anew, further = scratch.mean(1), tuned.mean(1)
lesson.table([{"first names": count, "scratch, dev": anew[at], "fine-tuned, dev": further[at],
               "scratch, test": judged[at, 0], "fine-tuned, test": judged[at, 1]}
              for at, count in enumerate(SIZES)])  # fmt: skip

# %%
# What do they write? And what does the fine-tuned model still know of surnames? Nobody asked it to remember them.

model = copy.deepcopy(source)
fit(model, pool, epochs=20, lr=1e-3, batch_size=32)


def write(model: nn.Module, count: int = 8) -> list[str]:
    """New names, letter by letter, each drawn by the probabilities that the model gives."""
    written, lots = [], np.random.default_rng(lesson.seed)
    for _ in range(count):
        name = [0, 0, 0, 0]
        while len(name) < 16 and (name[-1] or len(name) == 4):
            with tg.no_grad():
                chances = F.softmax(model(tg.tensor([name[-4:]]))[0].double(), dim=0).numpy()
            name.append(int(lots.choice(27, p=chances / chances.sum())))
        written.append("".join(chr(96 + letter) for letter in name if letter).capitalize())
    return written


lesson.say("before:", ", ".join(write(source)), "\nafter: ", ", ".join(write(model)), "\n")
forgotten = loss(model, kept) - loss(source, kept)
lesson.say(f"surprise at surnames has risen by {forgotten:.3f}: a network forgets what it is no longer shown.\n")

# %%
# By the number of names, and by epoch with 200 of them.

figure, (left, right) = lesson.figure(1, 2, width=10, height=3.8, title="Going on from surnames, or starting anew")
for values, name, colour in ((anew, "from scratch", GREY), (further, "fine-tuned", COLOURS[3])):
    left.plot(SIZES, values, "o-", color=colour, label=name)
    right.plot(range(len(paths[name])) if name == "fine-tuned" else range(1, len(paths[name]) + 1), paths[name], "o-",
               ms=3.5, color=colour, label=name)  # fmt: skip
for ax in (left, right):
    ax.axhline(zero, color=GREY, lw=1, ls=(0, (4, 3)))
    ax.set_ylabel("surprise a letter, dev")
left.text(SIZES[0], zero + 0.012, "surname model as it is", fontsize=9)
left.set(xscale="log", xlabel="male first names to learn from", title="fewer names are needed")
left.set_xticks(SIZES, [str(count) for count in SIZES])
left.minorticks_off()
left.legend()
right.set(xlabel="epoch", title="with 200 names: fewer epochs too")

# %%
# What was shown, as means of three draws of names. Which names happen to be dev names shifts all figures together, by
# 0.05 or so: compare within a run. Try: tge finetune names --from surnames --count 100

lesson.claim("surname model as it is, on first names", zero, at_most=2.4)
lesson.claim("50 names: fine-tuned", further[0], at_most=2.35)
lesson.claim("200 names: fine-tuned", further[1], at_most=2.27)
lesson.claim("all 588 names: fine-tuned", further[2], at_most=2.2)
lesson.claim("50 names: scratch minus fine-tuned", anew[0] - further[0], at_least=0.4)
lesson.claim("200 names: scratch minus fine-tuned", anew[1] - further[1], at_least=0.2)
lesson.claim("all 588 names: scratch minus fine-tuned", anew[2] - further[2], at_least=0.1)
lesson.claim("fine-tuned with 50 minus scratch with 588", further[0] - anew[2], at_most=0.1)
lesson.claim("surname model as it is minus fine-tuned with 588", zero - further[2], at_least=0.1)
lesson.claim("what 588 first names make it forget of surnames", forgotten, at_least=0.02)
lesson.end()
