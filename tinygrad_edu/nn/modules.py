"""PyTorch's addresses of names: `nn.modules.batchnorm._BatchNorm`, `nn.modules.utils._pair`, `nn.modules.Linear`.

Every theme (`module`, `conv`, `loss`, …) is this one module, and what it lacks is looked up in `nn`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from . import hooks
from .convolution import _Convolution
from .losses import _Loss, _Weighted
from .normalization import _BatchNorm, _InstanceNorm

__all__ = ["_BatchNorm", "_ConvNd", "_InstanceNorm", "_Loss", "_WeightedLoss", "_pair", "_single", "_triple"]
THEMES = (
    "activation", "batchnorm", "container", "conv", "distance", "dropout", "flatten", "fold", "instancenorm", "linear",
    "loss", "module", "normalization", "padding", "pixelshuffle", "pooling", "rnn", "sparse", "transformer",
    "upsampling", "utils",
)  # fmt: skip
_ConvNd, _WeightedLoss = _Convolution, _Weighted


def _repeated(count: int) -> Any:
    def tuple_of(x: Any) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, Iterable) else (x,) * count

    return tuple_of


_single, _pair, _triple = _repeated(1), _repeated(2), _repeated(3)


def __getattr__(name: str) -> Any:
    if name in THEMES:
        return sys.modules[__name__]
    for home in (hooks, sys.modules[__package__ or ""]):
        if name in vars(home):
            return getattr(home, name)
    raise AttributeError(f"nn.modules has no name {name!r}")
