"""Peak memory of each training step, each engine in a process of its own: `python -m bench memory`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .cases import steps

STEPS = 5


def peak() -> float:
    """Bytes of this process at its largest so far (Linux; elsewhere the usage the system counts)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024.0 * next(float(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except OSError:
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(used if sys.platform == "darwin" else used * 1024)


def worker(number: int, engine: str, threads: int) -> None:
    """Take some steps of one program, and tell the peak after the import and at the end."""
    if engine == "torch":
        import torch as module
    else:
        import tinygrad_edu as module  # type: ignore[no-redef]
    module.set_num_threads(threads)
    module.ones(2)
    start = peak()
    _, build, optimizer, _, _ = steps.STEPS[number]
    step = build(module, optimizer)
    for _ in range(STEPS):
        step()
    sys.stdout.write(json.dumps({"import": start, "peak": peak()}) + "\n")


def measure(number: int, engine: str, threads: int) -> dict[str, float]:
    """The worker's report."""
    code = f"from bench import memory; memory.worker({number}, {engine!r}, {threads})"
    root = str(Path(__file__).resolve().parent.parent)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"memory of {steps.STEPS[number][0]} in {engine}: {done.stderr.strip()[-500:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def rows(threads: int, quick: bool) -> list[dict[str, Any]]:
    """A row a step: bytes in all, and beyond what the import took."""
    found = []
    for number in [1] if quick else range(len(steps.STEPS)):
        ours, theirs = (measure(number, engine, threads) for engine in ("tinygrad_edu", "torch"))
        found.append({
            "family": "memory", "name": steps.STEPS[number][0], "bytes": {"tinygrad_edu": ours, "torch": theirs},
            "ratio": theirs["peak"] / ours["peak"],
            "ratio_beyond_import": (theirs["peak"] - theirs["import"]) / max(ours["peak"] - ours["import"], 1.0),
        })  # fmt: skip
    return found
