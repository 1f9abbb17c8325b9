"""Sentences of film reviews with how positive they are, found on this machine."""

from __future__ import annotations

import io
import tarfile
import zlib

import numpy as np

from ..errors import InputError
from .found import find_file, verified

ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
FILE = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
SHA256 = "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350"  # of the text
COMMAND = "pip download --no-deps --no-binary :all: -d ~/.cache/tinygrad_edu vaderSentiment==3.3.2"


def load_reviews(clear: float = 1.0) -> tuple[list[str], np.ndarray]:
    """Sentences of film reviews, and 1 for positive or 0 for negative ones: only those at least `clear` from neutral.

    10,605 sentences of Pang and Lee (2005), each judged by 20 people from −4 to 4: Hutto and Gilbert 2014. It comes
    with the source archive of vaderSentiment; NotFound has the command that fetches it.
    """
    if not 0 < clear <= 4:
        raise InputError(f"load_reviews: clear={clear}; judgements go from -4 to 4, so it is above 0 and at most 4")
    path = find_file("the film reviews", ARCHIVE, [], [COMMAND])
    try:
        with tarfile.open(path) as outer, tarfile.open(fileobj=io.BytesIO(_member(outer, INNER))) as inner:
            text = _member(inner, FILE)
    except (tarfile.TarError, KeyError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); delete it and fetch it again") from None
    rows = [line.split("\t") for line in verified(text, SHA256, path).decode("latin1").splitlines()]
    chosen = [(float(score), sentence) for _, score, sentence in rows if abs(float(score)) >= clear]
    return [sentence for _, sentence in chosen], np.array([score > 0 for score, _ in chosen], np.int64)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    """The bytes of one file of an archive; nothing is unpacked."""
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is no file")
    return file.read()
