"""`TGE_PURE=1`: import the package's Python sources, not what Cython compiled from them.

The same files serve both ways; this only changes which one the import system finds first.
"""

from __future__ import annotations

import importlib.machinery as machinery
import sys
from typing import Any


class SourceFinder:
    """Finds modules of this package as `.py` files alone; the C++ kernels, which have no source here, pass through."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        """The spec of a source file of this package, or None."""
        if not name.startswith("tinygrad_edu.") or path is None:
            return None
        for folder in path:
            finder = machinery.FileFinder(folder, (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES))
            spec = finder.find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        return None


sys.meta_path.insert(0, SourceFinder)
