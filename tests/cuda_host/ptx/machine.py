"""The machine that PTX runs on: threads in step, memory with bounds, alignment and initialisation checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .parse import CONSTANTS, TYPES, Instruction, Kernel, PtxError

SHARED_WINDOW, LOCAL_WINDOW = 0x7C00_0000_0000_0000, 0x7D00_0000_0000_0000  # generic addresses of these spaces
MOST_STEPS = 2_000_000
Threads = Any  # an array of thread numbers, or None for all of them


@dataclass
class Array:
    """A piece of memory and which of its bytes somebody has written."""

    base: int
    data: np.ndarray  # uint8
    written: np.ndarray  # uint8, 0 or 1
    name: str


def storage(size: int, count: int = 1, written: int = 0, base: int = 0, name: str = "") -> Array:
    """Fresh memory, each byte 0xFF: NaN for floats."""
    total = (size * count + 31) // 16 * 16
    return Array(base, np.full(total, 0xFF, np.uint8), np.full(total, written, np.uint8), name)


class Machine:
    """One launch of a kernel."""

    def __init__(
        self, kernel: Kernel, grid: Sequence[int], block: Sequence[int], memory: list[Array], dynamic_shared: int
    ) -> None:
        grid, block = [*grid, 1, 1][:3], [*block, 1, 1][:3]
        self.kernel = kernel
        self.threads, self.blocks = int(np.prod(block)), int(np.prod(grid))
        if self.threads > kernel.most_threads:
            raise PtxError(f"{kernel.name}: {self.threads} threads a block, compiled for {kernel.most_threads} at most")
        self.total = self.threads * self.blocks
        everyone = np.arange(self.total, dtype=np.uint32)
        self.lane, self.block = everyone % self.threads, everyone // self.threads
        self.special = self.special_registers(grid, block)
        self.registers: dict[str, np.ndarray] = {}
        self.owned: set[str] = set()  # registers whose array belongs to no other
        self.carry = np.zeros(self.total, bool)
        self.memory = sorted(memory, key=lambda a: a.base)
        self.bases = np.array([a.base for a in self.memory], np.int64)
        self.ends = np.array([a.base + a.data.size for a in self.memory], np.int64)
        self.shared_size = (kernel.shared + 15) // 16 * 16 + dynamic_shared
        self.shared = storage(self.shared_size, self.blocks, name="shared memory")
        self.local_size = (kernel.local + 15) // 16 * 16
        self.local = storage(self.local_size, self.total, name="local memory")
        self.passed = {n: np.zeros((self.total, size), np.uint8) for n, size in kernel.function_parameters.items()}
        self.copies: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]] = []
        self.copy_group = np.zeros(self.total, np.int64)
        self.arguments = np.zeros(0, np.uint8)

    def special_registers(self, grid: Sequence[int], block: Sequence[int]) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {
            "%laneid": self.lane % 32,
            "%warpid": self.lane // 32,
            "%WARP_SZ": np.uint32(32),
        }
        for name, place, size in (("tid", self.lane, block), ("ctaid", self.block, grid)):
            found[f"%{name}.x"] = place % size[0]
            found[f"%{name}.y"] = place // size[0] % size[1]
            found[f"%{name}.z"] = place // (size[0] * size[1])
            for axis, n in zip("xyz", size, strict=True):
                found[f"%n{name}.{axis}"] = np.uint32(n)
        return {name: np.asarray(value, np.uint32) for name, value in found.items()}

    # ---- who
    def ids(self, threads: Threads) -> np.ndarray:
        """The numbers of the threads."""
        return np.arange(self.total) if threads is None else threads

    def who(self, thread: int) -> str:
        """A thread by its block and its place there."""
        return f"block {int(self.block[thread])} thread {int(self.lane[thread])}"

    # ---- registers
    def read(self, name: str, threads: Threads) -> np.ndarray:
        """The bits of a register; those that are the same in all threads may have no axis."""
        value = self.registers.get(name)
        if value is None:
            value = self.registers[name] = np.zeros((), self.kernel.registers[name])
        return value if threads is None or not value.ndim else value[threads]

    def write(self, name: str, value: np.ndarray, threads: Threads) -> None:
        """Sets a register in some threads."""
        if threads is None:
            self.registers[name] = value
            self.owned.discard(name)
            return
        if name not in self.owned:
            old = self.registers.get(name, np.zeros((), value.dtype))
            self.registers[name] = np.array(np.broadcast_to(old, (self.total,)))
            self.owned.add(name)
        self.registers[name][threads] = value

    # ---- memory
    def places(
        self, space: str, address: np.ndarray, size: int, threads: Threads, write: bool, text: str
    ) -> list[tuple[Any, Array, np.ndarray]]:
        """For each array that is accessed: which of the threads do, and at which bytes of it."""
        ids = self.ids(threads)
        address = np.broadcast_to(address, ids.shape).astype(np.int64)
        if space == "generic":
            if address.size and address.min() >= SHARED_WINDOW and address.max() < CONSTANTS:
                space = "local" if address.min() >= LOCAL_WINDOW else "shared"
                address = address - (LOCAL_WINDOW if space == "local" else SHARED_WINDOW)
            else:
                space = "global"
        if (address % size).any():
            self.fail(
                "misaligned", ids[(address % size).argmax()], f"accesses {size} bytes at {address.max():#x}", text
            )
        if space in ("shared", "local"):
            array, own, of = (
                (self.shared, self.shared_size, self.block)
                if space == "shared"
                else (self.local, self.local_size, None)
            )
            wrong = (address < 0) | (address + size > own)
            if wrong.any():
                i = wrong.argmax()
                self.fail("out-of-bounds", ids[i], f"byte {address[i]} of {own} in {array.name}", text)
            found = [(slice(None), array, address + own * (ids if of is None else of[ids].astype(np.int64)))]
        else:
            found = self.global_places(address, size, ids, text)
        if not write:
            for which, array, offset in found:
                flags = array.written[: array.written.size // size * size].reshape(-1, size)[offset // size]
                if not flags.all():
                    i = np.argwhere(flags == 0)[0][0]
                    what = f"reads byte {offset[i]} of {array.name}, which nothing has written"
                    self.fail("uninitialised", ids[which][i], what, text)
        return found

    def global_places(self, address: np.ndarray, size: int, ids: np.ndarray, text: str) -> list[Any]:
        nearest = np.searchsorted(self.bases, address, "right") - 1
        wrong = (nearest < 0) | (address + size > self.ends[nearest])
        if wrong.any():
            i = wrong.argmax()
            array = self.memory[max(int(nearest[i]), 0)]
            what = f"byte {address[i] - array.base} of {array.name} ({array.data.size} bytes)"
            self.fail("out-of-bounds", ids[i], what, text)
        which = np.unique(nearest)
        if which.size == 1:
            array = self.memory[int(which[0])]
            return [(slice(None), array, address - array.base)]
        return [(np.flatnonzero(nearest == j), self.memory[j], address[nearest == j] - self.bases[j]) for j in which]

    def load(self, space: str, dtype: Any, address: np.ndarray, count: int, threads: Threads, text: str) -> list[Any]:
        """`count` values that lie side by side."""
        width = dtype.itemsize
        found = self.places(space, address, width * count, threads, False, text)
        result = [np.empty(self.ids(threads).shape, dtype) for _ in range(count)]
        for which, array, offset in found:
            words = array.data[: array.data.size // width * width].view(dtype)
            for i in range(count):
                result[i][which] = words[offset // width + i]
        return result

    def store(
        self, space: str, dtype: Any, address: np.ndarray, values: Sequence[np.ndarray], threads: Threads, text: str
    ) -> None:
        """Values side by side; where several threads write to one place, the last one stays."""
        width = dtype.itemsize
        for which, array, offset in self.places(space, address, width * len(values), threads, True, text):
            words = array.data[: array.data.size // width * width].view(dtype)
            flags = array.written[: array.written.size // width * width].reshape(-1, width)
            for i, value in enumerate(values):
                words[offset // width + i] = value[which] if value.ndim else value
                flags[offset // width + i] = 1

    def fail(self, kind: str, thread: int, what: str, text: str) -> None:
        raise PtxError(f"{self.kernel.name}: [{kind}] {self.who(int(thread))}: {what} in `{text}`")

    # ---- control
    def go(self) -> None:
        """Runs to the end. Of all groups of threads the one furthest behind goes on; where two meet, they merge."""
        code = self.kernel.code
        groups: dict[int, Any] = {0: None}
        waiting: dict[int, Any] = {}  # at a barrier, by the instruction after it
        returned = np.zeros(self.total, bool)

        def join(pc: int, threads: Threads) -> None:
            if pc in groups and threads is not None and groups[pc] is not None:
                threads = np.union1d(groups[pc], threads)
            groups[pc] = None if threads is None or threads.size == self.total else threads

        with np.errstate(all="ignore"):
            for _ in range(MOST_STEPS):
                if not groups:
                    if not waiting:
                        return
                    for pc, threads in self.pass_barrier(waiting, returned):
                        join(pc, threads)
                    waiting = {}
                pc = min(groups)
                threads = groups.pop(pc)
                if pc >= len(code):
                    returned[self.ids(threads)] = True
                    continue
                i = code[pc]
                if i.guard is not None:
                    on = np.broadcast_to(self.read(i.guard, threads), self.ids(threads).shape) ^ i.negated
                    if not on.all():
                        ids = self.ids(threads)
                        join(pc + 1, ids[~on])
                        threads = ids[on]
                        if not threads.size:
                            continue
                kind = i.op[0]
                if kind == "bra":
                    join(i.target, threads)
                elif kind == "brx":
                    self.branch_by_index(i, threads, join)
                elif kind in ("ret", "exit"):
                    returned[self.ids(threads)] = True
                elif kind in ("bar", "barrier") and i.op[1] != "warp":
                    if pc + 1 in waiting:
                        threads = np.union1d(waiting[pc + 1], self.ids(threads))
                    waiting[pc + 1] = self.ids(threads)
                else:
                    i.run(self, threads)
                    join(pc + 1, threads)
        raise PtxError(f"{self.kernel.name}: does not come to an end within {MOST_STEPS} steps")

    def branch_by_index(self, i: Instruction, threads: Threads, join: Any) -> None:
        index = np.broadcast_to(self.read(i.operands[0], threads), self.ids(threads).shape)
        for j in np.unique(index):
            join(i.targets[int(j)], self.ids(threads)[index == j])

    def pass_barrier(self, waiting: dict[int, np.ndarray], returned: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Who goes on, block by block: all of a block's threads must wait at the same barrier."""
        place = np.zeros(self.total, np.int64)
        for pc, threads in waiting.items():
            place[threads] = pc
        by_block = place.reshape(self.blocks, self.threads)
        for b in np.flatnonzero(by_block.any(1)):
            gone = returned.reshape(by_block.shape)[b]
            if gone.any():
                thread = b * self.threads + int(gone.argmax())
                raise PtxError(f"{self.kernel.name}: [divergent-barrier] {self.who(thread)} has returned, others wait")
            if (by_block[b] != by_block[b, 0]).any():
                raise PtxError(
                    f"{self.kernel.name}: [divergent-barrier] threads of block {b} wait at different barriers"
                )
        for pc, threads in waiting.items():
            if run := self.kernel.code[pc - 1].run:  # bar.red: the votes of a block
                run(self, threads)
        return list(waiting.items())


def run(
    kernel: Kernel,
    grid: Sequence[int],
    block: Sequence[int],
    values: Sequence[np.generic],
    memory: list[Array],
    constants: np.ndarray,
    dynamic_shared: int = 0,
) -> None:
    """Executes a kernel.

    Args:
        values: one for each parameter, with exactly its size; pointers are uint64.
        memory: all that pointers may lead to.
        constants: the bytes of the module's own variables.

    Raises:
        PtxError: an access or barrier that PTX does not define, or an instruction that is not known here.
    """
    from .instructions import prepare

    prepare(kernel)
    own = Array(CONSTANTS, constants, np.ones_like(constants), "the module's constants")
    machine = Machine(kernel, grid, block, [*memory, own], dynamic_shared)
    arguments = bytearray()
    for (name, kind, size), value in zip(kernel.parameters, values, strict=True):
        if value.dtype.itemsize != size:
            raise TypeError(f"{name}: {value.dtype} for a parameter .{kind} of {size} bytes")
        arguments += bytes(kernel.parameter_offsets[name] - len(arguments)) + value.tobytes()
    machine.arguments = np.frombuffer(bytes(arguments) + bytes(16), np.uint8)
    machine.go()


def typed(name: str) -> np.dtype:
    """The NumPy type of a PTX type."""
    try:
        return TYPES[name]
    except KeyError:
        raise PtxError(f"unknown type .{name}") from None
