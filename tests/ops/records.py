"""One record per operation: how to call it here and in PyTorch, and sample arguments in odd shapes.

Every generic property (gradient, second gradient, fused = plain, any layout, equal to PyTorch) is tested from these.
Arguments: ("normal", shape), ("positive", shape), ("away", shape) for floats away from 0, or a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import ops


@dataclass
class Record:
    """An operation, its twin in PyTorch (a function of the torch module and tensors), and its sample arguments."""

    name: str
    function: Callable[..., Any]
    twin: Callable[..., Any]
    samples: list[tuple[Any, ...]] = field(default_factory=list)


def normal(*shape: int) -> tuple[str, tuple[int, ...]]:
    return ("normal", shape)


def positive(*shape: int) -> tuple[str, tuple[int, ...]]:
    return ("positive", shape)


def away(*shape: int) -> tuple[str, tuple[int, ...]]:
    return ("away", shape)


def is_random(argument: Any) -> bool:
    return isinstance(argument, tuple) and len(argument) == 2 and argument[0] in ("normal", "positive", "away")


def draw(argument: Any, dtype: str, seed: int) -> Any:
    """A sample argument as an array; constants come back as they are."""
    if not is_random(argument):
        return argument
    kind, shape = argument
    values = np.random.default_rng(seed).standard_normal(shape)
    if kind == "positive":
        values = np.abs(values) + 0.3
    elif kind == "away":  # kinks at 0 have no derivative for a difference to agree with
        values = np.where(values >= 0, values + 0.2, values - 0.2)
    return np.asarray(values, dtype)


UNARY = [normal(2, 3), normal(), normal(0, 3), normal(7), normal(2, 1, 5)]
PAIRS = [(2, 3), (2, 3)], [(2, 3), (3,)], [(2, 1), (3,)], [(), (2, 3)], [(0, 3), (3,)], [(4, 1, 3), (2, 1)], [(), ()]


def unary(name: str, function: Any, twin: Any, kind: Any = normal) -> Record:
    return Record(name, function, twin, [(kind(*shape),) for _, shape in UNARY])


def binary(name: str, function: Any, twin: Any, left: Any = normal, right: Any = normal) -> Record:
    return Record(name, function, twin, [(left(*a), right(*b)) for a, b in PAIRS])


def torch_activation(torch: Any, name: str) -> Any:
    """The function in PyTorch that `ops.linear` calls by this name."""
    if name == "gelu_tanh":
        return lambda x: torch.nn.functional.gelu(x, approximate="tanh")
    return getattr(torch.nn.functional, name)


INDEX = np.array([[0, 2], [1, 1]])
LABELS = np.array([0, 2, 1, 2])
WEIGHT = np.array([0.7, 1.1, 0.4])


def t(torch: Any, value: Any) -> Any:
    return torch.as_tensor(value)


def weight(x: Any) -> Any:
    return tg.tensor(WEIGHT, dtype=x.dtype)


def put(x: Any, v: Any) -> Any:
    y = x * 1
    y[0] = v
    y *= 2
    return y * y


ATTENTION = [(normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 3)), (normal(3, 2), normal(1, 2), normal(1, 2)),
             (normal(2, 2, 1, 3), normal(2, 2, 4, 3), normal(2, 2, 4, 1)), (normal(2, 3), normal(0, 3), normal(0, 2)),
             (normal(0, 2, 3), normal(0, 4, 3), normal(0, 4, 3))]  # fmt: skip
HIDDEN = np.array([[0, -1, -np.inf, 0.5, 0], [-np.inf] * 5, [1, 0, 0, -np.inf, 2]])  # the second row sees nothing


def attend(mask: Any = None, **options: Any) -> tuple[Any, Any]:
    """Attention here and in PyTorch, with a mask given as an array."""

    def ours(q: Any, k: Any, v: Any) -> Any:
        chosen = None if mask is None else tg.tensor(mask) if mask.dtype == bool else tg.tensor(mask, dtype=q.dtype)
        return ops.scaled_dot_product_attention(q, k, v, chosen, **options)

    def theirs(torch: Any, q: Any, k: Any, v: Any) -> Any:
        chosen = None if mask is None else torch.tensor(mask) if mask.dtype == bool else torch.tensor(mask).to(q.dtype)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, chosen, **options)

    return ours, theirs


SIZES = (2, 1, 1)  # a packed batch: how many of its two sequences take part in each step


def recur(mode: str, reverse: bool = False, sizes: Any = SIZES, biased: bool = True, projected: bool = False) -> Record:
    """One direction of one layer, against PyTorch's module given the same weights."""
    gates = {"LSTM": 4, "GRU": 3}.get(mode, 1) * 2
    hidden = 1 if projected else 2
    names = ["weight_ih_l0", "weight_hh_l0"] + ["bias_ih_l0", "bias_hh_l0"] * biased + ["weight_hr_l0"] * projected
    shapes = [(gates, 1), (gates, hidden)] + [(gates,)] * 2 * biased + [(1, 2)] * projected
    states = [(sizes[0], hidden)] + [(sizes[0], 2)] * (mode == "LSTM")

    def ours(x: Any, *rest: Any) -> Any:
        state, weights = rest[: len(states)], list(rest[len(states) :])
        biases = weights[2:4] if biased else [None, None]
        y, *last = ops.recurrent(
            mode, x, state, *weights[:2], *biases, weights[-1] if projected else None, sizes, reverse
        )
        return ops.cat([t.flatten() for t in (y, *last)])

    def theirs(torch: Any, x: Any, *rest: Any) -> Any:
        suffix = "_reverse" if reverse else ""
        state, weights = rest[: len(states)], rest[len(states) :]
        options = {"proj_size": 1} if projected else {}
        if mode.startswith("RNN"):
            options["nonlinearity"] = mode[4:].lower()
        module = getattr(torch.nn, mode[:4].rstrip("_"))(1, 2, bias=biased, bidirectional=reverse, **options)
        module = module.to(x.dtype)
        values = dict(module.named_parameters()) | {n + suffix: w for n, w in zip(names, weights, strict=True)}
        full = [torch.stack([torch.zeros_like(s), s] if reverse else [s]) for s in state]
        packed = torch.nn.utils.rnn.PackedSequence(x, torch.tensor(sizes))
        (y, *_), last = torch.func.functional_call(module, values, (packed, tuple(full) if len(full) > 1 else full[0]))
        parts = [y[:, -hidden:], *[h[-1] for h in (last if len(full) > 1 else [last])]]
        return torch.cat([t.flatten() for t in parts])

    sample = (normal(sum(sizes), 1), *[normal(*s) for s in states], *[normal(*s) for s in shapes])
    return Record(f"{mode.lower()}{'_reverse' * reverse}{'_projected' * projected}", ours, theirs, [sample])


RECORDS = [
    binary("add", ops.add, lambda torch, a, b: a + b),
    Record("add_alpha", lambda a, b: ops.add(a, b, alpha=3), lambda torch, a, b: torch.add(a, b, alpha=3),
           [(normal(2, 3), normal(3))]),
    Record("add_scalar", lambda a: a + 2, lambda torch, a: a + 2, [(normal(2, 3),)]),
    Record("rsub_scalar", lambda a: 2 - a, lambda torch, a: 2 - a, [(normal(2, 3),)]),
    Record("rdiv_scalar", lambda a: 2 / a, lambda torch, a: 2 / a, [(positive(2, 3),)]),
    binary("sub", ops.sub, lambda torch, a, b: a - b),
    binary("mul", ops.mul, lambda torch, a, b: a * b),
    binary("div", ops.div, lambda torch, a, b: a / b, right=positive),
    binary("pow", ops.pow, lambda torch, a, b: a**b, left=positive),
    Record("pow_3", lambda a: a**3, lambda torch, a: a**3, [(normal(2, 3),)]),
    Record("pow_2", lambda a: a**2, lambda torch, a: a**2, [(normal(2, 3),)]),
    binary("maximum", ops.maximum, lambda torch, a, b: torch.maximum(a, b)),
    binary("minimum", ops.minimum, lambda torch, a, b: torch.minimum(a, b)),
    Record("where", lambda a, b: ops.where(a > 0, a * a, b), lambda torch, a, b: torch.where(a > 0, a * a, b),
           [(away(2, 3), normal(3)), (away(2, 1), normal(1, 3))]),
    Record("clamp", lambda a: ops.clamp(a, -0.5, 0.7), lambda torch, a: a.clamp(-0.5, 0.7), [(normal(3, 4),)]),
    unary("neg", ops.neg, lambda torch, a: -a),
    unary("abs", ops.abs, lambda torch, a: a.abs(), away),
    unary("exp", ops.exp, lambda torch, a: a.exp()),
    unary("log", ops.log, lambda torch, a: a.log(), positive),
    unary("log1p", ops.log1p, lambda torch, a: a.log1p(), positive),
    unary("sqrt", ops.sqrt, lambda torch, a: a.sqrt(), positive),
    unary("sin", ops.sin, lambda torch, a: a.sin()),
    unary("cos", ops.cos, lambda torch, a: a.cos()),
    unary("erf", ops.erf, lambda torch, a: a.erf()),
    unary("clone", ops.clone, lambda torch, a: a.clone()),
    unary("relu", ops.relu, lambda torch, a: a.relu(), away),
    unary("leaky_relu", lambda a: ops.leaky_relu(a, 0.1),
          lambda torch, a: torch.nn.functional.leaky_relu(a, 0.1), away),
    unary("sigmoid", ops.sigmoid, lambda torch, a: a.sigmoid()),
    unary("tanh", ops.tanh, lambda torch, a: a.tanh()),
    unary("gelu", ops.gelu, lambda torch, a: torch.nn.functional.gelu(a)),
    unary("gelu_tanh", lambda a: ops.gelu(a, "tanh"),
          lambda torch, a: torch.nn.functional.gelu(a, approximate="tanh")),
    unary("silu", ops.silu, lambda torch, a: torch.nn.functional.silu(a)),
    unary("softplus", lambda a: ops.softplus(a, 2.0, 3.0), lambda torch, a: torch.nn.functional.softplus(a, 2.0, 3.0)),
    unary("elu", lambda a: ops.elu(a, 0.7), lambda torch, a: torch.nn.functional.elu(a, 0.7), away),
    Record("softmax", lambda a: ops.softmax(a, -1), lambda torch, a: a.softmax(-1),
           [(normal(2, 3),), (normal(5),), (normal(2, 2, 4),), (normal(0, 3),)]),
    Record("softmax_0", lambda a: ops.softmax(a, 0), lambda torch, a: a.softmax(0), [(normal(3, 2),), (normal(),)]),
    Record("log_softmax", lambda a: ops.log_softmax(a, 1), lambda torch, a: a.log_softmax(1),
           [(normal(2, 3),), (normal(2, 4, 3),), (normal(0, 3),)]),
    Record("sum", lambda a: ops.sum(a), lambda torch, a: a.sum(), [(normal(2, 3),), (normal(),), (normal(0, 3),)]),
    Record("sum_dims", lambda a: ops.sum(a, (0, 2), True), lambda torch, a: a.sum((0, 2), True), [(normal(2, 3, 4),)]),
    Record("mean", lambda a: ops.mean(a, 1), lambda torch, a: a.mean(1), [(normal(2, 3),), (normal(0, 3),)]),
    Record("var", lambda a: ops.var(a, 0), lambda torch, a: a.var(0), [(normal(4, 3),)]),
    Record("std", lambda a: ops.std(a), lambda torch, a: a.std(), [(normal(4, 3),)]),
    Record("amax", lambda a: ops.amax(a, 1), lambda torch, a: a.amax(1), [(normal(2, 3),)]),
    Record("amin", lambda a: ops.amin(a), lambda torch, a: a.amin(), [(normal(2, 3),)]),
    Record("max_dim", lambda a: a.max(1).values, lambda torch, a: a.max(1).values,
           [(normal(2, 3),), (normal(2, 3, 2),)]),
    Record("min_dim", lambda a: a.min(0, keepdim=True).values, lambda torch, a: a.min(0, keepdim=True).values,
           [(normal(2, 3),)]),
    Record("logsumexp", lambda a: ops.logsumexp(a, 1), lambda torch, a: a.logsumexp(1), [(normal(2, 3),)]),
    Record("norm", lambda a: ops.norm(a), lambda torch, a: a.norm(), [(normal(2, 3),)]),
    Record("norm_3", lambda a: ops.norm(a, 3, 1), lambda torch, a: a.norm(3, 1), [(away(2, 3),)]),
    Record("matmul", ops.matmul, lambda torch, a, b: a @ b, [
        (normal(*a), normal(*b)) for a, b in [
            ((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)),
            ((2, 1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3))]]),
    Record("linear", ops.linear, lambda torch, x, w, b: torch.nn.functional.linear(x, w, b),
           [(normal(2, 3), normal(4, 3), normal(4)), (normal(3), normal(4, 3), normal(4)),
            (normal(2, 2, 3), normal(4, 3), normal(4)), (normal(0, 3), normal(4, 3), normal(4))]),
    *[Record(f"linear_{name}", lambda x, w, b, name=name: ops.linear_activation(x, w, b, name),
             lambda torch, x, w, b, name=name: torch_activation(torch, name)(torch.nn.functional.linear(x, w, b)),
             [(away(4, 3), away(5, 3), away(5)), (normal(2, 3, 3), normal(2, 3), normal(2)),
              (normal(3), normal(2, 3), normal(2)), (normal(0, 3), normal(2, 3), normal(2))])
      for name in ops.linalg.ACTIVATIONS],
    Record("linear_plain", ops.linear, lambda torch, x, w: torch.nn.functional.linear(x, w),
           [(normal(2, 3), normal(4, 3))]),
    Record("attention", *attend(), ATTENTION),
    Record("attention_causal", *attend(is_causal=True, scale=0.7), [*ATTENTION[:3], (normal(2, 4, 3),) * 3]),
    Record("attention_mask", *attend(HIDDEN), ATTENTION[:1]),
    Record("attention_padding", *attend(np.array([[[[1, 0, 1, 1]]], [[[0, 0, 0, 1]]]], bool)), ATTENTION[2:3]),
    Record("attention_heads", *attend(HIDDEN > -1, enable_gqa=True),
           [(normal(2, 4, 3, 2), normal(2, 2, 5, 2), normal(2, 2, 5, 3))]),
    Record("attention_bias", lambda q, k, v, b: ops.scaled_dot_product_attention(q, k, v, b),
           lambda torch, q, k, v, b: torch.nn.functional.scaled_dot_product_attention(q, k, v, b),
           [(normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 3), normal(3, 5)),
            (normal(2, 2, 3, 4), normal(1, 2, 5, 4), normal(2, 2, 5, 3), normal(2, 1, 1, 5))]),
    Record("cross_entropy", lambda x: ops.cross_entropy(x, tg.tensor(LABELS)),
           lambda torch, x: torch.nn.functional.cross_entropy(x, t(torch, LABELS)), [(normal(4, 3),)]),
    Record("cross_entropy_all", lambda x: ops.cross_entropy(x, tg.tensor(LABELS), weight(x), 1, "none", 0.1),
           lambda torch, x: torch.nn.functional.cross_entropy(
               x, t(torch, LABELS), t(torch, WEIGHT).to(x.dtype), ignore_index=1, reduction="none",
               label_smoothing=0.1),
           [(normal(4, 3),)]),
    Record("cross_entropy_weighted", lambda x: ops.cross_entropy(x, tg.tensor(LABELS), weight(x), 1,
                                                                 label_smoothing=0.1),
           lambda torch, x: torch.nn.functional.cross_entropy(
               x, t(torch, LABELS), t(torch, WEIGHT).to(x.dtype), ignore_index=1, label_smoothing=0.1),
           [(normal(4, 3),)]),
    Record("cross_entropy_soft", lambda x, p: ops.cross_entropy(x, p), lambda torch, x, p:
           torch.nn.functional.cross_entropy(x, p), [(normal(4, 3), positive(4, 3))]),
    Record("cross_entropy_image", lambda x: ops.cross_entropy(x, tg.tensor(LABELS.reshape(2, 2)), reduction="sum"),
           lambda torch, x: torch.nn.functional.cross_entropy(x, t(torch, LABELS.reshape(2, 2)), reduction="sum"),
           [(normal(2, 3, 2),)]),
    recur("RNN_TANH"), recur("RNN_RELU", True, biased=False), recur("GRU"), recur("GRU", True), recur("LSTM"),
    recur("LSTM", True, (2, 2), biased=False), recur("LSTM", projected=True),
    Record("mse_loss", ops.mse_loss, lambda torch, a, b: torch.nn.functional.mse_loss(a, b),
           [(normal(2, 3), normal(2, 3)), (normal(), normal())]),
    Record("mse_loss_none", lambda a, b: ops.mse_loss(a, b, "none"),
           lambda torch, a, b: torch.nn.functional.mse_loss(a, b, reduction="none"), [(normal(2, 3), normal(2, 3))]),
    Record("reshape", lambda a: ops.reshape(a, 3, -1), lambda torch, a: a.reshape(3, -1), [(normal(2, 3),)]),
    Record("flatten", lambda a: ops.flatten(a, 1), lambda torch, a: a.flatten(1), [(normal(2, 3, 2),)]),
    Record("unflatten", lambda a: ops.unflatten(a, 1, (2, -1)), lambda torch, a: a.unflatten(1, (2, -1)),
           [(normal(2, 6),)]),
    Record("permute", lambda a: ops.permute(a, 2, 0, 1), lambda torch, a: a.permute(2, 0, 1), [(normal(2, 3, 4),)]),
    Record("transpose", lambda a: ops.transpose(a, 0, -1), lambda torch, a: a.transpose(0, -1), [(normal(2, 3, 4),)]),
    Record("squeeze", lambda a: ops.squeeze(a, 1), lambda torch, a: a.squeeze(1), [(normal(2, 1, 3),)]),
    Record("unsqueeze", lambda a: ops.unsqueeze(a, -1), lambda torch, a: a.unsqueeze(-1), [(normal(2, 3),)]),
    Record("expand", lambda a: ops.expand(a, 4, -1, 3), lambda torch, a: a.expand(4, -1, 3), [(normal(2, 1),)]),
    Record("flip", lambda a: ops.flip(a, (0, 1)), lambda torch, a: a.flip((0, 1)), [(normal(2, 3),)]),
    Record("cat", lambda a, b: ops.cat([a, b], 1), lambda torch, a, b: torch.cat([a, b], 1),
           [(normal(2, 1), normal(2, 3)), (normal(2, 0), normal(2, 3))]),
    Record("stack", lambda a, b: ops.stack([a, b], -1), lambda torch, a, b: torch.stack([a, b], -1),
           [(normal(2, 3), normal(2, 3))]),
    Record("split", lambda a: ops.split(a, 2, 1)[1], lambda torch, a: a.split(2, 1)[1], [(normal(2, 5),)]),
    Record("gather", lambda a: ops.gather(a, 1, tg.tensor(INDEX)), lambda torch, a: a.gather(1, t(torch, INDEX)),
           [(normal(2, 3),)]),
    Record("getitem_slice", lambda a: a[1:, None, ::2], lambda torch, a: a[1:, None, ::2], [(normal(3, 5),)]),
    Record("getitem_array", lambda a: a[[0, 0, 1], 1:], lambda torch, a: a[[0, 0, 1], 1:], [(normal(2, 3),)]),
    Record("getitem_mask", lambda a: a[a > 0], lambda torch, a: a[a > 0], [(away(3, 4),)]),
    Record("getitem_all", lambda a: a[1, 2], lambda torch, a: a[1, 2], [(normal(2, 3),)]),
    Record("setitem", put, lambda torch, x, v: put(x, v), [(normal(2, 3), normal(3)), (normal(2, 3), normal())]),
]  # fmt: skip
