"""Runs programs in PyTorch and in this library, and says in what they differ.

`difference` compares which lines raise, shapes, dtypes, values and gradients. `shrunk` leaves out all lines that a
failure does not need.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_edu as tg

from .writer import Lines, execute, library

Raised = dict[int, Exception]

OURS_ALONE = (  # errors of ours that PyTorch does not share
    "several entries share their memory",  # writing through expand() by index arrays, which PyTorch calls deprecated
    "they would be broadcast against each other",  # losses
    "they must be one float dtype",  # linear() of integers
    "CrossEntropy: saved value",  # it keeps the logits, PyTorch their log_softmax
)
MODIFIED = "modified by an inplace operation"  # which values an operation saves, and so protects, is its own affair


def run(lines: Sequence[str], torch: Any) -> tuple[dict[str, Any], Raised]:
    """All names after the program, and which of its lines raised what."""
    names, raised = library(torch), {}
    for i, line in enumerate(lines):
        error = execute(line, names)
        if error is not None:
            raised[i] = error
    return names, raised


def difference(lines: Sequence[str], torch: Any) -> str | None:
    """In what the two libraries differ on this program; None if they agree."""
    ours, our_errors = run(lines, tg)
    theirs, their_errors = run(lines, torch)
    for i in range(len(lines)):
        a, b = our_errors.get(i), their_errors.get(i)
        if b is None and any(part in str(a) for part in OURS_ALONE):
            return None
        if a is None and MODIFIED in str(b):
            continue
        if (a is None) != (b is None):
            return f"raises, line {i}: ours {a!r}, PyTorch {b!r}"
        if isinstance(a, AttributeError | NameError) and type(a) is not type(b):
            return f"raises, line {i}: ours {a!r}, PyTorch {b!r}"
    for name, theirs_value in theirs.items():
        if not isinstance(theirs_value, torch.Tensor):
            continue
        found = unequal(name, ours[name], theirs_value)
        stopped = any("backward(" in lines[i] for i in their_errors)  # there a part of the gradients has got through
        if found is None and not stopped and (asked(theirs_value, "is_leaf") is True or theirs_value.retains_grad):
            found = unequal_gradients(name, ours[name], theirs_value)
        if found is not None:
            return found
    return None


def asked(x: Any, attribute: str) -> Any:
    """The attribute, or that asking raises: a view that cannot follow a change of its base says so sooner or later."""
    try:
        return getattr(x, attribute)
    except RuntimeError:
        return "an error"


def unequal_gradients(name: str, ours: Any, theirs: Any) -> str | None:
    if (ours.grad is None) != (theirs.grad is None):
        return f"gradient of {name}: ours {ours.grad}, PyTorch {theirs.grad}"
    return None if theirs.grad is None else unequal(f"gradient of {name}", ours.grad, theirs.grad)


def unequal(name: str, ours: Any, theirs: Any) -> str | None:
    """Shapes, dtypes, requires_grad and values compared."""
    ours_dtype, dtype = [str(t.dtype).removeprefix("torch.") for t in (ours, theirs)]
    for what, a, b in (
        ("shape", tuple(ours.shape), tuple(theirs.shape)),
        ("dtype", ours_dtype, dtype),
        ("requires_grad", asked(ours, "requires_grad"), asked(theirs, "requires_grad")),
        ("is_leaf", asked(ours, "is_leaf"), asked(theirs, "is_leaf")),
    ):
        if a != b and "an error" not in (a, b):
            return f"{what} of {name}: ours {a}, PyTorch {b}"
    x, y = ours.detach().numpy(), theirs.detach().numpy()
    if dtype.startswith("float"):
        finite = np.abs(y[np.isfinite(y)])
        limit = (1e-5 if dtype == "float64" else 1e-3) * max(float(finite.max()) if finite.size else 0.0, 1.0)
        same = np.allclose(x, y, rtol=limit, atol=limit, equal_nan=True)
    else:
        same = np.array_equal(x, y)
    return None if same else f"values of {name}: ours {x.tolist()}, PyTorch {y.tolist()}"


def is_unstable(lines: Sequence[str], torch: Any) -> bool:
    """Whether PyTorch itself gives another answer when all inputs grow by parts in 10¹²: then rounding decides."""
    plain, raised = run(lines, torch)
    for growth in (1e-12, -1e-12, 3e-12, 7e-12):
        again, raised_again = run(
            [line if "torch.tensor" not in line else grown(line, growth) for line in lines], torch
        )
        if raised.keys() != raised_again.keys():
            return True
        for name, value in plain.items():
            if isinstance(value, torch.Tensor) and unequal(name, again[name], value):
                return True
            if (
                isinstance(value, torch.Tensor)
                and asked(value, "is_leaf") is True
                and unequal_gradients(name, again[name], value)
            ):
                return True
    return False


def grown(line: str, growth: float) -> str:
    """The line with the numbers of its float64 tensors scaled by 1 + growth."""
    return re.sub(r"-?\d+\.\d+", lambda m: repr(float(m.group()) * (1 + growth)), line)


def shrunk(lines: Lines, fails: Callable[[Lines], str | None]) -> Lines:
    """The program without the lines that the failure does not need; `fails` says what is wrong, or None."""
    kind = (fails(lines) or "").split(" ")[0]
    again = True
    while again:
        again = False
        for i in reversed(range(len(lines))):
            fewer = lines[:i] + lines[i + 1 :]
            what = fails(fewer)
            if what is not None and what.split(" ")[0] == kind and "NameError" not in what:
                lines, again = fewer, True
    return lines


def repro(seed: int, lines: Lines, what: str) -> str:
    """The failing program, ready to be pasted."""
    head = ["import torch", "import torch.nn.functional as F", "from math import inf, nan", ""]
    return "\n".join([f"program {seed}: {what}", "", *head, *lines, ""])
