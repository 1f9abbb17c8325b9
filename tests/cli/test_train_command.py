import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import tinygrad_edu as tg
from tinygrad_edu import train as T
from tinygrad_edu.cli.commands import cli

ROOT = Path(__file__).resolve().parents[2]
# Ctrl-C can fall between open() and the `with` around it; Python then closes the file itself, and would warn of it.
# A job that a shell started in the background ignores Ctrl-C, and so would its children: they listen again here.
LISTEN = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
TGE = [
    sys.executable,
    "-W",
    "error",
    "-W",
    "ignore::ResourceWarning",
    "-c",
    LISTEN + 'runpy.run_module("tinygrad_edu.cli", run_name="__main__")',
]


def invoke(*args):
    return CliRunner().invoke(cli, [str(a) for a in args])


def start(*args, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    return subprocess.Popen([*TGE, *map(str, args)], **(pipes | options))


def finished(*args):
    process = start(*args)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def result(run):
    return json.loads((run / "result.json").read_text())


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """One run with all defaults, as a user gets it."""
    out = tmp_path_factory.mktemp("runs")
    status, text, err = finished("train", "digits", "--out", out)
    assert (status, err) == (0, "")
    return out / "digits-1", text


def test_digits_are_learned(digits):
    run, text = digits
    found = result(run)
    assert found["test_accuracy"] >= 0.97
    assert found["parameters"] == 64 * 128 + 128 + 128 * 10 + 10
    assert found["seconds"] < 60
    assert "1079 train, 359 dev, 359 test rows" in text
    assert text.count("epoch ") == 40
    assert f"test accuracy {found['test_accuracy']:.4f}   (9,610 parameters" in text
    assert f"run folder: {run}" in text
    names = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
    assert names == {
        *("config.json", "env.json", "preprocess.json", "history.csv", "result.json", "curves.png", "weights.png"),
        *("ckpt/last.safetensors", "ckpt/final.safetensors", "steps.npz", "test-readings.json"),
    }
    for picture in ("curves.png", "weights.png"):
        assert (run / picture).read_bytes()[:4] == b"\x89PNG"
    assert len(T.History.from_csv(run / "history.csv")) == 40


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_parameters_again_with_any_number_of_threads(digits, tmp_path, threads):
    status, text, _ = finished("train", "digits", "--out", tmp_path, "--threads", threads, "--quiet")
    assert status == 0
    assert len(text.splitlines()) == 1
    assert result(tmp_path / "digits-1")["sha256"] == result(digits[0])["sha256"]
    for name in ("history.csv", "ckpt/last.safetensors"):
        assert (tmp_path / "digits-1" / name).read_bytes() == (digits[0] / name).read_bytes()


def test_diabetes(tmp_path):
    done = invoke("train", "diabetes", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    found = result(tmp_path / "diabetes-1")
    assert found["parameters"] == 11
    assert found["test_r2"] > 0.35
    assert "test R²" in done.output
    again = invoke(
        "train", "diabetes", "--out", tmp_path, "--hidden", "8,4", "--quiet", "--epochs", 3, "--optimizer", "sgd"
    )
    assert again.exit_code == 0, again.output
    assert result(tmp_path / "diabetes-2")["parameters"] == 88 + 36 + 5


def test_early_stopping_and_the_writer_split(tmp_path):
    done = invoke("train", "digits", "--out", tmp_path, "--split", "writer", "--patience", 2, "--hidden", 32)
    assert done.exit_code == 0, done.output
    found = result(tmp_path / "digits-1")
    assert "has not improved for 2 epochs" in found["stopped"]
    assert found["epochs"] < 40
    assert "contiguous blocks" in done.output


KILLED = ("--epochs", 200, "--hidden", 48, "--batch-size", 16, "--quiet")


def test_kill_at_any_moment_and_resume(tmp_path):
    whole = start("train", "digits", "--out", tmp_path / "whole", *KILLED)
    rng = random.Random()
    kills = 0
    run = tmp_path / "killed" / "digits-1"
    for _ in range(20):
        process = start("train", "digits", "--out", tmp_path / "killed", "--resume", "auto", *KILLED)
        rows = row_count(run)
        deadline = time.monotonic() + 30
        while kills and row_count(run) <= rows and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1 if kills else 0.6))
        if process.poll() is not None or kills == 7:
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert kills >= 4
    assert whole.wait(60) == 0
    whole.communicate()
    other = tmp_path / "whole" / "digits-1"
    for name in ("history.csv", "config.json", "ckpt/last.safetensors"):  # parameters and optimiser are in the latter
        assert (run / name).read_bytes() == (other / name).read_bytes(), name
    assert result(run)["sha256"] == result(other)["sha256"]


def row_count(run):
    history = run / "history.csv"
    return len(history.read_text().splitlines()) if history.exists() else 0


def test_ctrl_c_leaves_a_resumable_run(tmp_path):
    process = start("train", "digits", "--out", tmp_path, "--epochs", 4000)
    run = tmp_path / "digits-1"
    while row_count(run) < 4 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Interrupted after" in err
    assert f"tge resume {run}" in err
    assert "Traceback" not in err
    done = row_count(run) - 1
    assert T.load_checkpoint(run / "ckpt" / "last.safetensors")["epoch"] in (done, done - 1)
    resumed = invoke("train", "digits", "--resume", run, "--epochs", done + 2)
    assert resumed.exit_code == 0, resumed.output
    assert result(run)["epochs"] == done + 2


def test_a_diverging_run_stops_with_status_1(tmp_path):
    done = invoke("train", "diabetes", "--out", tmp_path, "--optimizer", "sgd", "--lr", "1e6")
    assert done.exit_code == 1
    assert "try a smaller learning rate" in done.output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["trian"], "No such command"),
        (["train"], "Missing argument"),
        (["train", "mnist"], "'digits', 'diabetes'"),
        (["train", "digits", "--optimiser", "adam"], "No such option"),
        (["train", "digits", "--optimizer", "rprop"], "'adam', 'adamw', 'sgd'"),
        (["train", "digits", "--epochs", "0"], "x>=1"),
        (["train", "digits", "--epochs", "many"], "not a valid integer"),
        (["train", "digits", "--lr", "nan"], "positive number"),
        (["train", "digits", "--lr", "-1"], "positive number"),
        (["train", "digits", "--batch-size", "0"], "x>=1"),
        (["train", "digits", "--hidden", "12,x"], "give sizes like"),
        (["train", "digits", "--hidden", "12,0"], "1 to 1,000,000"),
        (["train", "digits", "--seed", "-1"], "0<=x"),
        (["train", "digits", "--threads", "0"], "x>=1"),
        (["train", "diabetes", "--split", "writer"], "has no split 'writer'"),
        (["train", "diabetes", "--label-smoothing", "0.1"], "number as its target"),
        (["train", "digits", "--resume", "nowhere"], "no such run folder"),
        (["predict", "nowhere", "x.png"], "no such run folder"),
        (["gradcheck", "--op", "nothing"], "there are add"),
    ],
)
def test_wrong_use_is_answered_with_status_2(args, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = invoke(*args)
    assert done.exit_code == 2
    assert message in done.output
    assert not list(tmp_path.iterdir())


def test_a_run_is_resumed_with_its_own_settings_only(tmp_path):
    run = tmp_path / "digits-1"
    assert invoke("train", "digits", "--out", tmp_path, "--epochs", 2, "--quiet").exit_code == 0
    for args, message in [
        (["digits", "--lr", "0.5"], "lr 0.003 (not 0.5)"),
        (["diabetes"], "data digits (not diabetes)"),
    ]:
        done = invoke("train", *args, "--resume", run)
        assert done.exit_code == 2
        assert message in done.output
    last = run / "ckpt" / "last.safetensors"
    good = last.read_bytes()
    last.write_bytes(good[:-100])
    (run / "test-readings.json").unlink()  # as if it had been killed before
    done = invoke("train", "digits", "--resume", run, "--epochs", 3)
    assert done.exit_code == 2
    assert "damaged" in done.output
    last.write_bytes(good)
    for content in ("{", "[]", '{"data": "digits"}', (run / "config.json").read_text().replace("0.003", '"a"')):
        (run / "config.json").write_text(content)
        done = invoke("train", "digits", "--resume", run)
        assert done.exit_code == 2, done.output
        assert "config.json" in done.output


def test_the_test_rows_of_a_run_are_read_once(tmp_path):
    run = tmp_path / "digits-1"
    assert invoke("train", "digits", "--out", tmp_path, "--epochs", 2, "--quiet").exit_code == 0
    assert result(run)["test_readings"] == 1
    kept = (run / "result.json").read_bytes()
    again = ["train", "digits", "--resume", run, "--epochs", 3, "--quiet"]
    done = invoke(*again)
    assert done.exit_code == 2
    assert "have been read (the result after 2 epochs)" in done.output
    assert (run / "result.json").read_bytes() == kept
    assert invoke(*again, "--spend-test-set").exit_code == 0
    assert result(run)["test_readings"] == 2
    assert json.loads((run / "test-readings.json").read_text())["readings"][1] == "the result after 3 epochs"


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    done = invoke("train", "digits", "--out", tmp_path / "file" / "runs")
    assert done.exit_code == 1
    assert "Not a directory" in done.output


def test_version_matches():
    assert invoke("--version").output == f"tge {tg.__version__}\n"
