"""Files: `save` and `load` of nested states, checksummed, atomic; PyTorch's files are read without running them."""

from .container import FileError, read_tree, write_tree
from .files import load, save, write_atomically

__all__ = ["FileError", "load", "read_tree", "save", "write_atomically", "write_tree"]
