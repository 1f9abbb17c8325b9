"""
16. Sizes: from ten parameters to ten billion
=============================================

A model's size is a number you can compute before you build it, and so is most of what training it costs.

The models of these lessons have a few thousand parameters and learn in seconds. Those in the news have billions, and
take thousands of machines. What they do in each step is the same. This lesson climbs the ladder and reads the bill.
"""

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.lessons.style import COLOURS, GREY, INK
from tinygrad_edu.train import load_checkpoint
from tinygrad_edu.zoo import PRESETS, count_parameters, training_bytes

F = nn.functional
lesson = Lesson(__doc__)

# %%
# A linear layer from I numbers to O numbers has I · O weights and O biases. So a line through ten measurements has 11
# parameters. How many has the reader of digits, 64 inputs, 128 hidden units, 10 outputs? Say it before you look below.

by_hand = (64 * 128 + 128) + (128 * 10 + 10)
counts = {name: count_parameters(preset.build()) for name, preset in PRESETS.items()}
lesson.say(f"by hand: {by_hand:,}; counted in the model: {counts['mlp']:,}\n")

# %%
# Training keeps more than the parameters: a gradient for each, and what the optimiser remembers of each. Adam remembers
# two numbers. Four numbers of four bytes make 16 bytes a parameter. Is it so? One step of a real model, and we count.


def kept(model: nn.Module, *x: tg.Tensor) -> int:
    """The bytes that one step with Adam leaves in memory: parameters, gradients, moments."""
    optimizer = optim.Adam(model.parameters())
    model(*x).sum().backward()
    optimizer.step()
    arrays = [a for p in model.parameters() for a in (p, p.grad, *optimizer.state[p].values())]
    return sum(a.nbytes for a in arrays if getattr(a, "ndim", 0))


inputs = {"mlp": tg.randn(8, 64), "cnn": tg.randn(8, 1, 28, 28), "efficientnet-lite0": tg.randn(2, 3, 64, 64)}
measured = {name: kept(PRESETS[name].build(), x) for name, x in inputs.items()}
lesson.table([{"model": name, "parameters": f"{counts[name]:,}", "16 bytes each": f"{16 * counts[name]:,}",
               "counted after a step": f"{measured[name]:,}"} for name in measured])  # fmt: skip

# %%
# Now the whole ladder, with a model of ten billion at its end. Nobody has to build it to know what it needs.

ladder = {**counts, "10 billion": 10_000_000_000}
bill = {name: training_bytes(count) for name, count in ladder.items()}
need = {name: sum(parts.values()) for name, parts in bill.items()}
lesson.table([{"model": name, "parameters": f"{count:,}", "kB to train": f"{need[name] / 1e3:,.1f}",
               "kB sent per update": f"{4 * count / 1e3:,.1f}"} for name, count in ladder.items()])  # fmt: skip
lesson.say(f"10 billion: {need['10 billion'] / 1e9:.0f} GB before any activation; an accelerator of 80 GB is half.\n")

# %%
# Time grows too: every weight is multiplied once for each example on the way forward, and twice on the way back. Here
# are steps of growing networks on this machine, 64 examples each. What do you expect of a hundred times the weights?


def step_time(width: int) -> tuple[int, float]:
    """Parameters of a network with two hidden layers, and the median seconds of its steps."""
    sizes = (64, width, width, 10)
    layers = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())][:-1]
    model, times = nn.Sequential(*layers), []
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    x, y = tg.randn(64, 64), tg.arange(64) % 10
    for _ in range(7):
        start = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return count_parameters(model), statistics.median(times)


speeds = [step_time(width) for width in (16, 64, 256, 1024, 2048)]
lesson.table([{"parameters": f"{n:,}", "ms a step": 1e3 * s, "ns a parameter": 1e9 * s / n} for n, s in speeds])

# %%
# When one machine is not enough, several share a batch: each computes the gradient on its rows, the gradients are added
# up, and all take the same step. The sum of parts is the whole, so nothing changes but rounding. Here it is by hand.


def train(workers: int, steps: int = 30) -> np.ndarray:
    """All parameters after some steps, in float64, each batch of 64 dealt out to `workers`."""
    tg.manual_seed(lesson.seed)
    draw = np.random.default_rng(lesson.seed)
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 3)).double()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        x = draw.normal(size=(64, 8))
        y = (x[:, 0] * x[:, 1] > 0).astype(np.int64) + (x[:, 2] > 0)
        optimizer.zero_grad()
        for rows in np.array_split(np.arange(64), workers):  # .backward() adds to the gradients that are there
            (F.cross_entropy(model(tg.tensor(x[rows])), tg.tensor(y[rows])) * (len(rows) / 64)).backward()
        optimizer.step()
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])


alone = train(1)
apart = {workers: np.abs(train(workers) - alone).max() for workers in (2, 3, 7)}
lesson.table([{"workers": n, "largest difference of a parameter": f"{gap:.1e}"} for n, gap in apart.items()])

# %%
# And with real processes that send each other real messages (MPI), through the very command you would type.

here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
launcher, gap = shutil.which("mpiexec", path=here), None
if launcher is None:
    lesson.say("NOT SHOWN HERE: real processes need an MPI library: pip install 'tinygrad_edu[dist]'\n")
else:
    env = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1",
                        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "PMIX_MCA_gds": "hash",
                        "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # fmt: skip
    settings = f"--optimizer sgd --lr 0.3 --epochs 5 --seed {lesson.seed} --quiet".split()
    ends, rows = [], []
    for n in (1, 2):
        with tempfile.TemporaryDirectory() as out:
            tge = [sys.executable, "-m", "tinygrad_edu.cli", "train", "digits", "--dist", "mpi", "--out", out]
            subprocess.run([launcher, "-n", str(n), *tge, *settings], env=env, check=True, capture_output=True)
            run = Path(out) / "digits-1"
            result = json.loads((run / "result.json").read_text())
            ends.append(load_checkpoint(run / "ckpt/final.safetensors")["model"])
        rows.append({"processes": n, "dev accuracy": result["dev_accuracy"], "seconds": result["seconds"]})
    gap = max(np.abs(np.asarray(ends[0][name]) - np.asarray(ends[1][name])).max() for name in ends[0])
    lesson.table(rows)
    lesson.say(f"largest difference: {gap:.1e}. A model this small gains no time: each update waits for messages.\n")

# %%
# The ladder in one picture. Both scales are logarithmic: a step to the right is ten times the parameters.

figure, (left, right) = lesson.figure(1, 2, width=11, height=4.2, title="What a model's size costs",
                                      gridspec_kw={"width_ratios": [1.5, 1]})  # fmt: skip
left.plot(list(ladder.values()), [need[name] for name in ladder], "o-", color=COLOURS[3])
for name, count in ladder.items():
    above, text = name in ("10 billion", "minilm", "linear", "cnn"), f"{name}\n{count:,}" if count < 1e10 else name
    left.annotate(text, (count, need[name]), xytext=(-6, 5) if above else (6, -3), textcoords="offset points",
                  fontsize=8.5, ha="right" if above else "left", va="bottom" if above else "top")  # fmt: skip
for size, what in ((16e9, "16 GB: a laptop"), (80e9, "80 GB: one accelerator")):
    left.axhline(size, color=GREY, lw=1, ls=(0, (4, 3)))
    left.text(3, size * 1.25 if size > 2e10 else size / 1.3, what, fontsize=8.5, color=INK,
              va="bottom" if size > 2e10 else "top")  # fmt: skip
left.set(xscale="log", yscale="log", xlabel="parameters", ylabel="bytes", xlim=(1.5, 2e11), ylim=(40, 4e12))
left.set_title("weights, gradients, Adam's two moments: 16 bytes each")
right.plot(*zip(*[(n, 1e3 * s) for n, s in speeds], strict=True), "o-", color=COLOURS[3], label="measured")
slope = 1e3 * speeds[-1][1] / speeds[-1][0]
right.axline((1e5, 1e5 * slope), (1e6, 1e6 * slope), color=GREY, lw=1, ls=(0, (4, 3)), label="in proportion")
right.set(xscale="log", yscale="log", xlabel="parameters", ylabel="milliseconds", ylim=(0.02, None))
right.set_title("one step of 64 examples")
right.legend()

# %%
# What was shown. Try: tge size gpt2 --params 10e9 --optimizer sgd, and mpiexec -n 2 tge train digits --dist mpi

published = {"linear": 11, "mlp": 9_610, "efficientnet-lite0": 4_652_008, "minilm": 22_713_216, "gpt2": 124_439_808}
for name, count in published.items():
    lesson.claim(f"parameters of {name}", counts[name], at_least=count, at_most=count)
exact, cost = all(measured[name] == 16 * counts[name] for name in measured), need["10 billion"] / 1e9
lesson.claim("a step with Adam leaves 16 bytes a parameter, in three models", exact)
lesson.claim("GB to train 10 billion parameters, without activations", cost, at_least=160, at_most=160)
lesson.claim("a batch dealt out to 2, 3, 7 workers: largest difference", max(apart.values()), at_most=1e-6)
if gap is not None:
    lesson.claim("two processes against one, over MPI: largest difference", gap, at_most=1e-6)
lesson.end()
