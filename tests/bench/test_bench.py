"""The benchmarks' machinery: every case runs and agrees with PyTorch; reports say what was measured. Never a time."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import tinygrad_edu as tg

torch = pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
main = pytest.importorskip("bench.__main__").main
from bench import ladder, measure, report  # noqa: E402
from bench.cases import kernels, overhead, steps  # noqa: E402

QUICK = measure.Effort.quick()
LIMITS = {"flops": 1e11, "bandwidth": 1e10}
ENGINES = {"tinygrad_edu": tg, "torch": torch}
CASES = [*kernels.cases(quick=True), *overhead.cases(quick=True), *steps.cases()]


@pytest.fixture(autouse=True)
def _threads() -> Any:
    before = torch.get_num_threads(), tg.get_num_threads()
    yield
    torch.set_num_threads(before[0])
    tg.set_num_threads(before[1])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}, {case.name}")
def test_both_libraries_compute_the_same(case: measure.Case) -> None:
    row = measure.measure(case, ENGINES, LIMITS, QUICK)
    assert row["status"] == "measured"
    assert row["error"] <= case.tolerance
    assert row["ratio"] > 0
    assert row["rounds"] == 2
    assert ("of_limit" in row) == bool(case.flops or case.bytes)


def test_a_wrong_result_is_no_time() -> None:
    case = measure.Case("x", "wrong", lambda module: lambda: module.ones(3) * (2 if module is tg else 1))
    with pytest.raises(measure.WrongResultError, match=r"wrong, torch: result 0 differs by 1"):
        measure.measure(case, ENGINES, LIMITS, QUICK)
    case = measure.Case("x", "shape", lambda module: lambda: module.ones(3 if module is tg else 2))
    with pytest.raises(measure.WrongResultError, match=r"\(3,\) here and \(2,\) there"):
        measure.measure(case, ENGINES, LIMITS, QUICK)
    missing = measure.Case("x", "new", lambda module: getattr(module, "nothing_like_it" if module is tg else "ones"))
    assert measure.measure(missing, ENGINES, LIMITS, QUICK)["status"] == "missing"


def test_turns_are_taken_and_alternate() -> None:
    """Each of two calls here, the first of them not timed."""
    order: list[str] = []
    runs = {name: lambda n=name: order.append(n) for name in "ab"}
    times = measure.interleaved(runs, measure.Effort(seconds=0.0, batch=0.0, rounds=4))
    assert [len(t) for t in times.values()] == [4, 4]
    assert "".join(order[-16:]) == "aabbbbaaaabbbbaa"


def test_threads_that_have_slept_are_given_time_to_find_their_processors() -> None:
    def calls(settle: float) -> int:
        made: list[None] = []
        measure.interleaved({"one": lambda: made.append(None)}, measure.Effort(0.0, 0.0, rounds=3, settle=settle))
        return len(made)

    assert calls(0.0) < 13  # as many as are timed, and a few before
    assert calls(0.005) > 100


@pytest.mark.skipif(shutil.which("g++") is None, reason="the ladder and the probes are compiled when they are needed")
def test_the_whole_command(tmp_path: Path) -> None:
    names = {n: tmp_path / n for n in ("r.json", "r.md", "r.png")}
    done = CliRunner().invoke(main, ["all", "--quick", "--threads", "2", "--json", str(names["r.json"]), "--markdown",
                                     str(names["r.md"]), "--plot", str(names["r.png"])])  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(names["r.json"].read_text())
    assert list(found["parts"]) == ["kernels", "steps", "overhead", "memory", "ladder"]
    assert found["threads"] == 2
    assert found["limits"]["flops"] > 1e8
    assert found["limits"]["bandwidth"] > 1e7
    assert names["r.png"].read_bytes()[:4] == b"\x89PNG"
    text = names["r.md"].read_text()
    assert text == report.markdown(found)
    for row in found["parts"]["kernels"]:
        assert row["name"] in text
    steps_of = [row["name"] for row in found["parts"]["ladder"] if row["family"].startswith("matmul")]
    assert len(steps_of) == len(ladder.matmul_steps()) + 2
    for row in found["parts"]["memory"]:
        assert row["bytes"]["tinygrad_edu"]["peak"] >= row["bytes"]["tinygrad_edu"]["import"] > 1e7


@pytest.mark.skipif(shutil.which("g++") is None, reason="the ladder is compiled when it is needed")
@pytest.mark.parametrize("size", [1, 7, 33, 130])
def test_every_step_of_the_ladder_is_right_for_any_size(size: int) -> None:
    for runs, results in (ladder.matmul(size, 3), ladder.softmax(size, size + 1)):
        for name, result in results.items():
            if name:
                runs[name]()
                np.testing.assert_allclose(result, results[""], rtol=1e-4, atol=1e-4 * size, err_msg=name)


def test_what_is_lost_is_marked() -> None:
    seconds = {n: {"median": 1e-3, "q1": 9e-4, "q3": 1.1e-3} for n in ENGINES}
    row = {"family": "matmul", "name": "64³ NN", "status": "measured", "ratio": 0.5, "of_limit": 0.2,
           "bound": "arithmetic", "seconds": seconds}  # fmt: skip
    assert "0.50 ▼" in report.timed([row])
    assert "**missed**" in report.families([row])
    assert "0.50 (64³ NN) | ≥ 1, each ≥ 0.85" in report.families([row])
    assert "**missed**" in report.goals([{**row, "goal": 2}])
    assert "reached" in report.goals([{**row, "goal": 0.4}])


def test_refusals() -> None:
    done = CliRunner().invoke(main, ["nothing"])
    assert done.exit_code == 2
    done = CliRunner().invoke(main, ["steps", "--threads", "0"])
    assert done.exit_code == 2
