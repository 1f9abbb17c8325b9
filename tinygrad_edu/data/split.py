"""Splits: made once, seeded, with no row in two parts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..random import Generator, default_generator
from .checks import check_labels
from .dataset import Dataset, Subset, TensorDataset
from .heldout import HeldOut


@dataclass(frozen=True)
class Split:
    """Train, dev and test rows of one data set; `train, dev, test = split` unpacks it.

    `test` is held out: `test.open("why")` gives its rows, once. `duplicates`: how many rows of dev and test stand in
    train as well, value for value (None: not looked at).
    """

    train: Subset
    dev: Subset
    test: HeldOut
    duplicates: int | None
    how: str

    def __iter__(self) -> Iterator[Any]:
        return iter((self.train, self.dev, self.test))

    def __str__(self) -> str:
        text = f"{len(self.train)} train, {len(self.dev)} dev, {len(self.test)} test rows ({self.how})"
        if self.duplicates:
            text += f"; {self.duplicates} dev or test rows are copies of training rows"
        return text


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Split at random into parts of the given lengths: whole numbers that add up to len(dataset), or fractions to 1.

    As in PyTorch, what rounding leaves over goes to the first parts, one row each. Raises ValueError otherwise.
    """
    size = len(dataset)
    if all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in lengths) and sum(lengths) == size:
        counts = [int(n) for n in lengths]
    elif all(0 <= n <= 1 for n in lengths) and math.isclose(sum(lengths), 1.0):
        counts = [math.floor(size * n) for n in lengths]
        for i in range(size - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        raise InputError(
            f"random_split: lengths {list(lengths)} add up to {sum(lengths)}; "
            f"give whole numbers that add up to {size}, or fractions that add up to 1"
        )
    if min(counts) < 0:
        raise InputError(f"random_split: lengths {list(lengths)} must not be negative")
    order = (generator if generator is not None else default_generator).permutation(size)
    ends = np.cumsum(counts)
    return [Subset(dataset, order[end - n : end]) for n, end in zip(counts, ends, strict=True)]


def train_dev_test_split(
    data: Any,
    *,
    dev: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    stratify: bool | str = "auto",
    order: str = "random",
    groups: Any = None,
) -> Split:
    """Split once into train, dev and test.

    `data`: a data set or `(X, y)`. `dev`, `test`: a fraction of the rows (float) or a count (int); train gets the rest.
    `stratify`: each class in the same proportion everywhere; "auto" does so where the last tensor holds integer labels.
    `order`: "random", or "block" for contiguous blocks in file order (train first), for data whose neighbours belong
    together. `groups`: one label per row; rows of a group (a person, a document) stay together, so that parts have as
    near the wanted sizes as whole groups allow, and are not stratified. Raises ValueError for sizes that leave no
    training rows, classes too small to be in every part, and fewer groups than parts.
    """
    dataset = data if isinstance(data, Dataset) or not isinstance(data, tuple | list) else TensorDataset(*data)
    size = len(dataset)
    if size == 0:
        raise InputError("train_dev_test_split: the data set is empty")
    n_dev, n_test = _count("dev", dev, size), _count("test", test, size)
    if n_dev + n_test >= size:
        raise InputError(
            f"train_dev_test_split: dev ({n_dev}) and test ({n_test}) leave no training rows of {size}; "
            f"make them smaller"
        )
    if order not in ("random", "block"):
        raise InputError(f'train_dev_test_split: order is {order!r}; it can be "random" or "block"')
    if groups is not None and (order != "random" or stratify is True):
        raise InputError('train_dev_test_split: groups go with order="random" and are not stratified')
    labels = _labels(dataset, stratify) if order == "random" and groups is None else None
    if groups is not None:
        parts = _grouped(np.asarray(groups), [size - n_dev - n_test, n_dev, n_test], seed)
        return _as_split(dataset, parts, f"random, whole groups, seed {seed}")
    if order == "block":
        rows, how = np.arange(size)[::-1], "contiguous blocks"
    elif labels is None:
        rows, how = Generator(seed).permutation(size), f"random, seed {seed}"
    else:
        rows = _interleaved(labels, seed, parts=1 + (n_dev > 0) + (n_test > 0))
        how = f"random, stratified, seed {seed}"
    return _as_split(dataset, [rows[n_dev + n_test :], rows[n_test : n_dev + n_test], rows[:n_test]], how)


def _as_split(dataset: Any, rows: list[np.ndarray], how: str) -> Split:
    """The split whose parts have these rows."""
    # Sorted: the order of training rows is the loader's business, and a reader finds the rows in the file.
    parts = [np.sort(part) for part in rows]
    subsets = [Subset(dataset, part) for part in parts]
    return Split(subsets[0], subsets[1], HeldOut(subsets[2]), _duplicates(dataset, parts), how)


def _grouped(groups: np.ndarray, wanted: list[int], seed: int) -> list[np.ndarray]:
    """Rows for each part, whole groups only: each group, in random order, goes where most is lacking, in proportion."""
    if groups.ndim != 1 or len(groups) != sum(wanted):
        raise InputError(f"train_dev_test_split: groups has shape {groups.shape}; one label for each of {sum(wanted)} "
                         f"rows is due")  # fmt: skip
    names, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    used = [i for i, n in enumerate(wanted) if n]
    if len(names) < len(used):
        raise InputError(f"train_dev_test_split: {len(names)} group(s) cannot be in {len(used)} parts")
    part_of_group = np.empty(len(names), np.int64)
    have = [0] * len(wanted)
    shuffled = Generator(seed).permutation(len(names))
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:  # large ones first: small ones fill the gaps
        part = max(used, key=lambda i: (1 - have[i] / wanted[i], -i))
        part_of_group[group] = part
        have[part] += int(sizes[group])
    return [np.flatnonzero(part_of_group[member] == i) for i in range(len(wanted))]


def _count(name: str, wanted: float, size: int) -> int:
    """A fraction or a count as a count."""
    whole = isinstance(wanted, int | np.integer) and not isinstance(wanted, bool)
    if not whole and not (isinstance(wanted, float) and 0 <= wanted < 1):
        raise InputError(f"train_dev_test_split: {name}={wanted!r}; give a fraction from 0 to 1 (0.2) or a count (200)")
    if wanted < 0:
        raise InputError(f"train_dev_test_split: {name}={wanted} must not be negative")
    return int(wanted) if whole else round(wanted * size)


def _labels(dataset: Any, stratify: bool | str) -> np.ndarray | None:
    """The labels to stratify by, or None."""
    if stratify is False:
        return None
    tensors: Any = getattr(dataset, "tensors", ())
    usable = len(tensors) > 1 and tensors[-1]._array.ndim == 1 and tensors[-1]._array.dtype.kind in "iu"
    if not usable and stratify == "auto":
        return None
    if not tensors:
        raise InputError("train_dev_test_split: only a TensorDataset(X, y) can be stratified; pass stratify=False")
    check_labels(tensors[-1])
    return np.asarray(tensors[-1]._array)


def _interleaved(labels: np.ndarray, seed: int, parts: int) -> np.ndarray:
    """A random order of which every beginning holds each class in proportion, to within one row.

    Row k of the n rows of a class (in random order) gets the key (k + ½)/n; rows are sorted by key.
    """
    shuffled: np.ndarray = Generator(seed).permutation(len(labels))
    key = np.empty(len(labels))
    for label in np.unique(labels):
        places = np.flatnonzero(labels[shuffled] == label)
        if len(places) < parts:
            raise InputError(
                f"train_dev_test_split: class {label} has {len(places)} row(s), too few to be in {parts} parts; "
                f"drop the class, or pass stratify=False"
            )
        key[places] = (np.arange(len(places)) + 0.5) / len(places)
    return shuffled[np.argsort(key, kind="stable")]


def _duplicates(dataset: Any, parts: list[np.ndarray]) -> int | None:
    """How many rows of the other parts are, byte for byte in X, rows of the first."""
    if not isinstance(dataset, TensorDataset):
        return None
    array = dataset.tensors[0]._array
    rows = [array[i].tobytes() for i in range(len(array))]
    known = {rows[i] for i in parts[0]}
    return sum(rows[i] in known for part in parts[1:] for i in part)
