"""Make the embedded data files from scikit-learn's copies: `python tools/make_embedded_data.py`.

Run once, by a maintainer who has scikit-learn; the results are committed. The files are gzip'd CSV with a fixed
time stamp, so that making them again gives the same bytes. Prints the SHA-256 of the text, which
`tinygrad_edu/data/embedded.py` holds and verifies on every load.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from sklearn.datasets import load_diabetes, load_digits  # type: ignore[import-untyped]

FILES = Path(__file__).resolve().parent.parent / "tinygrad_edu" / "data" / "files"


def write(name: str, header: list[str], rows: list[list[str]]) -> None:
    """Write one data set and print its digest."""
    text = "".join(",".join(row) + "\n" for row in [header, *rows]).encode()
    with open(FILES / f"{name}.csv.gz", "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text)
    print(name, len(rows), "rows", hashlib.sha256(text).hexdigest())


def main() -> None:
    """Write digits and diabetes."""
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


if __name__ == "__main__":
    main()
