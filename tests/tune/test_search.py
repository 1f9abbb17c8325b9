"""Searches: the same results for any number of workers and after an interruption, and no way to the test rows."""

import json
import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu import train as T
from tinygrad_edu.data import DataLoader, HeldOutError, TensorDataset, load_digits, train_dev_test_split
from tinygrad_edu.tune import (
    GridSearch,
    Integers,
    OptunaSearch,
    RandomSearch,
    SuccessiveHalving,
    Uniform,
    all_settings,
    random_settings,
)


def problem(n=120, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return TensorDataset(x, (x[:, 0] * x[:, 1] > 0).astype(np.int64))


TRAIN, DEV = problem(), problem(80, 1)


def make(params):
    model = nn.Sequential(nn.Linear(4, params.get("hidden", 8)), nn.ReLU(), nn.Linear(params.get("hidden", 8), 2))
    optimizer = optim.Adam(model.parameters(), lr=params["lr"])
    return T.Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics={"accuracy": T.accuracy}, record="none",
                     progress="none")  # fmt: skip


GRID = {"lr": [1e-3, 1e-2, 1e-1], "hidden": [2, 8]}
OPTIONS = {"epochs": 4, "score": "accuracy"}


def results(search):
    return [(t.number, t.params, t.scores, t.epochs, t.metrics) for t in search.trials]


def test_a_grid_is_every_combination_each_as_if_trained_alone():
    search = GridSearch(make, GRID, **OPTIONS, seed=3).fit(TRAIN, DEV)
    assert [t.params for t in search.trials] == all_settings(GRID)
    assert len(search.trials) == 6
    tg.manual_seed(3)
    alone = make({"lr": 1e-2, "hidden": 8})
    alone.seed = 3
    alone.fit(TRAIN, epochs=4)
    assert search.trials[3].score == alone.evaluate(DEV)["accuracy"]
    best = max(t.score for t in search.trials)
    assert search.best.score == best == search.best_trainer.evaluate(DEV)["accuracy"]
    assert search.best_params == next(t.params for t in search.trials if t.score == best)
    lines = search.table().splitlines()
    assert lines[0].split() == ["lr", "hidden", "accuracy", "epochs"]
    assert len(lines) == 7
    assert search.epochs_used == 24


@pytest.mark.parametrize(
    "build",
    [
        lambda **o: GridSearch(make, GRID, **OPTIONS, **o),
        lambda **o: RandomSearch(
            make, {"lr": Uniform(1e-4, 1, log=True), "hidden": Integers(1, 9)}, n=5, **OPTIONS, **o
        ),
        lambda **o: SuccessiveHalving(make, GRID, **OPTIONS, **o),
        lambda **o: OptunaSearch(make, {"lr": Uniform(1e-4, 1, log=True), "hidden": [2, 4]}, n=6, **OPTIONS, **o),
    ],
    ids=["grid", "random", "halving", "optuna"],
)
def test_workers_and_interruptions_change_nothing(build, tmp_path):
    if "optuna" in str(build(refit=False).__class__).lower():
        pytest.importorskip("optuna")
    pytest.importorskip("joblib")
    plain = build(seeds=2).fit(TRAIN, DEV)
    parallel = build(seeds=2, workers=2, refit=False).fit(TRAIN, DEV)
    assert results(parallel) == results(plain)

    class Interrupted(Exception):
        pass

    def stop(done, total):
        assert done <= total
        if done == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        build(seeds=2, out=tmp_path, notify=stop).fit(TRAIN, DEV)
    kept = len(list((tmp_path / "trials").iterdir()))
    assert kept == 3
    resumed = build(seeds=2, out=tmp_path, refit=False).fit(TRAIN, DEV)
    assert results(resumed) == results(plain)
    if not isinstance(plain, OptunaSearch | SuccessiveHalving):
        file = next((tmp_path / "trials").iterdir())  # what is kept is used, and only for the same rows
        saved = json.loads(file.read_text())
        file.write_text(json.dumps(saved | {"scores": [2.0, 2.0]}))
        assert max(t.score for t in build(seeds=2, out=tmp_path, refit=False).fit(TRAIN, DEV).trials) == 2.0
        other = build(seeds=2, out=tmp_path, refit=False).fit(TRAIN, problem(80, 2))
        assert max(t.score for t in other.trials) <= 1.0


def test_the_test_rows_are_out_of_reach():
    split = train_dev_test_split(problem(200), seed=0)
    with pytest.raises(HeldOutError, match="GridSearch was given held-out test rows"):
        GridSearch(make, GRID, **OPTIONS).fit(split.train, split.test)
    with pytest.raises(HeldOutError, match="held-out"):
        GridSearch(make, GRID, **OPTIONS).fit(split.test, split.dev)

    def cheat(params):
        trainer = make(params)
        trainer.metrics["accuracy"] = lambda o, t: len(split.test.open("a look")) * 1.0
        return trainer

    def peek(params):
        split.test.open("a look")
        return make(params)

    for thief in (cheat, peek):
        with pytest.raises(HeldOutError, match="a search is running"):
            GridSearch(thief, GRID, **OPTIONS).fit(split.train, split.dev)
    assert split.test.readings == []
    search = GridSearch(make, GRID, **OPTIONS).fit(split.train, split.dev)
    search.best_trainer.evaluate(split.test)
    assert split.test.readings == ["Trainer.evaluate"]


def test_halving_finds_the_grids_best_for_a_third_of_the_epochs():
    digits = load_digits()
    split = train_dev_test_split((digits.X / np.float32(16), digits.y), dev=0.3, test=0.3, seed=0)

    def digits_network(params):
        model = nn.Sequential(nn.Linear(64, params["hidden"]), nn.ReLU(), nn.Linear(params["hidden"], 10))
        return T.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=params["lr"]),
                         metrics={"accuracy": T.accuracy}, record="none", progress="none")  # fmt: skip

    grid = {"lr": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2], "hidden": [16, 32, 64]}
    whole = GridSearch(digits_network, grid, epochs=9, score="accuracy", refit=False).fit(split.train, split.dev)
    halving = SuccessiveHalving(digits_network, grid, epochs=9, score="accuracy", refit=False)
    halving.fit(split.train, split.dev)
    assert [(epochs, len(trials)) for epochs, trials in halving.rungs] == [(1, 15), (3, 5), (9, 2)]
    assert whole.epochs_used == 135
    assert halving.epochs_used == 15 + 5 * 2 + 2 * 6 == 37
    assert halving.best.score >= whole.best.score - 0.01


def test_spaces():
    assert [Uniform(1, 100, log=True).at(u) for u in (0.0, 0.5)] == pytest.approx([1, 10])
    assert {Integers(3, 5).at(u) for u in np.linspace(0, 0.999, 50)} == {3, 4, 5}
    assert {Integers(1, 64, log=True).at(u) for u in np.linspace(0, 0.999, 2000)} >= {1, 2, 3, 60, 64}
    drawn = random_settings({"lr": Uniform(1e-4, 1, log=True), "act": ["relu", "tanh"]}, 200, 0)
    assert drawn[:3] == random_settings({"lr": Uniform(1e-4, 1, log=True), "act": ["relu", "tanh"]}, 3, 0)
    logs = [math.log10(s["lr"]) for s in drawn]
    assert np.mean(logs) == pytest.approx(-2, abs=0.3)
    assert {s["act"] for s in drawn} == {"relu", "tanh"}
    for wrong in (lambda: Uniform(1, 0), lambda: Uniform(0, 1, log=True), lambda: Integers(3, 2)):
        with pytest.raises(ValueError, match=r"bound|begins"):
            wrong()
    for grid, match in [({"lr": Uniform(0, 1)}, "lists values"), ({"lr": []}, "at least one"), ({}, "empty"),
                        ({"lr": "abc"}, "lists values")]:  # fmt: skip
        with pytest.raises(ValueError, match=match):
            GridSearch(make, grid, epochs=1)


def test_wrong_use_is_told():
    with pytest.raises(ValueError, match="no metric 'acuracy'; they have loss, accuracy"):
        GridSearch(make, {"lr": [0.1]}, epochs=1, score="acuracy").fit(TRAIN, DEV)
    with pytest.raises(TypeError, match="must give a Trainer"):
        GridSearch(lambda p: 7, {"lr": [0.1]}, epochs=1).fit(TRAIN, DEV)
    with pytest.raises(TypeError, match="DataLoader"):
        GridSearch(make, {"lr": [0.1]}, epochs=1).fit(DataLoader(TRAIN), DEV)
    with pytest.raises(RuntimeError, match="call fit"):
        _ = GridSearch(make, {"lr": [0.1]}, epochs=1).best
    with pytest.raises(ValueError, match="epochs"):
        SuccessiveHalving(make, {"lr": [0.1], "epochs": [3]}, epochs=3)
    with pytest.raises(ValueError, match="whole number"):
        GridSearch(make, {"lr": [0.1]}, epochs=0)


def test_diverged_settings_come_last(tmp_path):
    search = GridSearch(make, {"lr": [1e-2, 1e30], "hidden": [4, 8]}, epochs=2)
    search.fit(TRAIN, DEV)
    assert math.isfinite(search.best.score)
    assert search.rows()[0]["lr"] == 1e-2
    figure = search.heat_map("lr", "hidden", tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 5000
    assert "loss on dev" in figure.axes[0].get_title(loc="left")
    with pytest.raises(ValueError, match="there is lr, hidden"):
        search.heat_map("lr", "width")
    with pytest.raises(ValueError, match="all 1 settings diverged"):
        GridSearch(make, {"lr": [1e30]}, epochs=2).fit(TRAIN, DEV)


def test_epochs_and_batch_size_may_be_searched():
    search = GridSearch(make, {"lr": [1e-2], "epochs": [1, 3], "batch_size": [16, 64]}, epochs=9, refit=False)
    search.fit(TRAIN, DEV)
    assert [t.epochs for t in search.trials] == [1, 1, 3, 3]
    assert len({t.score for t in search.trials}) == 4
