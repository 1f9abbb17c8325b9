"""The check build finds planted mistakes, names their lines, and raises no alarm about correct kernels."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import cuda_host

cuda_host.require()
from cuda_host import KernelError, host_gpu  # noqa: E402

BUGS = (Path(__file__).parent / "kernels" / "bugs.cu").read_text(encoding="utf-8")
SAMPLES = (Path(__file__).parent / "kernels" / "samples.cu").read_text(encoding="utf-8")
MARK = re.compile(r"// <- ([\w -]+)")


def planted() -> dict[str, dict[int, set[str]]]:
    """For each kernel of bugs.cu the lines that may be named, and as what."""
    found: dict[str, dict[int, set[str]]] = {}
    for number, line in enumerate(BUGS.splitlines(), 1):
        if m := re.match(r"KERNEL\((\w+)\)", line):
            found[m[1]] = {}
        elif m := MARK.search(line):
            found[list(found)[-1]][number] = set(m[1].split())
    return found


PLANTED = planted()


def run_bug(name: str, seed: int, build: str = "check") -> np.ndarray:
    gpu = host_gpu(build, seed)
    module = gpu.raw_module(BUGS)
    x, y = gpu.to_device(np.linspace(0, 1, 128, dtype=np.float32)), gpu.cupy.empty((128,), np.float32)
    module.get_function(name)((2,), (64,), (x, y, np.int32(64)), shared_mem=256)
    return gpu.to_host(y)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", PLANTED)
def test_planted_mistakes_are_found(name: str, seed: int) -> None:
    assert PLANTED[name], "no line is marked"
    with pytest.raises(KernelError) as caught:
        run_bug(name, seed)
    expected = set().union(*PLANTED[name].values())
    assert caught.value.kinds & expected
    for kind, text in caught.value.problems:
        lines = {int(n) for n in re.findall(r"kernels\.cu:(\d+)", text)}
        assert lines, text
        assert "cuda_host" not in text
        assert lines <= PLANTED[name].keys(), text
        early = kind == "uninitialised" and "race" in expected  # what comes before the write reads nothing
        assert early or any(kind in PLANTED[name][line] for line in lines), (kind, text)
        assert re.search(r"block [01] thread \d+", text), text


def test_a_report_reads_well() -> None:
    with pytest.raises(KernelError) as caught:
        run_bug("no_barrier_after_store", 0)
    line = min(PLANTED["no_barrier_after_store"])
    pattern = (
        r"no_barrier_after_store: \[race\] (read after write|write after read): block [01] thread \d+ (reads|writes) "
        r"byte \d+ of shared no_barrier_after_store::s \(256 bytes\), and no barrier orders it with "
        rf"block [01] thread \d+ at kernels\.cu:({line}|{line + 1}) and kernels\.cu:({line}|{line + 1})"
    )
    assert re.fullmatch(pattern, str(caught.value).splitlines()[0])
    with pytest.raises(
        KernelError, match=r"block 1 thread 63 reads 4 bytes that no array holds: byte 512 of argument 0 \(512 bytes\)"
    ):
        run_bug("off_by_one_load", 0)


def test_the_checks_are_needed() -> None:
    """Threads in their own order and no checks: most of the planted mistakes pass there."""
    passed = 0
    for name, lines in PLANTED.items():
        if set().union(*lines.values()) & {"misaligned", "out-of-bounds"}:
            continue  # these may end the process
        try:
            run_bug(name, 0, "fast")
            passed += 1
        except KernelError:
            pass
    assert passed >= 12


@pytest.mark.parametrize("seed", range(8))
def test_no_alarm_about_correct_kernels(seed: int) -> None:
    """All samples, on sizes that leave threads idle; test_host.py compares their results."""
    gpu = host_gpu("check", seed)
    module = gpu.raw_module(SAMPLES)
    rng = np.random.default_rng(seed)
    put, f, i = gpu.to_device, np.float32, np.int32

    def run(name: str, grid: int, block: tuple[int, ...], *args: object, shared_mem: int = 0) -> None:
        module.get_function(name)((grid,), block, args, shared_mem=shared_mem)

    x = put(rng.standard_normal(700, dtype=f))
    new = lambda n, t=f: gpu.cupy.empty((n,), t)
    run("scale_add", 3, (96,), x, x, new(700), f(2), np.int64(700))
    run("scale4", 6, (32,), x, new(700), f(2), i(699))
    run("matmul_tile16", 2, (16, 16), x, x, new(16 * 21), i(16), i(21), i(30))
    run("block_sums", 4, (64,), x, new(4), i(200), shared_mem=256)
    run("softmax_rows", 3, (96,), x, new(700), i(7), i(100))
    run("warp_tree", 1, (32,), x, new(1), i(32))
    counts = put(np.zeros(9, i)), put(np.zeros(1, f))
    run("histogram", 4, (100,), put(rng.integers(0, 9, 350, dtype=i)), *counts, i(350))
    run("warp_words", 1, (32,), put(np.arange(32, dtype=i)), new(352, i))
    run("votes", 1, (96,), put(np.arange(96, dtype=i)), new(96, i))
    run("async_rotate", 1, (32,), x, new(640), i(5))
