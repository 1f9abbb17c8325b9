"""Operands of an instruction as functions of the machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from .arithmetic import flushed
from .machine import Machine, Threads, typed
from .parse import Instruction, Kernel, is_literal, number

Get = Callable[[Machine, Threads], np.ndarray]
Put = Callable[[Machine, Any, Threads], None]
U32, U64, F32, F64 = np.dtype("u4"), np.dtype("u8"), np.dtype("f4"), np.dtype("f8")
ROUNDINGS = {"rn", "rz", "rm", "rp"}
SPACES = {"param", "global", "shared", "local", "const"}


def as_type(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The bits of a register as a type: its low bits, or more of them with zeros."""
    if value.dtype == dtype:
        return value
    if "b" in (dtype.kind, value.dtype.kind):
        return value.astype(dtype)
    if value.dtype.itemsize != dtype.itemsize:
        value = value.astype(f"u{dtype.itemsize}")
    return value.view(dtype)


def as_bits(value: Any, dtype: np.dtype) -> np.ndarray:
    """A value as a register keeps it: signed ones are widened with their sign."""
    value = np.asarray(value)
    if dtype.kind == "b":
        return value.astype(bool)
    if value.dtype.kind == "b" or value.dtype.itemsize != dtype.itemsize:
        value = value.astype(f"{'i' if value.dtype.kind == 'i' else 'u'}{dtype.itemsize}")
    return value.view(dtype)


class Operands:
    """One instruction that is being prepared."""

    def __init__(self, kernel: Kernel, i: Instruction) -> None:
        self.kernel, self.i, self.op, self.operands = kernel, i, i.op, i.operands
        self.flush = flushed if "ftz" in i.op else lambda x: x
        self.rounding = next((p for p in i.op if p in ROUNDINGS), "rn")

    # ---- operands
    def get(self, operand: str, dtype: np.dtype) -> Get:
        if operand.startswith("!"):
            inverse = self.get(operand[1:], dtype)
            return lambda m, t: ~inverse(m, t)
        if is_literal(operand):
            value = np.asarray(number(operand, dtype)).astype(dtype)
            return lambda m, t: value
        if operand in self.kernel.registers:
            return lambda m, t: as_type(m.read(operand, t), dtype)
        if operand in self.kernel.symbols:
            _, offset = self.kernel.symbols[operand]
            at = np.asarray(offset, U64).astype(dtype)
            return lambda m, t: at
        if operand.startswith("%"):
            return lambda m, t: as_type(m.special[operand] if t is None else at_threads(m.special[operand], t), dtype)
        raise KeyError(operand)

    def put(self, operand: str) -> Put:
        if operand == "_":
            return lambda m, v, t: None
        dtype = self.kernel.registers[operand]
        return lambda m, v, t: m.write(operand, as_bits(v, dtype), t)

    def sources(self, dtype: np.dtype, start: int = 1) -> list[Get]:
        return [self.get(o, dtype) for o in self.operands[start:]]

    def address(self, operand: str) -> tuple[str, Get]:
        """What stands in brackets: a symbol or a register, and a distance."""
        base, offset = re.fullmatch(r"\[\s*([^+\]]+?)\s*(?:\+\s*(-?\d+))?\s*\]", operand).groups()
        distance = np.asarray(int(offset or 0) & (2**64 - 1), U64)
        if base in self.kernel.parameter_offsets or base in self.kernel.function_parameters:
            return base, lambda m, t: distance
        get = self.get(base, U64)
        return base, lambda m, t: get(m, t) + distance

    def compute(self, function: Callable[..., Any], dtype: np.dtype | None = None) -> Any:
        dtype = dtype or typed(self.op[-1])
        get, put, flush = self.sources(dtype), self.put(self.operands[0]), self.flush
        return lambda m, t: put(m, flush(function(*[flush(g(m, t)) for g in get])), t)

    def space(self) -> str:
        return next((p for p in self.op if p in SPACES), "generic")


def at_threads(value: np.ndarray, threads: np.ndarray) -> np.ndarray:
    return value[threads] if value.ndim else value


def vector(operand: str) -> list[str]:
    return [o.strip() for o in operand.strip("{}").split(",")]
