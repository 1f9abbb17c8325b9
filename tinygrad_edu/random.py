"""Random numbers: counter-based Philox streams, one per purpose, all from one seed.

A counter-based generator has no hidden state: number i of a stream is a function of (seed, stream, i). So the same
seed gives the same numbers on any number of threads and on any device, and the order in which initialisation,
shuffling and dropout take theirs does not matter. Salmon, Moraes, Dror & Shaw, SC 2011.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import InputError
from .kernels import K, on
from .types import CPU, check_device

INIT, SHUFFLE, DROPOUT = 0, 1, 2
_STREAMS = {"init": INIT, "shuffle": SHUFFLE, "dropout": DROPOUT}
Array = np.ndarray[Any, Any]


class Generator:
    """A source of random numbers with three separate streams: init, shuffle, dropout.

    `Generator(seed)` with 0 ≤ seed < 2⁶⁴, or, as in PyTorch, `Generator(device)`. The state is the seed and how far
    each stream has been used.
    """

    def __init__(self, seed: int | str = 0, device: Any = None) -> None:
        seed, device = (0, seed) if isinstance(seed, str) else (seed, device)
        check_device(device)
        self.device = CPU
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from `seed`."""
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
            raise InputError(f"manual_seed: the seed is {seed!r}; it must be an integer in [0, 2**64)")
        self.seed = int(seed)
        self.used = dict.fromkeys(_STREAMS, 0)  # blocks of four words taken from each stream
        return self

    def initial_seed(self) -> int:
        """The seed this generator started from."""
        return self.seed

    def reserve(self, stream: str, words: int) -> int:
        """Take `words` 32-bit words from a stream: returns the number of their first block."""
        first = self.used[stream]
        self.used[stream] = first + (words + 3) // 4
        return first

    def get_state(self) -> dict[str, int]:
        """The seed and the position of each stream; plain integers, fit for JSON."""
        return {"seed": self.seed, **self.used}

    def set_state(self, state: dict[str, int]) -> None:
        """Go back to a state from `get_state`."""
        missing = {"seed", *_STREAMS} - set(state)
        if missing:
            raise InputError(f"set_state: the state lacks {sorted(missing)}")
        self.manual_seed(state["seed"])
        self.used = {name: int(state[name]) for name in _STREAMS}

    def uniform(self, shape: tuple[int, ...], low: float, high: float, dtype: Any, stream: str = "init", *,
                device: Any = None) -> Array:  # fmt: skip
        """An array uniform in [low, high)."""
        offset = self.reserve(stream, math.prod(shape))
        return on(device).uniform(shape, low, high, dtype, self.seed, _STREAMS[stream], offset)

    def normal(self, shape: tuple[int, ...], mean: float, std: float, dtype: Any, stream: str = "init", *,
               device: Any = None) -> Array:  # fmt: skip
        """An array of normal numbers."""
        offset = self.reserve(stream, math.prod(shape) + 1)
        return on(device).normal(shape, mean, std, dtype, self.seed, _STREAMS[stream], offset)

    def uniform_(self, array: Array, low: float = 0.0, high: float = 1.0) -> Array:
        """Fill a float array, uniform in [low, high), from the init stream."""
        return K.copy(self.uniform(array.shape, low, high, array.dtype), out=array)

    def normal_(self, array: Array, mean: float = 0.0, std: float = 1.0) -> Array:
        """Fill a float array with normal numbers from the init stream."""
        return K.copy(self.normal(array.shape, mean, std, array.dtype), out=array)

    def integers(self, low: int, high: int, shape: tuple[int, ...], stream: str = "init") -> Array:
        """int64 numbers in [low, high), unbiased to 2⁻⁶⁴·(high − low)."""
        if not low < high:
            raise InputError(f"randint: low {low} must be below high {high}")
        n = math.prod(shape)
        words = K.philox(2 * n, self.seed, _STREAMS[stream], self.reserve(stream, 2 * n)).astype(np.uint64)
        wide = (words[0::2] << np.uint64(32)) | words[1::2]
        return (np.mod(wide, np.uint64(high - low)).astype(np.int64) + low).reshape(shape)

    def permutation(self, n: int, stream: str = "shuffle") -> Array:
        """A random order of 0 … n−1 (int64): the order of n random 64-bit keys."""
        words = K.philox(2 * n, self.seed, _STREAMS[stream], self.reserve(stream, 2 * n)).astype(np.uint64)
        return np.argsort((words[0::2] << np.uint64(32)) | words[1::2], kind="stable").astype(np.int64)


default_generator = Generator(0)


def manual_seed(seed: int) -> Generator:
    """Restart the default generator, which initialisation, dropout and `randn` use, from `seed`."""
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state() -> dict[str, int]:
    """The state of the default generator; plain integers."""
    return default_generator.get_state()


def set_rng_state(new_state: dict[str, int]) -> None:
    """Take the default generator back to a state from `get_rng_state`."""
    default_generator.set_state(new_state)
