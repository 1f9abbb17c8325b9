import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu import train as T
from tinygrad_edu.data import DataLoader, TensorDataset
from tinygrad_edu.random import Generator

F = nn.functional
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: optim.Adam(p, lr=3e-3),
    "adamw": lambda p: optim.AdamW(p, lr=3e-3),
}


def problem(n=90, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    return TensorDataset(x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(np.int64))


def make(seed=0, optimizer="adam", dropout=0.2, **options):
    tg.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 2))
    options = {"metrics": {"accuracy": T.accuracy}, "progress": "none"} | options
    return T.Trainer(model, F.cross_entropy, OPTIMIZERS[optimizer](model.parameters()), seed=seed, **options)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fit_is_the_hand_written_loop_to_the_bit(optimizer):
    data = problem()
    trainer = make(3, optimizer)
    history = trainer.fit(data, epochs=4, batch_size=16, val=problem(40, 1))

    tg.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
    opt = OPTIMIZERS[optimizer](model.parameters())
    losses = []
    loader = DataLoader(data, batch_size=16, shuffle=True, generator=tg.Generator(3))
    for _ in range(4):
        total = 0.0
        for xb, yb in loader:
            opt.zero_grad()
            loss = F.cross_entropy(model(xb), yb)
            loss.backward()
            opt.step()
            total += loss.item() * len(xb)
        losses.append(total / len(data))

    assert T.fingerprint(trainer.model) == T.fingerprint(model)
    assert history["loss"] == losses
    assert history.columns == ["epoch", "loss", "accuracy", "lr", "val_loss", "val_accuracy"]


def test_it_learns_and_predicts():
    data = problem(400)
    trainer = make(dropout=0.0)
    history = trainer.fit(data, epochs=30)
    assert history["accuracy"][-1] > 0.9 > history["accuracy"][0]
    x, y = data[:]
    outputs = trainer.predict(x, batch_size=33)
    assert outputs.shape == (400, 2)
    found = trainer.evaluate(data, batch_size=33)
    assert found["accuracy"] == pytest.approx((outputs.argmax(1) == y.numpy()).mean())
    assert found["loss"] == pytest.approx(F.cross_entropy(trainer.model(x), y).item(), rel=1e-5)
    np.testing.assert_allclose(trainer.predict(x.numpy().astype(np.float64)), outputs, rtol=1e-5, atol=1e-6)
    assert trainer.model.training


def test_callbacks_fire_in_order_and_see_the_state():
    seen = []

    class Spy(T.Callback):
        def __getattribute__(self, name):
            if name.startswith(("on_", "after_")):
                return lambda trainer, state: seen.append((name, state.epoch, state.batch))
            return super().__getattribute__(name)

    make(callbacks=[Spy()]).fit(problem(20), epochs=1, batch_size=10, val=problem(5))
    step = ["on_batch_start", "after_forward", "after_backward", "after_update"]
    validation = ["on_validation_start", "on_validation_end"]
    expected = ["on_fit_start", "on_epoch_start", *step, *step, *validation, "on_epoch_end", "on_fit_end"]
    assert [name for name, *_ in seen] == expected
    assert seen[6] == ("on_batch_start", 1, 2)


def test_early_stopping_restores_the_best():
    stop = T.EarlyStopping("val_loss", patience=2)
    seen = []

    class Keep(T.Callback):
        def on_epoch_end(self, trainer, state):
            seen.append((state.row["val_loss"], T.fingerprint(trainer.model)))

    trainer = make(callbacks=[stop, Keep()])
    history = trainer.fit(problem(30), epochs=200, val=problem(30, 9))
    assert len(history) == stop.best_epoch + 2 < 200
    assert "val_loss has not improved for 2 epochs" in history.stopped
    assert min(seen) == seen[stop.best_epoch - 1]
    assert T.fingerprint(trainer.model) == seen[stop.best_epoch - 1][1]


def test_unknown_monitor_raises_before_training():
    trainer = make(callbacks=[T.EarlyStopping("val_acuracy")])
    before = T.fingerprint(trainer.model)
    with pytest.raises(
        ValueError, match=r"monitors 'val_acuracy', but there are loss, accuracy, lr, val_loss, val_accu"
    ):
        trainer.fit(problem(), epochs=1, val=problem())
    with pytest.raises(ValueError, match=r"fit\(…, val=…\) makes it"):
        make(callbacks=[T.EarlyStopping()]).fit(problem(), epochs=1)
    assert T.fingerprint(trainer.model) == before


def test_stop_on_nan_comes_before_the_update():
    class Spoil(T.Callback):
        def on_batch_start(self, trainer, state):
            if state.step == 3:
                trainer.model[0].bias.data[...] = np.nan
                trainer.steps = state.step

    guard = T.StopOnNaN()
    trainer = make(callbacks=[Spoil(), guard])
    history = trainer.fit(problem(), epochs=5, batch_size=30)
    assert "the loss is nan in epoch 2, batch 1 (step 4)" in history.stopped
    assert guard.reason == history.stopped
    assert len(history) == 1
    assert np.isfinite(trainer.model[3].weight.detach().numpy()).all()


@pytest.mark.parametrize(
    ("train", "error", "message"),
    [
        ((np.ones((0, 6)), np.ones(0, int)), ValueError, "empty"),
        ((np.full((4, 6), np.nan), np.ones(4, int)), ValueError, "train: X has nan"),
        ((np.ones((4, 6)), np.ones(3, int)), ValueError, "4, 3 rows"),
        ((np.ones((4, 6)), np.array([0, 1, 2, 1])), (ValueError, IndexError), "2"),
        ((np.ones((4, 6)), np.array([0, 1, -1, 1])), (ValueError, IndexError), "-1"),
        ((np.ones((4, 6)), np.array([0.5, 1, 0, 1])), (ValueError, TypeError), "float|shape"),
        ((np.ones((4, 5)), np.ones(4, int)), ValueError, "5"),
        (7, TypeError, "give"),
        (TensorDataset(np.ones((4, 6), np.float32)), ValueError, "1 parts"),
    ],
)
def test_bad_data_is_refused_and_changes_nothing(train, error, message):
    trainer = make()
    before = T.fingerprint(trainer.model)
    with pytest.raises(error, match=message):
        trainer.fit(train, epochs=1)
    assert T.fingerprint(trainer.model) == before
    for wrong in (-1, 1.5, True):
        with pytest.raises(ValueError, match="whole number"):
            trainer.fit(problem(), epochs=wrong)


def test_history_survives_csv(tmp_path):
    history = make().fit(problem(), epochs=3)
    history.to_csv(tmp_path / "h.csv")
    assert T.History.from_csv(tmp_path / "h.csv").rows == history.rows
    assert history.to_dict()["loss"] == history["loss"]
    with pytest.raises(KeyError, match="there are epoch, loss"):
        history["los"]


def test_progress(capsys):
    make(progress="auto").fit(problem(), epochs=2, val=problem(20))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2   train  loss ")
    assert "dev  loss " in lines[1]
    make(progress="none").fit(problem(), epochs=2)
    assert capsys.readouterr().out == ""
    make(progress="bar").fit(problem(), epochs=2)
    assert "epoch 2/2" in capsys.readouterr().out
    with pytest.raises(ValueError, match="bar, lines, none"):
        make(progress="verbose")


# -- resuming ----------------------------------------------------------------------------------------------------
class Killed(BaseException):
    pass


class Kill(T.Callback):
    """Dies at update number `step`, wherever that is in an epoch."""

    def __init__(self, step):
        self.step = step

    def after_backward(self, trainer, state):
        if state.step == self.step:
            raise Killed


def optimizer_bytes(trainer):
    return {
        i: {k: v.numpy().tobytes() if isinstance(v, tg.Tensor) else v for k, v in entries.items()}
        for i, entries in trainer.optimizer.state_dict()["state"].items()
    }


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("step", [0, 5, 6, 17, 40])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, optimizer, step):
    def callbacks():
        return [T.EarlyStopping("val_loss", patience=4)]

    fit = {"epochs": 9, "val": problem(40, 1), "batch_size": 16}
    whole = make(1, optimizer, run_dir=tmp_path / "whole", callbacks=callbacks())
    whole.fit(problem(), **fit)
    with pytest.raises(Killed):
        make(1, optimizer, run_dir=tmp_path / "run", callbacks=[*callbacks(), Kill(step)]).fit(problem(), **fit)
    resumed = make(1, optimizer, run_dir=tmp_path / "run", callbacks=callbacks())
    if step >= 6:  # there is a checkpoint: the stream of dropout is restored, not lucky
        tg.manual_seed(77)
    resumed.fit(problem(), **fit, resume="auto")
    assert T.fingerprint(resumed.model) == T.fingerprint(whole.model)
    assert optimizer_bytes(resumed) == optimizer_bytes(whole)
    assert resumed.state.history.rows == whole.state.history.rows
    files = ("history.csv", "ckpt/last.safetensors")
    for name in files:
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    again = make(1, optimizer, run_dir=tmp_path / "run", callbacks=callbacks())
    again.fit(problem(), **fit, resume=tmp_path / "run")  # nothing is left to do, and nothing changes
    assert T.fingerprint(again.model) == T.fingerprint(whole.model)


def test_resume_refuses_other_settings(tmp_path):
    trainer = make()
    trainer.fit(problem(), epochs=2)
    trainer.save(tmp_path / "c.safetensors")
    with pytest.raises(ValueError, match="'batch_size': 32"):
        make().fit(problem(), epochs=3, batch_size=8, resume=tmp_path / "c.safetensors")
    with pytest.raises(T.CheckpointError, match="made with Adam, but this optimiser is SGD"):
        make(optimizer="sgd").fit(problem(), epochs=3, resume=tmp_path / "c.safetensors")
    with pytest.raises(T.CheckpointError, match="no such checkpoint"):
        make().fit(problem(), epochs=3, resume=tmp_path / "d.safetensors")
    with pytest.raises(ValueError, match="run_dir"):
        make().fit(problem(), epochs=3, resume="auto")
    other = make(callbacks=[T.EarlyStopping("loss")])
    other.fit(problem(), epochs=2)
    other.save(tmp_path / "e.safetensors")
    with pytest.raises(T.CheckpointError, match="EarlyStopping"):
        make().fit(problem(), epochs=3, resume=tmp_path / "e.safetensors")


def test_checkpoint_keeps_the_best(tmp_path):
    trainer = make(callbacks=[T.Checkpoint(tmp_path, monitor="val_accuracy")])
    history = trainer.fit(problem(), epochs=12, val=problem(50, 1))
    best = T.load_checkpoint(tmp_path / "best.safetensors")
    assert best["history"][-1]["val_accuracy"] == max(history["val_accuracy"])
    T.load_model(tmp_path / "best.safetensors", trainer.model)
    assert trainer.evaluate(problem(50, 1))["accuracy"] == max(history["val_accuracy"])


def test_default_generator_is_left_alone_by_the_order_of_batches():
    trainer = make(dropout=0.0)
    before = tg.default_generator.get_state()
    trainer.fit(problem(), epochs=2)
    assert tg.default_generator.get_state() == before
    assert isinstance(trainer._loader.generator, Generator)
