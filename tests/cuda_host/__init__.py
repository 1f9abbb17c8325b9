"""CUDA kernels executed without a GPU: see docs/cuda-host.md.

gpu = host_gpu("check")
module = gpu.raw_module(code, ("--std=c++17",))
x, y = gpu.to_device(values), gpu.cupy.empty(values.shape, values.dtype)
module.get_function("relu")((1,), (256,), (x, y, np.int64(x.size)))
gpu.to_host(y)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .gpu import HostGpu

INSTALL = "pip install 'tinygrad_edu[cuda-host]'"


def missing() -> str | None:
    """What this machine lacks for it, with the way to get it; None if nothing."""
    from .build import COMPILER, available

    try:
        import cupy  # noqa: F401
    except ImportError:
        return f"the CUDA kernels were NOT executed: no CuPy ({INSTALL})"
    return None if available() else f"the CUDA kernels were NOT executed: no compiler ({COMPILER}: apt install g++)"


def require() -> None:
    """Skips the test module that calls it, loudly, where something is missing."""
    import pytest

    if reason := missing():
        pytest.skip(reason, allow_module_level=True)


def host_gpu(build: str | None = None, seed: int = 0, arch: int = 75) -> HostGpu:
    """The device double; see `gpu.host_gpu`."""
    from . import gpu

    return gpu.host_gpu(build, seed, arch)


def __getattr__(name: str) -> Any:
    if name == "KernelError":
        from .library import KernelError

        return KernelError
    raise AttributeError(name)
