"""`tg.backends`, `tg.accelerator`, `tg.mps`: what programs ask about devices, and switches of libraries not used here.

There is the CPU alone. The switches can be set, as programs do; nothing reads them, since results are deterministic
and in full precision always.
"""

from __future__ import annotations

from typing import Any

from .random import manual_seed


class Backend:
    """A library that PyTorch may use and this one does not."""

    def __init__(self, **switches: Any) -> None:
        self.__dict__.update(switches)

    def is_available(self) -> bool:
        """Whether it can be used."""
        return False

    is_built = is_available

    def version(self) -> None:
        """Its version: there is none."""

    def device_count(self) -> int:
        """The number of its devices."""
        return 0


class Accelerator(Backend):
    """The device other than the CPU, if there is one."""

    def current_accelerator(self, check_available: bool = False) -> None:
        """The device: there is none."""


class MPS(Backend):
    """Apple's GPUs."""

    def manual_seed(self, seed: int) -> None:
        """Seed the generator: all devices share one."""
        manual_seed(seed)


cudnn = Backend(enabled=False, benchmark=False, deterministic=True, allow_tf32=False)
cuda = Backend(matmul=Backend(allow_tf32=False, fp32_precision="ieee"))
mkl, mkldnn, openmp = Backend(), Backend(enabled=False), Backend()
mps, xpu, accelerator = MPS(), MPS(), Accelerator()
