"""`tg.amp`: PyTorch's mixed precision. Everything is computed in the dtype it has here, so these change no number.

They let a program that was written for a GPU run: `autocast` does nothing, a `GradScaler` scales by 1.
"""

from __future__ import annotations

import contextlib
from typing import Any

from .errors import InputError


class autocast(contextlib.ContextDecorator):
    """`with autocast("cuda", dtype=…):`, or as a decorator; operations go on in the dtypes of their inputs."""

    def __init__(self, device_type: str = "cuda", dtype: Any = None, enabled: bool = True,
                 cache_enabled: bool | None = None) -> None:  # fmt: skip
        if not isinstance(device_type, str):
            raise InputError(f'autocast: device_type is a word such as "cpu" or "cuda", got {device_type!r}')
        self.device, self.fast_dtype = device_type, dtype

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class GradScaler:
    """Scales a loss so that small gradients survive in float16; as PyTorch's without a GPU, the factor is 1."""

    def __init__(self, device: str = "cuda", init_scale: float = 65536.0, growth_factor: float = 2.0,
                 backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True) -> None:  # fmt: skip
        self._settings = growth_factor, backoff_factor, growth_interval

    def scale(self, outputs: Any) -> Any:
        """The loss or losses."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients by the scale, which is 1."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step()`."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Choose the next scale: 1."""

    def get_scale(self) -> float:
        """The factor."""
        return 1.0

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """What there is to save: nothing."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
