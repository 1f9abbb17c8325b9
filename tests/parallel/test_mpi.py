"""Two and four processes against one: the same parameters; and what happens when one of them fails."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu.train import load_checkpoint

pytest.importorskip("mpi4py")
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
if MPIEXEC is None:
    pytest.skip("mpi4py is here, but no mpiexec", allow_module_level=True)
PROGRAM = Path(__file__).with_name("program.py")
ROOT = PROGRAM.parents[2]


def mpiexec(n, arguments):
    """Run Python with these arguments in n processes."""
    env = os.environ | {
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "PMIX_MCA_gds": "hash",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }  # fmt: skip
    command = [MPIEXEC, "-n", str(n), sys.executable, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def launch(n, **options):
    """Run the program in n processes; exit status, reports by rank, standard error, seconds."""
    start = time.monotonic()
    done = mpiexec(n, [str(PROGRAM), json.dumps(options)])
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return done.returncode, sorted(reports, key=lambda r: r["rank"]), done.stderr, time.monotonic() - start


def assert_equal_parameters(a, b, tolerance):
    for name, values in a["parameters"].items():
        np.testing.assert_allclose(b["parameters"][name], values, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize(
    "options",
    [
        {},  # 90 rows in batches of 16: the last has 10
        {"optimizer": "adam"},
        {"rows": 49, "accumulate": 3},  # the last batch has one row: some processes have none
        {"weights": True, "rows": 67},
    ],
    ids=["sgd", "adam", "one row left", "weights"],
)
def test_processes_together_are_one_process(options):
    _, (one,), _, _ = launch(1, **options)
    for n in (2, 4):
        status, reports, error, _ = launch(n, **options)
        assert status == 0, error
        assert len(reports) == n
        assert len({r["sha"] for r in reports}) == 1  # to the bit among each other
        assert_equal_parameters(one, reports[0], 1e-6)
        assert reports[0]["steps"] == one["steps"]
        for row, wanted in zip(reports[0]["rows"], one["rows"], strict=True):
            assert row == pytest.approx(wanted, abs=1e-6)


def test_the_volume_sent_is_that_of_the_gradients():
    status, reports, error, _ = launch(2, epochs=2)
    assert status == 0, error
    assert launch(2, epochs=2)[1][0]["sha"] == reports[0]["sha"]  # the same bits again
    numbers = 6 * 16 + 16 + 16 * 16 + 16 + 16 * 2 + 2
    assert reports[0]["bytes"] == numbers * 8 * reports[0]["steps"]


def test_one_process_may_stop_all():
    status, reports, error, _ = launch(2, trouble="stops")
    assert status == 0, error
    assert [r["stopped"] for r in reports] == ["enough, says the last process"] * 2
    assert len({r["sha"] for r in reports}) == 1


@pytest.mark.parametrize("trouble", ["killed", "raises", "hangs"])
def test_a_lost_process_ends_the_others_within_seconds(trouble):
    status, reports, error, seconds = launch(2, trouble=trouble, epochs=1000, timeout=3.0)
    assert status != 0
    assert reports == []
    assert seconds < 30
    if trouble == "raises":
        assert "the disk of this process is on fire" in error
    if trouble == "hangs":
        assert "silent for 3 s" in error


@pytest.mark.parametrize("other", ["parameters", "optimiser"])
def test_a_process_with_another_start_is_refused(other):
    status, reports, error, _ = launch(2, other=other)
    assert status != 0
    assert reports == []
    assert f"process 1 has other {other} than process 0" in error


def test_the_command(tmp_path):
    arguments = ["-m", "tinygrad_edu.cli", "train", "digits", "--epochs", "4", "--hidden", "16", "--out"]
    done = mpiexec(2, [*arguments, str(tmp_path / "two"), "--dist", "mpi"])
    assert done.returncode == 0, done.stderr
    assert "2 processes, each with its part of every batch" in done.stdout
    assert done.stdout.count("test accuracy") == 1
    assert subprocess.run([sys.executable, *arguments, str(tmp_path / "one"), "--quiet"], cwd=ROOT).returncode == 0
    paths = [tmp_path / name / "digits-1" / "ckpt" / "final.safetensors" for name in ("one", "two")]
    one, two = (load_checkpoint(path)["model"] for path in paths)
    for name in one:
        np.testing.assert_allclose(two[name].numpy(), one[name].numpy(), rtol=0, atol=2e-5)  # float32, 136 Adam steps
