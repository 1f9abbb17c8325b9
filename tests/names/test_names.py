"""Every name against PyTorch: one line a name in `operators` and `functional`, everything else by `harness`."""

from __future__ import annotations

from typing import Any

import functional
import operators
import pytest
from harness import FLOATS, Call, arrays, compare, resolve, run, spread

import tinygrad_edu as tg

torch = pytest.importorskip("torch")
CALLS = [pytest.param(call, id=f"{call.name}-{i}") for i, call in enumerate([*operators.CALLS, *functional.CALLS])]


@pytest.mark.parametrize("call", CALLS)
def test_same_as_pytorch(call: Call) -> None:
    """Values, dtypes, shapes, gradients, second gradients; the same calls are refused."""
    for shape in call.shapes:
        for dtype in call.dtypes:
            values = arrays(call, shape, dtype)
            grad = call.grad and dtype in FLOATS
            theirs, mine = (run(module, call, [v.copy() for v in values], grad=grad) for module in (torch, tg))
            try:
                compare(mine, theirs, dtype)
            except AssertionError as error:
                raise AssertionError(f"{call.name} of {dtype} {shape or [v.shape for v in values]}: {error}") from None


@pytest.mark.parametrize("call", [c for c in CALLS if c.values[0].layout])
def test_any_layout(call: Call) -> None:
    """Transposed and stepped memory gives the same numbers."""
    for shape in call.shapes:
        values = arrays(call, shape, call.dtypes[0])
        plain = run(tg, call, [v.copy() for v in values], grad=False)
        strided = run(tg, call, [spread(v) for v in values], grad=False)
        compare(strided, plain, call.dtypes[0])


@pytest.mark.parametrize("call", [c for c in CALLS if c.values[0].method])
def test_as_method_and_in_place(call: Call) -> None:
    """The method, and the one with _, where PyTorch has them; in place on floats and on integers."""
    name = call.name.rpartition(".")[2]
    for how, twin in (("method", name), ("in place", name + "_")):
        if not hasattr(torch.Tensor, twin):
            continue
        assert hasattr(tg.Tensor, twin), f"the method {twin} is missing"
        for dtype in [d for d in ("float64", "int64") if d in call.dtypes]:
            values = arrays(call, call.shapes[0], dtype)
            grad = call.grad and dtype == "float64"
            theirs, mine = (run(module, call, [v.copy() for v in values], how, grad) for module in (torch, tg))
            compare(mine, theirs, dtype)


@pytest.mark.parametrize("call", [c for c in CALLS if c.values[0].keywords])
def test_names_of_arguments(call: Call) -> None:
    """PyTorch takes the arguments under the names they have here."""
    values = arrays(call, call.shapes[0], call.dtypes[0])
    theirs, mine = (run(module, call, [v.copy() for v in values], "keyword", False) for module in (torch, tg))
    plain = run(torch, call, [v.copy() for v in values], grad=False)
    assert theirs.error is None or plain.error is not None, f"PyTorch does not know these names: {theirs.error}"
    compare(mine, theirs, call.dtypes[0])


def test_every_operator_has_a_call() -> None:
    tested = {call.values[0].name for call in CALLS}
    for module, prefix in ((tg, ""), (tg.linalg, "linalg."), (tg.nn.functional, "F.")):
        twin: Any = resolve(torch, prefix.rstrip(".")) if prefix else torch
        public = {n for n in dir(module) if not n.startswith("_") and callable(getattr(module, n)) and hasattr(twin, n)}
        missing = (
            {prefix + n for n in public if not isinstance(getattr(module, n), type)}
            - tested
            - operators.ELSEWHERE
            - functional.ELSEWHERE
        )
        assert not missing, sorted(missing)
