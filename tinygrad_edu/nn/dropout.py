"""Dropout layers: of entries, of whole channels, and the kind that goes with `SELU`."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from . import functional as F
from .module import Module


class Dropout(Module):
    """In training, zero entries with probability p and scale the rest by 1/(1 − p). Srivastava et al. 2014."""

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Any = None) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise InputError(f"Dropout: p is {p}; a probability lies in [0, 1]")
        self.p, self.inplace, self.generator = p, inplace, generator

    def forward(self, input: Any) -> Any:
        """Any shape; the input itself in evaluation mode."""
        return F.dropout(input, self.p, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """`Dropout` of whole channels of (N, C, L) or (C, L)."""

    def forward(self, input: Any) -> Any:
        """Channels zeroed in training."""
        return F.dropout1d(input, self.p, self.training, generator=self.generator)


class Dropout2d(Dropout):
    """`Dropout` of whole channels of (N, C, H, W). Tompson et al. 2015."""

    def forward(self, input: Any) -> Any:
        """Channels zeroed in training."""
        return F.dropout2d(input, self.p, self.training, generator=self.generator)


class Dropout3d(Dropout):
    """`Dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W)."""

    def forward(self, input: Any) -> Any:
        """Channels zeroed in training."""
        return F.dropout3d(input, self.p, self.training, generator=self.generator)


class AlphaDropout(Dropout):
    """Dropout that keeps the mean and variance of what `SELU` gives. Klambauer et al. 2017."""

    def forward(self, input: Any) -> Any:
        """Entries set to SELU's lower limit in training."""
        return F.alpha_dropout(input, self.p, self.training, generator=self.generator)
