"""
11. Learning without labels
===========================

Nobody says what the images show; a model that must squeeze them through a bottleneck finds out how they differ.

Labels are dear: somebody has to look at every image. The images alone are cheap, and they are not arbitrary. Of all the
sheets of 64 grey values next to none look like a digit. Whoever knows which ones do can describe an image in fewer than
64 numbers. That is learnt here, in three ways. The labels are used only at the end, to judge.
"""

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import linalg, nn, optim
from tinygrad_edu.data import Subset, TensorDataset, load_digits, random_split
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.lessons.style import DEV, INK
from tinygrad_edu.train import Trainer, k_means

lesson = Lesson(__doc__)
digits = load_digits()
mean = digits.X.mean(0) / 16
x = digits.X / 16 - mean  # (1797, 64), the mean image taken away

# %%
# An image has 64 numbers. We allow 8, and ask for the image back: how far off is each pixel, squared, on average? If
# the 8 numbers may only be weighted sums of the pixels, then the best ones are known. They are the first 8 principal
# components (PCA), and a decomposition of the matrix gives them without any training.

_, _, directions = linalg.svd(tg.tensor(x), full_matrices=False)
best = directions[:8]  # (8, 64)
from_pca = (tg.tensor(x) @ best.T @ best).numpy()
nothing, pca = float((x**2).mean()), float(((from_pca - x) ** 2).mean())
lesson.say(f"every image restored as the mean image: {nothing:.5f}; from 8 principal components: {pca:.5f}\n")

# %%
# Now we pretend not to know that. A network of two linear layers, 64 → 8 → 64, is trained to give back what it was
# given: an autoencoder. Its target is its input, so no label is needed. It knows nothing of PCA. Will it find as good
# a bottleneck? And what if layers that can bend stand before and after it?


def autoencoder(code: int, hidden: int = 0) -> nn.Sequential:
    """Two halves: from 64 pixels to `code` numbers, and back."""
    if not hidden:
        return nn.Sequential(nn.Linear(64, code), nn.Linear(code, 64))
    there = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, code))
    return nn.Sequential(there, nn.Sequential(nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, 64)))


def train(model: nn.Module, lr: float, rows: np.ndarray | None = None) -> list[float]:
    """60 epochs on all rows, or on some; the error after each."""
    examples = TensorDataset(x, x)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    trainer = Trainer(model, nn.MSELoss(), optimizer, seed=lesson.seed, progress="none")
    return trainer.fit(examples if rows is None else Subset(examples, rows), epochs=60, batch_size=64)["loss"]


def run(part: nn.Module, given: np.ndarray) -> np.ndarray:
    """What a model, or half of one, makes of rows."""
    return part(tg.tensor(given)).detach().numpy()


def error(model: nn.Module, rows: np.ndarray) -> float:
    """The mean squared difference between rows and what the model restores."""
    return float(((run(model, rows) - rows) ** 2).mean())


linear, deep = autoencoder(8), autoencoder(8, hidden=64)
linear_course, deep_course = train(linear, lr=3e-3), train(deep, lr=2e-3)
lesson.table([{"8 numbers for an image, found by": name, "error": value} for name, value in (
    ("decomposition (PCA)", pca), ("a linear autoencoder", error(linear, x)),
    ("a deep autoencoder", error(deep, x)))])  # fmt: skip

# %%
# The linear one arrives where PCA is, and can go no further: PCA is the best there is of its kind. The deep one has the
# same 8 numbers in the middle and halves the error. Has it only learnt these images by heart? Train another one on four
# fifths of them, and let it restore the rest, which it has never seen.

seen, unseen = (np.asarray(part.indices) for part in
                random_split(TensorDataset(x), [0.8, 0.2], tg.Generator(lesson.seed)))  # fmt: skip
judged = autoencoder(8, hidden=64)
train(judged, 2e-3, seen)
lesson.say(
    f"deep, on images it was trained on: {error(judged, x[seen]):.5f}; on others: {error(judged, x[unseen]):.5f}\n"
)

# %%
# A third way: do not describe the images, sort them. k-means puts 10 centres among the images, gives each image to the
# nearest centre, moves each centre to the mean of its images, and repeats. It does not know what the groups mean. Now
# we look at the labels for the first time. Name each group after the digit that is most frequent in it: how many images
# then have the right name? A guess would be right in one of ten.


def named_right(groups: np.ndarray) -> float:
    """The share of images that show the digit which is most frequent in their group."""
    return sum(np.bincount(digits.y[groups == group]).max() for group in range(10)) / len(groups)


codes = run(deep[0], x)
on_pixels, on_codes = (k_means(rows, 10, seed=lesson.seed) for rows in (x, codes))
agreement = named_right(on_pixels.labels)
lesson.table([{"10 groups of": name, "named right": value} for name, value in (
    ("64 pixels", agreement), ("8 numbers of the deep autoencoder", named_right(on_codes.labels)))])  # fmt: skip

# %%
# What it looks like. For a map of all images, two numbers must do: an autoencoder with a code of 2.

flat = autoencoder(2, hidden=64)
train(flat, lr=2e-3)
points = run(flat[0], x)

figure, axes = lesson.figure(2, 2, width=11, height=7.6, title="What can be learnt from images without labels",
                             gridspec_kw={"width_ratios": [1, 1.05], "height_ratios": [1, 1.5]})  # fmt: skip
(restored, centres), (course, plane) = axes
first = [int(np.flatnonzero(digits.y == digit)[lesson.seed]) for digit in range(10)]
sheet = np.zeros((4 * 9 + 3, 10 * 9))
for line, images in enumerate((x[first], from_pca[first], run(linear, x[first]), run(deep, x[first]))):
    for column, image in enumerate(images + mean):
        top = 9 * line + (3 if line else 0)
        sheet[top : top + 8, 9 * column : 9 * column + 8] = np.clip(image, 0, 1).reshape(8, 8)
restored.imshow(sheet, cmap="Greys")
for line, name in enumerate(("given", "PCA", "linear", "deep")):
    restored.text(-2, 9 * line + (3 if line else 0) + 3.5, name, ha="right", va="center")
restored.set_axis_off()
restored.set_title("64 pixels, and what comes back from 8 numbers")

colours = plt.get_cmap("tab10")
plane.scatter(*points.T, c=digits.y, cmap=colours, s=5, alpha=0.7, linewidths=0)
for digit in range(10):
    middle = np.median(points[digits.y == digit], axis=0)
    plane.text(*middle, digit, fontsize=13, fontweight="bold", ha="center", va="center", color=colours(digit),
               bbox={"boxstyle": "circle,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85})  # fmt: skip
plane.set(xlabel="first number of the code", ylabel="second number")
plane.set_title("the 1,797 images in two numbers; colours added after")

epochs = range(1, 61)
course.plot(epochs, linear_course, label="linear autoencoder")
course.plot(epochs, deep_course, label="deep autoencoder", color="#7b4fa3")
course.axhline(pca, color=INK, lw=1, ls=(0, (4, 3)))
course.text(60, pca - 0.001, "PCA: the best that is linear", ha="right", va="top", fontsize=9)
course.set(xlabel="epoch", ylabel="mean squared error", ylim=(0, None), title="the autoencoders learn to restore")
course.legend(loc="upper right")

sheet = np.zeros((2 * 10, 5 * 10))
for group, centre in enumerate(on_pixels.centers + mean):
    top, left = 10 * (group // 5), 10 * (group % 5)
    sheet[top : top + 8, left : left + 8] = centre.reshape(8, 8)
    inside = digits.y[on_pixels.labels == group]
    most = np.bincount(inside).argmax()
    centres.text(left + 3.5, top + 8.6, f"{np.mean(inside == most):.0%} are {most}", ha="center", va="center",
                 fontsize=9, color=INK if np.mean(inside == most) > 0.5 else DEV)  # fmt: skip
centres.imshow(sheet, cmap="Greys")
centres.set_axis_off()
centres.set_title("the ten centres that k-means finds")

# %%
# What was shown. Try: tge train digits --task autoencode --code 8, then --code 2 and --code 32.

lesson.claim("error of PCA with 8 components", pca, at_least=0.0239, at_most=0.02392)
lesson.claim("linear autoencoder's error over PCA's", error(linear, x) / pca, at_least=0.9999, at_most=1.02)
lesson.claim("deep autoencoder's error", error(deep, x), at_most=0.015)
lesson.claim("deep autoencoder's error on images it has not seen", error(judged, x[unseen]), at_most=0.017)
lesson.claim("images that k-means' groups name right", agreement, at_least=0.7)
lesson.end()
