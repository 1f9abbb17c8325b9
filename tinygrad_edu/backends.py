"""`tg.backends`, `tg.accelerator`, `tg.mps`: what programs ask about devices, and switches of libraries not used here.

The switches can be set, as programs do; nothing reads them, since results are deterministic always. One has an effect:
`backends.cuda.matmul.allow_tf32`, which lets products of float32 matrices use a GPU's tensor cores.
"""

from __future__ import annotations

from typing import Any

from .errors import InputError
from .kernels.cuda import products
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


class Matmul(Backend):
    """Products of matrices on a GPU; `set_float32_matmul_precision` in other words."""

    @property
    def allow_tf32(self) -> bool:
        """Whether operands of float32 may be rounded to TF32 or less."""
        return products.precision[0] != "highest"

    @allow_tf32.setter
    def allow_tf32(self, value: bool) -> None:
        products.precision[0] = "high" if value else "highest"

    @property
    def fp32_precision(self) -> str:
        """The same as "tf32" or "ieee"."""
        return "tf32" if self.allow_tf32 else "ieee"

    @fp32_precision.setter
    def fp32_precision(self, value: str) -> None:
        if value not in ("ieee", "tf32", "none"):
            raise InputError(f'fp32_precision: {value!r} is none of "ieee", "tf32", "none"')
        self.allow_tf32 = value == "tf32"


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
cuda = Backend(matmul=Matmul())
mkl, mkldnn, openmp = Backend(), Backend(enabled=False), Backend()
mps, xpu, accelerator = MPS(), MPS(), Accelerator()
