"""What `tge` understands: commands, options, and how wrong use is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

import tinygrad_edu as tg
from tinygrad_edu import train as training

from . import cartpole, experiment, gradients, machine, reading
from .clinic import clinic
from .curve import curve
from .estimate import estimate
from .experiment import DEFAULTS, OPTIMIZERS, Refused
from .generate import generate
from .lesson import lesson
from .options import hidden, positive
from .report import report
from .runs import compare, resume, split, verify
from .sizes import pretrained, size
from .step import step
from .sweep import sweep
from .tasks import INITS
from .transfer import finetune, transfer
from .tuning import search, seeds

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=SETTINGS)
@click.version_option(tg.__version__, "--version", prog_name="tge", message="%(prog)s %(version)s")
def cli() -> None:
    """Train small models and watch their parameters being learned.

    \b
    tge lesson list                      the ideas, one runnable file each
    tge train digits                     learn to read handwritten digits (a few seconds)
    tge train names                      learn to write first names; then: tge generate runs/names-1
    tge train cartpole                   learn from rewards to keep a pole up
    tge predict runs/digits-1 drawing.png
    tge report runs/diabetes-1           how a run went, and the path of its parameters
    tge step -n 3 --explain              one step at a time, every parameter
    tge search grid digits               hyperparameters: which are best on dev?
    tge sweep lr digits                  one hyperparameter over its whole range
    tge seeds digits                     how much of that is chance?
    tge clinic new                       six runs, five of them ill: which is which?
    tge finetune runs/digits-1           start from what has been learned
    tge transfer textures --per-class 2  a published model with a new last layer
    tge estimate --params 10e9           what would a larger model cost?
    tge gradcheck                        are the derivatives right?
    """


for command in (
    lesson,
    step,
    report,
    generate,
    search,
    seeds,
    split,
    compare,
    resume,
    verify,
    estimate,
    finetune,
    transfer,
    size,
    pretrained,
    curve,
    clinic,
    sweep,
):
    cli.add_command(command)


@cli.command()
@click.argument("data", type=click.Choice([*DEFAULTS, "cartpole"]))
@click.option(
    "--task",
    type=click.Choice(["predict", "autoencode"]),
    help="autoencode (digits): give back the picture through a bottleneck; labels are not looked at.  [predict]",
)
@click.option("--code", type=click.IntRange(1, 64), help="autoencode: numbers in the bottleneck.  [8]")
@click.option("--context", type=click.IntRange(1, 16), help="names: characters that the model looks back.  [6]")
@click.option("--algo", type=click.Choice(["reinforce"]), help="cartpole: how rewards become steps.  [reinforce]")
@click.option("--episodes", type=click.IntRange(min=1), help="cartpole: how many are played at most.  [1200]")
@click.option("--discount", type=click.FloatRange(0, 1), help="cartpole: what a reward one step later counts.  [0.99]")
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Passes over the training rows.  [digits 40, diabetes 60, names 10, autoencode 100]",
)
@click.option(
    "--lr",
    type=float,
    callback=positive("a learning rate"),
    help="Size of a step.  [digits and names 0.003, diabetes 0.01, cartpole 0.02]",
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows per update.  [32; names and autoencode 64]")
@click.option(
    "--hidden",
    callback=hidden,
    metavar="N[,N…]",
    help="Units of each hidden layer; 0 for none (a linear model).  [digits and names 128, diabetes 0, "
    "autoencode 128, cartpole 32]",
)
@click.option(
    "--optimizer", type=click.Choice(list(OPTIMIZERS)), help="How gradients become steps.  [adam, names adamw]"
)
@click.option(
    "--split",
    type=click.Choice(["random", "writer"]),
    help="random: rows drawn at random, each class in proportion. writer (digits): contiguous blocks of the file, so "
    "that most test digits are by people never seen in training.  [random]",
)
@click.option(
    "--label-smoothing",
    type=click.FloatRange(0, 1, max_open=True),
    help="digits: how much of each label is spread over all digits, so that the model is not taught to be certain; the "
    "loss then cannot reach 0 (Szegedy et al. 2016).  [0.1]",
)
@click.option(
    "--weight-decay", type=click.FloatRange(min=0), help="How strongly parameters are pulled to 0.  [0, names 0.05]"
)
@click.option("--clip-norm", type=float, callback=positive("a norm"), help="Largest norm of all gradients together.")
@click.option("--accumulate", type=click.IntRange(min=1), help="Batches whose gradients make one update.  [1]")
@click.option(
    "--init", type=click.Choice(INITS), help="zeros: every parameter begins at 0; see what comes of it.  [random]"
)
@click.option("--shuffle/--no-shuffle", default=None, help="--no-shuffle: the rows in the same order in every epoch.")
@click.option(
    "--sort", is_flag=True, default=None, help="Training rows in the order of their labels (with --no-shuffle)."
)
@click.option(
    "--shuffle-labels", is_flag=True, default=None, help="Every training label to another row: nothing to learn."
)
@click.option("--max-seconds", type=float, callback=positive("a time"), help="Stop after so long; tge resume goes on.")
@click.option("--patience", type=click.IntRange(min=1), help="Stop when the dev loss has not improved for N epochs.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Decides split, initial values and order.  [0]")
@click.option("--threads", type=click.IntRange(min=1), help="Threads for the kernels; the result is the same for any.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True,
              help="Where the model is trained; cuda is a GPU, through CuPy.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Folder in which the run gets its own folder.")  # fmt: skip
@click.option("--resume", metavar="RUN|auto", help="Go on with an interrupted run: its folder, or auto for the newest.")
@click.option("--dist", type=click.Choice(["mpi"]), help="Several processes: mpiexec -n 2 tge train digits --dist mpi.")
@click.option("--spend-test-set", is_flag=True, help="Read the test rows of a resumed run a second time.")
@click.option("--quiet", is_flag=True, help="Print one line, at the end.")
@click.pass_context
def train(
    ctx: click.Context, data: str, out: Path, resume: str | None, threads: int | None, dist: str | None,
    spend_test_set: bool, device: str,
    max_seconds: float | None, quiet: bool, **given: Any,
) -> None:  # fmt: skip
    """Train a model on DATA and leave a run folder with everything about it.

    \b
    digits    1,797 images of handwritten digits, 8 x 8 pixels; a network of one hidden layer
    diabetes  442 patients, ten measurements each; a linear model of the disease's progression
    names     5,163 first names of the US census; a network that says which character comes next
    cartpole  no data: a pole on a cart, to be kept up; a policy that learns from rewards

    The rows are split once: the model learns on train, dev shows each epoch how it does on rows it has not seen, and
    test is used once, at the end (test-readings.json counts it). The run folder holds config.json, env.json,
    history.csv, steps.npz (how parameters moved), result.json, ckpt/ (checkpoints), curves.png and weights.png. Stop
    with Ctrl-C and go on with --resume.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    if threads is not None:
        tg.set_num_threads(threads)
    if data == "cartpole":
        if resume is not None or dist is not None or max_seconds is not None or device != "cpu":
            raise click.UsageError("cartpole takes seconds: without --resume, --dist, --max-seconds and --device")
        acting = cartpole.settings(wanted)
        ctx.exit(cartpole.train(experiment.new_run(out, acting), acting, quiet))
    for name in ("algo", "episodes", "discount"):
        if name in wanted:
            raise click.UsageError(f"--{name} is for cartpole; {data} has no episodes")
    params = experiment.settings(data, wanted)
    try:
        tg.kernels.on(device)
    except RuntimeError as error:
        raise Refused(str(error)) from None
    try:
        parallel = None if dist is None else training.DataParallel(training.MPI())
    except ImportError as error:
        raise Refused(str(error)) from None
    try:
        run = None
        if parallel is None or not parallel.rank:
            run = experiment.find_run(resume, out, data) if resume is not None else None
            if run is None:
                run = experiment.new_run(out, params)
            else:
                experiment.resumed(run, data, wanted)
        if parallel is not None:  # the others get the folder of the first
            run = Path(parallel.communicator.gather_text(str(run))[0])
        assert run is not None
        params = experiment.read_config(run)
        status = experiment.train(
            run, params, quiet=quiet, spend_test_set=spend_test_set, max_seconds=max_seconds, parallel=parallel,
            device=device,
        )  # fmt: skip
    except OSError as error:
        raise click.ClickException(f"{error.strerror or error}") from error
    ctx.exit(status)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def info(as_json: bool) -> None:
    """Show the version, and what computes on this machine: kernels, instruction set, threads, GPU."""
    facts = machine.describe()
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):<16} {value if value is not None else 'none'}")


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
def predict(run: Path, file: Path) -> None:
    """Ask the model in the folder RUN about FILE.

    FILE is a picture of one digit (PNG, any size, dark on light or light on dark), which is brought into the form
    of the training data and shown as the model sees it; or a CSV file with one example per row (digits: 64 values
    from 0 to 16, or eight rows of eight for one picture; diabetes: ten values in the units of the data card).
    """
    reading.predict(run, file)


@cli.command()
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="For the random inputs.")
@click.option("--op", "only", metavar="NAME", help="Check only operations whose name contains NAME.")
@click.pass_context
def gradcheck(context: click.Context, seed: int, only: str | None) -> None:
    """Check the derivative of every operation against differences.

    Each operation f is run on random float64 inputs; the gradient that backward() gives is compared with
    (f(x+e) - f(x-e)) / 2e for every entry of every input. Exit status 1 if one is wrong.
    """
    rows = gradients.check_all(seed, only or "")
    if not rows:
        raise Refused(f"no operation has {only!r} in its name; there are {', '.join(gradients.CASES)}")
    click.echo(f"{'operation':<16} {'inputs':<28} result")
    for name, shapes, problem in rows:
        click.echo(f"{name:<16} {shapes:<28} " + ("ok" if problem is None else f"WRONG: {problem}"))
    wrong = sum(problem is not None for _, _, problem in rows)
    click.echo(f"{len(rows)} operations checked, {wrong} wrong.")
    context.exit(1 if wrong else 0)
