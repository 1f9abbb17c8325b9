"""`tge split`, `compare`, `resume`, `verify`: looking at splits and at runs that are there."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import train as training

from ..tune.table import text_table
from . import experiment
from .experiment import TABLES, Refused
from .options import tell


@click.command()
@click.argument("data", type=click.Choice(TABLES))
@click.option("--split", "how", type=click.Choice(["random", "writer"]), default="random", show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def split(data: str, how: str, seed: int, as_json: bool) -> None:
    """Show how DATA is split: rows of train, dev and test, the share of each class, and copies across parts.

    The model learns on train; dev is for choosing between settings; test is read once, for the report. The split
    depends on the seed alone.
    """
    if how not in tg.data.SPLITS[data]:
        raise Refused(f"{data} has no split {how!r}; it has {', '.join(tg.data.SPLITS[data])}")
    source = tg.data.load_digits() if data == "digits" else tg.data.load_diabetes()
    made = source.split(how, seed=seed)
    parts = {"train": made.train.indices, "dev": made.dev.indices, "test": made.test.indices}
    facts: dict[str, Any] = {"data": data, "split": how, "seed": seed, "duplicates": made.duplicates,
                             "rows": {name: len(rows) for name, rows in parts.items()}}  # fmt: skip
    text = str(made)
    if data == "digits":
        shares = {name: np.bincount(source.y[rows], minlength=10).tolist() for name, rows in parts.items()}
        facts["classes"] = shares
        text += "\n\n" + text_table(
            [{"digit": d, **{name: counts[d] for name, counts in shares.items()}} for d in range(10)]
        )
    tell(text, facts, as_json)


def read_result(run: Path) -> dict[str, Any]:
    """A finished run's result.json."""
    try:
        result = json.loads((run / "result.json").read_text(encoding="utf-8"))
        return dict(result)
    except OSError:
        raise Refused(f"{run}: has no result.json; is it a finished run of tge train?") from None
    except ValueError as error:
        raise Refused(f"{run / 'result.json'}: damaged: {error}") from None


def final_parameters(run: Path) -> dict[str, np.ndarray]:
    """The parameters of a run, verified against their checksums."""
    path = run / "ckpt" / "final.safetensors"
    try:
        saved = training.load_checkpoint(path if path.exists() else run / "ckpt" / "last.safetensors")
        return {name: np.asarray(tensor.numpy()) for name, tensor in saved["model"].items()}
    except training.CheckpointError as error:
        raise Refused(str(error)) from None


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--params", is_flag=True, help="Also how the values of the parameters differ.")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def compare(a: Path, b: Path, params: bool, as_json: bool) -> None:
    """Compare two finished runs: which hyperparameters differ, which results, and, with --params, which parameters.

    The same model trained on other rows has the same number of parameters with other values; two good models may
    differ much in their parameters and little in what they predict.
    """
    configs = [asdict(experiment.read_config(run)) for run in (a, b)]
    results = [read_result(run) for run in (a, b)]
    changed = {k: [c[k] for c in configs] for k in configs[0] if configs[0][k] != configs[1][k]}
    facts: dict[str, Any] = {"hyperparameters": changed}
    lines = ["hyperparameters that differ: " + ("none" if not changed else "")]
    lines += [f"  {name:<20} {va!s:>16} {vb!s:>16}" for name, (va, vb) in changed.items()]
    both = [k for k in results[0] if k in results[1] and isinstance(results[0][k], int | float)]
    facts["results"] = {k: [r[k] for r in results] for k in both}
    lines += ["", f"{'result':<22} {'a':>16} {'b':>16} {'b - a':>16}"]
    lines += [
        f"{k:<22} {results[0][k]:>16.6g} {results[1][k]:>16.6g} {results[1][k] - results[0][k]:>+16.6g}" for k in both
    ]
    same = results[0].get("sha256") == results[1].get("sha256")
    facts["same_parameters"] = same
    lines += ["", "parameters: equal to the last bit" if same else "parameters: different"]
    if params:
        values = [final_parameters(run) for run in (a, b)]
        counts = [sum(v.size for v in p.values()) for p in values]
        facts["parameters"] = {"counts": counts, "differences": {}}
        lines.append(f"  {counts[0]:,} numbers in a, {counts[1]:,} in b")
        lines.append(f"  {'name':<16} {'shape':<14} {'rms of a':>10} {'rms of b':>10} {'largest difference':>19}")
        for name in values[0]:
            if name not in values[1] or values[0][name].shape != values[1][name].shape:
                lines.append(f"  {name:<16} of another shape, or not in b")
                continue
            x, y = values[0][name].astype(np.float64), values[1][name].astype(np.float64)
            difference = float(abs(x - y).max()) if x.size else 0.0
            rms = [float(np.sqrt((v**2).mean())) for v in (x, y)]
            facts["parameters"]["differences"][name] = difference
            lines.append(f"  {name:<16} {x.shape!s:<14} {rms[0]:>10.4g} {rms[1]:>10.4g} {difference:>19.4g}")
    tell("\n".join(lines), facts, as_json)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--epochs", type=click.IntRange(min=1), help="Train until so many epochs are done.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads for the kernels.")
@click.option("--spend-test-set", is_flag=True, help="Read the test rows of a finished run a second time.")
@click.option("--quiet", is_flag=True, help="Print one line, at the end.")
@click.pass_context
def resume(context: click.Context, run: Path, epochs: int | None, threads: int | None, spend_test_set: bool,
           quiet: bool) -> None:  # fmt: skip
    """Go on with the interrupted training in the folder RUN, as if it had never stopped, to the last bit."""
    if not run.is_dir():
        raise Refused(f"{run}: there is no such run folder")
    if threads is not None:
        tg.set_num_threads(threads)
    name = experiment.read_config(run).data
    params = experiment.resumed(run, name, {} if epochs is None else {"epochs": epochs})
    context.exit(experiment.train(run, params, quiet=quiet, spend_test_set=spend_test_set))


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
@click.pass_context
def verify(context: click.Context, run: Path, other: Path | None, as_json: bool) -> None:
    """Check that RUN is whole; with OTHER, that both ended with the same parameters, to the last bit.

    Every checksum of the checkpoints is recomputed, and the parameters' SHA-256 compared with result.json. Exit status
    1 if something does not hold.
    """
    checks: list[tuple[str, bool, str]] = []
    hashes = []
    for folder in [run] if other is None else [run, other]:
        experiment.check_folder(folder)
        told = read_result(folder)["sha256"]
        for file in sorted((folder / "ckpt").glob("*.safetensors")):
            try:
                training.load_checkpoint(file)
                checks.append((f"{file}: every checksum", True, ""))
            except training.CheckpointError as error:
                checks.append((f"{file}: every checksum", False, str(error)))
        found = ""
        with contextlib.suppress(Refused):  # told above
            found = parameters_hash(final_parameters(folder))
        checks.append(
            (f"{folder}: parameters are those of result.json", found == told, f"{found[:16]}… and {told[:16]}…")
        )
        hashes.append(found)
    if other is not None:
        checks.append(("both runs have the same parameters", hashes[0] == hashes[1],
                       f"{hashes[0][:16]}… and {hashes[1][:16]}…"))  # fmt: skip
    good = all(ok for _, ok, _ in checks)
    text = "\n".join(f"{'ok ' if ok else 'NO '} {what}" + (f": {why}" if not ok else "") for what, ok, why in checks)
    tell(text, {"ok": good, "sha256": hashes, "checks": [{"what": w, "ok": k} for w, k, _ in checks]}, as_json)
    context.exit(0 if good else 1)


class _Named:
    """Arrays with a state_dict, which is all that a fingerprint looks at."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays

    def state_dict(self) -> dict[str, np.ndarray]:
        """The arrays."""
        return self.arrays


def parameters_hash(arrays: dict[str, np.ndarray]) -> str:
    """The fingerprint of parameters by name."""
    return training.fingerprint(_Named(arrays))
