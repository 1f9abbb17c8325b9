"""
8. Randomness
=============

Two runs of the same program differ, unless one makes them equal; what cannot be removed can be averaged.

Chance has a hand in where the parameters start, in the order of the examples, in which are train and which dev. It is
needed: models that all start at zero cannot learn, and examples in the order of their labels teach badly. It also means
that the result of one run is one draw from many.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import Subset, TensorDataset, load_digits
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.train import Trainer, accuracy, fingerprint
from tinygrad_edu.tune import Outcome, Repeats, repeat

lesson = Lesson(__doc__)
digits = load_digits()
rows = np.random.default_rng(lesson.seed).permutation(len(digits))
everything = TensorDataset(digits.X / 16, digits.y)
few, dev = Subset(everything, rows[:150]), Subset(everything, rows[150:950])


def run(init: int, order: int, epochs: int = 15, shuffle: bool = True, data: Subset = few) -> tuple[nn.Module, Outcome]:
    """Train 64 → 16 → 10; `init` decides where it starts, `order` how the examples follow each other."""
    tg.manual_seed(init)
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=1e-2), seed=order,
                      metrics={"accuracy": accuracy}, record="none", progress="none")  # fmt: skip
    trainer.fit(data, epochs=epochs, shuffle=shuffle)
    chances = nn.functional.softmax(tg.tensor(trainer.predict(dev)), -1).numpy()
    return model, Outcome(trainer.evaluate(dev)["accuracy"], chances)


# %%
# One source at a time: ten starts with one order, ten orders with one start, and both.

base = 100 * lesson.seed
sources: dict[str, Repeats] = {
    "where it starts": repeat(lambda s: run(base + s, base)[1], seeds=10),
    "order of the examples": repeat(lambda s: run(base, base + s)[1], seeds=10),
    "both": repeat(lambda s: run(base + s, base + s)[1], seeds=10),
}
lesson.table([{"what varies": name, "mean": r.mean, "sd": r.sd, "worst": float(r.scores.min()),
               "best": float(r.scores.max())} for name, r in sources.items()])  # fmt: skip

# %%
# So a single run of this program says "somewhere around" its mean. Report the mean of several seeds, with how far they
# are apart. And use them: average what the ten models *say* (an ensemble). Their errors differ, and partly cancel out.

both = sources["both"]
low, high = both.interval()
meant = digits.y[rows[150:950]]
ensemble = float((both.ensemble().argmax(1) == meant).mean())
lesson.say(f"{both}\nensemble of the ten: {ensemble:.4f}\n")

# %%
# Equal seeds, equal results, to the last bit: the SHA-256 of all parameters says so, for one thread and for two.

threads = tg.get_num_threads()
prints = []
for n in (1, 1, 2):
    tg.set_num_threads(n)
    prints.append(fingerprint(run(base, base, epochs=5)[0]))
tg.set_num_threads(threads)
lesson.say(f"1 thread {prints[0][:16]}…, again {prints[1][:16]}…, 2 threads {prints[2][:16]}…\n")

# %%
# What cannot be removed: in float32, a + (b + c) is not (a + b) + c. Another processor, another library, another number
# of processes may add in another order, and after a thousand steps a last bit has become a different model.

numbers = np.random.default_rng(lesson.seed).normal(size=100_000).astype(np.float32)
forwards, backwards = numbers.cumsum()[-1], numbers[::-1].cumsum()[-1]  # one after the other, from both ends
exact = float(np.sum(numbers, dtype=np.float64))
lesson.say(f"the sum of 100,000 numbers: {forwards:.6f} forwards, {backwards:.6f} backwards, {exact:.6f} exactly\n")

# %%
# Chance is needed. Start every parameter at zero: all hidden units get the same gradient, for ever, and sixteen units
# are one. (Here they start at one small equal number, since with zeros a ReLU does not even begin.)

tg.manual_seed(lesson.seed)
alike = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
for p in alike.parameters():
    nn.init.constant_(p, 0.01)
Trainer(alike, nn.CrossEntropyLoss(), optim.Adam(alike.parameters(), lr=3e-3), seed=base, record="none",
        progress="none").fit(few, epochs=20)  # fmt: skip
units = next(iter(alike.parameters())).detach().numpy()
lesson.say(f"equal start, after 20 epochs: {len(np.unique(units, axis=0))} different hidden unit(s) of 16")

# %%
# And show the examples sorted by label, without shuffling: all zeros, then all ones … The model chases the last digit
# that it has seen.

train_rows = rows[150 + 800 :]
in_order = Subset(everything, train_rows[np.argsort(digits.y[train_rows], kind="stable")])
shuffled = repeat(lambda s: run(base + s, base + s, 5, True, in_order)[1].score, seeds=3)
sorted_ = repeat(lambda s: run(base + s, base + s, 5, False, in_order)[1].score, seeds=3)
lesson.say(f"5 epochs of {len(train_rows)} examples: shuffled {shuffled.mean:.3f}, sorted by label {sorted_.mean:.3f}")

figure, (left, right) = lesson.figure(1, 2, width=10.5, height=3.6, title="The same program, ten seeds")
for place, result in enumerate(sources.values()):
    left.plot(result.scores, np.full(10, place) + np.linspace(-0.12, 0.12, 10), "o", color="#d1622b", ms=5, alpha=0.8)
    left.plot([result.mean] * 2, [place - 0.25, place + 0.25], color="#222222")
left.axvline(ensemble, color="#3c8d40", ls=(0, (4, 3)))
left.text(ensemble, 2.45, " ensemble of ten", color="#3c8d40", va="center", ha="right")
left.set_yticks(range(3), list(sources))
left.set(xlabel="accuracy on dev", ylim=(-0.5, 2.7), title="each point is a run, the line their mean")
right.barh([1, 0], [shuffled.mean, sorted_.mean], 0.5, xerr=[shuffled.sd, sorted_.sd], color=["#1f6fb4", "#c9c9c9"])
right.set_yticks([1, 0], ["shuffled", "sorted by label"])
right.set(xlabel="accuracy on dev", xlim=(0, 1), title="the order of the examples, 3 seeds")

# %%
# What was shown. Try: ``tge seeds digits``, and ``tge train digits --seed 7`` twice, then ``tge verify`` the two runs.

lesson.claim("sd from the start alone", sources["where it starts"].sd, at_least=1e-4)
lesson.claim("sd from the order alone", sources["order of the examples"].sd, at_least=1e-4)
lesson.claim("mean accuracy of ten seeds, 150 examples", both.mean, at_least=0.83, at_most=0.93)
lesson.claim("ensemble above the mean by", ensemble - both.mean, at_least=0.01)
lesson.claim("equal seeds give equal bits, with one thread and two", len(set(prints)) == 1)
lesson.claim("float32 sums depend on their order", bool(forwards != backwards))
lesson.claim("different hidden units after an equal start", len(np.unique(units, axis=0)), at_least=1, at_most=1)
lesson.claim("sorted examples cost (accuracy)", shuffled.mean - sorted_.mean, at_least=0.1)
lesson.end()
