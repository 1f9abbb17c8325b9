"""Data: sets of rows, loaders that make batches of them, seeded splits, a transform, and two embedded data sets."""

from .checks import check_finite, check_labels
from .dataset import Dataset, Subset, TensorDataset
from .embedded import SPLITS, EmbeddedData, load_diabetes, load_digits
from .heldout import HeldOut, HeldOutError, held_out_closed, refuse_held_out
from .loader import DataLoader
from .split import Split, random_split, train_dev_test_split
from .transform import Standardize

__all__ = [
    "SPLITS",
    "DataLoader",
    "Dataset",
    "EmbeddedData",
    "HeldOut",
    "HeldOutError",
    "Split",
    "Standardize",
    "Subset",
    "TensorDataset",
    "check_finite",
    "check_labels",
    "held_out_closed",
    "load_diabetes",
    "load_digits",
    "random_split",
    "refuse_held_out",
    "train_dev_test_split",
]
