"""GPT: a Transformer that says, at every place of a text, what may come next (Radford et al. 2019)."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..creation import arange, randn
from ..errors import InputError

F = nn.functional


class GPT(nn.Module):
    """Tokens (N, T) of `vocabulary` → logits (N, T, vocabulary) of each next token, from those before it only.

    The defaults are GPT-2 (small): 124,439,808 parameters. The table of tokens serves at both ends: it says what a
    token means on the way in, and which token a meaning is closest to on the way out (Press and Wolf 2017).
    """

    def __init__(self, vocabulary: int = 50257, context: int = 1024, width: int = 768, layers: int = 12,
                 heads: int = 12, dropout: float = 0.1) -> None:  # fmt: skip
        super().__init__()
        self.context = context
        self.tokens = nn.Embedding(vocabulary, width, _weight=0.02 * randn(vocabulary, width))
        self.places = nn.Embedding(context, width, _weight=0.02 * randn(context, width))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            [nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, F.gelu, batch_first=True, norm_first=True)
             for _ in range(layers)]
        )  # fmt: skip
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Any) -> Any:
        """(N, T) whole numbers → (N, T, vocabulary); ValueError for texts longer than the context."""
        length = tokens.shape[1]
        if length > self.context:
            raise InputError(f"GPT: {length} tokens, but its context is {self.context}; cut the text")
        x = self.dropout(self.tokens(tokens) + self.places(arange(length, device=tokens.device)))
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=tokens.device)
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=True)
        return F.linear(self.norm(x), self.tokens.weight)
