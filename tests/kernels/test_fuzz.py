"""No call ends the interpreter, hangs, changes what it must not, or raises what is no error of the caller's.

Ordinarily 10,000 random calls of each instruction set's kernels; TGE_FUZZ_CALLS says otherwise, TGE_FUZZ_SEED from
which seed. The calls are made in a process of their own: its end is a failure here, and not the end of the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

native = pytest.importorskip(
    "tinygrad_edu.kernels.native", reason="the compiled kernels are not built", exc_type=ImportError
)
ROOT = Path(__file__).resolve().parents[2]
CALLS = int(os.environ.get("TGE_FUZZ_CALLS", "10000"))
SEED = int(os.environ.get("TGE_FUZZ_SEED", "0"))


@pytest.mark.parametrize("isa", native.available_isas())
def test_random_calls(isa: str, tmp_path: Path) -> None:
    last, seed = tmp_path / "last", SEED + native.available_isas().index(isa)
    command = [sys.executable, "tests/kernels/fuzz.py", "--seed", str(seed), "--calls", str(CALLS), "--last", str(last)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TGE_ISA": isa}
    limit = 120 + CALLS // 20
    try:
        child = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        pytest.fail(f"call {last.read_text()} of seed {seed} had not ended after {limit} s")
    assert child.returncode == 0, (
        f"{isa} ended by {child.returncode}: run tests/kernels/fuzz.py --seed {seed} "
        f"--only {last.read_text().strip()}\n{child.stderr[-4000:]}"
    )
    served = int(child.stdout.split()[0])
    assert served > CALLS // 3, "too few of the calls got as far as a compiled kernel"


class Reshapes:
    """A number that changes an array's shape when it is asked for its value."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x

    def __index__(self) -> int:
        self.x.shape = (*(1,) * 20, self.x.size)
        return 0

    def __float__(self) -> float:
        return float(self.__index__())

    def __bool__(self) -> bool:
        return bool(self.__index__())


@pytest.mark.parametrize("call", [
    lambda x, n: native.sum(x, (n,), False), lambda x, n: native.sum(x, (0,), n),
    lambda x, n: native.argmax(x, n, False),
    lambda x, n: native.softmax(x, n), lambda x, n: native.layer_norm(x, None, None, n),
    lambda x, n: native.leaky_relu(x, n), lambda x, n: native.dropout(x, 0.5, n, 0, 0),
    lambda x, n: native.linear_backward(x, x, x, None, "none", n),
])  # fmt: skip
def test_no_python_code_runs_while_a_kernel_looks_at_arrays(call: Any) -> None:
    x = np.ones((4, 4), np.float32)
    with pytest.raises(TypeError, match="plain number is needed, not Reshapes"):
        call(x, Reshapes(x))
    assert x.shape == (4, 4)
    several = [Reshapes(x)]
    with pytest.raises(TypeError):
        native.sum(x, several, False)


class Number(float):
    """Its value is plain; to ask it for it is not."""

    def __float__(self) -> float:
        raise AssertionError("was asked")

    __bool__ = __index__ = __float__  # type: ignore[assignment]


def test_of_a_subclass_the_value_is_taken() -> None:
    class Axis(int):
        def __bool__(self) -> bool:
            raise AssertionError("was asked")

        __index__ = __float__ = __bool__  # type: ignore[assignment]

    x = np.array([[-1.0, 2.0], [3.0, 4.0]], np.float32)
    np.testing.assert_array_equal(native.leaky_relu(x, Number(0.5)), native.leaky_relu(x, 0.5))
    np.testing.assert_array_equal(native.sum(x, (Axis(1),), Axis(1)), x.sum(1, keepdims=True))
    assert native.sum(x, (0,), Number(0.0)).shape == (2,)
