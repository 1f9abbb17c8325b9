"""An interpreter of the PTX that NVRTC makes of a kernel: the second, independent execution.

All threads of a grid go in step, every register a NumPy array over them. What it does not know it refuses.
"""

from __future__ import annotations

from .machine import PtxError, run
from .parse import Kernel, parse

__all__ = ["Kernel", "PtxError", "parse", "run"]
