"""Single operations as a user calls them: fresh results, derivatives through the graph.

`bytes` counts what must be read and written at least once, `flops` the multiplications and additions of products.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..measure import Case, Run

# Goals of the families: geometric mean over their sizes, × PyTorch.
GOALS = {
    "matmul": 1.0, "activation": 2.0, "softmax": 1.5, "convolution": 1.5, "linear+bias+GELU": 1.2, "optimiser": 1.5,
}  # fmt: skip
SQUARES = (64, 128, 256, 512, 1024, 2048)
# (M, K, N) of the products of the steps: batch × in × out of linear layers, forward
SHAPES = {
    "digits": (32, 64, 128), "MNIST 1": (128, 784, 512), "MNIST 2": (128, 512, 256), "MNIST 3": (128, 256, 10),
    "wide 1": (512, 1024, 2048), "wide 2": (512, 2048, 2048), "CNN head": (64, 3136, 128), "GPT qkv": (1024, 128, 384),
    "GPT up": (1024, 128, 512), "GPT down": (1024, 512, 128),
}  # fmt: skip
LENGTHS = {"1k": 1 << 10, "64k": 1 << 16, "1M": 1 << 20, "16M": 1 << 24}


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal float32 numbers, the same for each engine."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def forward(function: Callable[..., Any], *given: Callable[[], np.ndarray]) -> Callable[[Any], Run]:
    """function(torch, *tensors), without gradients."""

    def make(torch: Any) -> Run:
        tensors = [torch.from_numpy(array()) for array in given]

        def run() -> Any:
            with torch.no_grad():
                return function(torch, *tensors)

        return run

    return make


def backward(
    function: Callable[..., Any], *given: Callable[[], np.ndarray], whole: bool = False
) -> Callable[[Any], Run]:
    """The gradients of function(torch, *tensors) for all floating tensors; with `whole`, forward pass and all."""

    def make(torch: Any) -> Run:
        tensors = [torch.from_numpy(array()) for array in given]
        leaves = [t.requires_grad_() for t in tensors if t.dtype == torch.float32]
        result = function(torch, *tensors)
        seed = torch.from_numpy(numbers(*result.shape, seed=9))

        def again() -> Any:
            return torch.autograd.grad(result, leaves, seed, retain_graph=True)

        def from_start() -> Any:
            return torch.autograd.grad(function(torch, *tensors), leaves, seed)

        return from_start if whole else again

    return make


def normal(*shape: int, seed: int = 0) -> Callable[[], np.ndarray]:
    """`numbers`, made when needed: not all cases' inputs are in memory at once."""
    return lambda: numbers(*shape, seed=seed)


def indices(n: int, end: int) -> Callable[[], np.ndarray]:
    """n classes or rows below `end`."""
    return lambda: np.random.default_rng(3).integers(0, end, n)


def product_case(name: str, m: int, k: int, n: int, form: str) -> Case:
    """A product of stored matrices, the first (N.), or its transpose (T.), with the second or its transpose."""
    first = normal(k, m) if form[0] == "T" else normal(m, k)
    second = normal(n, k, seed=1) if form[1] == "T" else normal(k, n, seed=1)

    def function(torch: Any, a: Any, b: Any) -> Any:
        return (a.T if form[0] == "T" else a) @ (b.T if form[1] == "T" else b)

    def with_numpy() -> Run:
        a, b = first(), second()
        return lambda: function(None, a, b)

    def with_jax() -> Run:
        import jax

        a, b, product = jax.numpy.asarray(first()), jax.numpy.asarray(second()), jax.jit(partial(function, None))
        return lambda: product(a, b).block_until_ready()

    return Case("matmul", f"{name} {form}", forward(function, first, second), flops=2.0 * m * k * n,
                bytes=4.0 * (m * k + k * n + m * n), others={"numpy": with_numpy, "jax": with_jax})  # fmt: skip


def products(quick: bool) -> list[Case]:
    """Squares and the shapes of the steps: forward (NT), input gradient (NN), weight gradient (TN)."""
    found = [
        product_case(f"{s}³", s, s, s, form) for s in (SQUARES[:1] if quick else SQUARES) for form in ("NN", "NT", "TN")
    ]
    for name, (m, k, n) in list(SHAPES.items())[: 1 if quick else None]:
        found.append(product_case(f"{name} {m}×{k}×{n}", m, k, n, "NT"))
        found.append(product_case(f"{name} {m}×{n}×{k}", m, n, k, "NN"))
        found.append(product_case(f"{name} {n}×{m}×{k}", n, m, k, "TN"))
    return found


def activations(quick: bool) -> list[Case]:
    """Forward and backward over vectors."""
    functions: dict[str, Callable[[Any, Any], Any]] = {
        "relu": lambda torch, x: torch.relu(x),
        "sigmoid": lambda torch, x: torch.sigmoid(x),
        "tanh": lambda torch, x: torch.tanh(x),
        "gelu": lambda torch, x: torch.nn.functional.gelu(x),
        "silu": lambda torch, x: torch.nn.functional.silu(x),
    }
    found = []
    for name, function in functions.items():
        for label, n in list(LENGTHS.items())[: 1 if quick else None]:
            found.append(Case("activation", f"{name} {label}", forward(function, normal(n)), bytes=8.0 * n))
            found.append(Case("activation", f"{name} {label} backward", backward(function, normal(n)), bytes=12.0 * n))
    return found


def rows(quick: bool) -> list[Case]:
    """What works along rows: softmax, losses, norms; (8192, 64) and (1024, 1024)."""
    functions: dict[str, Callable[..., Any]] = {
        "softmax": lambda torch, x: torch.softmax(x, -1),
        "log_softmax": lambda torch, x: torch.log_softmax(x, -1),
        "layer_norm": lambda torch, x: torch.nn.functional.layer_norm(x, x.shape[-1:]),
    }
    found = []
    for r, n in ((32, 10), (8192, 64), (1024, 1024))[: 1 if quick else None]:
        size = 4.0 * r * n
        for name, function in functions.items():
            found.append(Case("softmax", f"{name} {r}×{n}", forward(function, normal(r, n)), bytes=2 * size))
            found.append(Case("softmax", f"{name} {r}×{n} backward", backward(function, normal(r, n)), bytes=3 * size))
        loss = lambda torch, x, t: torch.nn.functional.cross_entropy(x, t)  # noqa: E731
        given = normal(r, n), indices(r, n)
        found.append(Case("softmax", f"cross_entropy {r}×{n}", forward(loss, *given), bytes=size))
        found.append(Case("softmax", f"cross_entropy {r}×{n} backward", backward(loss, *given), bytes=2 * size))
    return found


def reductions(quick: bool) -> list[Case]:
    """Sums and maxima, of everything and along either axis of a square matrix."""
    n = 64 if quick else 2048
    functions: dict[str, Callable[[Any, Any], Any]] = {
        "sum": lambda torch, x: x.sum(),
        "sum over rows": lambda torch, x: x.sum(0),
        "sum along rows": lambda torch, x: x.sum(1),
        "mean": lambda torch, x: x.mean(),
        "amax along rows": lambda torch, x: x.amax(1),
        "argmax along rows": lambda torch, x: x.argmax(1),
        "var along rows": lambda torch, x: x.var(1),
    }
    return [
        Case("reduction", f"{name} {n}×{n}", forward(function, normal(n, n)), bytes=4.0 * n * n)
        for name, function in functions.items()
    ]


def convolutions(quick: bool) -> list[Case]:
    """The CNN's two convolutions, and pooling."""
    batch, found = (2 if quick else 64), []
    for c, o, s in ((1, 32, 28), (32, 64, 14)):

        def function(torch: Any, x: Any, w: Any, b: Any) -> Any:
            return torch.nn.functional.conv2d(x, w, b, padding=1)

        given = normal(batch, c, s, s), normal(o, c, 3, 3, seed=1), normal(o, seed=2)
        flops, name = 2.0 * batch * o * c * 9 * s * s, f"conv2d {batch}×{c}×{s}×{s} → {o}"
        size = 4.0 * batch * s * s * (c + o)
        found.append(Case("convolution", name, forward(function, *given), flops=flops, bytes=size, tolerance=1e-3))
        found.append(Case("convolution", f"{name} forward+backward", backward(function, *given, whole=True),
                          flops=3 * flops, bytes=3 * size, tolerance=1e-3))  # fmt: skip
    pool = lambda torch, x: torch.nn.functional.max_pool2d(x, 2)  # noqa: E731
    shape = (batch, 32, 28, 28)
    size = 4.0 * float(np.prod(shape))
    found.append(Case("pooling", f"max_pool2d {batch}×32×28×28", forward(pool, normal(*shape)), bytes=1.25 * size))
    found.append(Case("pooling", f"max_pool2d {batch}×32×28×28 forward+backward",
                      backward(pool, normal(*shape), whole=True), bytes=2.5 * size))  # fmt: skip
    return found


def linear_gelu(quick: bool) -> list[Case]:
    """A Linear and a GELU in a Sequential."""
    found = []
    for m, i, o in ((32, 64, 128), (512, 1024, 2048), (1024, 128, 512))[: 1 if quick else None]:

        def make(torch: Any, m: int = m, i: int = i, o: int = o) -> Run:
            layer, x = torch.nn.Linear(i, o), torch.from_numpy(numbers(m, i))
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(numbers(o, i, seed=1) / np.float32(i**0.5)))
                layer.bias.copy_(torch.from_numpy(numbers(o, seed=2)))
            model = torch.nn.Sequential(layer, torch.nn.GELU())
            return lambda: model(x)

        found.append(Case("linear+bias+GELU", f"{m}×{i} → {o}", make, flops=2.0 * m * i * o,
                          bytes=4.0 * (m * i + i * o + m * o)))  # fmt: skip
    return found


def optimisers(quick: bool) -> list[Case]:
    """One step over the wide MLP's six million parameters."""
    shapes = [(8, 8)] if quick else [(2048, 1024), (2048,), (2048, 2048), (2048,), (10, 2048), (10,)]
    count = sum(int(np.prod(shape)) for shape in shapes)
    found = []
    for name, options, passes in (("Adam", {}, 7), ("SGD", {}, 3), ("SGD", {"momentum": 0.9}, 5)):

        def make(torch: Any, name: str = name, options: dict[str, float] = options) -> Run:
            parameters = [torch.nn.Parameter(torch.from_numpy(numbers(*shape))) for shape in shapes]
            for p, shape in zip(parameters, shapes, strict=True):
                p.grad = torch.from_numpy(numbers(*shape, seed=1))
            optimizer = getattr(torch.optim, name)(parameters, lr=1e-3, **options)

            def run() -> Any:
                optimizer.step()
                return parameters

            return run

        title = name + (" with momentum" if options else "")
        found.append(Case("optimiser", f"{title}, {count:,} parameters", make, bytes=4.0 * passes * count))
    return found


def lookups(quick: bool) -> list[Case]:
    """Embedding and attention at the GPT's shapes."""
    n, b, t = (8, 2, 8) if quick else (1024, 64, 64)
    look_up = lambda torch, i, w: torch.nn.functional.embedding(i, w)  # noqa: E731
    attend = lambda torch, q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)  # noqa: E731
    given = indices(n, 65), normal(65, 128)
    heads = [normal(b, 1, t, 32, seed=s) for s in range(3)]
    flops = 2.0 * b * t * t * 32
    return [
        Case("embedding", f"{n} of 65×128", forward(look_up, *given), bytes=8.0 * n * 128),
        Case("embedding", f"{n} of 65×128 forward+backward", backward(look_up, *given, whole=True),
             bytes=12.0 * n * 128),
        Case("attention", f"causal {b}×{t}×32", forward(attend, *heads), flops=flops, bytes=16.0 * b * t * 32),
        Case("attention", f"causal {b}×{t}×32 forward+backward", backward(attend, *heads, whole=True),
             flops=3.5 * flops, bytes=36.0 * b * t * 32),
    ]  # fmt: skip


def dropouts(quick: bool) -> list[Case]:
    """The engines' random numbers differ, so what is compared is the share that stays and its factor, roughly."""
    n = LENGTHS["64k" if quick else "1M"]

    def kept(run: Run) -> Any:
        y = run().detach().numpy()
        return [np.float64((y != 0).mean()), np.float64(y.max())]

    drop = lambda torch, x: torch.nn.functional.dropout(x, 0.5, training=True)  # noqa: E731
    return [Case("dropout", f"p ½, {n:,}", forward(drop, lambda: np.ones(n, np.float32)), bytes=8.0 * n, tolerance=0.02,
                 results=kept)]  # fmt: skip


def cases(quick: bool = False) -> list[Case]:
    """All families; `quick`: their smallest sizes."""
    families = (products, activations, rows, reductions, convolutions, linear_gelu, optimisers, lookups, dropouts)
    return [case for family in families for case in family(quick)]
