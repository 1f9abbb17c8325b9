import importlib.util
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import tinygrad_edu as tg
from tinygrad_edu.cli import gradients, main, reading
from tinygrad_edu.cli.commands import cli
from tinygrad_edu.data import load_diabetes, load_digits


def invoke(*args):
    return CliRunner().invoke(cli, [str(a) for a in args])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    assert invoke("train", "digits", "--out", out, "--epochs", 25, "--quiet").exit_code == 0
    assert invoke("train", "diabetes", "--out", out, "--epochs", 20, "--quiet").exit_code == 0
    return out


def said(output):
    return [int(line.split("digit ")[1][0]) for line in output.splitlines() if "digit " in line]


def test_csv_rows(runs, tmp_path):
    digits = load_digits()
    chosen = np.arange(0, 1797, 60)
    np.savetxt(tmp_path / "rows.csv", digits.X[chosen], delimiter=",", fmt="%g", header="p00,…", comments="")
    done = invoke("predict", runs / "digits-1", tmp_path / "rows.csv")
    assert done.exit_code == 0, done.output
    assert (np.array(said(done.output)) == digits.y[chosen]).mean() > 0.9
    np.savetxt(tmp_path / "one.csv", digits.X[0].reshape(8, 8), fmt="%g")
    done = invoke("predict", runs / "digits-1", tmp_path / "one.csv")
    assert said(done.output) == [0]
    assert done.output.count(": 0.") + done.output.count(": 1.") == 10
    np.savetxt(tmp_path / "people.csv", load_diabetes().X[:3], delimiter=",")
    done = invoke("predict", runs / "diabetes-1", tmp_path / "people.csv")
    assert done.exit_code == 0, done.output
    assert len(done.output.splitlines()) == 3


@pytest.mark.parametrize(
    "style", ["light on dark", "dark on light", "transparent", "large with margin", "16 bits", "palette"]
)
def test_pictures(runs, tmp_path, style):
    digits = load_digits()
    right = 0
    chosen = range(0, 1797, 45)
    for i in chosen:
        image = Image.fromarray((digits.X[i].reshape(8, 8) / 16 * 255).astype(np.uint8))
        if style != "light on dark":
            image = image.resize((120, 120), Image.Resampling.BICUBIC)
        if style == "large with margin":
            canvas = Image.new("L", (400, 300), 20)
            canvas.paste(image.point(lambda v: max(v, 20)), (230, 60))
            image = canvas
        elif style == "dark on light":
            image = image.point(lambda v: 240 - v * 0.8)
        elif style == "transparent":
            ink = Image.new("RGBA", image.size, (30, 30, 120, 0))
            ink.putalpha(image)
            image = ink
        elif style == "16 bits":
            image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
        elif style == "palette":
            image = image.convert("P")
        image.save(tmp_path / "digit.png")
        done = invoke("predict", runs / "digits-1", tmp_path / "digit.png")
        assert done.exit_code == 0, done.output
        right += said(done.output) == [int(digits.y[i])]
    assert right / len(chosen) > 0.85


def test_the_ink_fills_the_frame_and_is_counted_in_blocks(tmp_path):
    image = np.full((100, 80), 255, np.uint8)
    image[20:84, 30:46] = 0  # a bar four times as high as wide, off the centre
    Image.fromarray(image).save(tmp_path / "bar.png")
    pixels = reading.picture_to_row(tmp_path / "bar.png").reshape(8, 8)
    assert (pixels[:, 3:5] == 16).all()
    assert pixels.sum() == 16 * 16


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither a picture"),
        (b"1,2,3\n", "has 3 values; 64 are wanted"),
        (b"a,b\n1,x\n", "line 2: not a row of numbers"),
        (b"99," * 63 + b"0\n", "0 (paper) to 16 (ink)"),
        (b"nan," * 63 + b"0\n", "not finite"),
        (b"\xff\xfe\x00", "neither a PNG picture nor a text file"),
        (b"\x89PNG\r\n\x1a\n broken", "not a readable PNG"),
    ],
)
def test_unreadable_files(runs, tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    done = invoke("predict", runs / "digits-1", tmp_path / "file")
    assert done.exit_code == 2, done.output
    assert message in done.output


def test_predict_refuses(runs, tmp_path):
    Image.new("L", (50, 50), 200).save(tmp_path / "blank.png")
    cases = [
        (runs / "digits-1", tmp_path / "blank.png", "no digit in it"),
        (runs / "diabetes-1", tmp_path / "blank.png", "a model of diabetes"),
        (runs / "digits-1", tmp_path / "missing.png", "no such file"),
        (tmp_path, tmp_path / "blank.png", "no run folder of tge"),
    ]
    final = runs / "digits-1" / "ckpt" / "final.safetensors"
    for run, file, message in cases:
        done = invoke("predict", run, file)
        assert done.exit_code == 2
        assert message in done.output
    good = final.read_bytes()
    np.savetxt(tmp_path / "one.csv", load_digits().X[:1], delimiter=",")
    try:
        final.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        done = invoke("predict", runs / "digits-1", tmp_path / "one.csv")
    finally:
        final.write_bytes(good)
    assert done.exit_code == 2
    assert "checksum of tensor" in done.output


def test_info():
    facts = json.loads(invoke("info", "--json").output)
    assert facts["tinygrad_edu"] == tg.__version__
    assert facts["kernels"] == tg.kernels.K.name
    assert {"instruction_set", "threads", "gpu", "python", "numpy"} <= facts.keys()
    assert "instruction set" in invoke("info").output


def test_gradcheck_finds_a_wrong_derivative(monkeypatch):
    done = invoke("gradcheck")
    assert done.exit_code == 0, done.output
    assert f"{len(gradients.CASES)} operations checked, 0 wrong" in done.output

    class Wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * x  # half of it

    monkeypatch.setitem(gradients.CASES, "wrong", (Wrong.apply, ((2, 2),), "any"))
    done = invoke("gradcheck", "--op", "wrong")
    assert done.exit_code == 1
    assert "WRONG: GradcheckError" in done.output


@pytest.mark.parametrize("command", [[], ["train"], ["info"], ["predict"], ["gradcheck"]])
def test_help_teaches(command):
    done = invoke(*command, "--help")
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 6


def test_main_returns_the_status(capsys):
    assert main(["--version"]) == 0
    assert main(["train", "mnist"]) == 2
    assert "'digits', 'diabetes'" in capsys.readouterr().err


def test_import_loads_numpy_alone():
    code = (
        "import sys, tinygrad_edu; "
        "print([m for m in ('click', 'rich', 'matplotlib', 'safetensors', 'PIL', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_library_is_named_before_anything_runs(monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "safetensors" else real(name))
    assert main(["train", "digits"]) == 2
    assert capsys.readouterr().err == "tge needs safetensors: pip install safetensors\n"


def test_step_shows_what_training_repeats():
    done = invoke("step", "-n", 3, "--lr", 1e-4, "--json")
    assert done.exit_code == 0, done.output
    steps = json.loads(done.output)["steps"]
    assert [row["step"] for row in steps] == [1, 2, 3]
    for row in steps:
        assert abs(row["ratio"] - 1) < 0.05
        assert row["predicted"] < 0
        for sizes in row["parameters"].values():
            assert sizes["update"] == pytest.approx(1e-4 * sizes["gradient"], rel=0.05)
    told = invoke("step", "diabetes", "-n", 2, "--explain")
    assert told.exit_code == 0, told.output
    assert told.output.count("predicted change") == 2
    assert "0.weight" in told.output
    assert len(invoke("step", "-n", 40, "--batch-size", 100).output.splitlines()) == 41  # more than an epoch
    assert invoke("step", "names").exit_code == 2
    assert invoke("step", "--lr", -1).exit_code == 2


def test_report_draws_the_path_of_a_small_model(runs, tmp_path):
    done = invoke("report", runs / "diabetes-1", "--out", tmp_path / "picture.png", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.output)
    assert facts["epochs"] == 20
    assert facts["loss"] < facts["first_loss"]
    assert facts["path"] >= facts["straight"] > 0
    assert 0.8 < facts["share_in_plane"] <= 1
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.size[0] > 1000
    told = invoke("report", runs / "digits-1")  # 9,610 parameters: no path
    assert told.exit_code == 0, told.output
    assert "25 epochs: loss" in told.output
    assert "went" not in told.output
    assert (runs / "digits-1/report.png").exists()
    (tmp_path / "empty").mkdir()
    assert invoke("report", tmp_path / "empty").exit_code == 2
    copy = tmp_path / "broken"
    shutil.copytree(runs / "diabetes-1", copy)
    (copy / "steps.npz").write_bytes(b"PK not an archive")
    refused = invoke("report", copy)
    assert refused.exit_code == 2
    assert "steps.npz" in refused.output


def test_the_landscape_of_a_linear_model_is_a_bowl_around_the_best_parameters(runs):
    from tinygrad_edu.cli import experiment, report

    with np.load(runs / "diabetes-1/steps.npz") as file:
        steps = dict(file)
    path = report.path_of(steps)
    assert path.shape[1] == 11
    land = report.landscape(experiment.read_config(runs / "diabetes-1"), path,
                            [n for n in steps if n.endswith(".values")], steps)  # fmt: skip
    second = np.diff(land["loss"], 2, axis=0)
    np.testing.assert_allclose(second, second.mean(), rtol=0.02)  # a paraboloid has one curvature each way
    assert second.mean() > 0
