"""`tge train names`, `tge generate`, `tge train digits --task autoencode`, `tge train cartpole`."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import tinygrad_edu as tg
from tinygrad_edu.cli import cartpole
from tinygrad_edu.cli.commands import cli
from tinygrad_edu.data import load_names
from tinygrad_edu.envs import CartPole
from tinygrad_edu.train import fingerprint, load_model, play


def invoke(*args: Any) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in args])


def result_of(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "result.json").read_text()))


@pytest.fixture(scope="module")
def names_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    done = invoke("train", "names", "--out", out)
    assert done.exit_code == 0, done.output
    assert "6 characters of 16 numbers, 96 → 128 → 27" in done.output
    assert "guessing: ln 27 = 3.2958" in done.output
    return out / "names-1"


def test_names_are_learnt(names_run: Path) -> None:
    found = result_of(names_run)
    assert found["dev_loss"] <= 2.05
    assert found["test_loss"] <= 2.05
    assert found["test_readings"] == 1
    files = {path.name for path in names_run.iterdir()}
    assert {"config.json", "env.json", "history.csv", "result.json", "curves.png", "letters.png"} <= files
    assert invoke("verify", names_run).exit_code == 0


def test_whole_names_are_held_out(names_run: Path) -> None:
    from tinygrad_edu.cli import experiment, tasks

    params = experiment.read_config(names_run)
    split = tasks.split_names(params)
    parts = [set(split.train.indices), set(split.dev.indices), set(split.test._dataset.indices)]
    assert [len(part) for part in parts] == [4131, 516, 516]
    assert sorted(set.union(*parts)) == list(range(5163))
    names = load_names().first
    words = [names[row] for row in split.dev.indices]
    assert len(tasks.prepare(params).dev) == sum(len(word) + 1 for word in words)


def test_a_model_writes(names_run: Path) -> None:
    done = invoke("generate", names_run, "--n", 500, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.output)
    assert len(facts["names"]) == 500
    assert facts["share_new"] >= 0.7
    assert facts["share_different"] > 0.9
    assert all(re.fullmatch("[a-z]{0,20}", name) for name in facts["names"])
    known = set(load_names().first)
    assert all(new for name, new in zip(facts["names"], facts["new"], strict=True) if name not in known)
    cautious = json.loads(invoke("generate", names_run, "--n", 500, "--temperature", 0.5, "--json").output)
    assert cautious["share_new"] < facts["share_new"] - 0.1
    assert json.loads(invoke("generate", names_run, "--n", 500, "--json").output) == facts
    assert invoke("generate", names_run, "--seed", 1).output != invoke("generate", names_run).output


def test_a_beginning_is_kept_and_new_names_have_a_star(names_run: Path) -> None:
    done = invoke("generate", names_run, "--n", 30, "--start", "chris", "--temperature", 0.8)
    lines = done.output.splitlines()
    assert all(re.fullmatch(r"[* ] chris[a-z]*", line) for line in lines[:30])
    stars = sum(line.startswith("*") for line in lines[:30])
    assert f"{stars} of 30 are not among the 4,131 names" in lines[-1]
    same = invoke("generate", names_run, "--n", 3, "--temperature", 0).output.splitlines()[:3]
    assert len(set(same)) == 1


def test_an_interrupted_run_of_names_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    for out, steps in (("whole", (["--epochs", 2],)), ("parts", (["--epochs", 1], ["--epochs", 2]))):
        invoke("train", "names", "--out", tmp_path / out, "--quiet", *steps[0])
        for step in steps[1:]:
            run = tmp_path / out / "names-1"
            assert invoke("resume", run, *step, "--spend-test-set", "--quiet").exit_code == 0
    assert result_of(tmp_path / "whole/names-1")["sha256"] == result_of(tmp_path / "parts/names-1")["sha256"]


def test_digits_are_restored_without_labels(tmp_path: Path) -> None:
    done = invoke("train", "digits", "--task", "autoencode", "--code", 8, "--out", tmp_path, "--quiet")
    assert done.exit_code == 0, done.output
    found = result_of(tmp_path / "digits-1")
    assert found["dev_loss"] <= 0.015
    assert found["test_loss"] <= 0.015
    assert "test_accuracy" not in found
    assert (tmp_path / "digits-1/restored.png").stat().st_size > 5000
    narrow = invoke(
        "train", "digits", "--task", "autoencode", "--code", 2, "--out", tmp_path, "--quiet", "--epochs", 30
    )
    assert narrow.exit_code == 0
    assert result_of(tmp_path / "digits-2")["dev_loss"] > 2 * found["dev_loss"]
    for command in (["predict", tmp_path / "digits-1", "x.csv"], ["transfer", tmp_path / "digits-1"]):
        assert invoke(*command).exit_code == 2


def test_the_error_of_pca_is_scikit_learns(tmp_path: Path) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    from tinygrad_edu.cli.tasks import pca_error

    draw = np.random.default_rng(0)
    train, dev = (draw.normal(size=(n, 12)).astype(np.float32) @ np.diag(np.arange(12, dtype=np.float32)) + 3
                  for n in (200, 50))  # fmt: skip
    pca = decomposition.PCA(4).fit(train)
    wanted = ((pca.inverse_transform(pca.transform(dev)) - dev) ** 2).mean()
    assert pca_error(train, dev, 4) == pytest.approx(wanted, rel=1e-4)


def test_a_linear_autoencoder_is_no_better_than_pca_on_train(tmp_path: Path) -> None:
    assert invoke("train", "digits", "--task", "autoencode", "--hidden", 0, "--out", tmp_path, "--quiet").exit_code == 0
    found = result_of(tmp_path / "digits-1")
    assert 0.9999 < found["train_loss"] / found["train_pca"] < 1.08


def test_a_pole_is_kept_up(tmp_path: Path) -> None:
    done = invoke("train", "cartpole", "--algo", "reinforce", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "4 → 32 → 2, 226 parameters; REINFORCE" in done.output
    run = tmp_path / "cartpole-1"
    found = result_of(run)
    assert found["episodes"] <= 1200
    assert found["last_return"] >= 400
    assert found["fresh_return"] >= 400
    policy = cartpole.build_policy((32,))
    load_model(run / "ckpt/final.safetensors", policy)
    assert fingerprint(policy) == found["sha256"]
    assert play(policy, CartPole(20), None, seed=77).returns.mean() >= 400
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    assert int(rows[-1]["episodes"]) == found["episodes"] == 16 * len(rows)
    assert np.mean([float(row["mean_return"]) for row in rows[-5:]]) == pytest.approx(found["last_return"])
    assert {"returns.png", "policy.png", "env.json", "config.json"} <= {path.name for path in run.iterdir()}
    assert invoke("verify", run).exit_code == 0


def test_the_same_seed_learns_the_same_policy(tmp_path: Path) -> None:
    hashes = []
    for seed in (1, 1, 2):
        tg.manual_seed(99)  # what the process did before does not matter
        assert (
            invoke("train", "cartpole", "--episodes", 64, "--seed", seed, "--out", tmp_path, "--quiet").exit_code == 0
        )
        hashes.append(result_of(tmp_path / f"cartpole-{len(hashes) + 1}")["sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train", "names", "--split", "writer"], "names has no split 'writer'"),
        (["train", "names", "--label-smoothing", "0.1"], "for the labels of digits"),
        (["train", "diabetes", "--task", "autoencode"], "for digits, not for diabetes"),
        (["train", "digits", "--code", "3"], "--task autoencode"),
        (["train", "digits", "--context", "3"], "--context is for names"),
        (["train", "digits", "--discount", "0.5"], "--discount is for cartpole"),
        (["train", "cartpole", "--epochs", "3"], "--epochs means nothing to cartpole"),
        (["train", "cartpole", "--discount", "2"], "0<=x<=1"),
        (["train", "cartpole", "--resume", "auto"], "without --resume"),
        (["generate", "nowhere"], "tge train names makes one"),
        (["split", "names"], "'digits', 'diabetes'"),
    ],
)
def test_wrong_use_is_answered_with_status_2(
    args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(*args)
    assert done.exit_code == 2
    assert message in done.output
    assert not list(tmp_path.iterdir())


def test_runs_are_not_taken_for_what_they_are_not(names_run: Path, tmp_path: Path) -> None:
    assert invoke("train", "cartpole", "--episodes", 16, "--out", tmp_path, "--quiet").exit_code == 0
    for args, message in [
        (["predict", names_run, "x"], "tge generate"),
        (["finetune", names_run], "digits"),
        (["resume", tmp_path / "cartpole-1"], "a run of cartpole"),
        (["generate", tmp_path / "cartpole-1"], "a run of cartpole"),
        (["generate", names_run, "--start", "Bob"], "small letters"),
    ]:
        done = invoke(*args)
        assert done.exit_code == 2, done.output
        assert message in done.output
