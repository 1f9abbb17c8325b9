"""What a Trainer can be asked for beyond the plain loop; each is compared with the loop one would write by hand."""

import json
import math
import os
import random
import signal
import time

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu import train as T
from tinygrad_edu.data import DataLoader, HeldOutError, TensorDataset, train_dev_test_split

F = nn.functional


def problem(n=90, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    return TensorDataset(x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(np.int64))


def network(seed=0, dropout=0.2):
    tg.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 2))


def make(seed=0, dropout=0.2, loss=F.cross_entropy, lr=3e-3, **options):
    model = network(seed, dropout)
    options = {"metrics": {"accuracy": T.accuracy}, "progress": "none"} | options
    return T.Trainer(model, loss, optim.Adam(model.parameters(), lr=lr), seed=seed, **options)


def values(model):
    return {name: np.array(p.detach().numpy()) for name, p in model.named_parameters()}


def assert_close(a, b, tolerance):
    for name, value in values(a).items():
        np.testing.assert_allclose(value, values(b)[name], rtol=0, atol=tolerance, err_msg=name)


# -- one update of several batches, clipping, schedules, weights
@pytest.mark.parametrize("rows", [96, 90, 67])  # the last batch is whole, 26 and 3 rows: unequal parts of an update
def test_accumulated_batches_are_one_large_batch(rows):
    def sgd(**options):
        model = network(dropout=0.0)
        optimizer = optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
        return T.Trainer(model, F.cross_entropy, optimizer, progress="none", **options)

    whole, parts = sgd(), sgd(accumulate=4)
    a = whole.fit(problem(rows), epochs=3, batch_size=32)
    b = parts.fit(problem(rows), epochs=3, batch_size=8)
    assert whole.state.step == parts.state.step == 9
    assert_close(whole.model, parts.model, 1e-6)
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-5)


def test_clipping_and_schedule_are_the_hand_written_ones():
    def schedule(optimizer):
        return optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)

    trainer = make(1, clip_norm=0.5, schedule=schedule)
    history = trainer.fit(problem(), epochs=5, batch_size=16)
    model = network(1)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    scheduler = schedule(optimizer)
    loader = DataLoader(problem(), 16, shuffle=True, generator=tg.Generator(1))
    rates = []
    for _ in range(5):
        for xb, yb in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(xb), yb).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    assert T.fingerprint(trainer.model) == T.fingerprint(model)
    assert history["lr"] == rates == [3e-3, 3e-3, 1.5e-3, 1.5e-3, 7.5e-4]
    assert trainer.state.grad_norm > 0


def test_schedules_by_update_and_on_a_plateau():
    monitor = T.LRMonitor()
    trainer = make(
        schedule=lambda o: optim.lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=12), callbacks=[monitor]
    )
    trainer.fit(problem(), epochs=2, batch_size=16)
    assert len(monitor.rates[0]) == 12
    assert max(monitor.rates[0]) == pytest.approx(0.01, rel=0.01)
    assert monitor.rates[0][-1] < 1e-5
    per_update = make(schedule=lambda o: optim.lr_scheduler.ExponentialLR(o, 0.9))
    per_update.fit(problem(), epochs=1, batch_size=16)
    assert per_update.optimizer.param_groups[0]["lr"] == pytest.approx(3e-3 * 0.9)
    scheduler = T.PerUpdate(lambda o: optim.lr_scheduler.ExponentialLR(o, 0.9))
    per_update = make(schedule=scheduler)
    per_update.fit(problem(), epochs=1, batch_size=16)
    assert per_update.optimizer.param_groups[0]["lr"] == pytest.approx(3e-3 * 0.9**6)
    flat = make(schedule=lambda o: optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=10.0))
    flat.fit(problem(), epochs=3, val=problem(20))
    assert flat.optimizer.param_groups[0]["lr"] < 3e-3 / 9
    other = optim.SGD(network().parameters(), lr=1.0)
    with pytest.raises(ValueError, match="another optimiser"):
        make(schedule=optim.lr_scheduler.StepLR(other, 1))


def test_row_weights_are_copies_of_rows():
    """Weight 2 is the row twice, weight 0 is the row left out: the same full-batch gradient."""
    data = problem(40)
    x, y = (t.numpy() for t in data[:])
    weights = np.random.default_rng(1).integers(0, 4, 40)
    weighted, copied = make(dropout=0.0), make(dropout=0.0)
    weighted.fit(data, epochs=4, batch_size=100, sample_weight=weights)
    copied.fit((np.repeat(x, weights, 0), np.repeat(y, weights)), epochs=4, batch_size=1000)
    assert_close(weighted.model, copied.model, 2e-6)
    assert weighted.state.history["loss"] == pytest.approx(copied.state.history["loss"], rel=1e-5)


def test_class_weights():
    x = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    y = (np.arange(100) < 10).astype(np.int64)
    by_class, by_row, balanced = (make(dropout=0.0) for _ in range(3))
    by_class.fit((x, y), epochs=3, class_weight={1: 5.0})
    by_row.fit((x, y), epochs=3, sample_weight=np.where(y == 1, 5.0, 1.0))
    assert T.fingerprint(by_class.model) == T.fingerprint(by_row.model)
    balanced.fit((x, y), epochs=60, class_weight="balanced")
    plain = make()
    plain.fit((x, y), epochs=60)
    assert (balanced.predict(x).argmax(1) == 1).sum() > (plain.predict(x).argmax(1) == 1).sum()
    module = T.Trainer(network(), nn.CrossEntropyLoss(), by_row.optimizer, progress="none")
    assert module.loss.reduction == "mean"
    for wrong, match in [
        ({"sample_weight": np.ones(3)}, "100 rows"),
        ({"sample_weight": -np.ones(100)}, "negative"),
        ({"sample_weight": np.zeros(100)}, "nothing would be learned"),
        ({"class_weight": "even"}, "balanced"),
        ({"class_weight": {0: math.inf}}, "infinite"),
    ]:
        with pytest.raises(ValueError, match=match):
            make().fit((x, y), epochs=1, **wrong)
    with pytest.raises(TypeError, match="reduction"):
        make(loss=lambda o, t: F.cross_entropy(o, t)).fit((x, y), epochs=1, sample_weight=np.ones(100))


def test_a_part_of_the_training_rows_as_validation(capsys):
    data = problem(100)
    trainer = make(progress="lines")
    history = trainer.fit(data, epochs=2, val=0.2)
    assert "val_accuracy" in history.columns
    assert len(trainer._loader.dataset) == 80
    said = capsys.readouterr().out
    assert "val=0.2: 20 of 100 training rows set aside (random, stratified, seed 0)" in said
    split = train_dev_test_split(data, dev=0.2, test=0, seed=0)
    by_hand = make()
    assert by_hand.fit(split.train, epochs=2, val=split.dev).rows == history.rows
    labels = data[:][1].numpy()
    assert labels[split.dev.indices].mean() == pytest.approx(labels.mean(), abs=0.05)
    with pytest.raises(ValueError, match="DataLoader"):
        make().fit(DataLoader(data, 8), epochs=1, val=0.2)


# -- limits
@pytest.mark.parametrize("stop_at", [1, 5, 6, 7, 13])
def test_a_run_stopped_within_an_epoch_goes_on_with_the_next_batch(tmp_path, stop_at):
    def trainer(folder):
        return make(2, run_dir=tmp_path / folder, callbacks=[T.EarlyStopping("val_loss", patience=50), T.EMA()])

    fit = {"epochs": 4, "val": problem(30, 1), "batch_size": 16}
    whole = trainer("whole")
    whole.fit(problem(), **fit)
    first = trainer("parts")
    history = first.fit(problem(), **fit, max_steps=stop_at)
    assert first.state.step == stop_at
    assert history.stopped.startswith(f"max_steps={stop_at} reached in epoch")
    assert len(history) == -(-stop_at // 6)  # the epoch that was cut has a row for its finished part
    tg.manual_seed(99)
    second = trainer("parts")
    second.fit(problem(), **fit, resume="auto")
    assert second.state.history.rows == whole.state.history.rows
    assert T.fingerprint(second.model) == T.fingerprint(whole.model)
    for name in ("history.csv", "ckpt/last.safetensors", "steps.npz"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_limit_in_seconds_stops_soon():
    class Slow(T.Callback):
        def after_update(self, trainer, state):
            time.sleep(0.02)

    trainer = make(callbacks=[Slow()])
    history = trainer.fit(problem(), epochs=10_000, max_seconds=0.2)
    assert "max_seconds reached" in history.stopped
    assert 1 <= trainer.state.step <= 15
    for wrong in ({"max_steps": 0}, {"max_steps": 1.5}, {"max_seconds": -1}):
        with pytest.raises(ValueError, match=r"positive|whole"):
            make().fit(problem(), epochs=1, **wrong)


# -- looking before leaping
def everything(trainer):
    moments = {i: {k: str(v) for k, v in s.items()} for i, s in trainer.optimizer.state_dict()["state"].items()}
    rates = [group["lr"] for group in trainer.optimizer.param_groups]
    modes = [module.training for module in trainer.model.modules()]
    return T.fingerprint(trainer.model), moments, rates, modes, tg.default_generator.get_state()


def test_find_lr_overfit_and_summary_touch_nothing(tmp_path):
    trainer = make(3)
    trainer.fit(problem(), epochs=1)
    trainer.model[2].eval()
    before = everything(trainer)
    curve = trainer.find_lr(problem(), lo=1e-5, hi=100.0, steps=80)
    assert everything(trainer) == before
    assert 1e-4 < curve.suggestion < 1
    assert "fell fastest at" in str(curve)
    curve.plot(tmp_path / "lr.png")
    assert (tmp_path / "lr.png").stat().st_size > 5000
    verdict = trainer.overfit(problem(), batches=2, steps=2000, target=0.05)
    assert verdict, str(verdict)
    assert everything(trainer) == before
    text = trainer.summary(tg.zeros(5, 6))
    assert everything(trainer) == before
    assert text.splitlines()[1].split() == ["0", "Linear", "(5,", "16)", "112", "480"]
    assert text.splitlines()[-1].split() == ["in", "all", "146", "640"]
    with pytest.raises(ValueError, match="lo"):
        trainer.find_lr(problem(), lo=1.0, hi=0.1)


def test_overfit_says_no_and_why():
    x = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
    same = (np.repeat(x[:1], 32, 0), np.arange(32) % 2)  # one input with two labels: nobody can learn this
    verdict = make().overfit(same, steps=100)
    assert not verdict
    assert "not learned by heart" in str(verdict)
    assert verdict.loss > 0.6
    with np.errstate(all="ignore"):
        verdict = make(lr=1e30).overfit(same, steps=100)
    assert "learning rate is too large" in str(verdict)


def test_one_visible_step_is_what_fit_does():
    data = problem(32)
    a, b = make(4), make(4)
    a.fit(data, epochs=1, batch_size=32, shuffle=False)
    tg.manual_seed(4)
    network(4)  # the same numbers drawn for initialisation, so that dropout stands where it stood
    trace = b.step(*data[:])
    assert T.fingerprint(a.model) == T.fingerprint(b.model)
    for name, (value, _, update) in trace.rows.items():
        np.testing.assert_array_equal(value + update, values(b.model)[name])
    assert trace.predicted < 0
    assert "predicted change" in str(trace)


def test_predicted_and_actual_drop_agree_for_small_steps():
    ratios = []
    for lr in (1.0, 1e-1, 1e-2, 1e-4):
        model = network().double()
        trainer = T.Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), lr=lr), progress="none")
        x, y = problem(64)[:]
        trace = trainer.step(x.double(), y)
        ratios.append(trace.actual / trace.predicted)
    errors = [abs(r - 1) for r in ratios]
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 1e-3


def test_explain_and_describe_tell_what_is_there():
    trainer = make(callbacks=[T.EarlyStopping("loss"), T.StopOnNaN()], clip_norm=2.0, accumulate=2)
    trainer.fit(problem(), epochs=1)
    text = trainer.explain()
    order = ["for epoch in", "model.train()", "for xb, yb in train:", "optimizer.zero_grad()", "loss = cross_entropy",
             "→ StopOnNaN.after_forward", ".backward()", "clip_grad_norm_(model.parameters(), 2)", "optimizer.step()",
             "→ EarlyStopping.on_epoch_end"]  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    table = trainer.describe()
    assert "0.weight" in table
    assert "146 of them" in table
    assert "lr                           0.003" in table
    assert "batch_size                   32" in table


# -- callbacks
def test_freeze_and_unfreeze():
    trainer = make(callbacks=[T.Freeze("0", until_epoch=3)])
    seen = []

    class Spy(T.Callback):
        def on_epoch_end(self, trainer, state):
            seen.append(values(trainer.model))

    trainer.callbacks.append(Spy())
    start = values(trainer.model)
    trainer.fit(problem(), epochs=3)
    assert (seen[1]["0.weight"] == start["0.weight"]).all()
    assert (seen[1]["3.weight"] != start["3.weight"]).any()
    assert (seen[2]["0.weight"] != start["0.weight"]).any()
    assert all(p.requires_grad for p in trainer.model.parameters())
    gradual = make(callbacks=[T.Unfreeze(2, "0", lr=1e-4)])
    T.freeze(gradual.model, except_=["3"])
    start = values(gradual.model)
    gradual.fit(problem(), epochs=1)
    assert (values(gradual.model)["0.weight"] == start["0.weight"]).all()
    gradual.fit(problem(), epochs=2)
    assert (values(gradual.model)["0.weight"] != start["0.weight"]).any()
    assert gradual.optimizer.param_groups[0]["lr"] == 1e-4
    with pytest.raises(ValueError, match="no part 'head'; it has 0, 1, 2, 3"):
        make(callbacks=[T.Freeze("head")]).fit(problem(), epochs=1)


def test_frozen_parts_are_in_evaluation_mode():
    modes = []

    class Spy(T.Callback):
        def after_forward(self, trainer, state):
            modes.append([m.training for m in trainer.model])

    make(callbacks=[T.Freeze(except_=["3"]), Spy()]).fit(problem(), epochs=1)
    assert modes[0] == [False, False, False, True]


def test_the_average_of_parameters():
    ema = T.EMA(0.9, swap=False)
    trainer = make(callbacks=[ema])
    held = values(trainer.model)

    class Follow(T.Callback):
        updates = 0

        def after_update(self, trainer, state):
            self.updates += 1
            decay = min(0.9, (1 + self.updates) / (10 + self.updates))
            for name, value in values(trainer.model).items():
                held[name] = decay * held[name] + (1 - decay) * value

    trainer.callbacks.append(Follow())
    history = trainer.fit(problem(), epochs=3, val=problem(40, 1))
    for name, value in ema.average.items():
        np.testing.assert_allclose(value, held[name], rtol=1e-5, atol=1e-7)
    live = values(trainer.model)
    trainer.model.load_state_dict(trainer.as_state(ema.average))
    assert trainer.evaluate(problem(40, 1))["loss"] == history["val_loss"][-1]  # validation saw the average
    assert any((live[name] != ema.average[name]).any() for name in live)
    swapped = make(callbacks=[T.EMA(0.9)])
    swapped.fit(problem(), epochs=3, val=problem(40, 1))
    assert swapped.evaluate(problem(40, 1))["loss"] == swapped.state.history["val_loss"][-1]


def test_reduce_lr_on_plateau():
    trainer = make(callbacks=[T.ReduceLROnPlateau("loss", patience=2, factor=0.5, min_delta=100.0, min_lr=1e-3)])
    history = trainer.fit(problem(), epochs=8)
    assert history["lr"] == [3e-3, 3e-3, 3e-3, 1.5e-3, 1.5e-3, 1e-3, 1e-3, 1e-3]
    with pytest.raises(ValueError, match="factor"):
        T.ReduceLROnPlateau(factor=2.0)


def test_tensorboard_events(tmp_path):
    pytest.importorskip("tensorboardX")
    make(callbacks=[T.TensorBoardLog(tmp_path)]).fit(problem(), epochs=2)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    assert content.count(b"accuracy") == 2
    assert content.count(b"loss") == 2


def test_the_recorder_is_bounded_and_true(tmp_path):
    trainer = make(run_dir=tmp_path)
    trainer.fit(problem(), epochs=300, batch_size=16)  # 1,800 updates
    with np.load(tmp_path / "steps.npz") as steps:
        assert 400 <= len(steps["step"]) <= 500
        assert len(steps["0.weight.update"]) == len(steps["step"])
    full = make(record="full")
    full.fit(problem(), epochs=2)
    recorder = next(c for c in full.callbacks if isinstance(c, T.Recorder))
    arrays = recorder.arrays()
    assert arrays["step"].tolist() == [1, 2, 3, 4, 5, 6]
    moved = arrays["3.bias.values"]
    np.testing.assert_allclose(arrays["3.bias.update"][1:], np.sqrt((np.diff(moved, axis=0) ** 2).mean(1)), rtol=1e-5)
    np.testing.assert_array_equal(moved[-1], values(full.model)["3.bias"])
    big = nn.Linear(200, 100)
    trainer = T.Trainer(big, F.mse_loss, optim.SGD(big.parameters(), lr=0.1), record="full", progress="none")
    with pytest.raises(ValueError, match="20,100 parameters"):
        trainer.fit((np.zeros((4, 200)), np.zeros((4, 100))), epochs=1)


# -- from one model to another
def test_fine_tune_trains_the_head_first_then_everything_slower():
    trainer = make()
    trainer.fit(problem(), epochs=2)
    old = T.replace_head(trainer.model, "3", nn.Linear(16, 3))
    assert isinstance(old, nn.Linear)
    start = values(trainer.model)
    data = (problem()[:][0].numpy(), np.arange(90) % 3)
    snapshots = []

    class Spy(T.Callback):
        def on_epoch_end(self, trainer, state):
            snapshots.append((values(trainer.model), [g["lr"] for g in trainer.optimizer.param_groups]))

    trainer.callbacks.append(Spy())
    history = trainer.fine_tune(data, head="3", freeze_epochs=2, epochs=3, lr=1e-2, lr_ratio=0.1, batch_size=30)
    assert [row["epoch"] for row in history.rows] == [1, 2, 3]
    assert (snapshots[1][0]["0.weight"] == start["0.weight"]).all()
    assert (snapshots[1][0]["3.weight"] != start["3.weight"]).any()
    assert (snapshots[2][0]["0.weight"] != start["0.weight"]).any()
    assert snapshots[0][1] == [1e-2]
    assert snapshots[2][1] == pytest.approx([1e-3, 1e-2])
    assert all(p.requires_grad for p in trainer.model.parameters())
    assert len(trainer.callbacks) == 2  # recorder and spy: the freezing one is gone
    with pytest.raises(ValueError, match="no part 'heads'"):
        trainer.fine_tune(data, head="heads")


def test_learning_rates_by_part():
    model = network()
    groups = T.parameter_groups(model, {"3": 1e-2}, 1e-3)
    assert [(len(g["params"]), g["lr"]) for g in groups] == [(2, 1e-3), (2, 1e-2)]
    T.freeze(model, except_=["3"])
    assert [(len(g["params"]), g["lr"]) for g in T.parameter_groups(model, {"3": 1e-2}, 1e-3)] == [(2, 1e-2)]
    with pytest.raises(ValueError, match="begins with 7"):
        T.parameter_groups(model, {"7": 1.0}, 1.0)


def test_time_that_runs_out_between_epochs_leaves_a_run_to_go_on_with(monkeypatch):
    clock = iter([0.0, *[1.0] * 4, *[20.0] * 50])  # the time of fit's start, three looks within an epoch, and more
    monkeypatch.setattr("tinygrad_edu.train.trainer.time.monotonic", lambda: next(clock))
    trainer = make()
    history = trainer.fit(problem(), epochs=5, batch_size=30, max_seconds=10)
    assert len(history) == 1
    assert trainer.state.paused == history.stopped == "max_seconds reached after epoch 1"


def test_weights_by_name(tmp_path):
    from safetensors.numpy import save_file

    source = network(1)
    named = {f"body.{name}": np.ascontiguousarray(value) for name, value in values(source).items()}
    save_file(named, tmp_path / "w.safetensors")
    target = network(2)
    assert T.load_weights(target, tmp_path / "w.safetensors", mapping=lambda n: n.removeprefix("body.")) == ([], [])
    assert T.fingerprint(target) == T.fingerprint(source)
    before = T.fingerprint(target)
    with pytest.raises(T.CheckpointError, match=r"0\.weight is missing in the file.*body\.0\.weight is not in this"):
        T.load_weights(target, tmp_path / "w.safetensors")
    with pytest.raises(T.CheckpointError, match=r"\(3, 6\) in the file, \(16, 6\) here"):
        T.load_weights(target, {"0.weight": np.zeros((3, 6))}, strict=False)
    missing, extra = T.load_weights(target, {"x": np.zeros(2)}, strict=False)
    assert len(missing) == 4
    assert extra == ["x"]
    assert T.fingerprint(target) == before
    trainer = make()
    trainer.save(tmp_path / "c.safetensors")
    T.load_weights(target, tmp_path / "c.safetensors")
    assert T.fingerprint(target) == T.fingerprint(trainer.model)


class Attack:
    """What a hostile pickle holds: an instruction to run something."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return eval, (f"open({self.marker!r}, 'w')",)


@pytest.mark.parametrize("legacy", [False, True])
def test_weights_of_pytorchs_files(tmp_path, legacy):
    torch = pytest.importorskip("torch")
    source = network(1)
    state = {f"body.{n}": torch.tensor(v) for n, v in values(source).items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "w.pt", _use_new_zipfile_serialization=not legacy)
    target = network(2)
    assert T.load_weights(target, tmp_path / "w.pt", mapping=lambda n: n.removeprefix("body.")) == ([], [])
    assert T.fingerprint(target) == T.fingerprint(source)
    before = T.fingerprint(target)
    hostile = {"state_dict": {**state, "x": Attack(tmp_path / "run")}}
    torch.save(hostile, tmp_path / "h.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(T.CheckpointError, match="no file of weights that can be read"):
        T.load_weights(target, tmp_path / "h.pth")
    assert not (tmp_path / "run").exists()
    (tmp_path / "cut.pt").write_bytes((tmp_path / "w.pt").read_bytes()[:300])
    with pytest.raises(T.CheckpointError, match="can be read"):
        T.load_weights(target, tmp_path / "cut.pt")
    assert T.fingerprint(target) == before
    tg.save(source.state_dict(), tmp_path / "ours.tg")
    T.load_weights(target, tmp_path / "ours.tg")
    assert T.fingerprint(target) == T.fingerprint(source)


# -- hyperparameters and held-out rows
def test_hyperparameters_are_checked_and_frozen(tmp_path):
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class Mine(T.HParams):
        lr: float = 1e-3
        hidden: tuple[int, ...] = (64,)
        patience: int | None = None
        name: str = "x"

    params = Mine(lr=0.1).with_(hidden=[32, 16], patience=3)
    assert params.hidden == (32, 16)
    params.save(tmp_path / "config.json")
    assert Mine.load(tmp_path / "config.json") == params
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.lr = 1.0
    for wrong, match in [
        ({"lr": "fast"}, r"Mine\.lr is 'fast'; it must be float"),
        ({"hidden": [1.5]}, r"Mine\.hidden is 1\.5; it must be int"),
        ({"patience": True}, "patience"),
        ({"rate": 1}, "has no rate; it has lr, hidden"),
    ]:
        with pytest.raises(ValueError, match=match):
            Mine.from_dict(wrong)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match="holds a list"):
        Mine.load(tmp_path / "config.json")


def test_test_rows_are_read_once(tmp_path):
    test = train_dev_test_split(problem(), seed=0).test
    trainer = make()
    with pytest.raises(HeldOutError, match="held out"):
        test[0]
    with pytest.raises(HeldOutError, match="held out"):
        list(test)
    for use in (lambda: trainer.fit(test, epochs=1), lambda: trainer.find_lr(test), lambda: trainer.overfit(test)):
        with pytest.raises(ValueError, match="held-out test data"):
            use()
    with pytest.raises(ValueError, match="held-out test data"):
        trainer.fit(problem(), epochs=1, val=test)
    assert test.readings == []
    assert "accuracy" in trainer.evaluate(test)
    with pytest.raises(HeldOutError, match=r"read before, for: Trainer\.evaluate"):
        trainer.evaluate(test)
    assert len(test.open("once more", spend=True)) == len(test)
    assert test.readings == ["Trainer.evaluate", "once more"]
    first, second = (tg.data.HeldOut(problem(), log=tmp_path / "test-readings.json") for _ in range(2))
    first.open("the report")
    with pytest.raises(HeldOutError, match="the report"):
        second.open("another process")
    assert json.loads((tmp_path / "test-readings.json").read_text())["readings"] == ["the report"]


# -- kill -9
def test_fifty_kills_lose_nothing(tmp_path):
    """A child process trains and is killed at random instants, 50 times; what it leaves is always whole, and the run
    that is resumed after each of them ends with the bytes of one that was never disturbed."""
    fit = {"epochs": 25, "val": problem(30, 1), "batch_size": 16}

    def trainer(folder):
        callbacks = [T.EarlyStopping("val_loss", patience=100), T.Checkpoint(folder / "ckpt", every_steps=4)]
        model = network(5)
        optimizer = optim.Adam(model.parameters(), lr=1e-3)
        return T.Trainer(model, F.cross_entropy, optimizer, seed=5, run_dir=folder, callbacks=callbacks,
                         schedule=lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 25), clip_norm=1.0,
                         metrics={"accuracy": T.accuracy}, progress="none")  # fmt: skip

    started = time.monotonic()
    whole = trainer(tmp_path / "whole")
    whole.fit(problem(), **fit)
    needed = time.monotonic() - started
    rng = random.Random(0)
    run = tmp_path / "run"
    kills = finished = 0
    while kills < 50:
        child = os.fork()
        if child == 0:
            try:
                trainer(run).fit(problem(), **fit, resume="auto")
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0.0, 0.25) * needed)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        finished += not os.WIFSIGNALED(status)
        kills += os.WIFSIGNALED(status)
        last = run / "ckpt" / "last.safetensors"
        if last.exists():
            done = T.load_checkpoint(last)["epoch"]
            if finished or done == 25:  # start another run, so that there is something to kill
                finished = 0
                assert last.read_bytes() == (tmp_path / "whole" / "ckpt" / "last.safetensors").read_bytes()
                run = tmp_path / f"run-{kills}"
    resumed = trainer(run)
    resumed.fit(problem(), **fit, resume="auto")
    assert resumed.state.history.rows == whole.state.history.rows
    for name in ("history.csv", "ckpt/last.safetensors", "steps.npz"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
