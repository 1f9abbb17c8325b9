"""Do the tests notice? Changes the text of the kernels in one place at a time and runs their tests in the check build.

    python tests/cuda_host/mutate.py --per-file 8 --jobs 2

A mutant is killed if a test fails, the checks report it, or it does not come to an end. The list of those that live is
for reading: each is a test that is missing, or a change that means the same. The latter are kept in `equivalents.py`,
with the reason, and not tried again.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from cuda_host.equivalents import EQUIVALENT

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "csrc" / "cuda"
TESTS = "tests/cuda"
# The tests of each file, as pytest's -k takes them.
OF_FILE = {
    "attention.cu": "test_attention",
    "common.cuh": "softmax or random_streams or optimisers or long_rows or reductions or integers or of_one or of_two "
    "or nan_and_infinity or test_layers or class or out_of_range",
    "elementwise.cu": "test_of_two or test_of_one or broadcasting or nan_and_infinity or mse",
    "gemm.cu": "matmul or test_layers",
    "gemm128.cu": "matmul or test_layers or split",
    "gemm_tensor.cu": "test_tensor_cores",
    "indexing.cu": "index_arrays or out_of_range",
    "integers.cu": "integers_and_booleans",
    "memory.cu": "test_memory or copies",
    "optimisers.cu": "optimisers or of_lists or test_lists",
    "order.cu": "argsort or cumsum or index_arrays_add",
    "random.cu": "random_streams",
    "recurrent.cu": "recurrent_cells",
    "reduce.cu": "reductions or long_rows",
    "rows.cu": "test_norms or test_tables",
    "softmax.cu": "softmax or cross_entropy or class",
    "windows.cu": "convolutions or pools or positions",
}
CHANGES = [
    ("drop barrier", r"__sync(threads|warp)\([^)]*\);", ";"),
    ("< to <=", r"(?<=[\w)\]]) < (?=[\w(-])", " <= "),
    ("<= to <", r" <= ", " < "),
    ("> to >=", r"(?<=[\w)\]]) > (?=[\w(-])", " >= "),
    (">= to >", r" >= ", " > "),
    ("== to !=", r" == ", " != "),
    ("&& to ||", r" && ", " || "),
    ("|| to &&", r" \|\| ", " && "),
    ("+ to -", r"(?<=[\w)\]]) \+ (?=[\w(])", " - "),
    ("- to +", r"(?<=[\w)\]]) - (?=[\w(])", " + "),
    ("* to +", r"(?<=[\w)\]]) \* (?=[\w(])", " + "),
    ("+= to -=", r" \+= ", " -= "),
    ("constant", r"(?<![\w.])(0|1|2|4|16|32|64)(?![\w.]|;  //)", None),
    ("constant", r"(?<![\w.])(\d+\.\d+)(?![\w.])", None),
    ("stride", r"\.s([0-3])\b", None),
]


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    kind: str
    line: int
    after: str  # the changed line, without its comment
    text: str


def mutants(file: str) -> Iterator[Mutant]:
    """Every single change of a file, those of comments and of preprocessor lines left out."""
    source = (SOURCES / file).read_text(encoding="utf-8")
    for kind, pattern, replacement in CHANGES:
        for m in re.finditer(pattern, source):
            start = source.rfind("\n", 0, m.start()) + 1
            line = source[start : source.find("\n", m.start())]
            if "//" in source[start : m.start()] or re.match(r"\s*#(if|pragma|include|endif|else)", line):
                continue
            if "__launch_bounds__" in line and kind == "constant":
                continue  # how many registers there may be: tests/cuda/test_compiled.py
            new = replacement or changed(m)
            text = source[: m.start()] + new + source[m.end() :]
            after = (
                text[start : text.find("\n", start + len(line) + len(new) - len(m[0]))].split("  //")[0].strip(" \\")
            )
            if new != m[0] and after not in EQUIVALENT.get(file, {}):
                yield Mutant(file, kind, source.count("\n", 0, start) + 1, after, text)


def changed(m: re.Match[str]) -> str:
    """Another stride or constant."""
    if m[0].startswith(".s"):
        return f".s{(int(m[1]) + 1) % 4}"
    return f"{float(m[0]) * 1.25 + (float(m[0]) == 0):.1f}" if "." in m[0] else str(int(m[0]) + 1)


def trial(mutant: Mutant, cache: str, limit: int) -> str:
    """How a mutant ends: "lives", or what kills it."""
    with tempfile.TemporaryDirectory() as folder:
        for path in SOURCES.iterdir():
            text = mutant.text if path.name == mutant.file else path.read_text(encoding="utf-8")
            (Path(folder) / path.name).write_text(text, encoding="utf-8")
        environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
            "TGE_CUDA_HOST": "check",
            "TGE_CUDA_HOST_CACHE": cache,
            "TGE_CUDA_HOST_SOURCES": folder,
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "cuda_host.mutate"]
        command += [TESTS, "-k", f"({OF_FILE[mutant.file]} or test_mutants) and not learn"]
        try:
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return "no end"
    if "BuildError" in done.stdout or "CompileError" in done.stdout:
        return "does not compile"
    if done.returncode == 0:
        return "lives"
    if done.returncode != 1:
        return "crash"
    found = re.search(
        r"\[(race|out-of-bounds|uninitialised|misaligned|divergent-\w+|index|arithmetic|shuffle)\]", done.stdout
    )
    return found[1] if found else "wrong result"


def pytest_configure(config: object) -> None:
    """As a plugin of the runs: the kernels' text is that of the mutant."""
    if folder := os.environ.get("TGE_CUDA_HOST_SOURCES"):
        from tinygrad_edu.kernels.cuda import gpu

        gpu.sources = lambda: Path(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", nargs="*", default=list(OF_FILE))
    parser.add_argument("--per-file", type=int, default=8, help="mutants drawn from each file")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=120, help="seconds for each")
    options = parser.parse_args()
    draw, chosen = random.Random(options.seed), []
    for file in options.files:
        of_file = list(mutants(file))
        barriers = [m for m in of_file if m.kind == "drop barrier"]
        rest = [m for m in of_file if m.kind != "drop barrier"]
        chosen += draw.sample(barriers, min(2, len(barriers)))
        chosen += draw.sample(rest, min(options.per_file, len(rest)))
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(options.jobs) as pool:
        for mutant, end in zip(chosen, pool.map(lambda m: trial(m, cache, options.limit), chosen), strict=True):
            ends[end] += 1
            mark = "LIVES" if end == "lives" else end
            print(
                f"{time.strftime('%H:%M:%S')} {mutant.file}:{mutant.line} {mutant.kind}: {mark}  {mutant.after}",
                flush=True,
            )
    counted = sum(ends.values()) - ends["does not compile"]
    killed = counted - ends["lives"]
    print(f"{dict(ends)}\n{killed} of {counted} killed: {100 * killed / max(counted, 1):.1f} %")
    return int(killed < 0.95 * counted)


if __name__ == "__main__":
    sys.exit(main())
