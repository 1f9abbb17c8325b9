"""What each kernel in `csrc/cuda/*.cu` takes: one letter for each parameter, in order. Tests hold it to the C++.

p pointer, i int32, l int64, f float32, d float64, u uint32, U uint64. Outputs come first.
"""

from __future__ import annotations

import numpy as np

FLOATS = ("f32", "f64")
WHOLE = ("i8", "i16", "i32", "i64", "u8")
ALL = (*FLOATS, *WHOLE, "b8")
SUFFIX = {
    np.dtype(name): suffix
    for name, suffix in [("float32", "f32"), ("float64", "f64"), ("int8", "i8"), ("int16", "i16"), ("int32", "i32"),
                         ("int64", "i64"), ("uint8", "u8"), ("bool", "b8")]
}  # fmt: skip

UNARY = [
    *["neg", "abs", "sign", "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "sin", "cos"],
    *["tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf", "erfc", "erfinv"],
    *["floor", "ceil", "trunc", "round", "relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu"],
]
ARITHMETIC = ["add", "sub", "mul", "maximum", "minimum"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]
BITS = ["bitand", "bitor", "bitxor"]
BACKWARD = [f"{f}_backward" for f in ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu")]
BINARY = [*ARITHMETIC, "div", "pow", "atan2", "mse", *BACKWARD]


def _layout(arrays: int) -> str:
    """Four sizes, and four steps for each array."""
    return "l" * (4 + 4 * arrays)


def _each(names: list[str], dtypes: tuple[str, ...], signature: str) -> dict[str, str]:
    return {f"{name}_{dtype}": signature for name in names for dtype in dtypes}


_ONE, _TWO = "ppdd" + _layout(2), "pppdd" + _layout(3)
_PRODUCT = "ppppp" + "iii" + "lllllll" + "i"
_WIDE_PRODUCT = "pppp" + "iii" + "llllll"
_ATTENTION, _HEADS = "di" + "lll" + "ii", ("64_f32", "128_f32", "64_f64")
_REDUCE, _WINDOWS = "pp" + "l" * 8, "l" * 19

FILES: dict[str, dict[str, str]] = {
    "elementwise.cu": {
        **_each(UNARY, FLOATS, _ONE),
        **_each([*BINARY, *COMPARISONS], FLOATS, _TWO),
        **_each(["mse_backward"], FLOATS, "ppppd" + _layout(4)),
    },
    "integers.cu": {
        **_each(["neg", "abs", "sign"], WHOLE, _ONE),
        **_each([*ARITHMETIC, *BITS, *COMPARISONS], WHOLE, _TWO),
        **_each(["maximum", "minimum", *BITS, *COMPARISONS], ("b8",), _TWO),
    },
    "memory.cu": {
        **_each(["fill"], ALL, "pdll"),
        **{f"copy_{size}": "pp" + _layout(2) for size in (1, 2, 4, 8)},
        **{f"cast_{a}_{b}": "pp" + _layout(2) for a in ALL for b in ALL},
        **_each(["where"], ALL, "ppppd" + _layout(4)),
    },
    "reduce.cu": {
        f"{name}_{way}": _REDUCE
        for way in ("along", "across")
        for name in [
            *[f"sum_{a}_{b}" for a in FLOATS for b in FLOATS],
            *[f"sum_{a}_i64" for a in (*WHOLE, "b8")],
            *[f"{name}_{a}" for name in ("amax", "amin", "argmax", "argmin") for a in ALL],
        ]
    },
    "softmax.cu": {
        **_each(["softmax", "log_softmax"], FLOATS, "pplll"),
        **_each(["softmax_backward", "log_softmax_backward"], FLOATS, "ppplll"),
        **_each(["cross_entropy"], FLOATS, "ppppppp" + "llld"),
        **_each(["cross_entropy_backward"], FLOATS, "ppppppp" + "llldi"),
        **_each(["quotient"], FLOATS, "pppd"),
    },
    "gemm.cu": _each(["gemm_tile16", "gemm_block64"], FLOATS, _PRODUCT),
    "gemm128.cu": {f"gemm_block128_{how}": _WIDE_PRODUCT for how in ("nn", "nt", "tn", "tt")},
    "gemm_tensor.cu": {
        f"gemm_{format}_{how}": _WIDE_PRODUCT for format in ("tf32", "bf16") for how in ("nn", "nt", "tn", "tt")
    },
    "optimisers.cu": {
        **_each(["sgd"], FLOATS, "pl" + "dddd" + "iii"),
        **_each(["adam"], FLOATS, "pl" + "ddddddd" + "i"),
        **_each(["squares"], FLOATS, "ppl"),
        **_each(["norm"], FLOATS, "ppl"),
        **_each(["limit_norm"], FLOATS, "plpd"),
    },
    "windows.cu": {
        **_each(["columns", "overlap"], FLOATS, "pp" + _WINDOWS),
        **_each(["max_pool"], FLOATS, "ppp" + _WINDOWS),
        **_each(["avg_pool", "avg_pool_backward"], FLOATS, "ppli" + _WINDOWS),
        **_each(["scatter"], FLOATS, "pppplll"),
    },
    "rows.cu": {
        **_each(["take"], FLOATS, "pppplll"),
        **_each(["take_backward"], FLOATS, "ppppllll"),
        **_each(["normalize"], FLOATS, "pppppp" + "dii" + "lll"),
        **_each(["normalize_backward"], FLOATS, "ppppppppp" + "i" + "lll"),
    },
    "attention.cu": {
        **{f"attention{w}": "pppppp" + _ATTENTION for w in _HEADS},
        **{f"attention_rows{w}": "ppppppppp" + _ATTENTION for w in _HEADS},
        **{f"attention_keys{w}": "ppppppppp" + _ATTENTION for w in _HEADS},
        **_each(["attention_weights"], FLOATS, "ppp" + "di" + "llll"),
        **_each(["attention_slope"], FLOATS, "pppp" + "d" + "lll"),
    },
    "recurrent.cu": {
        **_each(["lstm_cell"], FLOATS, "pppppp" + "ll"),
        **_each(["lstm_cell_backward"], FLOATS, "ppppppp" + "ll"),
        **_each(["gru_cell"], FLOATS, "ppppp" + "ll"),
        **_each(["gru_cell_backward"], FLOATS, "pppppp" + "ll"),
    },
    "order.cu": {
        **_each(["cumsum"], ALL, "pp" + "ll"),
        **_each(["sort_runs"], ALL, "pp" + "ll" + "i"),
        **_each(["merge_runs"], ALL, "ppp" + "lll" + "i"),
    },
    "indexing.cu": {
        "position": "ppppll" + _layout(3),
        **{f"pick_{size}": "pppl" + _layout(1) for size in (1, 2, 4, 8)},
        **{f"put_{size}": "ppppl" + _layout(1) for size in (1, 2, 4, 8)},
        **_each(["add_at"], (*FLOATS, *WHOLE), "ppppl" + _layout(1)),
    },
    "random.cu": {
        "philox_u32": "plUuU",
        **_each(["uniform", "normal"], FLOATS, "plUuUdd"),
        **_each(["dropout"], FLOATS, "pplUuUd"),
    },
}

FILE_OF = {name: file for file, kernels in FILES.items() for name in kernels}
KERNELS = {name: signature for kernels in FILES.values() for name, signature in kernels.items()}
