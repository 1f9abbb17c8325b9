"""Random calls of the compiled kernels, right ones and wrong ones of every kind; run as a program by test_fuzz.py.

    python tests/kernels/fuzz.py --calls 100000 --seed 1 --last FILE     FILE holds the number of the call being made
    python tests/kernels/fuzz.py --seed 1 --only 4711                    makes that one call and shows it

A call starts from one that fits (shapes by `SHAPES`, settings by `setting`), in any dtype and layout; then some of its
arguments are taken away, added, or replaced by what no kernel expects. Call i depends on the seed and i alone.
"""

from __future__ import annotations

import argparse
import faulthandler
import inspect
import os
import random
import resource
import sys
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_edu.kernels import native

KERNELS = sorted(native._native.counters())

# What an argument's dimensions are, a letter each; arguments that are not named here have those of `ANY`.
ANY = "nd"
ATTENTION = {"q": "btd", "k": "bsd", "v": "bse", "mask": "bts", "g": "bte", "y": "bte", "lse": "bt"}
CONVOLUTION = {"x": "nchw", "w": "ocij", "bias": "o", "g": "nohw"}
POOL = {"x": "nchw", "g": "nchw", "indices": "nchw"}
NORM = {"x": "nd", "g": "nd", "weight": "d", "bias": "d", "mean": "n", "rstd": "n"}
BATCH = {"x": "ncl", "g": "ncl", "weight": "c", "bias": "c", "mean": "c", "rstd": "c"}
LINEAR = {"x": "bi", "w": "oi", "b": "o", "g": "bo", "saved": "bo", "out": "bo"}
LOSS = {"x": "nc", "target": "n", "weight": "c", "lse": "n", "g": ""}
SHAPES: dict[str, dict[str, str]] = {
    "matmul": {"a": "bmk", "b": "bkn", "out": "bmn"},
    "linear": LINEAR, "linear_activation": LINEAR, "linear_backward": LINEAR,
    "attention": ATTENTION, "attention_backward": ATTENTION,
    "convolve": CONVOLUTION, "convolve_input_gradient": CONVOLUTION, "convolve_weight_gradient": CONVOLUTION,
    "convolve_parameter_gradients": CONVOLUTION,
    "max_pool": POOL, "avg_pool": POOL, "avg_pool_backward": POOL, "scatter_planes": POOL,
    "layer_norm": NORM, "layer_norm_backward": NORM, "rms_norm": NORM, "rms_norm_backward": NORM,
    "batch_norm": BATCH, "batch_norm_backward": BATCH,
    "take": {"weight": "rd", "index": "n"}, "take_backward": {"g": "nd", "index": "n"},
    "cross_entropy": LOSS, "cross_entropy_backward": LOSS,
}  # fmt: skip
ARRAYS = {
    "x", "y", "a", "b", "w", "g", "q", "k", "v", "mask", "lse", "bias", "saved", "target", "weight", "index", "indices",
    "mean", "rstd", "condition", "out",
}  # fmt: skip
LISTS = {"params", "grads", "momenta", "exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs", "arrays"}
WRITTEN = {"out", *LISTS - {"grads"}}  # what a kernel may change
WHOLE = {"target", "index", "indices"}
SIZES = [0, 1, 1, 2, 3, 5, 8, 17, 33]
# Either small or beyond any memory: what lies between would be computed, for hours.
HUGE = [2**40, 2**61, 2**62, 2**63 - 1, 2**63, 2**64, 2**70, -1, -(2**40), -(2**63), -(2**63) - 1]


class Refusal(Exception):
    """Raised by the hostile arguments below."""


class Hostile:
    """Converts itself to what no one expects, or refuses.

    It leaves the call's arrays and lists alone: NumPy itself, in which the reference is written, reads freed memory
    when an object that it adds to an array resizes that array (test_fuzz.py shows that the compiled kernels do not).
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def act(self, value: Any) -> Any:
        if self.rng.random() < 0.2:
            raise Refusal("no")
        return value

    def __index__(self) -> int:
        return self.act(self.rng.choice([0, 1, 2, *HUGE]))

    def __float__(self) -> float:
        return self.act(self.rng.choice([0.0, 0.5, float("nan"), float("inf"), -1e308]))

    def __bool__(self) -> bool:
        return self.act(self.rng.random() < 0.5)

    def __len__(self) -> int:
        return self.act(self.rng.choice([0, 1, 2**40]))

    def __getitem__(self, i: Any) -> Any:
        return self.act(self.rng.choice([1, self]) if isinstance(i, int) and i < 4 else 1)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.act(np.ones(self.rng.choice([(), (3,), (2, 3)])))

    @property
    def dtype(self) -> Any:
        return self.act(np.dtype(self.rng.choice(["f4", "f8", "i8", "O"])))


class Truth(int):
    """An integer whose truth is a deed."""

    hostile: Hostile

    def __bool__(self) -> bool:
        return bool(self.hostile)


def dtype(rng: random.Random) -> Any:
    odd = ["f2", ">f4", ">f8", "i8", "i4", "u1", "?", "c16", "g", "O", "S3", "U2", "M8[s]", "V8", [("a", "f4")], "V0"]
    return np.dtype(rng.choice(odd) if rng.random() < 0.15 else rng.choice(["f4", "f8"]))


def array(rng: random.Random, shape: tuple[int, ...], kind: np.dtype[Any]) -> Any:
    """Entries of any value, in any layout."""
    n = int(np.prod(shape))
    pool = [0.0, 1.0, -1.0, 0.5, 3.25, 1e30, -1e-30, float("nan"), float("inf"), -float("inf"), 1e300]
    bound = rng.choice([2, 2, 11])
    values: Any = [pool[rng.randrange(bound)] for _ in range(min(n, 64))] or [0.0]
    with np.errstate(all="ignore"):
        filled = np.resize(np.array(values), shape)
        try:
            x = np.asarray((np.nan_to_num(filled) if kind.kind in "iu" else filled).astype(kind))
        except (TypeError, ValueError):
            x = np.zeros(shape, kind)
    layout = rng.randrange(12)
    if layout == 1:
        x = np.ascontiguousarray(x.T).T
    elif layout == 2 and x.ndim:
        x = x[tuple([slice(None, None, -1)] * x.ndim)]
    elif layout == 3 and x.ndim:
        big = np.zeros([2 * m + 1 for m in shape], kind)
        big[tuple(slice(1, None, 2) for _ in shape)] = x
        x = big[tuple(slice(1, None, 2) for _ in shape)]
    elif layout == 4 and x.size:
        x = np.broadcast_to(x[(0,) * x.ndim], shape)
    elif layout == 5 and x.ndim and x.size:  # every row begins one entry after the one before
        x = np.lib.stride_tricks.as_strided(np.zeros(sum(shape) + 1, kind), shape, (kind.itemsize,) * x.ndim)
    elif layout == 6 and not kind.hasobject and kind.itemsize:
        raw = np.zeros(x.nbytes + 1, np.uint8)
        raw[1:] = np.frombuffer(x.tobytes(), np.uint8)
        x = raw[1:].view(kind).reshape(shape) if x.nbytes else x
    elif layout == 7:
        x.flags.writeable = False
    return x


def setting(rng: random.Random, name: str, sizes: dict[str, int]) -> Any:
    """An argument that is no array, such as fits more often than not."""
    window = (sizes["i"], sizes["j"])
    if name in ("shape", "spatial"):
        return (sizes["h"], sizes["w"])
    if name in ("kernel", "stride", "dilation", "padding"):
        return {"kernel": window, "padding": (window[0] // 2, window[1] // 2)}.get(name, (1, 1))
    known = {
        "axes": [(0,), (1,), (0, 1), ()], "axis": [0, 1, -1], "activation": ["none", "relu", "gelu", "silu"],
        "reduction": ["none", "sum", "mean"], "dtype": [np.float32, np.float64, np.dtype("f4"), "f8", np.int64],
        "divisor": [None, 3], "rows": [sizes["r"]], "n": [0, 1, 7, 5000], "groups": [1], "padding_idx": [-1, 0],
    }  # fmt: skip
    if name in known:
        return rng.choice(known[name])
    return rng.choice([True, False, 0, 1, 0.5, 2, 1.5])


def strange(rng: random.Random, setting: bool = False) -> Any:
    """What no kernel expects, of an array or of a setting. No matrix: `matrix[..., None]` itself ends NumPy 2.4."""
    hostile = Hostile(rng)
    truth = Truth(rng.choice([0, 1, 2]))
    truth.hostile = hostile
    choices: list[Any] = [
        None, float("nan"), float("inf"), 1.5, "relu", "\udc80", b"x", [], (), {}, object(), np.float32(1),
        np.int64(-1), np.array(2.0), np.zeros((1,) * 64), np.ma.ones(3), hostile,
        truth, [hostile] * 3, (hostile, hostile), [1, hostile, 2, 3], np.zeros(0), [[1], [2, 3]], (2,) * 70, type,
        np.float32, rng.choice(HUGE), (rng.choice(HUGE), rng.choice(HUGE)), [rng.choice(HUGE)] * rng.randrange(1, 5),
        (0, 2**62, 2**62),
        array(rng, tuple(rng.choice(SIZES) for _ in range(rng.randrange(5))), dtype(rng)),
    ]  # fmt: skip
    if not setting:  # to read a list of that length would take hours
        choices.append(np.broadcast_to(np.float32(1), (2**40, 2**10)))
    return rng.choice(choices)


def made_call(seed: int, i: int) -> tuple[str, list[Any], dict[str, Any]]:
    """Kernel, positional and keyword arguments of call i."""
    rng = random.Random(f"{seed}/{i}")
    name = rng.choice(KERNELS)
    parameters = inspect.signature(getattr(native._native, name)).parameters
    sizes = {letter: rng.choice(SIZES) for letter in "abcdehiklmnoqrstw"}
    sizes |= {"i": rng.choice([1, 3]), "j": rng.choice([1, 3])}
    kind, same = dtype(rng), rng.random() < 0.9
    given: dict[str, Any] = {}

    def fitting(argument: str) -> Any:
        letters = SHAPES.get(name, {}).get(argument, ANY)
        own = np.dtype(bool) if argument == "condition" else np.dtype("i8") if argument in WHOLE else kind
        return array(rng, tuple(sizes[c] for c in letters), own if same else dtype(rng))

    for argument in parameters:
        if argument == "out":
            if rng.random() < 0.3:
                given["out"] = fitting("out") if rng.random() < 0.7 else next(iter(given.values()))
        elif argument in LISTS:
            given[argument] = [array(rng, shape, kind) for shape in [(3, 5), (sizes["a"],), ()][: sizes["b"] % 4]]
        elif argument in ARRAYS and not (argument in ("b", "bias", "weight", "mask") and rng.random() < 0.2):
            given[argument] = fitting(argument)
        else:
            given[argument] = None if argument in ARRAYS else setting(rng, argument, sizes)
        if rng.random() < 0.06:
            given[argument] = strange(rng, argument not in ARRAYS)
    if rng.random() < 0.05 and given:
        del given[rng.choice(list(given))]
    if rng.random() < 0.03:
        given[rng.choice(["out", "extra", "x", "ö"])] = strange(rng, True)
    by_name = [a for a in given if a not in parameters or parameters[a].kind is inspect.Parameter.KEYWORD_ONLY]
    if rng.random() < 0.3:
        by_name = list(given)[rng.randrange(len(given) + 1) :] if given else []
    positional = [value for a, value in given.items() if a not in by_name]
    if rng.random() < 0.02:
        positional += [strange(rng, True)] * rng.randrange(1, 20)
    return name, positional, {a: given[a] for a in by_name}


def held(value: Any) -> Any:
    """What is compared before and after: an array's bytes, shape and strides."""
    if isinstance(value, list):
        return [held(v) for v in value if isinstance(v, np.ndarray)]
    if type(value) is not np.ndarray or value.nbytes > 2**24:
        return None
    return value.shape, value.strides, value.dtype, value.flags.writeable, value.tobytes()


def fell_back(name: str, before: dict[str, int]) -> bool:
    return native._native.counters()[name][1] != before


def make(seed: int, i: int) -> None:
    name, positional, named = made_call(seed, i)
    signature = list(inspect.signature(getattr(native._native, name)).parameters)
    arguments = [*zip([*signature, *["more"] * 40], positional, strict=False), *named.items()]
    may_change = [value for argument, value in arguments if argument in WRITTEN]
    watched = [(a, v) for a, v in arguments if not any(v is w for w in may_change) and isinstance(v, list | np.ndarray)]
    before = [held(v) for _, v in watched]
    fallbacks = native._native.counters()[name][1]
    try:
        getattr(native._native, name)(*positional, **named)
    except (TypeError, ValueError, IndexError, OverflowError, MemoryError, Refusal):
        pass
    except (AttributeError, KeyError, ZeroDivisionError):  # the NumPy reference, which checks less
        if not fell_back(name, fallbacks):
            raise
    for (argument, value), was in zip(watched, before, strict=True):
        if held(value) != was:
            raise AssertionError(f"{name} changed its argument {argument}")


def patient(function: Any) -> Any:
    """The reference, but not for what it would compute for hours: a sum of 2⁵⁰ numbers needs no memory."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, np.ndarray) and x.size > 2**40 for x in [*args, *kwargs.values()]):
            raise MemoryError("too many entries to wait for")
        return function(*args, **kwargs)

    return call


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--last")
    options = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):  # which reserves terabytes itself
        resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
    table = native.all_dispatched("reference")
    native._native.set_fallbacks(SimpleNamespace(**{name: patient(getattr(table, name)) for name in KERNELS}))
    if options.only is not None:
        sys.stdout.write("{} {} {}\n".format(*made_call(options.seed, options.only)))
        sys.stdout.flush()
        return make(options.seed, options.only)
    last = os.open(options.last, os.O_CREAT | os.O_WRONLY) if options.last else None
    for i in range(options.calls):
        if last is not None:
            os.pwrite(last, f"{i:12d}".encode(), 0)
        make(options.seed, i)
    counters = native._native.counters().values()
    sys.stdout.write(f"{sum(served for served, _ in counters)} served, {options.calls} calls\n")
    return None


if __name__ == "__main__":
    main()
