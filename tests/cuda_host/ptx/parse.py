"""PTX text to lists of instructions: names resolved, functions put in place of their calls, labels to indices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

TYPES = {
    **{f"{kind}{bits}": np.dtype(f"u{bits // 8}") for kind in "bu" for bits in (8, 16, 32, 64)},
    **{f"s{bits}": np.dtype(f"i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"f{bits}": np.dtype(f"f{bits // 8}") for bits in (16, 32, 64)},
    "pred": np.dtype(bool),
}
CONSTANTS = 0x7E00_0000_0000_0000  # where the module's own .global variables lie
NAME = re.compile(r"%[\w$]+(?:\.[xyzw])?|[A-Za-z_$][\w$]*")
DECLARED = re.compile(r"(?:\.align\s+(\d+)\s+)?\.(\w+)\s+(.+)", re.DOTALL)


class PtxError(RuntimeError):
    """The kernel does what PTX does not define, or the interpreter does not know what it does."""


@dataclass
class Instruction:
    """One instruction: `@guard op.parts operands`."""

    op: list[str]
    operands: list[str]
    guard: str | None
    negated: bool
    text: str
    target: int = -1  # of a branch
    targets: list[int] = field(default_factory=list)
    run: object = None


@dataclass
class Kernel:
    """An entry point. Shared and local variables have offsets, registers have types."""

    name: str
    parameters: list[tuple[str, str, int]] = field(default_factory=list)  # name, type, bytes
    parameter_offsets: dict[str, int] = field(default_factory=dict)
    code: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    registers: dict[str, np.dtype] = field(default_factory=dict)
    symbols: dict[str, tuple[str, int]] = field(default_factory=dict)  # name → space, offset
    function_parameters: dict[str, int] = field(default_factory=dict)  # name → bytes
    shared: int = 0
    local: int = 0
    most_threads: int = 1024


@dataclass
class Module:
    """All kernels of a text, and the bytes of its constants."""

    kernels: dict[str, Kernel]
    constants: np.ndarray


class Scope:
    """Names of one pair of braces."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.names: dict[str, str] = {}
        self.ranges: dict[str, np.dtype] = {}


def parse(text: str) -> Module:
    """The kernels of PTX text."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    constants, addresses, text = module_variables(text)
    functions, kernels = {}, {}
    dynamic = re.findall(r"\.extern\s+\.shared\s+(?:\.align\s+\d+\s+)?\.\w+\s+([\w$]+)\s*\[\s*\]\s*;", text)
    shared = re.findall(r"\.shared\s+\.align\s+(\d+)\s+\.b8\s+([\w$]+)\[(\d+)\];", outside_of_bodies(text))
    for kind, head, body in items(text):
        if kind == "func":
            result, name, arguments = re.match(r"(?:\((.*?)\))?\s*([\w$]+)\s*\((.*)\)", head, re.DOTALL).groups()
            functions[name] = (declared_names(result or ""), declared_names(arguments), body)
    for kind, head, body in items(text):
        if kind == "entry":
            kernel = Builder(functions, addresses, shared, dynamic).kernel(head, body)
            kernels[kernel.name] = kernel
    return Module(kernels, constants)


def module_variables(text: str) -> tuple[np.ndarray, dict[str, int], str]:
    """The bytes of all `.global` and `.const` variables, their addresses, and the text without them."""
    data, addresses = bytearray(), {}
    pattern = re.compile(
        r"(?:\.visible\s+|\.weak\s+)?\.(?:global|const)\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$]+)"
        r"(?:\[(\d*)\])?\s*(?:=\s*(\{[^}]*\}|[^;]+))?;"
    )
    for align, kind, name, count, value in pattern.findall(text):
        dtype = TYPES[kind]
        values = [number(v.strip(), dtype) for v in value.strip("{}").split(",")] if value else []
        size = max(int(count or 1), len(values))
        data += bytes(-len(data) % int(align or dtype.itemsize))
        addresses[name] = CONSTANTS + len(data)
        data += np.array(values + [0] * (size - len(values)), dtype).tobytes()
    return np.frombuffer(bytes(data) or b"\0", np.uint8).copy(), addresses, pattern.sub("", text)


def number(text: str, dtype: np.dtype) -> np.generic:
    """A literal: 0f3F800000 and 0d… are bits of a float, others integers that wrap."""
    if re.match(r"0[fF][0-9a-fA-F]{8}$", text):
        return (
            np.array(int(text[2:], 16), np.uint32)
            .view(np.float32)
            .astype(dtype if dtype.kind == "f" else np.float32)[()]
        )
    if re.match(r"0[dD][0-9a-fA-F]{16}$", text):
        return np.array(int(text[2:], 16), np.uint64).view(np.float64)[()]
    value = int(text.rstrip("U"), 0)
    if dtype.kind == "b":
        return np.bool_(value)
    if dtype.kind == "f":
        return dtype.type(value)
    bits = 8 * dtype.itemsize
    return np.array(value & (2**bits - 1), f"u{dtype.itemsize}").view(dtype)[()]


def items(text: str) -> Iterator[tuple[str, str, str]]:
    """Functions and kernels: what they are, what is before the body, and the body."""
    for match in re.finditer(r"\.(func|entry)\s+([^{;]*)\{", text):
        depth, end = 1, match.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        yield match[1], match[2], text[match.end() : end - 1]


def outside_of_bodies(text: str) -> str:
    for _, _, body in list(items(text)):
        text = text.replace(body, "", 1)
    return text


def declared_names(text: str) -> list[str]:
    return [re.search(r"([\w$]+)(?:\[\d+\])?\s*$", part.strip())[1] for part in text.split(",") if part.strip()]


def statements(body: str) -> Iterator[str]:
    """Declarations, instructions, `label:`, and the braces of scopes."""
    start = i = 0
    while i < len(body):
        char, pending = body[i], body[start:i].strip()
        if char in "{}" and not pending:
            yield char
            start = i + 1
        elif char == ";":
            if pending:
                yield pending
            start = i + 1
        elif char == ":" and re.fullmatch(r"[\w$]+", pending) and body[i + 1 : i + 2] != ":":
            yield pending + ":"
            start = i + 1
        i += 1


class Builder:
    """Makes one kernel."""

    def __init__(
        self,
        functions: dict[str, tuple[list[str], list[str], str]],
        addresses: dict[str, int],
        shared: list[tuple[str, str, str]],
        dynamic: list[str],
    ) -> None:
        self.functions, self.dynamic, self.module_shared = functions, dynamic, shared
        self.addresses = addresses
        self.scopes: list[Scope] = []
        self.count = 0

    def kernel(self, head: str, body: str) -> Kernel:
        name, parameters, directives = re.match(r"([\w$]+)\s*(?:\((.*?)\))?([^)]*)$", head, re.DOTALL).groups()
        self.k = k = Kernel(name)
        k.symbols = {n: ("global", a) for n, a in self.addresses.items()}
        offset = 0
        for part in (parameters or "").split(","):
            if not part.strip():
                continue
            align, kind, n, size = re.match(
                r"\s*\.param\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+(?:\.ptr\s+(?:\.(?!align)\w+\s+)*(?:\.align\s+\d+\s+)?)?"
                r"([\w$]+)(?:\[(\d+)\])?",
                part,
            ).groups()
            size = int(size or 1) * TYPES[kind].itemsize
            offset += -offset % int(align or TYPES[kind].itemsize)
            k.parameters.append((n, kind, size))
            k.parameter_offsets[n] = offset
            offset += size
        if limit := re.search(r"\.maxntid\s+(\d+)(?:,\s*(\d+))?(?:,\s*(\d+))?", directives):
            k.most_threads = int(np.prod([int(x or 1) for x in limit.groups()]))
        for align, n, size in self.module_shared:
            if re.search(rf"(?<![\w$]){re.escape(n)}(?![\w$])", body):
                self.allocate(n, "shared", int(size), int(align))
        self.block(body, {})
        for n in self.dynamic:
            k.symbols[n] = ("shared", (k.shared + 15) // 16 * 16)
        self.resolve_branches()
        return k

    def allocate(self, name: str, space: str, size: int, align: int) -> None:
        offset = getattr(self.k, space)
        offset += -offset % align
        self.k.symbols[name] = (space, offset)
        setattr(self.k, space, offset + size)

    def open(self, names: dict[str, str]) -> Scope:
        scope = Scope(f"~{self.count}" if self.count else "")
        self.count += 1
        scope.names.update(names)
        self.scopes.append(scope)
        return scope

    def block(self, body: str, names: dict[str, str], end: str = "") -> None:
        """The statements of a body; `end` is the label that `ret` leads to in a function."""
        outer = self.open(names)
        labels = dict.fromkeys(re.findall(r"(?<![\w$%])(\$[\w$]+):", body))
        outer.names.update({label: label + outer.tag for label in labels})
        for s in statements(body):
            if s == "{":
                self.open({})
            elif s == "}":
                self.scopes.pop()
            elif s.endswith(":"):
                self.k.labels[self.resolve(s[:-1])] = len(self.k.code)
            elif s.startswith("."):
                self.declare(s)
            else:
                self.instruction(s, end)
        self.scopes.pop()

    def declare(self, s: str) -> None:
        scope, k = self.scopes[-1], self.k
        kind, _, rest = s[1:].partition(" ") if " " in s else s[1:].partition("\t")
        if kind == "reg":
            dtype, names = re.match(r"\s*\.(\w+)\s+(.*)", rest, re.DOTALL).groups()
            for name in (n.strip() for n in names.split(",")):
                if ranged := re.match(r"(%[\w$]+)<\d+>", name):
                    scope.ranges[ranged[1]] = TYPES[dtype]
                else:
                    scope.names[name] = name + scope.tag
                    k.registers[name + scope.tag] = storage(TYPES[dtype])
        elif kind in ("local", "shared", "param"):
            align, dtype, name = DECLARED.match(rest.strip()).groups()
            array = re.match(r"([\w$]+)\[(\d+)\]", name)
            name, size = (array[1], int(array[2])) if array else (name.strip(), 1)
            size *= TYPES[dtype].itemsize
            unique = name + scope.tag + f"~{len(k.symbols)}" * (kind == "local")
            scope.names[name] = unique
            if kind == "param":
                k.function_parameters[unique] = size
            else:
                self.allocate(unique, kind, size, int(align or TYPES[dtype].itemsize))
        elif kind == "branchtargets":
            scope.names["?targets"] = rest
        elif kind not in ("pragma", "loc", "file"):
            raise PtxError(f"unknown declaration: {s}")

    def resolve(self, name: str) -> str:
        """The name by which a kernel knows what a scope calls `name`."""
        for scope in reversed(self.scopes):
            if name in scope.names:
                return scope.names[name]
            if (m := re.fullmatch(r"(%[A-Za-z_$]+)\d+", name)) and m[1] in scope.ranges:
                unique = name + scope.tag
                self.k.registers.setdefault(unique, storage(scope.ranges[m[1]]))
                return unique
        return name

    def instruction(self, s: str, end: str) -> None:
        guard, op, rest = re.match(r"(?:@(!?%[\w$]+)\s+)?([a-z][\w.:]*)\s*(.*)", s, re.DOTALL).groups()
        if op.startswith("call"):
            self.call(rest)
            return
        operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", rest)
        if op.startswith("brx"):
            operands = [operands[0], *re.split(r",\s*", self.scopes[-1].names["?targets"])]
        if op == "ret" and end:
            op, operands = "bra", [end]
        text = s.replace("\n", " ").replace("\t", " ")
        operands = [NAME.sub(lambda m: self.resolve(m[0]), o) if not is_literal(o) else o for o in operands]
        register = self.resolve(guard.lstrip("!")) if guard else None
        parts = [p.partition("::")[0] if p.startswith("shared") else p for p in op.split(".")]
        self.k.code.append(Instruction(parts, operands, register, bool(guard) and guard[0] == "!", text))

    def call(self, rest: str) -> None:
        """Puts the function in place, its parameters under the names of the caller's."""
        result, name, arguments = re.match(
            r"(?:\((.*?)\)\s*,)?\s*([\w$]+)\s*,?\s*(?:\((.*?)\))?", rest, re.DOTALL
        ).groups()
        if name not in self.functions:
            raise PtxError(f"a call of {name}, which is not in the text")
        results, parameters, body = self.functions[name]
        given = [x.strip() for x in [*(result or "").split(","), *(arguments or "").split(",")] if x.strip()]
        names = {formal: self.resolve(actual) for formal, actual in zip([*results, *parameters], given, strict=True)}
        end = f"$return{self.count}"
        outer, self.scopes = self.scopes, []
        self.block(body, names, end)
        self.scopes = outer
        self.k.labels[end] = len(self.k.code)

    def resolve_branches(self) -> None:
        for i in self.k.code:
            if i.op[0] == "bra":
                i.target = self.k.labels[i.operands[0]]
            elif i.op[0] == "brx":
                i.targets = [self.k.labels[o] for o in i.operands[1:]]


def is_literal(operand: str) -> bool:
    return bool(re.match(r"-?\d", operand))


def storage(dtype: np.dtype) -> np.dtype:
    """Registers hold bits."""
    return dtype if dtype.kind == "b" else np.dtype(f"u{max(2, dtype.itemsize)}")
