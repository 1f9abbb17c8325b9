"""A script written for PyTorch, run unmodified by `python -m tinygrad_edu.compat`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from .twins import digits

SCRIPTS = Path(__file__).parent / "scripts"


def test_a_script_runs_and_reads_digits(tmp_path: Path) -> None:
    x, y = digits()
    np.savez(tmp_path / "digits.npz", x=x, y=y)
    command = [sys.executable, "-W", "error", "-m", "tinygrad_edu.compat", str(SCRIPTS / "digits.py")]
    root = str(Path(__file__).parent.parent.parent)
    run = subprocess.run(
        [*command, str(tmp_path / "digits.npz"), "--epochs", "4"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    scores = [int(n) for n in re.findall(r"Accuracy: (\d+)/297", run.stdout)]
    assert len(scores) == 5
    assert scores[-1] == scores[-2]  # saved and loaded
    assert scores[-1] > 0.8 * 297
    assert "parameters: 3658" in run.stdout
    assert run.stdout.count("Train Epoch") == 12
