"""PyTorch's names for what lies elsewhere here: `utils.data` is `tinygrad_edu.data`."""

from . import data

__all__ = ["data"]
