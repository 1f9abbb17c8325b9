"""MiniLM: sentences become points, alike sentences near each other (Wang et al. 2020; Reimers and Gurevych 2019)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import nn
from ..creation import arange, tensor
from ..errors import InputError

F = nn.functional
WIDTH, HEADS, LAYERS, INNER, WORDS, PLACES = 384, 12, 6, 1536, 30522, 512


class MiniLM(nn.Module):
    """Token numbers and mask (N, T) → sentence vectors (N, 384) of length 1. 22,713,216 parameters.

    A BERT of six layers (Devlin et al. 2019); the vector of a sentence is the mean over its tokens. `pooler`, which
    BERT had for another task, is in the published file and counted, but not used for sentences.
    """

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.places = nn.Embedding(PLACES, WIDTH)
        self.segments = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            [nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, dropout, "gelu", 1e-12, batch_first=True)
             for _ in range(LAYERS)]
        )  # fmt: skip
        self.pooler = nn.Linear(WIDTH, WIDTH)

    def states(self, tokens: Any, mask: Any) -> Any:
        """(N, T) and (N, T) of True where there is a token → (N, T, 384), each token in the light of the others."""
        length = tokens.shape[1]
        if length > PLACES:
            raise InputError(f"MiniLM: {length} tokens, but it knows {PLACES} places; cut the text")
        x = self.words(tokens) + self.places(arange(length)) + self.segments.weight[0]  # (N, T, 384)
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=~mask)
        return x

    def forward(self, tokens: Any, mask: Any) -> Any:
        """(N, T), (N, T) → (N, 384)."""
        there = mask.float().unsqueeze(-1)  # (N, T, 1)
        mean = (self.states(tokens, mask) * there).sum(1) / there.sum(1)
        return F.normalize(mean, dim=1)


def weights_here(file: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of a published BERT under the names of this model; query, key and value become one matrix.

    The file's 512 position numbers are no parameters, and left out.
    """
    outer = {"word_embeddings": "words", "position_embeddings": "places", "token_type_embeddings": "segments",
             "LayerNorm": "norm"}  # fmt: skip
    inner = {"attention.output.dense": "self_attn.out_proj", "attention.output.LayerNorm": "norm1",
             "intermediate.dense": "linear1", "output.dense": "linear2", "output.LayerNorm": "norm2"}  # fmt: skip
    found: dict[str, Any] = {}
    for name, value in file.items():
        part, _, kind = name.rpartition(".")
        if part.startswith("embeddings.") and part[11:] in outer:
            found[f"{outer[part[11:]]}.{kind}"] = value
        elif part == "pooler.dense":
            found[f"pooler.{kind}"] = value
        elif part.startswith("encoder.layer."):
            number, _, rest = part[14:].partition(".")
            if rest in inner:
                found[f"layers.{number}.{inner[rest]}.{kind}"] = value
            elif rest == "attention.self.query":
                three = [file[f"encoder.layer.{number}.attention.self.{which}.{kind}"]
                         for which in ("query", "key", "value")]  # fmt: skip
                found[f"layers.{number}.self_attn.in_proj_{kind}"] = np.concatenate([np.asarray(t) for t in three])
    return found


class WordPieces:
    """Text → token numbers, as BERT (uncased) cuts it: words and signs, rare words in pieces (Wu et al. 2016)."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self.numbers = {piece: number for number, piece in enumerate(vocabulary)}

    def pieces(self, text: str) -> list[str]:
        """ "Unbelievable!" → ["unbelievable", "!"]; "tinygrad" → ["tiny", "##grad"]."""
        return [piece for word in _words(text) for piece in self._cut(word)]

    def _cut(self, word: str) -> list[str]:
        """The longest known beginning, then the longest known continuation, and so on; [UNK] if that fails."""
        found, start = [], 0
        while start < len(word) <= 100:
            for end in range(len(word), start, -1):
                piece = word[start:end] if start == 0 else f"##{word[start:end]}"
                if piece in self.numbers:
                    found.append(piece)
                    start = end
                    break
            else:
                return ["[UNK]"]
        return found or ["[UNK]"]

    def __call__(self, texts: Sequence[str], longest: int = 256) -> tuple[Any, Any]:
        """Texts → (tokens (N, T) int64, mask (N, T) bool), all as long as the longest, cut at `longest` tokens."""
        if isinstance(texts, str) or not texts:
            raise InputError("WordPieces: a list of texts is wanted, at least one")
        rows = [["[CLS]", *self.pieces(text)[: longest - 2], "[SEP]"] for text in texts]
        tokens = np.full((len(rows), max(map(len, rows))), self.numbers["[PAD]"], np.int64)
        for i, row in enumerate(rows):
            tokens[i, : len(row)] = [self.numbers[piece] for piece in row]
        there = np.arange(tokens.shape[1]) < np.array([[len(row)] for row in rows])
        return tensor(tokens), tensor(there)


def _words(text: str) -> list[str]:
    """Lower case, no accents, signs and Chinese characters as words of their own, control characters left out."""
    out: list[str] = []
    for c in text:
        kind = unicodedata.category(c)
        if c in "\t\n\r" or kind == "Zs":
            out.append(" ")
        elif c in "\0\ufffd" or kind.startswith("C"):
            continue
        else:
            out.append(f" {c} " if _ideograph(ord(c)) else c)
    plain = [c for c in unicodedata.normalize("NFD", "".join(out).lower()) if unicodedata.category(c) != "Mn"]
    return "".join(f" {c} " if _sign(c) else c for c in plain).split()


def _sign(c: str) -> bool:
    """Punctuation, and every other sign of ASCII."""
    return unicodedata.category(c).startswith("P") or (c.isascii() and c.isprintable() and not c.isalnum() and c != " ")


def _ideograph(code: int) -> bool:
    """The blocks of Unicode that BERT takes for Chinese characters."""
    return any(low <= code <= high for low, high in (
        (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
        (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)))  # fmt: skip
