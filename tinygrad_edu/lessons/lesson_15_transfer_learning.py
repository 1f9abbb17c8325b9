"""
15. Transfer learning: a new last layer, and when it does not help
==================================================================

A network that has learned one task can be most of the solution of another: replace its last layer and train only that.

The layers below the last turn pictures into a few numbers that are easy to work with. If those numbers also suit your
task, two examples of a class can be enough. If they do not, nothing is gained, and only a comparison tells.
"""

import copy
import math
from collections.abc import Callable

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import NotFound, Pictures, load_fashion_sample, load_textures, texture_patches
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.lessons.style import COLOURS, GREY
from tinygrad_edu.train import Trainer, accuracy, freeze, replace_head
from tinygrad_edu.zoo import count_parameters, load_pretrained

F = nn.functional
lesson = Lesson(__doc__)

# %%
# The task: which surface does a patch of 48 × 48 pixels show, brick, grass or gravel? We learn on the left halves of
# three photographs and are judged on the right halves. Patches are standardised: brightness gives nothing away.


def standardised(pictures: np.ndarray) -> np.ndarray:
    """(n, H, W) grey values → (n, 1, H, W), each picture by itself of mean 0 and spread 1."""
    x = pictures[:, None].astype(np.float32)
    return (x - x.mean((2, 3), keepdims=True)) / (x.std((2, 3), keepdims=True) + 1e-6)


pool, dev = texture_patches(20, seed=lesson.seed), texture_patches(30, part="dev", seed=lesson.seed)


def fit(model: nn.Module, rows: tuple[np.ndarray, np.ndarray], epochs: int = 60, lr: float = 3e-3) -> Trainer:
    """A trainer whose model has learned `rows`; only parameters that are not frozen change."""
    learning = [p for p in model.parameters() if p.requires_grad]
    trainer = Trainer(model, F.cross_entropy, optim.Adam(learning, lr=lr), metrics={"accuracy": accuracy},
                      seed=lesson.seed, progress="none", record="none")  # fmt: skip
    trainer.fit(rows, epochs=epochs, batch_size=32)
    return trainer


def small(classes: int) -> nn.Sequential:
    """Three convolutions, the mean over the picture, and a last layer, "8"."""
    return nn.Sequential(nn.Conv2d(1, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU(), nn.Conv2d(32, 32, 3, 2),
                         nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes))  # fmt: skip


# %%
# A first network to start from, made here. Its task needs no labels: the left halves are cut into 2 × 2 tiles each, and
# it learns which of the 12 tiles a patch comes from (Dosovitskiy et al. 2014). Nobody says which of them are brick.

photographs = np.stack(list(load_textures().values()))  # (3, 256, 512)
tiles = np.repeat(np.arange(12), 50)
within = np.random.default_rng(lesson.seed).integers(0, 128 - 48 + 1, (2, len(tiles)))
corners = 128 * np.stack([tiles // 2 % 2, tiles % 2]) + within
patches = np.stack([photographs[tile // 4, y : y + 48, x : x + 48] for tile, y, x in zip(tiles, *corners, strict=True)])
source = small(12)
fit(source, (standardised(patches), tiles), epochs=30)

# %%
# Transfer: copy the network, freeze it, give it a new last layer, train that. How many parameters are trained?

moved = copy.deepcopy(source)
replace_head(moved, "8", nn.Linear(32, 3))
freeze(moved, except_=["8"])
fit(moved, (standardised(pool.X[::10]), pool.y[::10]))  # two patches of each surface
still = all(bool((moved[i].weight == source[i].weight).all()) for i in (0, 2, 4))
lesson.say(f"{count_parameters(moved, learning=True)} of {count_parameters(moved):,} parameters have learned.\n")

# %%
# A frozen layer gives the same numbers in every epoch. So we compute them once, and train the new layer on them. That
# also makes a large network affordable: EfficientNet-Lite0, which has learned to tell 1,000 things on 1.2 million
# photographs. It is not part of this package; where it is not installed, we do without.

try:
    large = load_pretrained("efficientnet-lite0")
except NotFound as missing:
    large = None
    lesson.say(f"NOT SHOWN HERE: {missing}\n")


def by_source(pictures: np.ndarray) -> np.ndarray:
    """What our network's last layer reads: (n, 32)."""
    with tg.no_grad():
        return source[:-1](tg.tensor(standardised(pictures))).numpy()


def by_large(pictures: np.ndarray) -> np.ndarray:
    """What EfficientNet's last layer reads: (n, 1280)."""
    out = []
    with tg.no_grad():
        for part in np.array_split(pictures.astype(np.float32), math.ceil(len(pictures) / 16)):
            x = F.interpolate(tg.tensor(part[:, None]), size=(96, 96), mode="bilinear")
            out.append(large.features(((x - 127) / 128).expand(-1, 3, -1, -1)).numpy())
    return np.concatenate(out)


# %%
# Now with few examples. Each figure is a mean over three draws of them. From scratch, everything is learned; the others
# learn a last layer only. Before you look: how many examples from scratch are worth two with EfficientNet?
SIZES = (1, 2, 5, 10, 20)


def curves(train: Pictures, dev: Pictures, plain: Callable, scratch: nn.Module) -> dict[str, list[float]]:
    """Accuracy on dev by the number of examples of each class, for each way to start."""
    ways = {"from scratch": plain, "our network": by_source} | ({"EfficientNet": by_large} if large else {})
    found = {way: [0.0] * len(SIZES) for way in ways}
    for way, seen in ways.items():
        x, judged, classes = seen(train.X), (seen(dev.X), dev.y), len(train.classes)
        for trial in range(3):
            order = np.random.default_rng((lesson.seed, trial)).permutation(len(x))
            ranked = np.stack([order[train.y[order] == label] for label in range(classes)])
            for at, each in enumerate(SIZES):
                tg.manual_seed(100 * lesson.seed + trial)
                learner = copy.deepcopy(scratch) if seen is plain else nn.Linear(x.shape[1], classes)
                learner.apply(lambda part: part.reset_parameters() if hasattr(part, "reset_parameters") else None)
                rows = ranked[:, :each].ravel()
                trainer = fit(learner, (x[rows], train.y[rows]), lr=1e-2 if seen is by_source else 3e-3)
                found[way][at] += trainer.evaluate(judged)["accuracy"] / 3
    lesson.table([{"each": n, **{way: values[at] for way, values in found.items()}} for at, n in enumerate(SIZES)])
    return found


lesson.say("Accuracy on dev by examples of each class, textures")
textures = curves(pool, dev, standardised, small(3))

# %%
# The negative control. The same networks, the same way, another task: ten kinds of clothes, small, grey, cut out
# (Fashion-MNIST). From scratch means one hidden layer on all pixels, which is better here than convolutions.

dense = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
clothes, judged = load_fashion_sample("train"), load_fashion_sample("dev")
lesson.say("The negative control, Fashion-MNIST")
control = curves(clothes, judged, lambda x: x.astype(np.float32) / 255, dense)

# %%
# Side by side.

figure, axes = lesson.figure(1, 2, width=10.5, height=4, sharey=True, title="A new last layer on what is there already")
colours = {"from scratch": GREY, "our network": COLOURS[5], "EfficientNet": COLOURS[3]}
titles = ("textures: two examples do the work of many", "negative control, clothes: nearly nothing is gained")
for ax, found, title, chance in zip(axes, (textures, control), titles, (1 / 3, 1 / 10), strict=True):
    for way, values in found.items():
        ax.plot(SIZES, values, "o-", color=colours[way], label=way)
    ax.axhline(chance, color=GREY, lw=1, ls=(0, (4, 3)))
    ax.text(20, chance + 0.01, "guessing", color=GREY, fontsize=9, ha="right")
    ax.set(xscale="log", ylim=(0, 1.03), xlabel="examples of each class", title=title)
    ax.set_xticks(SIZES, [str(n) for n in SIZES])
    ax.minorticks_off()
axes[0].set_ylabel("accuracy on dev")
axes[1].legend(loc="upper left")

# %%
# What was shown. Our own network has seen the very photographs, without labels; EfficientNet has not, and is better
# still. On clothes the first is worse than nothing. The second gains a few points of a hundred, where we had hoped to
# show none; but two examples with it are not worth twenty without. Try: tge transfer textures --per-class 2

two, twenty = SIZES.index(2), SIZES.index(20)
lesson.claim("textures, 2 of each, from scratch", textures["from scratch"][two], at_most=0.75)
lesson.claim("textures, 2 of each, our network (learned without labels) minus scratch",
             textures["our network"][two] - textures["from scratch"][two], at_least=0.2)  # fmt: skip
lesson.claim("frozen layers have kept every bit", still)
gains = {way: np.mean(values) - np.mean(control["from scratch"]) for way, values in control.items()}
lesson.claim("negative control, clothes: mean gain with our network", gains["our network"], at_most=0.05)
if large:
    pairs = [found["EfficientNet"][two] - found["from scratch"][twenty] for found in (textures, control)]
    lesson.claim("textures, 2 of each, EfficientNet", textures["EfficientNet"][two], at_least=0.95)
    lesson.claim("textures: EfficientNet with 2 of each minus scratch with 20", pairs[0], at_least=0)
    lesson.claim("negative control, clothes: mean gain with EfficientNet", gains["EfficientNet"], at_most=0.1)
    lesson.claim("negative control: EfficientNet with 2 of each minus scratch with 20", pairs[1], at_most=-0.05)
lesson.end()
