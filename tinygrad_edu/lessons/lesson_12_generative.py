"""
12. Learning to make new ones
=============================

A model that can say what comes next can write: draw from what it says, append it, and ask again.

Generative models have no other secret than the models before them. They too learn from examples with labels; only, the
label is a part of the example itself. Here one learns first names by guessing the next character, a small Transformer
does the same, and a third model draws digits that nobody has written.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import DataLoader, TensorDataset, load_digits, load_names, next_characters, spell
from tinygrad_edu.data.names import ALPHABET
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.lessons.style import COLOURS, DEV, GREY, TRAIN
from tinygrad_edu.train import Trainer, generate
from tinygrad_edu.zoo import GPT

F = nn.functional
lesson = Lesson(__doc__)
draw = np.random.default_rng(lesson.seed)
names = draw.permutation(load_names().first)  # 5,163 first names of the US census of 1990
train, dev = names[: len(names) * 9 // 10], names[len(names) * 9 // 10 :]

# %%
# One name makes several examples: each of its characters is the label of the six before it. The point stands for the
# beginning and for the end.

X, y = next_characters(["anna"], context=6)
lesson.table([{"given": "".join(ALPHABET[i] for i in row), "label": ALPHABET[answer]}
              for row, answer in zip(X, y, strict=True)])  # fmt: skip

# %%
# The rest you know: a network, cross-entropy, Adam with weight decay. The loss is the mean of −ln p, where p is the
# chance that the model gave to the character that came. Before it has learnt anything all 27 are alike to it. What loss
# is that? ln 27.

tg.manual_seed(lesson.seed)
model = nn.Sequential(nn.Embedding(27, 16), nn.Flatten(), nn.Linear(96, 128), nn.Tanh(), nn.Linear(128, 27))
trainer = Trainer(
    model,
    F.cross_entropy,
    optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05),
    seed=lesson.seed,
    progress="none",
)
on_dev = TensorDataset(*next_characters(dev, 6))
course = [trainer.evaluate(on_dev)["loss"]]
course += trainer.fit(TensorDataset(*next_characters(train, 6)), epochs=10, batch_size=64, val=on_dev)["val_loss"]
lesson.say(f"loss on dev: ln 27 = {np.log(27):.3f} by guessing, {course[0]:.3f} untrained, {course[-1]:.3f} trained\n")

# %%
# Ask it what comes after a few beginnings. "q" is the easy one.


def likely(beginning: str, most: int = 4) -> str:
    """The likeliest next characters and their chances."""
    context = next_characters([beginning], 6)[0][-1:]
    chances = model(tg.tensor(context)).softmax(1).detach().numpy()[0]
    return "  ".join(f"{ALPHABET[i]} {chances[i]:.2f}" for i in np.argsort(-chances)[:most])


lesson.table([{"after": start or "(nothing)", "likely next": likely(start)} for start in ("", "q", "ann", "chris")])

# %%
# Now it writes. The next character is drawn from those chances, appended, and becomes part of the question. Temperature
# divides the logits before that: below 1 the likely becomes likelier, above 1 the unlikely gets its turn. At 0 nothing
# is drawn at all: every name is the same. What do you lose at 2?


def write(count: int, temperature: float) -> list[str]:
    """Names that the model makes up."""
    rows = generate(lambda tokens: model(tokens[:, -6:]), np.zeros((count, 6)), length=14, temperature=temperature,
                    end=0, seed=lesson.seed)  # fmt: skip
    return spell(rows[:, 6:])


known = set(train)
written = {temperature: write(500, temperature) for temperature in (0.0, 0.3, 0.5, 0.8, 1.0, 1.3, 2.0)}
new = {temperature: np.mean([name not in known for name in made]) for temperature, made in written.items()}
different = {temperature: len(set(made)) / 500 for temperature, made in written.items()}
lesson.table([{"temperature": t, "new": new[t], "different": different[t], "the first": ", ".join(made[:6])}
              for t, made in written.items()])  # fmt: skip

# %%
# Six characters are a short memory. GPT reads the name from its beginning and asks at every place at once what comes
# next; no place may look ahead. It is the architecture of the large ones, with 14 thousand parameters.


def whole(words: np.ndarray) -> TensorDataset:
    """Names as rows: 0 and the letters; the letters and 0. Places after the end, −100, do not count."""
    given, wanted = np.zeros((len(words), 12), dtype=np.int64), np.full((len(words), 12), -100)
    for row, word in enumerate(words):
        letters = [ALPHABET.index(letter) for letter in word]
        given[row, 1 : len(word) + 1] = letters
        wanted[row, : len(word) + 1] = [*letters, 0]
    return TensorDataset(given, wanted)


tg.manual_seed(lesson.seed)
gpt = GPT(vocabulary=27, context=12, width=32, layers=1, heads=4, dropout=0.0)
teacher = Trainer(gpt, lambda logits, wanted: F.cross_entropy(logits.flatten(0, 1), wanted.flatten()),
                  optim.Adam(gpt.parameters(), lr=5e-3), seed=lesson.seed, progress="none")  # fmt: skip
gpt_course = teacher.fit(whole(train), epochs=8, batch_size=64, val=whole(dev))["val_loss"]
rows = generate(
    lambda tokens: gpt(tokens)[:, -1], np.zeros((8, 1)), length=11, temperature=0.8, end=0, seed=lesson.seed
)
lesson.say(f"GPT, {sum(p.numel() for p in gpt.parameters()):,} parameters: {gpt_course[-1]:.3f} on dev; "
           f"it writes {', '.join(spell(rows[:, 1:]))}\n")  # fmt: skip

# %%
# Images have no next character. A variational autoencoder (Kingma and Welling 2014) learns a code of 8 numbers for each
# image, as lesson 11 did, with two additions: the code is shaken by noise on the way, and pulled towards the standard
# normal distribution. Then codes drawn from that distribution are codes of images that could be.

images = load_digits().X / 16
encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 16))  # the mean of a code, and log variance
decoder = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 64))
optimizer = optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
for _ in range(60):
    for (batch,) in DataLoader(TensorDataset(images), batch_size=64, shuffle=True):
        mean, log_variance = encoder(batch).chunk(2, 1)
        code = mean + (0.5 * log_variance).exp() * tg.randn(*mean.shape)
        restored = F.binary_cross_entropy_with_logits(decoder(code), batch, reduction="sum")
        pull = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
        optimizer.zero_grad()
        ((restored + pull) / len(batch)).backward()
        optimizer.step()
drawn = decoder(tg.randn(500, 8)).sigmoid().detach().numpy()


def nearest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far each row is from the nearest of others."""
    return tg.cdist(tg.tensor(rows), tg.tensor(others)).amin(1).numpy()


# How near is a drawn image to the nearest real one? As near as real images are to each other. The control: images whose
# pixels are drawn one by one, each from the values that it has in the data.
mixed = np.stack([draw.choice(column, 500) for column in images.T], axis=1)
between = np.median(nearest(images[:500], images[500:]))
far = {"drawn by the model": np.median(nearest(drawn, images)) / between,
       "pixels drawn each by itself": np.median(nearest(mixed, images)) / between}  # fmt: skip
lesson.table(
    [{"500 images": name, "distance to the nearest real one, real ones = 1": value} for name, value in far.items()]
)

# %%
# What it looks like.

figure, (curve, spread, sheet) = lesson.figure(1, 3, width=12, height=4.2, title="Models that make new ones",
                                               gridspec_kw={"width_ratios": [1, 1.1, 1]})  # fmt: skip
curve.plot(range(len(course)), course, color=DEV, label="six characters back")
curve.plot(range(1, 9), gpt_course, color=COLOURS[3], label="GPT")
curve.axhline(np.log(27), color=GREY, lw=1, ls=(0, (4, 3)))
curve.text(10, np.log(27) - 0.03, "ln 27: guessing", ha="right", va="top", fontsize=9)
curve.set(xlabel="epoch", ylabel="−ln p of the next character", title="loss on dev names")
curve.legend(loc="center right")
spread.plot(list(new), list(new.values()), "o-", color=DEV, label="not among the training names")
spread.plot(list(new), list(different.values()), "o-", color=TRAIN, label="different from each other")
for t in (0.3, 0.8, 2.0):
    fresh = [name for name in written[t] if name not in known][:4]
    spread.text(t, 0.27, "\n".join([f"at {t}", *fresh]), fontsize=8.5, va="top",
                ha="right" if t == 2 else "left", linespacing=1.3)  # fmt: skip
spread.set(xlabel="temperature", ylim=(-0.02, 1.05), title="the share of 500 names that are …")
spread.legend(loc="lower right", bbox_to_anchor=(1, 0.42))
sheet.imshow(np.pad(drawn[:80].reshape(8, 10, 8, 8), ((0, 0), (0, 0), (0, 1), (0, 1))).swapaxes(1, 2).reshape(72, 90),
             cmap="Greys")  # fmt: skip
sheet.set_axis_off()
sheet.set_title("digits that nobody has written")

# %%
# What was shown. Try: tge train names, then tge generate runs/names-1 --n 20 --temperature 0.8

lesson.claim("loss on dev names (ln 27 = 3.296 by guessing)", course[-1], at_most=2.05)
lesson.claim("share of 500 names that are new, at temperature 1", new[1.0], at_least=0.7)
lesson.claim("the same at temperature 0.8", new[0.8], at_least=0.7)
lesson.claim("loss of GPT on dev names", gpt_course[-1], at_most=2.1)
lesson.claim("drawn digits: distance to the nearest real one", far["drawn by the model"], at_most=1.1)
lesson.claim("and with pixels drawn each by itself", far["pixels drawn each by itself"], at_least=1.5)
lesson.end()
