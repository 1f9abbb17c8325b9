"""Writes random programs: lines of Python that PyTorch and this library both run.

A program makes a few tensors and then works on them line by line: arithmetic, views, slices, reductions, changes in
place, graphs of graphs. The `Writer` runs PyTorch as it writes, so that it knows every shape and keeps numbers small;
about one line in eight is wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

Lines = list[str]

LARGEST = 1e3  # results beyond it are not kept: what follows would amplify rounding
SIZES = (0, 1, 1, 2, 2, 3, 3, 4)
UNARY = ("abs", "clone", "contiguous", "cos", "detach", "erf", "exp", "log", "log1p", "neg", "relu", "sigmoid", "sign",
         "sin", "sqrt", "square", "tanh", "logical_not", "isnan", "double", "float", "long", "bool", "int")  # fmt: skip
REDUCTIONS = ("sum", "mean", "amax", "amin", "var", "std", "logsumexp", "argmax", "argmin", "all", "any", "max", "min",
              "softmax", "log_softmax", "norm")  # fmt: skip
OPERATORS = ("+", "-", "*", "/", "+", "-", "*", "**", "<", "<=", ">", ">=", "==", "!=", "&", "|", "^")
INPLACE = ("add_", "sub_", "mul_", "div_", "copy_")

# Errors of PyTorch that we do not share, on purpose; docs/differences.md says why. Programs do without such lines.
ON_PURPOSE = (
    "does not support bool input",  # argmax(), though max() does
    "not implemented for",  # a dtype that PyTorch has not compiled a kernel for
    "some elements of the input tensor and the written-to tensor",  # x[1:] += x[:-1]: we read before we write
    "Index put requires the source and destination dtypes match",  # x[[0]] = value is converted, as x[0] = value is
    "created in no_grad mode",  # a view that was made, and changed, under no_grad() holds what it holds
    "the output of a function that returns multiple views",  # the same after a change that was not recorded
    "report a bug to PyTorch",
    "view size is not compatible with input tensor's size",  # results are contiguous here, whatever the inputs were
)


def library(torch: Any) -> dict[str, Any]:
    """The names that a program may use."""
    return {"torch": torch, "F": torch.nn.functional, "inf": float("inf"), "nan": float("nan")}


class Writer:
    """Writes one program; `torch` is PyTorch, in whose hands every line is tried at once."""

    def __init__(self, seed: int, torch: Any) -> None:
        self.random = random.Random(seed)
        self.torch = torch
        self.names: dict[str, Any] = library(torch)
        self.tensors: list[str] = []
        self.lines: Lines = []

    def write(self) -> Lines:
        """A whole program: 2–4 leaves, 5–30 lines, and the gradients of what was computed last."""
        for _ in range(self.random.randint(2, 4)):
            self.leaf(self.shape())
        kinds: list[tuple[Callable[[], str], int]] = [
            (self.unary, 8), (self.binary, 14), (self.scalar, 6), (self.reduction, 9), (self.rearranged, 12),
            (self.indexed, 8), (self.joined, 5), (self.chosen, 5), (self.product, 5), (self.layer, 4),
            (self.differentiated, 2),
        ]  # fmt: skip
        changes: list[tuple[Callable[[], str], int]] = [
            (self.changed, 7), (self.assigned, 6), (self.graph_change, 4), (self.backward, 3),
        ]  # fmt: skip
        both = kinds + changes
        for _ in range(self.random.randint(5, 30)):
            (kind,) = self.random.choices([k for k, _ in both], [w for _, w in both])
            line = kind()
            if any(kind == k for k, _ in kinds):
                self.compute(line)
            else:
                self.change(line)
        for name in self.tensors[-8:]:
            if self.holds(lambda t: t.requires_grad and not t.is_leaf, name):
                self.change(f"{name}.backward({self.numbers(name)}, retain_graph=True)")
        return self.lines

    # -- trying lines --------------------------------------------------------------------------------------------
    def compute(self, expression: str) -> None:
        """Give the result of `expression` a name, if it is a tensor of numbers of a reasonable size."""
        name = f"t{len(self.tensors)}"
        under = self.random.random() < 0.04
        line = f"with torch.no_grad(): {name} = {expression}" if under else f"{name} = {expression}"
        error = execute(line, self.names)
        if error is not None:
            self.lines += [] if is_on_purpose(error) else [line]
            return
        value = self.names[name]
        if (
            value.numel() > 400
            or (under and value.requires_grad)
            or (value.is_floating_point() and not self.reasonable(value))
        ):
            del self.names[name]
            return
        self.lines.append(line)
        self.tensors.append(name)

    def change(self, line: str) -> None:
        """Keep a line that changes something, unless a number gets large: then the change is undone with zeros."""
        error = execute(line, self.names)
        self.lines += [] if error is not None and is_on_purpose(error) else [line]
        if error is not None:
            return
        for name in self.tensors:
            value = self.names[name].detach()
            if value.is_floating_point() and not self.reasonable(value):
                repair = f"{name}.detach()[...] = 0.5"
                if execute(repair, self.names) is None:
                    self.lines.append(repair)

    def reasonable(self, value: Any) -> bool:
        """NaN and infinity pass sometimes, large numbers never."""
        value = value.detach()
        if bool(value.isfinite().all()):
            return not value.numel() or bool(value.abs().max() < LARGEST)
        return self.random.random() < 0.1

    # -- parts of lines ------------------------------------------------------------------------------------------
    def shape(self) -> tuple[int, ...]:
        return tuple(self.random.choices(SIZES, k=self.random.choices((0, 1, 2, 3), (1, 3, 4, 2))[0]))

    def entries(self, count: int) -> list[float]:
        """Numbers with few digits: sums and products of them are exact, and a repro can be read."""
        return [self.random.randint(-12, 12) / 4 for _ in range(count)]

    def literal(self, shape: tuple[int, ...], dtype: str) -> str:
        count = int(np.prod(shape))
        values: Any = self.entries(count) if dtype.startswith("float") else self.random.choices(range(-3, 5), k=count)
        if dtype == "bool":
            values = self.random.choices((True, False), k=count)
        if 0 in shape:
            return f"torch.zeros({', '.join(map(str, shape))}, dtype=torch.{dtype}"
        return f"torch.tensor({np.array(values).reshape(shape).tolist()}, dtype=torch.{dtype}"

    def leaf(self, shape: tuple[int, ...]) -> str:
        dtype = self.random.choices(("float64", "float32", "int64", "bool"), (12, 3, 2, 1))[0]
        wanted = ", requires_grad=True" if dtype.startswith("float") and self.random.random() < 0.7 else ""
        name = f"t{len(self.tensors)}"
        line = f"{name} = {self.literal(shape, dtype)}{wanted})"
        assert execute(line, self.names) is None, line
        self.lines.append(line)
        self.tensors.append(name)
        return name

    def pick(self, fits: Callable[[Any], bool] = lambda t: True) -> str:
        """A tensor that fits, recent ones rather than old ones; one time in thirty any at all."""
        found = [n for n in self.tensors if self.holds(fits, n)] if self.random.random() < 0.97 else []
        found = found or self.tensors
        return found[-1 - min(int(self.random.expovariate(0.35)), len(found) - 1)]

    def holds(self, fits: Callable[[Any], bool], name: str) -> bool:
        try:
            return fits(self.names[name])
        except RuntimeError:  # a view that cannot follow a change of its base has no history to ask for
            return False

    def number(self) -> str:
        return self.random.choice(("2", "3", "-1", "0.5", "1.5", "-0.25", "2.0", "1", "0", "True"))

    def dim(self, x: Any) -> str:
        n = max(x.ndim, 1)
        return str(self.random.randint(-n, n - 1) if self.random.random() < 0.97 else n)

    def numbers(self, name: str) -> str:
        """A tensor like the one called `name`, of other numbers."""
        x = self.names[name]
        return self.literal(tuple(x.shape), str(x.dtype).removeprefix("torch.")) + ")"

    def partner(self, x: Any) -> str:
        """A tensor whose shape broadcasts with that of x."""

        def fits(t: Any) -> bool:
            pairs = zip(reversed(t.shape), reversed(x.shape), strict=False)
            return all(a == b or 1 in (a, b) for a, b in pairs)

        if self.random.random() < 0.15:
            keep = self.random.randint(0, x.ndim)
            return self.leaf(tuple([n if self.random.random() < 0.7 else 1 for n in x.shape[x.ndim - keep :]]))
        return self.pick(fits)

    def index(self, x: Any) -> str:
        """A random index into x: numbers, slices, None, …, lists, tensors and masks."""
        parts, dim = [], 0
        while dim < x.ndim and self.random.random() < 0.85:
            n = int(x.shape[dim])
            kind = self.random.choices(("number", "slice", "list", "...", "None", "tensor"), (4, 8, 2, 1, 1, 1))[0]
            if kind in ("...", "None"):
                if kind not in parts:
                    parts.append(kind)
                continue
            if kind == "number":
                parts.append(str(self.random.randint(-n, n - 1) if n and self.random.random() < 0.97 else n))
            elif kind == "slice":
                a, b = self.random.randint(-n, n), self.random.randint(-n - 1, n + 1)
                step = self.random.choice(("", "", ":2"))
                parts.append(self.random.choice((f"{a}:{b}{step}", f"{a}:{step}", f":{b}{step}", ":")))
            else:
                count = self.random.choice((1, 2, 2, 3))
                picks = [self.random.randint(-n, n - 1) if n else 0 for _ in range(count)]
                parts.append(str(picks) if kind == "list" else f"torch.tensor({picks})")
            dim += 1
        if not parts:
            return self.random.choice(("...", "None", "()")) if x.ndim == 0 or self.random.random() < 0.8 else "0"
        return ", ".join(parts)

    # -- lines that compute something ----------------------------------------------------------------------------
    def unary(self) -> str:
        name, method = self.pick(), self.random.choice(UNARY)
        if method in ("log", "sqrt", "log1p") and self.random.random() < 0.85:
            return f"({name}.abs() + 0.5).{method}()"
        return f"{name}.{method}()"

    def binary(self) -> str:
        name = self.pick()
        other, operator = self.partner(self.names[name]), self.random.choice(OPERATORS)
        if operator == "**" and (self.random.random() < 0.9 or self.names[other].dtype == self.torch.bool):
            return f"({name}.abs() + 0.5) ** ({other} * 1)"  # of a boolean exponent PyTorch cannot differentiate
        if operator in "&|^":
            return (
                f"({name} > 0) {operator} ({other} > 0)" if self.random.random() < 0.7 else f"{name} {operator} {other}"
            )
        if operator == "/" and self.random.random() < 0.8:
            return f"{name} / ({other}.abs() + 0.5)"
        if operator in "+-" and self.random.random() < 0.15:
            method = "add" if operator == "+" else "sub"
            return f"{name}.{method}({other}, alpha={self.random.choice((2, -1, 0.5))})"
        if self.random.random() < 0.08:
            return f"torch.{self.random.choice(('maximum', 'minimum'))}({name}, {other})"
        return f"{name} {operator} {other}"

    def scalar(self) -> str:
        name, number, operator = self.pick(), self.number(), self.random.choice(OPERATORS)
        if operator == "/":
            return f"{name} / {number}"  # 3 / x keeps x for backward here, and 1/x in PyTorch
        return self.random.choice((f"{name} {operator} {number}", f"{number} {operator} {name}"))

    def reduction(self) -> str:
        method = self.random.choice(REDUCTIONS)
        name = self.pick(lambda t: t.is_floating_point() or self.random.random() < 0.2)
        x = self.names[name]
        if method in ("softmax", "log_softmax"):
            name = name if x.is_floating_point() else f"{name}.double()"
            return f"{name}.{method}({self.dim(x)})"
        keep = self.random.choice(("", "", ", keepdim=True"))
        several = [d for d in range(x.ndim) if self.random.random() < 0.6]
        if method in ("max", "min"):
            return self.random.choice((f"{name}.{method}()", f"{name}.{method}({self.dim(x)}{keep})[0]"))
        if method == "norm":
            return self.random.choice(
                (f"{name}.norm()", f"{name}.norm({self.random.choice((1, 2, 3))}, {self.dim(x)})")
            )
        if (
            method in ("sum", "mean", "amax", "amin", "var", "std", "logsumexp")
            and several
            and self.random.random() < 0.3
        ):
            return f"{name}.{method}({several}{keep})"
        if self.random.random() < 0.4 and method != "logsumexp":
            return f"{name}.{method}()"
        return f"{name}.{method}({self.dim(x)}{keep})"

    def rearranged(self) -> str:
        name = self.pick()
        x = self.names[name]
        kind = self.random.choice(
            ("reshape", "view", "flatten", "permute", "transpose", "T", "mT", "squeeze", "unsqueeze", "expand", "flip",
             "unflatten", "expand_as", "t", "squeeze_all"))  # fmt: skip
        if kind in ("reshape", "view"):
            sizes = list(x.shape)
            self.random.shuffle(sizes)
            if len(sizes) > 1 and self.random.random() < 0.5:
                sizes = [sizes[0] * sizes[1], *sizes[2:]]
            if sizes and self.random.random() < 0.4:
                sizes[self.random.randrange(len(sizes))] = -1
            return f"{name}.{kind}({', '.join(map(str, sizes)) or '()'})"
        if kind == "permute":
            order = list(range(x.ndim))
            self.random.shuffle(order)
            return f"{name}.permute({order})"
        if kind in ("T", "mT"):
            return f"{name}.{kind if x.ndim else 'T'}"
        if kind == "t":
            return f"{name}.t()"
        if kind == "squeeze_all":
            return f"{name}.squeeze()"
        if kind == "transpose":
            return f"{name}.transpose({self.dim(x)}, {self.dim(x)})"
        if kind == "expand":
            sizes = [self.random.choice((2, 3)) if n == 1 and self.random.random() < 0.7 else n for n in x.shape]
            return f"{name}.expand({[self.random.choice((1, 2)), *sizes] if self.random.random() < 0.4 else sizes})"
        if kind == "expand_as":
            return f"{name}.expand_as({self.partner(x)})"
        if kind == "flip":
            return f"{name}.flip({self.dim(x)})"
        if kind == "unflatten":
            dim = self.random.randrange(max(x.ndim, 1))
            n = int(x.shape[dim]) if x.ndim else 1
            return f"{name}.unflatten({dim}, {self.random.choice(([n, 1], [1, -1], [2, -1], [-1, 2]))})"
        if kind == "unsqueeze":
            return f"{name}.unsqueeze({self.random.randint(-x.ndim - 1, x.ndim)})"
        return f"{name}.{kind}({self.dim(x)})" if kind == "squeeze" else f"{name}.flatten({self.dim(x)})"

    def indexed(self) -> str:
        name = self.pick()
        x = self.names[name]
        if self.random.random() < 0.12:
            return f"{name}[{name} > 0]"
        return f"{name}[{self.index(x)}]"

    def joined(self) -> str:
        name = self.pick()
        x = self.names[name]
        kind = self.random.choice(("cat", "cat", "stack", "split", "split", "unbind", "iterate"))
        if kind == "split":
            dim = self.random.randrange(max(x.ndim, 1))
            n = int(x.shape[dim]) if x.ndim else 1
            first = self.random.randint(0, n)
            sizes = self.random.choice(("1", "2", f"[{first}, {n - first}]"))
            return f"{name}.split({sizes}, {dim})[{self.random.choice((0, -1))}]"
        if kind in ("unbind", "iterate"):
            return f"list({name})[-1]"
        same = self.pick(lambda t: t.shape == x.shape)
        like = self.pick(lambda t: t.ndim == x.ndim)
        dim_of_more = SimpleNamespace(ndim=x.ndim + 1)
        if kind == "stack":
            return f"torch.stack([{name}, {same}], {self.dim(dim_of_more)})"
        return f"torch.cat([{name}, {self.random.choice((same, like))}], {self.dim(x) if x.numel() else 0})"

    def chosen(self) -> str:
        name = self.pick()
        x = self.names[name]
        other = self.partner(x)
        kind = self.random.choice(("where", "where", "masked_fill", "clamp", "gather", "where_number"))
        if kind == "where":
            return f"torch.where({name} > {self.number()}, {name}, {other})"
        if kind == "where_number":
            return f"torch.where({other} > 0, {name}, {self.number()})"
        if kind == "masked_fill":
            return f"{name}.masked_fill({other} > 0, {self.number()})"
        if kind == "clamp":
            return self.random.choice(
                (f"{name}.clamp(-0.5, 1.5)", f"{name}.clamp(min=0)", f"{name}.clamp(max=1)", f"{name}.clamp({other})")
            )
        return f"{name}.gather({self.dim(x)}, {name}.argmax({self.dim(x)}, keepdim=True))"

    def product(self) -> str:
        name = self.pick(lambda t: t.ndim > 0 and t.is_floating_point())
        inner = int(self.names[name].shape[-1]) if self.names[name].ndim else 1

        def fits(t: Any) -> bool:
            rows = -2 if t.ndim > 1 else -1
            return bool(t.ndim > 0 and t.shape[rows] == inner and t.dtype == self.names[name].dtype)

        other = self.pick(fits)
        if self.random.random() < 0.3:
            return f"{name} @ {name}.mT" if self.random.random() < 0.7 else f"{name}.T @ {name}"
        return f"{name} @ {other}"

    def layer(self) -> str:
        name = self.pick(lambda t: t.ndim > 0 and t.is_floating_point())
        x = self.names[name]
        width = int(x.shape[-1]) if x.ndim else 1
        dtype = str(x.dtype).removeprefix("torch.")
        kind = self.random.choice(("linear", "layer_norm", "gelu", "mse_loss", "cross_entropy", "leaky_relu", "elu"))
        if kind == "linear":
            return f"F.linear({name}, {self.literal((2, width), dtype)}))"
        if kind == "layer_norm":
            return f"F.layer_norm({name}, [{width}])"
        if kind == "mse_loss":
            return f"F.mse_loss({name}, {self.pick(lambda t: t.shape == x.shape)})"
        if kind == "cross_entropy":
            return f"F.cross_entropy({name}, {name}.detach().argmin(1))"
        return f"F.{kind}({name})"

    def differentiated(self) -> str:
        root = self.pick(lambda t: t.requires_grad and not t.is_leaf)
        inputs = self.pick(lambda t: t.requires_grad)
        create = self.random.choice(("create_graph=True", "create_graph=True", "retain_graph=True"))
        return f"torch.autograd.grad({root}.sum(), {inputs}, {create})[0].clone()"

    # -- lines that change something -----------------------------------------------------------------------------
    def maybe_no_grad(self, line: str) -> str:
        return f"with torch.no_grad(): {line}" if self.random.random() < 0.25 else line

    def value_for(self, x: Any) -> str:
        """A tensor to put into x; only floats get one with a gradient (in PyTorch integers can require grad)."""
        other = self.partner(x)
        floats = x.is_floating_point() or not self.holds(lambda t: t.requires_grad, other)
        return other if floats else f"{other}.detach()"

    def changed(self) -> str:
        name = self.pick()
        other = self.value_for(self.names[name]) if self.random.random() < 0.6 else self.number()
        method = self.random.choice((*INPLACE, "clamp_", "fill_", "zero_"))
        if method == "clamp_":
            return self.maybe_no_grad(f"{name}.clamp_(-1, 1)")
        if method in ("fill_", "zero_"):
            return self.maybe_no_grad(f"{name}.{method}({self.number() if method == 'fill_' else ''})")
        sign = {"add_": "+=", "sub_": "-=", "mul_": "*=", "div_": "/="}.get(method)
        if sign is not None and self.random.random() < 0.4:
            return self.maybe_no_grad(f"{name} {sign} {other}")
        return self.maybe_no_grad(f"{name}.{method}({other})")

    def assigned(self) -> str:
        name = self.pick()
        x = self.names[name]
        index = self.index(x)
        try:
            part = eval(f"{name}[{index}]", self.names)
        except (IndexError, RuntimeError, TypeError, ValueError):
            part = x
        value = self.value_for(part) if self.random.random() < 0.6 else self.number()
        sign = self.random.choice(("=", "=", "=", "+=", "*="))
        return self.maybe_no_grad(f"{name}[{index}] {sign} {value}")

    def graph_change(self) -> str:
        name = self.pick(lambda t: t.is_floating_point())
        whole = self.pick(lambda t: t.requires_grad and not t._is_view())  # from a view PyTorch may drop a hook
        hooked = f"{whole}.grad_fn, {whole}.register_hook(lambda g: g * 2)"  # and unasked for grad_fn it may crash
        changes = (
            f"{name} = {name}.detach().clone().requires_grad_()",
            f"{name}.requires_grad_(False)",
            f"{name}.retain_grad()",
            f"{name}.grad = None",
            f"{name}.grad.zero_()",
            f"{name}.data = {name}.data.clone()",
            f"{name}.detach().add_(1)",
            f"{name} = {name}.detach()",
            hooked,
        )
        return self.random.choice(changes)

    def backward(self) -> str:
        name = self.pick(lambda t: t.requires_grad and not t.is_leaf)
        return f"{name}.backward({self.numbers(name)}, retain_graph=True)"


def execute(line: str, names: dict[str, Any]) -> Exception | None:
    """Run one line; the error that it raised, if it did."""
    try:
        exec(compile(line, "<program>", "exec"), names)
    except Exception as error:
        return error.with_traceback(None)
    return None


def is_on_purpose(error: Exception) -> bool:
    """Whether PyTorch refuses here what this library does."""
    return any(part in str(error) for part in ON_PURPOSE)
