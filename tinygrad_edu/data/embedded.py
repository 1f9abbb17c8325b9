"""The tables that come with the package: digits and diabetes. No network, verified on every load."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dataset import TensorDataset
from .split import Split, train_dev_test_split

# SHA-256 of the decompressed text: it does not depend on how the file was packed.
SHA256 = {
    "digits": "1a8c0ce573804cf39bc6fdc9a6cc8f23d15cbf27a72575c1ca5fac15163717d0",
    "diabetes": "9193026b7622ff944f0a6855a10107b24caf50dad69787c46e6890e69c27faca",
    "names": "29d83ba2fe23a8c80d70c5132b6725d2a5f542c7947f2c057d119dc91612d1f5",
}
SPLITS = {"digits": ("random", "writer"), "diabetes": ("random",), "names": ("random",)}


@dataclass(frozen=True)
class EmbeddedData:
    """An embedded data set: `X` (n, columns) float32, `y` (n,), column names, and its data card."""

    name: str
    X: np.ndarray
    y: np.ndarray
    columns: tuple[str, ...]
    target: str
    card: str

    def __len__(self) -> int:
        return len(self.X)

    def dataset(self) -> TensorDataset:
        """X and y as a TensorDataset."""
        return TensorDataset(self.X, self.y)

    def split(self, how: str = "random", *, dev: float = 0.2, test: float = 0.2, seed: int = 0) -> Split:
        """The splits that the data card names.

        "random": seeded, stratified by class. "writer" (digits): contiguous blocks of the file, which stands in the
        order of the people who wrote it; there is no column that says who, so a block's edge may cut a person in two.
        """
        if how not in SPLITS[self.name]:
            raise InputError(f"{self.name} has no split {how!r}; it has {', '.join(SPLITS[self.name])}")
        order = "block" if how == "writer" else "random"
        return train_dev_test_split(self.dataset(), dev=dev, test=test, seed=seed, order=order)

    def __repr__(self) -> str:
        return f"EmbeddedData({self.name}: X {self.X.shape} {self.X.dtype}, y {self.y.shape} {self.y.dtype})"


def load_digits() -> EmbeddedData:
    """1,797 images of hand-written digits: X (1797, 64) float32 from 0 to 16, y (1797,) int64 from 0 to 9.

    Source: Alpaydin and Kaynak 1998, UCI, CC BY 4.0; `.card` tells the rest. ValueError if the file is damaged.
    """
    return _load("digits", np.dtype(np.int64))


def load_diabetes() -> EmbeddedData:
    """442 people, ten measurements each: X (442, 10) float32 in raw units, y (442,) float32, 25 to 346.

    Source: Efron, Hastie, Johnstone and Tibshirani 2004; `.card` tells the rest. ValueError if the file is damaged.
    """
    return _load("diabetes", np.dtype(np.float32))


def _load(name: str, target: np.dtype) -> EmbeddedData:
    text, card = read_embedded(name)
    header, *rows = text.splitlines()
    table = np.array([row.split(",") for row in rows], dtype=np.float64)
    *columns, last = header.split(",")
    return EmbeddedData(name, table[:, :-1].astype(np.float32), table[:, -1].astype(target), tuple(columns), last, card)


def read_embedded(name: str) -> tuple[str, str]:
    """The verified text of the embedded file `name`, and its data card. ValueError if the file is damaged."""
    import gzip  # here, to keep the import of the package short
    import zlib

    folder = Path(__file__).parent / "files"
    try:
        text = gzip.decompress((folder / f"{name}.csv.gz").read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"the embedded file {name}.csv.gz cannot be read ({error}); reinstall tinygrad_edu") from None
    if hashlib.sha256(text).hexdigest() != SHA256[name]:
        raise InputError(f"the embedded file {name}.csv.gz is not the one that was shipped; reinstall tinygrad_edu")
    return text.decode(), (folder / f"{name}.md").read_text(encoding="utf-8")
