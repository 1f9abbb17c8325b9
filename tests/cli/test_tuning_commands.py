"""search, seeds, split, compare, resume, verify, estimate, finetune, transfer: what they print is what is so."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from tinygrad_edu import train as T
from tinygrad_edu.cli import estimate
from tinygrad_edu.cli.commands import cli
from tinygrad_edu.data import load_digits


def invoke(*args, status=0):
    done = CliRunner().invoke(cli, [str(a) for a in args])
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    for seed in (0, 0, 1):
        invoke("train", "digits", "--out", out, "--epochs", 8, "--hidden", 32, "--seed", seed, "--quiet")
    return out


@pytest.mark.parametrize("strategy", ["grid", "halving", "random", "optuna"])
def test_search(strategy, tmp_path):
    if strategy == "optuna":
        pytest.importorskip("optuna")
    space = ["--lr", "1e-3,1e-2", "--hidden", "4,8x4"] if strategy in ("grid", "halving") else ["--lr", "1e-3..1e-1"]
    command = ["search", strategy, "digits", *space, "--epochs", 3, "--n", 4, "--out", tmp_path]
    text = invoke(*command)
    folder = tmp_path / f"search-{strategy}-digits"
    found = json.loads((folder / "result.json").read_text())
    assert len(found["rows"]) == 4
    assert "test_accuracy" not in found
    assert not (folder / "test-readings.json").exists()
    assert found["dev"] == max(row["accuracy"] for row in found["rows"] if row["epochs"] == 3)
    assert f"accuracy {found['dev']:.4f}" in text
    assert (folder / "heatmap.png").exists() == (strategy in ("grid", "halving"))
    again = json.loads(invoke(*command, "--json"))
    assert again["rows"] == found["rows"]


def test_a_search_reads_the_test_rows_only_when_told_and_once(tmp_path):
    command = ["search", "grid", "digits", "--lr", "1e-2", "--epochs", 2, "--out", tmp_path, "--test"]
    assert "on test, read once: loss" in invoke(*command)
    assert "have been read before" in invoke(*command, status=2)
    assert "on test" in invoke(*command, "--spend-test-set")
    readings = json.loads((tmp_path / "search-grid-digits" / "test-readings.json").read_text())["readings"]
    assert len(readings) == 2


def test_search_on_diabetes_minimises(tmp_path):
    command = ["search", "grid", "diabetes", "--lr", "1e-4,1e-1", "--hidden", "0", "--epochs", 5, "--out", tmp_path]
    found = json.loads(invoke(*command, "--json"))
    assert found["dev"] == min(row["loss"] for row in found["rows"])
    assert found["best"] == {"lr": 0.1, "hidden": []}


def test_seeds_one_source_at_a_time():
    text = invoke("seeds", "digits", "-n", 3, "--epochs", 3, "--hidden", 8, "--vary", "init,order,threads,device",
                  "--ensemble")  # fmt: skip
    lines = {line.split()[0]: line.split() for line in text.splitlines()}
    assert float(lines["init"][2]) > 0
    assert float(lines["order"][2]) > 0
    assert float(lines["threads"][2]) == 0
    assert "no GPU here" in text
    found = json.loads(invoke("seeds", "diabetes", "-n", 2, "--epochs", 2, "--vary", "split", "--json"))
    assert found["sources"]["split"]["sd"] > 0
    assert "there are init, order" in invoke("seeds", "digits", "--vary", "weather", status=2)


def test_split():
    found = json.loads(invoke("split", "digits", "--json"))
    assert found["rows"] == {"train": 1079, "dev": 359, "test": 359}
    assert (
        np.sum([found["classes"][p] for p in ("train", "dev", "test")], axis=0).tolist()
        == np.bincount(load_digits().y).tolist()
    )
    assert "contiguous blocks" in invoke("split", "digits", "--split", "writer")
    assert "no split 'writer'" in invoke("split", "diabetes", "--split", "writer", status=2)


def test_compare_and_verify(runs):
    a, same, other = (runs / f"digits-{n}" for n in (1, 2, 3))
    assert "equal to the last bit" in invoke("compare", a, same)
    text = invoke("compare", a, other, "--params")
    assert "seed" in text.splitlines()[1]
    assert "2,410 numbers in a, 2,410 in b" in text
    found = json.loads(invoke("compare", a, other, "--params", "--json"))
    assert found["parameters"]["differences"]["0.weight"] > 0.01
    assert found["same_parameters"] is False
    assert json.loads(invoke("verify", a, same, "--json"))["ok"]
    assert "NO  both runs have the same parameters" in invoke("verify", a, other, status=1)
    file = same / "ckpt" / "final.safetensors"
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert "checksum of tensor" in invoke("verify", same, status=1)
    file.write_bytes(good)
    for args in (["compare", a, runs], ["verify", runs], ["resume", runs / "none"], ["resume", runs]):
        assert "run folder" in invoke(*args, status=2)


def test_a_run_stopped_by_its_time_is_resumed(tmp_path):
    text = invoke("train", "digits", "--out", tmp_path, "--epochs", 5000, "--max-seconds", 0.3, "--hidden", 4)
    run = tmp_path / "digits-1"
    assert f"Go on with: tge resume {run}" in text
    assert not (run / "result.json").exists()
    done = T.load_checkpoint(run / "ckpt" / "last.safetensors")["epoch"]
    invoke("resume", run, "--epochs", done + 2, "--quiet")
    assert json.loads((run / "result.json").read_text())["epochs"] == done + 2


def test_estimates_of_ten_billion_parameters():
    found = json.loads(invoke("estimate", "--params", "10e9", "--optimizer", "adam", "--json"))
    assert found["total_bytes"] == 160e9
    assert found["accelerators_80GB"] == 2
    text = invoke("estimate", "--params", "10e9")
    assert "more than 2 accelerators of 80 GB hold, before activations" in text
    assert "one of --params and --layers" in invoke("estimate", status=2)
    assert "at least one layer" in invoke("estimate", "--layers", "7", status=2)
    assert "535,818 parameters" in invoke("estimate", "--layers", "784,512,256,10", "--rows", 100)


PROGRAM = """
import resource, sys, tinygrad_edu as tg
from tinygrad_edu.cli import estimate
layers, batch = [int(n) for n in sys.argv[1].split(',')], int(sys.argv[2])
nn, parts = tg.nn, []
base = estimate.resident()
for i, o in zip(layers[:-1], layers[1:]):
    parts += [nn.Linear(i, o), nn.ReLU()]
cost = estimate.layers_cost(layers, batch)
told = sum(estimate.memory(cost["parameters"], "adam", cost["kept"], 4).values())
model = nn.Sequential(*parts[:-1])
optimizer = tg.optim.Adam(model.parameters())
x, y = tg.randn(batch, layers[0]), tg.randint(0, layers[-1], (batch,))
for _ in range(4):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
print(base + told, estimate.resident())
"""


@pytest.mark.parametrize(
    ("layers", "batch"),
    [((1024, 2048, 2048, 10), 512), ((784, 4096, 4096, 10), 64), ((256, 1024, 1024, 1024, 10), 8192)],
)
def test_estimates_agree_with_what_training_takes(layers, batch):
    if estimate.tg.kernels.K.name != "native":
        pytest.skip("what NumPy takes on the way is not estimated")
    command = [sys.executable, "-c", PROGRAM, ",".join(map(str, layers)), str(batch)]
    done = subprocess.run(command, check=True, capture_output=True,
                          text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    told, measured = (float(word) for word in done.stdout.split())
    assert told == pytest.approx(measured, rel=0.15)


def test_finetune_and_transfer_against_nothing(runs):
    run = runs / "digits-1"
    rows = json.loads(invoke("finetune", run, "--per-class", "2", "--seeds", 2, "--json"))["rows"]
    assert rows[0]["fine-tuned"] > rows[0]["from nothing"] + 0.05
    rows = json.loads(invoke("transfer", run, "--per-class", "5,40", "--seeds", 2, "--json"))["rows"]
    assert rows[1]["head, then all"] > rows[1]["from nothing"] + 0.02
    assert rows[1]["head only"] > rows[0]["head only"]
    assert "rows per class" in invoke("transfer", run, "--task", "large", "--per-class", "2", "--seeds", 1)
    for args, message in [
        (["finetune", runs], "no run folder"),
        (["finetune", runs / "none"], "no such run folder"),
        (["transfer", run, "--per-class", "0"], "whole numbers from 1"),
    ]:
        assert message in invoke(*args, status=2)


def test_help_teaches():
    for command in cli.commands:
        text = invoke(command, "--help")
        assert len(text.splitlines()) > 5, command
    assert "take no part" in invoke("search", "--help")
