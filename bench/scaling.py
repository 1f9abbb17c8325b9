"""Data-parallel training: speed by number of processes, what is sent, and a model for more of them.

    python -m bench.scaling [--processes 1,2] [--markdown FILE]

Measures one update of a network of linear layers, the same whole batch dealt out to 1, 2, … processes (strong
scaling), started through mpiexec with one thread each. The model for more: t(n) = t(1)/n +
bytes/bandwidth · 2(n − 1)/n, the volume of a ring all-reduce, with time and bandwidth as measured here.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np

LAYERS, BATCH, STEPS = (1024, 2048, 2048, 10), 512, 12


def worker() -> None:
    """One process of a measurement: times updates, and rank 0 tells."""
    import tinygrad_edu as tg
    from tinygrad_edu import nn, optim
    from tinygrad_edu import train as T

    tg.set_num_threads(1)
    parallel = T.DataParallel(T.MPI())
    tg.manual_seed(0)
    parts: list[nn.Module] = []
    for i, o in itertools.pairwise(LAYERS):
        parts += [nn.Linear(i, o), nn.ReLU()]
    model = nn.Sequential(*parts[:-1])
    times: list[float] = []

    class Clock(T.Callback):
        def after_update(self, trainer: object, state: object) -> None:
            times.append(time.perf_counter())

    trainer = T.Trainer(model, nn.functional.cross_entropy, optim.SGD(model.parameters(), lr=0.01), callbacks=[Clock()],
                        parallel=parallel, progress="none", record="none")  # fmt: skip
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, LAYERS[0])).astype(np.float32)
    trainer.fit((x, rng.integers(0, 10, len(x))), epochs=1, batch_size=BATCH)
    sums = []
    for _ in range(10):  # the same volume again, with nothing to compute
        array = np.zeros(sum(p.numel() for p in model.parameters()), np.float32)
        start = time.perf_counter()
        parallel._wait(parallel.communicator.start_sum(array))
        sums.append(time.perf_counter() - start)
    if parallel.rank == 0:
        report = {"step": statistics.median(np.diff(times)[1:]), "bytes": parallel.bytes_sent / STEPS,
                  "waited": parallel.seconds_waited / STEPS, "sum": statistics.median(sums)}  # fmt: skip
        sys.stdout.write(json.dumps(report) + "\n")


def measure(processes: int) -> dict[str, float]:
    """One measurement in processes of its own."""
    launcher = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if launcher is None:
        raise click.ClickException("mpiexec is not installed: pip install 'tinygrad_edu[dist]'")
    env = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = [launcher, "-n", str(processes), "--bind-to", "none", sys.executable, "-m", "bench.scaling", "--worker"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{processes} processes failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{"))))


def table(found: dict[int, dict[str, float]]) -> str:
    """Measured rows, then modelled ones, as Markdown."""
    one = found[1]["step"]
    largest = max(found)
    lines = ["| processes | ms per update | speed-up | MB sent per update and process | waiting, ms | |",
             "|---:|---:|---:|---:|---:|---|"]  # fmt: skip
    for n, row in found.items():
        sent, waited = (row["bytes"] / 1e6, 1e3 * row["waited"]) if n > 1 else (0.0, 0.0)
        step = row["step"]
        lines.append(f"| {n} | {1e3 * step:.0f} | {one / step:.2f} | {sent:.1f} | {waited:.1f} | measured |")
    if largest > 1:
        n = largest
        bandwidth = found[n]["bytes"] * 2 * (n - 1) / n / found[n]["sum"]
        for n in (4, 8, 16):
            if n > largest:
                step = one / n + found[largest]["bytes"] * 2 * (n - 1) / n / bandwidth
                lines.append(
                    f"| {n} | {1e3 * step:.0f} | {one / step:.2f} | {found[largest]['bytes'] / 1e6:.1f} | | model |"
                )
        alone = 1e3 * found[largest]["sum"]
        lines.append(
            f"\nAll-reduce of the gradients alone: {alone:.1f} ms, {bandwidth / 1e9:.1f} GB/s per process through "
            f"shared memory. The model gives every process a core and this bandwidth, and overlaps nothing."
        )
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--processes", default="1,2", show_default=True)
@click.option("--markdown", type=click.Path(path_type=Path))
@click.option("--worker", "as_worker", is_flag=True, hidden=True)
def main(processes: str, markdown: Path | None, as_worker: bool) -> None:
    """Measure and print."""
    if as_worker:
        worker()
        return
    sizes = " → ".join(map(str, LAYERS))
    text = f"Network {sizes}, batch {BATCH}, float32, SGD, one thread a process.\n\n" + table(
        {int(n): measure(int(n)) for n in processes.split(",")}
    )
    click.echo(text)
    if markdown is not None:
        markdown.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
