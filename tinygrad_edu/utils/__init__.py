"""PyTorch's names for what lies elsewhere here (`utils.data` is `tinygrad_edu.data`), and checkpointing."""

from . import checkpoint, data

__all__ = ["checkpoint", "data"]
