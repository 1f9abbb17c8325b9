"""Instructions in which threads meet: atomics, asynchronous copies, shuffles, votes and barriers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .machine import Machine, Threads, typed
from .operands import U32, U64, Operands

ATOMIC: dict[str, Callable[..., Any]] = {
    "add": lambda old, v: old + v,
    "min": min,
    "max": max,
    "and": lambda old, v: old & v,
    "or": lambda old, v: old | v,
    "xor": lambda old, v: old ^ v,
    "exch": lambda old, v: v,
    "cas": lambda old, expected, v: v if old == expected else old,
    "inc": lambda old, v: 0 if old >= v else old + 1,
}


class Together(Operands):
    """Prepares them."""

    def op_atom(self) -> Any:
        dtype, space, text = typed(self.op[-1]), self.space(), self.i.text
        returns = self.op[0] == "atom"
        kind = next(p for p in self.op if p in ATOMIC)
        _, address = self.address(self.operands[returns])
        gets = [self.get(o, dtype) for o in self.operands[1 + returns :]]
        put, change = self.put(self.operands[0]) if returns else None, ATOMIC[kind]

        def atomic(m: Machine, t: Threads) -> None:
            ids = m.ids(t)
            values = [np.broadcast_to(g(m, t), ids.shape) for g in gets]
            old = np.empty(ids.shape, dtype)
            for which, array, offset in m.places(space, address(m, t), dtype.itemsize, t, False, text):
                words = array.data[: array.data.size // dtype.itemsize * dtype.itemsize].view(dtype)
                for i in np.arange(ids.size)[which]:  # one after the other
                    at = (
                        offset[i] // dtype.itemsize
                        if isinstance(which, slice)
                        else offset[np.searchsorted(which, i)] // dtype.itemsize
                    )
                    old[i] = words[at]
                    words[at] = change(words[at], *(v[i] for v in values))
            if put:
                put(m, old, t)

        return atomic

    op_red = op_atom

    def op_cp(self) -> Any:
        """cp.async: the copy happens at the wait."""
        if self.op[1] != "async":
            raise KeyError(self.op[1])
        text = self.i.text
        if self.op[2] == "commit_group":
            return lambda m, t: np.add.at(m.copy_group, m.ids(t), 1)
        if self.op[2] in ("wait_group", "wait_all"):
            left = int(self.operands[0]) if self.op[2] == "wait_group" else -1
            return lambda m, t: finish_copies(m, m.ids(t), left, text)
        _, to = self.address(self.operands[0])
        _, source = self.address(self.operands[1])
        size = int(self.operands[2])
        given = self.get(self.operands[3], U32) if len(self.operands) > 3 else lambda m, t: np.asarray(size, U32)

        def issue(m: Machine, t: Threads) -> None:
            ids = m.ids(t)
            parts = [np.array(np.broadcast_to(g(m, t), ids.shape)) for g in (to, source, given)]
            m.copies.append((ids, *parts, size, m.copy_group[ids].copy()))

        return issue

    # ---- warps and barriers
    def op_shfl(self) -> Any:
        mode, text = self.op[2], self.i.text
        target, _, ok = self.operands[0].partition("|")
        put, put_ok = self.put(target), self.put(ok or "_")
        a, b, c, mask = (self.get(o, U32) for o in self.operands[1:5])

        def shuffle(m: Machine, t: Threads) -> None:
            ids = m.ids(t)
            check_mask(m, ids, mask(m, t), text)
            lane = (m.lane[ids] % 32).astype(np.int64)
            by, limit = (np.broadcast_to(g(m, t), ids.shape).astype(np.int64) for g in (b, c))
            segment = limit >> 8 & 31
            low, high = lane & segment, (lane & segment) | (limit & 31 & ~segment)
            source = {"up": lane - by, "down": lane + by, "bfly": lane ^ by, "idx": low | (by & ~segment & 31)}[mode]
            inside = source >= (lane & segment if mode == "up" else 0) if mode == "up" else source <= high
            source = np.where(inside, source, lane)
            present = np.zeros(m.total + 32, bool)
            present[ids] = True
            thread = ids - lane + source
            away = ~present[thread] | (m.block[np.minimum(thread, m.total - 1)] != m.block[ids])
            if away.any():
                m.fail("shuffle", ids[away.argmax()], f"reads lane {source[away.argmax()]}, which takes no part", text)
            values = np.zeros(m.total, U32)
            values[ids] = a(m, t)
            put(m, values[thread], t)
            put_ok(m, inside, t)

        return shuffle

    def op_vote(self) -> Any:
        kind, text = self.op[2], self.i.text
        p, mask = self.get(self.operands[1], np.dtype(bool)), self.get(self.operands[2], U32)
        put = self.put(self.operands[0])

        def vote(m: Machine, t: Threads) -> None:
            ids = m.ids(t)
            check_mask(m, ids, mask(m, t), text)
            yes = np.broadcast_to(p(m, t), ids.shape)
            bits, voters = np.zeros((2, m.blocks * ((m.threads + 31) // 32)), U32)
            warp = m.block[ids] * ((m.threads + 31) // 32) + m.lane[ids] // 32
            bit = (U32.type(1) << (m.lane[ids] % 32).astype(U32)).astype(U32)
            np.bitwise_or.at(bits, warp, np.where(yes, bit, U32.type(0)))
            np.bitwise_or.at(voters, warp, bit)
            ballot, everyone = bits[warp], voters[warp]
            put(m, {"ballot": ballot, "any": ballot != 0, "all": ballot == everyone}[kind], t)

        return vote

    def op_bar(self) -> Any:
        if self.op[1] == "warp":
            mask, text = self.get(self.operands[0], U32), self.i.text
            return lambda m, t: check_mask(m, m.ids(t), mask(m, t), text)
        if self.op[1] == "sync":
            return None
        return self.vote_of_block()

    op_barrier = op_bar

    def vote_of_block(self) -> Any:
        """bar.red: what all threads of a block say, told to each."""
        p, put, kind = self.get(self.operands[-1], np.dtype(bool)), self.put(self.operands[0]), self.op[2]

        def vote(m: Machine, t: Threads) -> None:
            ids = m.ids(t)
            yes = np.broadcast_to(p(m, t), ids.shape)
            count = np.bincount(m.block[ids], yes, minlength=m.blocks)[m.block[ids]].astype(U32)
            put(m, {"popc": count, "or": count > 0, "and": count == m.threads}[kind], t)

        return vote

    def op_activemask(self) -> Any:
        raise KeyError("activemask depends on the schedule")

    def op_membar(self) -> Any:
        return lambda m, t: None

    op_fence = op_membar


def check_mask(m: Machine, ids: np.ndarray, mask: np.ndarray, text: str) -> None:
    """All lanes that the mask names must be here, and nobody else."""
    mask = np.broadcast_to(mask, ids.shape)
    named = mask >> (m.lane[ids] % 32).astype(U32) & U32.type(1)
    if not named.all():
        m.fail("warp-mask", ids[(named == 0).argmax()], "is not in its own mask", text)
    warps = (m.threads + 31) // 32
    warp = m.block[ids] * warps + m.lane[ids] // 32
    here = np.zeros(m.blocks * warps, U32)
    np.bitwise_or.at(here, warp, (U32.type(1) << (m.lane[ids] % 32).astype(U32)).astype(U32))
    lanes = np.minimum(32, m.threads - m.lane[ids] // 32 * 32).astype(U64)
    there = ((U64.type(1) << lanes) - U64.type(1)).astype(U32)
    away = mask & there & ~here[warp]
    if away.any():
        m.fail("divergent-warp", ids[away.argmax()], "waits for lanes that are elsewhere", text)


def finish_copies(m: Machine, ids: np.ndarray, left: int, text: str) -> None:
    waits = np.zeros(m.total, bool)
    waits[ids] = True
    kept = []
    for threads, to, source, given, size, group in m.copies:
        now = waits[threads] & (group < m.copy_group[threads] - left if left >= 0 else True)
        for i in np.flatnonzero(now):
            one, n = threads[i : i + 1], int(given[i])
            data = np.zeros(size, np.uint8)
            if n:
                ((_, array, offset),) = m.places(
                    "global", source[i : i + 1], size if n == size else 4, one, False, text
                )
                data[:n] = array.data[offset[0] : offset[0] + n]
            ((_, array, offset),) = m.places("shared", to[i : i + 1], size, one, True, text)
            array.data[offset[0] : offset[0] + size] = data
            array.written[offset[0] : offset[0] + size] = 1
        if not now.all():
            kept.append(
                tuple(x[~now] if isinstance(x, np.ndarray) else x for x in (threads, to, source, given, size, group))
            )
    m.copies = kept
