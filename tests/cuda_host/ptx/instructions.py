"""What each PTX instruction does. Every one is prepared once: its operands become functions of the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arithmetic import COMPARE, clamped, fma64, rounded, to_integer
from .machine import LOCAL_WINDOW, SHARED_WINDOW, Machine, Threads, typed
from .operands import F32, F64, U32, U64, Get, Put, vector
from .parse import Kernel, PtxError
from .tensor_cores import TensorCores, to_bf16, to_tf32
from .together import Together


def prepare(kernel: Kernel) -> None:
    """Gives every instruction of a kernel its function."""
    for i in kernel.code:
        if i.run is None and i.op[0] not in ("bra", "brx", "ret", "exit"):
            try:
                i.run = Prepare(kernel, i).function()
            except (KeyError, AttributeError, IndexError, ValueError) as error:
                raise PtxError(f"{kernel.name}: no such instruction is known here: {i.text} ({error!r})") from error


class Prepare(Together, TensorCores):
    """Makes the function of one instruction."""

    def function(self) -> Any:
        name = self.op[0]
        if name in UNARY:
            return self.compute(UNARY[name])
        return getattr(self, f"op_{name}")()

    # ---- moves
    def op_mov(self) -> Any:
        dtype, (target, source) = typed(self.op[-1]), self.operands
        if target.startswith("{"):
            parts = [self.put(o) for o in vector(target)]
            part = np.dtype(f"u{dtype.itemsize // len(parts)}")
            get = self.get(source, np.dtype(f"u{dtype.itemsize}"))

            def unpack(m: Machine, t: Threads) -> None:
                value = get(m, t)
                for i, p in enumerate(parts):
                    p(m, (value >> value.dtype.type(8 * part.itemsize * i)).astype(part), t)

            return unpack
        put = self.put(target)
        if source.startswith("{"):
            names = vector(source)
            part, whole = np.dtype(f"u{dtype.itemsize // len(names)}"), np.dtype(f"u{dtype.itemsize}")
            gets = [self.get(o, part) for o in names]

            def pack(m: Machine, t: Threads) -> None:
                shifts = (g(m, t).astype(whole) << whole.type(8 * part.itemsize * i) for i, g in enumerate(gets))
                put(m, np.bitwise_or.reduce(np.broadcast_arrays(*shifts)), t)

            return pack
        get = self.get(source, dtype)
        return lambda m, t: put(m, np.array(get(m, t)), t)

    def op_cvta(self) -> Any:
        window = {"shared": SHARED_WINDOW, "local": LOCAL_WINDOW}.get(self.op[-2], 0)
        by, dtype = np.uint64(window if self.op[1] != "to" else -window & (2**64 - 1)), typed(self.op[-1])
        get, put = self.get(self.operands[1], dtype), self.put(self.operands[0])
        return lambda m, t: put(m, np.array(get(m, t) + by), t)

    def op_cvt(self) -> Any:
        narrow = {("rna", "tf32"): to_tf32, ("rn", "bf16"): to_bf16}.get((self.op[1], self.op[2]))
        if narrow is not None:
            return self.compute(narrow)
        to, source = typed(self.op[-2]), typed(self.op[-1])
        get, put = self.get(self.operands[1], source), self.put(self.operands[0])
        whole = next((p for p in self.op if p in ("rni", "rzi", "rmi", "rpi")), None)
        saturate, rounding, flush = "sat" in self.op, self.rounding, self.flush

        def convert(m: Machine, t: Threads) -> None:
            x = flush(get(m, t))
            if source.kind == "f" and to.kind != "f":
                put(m, to_integer(x, whole, to), t)
                return
            if source.kind == "f" and whole:
                x = to_integer(x, whole, None)
            if saturate:
                x = clamped(x, to)
            put(m, flush(rounded(x, rounding) if source == F64 and to == F32 else x.astype(to)), t)

        return convert

    def op_selp(self) -> Any:
        dtype = typed(self.op[-1])
        a, b = self.get(self.operands[1], dtype), self.get(self.operands[2], dtype)
        p, put = self.get(self.operands[3], np.dtype(bool)), self.put(self.operands[0])
        return lambda m, t: put(m, np.where(p(m, t), a(m, t), b(m, t)), t)

    # ---- arithmetic
    def op_add(self) -> Any:
        sign = -1 if self.op[0] == "sub" else 1
        dtype = typed(self.op[-1])
        if "cc" in self.op:
            return self.with_carry(sign)
        if dtype == F32 and self.rounding != "rn":
            how = self.rounding
            return self.compute(lambda a, b: rounded(a.astype(F64) + sign * b.astype(F64), how))
        if "sat" in self.op:
            return self.compute(lambda a, b: clamped(a + b if sign > 0 else a - b, dtype))
        return self.compute((lambda a, b: a + b) if sign > 0 else (lambda a, b: a - b))

    op_sub = op_add

    def with_carry(self, sign: int, product: Callable[..., Any] | None = None) -> Any:
        """add.cc, addc, subc, mad.cc, madc on 32 bits: the carry (or borrow) of each thread."""
        gets, put = self.sources(U32), self.put(self.operands[0])
        takes, gives = self.op[0].endswith("c"), "cc" in self.op

        def add(m: Machine, t: Threads) -> None:
            values = [g(m, t).astype(np.int64) for g in gets]
            if product is not None:
                values = [product(values[0], values[1]), values[2]]
            carry = m.carry[m.ids(t)].astype(np.int64) if takes else 0
            result = values[0] + sign * (values[1] + carry)
            put(m, (result & 0xFFFFFFFF).astype(U32), t)
            if gives:
                m.carry[m.ids(t)] = (result < 0) | (result > 0xFFFFFFFF)

        return add

    def op_addc(self) -> Any:
        return self.with_carry(1)

    def op_subc(self) -> Any:
        return self.with_carry(-1)

    def op_mul(self) -> Any:
        dtype = typed(self.op[-1])
        if dtype.kind == "f":
            if dtype == F32 and self.rounding != "rn":
                how = self.rounding
                return self.compute(lambda a, b: rounded(a.astype(F64) * b.astype(F64), how))
            saturate = "sat" in self.op
            return self.compute(lambda a, b: clamped(a * b, dtype) if saturate else a * b)
        return self.compute(product_of(self.op[1], dtype), dtype)

    def op_mad(self) -> Any:
        dtype = typed(self.op[-1])
        if dtype.kind == "f":
            return self.op_fma()
        part = next(p for p in self.op if p in ("lo", "hi", "wide"))
        if "cc" in self.op or self.op[0] == "madc":
            shift = 32 if part == "hi" else 0
            return self.with_carry(
                1,
                lambda a, b: ((a.astype(U64) * b.astype(U64) >> U64.type(shift)) & U64.type(0xFFFFFFFF)).astype(
                    np.int64
                ),
            )
        multiply = product_of(part, dtype)
        wide = np.dtype(f"{dtype.kind}{2 * dtype.itemsize}") if part == "wide" else dtype
        a, b = self.get(self.operands[1], dtype), self.get(self.operands[2], dtype)
        c, put = self.get(self.operands[3], wide), self.put(self.operands[0])
        return lambda m, t: put(m, multiply(a(m, t), b(m, t)) + c(m, t), t)

    op_madc = op_mad

    def op_fma(self) -> Any:
        how, saturate = self.rounding, "sat" in self.op
        if typed(self.op[-1]) == F64:
            return self.compute(fma64)

        def fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
            result = rounded(a.astype(F64) * b.astype(F64) + c.astype(F64), how)
            return clamped(result, F32) if saturate else result

        return self.compute(fma)

    def op_div(self) -> Any:
        dtype = typed(self.op[-1])
        if dtype.kind == "f":
            return self.compute(lambda a, b: a / b)

        def divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            safe = np.where(b == 0, dtype.type(1), b)
            quotient = a // safe
            if dtype.kind == "i":  # NumPy rounds down, C towards zero
                quotient = quotient + ((quotient < 0) & (quotient * safe != a)).astype(dtype)
            return np.where(b == 0, np.array(-1).astype(dtype), quotient).astype(dtype)

        return self.compute(divide)

    def op_rem(self) -> Any:
        dtype = typed(self.op[-1])
        return self.compute(lambda a, b: np.fmod(a, np.where(b == 0, dtype.type(1), b)).astype(dtype))

    def op_min(self) -> Any:
        dtype, name = typed(self.op[-1]), self.op[0]
        keeps_nan = dtype.kind != "f" or "NaN" in self.op
        return self.compute(getattr(np, f"{name}imum" if keeps_nan else f"f{name}"))

    op_max = op_min

    def op_and(self) -> Any:
        kind = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}[self.op[0]]
        return self.compute(kind)

    op_or = op_xor = op_and

    def op_shl(self) -> Any:
        dtype, left = typed(self.op[-1]), self.op[0] == "shl"
        a, n, put = self.get(self.operands[1], dtype), self.get(self.operands[2], U32), self.put(self.operands[0])
        most = 8 * dtype.itemsize - 1

        def shift(m: Machine, t: Threads) -> None:
            x, by = a(m, t), n(m, t)
            bits = np.minimum(by, U32.type(most)).astype(dtype)
            result = np.left_shift(x, bits) if left else np.right_shift(x, bits)
            put(m, result if dtype.kind == "i" and not left else np.where(by > most, dtype.type(0), result), t)

        return shift

    op_shr = op_shl

    def op_shf(self) -> Any:
        """A word out of two: shf.l and shf.r, .wrap or .clamp."""
        low, high, n = self.sources(U32)
        put, left, wrap = self.put(self.operands[0]), self.op[1] == "l", self.op[2] == "wrap"

        def funnel(m: Machine, t: Threads) -> None:
            both = high(m, t).astype(U64) << U64.type(32) | low(m, t)
            by = (n(m, t) & U32.type(31) if wrap else np.minimum(n(m, t), U32.type(32))).astype(U64)
            put(m, (both << by >> U64.type(32) if left else both >> by).astype(U32), t)

        return funnel

    def op_bfe(self) -> Any:
        dtype = typed(self.op[-1])
        a, b, c = self.get(self.operands[1], dtype), *(self.get(o, U32) for o in self.operands[2:])
        put, bits = self.put(self.operands[0]), 8 * dtype.itemsize

        def extract(m: Machine, t: Threads) -> None:
            position, length = (g(m, t).astype(np.int64) & 0xFF for g in (b, c))
            values = np.broadcast_arrays(a(m, t), position, length)
            fields = zip(*map(np.ravel, values), strict=True)
            result = [field_of(int(x), int(p), int(n), bits, dtype.kind == "i") for x, p, n in fields]
            put(m, np.array(result, np.int64 if dtype.kind == "i" else U64).astype(dtype).reshape(values[0].shape), t)

        return extract

    def op_bfi(self) -> Any:
        dtype = typed(self.op[-1])
        a, b = self.get(self.operands[1], dtype), self.get(self.operands[2], dtype)
        c, d, put = self.get(self.operands[3], U32), self.get(self.operands[4], U32), self.put(self.operands[0])
        bits = 8 * dtype.itemsize

        def insert(m: Machine, t: Threads) -> None:
            position, length = np.minimum(c(m, t) & 0xFF, bits - 1), np.minimum(d(m, t) & 0xFF, bits)
            ones = ~dtype.type(0)
            mask = np.where(
                length >= bits, ones, (dtype.type(1) << np.minimum(length, bits - 1).astype(dtype)) - dtype.type(1)
            )
            mask = (mask << position.astype(dtype)).astype(dtype)
            put(m, (a(m, t) << position.astype(dtype)) & mask | b(m, t) & ~mask, t)

        return insert

    def op_prmt(self) -> Any:
        a, b, c = self.sources(U32)
        put = self.put(self.operands[0])

        def permute(m: Machine, t: Threads) -> None:
            both, select = a(m, t).astype(U64) | b(m, t).astype(U64) << U64.type(32), c(m, t)
            result = np.zeros((), U32)
            for i in range(4):
                which = select >> U32.type(4 * i) & U32.type(15)
                byte = both >> (which & U32.type(7)).astype(U64) * U64.type(8) & U64.type(0xFF)
                byte = np.where(which & U32.type(8), np.where(byte & U64.type(0x80), U64.type(0xFF), U64.type(0)), byte)
                result = result | byte.astype(U32) << U32.type(8 * i)
            put(m, result, t)

        return permute

    def op_lop3(self) -> Any:
        a, b, c = (self.get(o, U32) for o in self.operands[1:4])
        table, put = int(self.operands[4], 0), self.put(self.operands[0])

        def look_up(m: Machine, t: Threads) -> None:
            x, y, z = a(m, t), b(m, t), c(m, t)
            result = np.zeros((), U32)
            for i in range(8):
                if table >> i & 1:
                    result = result | (x if i & 4 else ~x) & (y if i & 2 else ~y) & (z if i & 1 else ~z)
            put(m, result, t)

        return look_up

    def op_copysign(self) -> Any:
        return self.compute(lambda sign, x: np.copysign(x, sign))

    # ---- comparisons
    def op_setp(self) -> Any:
        dtype = typed(self.op[-1])
        compare = COMPARE[self.op[1]]
        a, b, flush = self.get(self.operands[1], dtype), self.get(self.operands[2], dtype), self.flush
        join = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}.get(self.op[2])
        c = self.get(self.operands[3], np.dtype(bool)) if join else None
        yes, _, no = self.operands[0].partition("|")
        put, put_no = self.put(yes), self.put(no or "_")

        def decide(m: Machine, t: Threads) -> None:
            result = compare(flush(a(m, t)), flush(b(m, t)))
            put_no(m, join(~result, c(m, t)) if join else ~result, t)
            put(m, join(result, c(m, t)) if join else result, t)

        return decide

    def op_set(self) -> Any:
        to, dtype = typed(self.op[-2]), typed(self.op[-1])
        compare, (a, b) = COMPARE[self.op[1]], self.sources(dtype)
        put, yes = self.put(self.operands[0]), to.type(1) if to.kind == "f" else np.array(-1).astype(to)[()]
        return lambda m, t: put(m, np.where(compare(a(m, t), b(m, t)), yes, to.type(0)), t)

    # ---- memory
    def op_ld(self) -> Any:
        dtype, space, text = typed(self.op[-1]), self.space(), self.i.text
        puts = [self.put(o) for o in vector(self.operands[0])]
        base, get = self.address(self.operands[1])
        if space == "param":
            return self.load_parameter(base, get, dtype, puts)
        space = "global" if space == "const" else space

        def load(m: Machine, t: Threads) -> None:
            for put, value in zip(puts, m.load(space, dtype, get(m, t), len(puts), t, text), strict=True):
                put(m, value, t)

        return load

    def load_parameter(self, base: str, get: Get, dtype: np.dtype, puts: list[Put]) -> Any:
        if base in self.kernel.parameter_offsets:
            start = self.kernel.parameter_offsets[base]

            def load(m: Machine, t: Threads) -> None:
                at = start + int(get(m, t))
                for i, put in enumerate(puts):
                    put(m, m.arguments[at + i * dtype.itemsize :][: dtype.itemsize].view(dtype)[0], t)

            return load

        def load_passed(m: Machine, t: Threads) -> None:
            at = int(get(m, t))
            bytes_ = m.passed[base][m.ids(t), at : at + dtype.itemsize]
            puts[0](m, np.ascontiguousarray(bytes_).view(dtype)[:, 0], t)

        return load_passed

    def op_st(self) -> Any:
        dtype, space, text = typed(self.op[-1]), self.space(), self.i.text
        base, address = self.address(self.operands[0])
        gets = [self.get(o, dtype) for o in vector(self.operands[1])]
        if space == "param":

            def store_passed(m: Machine, t: Threads) -> None:
                ids, at = m.ids(t), int(address(m, t))
                value = np.ascontiguousarray(np.broadcast_to(gets[0](m, t), ids.shape))
                m.passed[base][ids, at : at + dtype.itemsize] = value.view(np.uint8).reshape(ids.size, -1)

            return store_passed
        return lambda m, t: m.store(space, dtype, address(m, t), [g(m, t) for g in gets], t, text)


def product_of(part: str, dtype: np.dtype) -> Callable[..., Any]:
    """mul.lo, mul.hi and mul.wide."""
    if part == "lo":
        return lambda a, b: a * b
    if part == "wide":
        wide = np.dtype(f"{dtype.kind}{2 * dtype.itemsize}")
        return lambda a, b: a.astype(wide) * b.astype(wide)
    if dtype.itemsize < 8:
        wide, shift = np.dtype(f"{dtype.kind}{2 * dtype.itemsize}"), 8 * dtype.itemsize
        return lambda a, b: (a.astype(wide) * b.astype(wide) >> wide.type(shift)).astype(dtype)

    def high(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        exact = a.astype(object) * b.astype(object)
        return (np.asarray(exact) >> 64).astype(dtype)

    return high


def field_of(x: int, position: int, length: int, bits: int, signed: bool) -> int:
    """bfe: `length` bits from `position` on."""
    value = (x & (2**bits - 1)) >> position & (2**length - 1)
    if signed and length:
        top = min(position + length - 1, bits - 1)
        if x >> top & 1:
            value |= -(1 << min(length, max(0, bits - position)))
    return value


def bits_set(x: np.ndarray) -> np.ndarray:
    return (
        np.bitwise_count(x).astype(U32)
        if hasattr(np, "bitwise_count")
        else np.vectorize(lambda v: bin(v).count("1"), otypes=[U32])(x)
    )


def leading_zeros(x: np.ndarray) -> np.ndarray:
    bits = 8 * x.dtype.itemsize
    return np.vectorize(lambda v: bits - int(v).bit_length(), otypes=[U32])(x)


def reversed_bits(x: np.ndarray) -> np.ndarray:
    bits = 8 * x.dtype.itemsize
    return np.vectorize(lambda v: int(f"{int(v):0{bits}b}"[::-1], 2), otypes=[x.dtype])(x)


UNARY: dict[str, Callable[..., Any]] = {
    "neg": np.negative,
    "not": np.invert,
    "abs": np.abs,
    "ex2": np.exp2,
    "lg2": np.log2,
    "rcp": lambda x: x.dtype.type(1) / x,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: x.dtype.type(1) / np.sqrt(x),
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "popc": bits_set,
    "clz": leading_zeros,
    "brev": reversed_bits,
}
