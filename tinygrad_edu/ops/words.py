"""NumPy's words for arguments, which PyTorch's operations take too: `axis` for `dim`, `keepdims` for `keepdim`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

NAMES = (
    "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "cat", "concat", "concatenate", "cumprod", "cumsum",
    "log_softmax", "logsumexp", "max", "mean", "median", "min", "prod", "softmax", "sort", "stack", "std", "sum", "var",
)  # fmt: skip
WORDS = {"axis": "dim", "keepdims": "keepdim"}


def numpy_words(operation: Callable[..., Any]) -> Callable[..., Any]:
    """The operation, which also takes NumPy's words."""

    @functools.wraps(operation)
    def worded(*args: Any, **options: Any) -> Any:
        for word in options:
            if word in WORDS:
                options = {WORDS.get(name, name): value for name, value in options.items()}
                break
        return operation(*args, **options)

    return worded


def take_numpy_words(namespace: dict[str, Any]) -> None:
    """Let the operations of a namespace, those that reduce or arrange dimensions, take NumPy's words."""
    for name in NAMES:
        held = namespace.get(name)
        if held is not None and not hasattr(held, "__wrapped__"):
            namespace[name] = numpy_words(held)
