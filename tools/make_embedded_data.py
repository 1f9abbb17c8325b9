"""Make the embedded data files: `python tools/make_embedded_data.py names-0.3.0.tar.gz FOLDER/skimage/data`.

Run once, by a maintainer who has scikit-learn (digits, diabetes), the archive that `pip download --no-binary :all:
names==0.3.0` gets (names), scikit-image (textures) and Fashion-MNIST (clothes); the results are committed. The files
are pictures, and gzip'd CSV with a fixed
time stamp, so that making them again gives the same bytes. Prints the SHA-256 of the text, which
`tinygrad_edu/data/embedded.py` holds and verifies on every load.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_diabetes, load_digits  # type: ignore[import-untyped]

from tinygrad_edu.data import load_fashion
from tinygrad_edu.data.pictures import TEXTURES

FILES = Path(__file__).resolve().parent.parent / "tinygrad_edu" / "data" / "files"


def write(name: str, header: list[str], rows: list[list[str]]) -> None:
    """Write one data set and print its digest."""
    text = "".join(",".join(row) + "\n" for row in [header, *rows]).encode()
    with open(FILES / f"{name}.csv.gz", "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text)
    print(name, len(rows), "rows", hashlib.sha256(text).hexdigest())


def census(archive: str) -> list[list[str]]:
    """(list, name), most frequent first: all first names, and the 20,000 most frequent surnames."""
    lists = {"female": "dist.female.first", "male": "dist.male.first", "surname": "dist.all.last"}
    rows = []
    with tarfile.open(archive) as opened:
        for name, file in lists.items():
            text = opened.extractfile(f"names-0.3.0/names/{file}").read().decode()  # type: ignore[union-attr]
            rows += [[name, line.split()[0].lower()] for line in text.splitlines()[:20_000]]
    return rows


def write_picture(name: str, pixels: np.ndarray) -> bytes:
    """Write one grey picture; its pixels."""
    Image.fromarray(pixels).save(FILES / f"{name}.png", optimize=True)
    return pixels.tobytes()


def textures(folder: Path) -> None:
    """The upper halves of three photographs."""
    halves = {name: np.array(Image.open(folder / f"{name}.png").convert("L"))[:256] for name in TEXTURES}
    pixels = b"".join(write_picture(f"texture_{name}", half) for name, half in halves.items())
    print("textures", hashlib.sha256(pixels).hexdigest())


def fashion_sample() -> None:
    """Forty pictures of each class, a row for each."""
    X = load_fashion().few(40, seed=0).X.reshape(10, 40, 28, 28)
    pixels = write_picture("fashion_sample", X.transpose(0, 2, 1, 3).reshape(280, 1120))
    print("fashion_sample", hashlib.sha256(pixels).hexdigest())


def main() -> None:
    """Write digits, diabetes, names, textures and clothes."""
    textures(Path(sys.argv[2]))
    fashion_sample()
    digits = load_digits()
    pixels = [f"p{row}{column}" for row in range(8) for column in range(8)]
    write(
        "digits",
        [*pixels, "digit"],
        [[str(int(v)) for v in x] + [str(int(y))] for x, y in zip(digits.data, digits.target, strict=True)],
    )
    diabetes = load_diabetes(scaled=False)
    write(
        "diabetes",
        [*diabetes.feature_names, "progression"],
        [[f"{v:g}" for v in x] + [f"{y:g}"] for x, y in zip(diabetes.data, diabetes.target, strict=True)],
    )
    write("names", ["list", "name"], census(sys.argv[1]))


if __name__ == "__main__":
    main()
