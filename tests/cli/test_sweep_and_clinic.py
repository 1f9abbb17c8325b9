"""sweep, clinic, and what `tge train` can be made to do wrong: what they print is what is so."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tinygrad_edu import train as T
from tinygrad_edu.cli.commands import cli
from tinygrad_edu.cli.sweep import regimes
from tinygrad_edu.cli.tasks import build_model
from tinygrad_edu.train import History, diagnose


def invoke(*args, status=0):
    done = CliRunner().invoke(cli, [str(a) for a in args])
    assert done.exit_code == status, done.output
    return done.output


def test_a_sweep_of_the_learning_rate_shows_three_regimes(tmp_path):
    text = invoke("sweep", "lr", "1e-5..10", "digits", "--points", 7, "--seeds", 2, "--epochs", 5, "--out", tmp_path)
    rows = json.loads((tmp_path / "sweep-lr" / "result.json").read_text())["data"]["digits"]
    assert [row["lr"] for row in rows] == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]
    found = [row["regime"] for row in rows]
    assert (found[0], found[3], found[-1]) == ("flat", "good", "diverged")
    assert rows[3]["accuracy"] > 0.9 > 0.5 > rows[0]["accuracy"]
    assert all(f"{row['accuracy']:.4g}" in text for row in rows)
    assert (tmp_path / "sweep-lr" / "digits.png").read_bytes()[:4] == b"\x89PNG"


def test_spirals_need_width_and_blobs_do_not(tmp_path):
    command = ["sweep", "width", "2,32", "--data", "blobs,spirals", "--seeds", 2, "--out", tmp_path, "--json"]
    found = json.loads(invoke(*command))["data"]
    assert found["blobs"][0]["accuracy"] >= 0.97
    assert found["spirals"][0]["accuracy"] < 0.75
    assert found["spirals"][1]["accuracy"] >= 0.97
    assert [row["width"] for row in found["spirals"]] == [2, 32]


def test_epochs_of_one_long_run_are_those_of_a_shorter_one(tmp_path):
    options = ["digits", "--seeds", 1, "--out", tmp_path, "--json"]
    long = json.loads(invoke("sweep", "epochs", "1..4", *options))["data"]["digits"]
    short = json.loads(invoke("sweep", "epochs", "2", *options))["data"]["digits"]
    assert long[1] == short[0]
    assert short[0]["sd"] is None
    assert [row["epochs"] for row in long] == [1, 2, 3, 4]


def test_layers_on_a_task_without_classes(tmp_path):
    command = ["sweep", "layers", "0,1", "diabetes", "--epochs", 5, "--units", 4, "--out", tmp_path, "--json"]
    rows = json.loads(invoke(*command))["data"]["diabetes"]
    assert [row["layers"] for row in rows] == [0, 1]
    assert all(0 < row["loss"] < 2 for row in rows)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lr", "fast"], "'fast': give lr as a range like 1e-5..10"),
        (["lr", "1..0.1"], "the lower end comes first"),
        (["lr", "0..1"], "begins above 0"),
        (["lr", "-1,1"], "No such option"),
        (["width", "0,2"], "width is 1 or more"),
        (["width", "1..4", "--data", "moons"], "'moons': no data set"),
    ],
)
def test_a_sweep_refuses(words, told, tmp_path):
    assert told in invoke("sweep", *words, "--out", tmp_path, status=2)
    assert not list(tmp_path.iterdir())


def test_regimes_are_told_from_losses():
    assert regimes([2.3, 2.2, 1.5, 0.2, 0.1, 1.9, 2.4, np.nan], np.log(10)) == [
        "flat", "flat", "rising", "good", "good", "falling", "diverged", "diverged"]  # fmt: skip
    assert regimes([2.3, np.nan], np.log(10)) == ["flat", "diverged"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_rules_find_what_ails_all_six(seed, tmp_path):
    shown = invoke("clinic", "new", "--seed", seed, "--out", tmp_path)
    folder = tmp_path / f"clinic-{seed}"
    assert not any(name in shown or name in (folder / "sealed.json").read_text() for name in T.DIAGNOSES)
    found = json.loads(invoke("clinic", "answer", "--seed", seed, "--out", tmp_path, "--by-rule", "--json"))
    assert (found["right"], found["of"]) == (6, 6)
    assert sorted(row["diagnosis"] for row in found["rows"]) == sorted(T.DIAGNOSES)
    named = {row["run"]: row["diagnosis"] for row in found["rows"]}
    swapped = [f"1={named[2]}", f"2={named[1]}", f"3={named[3]}"]
    told = invoke("clinic", "answer", *swapped, "--seed", seed, "--out", tmp_path)
    assert [line[0] for line in told.splitlines()] == ["✗", "✗", "✓", "1"]


def test_the_clinic_refuses(tmp_path):
    assert "tge clinic new --seed 5" in invoke(
        "clinic", "answer", "--by-rule", "--seed", 5, "--out", tmp_path, status=2
    )
    folder = tmp_path / "clinic-5"
    folder.mkdir()
    (folder / "sealed.json").write_text("{")
    for number in range(1, 7):
        (folder / f"{number}.csv").write_text("epoch,loss\n1,2.0\n")
    assert "damaged" in invoke("clinic", "answer", "--by-rule", "--seed", 5, "--out", tmp_path, status=2)
    (folder / "sealed.json").write_text('{"salt": "", "seals": ["", "", "", "", "", ""]}')
    assert "1=over-fit" in invoke("clinic", "answer", "--seed", 5, "--out", tmp_path, status=2)
    assert "'7=healthy'" in invoke("clinic", "answer", "7=healthy", "--seed", 5, "--out", tmp_path, status=2)
    assert "'1=ill'" in invoke("clinic", "answer", "1=ill", "--seed", 5, "--out", tmp_path, status=2)


def history(losses, train, dev):
    return History([{"epoch": i + 1, "loss": x, "accuracy": train, "val_loss": x, "val_accuracy": dev}
                    for i, x in enumerate(losses)])  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "train", "dev", "name"),
    [
        ([2.3, 1.0, 0.5, 0.1], 0.99, 0.97, "healthy"),
        ([2.3, 1.0, 0.5, 0.1], 0.99, 0.75, "over-fit"),
        ([2.3, 2.0, 1.8, 1.5], 0.45, 0.1, "shuffled-labels"),
        ([2.3, 1.6, 1.55, 1.54], 0.35, 0.34, "under-fit"),
        ([2.3, 2.25, 2.2, 2.15], 0.35, 0.34, "lr-too-low"),
        ([90.0, 2.5, 2.4, 2.4], 0.1, 0.1, "lr-too-high"),
        ([2.3, np.nan, np.nan, np.nan], 0.1, 0.1, "lr-too-high"),
    ],
)
def test_diagnose_by_its_rules(losses, train, dev, name):
    found = diagnose(history(losses, train, dev), 10)
    assert found.name == name
    assert str(found).startswith(f"{name}: ")


def test_diagnose_says_what_it_needs():
    with pytest.raises(ValueError, match="3 epochs"):
        diagnose(history([1.0, 1.0, 1.0], 0.5, 0.5), 10)
    with pytest.raises(ValueError, match="without accuracy, val_loss, val_accuracy"):
        diagnose(History([{"epoch": i, "loss": 1.0} for i in range(5)]), 10)


def trained(tmp_path, *options):
    invoke("train", "digits", "--out", tmp_path, "--hidden", 32, "--quiet", *options)
    run = max(tmp_path.glob("digits-*"), key=lambda path: int(path.name.split("-")[1]))
    return run, json.loads((run / "result.json").read_text())


def test_zero_initial_values_keep_all_hidden_units_alike(tmp_path):
    run, result = trained(tmp_path, "--epochs", 3, "--init", "zeros")
    model = build_model(64, (32,), 10)
    T.load_model(run / "ckpt" / "final.safetensors", model)
    first = model[0].weight.detach().numpy()
    assert model[2].bias.abs().max().item() > 0, "it has been trained"
    assert np.array_equal(first, np.broadcast_to(first[0], first.shape))
    assert result["dev_accuracy"] < 0.3


def test_sorted_rows_without_shuffling_cost_ten_points(tmp_path):
    _, plain = trained(tmp_path, "--epochs", 3)
    _, ordered = trained(tmp_path, "--epochs", 3, "--sort", "--no-shuffle")
    assert ordered["dev_accuracy"] <= plain["dev_accuracy"] - 0.1


def test_shuffled_labels_teach_nothing_and_a_resumed_run_keeps_them(tmp_path):
    run, result = trained(tmp_path, "--epochs", 5, "--shuffle-labels")
    assert result["dev_accuracy"] < 0.2
    config = json.loads((run / "config.json").read_text())
    assert (config["shuffle_labels"], config["sort"], config["shuffle"], config["init"]) == (
        True,
        False,
        True,
        "random",
    )


def test_labels_can_only_be_shuffled_where_there_are_some(tmp_path):
    assert "--shuffle-labels is for rows with a label each" in invoke(
        "train", "names", "--shuffle-labels", "--out", tmp_path, status=2)  # fmt: skip


def test_an_ensemble_of_few_rows_is_better_than_its_members():
    command = ["seeds", "digits", "--vary", "init", "--rows", 150, "--hidden", 16, "--ensemble", "--json", "-n", 10]
    found = json.loads(invoke(*command))["sources"]["init"]
    assert found["ensemble"] > found["mean"]
    assert found["sd"] > 0
