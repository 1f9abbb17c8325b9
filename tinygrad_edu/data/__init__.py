"""Data: sets of rows, loaders that make batches of them, seeded splits, a transform, and data sets to learn from."""

from .checks import check_finite, check_labels
from .collate import default_collate, default_convert
from .dataset import ChainDataset, ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset
from .embedded import SPLITS, EmbeddedData, load_diabetes, load_digits
from .found import NotFound
from .heldout import HeldOut, HeldOutError, held_out_closed, refuse_held_out
from .loader import DataLoader
from .names import Names, load_names, next_characters, spell
from .pictures import Pictures, load_fashion, load_fashion_sample, load_mnist, load_textures, texture_patches
from .plane import blobs, spirals
from .reviews import load_reviews
from .samplers import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .split import Split, random_split, train_dev_test_split
from .transform import Standardize
from .workers import get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "EmbeddedData",
    "HeldOut",
    "HeldOutError",
    "IterableDataset",
    "Names",
    "NotFound",
    "Pictures",
    "RandomSampler",
    "SPLITS",
    "Sampler",
    "SequentialSampler",
    "Split",
    "Standardize",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "blobs",
    "check_finite",
    "check_labels",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "held_out_closed",
    "load_diabetes",
    "load_digits",
    "load_fashion",
    "load_fashion_sample",
    "load_mnist",
    "load_names",
    "load_reviews",
    "load_textures",
    "next_characters",
    "random_split",
    "refuse_held_out",
    "spell",
    "texture_patches",
    "train_dev_test_split",
    "spirals",
]
