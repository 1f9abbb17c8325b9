"""What each process of the tests runs: train a network, and say at the end what became of it. Arguments in JSON."""

import json
import os
import signal
import sys
import time

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu import train as T

F = nn.functional


class Trouble(T.Callback):
    """What one process does wrong in the middle of training."""

    def __init__(self, what):
        self.what = what

    def after_forward(self, trainer, state):
        if trainer.parallel.rank == trainer.parallel.size - 1 and state.step == 5:
            if self.what == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.what == "raises":
                raise RuntimeError("the disk of this process is on fire")
            if self.what == "hangs":
                time.sleep(600)
            if self.what == "stops":
                state.stop = "enough, says the last process"


def main(rows=90, batch=16, epochs=3, accumulate=1, trouble=None, other=None, bucket=300, timeout=60.0, optimizer="sgd",
         weights=False):  # fmt: skip
    parallel = T.DataParallel(T.MPI(), bucket_bytes=bucket, timeout=timeout)
    last = parallel.rank == parallel.size - 1
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 6))
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    tg.manual_seed(1 if last and other == "parameters" else 0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2)).double()
    make = {"sgd": lambda p: optim.SGD(p, lr=0.1, momentum=0.9), "adam": lambda p: optim.Adam(p, lr=3e-3)}[optimizer]
    if last and other == "optimiser":
        make = lambda p: optim.SGD(p, lr=0.2)
    trainer = T.Trainer(model, F.cross_entropy, make(model.parameters()), metrics={"accuracy": T.accuracy},
                        accumulate=accumulate, clip_norm=5.0, callbacks=[] if trouble is None else [Trouble(trouble)],
                        parallel=parallel, progress="none", record="none")  # fmt: skip
    options = {"sample_weight": rng.integers(0, 3, rows)} if weights else {}
    history = trainer.fit((x, y), epochs=epochs, batch_size=batch, val=(x[:20], y[:20]), **options)
    report = {"rank": parallel.rank, "sha": T.fingerprint(model), "rows": history.rows, "stopped": history.stopped,
              "steps": trainer.state.step, "bytes": parallel.bytes_sent,
              "parameters": {n: p.detach().numpy().tolist() for n, p in model.named_parameters()}}  # fmt: skip
    sys.stdout.write(json.dumps(report) + "\n")


main(**json.loads(sys.argv[1]))
