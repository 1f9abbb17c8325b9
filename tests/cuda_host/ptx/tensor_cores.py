"""wmma: the 32 threads of a warp hold a matrix together, and multiply two of them.

Which thread holds which entry is unspecified, so that no kernel may rely on it; here thread l has entries l, l + 32, …
Products are exact, and rounded to float32 once for each instruction: the hardware may round more often.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from .machine import Machine, Threads
from .operands import F32, U32, Get, Operands, vector
from .together import check_mask

STORED = {"tf32": F32, "f32": F32, "bf16": np.dtype("u2"), "f16": np.dtype("f2")}
ALIGNED = 32  # bytes, of a matrix's first entry


def to_tf32(x: np.ndarray) -> np.ndarray:
    """Rounded to the nearest, ties away from zero: 10 bits behind the point."""
    bits = np.ascontiguousarray(x).view(U32)
    return np.where(np.isnan(x), x, ((bits + U32.type(0x1000)) & U32.type(0xFFFFE000)).view(F32)).astype(F32)


def to_bf16(x: np.ndarray) -> np.ndarray:
    """The bits of the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(x).view(U32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FFF), rounded)


def exact(x: np.ndarray, kind: str) -> np.ndarray:
    """What the unit reads of stored entries, as float64."""
    if kind == "bf16":
        x = (x.astype(U32) << U32.type(16)).view(F32)
    elif kind == "tf32":
        x = (np.ascontiguousarray(x).view(U32) & U32.type(0xFFFFE000)).view(F32)
    return x.astype(np.float64)


class TensorCores(Operands):
    """Prepares the instructions."""

    def op_wmma(self) -> Any:
        m, n, k = map(int, re.search(r"m(\d+)n(\d+)k(\d+)", self.i.text).groups())
        sizes = {"a": (m, k), "b": (k, n), "c": (m, n), "d": (m, n)}
        if self.op[1] == "mma":
            return self.multiply(sizes)
        return getattr(self, self.op[1])(sizes[self.op[2]], STORED[self.op[-1]])

    def places(self, shape: tuple[int, int], dtype: np.dtype, base: Get, step: Get) -> Any:
        """Where the entries lie that each thread holds: a function that gives their addresses, one after the other."""
        column_major, text = "col" in self.op, self.i.text

        def addresses(m: Machine, t: Threads) -> list[np.ndarray]:
            ids = m.ids(t)
            check_mask(m, ids, np.asarray(0xFFFFFFFF, U32), text)
            start, by = (np.broadcast_to(g(m, t), ids.shape).astype(np.int64) for g in (base, step))
            if (start % ALIGNED).any():
                m.fail("misaligned", ids[(start % ALIGNED).argmax()], f"a matrix begins at {start.max():#x}", text)
            rows, columns = shape
            found = []
            for part in range(rows * columns // 32):
                row, column = np.divmod(m.lane[ids].astype(np.int64) % 32 + 32 * part, columns)
                far = column * by + row if column_major else row * by + column
                found.append((start + far * dtype.itemsize).astype(np.uint64))
            return found

        return addresses

    def load(self, shape: tuple[int, int], dtype: np.dtype) -> Any:
        puts, (_, base), step = self.registers(0), self.address(self.operands[1]), self.get(self.operands[2], U32)
        addresses, space, text = self.places(shape, dtype, base, step), self.space(), self.i.text

        def load(m: Machine, t: Threads) -> None:
            entries = [m.load(space, dtype, at, 1, t, text)[0] for at in addresses(m, t)]
            words = [e.view(f"u{dtype.itemsize}").astype(U32) for e in entries]
            if dtype.itemsize == 2:
                words = [low | high << U32.type(16) for low, high in zip(words[::2], words[1::2], strict=True)]
            words *= len(puts) // len(words)  # of float16, two threads hold each entry
            for put, word in zip(puts, words, strict=True):
                put(m, word, t)

        return load

    def store(self, shape: tuple[int, int], dtype: np.dtype) -> Any:
        _, base = self.address(self.operands[0])
        gets, step = [self.get(o, dtype) for o in vector(self.operands[1])], self.get(self.operands[2], U32)
        addresses, space, text = self.places(shape, dtype, base, step), self.space(), self.i.text

        def store(m: Machine, t: Threads) -> None:
            for get, at in zip(gets, addresses(m, t), strict=True):
                m.store(space, dtype, at, [get(m, t)], t, text)

        return store

    def multiply(self, sizes: dict[str, tuple[int, int]]) -> Any:
        types = self.op[self.op.index("f32") if "f32" in self.op else 0 :]  # d, a, b, c; of float16 only d and c
        kind, text = types[1] if len(types) == 4 else "f16", self.i.text
        puts = self.registers(0)
        gets = {x: [self.get(o, U32) for o in vector(self.operands[i])] for i, x in enumerate("dabc")}
        if {types[0], types[-1]} != {"f32"}:
            raise KeyError("sums that are no float32")

        def matrices(m: Machine, t: Threads, name: str) -> np.ndarray:
            """Those of all warps (warp, rows, columns)."""
            threads = m.ids(t).size
            words = np.stack([np.broadcast_to(get(m, t), (threads,)) for get in gets[name]])  # (registers, threads)
            dtype = STORED["f32" if name == "c" else kind]
            if dtype.itemsize == 2:
                words = np.stack([words & U32.type(0xFFFF), words >> U32.type(16)], 1).reshape(-1, threads)
            entries = np.ascontiguousarray(words.astype(f"u{dtype.itemsize}")).view(dtype)
            parts = math.prod(sizes[name]) // 32
            whole = entries[:parts].reshape(parts, -1, 32).swapaxes(0, 1)  # (warp, part, lane)
            return exact(whole, "f32" if name == "c" else kind).reshape(-1, *sizes[name])

        def multiply(m: Machine, t: Threads) -> None:
            check_mask(m, m.ids(t), np.asarray(0xFFFFFFFF, U32), text)
            d = (matrices(m, t, "a") @ matrices(m, t, "b") + matrices(m, t, "c")).astype(F32)
            parts = d.reshape(d.shape[0], -1, 32).swapaxes(0, 1).reshape(len(puts), -1)
            for put, part in zip(puts, parts, strict=True):
                put(m, part, t)

        return multiply

    def registers(self, operand: int) -> list[Any]:
        return [self.put(o) for o in vector(self.operands[operand])]
