"""Every public function on the GPU: the same results and gradients as on the CPU, or an error that says what to do.

The calls are those of tests/names, which compare with PyTorch on the CPU.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import StateError

sys.path.append(str(Path(__file__).parents[1] / "names"))
harness = importlib.import_module("harness")
CALLS = [*importlib.import_module("operators").CALLS, *importlib.import_module("functional").CALLS]
NAMES = sorted({call.name for call in CALLS})

# What NumPy or LAPACK computes, and has no kernels on the GPU. docs/cuda.md lists them.
DECOMPOSITIONS = """cholesky det inverse logdet matrix_power norm pinverse qr slogdet svd linalg.cholesky linalg.det
    linalg.eigh linalg.eigvalsh linalg.inv linalg.matrix_norm linalg.matrix_power linalg.matrix_rank linalg.norm
    linalg.pinv linalg.qr linalg.slogdet linalg.solve linalg.svd linalg.svdvals"""
BY_NUMPY = """F.adaptive_max_pool1d F.adaptive_max_pool2d F.adaptive_max_pool3d F.cross_entropy allclose bincount
    bucketize copysign cummax cummin div divide floor_divide fmod histc mode remainder scatter_reduce searchsorted
    signbit unique unique_consecutive"""
REFUSED = set(DECOMPOSITIONS.split()) | set(BY_NUMPY.split())
ABOUT_MEMORY = {
    "Tensor.get_device",
    "Tensor.numpy",
    "Tensor.storage_offset",
    "getattr",
}  # they have other answers there


def everywhere(change: Callable[[Any], Any], value: Any) -> Any:
    """`value` with `change` applied to each tensor in it."""
    if isinstance(value, tg.Tensor):
        return change(value)
    if isinstance(value, list | tuple) and not all(isinstance(v, int) for v in value):
        return [everywhere(change, v) for v in value]
    return value


def on_gpu(call: Any) -> Any:
    """The call with its tensors moved there, and its results moved back."""
    prepare, pick = call.prepare, call.pick
    return dataclasses.replace(
        call,
        prepare=lambda module, t: (prepare(module, t) if prepare else t).cuda(),
        pick=lambda result: everywhere(lambda t: t.cpu(), pick(result) if pick else result),
    )


def refused(call: Any, dtype: str) -> bool:
    """Make the call in all its shapes; whether one of them is refused. What is not must give the CPU's results."""
    some = False
    for shape in call.shapes:
        values = harness.arrays(call, shape, dtype)
        grad = call.grad and dtype == "float32"
        wanted = harness.run(tg, call, [v.copy() for v in values], grad=grad)
        if wanted.error is not None:
            continue
        found = outcome(call, values, grad)
        if isinstance(found, StateError):
            assert re.search(r"GPU.*(x\.cpu\(\)|x\.float\(\))", str(found)), found
            some = True
            continue
        harness.compare(found, wanted, dtype)
        for mine, theirs in ((found.gradients, wanted.gradients), (found.second, wanted.second)):
            for a, b in zip(mine or [], theirs or [], strict=True):
                assert (a is None) == (b is None)
                if a is not None:
                    harness.same(a, b, 1e-4)
    return some


def outcome(call: Any, values: list[Any], grad: bool) -> Any:
    """What the call gives on the GPU, or the StateError."""
    try:
        found = harness.run(tg, on_gpu(call), [v.copy() for v in values], grad=grad)
    except StateError as error:  # of a gradient
        return error
    return found.error if isinstance(found.error, StateError) else found


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ABOUT_MEMORY])
def test_same_as_on_the_cpu_or_refused(name: str) -> None:
    calls = [call for call in CALLS if call.name == name]
    outcomes = [refused(call, "float32") for call in calls if "float32" in call.dtypes]
    if outcomes:
        assert any(outcomes) == (name in REFUSED), "REFUSED is out of date"
    for dtype in ("int64", "bool"):
        for call in calls:
            if dtype in call.dtypes:
                refused(call, dtype)


def test_what_is_refused_are_names() -> None:
    assert set(NAMES) >= REFUSED | ABOUT_MEMORY
