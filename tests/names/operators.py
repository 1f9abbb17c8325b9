"""One line for every operator: its name and arguments. See `harness`."""

from __future__ import annotations

from typing import Any

from harness import ELEMENTWISE, FLOATS, Call, X

x = X()
CALLS: list[Call] = []
# random, or about the state of the library: tests/tensor, tests/autograd, tests/serialization
ELSEWHERE = {
    "bernoulli", "compile", "dropout", "empty", "empty_like", "from_dlpack", "from_numpy", "frombuffer",
    "get_num_threads", "get_rng_state", "initial_seed", "is_grad_enabled", "load", "manual_seed", "multinomial",
    "normal", "poisson", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "save",
    "set_num_threads", "set_rng_state",
    # the very functions of nn.functional: tests/nn/test_names.py
    "adaptive_avg_pool1d", "avg_pool1d", "bilinear", "celu", "celu_", "channel_shuffle", "conv1d", "conv2d",
    "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_embedding_loss",
    "cosine_similarity", "group_norm", "hinge_embedding_loss", "layer_norm", "max_pool1d", "max_pool2d",
    "max_pool3d", "pairwise_distance", "pixel_shuffle", "pixel_unshuffle", "prelu", "relu_", "rms_norm", "rrelu",
    "selu", "selu_", "threshold", "triplet_margin_loss",
    # settings: tests/tensor/test_settings.py
    "are_deterministic_algorithms_enabled", "get_default_device", "get_default_dtype", "get_float32_matmul_precision",
    "seed", "set_default_device", "set_default_dtype", "set_float32_matmul_precision", "set_printoptions",
    "use_deterministic_algorithms",
}  # fmt: skip


def call(name: str, *args: Any, **options: Any) -> None:
    """Add calls of names (separated by blanks) with the same arguments; options of `Call`, the rest are keywords."""
    special = {k: options.pop(k) for k in list(options) if k in Call.__dataclass_fields__}
    for one in name.split():
        CALLS.append(Call(one, args, options, **special))


# -- one argument ----------------------------------------------------------------------------------------------
call("abs absolute neg negative positive sign exp exp2 expm1 sin cos tan sinh cosh tanh asinh arcsinh atan arctan "
     "erf erfc sigmoid relu square isnan isinf isfinite isneginf isposinf isreal signbit nan_to_num clone",
     X(kind="away"), shapes=ELEMENTWISE)  # fmt: skip
call("logical_not", x, shapes=ELEMENTWISE, grad=False)
call("log log2 log10 log1p sqrt rsqrt reciprocal", X(kind="positive"), shapes=ELEMENTWISE)
call("asin arcsin acos arccos atanh arctanh erfinv", X(kind="unit"), shapes=ELEMENTWISE)
call("acosh arccosh", X(kind="positive"), shapes=ELEMENTWISE, prepare=lambda m, t: t + 1, method=False)
call("floor ceil trunc fix frac", X(kind="away"), shapes=ELEMENTWISE)
call("round", X(kind="away"), shapes=ELEMENTWISE)
call("round", X((2, 3)), decimals=2)
call("round", X((2, 3)), decimals=-1)
call("logit", X(kind="probability"), shapes=ELEMENTWISE)
call("logit", X((5,)), 0.1)
call("bitwise_not", x, shapes=ELEMENTWISE)
call("clamp clip", x, -0.5, 0.8, shapes=ELEMENTWISE)
call("clamp", x, min=0.1, shapes=((2, 3),))
call("clamp", x, max=1, shapes=((2, 3),))
call("clamp", X((2, 3)), X((3,)), X((2, 1), "positive"))
call("clamp_min clamp_max", x, 0, shapes=((2, 3),))

# -- two arguments ---------------------------------------------------------------------------------------------
PAIRS = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (3,)), ((), (2, 3)), ((0, 3), (3,)), ((), ()), ((2,), (3,))]
for a, b in PAIRS:
    call("add sub subtract mul multiply maximum minimum fmax fmin eq ne not_equal lt less le less_equal gt greater ge "
         "greater_equal bitwise_and bitwise_or bitwise_xor isclose copysign "
         "logaddexp logaddexp2 hypot atan2 arctan2", X(a), X(b, "away"))  # fmt: skip
    call("logical_and logical_or logical_xor", X(a), X(b), grad=False)
    call("div divide true_divide floor_divide remainder fmod", X(a, "away"), X(b, "positive"))
    call("pow", X(a, "positive"), X(b, "positive"))
    call("xlogy", X(a, "away"), X(b, "positive"))
    call("where", X(a, "mask"), X(a), X(b), method=False)
    call("lerp", X(a), X(a), X(b))
    call("addcmul addcdiv", X(a), X(a), X(b, "positive"))
for number in (2, 0.5, True):
    call("add sub mul div remainder fmod eq ne lt le gt ge", X((2, 3), "away"), number)
call("add sub", X((2, 3)), X((3,)), alpha=2)
call("pow", X((2, 3), "positive"), 3)
call("pow", X((2, 3), "positive"), 0.5)
call("pow", X((2, 3), "positive"), 2)
call("pow", X((2, 3), "positive"), -1)
call("pow", 2, X((2, 3)), method=False, keywords=False)
call("lerp", X((2, 3)), X((2, 3)), 0.3)
call("lerp", X((2, 3)), X((2, 3)), 0.8)
call("addcmul addcdiv", X((2, 3)), X((2, 3)), X((3,), "positive"), value=0.5)
call("where", X((2, 3), "mask"), X((2, 3)), 0.0, method=False)
call("where", X((2, 3), "mask"), 1, X((2, 3)), method=False, keywords=False)
call("bitwise_left_shift bitwise_right_shift", X((2, 3), "positive"), X((3,), "positive"))
for mode in ("trunc", "floor", None):
    call("div divide", X((2, 3), "away"), X((3,), "away"), rounding_mode=mode, second=False)
call("isclose allclose", X((2, 3)), X((2, 3)), 0.5, 0.5)
call("allclose equal", X((2, 3)), X((2, 3)), grad=False)
call("equal", X((2, 3)), X((3,)), grad=False)
call("nan_to_num", X((2, 3)), 1.0, 2.0, -2.0)

# -- reductions ------------------------------------------------------------------------------------------------
DIMS = [((2, 3), 1), ((2, 3), -2), ((0, 3), 1), ((3,), 0), ((2, 3, 4), 1), ((2, 3), 2)]
for s, d in DIMS:
    call("sum mean nansum nanmean amax amin logsumexp std var all any prod cumsum cumprod logcumsumexp max min "
         "cummax cummin sort argmax argmin median", X(s, "distinct"), d)  # fmt: skip
    call("sum mean amax amin logsumexp all any prod argmax argmin max min median", X(s, "distinct"), d, keepdim=True)
    call("softmax log_softmax", X(s), d, dtypes=FLOATS)
    call("count_nonzero", X(s), d, grad=False)
    call("aminmax", X(s, "distinct"), dim=d)
    call("std_mean var_mean std var", X(s), d, correction=0)
call("sum mean nansum nanmean prod all any max min amax amin argmax argmin median aminmax count_nonzero",
     X(kind="distinct"), shapes=((2, 3), (), (3, 1, 2)))  # fmt: skip
call("std var std_mean var_mean norm", X(kind="distinct"), shapes=((2, 3), (3, 1, 2)))
call("std var std_mean var_mean", X(()), second=False)
call("norm", X((), "away"))
call("sum prod all any", X((0, 3)))
call("sum mean amax amin logsumexp std var all any norm", X((2, 3, 4), "distinct"), dim=(0, 2))
call("sum mean amax amin std var", X((2, 3, 4), "distinct"), dim=(0, 2), keepdim=True)
call("std var", X((2, 3)), unbiased=False)
call("std var", X((2, 3)), 1, False, True, keywords=False)
call("std var", X((1,)), second=False)
call("sum mean prod cumsum cumprod", X((2, 3)), dim=1, dtype="dtype:float64")
for p in (1, 2, 3, 0.5, float("inf"), float("-inf"), "fro", 0):
    call("norm", X((2, 3), "away"), p)
    call("norm", X((2, 3), "away"), p, 1, True)
call("norm", X((2, 3), "away"), "nuc", dtypes=FLOATS)
call("max min", X((2, 3)), X((3,)), keywords=False)
call("max min", X((2, 3)), other=X((3,)))
call("cumsum cumprod", X(()), 0)
call("sort argsort", X((3, 5), "distinct"))
call("sort argsort", X((3, 5), "distinct"), dim=0, descending=True)
call("sort argsort", X((3, 5)), dim=0, stable=True, keywords=False)
call("sort argsort", X(()))
call("topk", X((3, 5), "distinct"), 2)
call("topk", X((3, 5), "distinct"), 2, 0, False)
call("topk", X((3, 5), "distinct"), 6)
call("kthvalue", X((3, 5), "distinct"), 2)
call("kthvalue", X((3, 5), "distinct"), 2, 0, True)
call("mode", X((3, 5)), dtypes=("int64",))
call("mode", X((3, 5)), 0, True, dtypes=("int64",))
call("unique unique_consecutive", X((3, 4)), grad=False)
call("unique", X((3, 4)), return_inverse=True, return_counts=True, grad=False, keywords=False)
call("unique_consecutive", X((6,)), return_inverse=True, return_counts=True, grad=False)
call("unique", X((4, 2)), dim=0, grad=False, dtypes=("int64", "float32"))
call("bincount", X((9,), "index:5"), grad=False)
call("bincount", X((9,), "index:5"), X((9,), "float"), 7, grad=False)
call("histc", X((9,)), 4, -1, 1, grad=False, dtypes=FLOATS)
call("histc", X((9,)), grad=False, dtypes=FLOATS)
call("searchsorted", X((5,), "sorted"), X((2, 3)), grad=False)
call("searchsorted", X((2, 5), "sorted"), X((2, 3)), right=True, grad=False, method=False)
call("bucketize", X((2, 3)), X((5,), "sorted"), grad=False)
call("bucketize", X((2, 3)), X((5,), "sorted"), right=True, grad=False)
call("diff", X((3, 5)))
call("diff", X((3, 5)), 2, 0)
call("diff", X((3, 5)), prepend=X((3, 1)), append=X((3, 2)))

# -- products and decompositions -------------------------------------------------------------------------------
call("mm", X((2, 3)), X((3, 4)))
call("mm bmm", X((2, 3, 4)), X((2, 4, 5)))
call("bmm", X((2, 3, 4)), X((3, 4, 5)))
call("mv", X((2, 3)), X((3,)))
call("dot vdot inner", X((3,)), X((3,)))
call("dot", X((3,)), X((4,)))
call("inner", X((2, 3)), X((4, 3)))
call("inner", X(()), X((4, 3)))
call("outer ger", X((3,)), X((4,)))
for a, b in [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((2, 2, 3), (3, 4)),
             ((2, 1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 3), (2, 3)), ((), (3,))]:  # fmt: skip
    call("matmul", X(a), X(b))
call("addmm", X((2, 4)), X((2, 3)), X((3, 4)))
call("addmm", X((4,)), X((2, 3)), X((3, 4)), beta=2, alpha=3)
call("addmm", X((2, 4)), X((2, 3)), X((3, 4)), beta=0)
call("addmv", X((2,)), X((2, 3)), X((3,)))
call("addbmm", X((3, 5)), X((2, 3, 4)), X((2, 4, 5)))
call("baddbmm", X((2, 3, 5)), X((2, 3, 4)), X((2, 4, 5)), beta=2, alpha=0.5, dtypes=FLOATS)
call("addr", X((3, 4)), X((3,)), X((4,)))
call("tensordot", X((2, 3, 4)), X((3, 4, 5)), dtypes=FLOATS, keywords=False)
call("tensordot", X((2, 3, 4)), X((4, 2, 5)), dims=([2, 0], [0, 1]), dtypes=FLOATS)
call("kron", X((2, 3)), X((3, 2)))
call("kron", X((2,)), X((3, 2)))
call("trace", X((3, 4)))
call("cross", X((2, 3)), X((2, 3)), dim=1)
call("cdist", X((2, 4, 3)), X((2, 5, 3)), dtypes=FLOATS)
call("cdist", X((4, 3)), X((5, 3)), p=1.0, dtypes=FLOATS)
EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("ii->i", (3, 3)),
    ("ii", (3, 3)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("i,j->ij", (2,), (3,)), ("ij,ij->", (2, 3), (2, 3)),
    ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)), ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("ij,kj,lj->ikl", (2, 3), (4, 3), (5, 3)), ("i...->...", (2, 3)), ("ij,jk->ik", (2, 3), (4, 5)), ("ij->k", (2, 3)),
]  # fmt: skip
for equation, *shapes in EINSUMS:
    call("einsum", equation, *[X(s) for s in shapes], method=False, keywords=False, dtypes=FLOATS)
SQUARE = [(3, 3), (2, 3, 3), (1, 1)]
for s in SQUARE:
    call("linalg.inv linalg.pinv linalg.det", X(s, "solid"), method=False, dtypes=FLOATS)
    call("inverse pinverse det", X(s, "solid"), keywords=False, dtypes=FLOATS)
    call("linalg.slogdet", X(s, "solid"), method=False, dtypes=FLOATS)
    call("slogdet", X(s, "solid"), keywords=False, dtypes=FLOATS)
    call(
        "linalg.cholesky cholesky logdet linalg.eigvalsh linalg.svdvals",
        X(s, "spd"),
        method=False,
        dtypes=FLOATS,
        second=False,
    )
    call("linalg.matrix_norm linalg.vector_norm linalg.norm", X(s), method=False, dtypes=FLOATS)
    call("linalg.matrix_power matrix_power", X(s, "solid"), 3, method=False, dtypes=FLOATS)
    call("linalg.matrix_power matrix_power", X(s, "solid"), -2, method=False, dtypes=FLOATS)
    call("linalg.matrix_power", X(s, "solid"), 0, method=False, dtypes=FLOATS)
    call("linalg.eigh", X(s, "spd"), method=False, dtypes=FLOATS, pick=lambda r: (r[0], r[1] * r[1]), second=False)
    call("linalg.svd", X(s), False, method=False, dtypes=FLOATS, pick=lambda r: (r[0] * r[0], r[1]), second=False)
    call("linalg.solve", X(s, "solid"), X((*s[:-1], 2)), method=False, dtypes=FLOATS)
    call("linalg.solve", X(s, "solid"), X((*s[:-1], s[-1])), left=False, method=False, dtypes=FLOATS)
    call("linalg.cross", X(s), X(s), method=False, dtypes=FLOATS)
    call("linalg.matmul", X(s), X(s), method=False, dtypes=FLOATS)
    call("linalg.matrix_rank", X(s), method=False, dtypes=FLOATS)
    call("linalg.qr", X(s), method=False, dtypes=FLOATS, pick=lambda r: (r[0].abs(), r[1].abs()), second=False)
call(
    "qr svd",
    X((3, 3)),
    keywords=False,
    method=False,
    grad=False,
    dtypes=FLOATS,
    pick=lambda r: [t.abs() for t in r[:2]],
)
call("linalg.solve", X((3, 3), "solid"), X((3,)), method=False, dtypes=FLOATS)
call(
    "linalg.qr", X((4, 3)), "complete", method=False, dtypes=FLOATS, grad=False, pick=lambda r: (r[0].abs(), r[1].abs())
)
call(
    "linalg.svd",
    X((4, 3)),
    True,
    method=False,
    dtypes=FLOATS,
    grad=False,
    pick=lambda r: (r[0].shape, r[1], r[2].shape),
)
call("linalg.multi_dot", [X((2, 3)), X((3, 4)), X((4, 2))], method=False, dtypes=FLOATS)
for ord in (1, 2, float("inf"), float("-inf"), 0, 3):
    call("linalg.vector_norm", X((2, 3), "away"), ord, method=False, dtypes=FLOATS)
    call("linalg.norm", X((4,), "away"), ord, method=False, dtypes=FLOATS)
for ord in ("fro", "nuc", 1, -1, 2, -2, float("inf"), float("-inf")):
    call("linalg.norm linalg.matrix_norm", X((2, 3), "away"), ord, method=False, dtypes=FLOATS, second=False)
call("linalg.norm", X((2, 3, 4)), 2, 1, True, method=False, dtypes=FLOATS)
call("linalg.cholesky", X((3, 3), "spd"), upper=True, method=False, dtypes=FLOATS, second=False)
call("linalg.inv linalg.cholesky", X((3, 3)), dtypes=("float64",), prepare=lambda m, t: t * 0)

# -- shape -----------------------------------------------------------------------------------------------------
call("reshape", X((2, 3, 4)), (4, -1), keywords=False)
call("reshape", X((2, 3, 4)), shape=(4, -1))
call("reshape", X((2, 3)), (5,), keywords=False)
call("reshape", X((2, 3)), shape=(5,))
call("flatten ravel", X((2, 3, 4)))
call("flatten", X((2, 3, 4)), 1)
call("flatten", X((2, 3, 4)), 0, 1)
call("flatten ravel", X(()))
call("unflatten", X((2, 6)), 1, (2, -1))
call("permute", X((2, 3, 4)), (2, 0, 1), keywords=False)
call("permute", X((2, 3, 4)), dims=(2, 0, 1))
call("permute", X((2, 3, 4)), (2, 0), keywords=False)
call("permute", X((2, 3, 4)), dims=(2, 0))
call("transpose swapaxes swapdims", X((2, 3, 4)), 0, -1)
call("movedim moveaxis", X((2, 3, 4)), 0, 2)
call("movedim", X((2, 3, 4)), (0, 1), (2, 0))
call("squeeze", X((2, 1, 3, 1)))
call("squeeze", X((2, 1, 3, 1)), 1)
call("squeeze", X((2, 1, 3, 1)), (1, 3))
call("unsqueeze", X((2, 3)), -1)
call("unsqueeze", X((2, 3)), 4)
call("narrow", X((4, 3)), 0, 1, 2)
call("narrow", X((4, 3)), 0, 3, 2)
call("select", X((4, 3)), 1, -1)
call("unbind", X((2, 3)))
call("unbind", X((2, 3)), 1)
call("split", X((5, 3)), 2, keywords=False)
call("split", X((5, 3)), [1, 4], keywords=False)
call("split", X((5, 3)), 2, 1, keywords=False)
call("split", X((5, 3)), [1, 3], keywords=False)
call("chunk", X((5, 3)), 2)
call("chunk", X((5, 3)), 3, 1)
call("tensor_split", X((5, 3)), 2, keywords=False)
call("tensor_split", X((5, 3)), (1, 3), keywords=False)
call("cat concat concatenate", [X((2, 3)), X((1, 3))], method=False)
call("cat", [X((2, 3)), X((2, 1))], 1, method=False)
call("cat", [X((2, 3)), X((2, 1))], method=False)
call("stack", [X((2, 3)), X((2, 3))], method=False)
call("stack", [X((2, 3)), X((2, 3))], -1, method=False)
call("hstack vstack row_stack dstack column_stack", [X((2, 3)), X((2, 3))], method=False)
call("hstack vstack dstack column_stack", [X((3,)), X((3,))], method=False)
call("atleast_1d atleast_2d atleast_3d", X(()), method=False, keywords=False)
call("atleast_1d atleast_2d atleast_3d", X((3,)), method=False, keywords=False)
call("atleast_3d", X((3, 2)), method=False, keywords=False)
call("tile", X((2, 3)), (2, 1, 2), keywords=False)
call("tile", X((2, 3)), dims=(2, 1, 2))
call("tile", X((2, 3)), (2,), keywords=False)
call("tile", X((2, 3)), dims=(2,))
call("repeat_interleave", X((2, 3)), 2)
call("repeat_interleave", X((2, 3)), 2, 1)
call("repeat_interleave", X((2, 3)), X((3,), "index:4"), 1)
call("roll", X((2, 3)), 1)
call("roll", X((2, 3)), 1, 1)
call("roll", X((2, 3)), (1, -1), (0, 1))
call("flip", X((2, 3)), (0, 1), keywords=False)
call("flip", X((2, 3)), dims=(0, 1))
call("fliplr flipud", X((2, 3)))
call("rot90", X((2, 3)))
call("rot90", X((2, 3)), 3, (1, 0))
call("broadcast_to", X((2, 1)), (2, 3))
call("broadcast_to", X((2, 1)), (3, 3))
call("broadcast_tensors", X((2, 1)), X((3,)), method=False, keywords=False)
call("tril triu", X((3, 4)))
call("tril triu", X((2, 3, 4)), 1)
call("tril triu", X((4, 3)), -1)
call("tril", X((4,)))
call("diag", X((3,)))
call("diag", X((3, 4)), 1)
call("diagonal", X((3, 4)))
call("diagonal", X((2, 3, 4)), -1, 0, 2)
call("diag_embed", X((2, 3)))
call("diag_embed", X((2, 3)), 1, 0, 2)
call("diagflat", X((2, 2)), 1)
call("block_diag", X((2, 3)), X((1, 2)), method=False, keywords=False)
call("meshgrid", X((2,)), X((3,)), indexing="ij", method=False, keywords=False)
call("meshgrid", X((2,)), X((3,)), indexing="xy", method=False, keywords=False)
call("cartesian_prod", X((2,)), X((3,)), method=False, keywords=False)
call("combinations", X((4,)), 2)
call("combinations", X((4,)), 2, True)
call("take", X((2, 3)), X((4,), "index:6"))
call("take_along_dim", X((2, 3)), X((2, 1), "index:3"), 1)
call("result_type", X((2, 3)), X((2,), "index:3"), method=False, keywords=False)
call("is_floating_point is_tensor numel", X((2, 3)), grad=False, method=False, keywords=False)

# -- positions -------------------------------------------------------------------------------------------------
call("gather", X((2, 3)), 1, X((2, 4), "index:3"))
call("gather", X((2, 3)), 0, X((1, 2), "index:2"))
call(
    "gather", X((2, 3)), 0, X((1, 2), "index:9"), prepare=lambda m, t: t + 2 if t.dtype == m.int64 else t, dtypes=FLOATS
)
DISTINCT = X((3, 2), "index:1")
call("scatter", X((2, 3)), 0, X((1, 3), "index:2"), X((1, 3)))
call("scatter", X((2, 3)), 1, X((2, 1), "index:3"), value=1)
call("scatter", X((2, 3)), 1, X((2, 4), "index:3"), X((2, 4)), reduce="add")
call("scatter_add", X((2, 3)), 1, X((2, 5), "index:3"), X((2, 5)))
for reduce in ("sum", "prod", "mean", "amax", "amin"):
    call("scatter_reduce", X((2, 3)), 1, X((2, 5), "index:3"), X((2, 5)), reduce, second=reduce in ("sum", "mean"))
    call("scatter_reduce", X((2, 3)), 1, X((2, 5), "index:3"), X((2, 5)), reduce, include_self=False,
         second=reduce in ("sum", "mean"))  # fmt: skip
call("index_select", X((2, 3)), 1, X((4,), "index:3"))
call("index_add", X((2, 3)), 1, X((4,), "index:3"), X((2, 4)))
call("index_add", X((2, 3)), 1, X((4,), "index:3"), X((2, 4)), alpha=2)
call("index_copy", X((2, 3)), 1, X((1,), "index:3"), X((2, 1)))
call("index_fill", X((2, 3)), 1, X((2,), "index:3"), 1)
call("index_put", X((2, 3)), (X((1,), "index:2"), X((1,), "index:3")), X((1,)))
call("index_put", X((2, 3)), (X((4,), "index:2"), X((4,), "index:3")), X((4,)), True)
call("masked_fill", X((2, 3)), X((2, 3), "mask"), 1)
call("masked_fill", X((2, 3)), X((3,), "mask"), float("-inf"), dtypes=FLOATS)
call("masked_select", X((2, 3)), X((3,), "mask"))
call("masked_scatter", X((2, 3)), X((2, 3), "mask"), X((6,)))
call("nonzero argwhere", X((2, 3)), grad=False)
call("nonzero", X((2, 3)), as_tuple=True, grad=False)
call("nonzero", X(()), grad=False)

# -- made from nothing -----------------------------------------------------------------------------------------
made: dict[str, Any] = {"method": False, "grad": False, "keywords": False, "dtypes": ("float32",)}
call("zeros ones", 2, 3, **made)
call("zeros ones", (2, 3), dtype="dtype:int64", **made)
call("full", (2, 3), 7, **made)
call("full", (2, 3), 0.5, **made)
call("full", (2,), True, **made)
call("zeros_like ones_like", X((2, 3)), method=False, grad=False)
call("full_like", X((2, 3)), 1, method=False, grad=False)
call("eye", 3, **made)
call("eye", 2, 4, dtype="dtype:float64", **made)
call("arange", 5, **made)
call("arange", 1, 2.5, 0.5, **made)
call("arange", 5, 0, -2, **made)
call("arange", 0, 5, -1, **made)
call("arange", start=2, end=5, **made)
call("linspace", 0, 1, 5, **made)
call("linspace", 0, 1, steps=1, **made)
call("logspace", 0, 2, 3, **made)
call("tril_indices triu_indices", 3, 4, 1, **made)
call("tensor as_tensor", [[1, 2], [3, 4]], **made)
call("tensor", [[1.0, 2], [3, 4]], dtype="dtype:float64", **made)
call("tensor", [True, False], **made)
call("tensor", [], **made)
call("broadcast_shapes", (2, 1), (3,), **made)
call("promote_types", "dtype:int64", "dtype:float32", **made)
call("FloatTensor LongTensor DoubleTensor IntTensor ShortTensor CharTensor ByteTensor BoolTensor", [1, 0, 1], **made)

# -- methods that are no functions -----------------------------------------------------------------------------
call("Tensor.view", X((2, 3, 4)), 4, -1, keywords=False, layout=False)
call("Tensor.view", X((2, 3, 4)), (6, 4), keywords=False, layout=False)
call("Tensor.view", X((2, 3)), 4, keywords=False)
call("Tensor.view_as Tensor.reshape_as", X((2, 6)), X((3, 4)), keywords=False, layout=False)
call("Tensor.expand", X((2, 1)), 2, 3, keywords=False)
call("Tensor.expand", X((2, 1)), (4, -1, 3), keywords=False)
call("Tensor.expand", X((2, 1)), 3, 3, keywords=False)
call("Tensor.expand_as", X((2, 1)), X((4, 2, 3)), keywords=False)
call("Tensor.repeat", X((2, 3)), 2, 1, 2, keywords=False)
call("Tensor.repeat", X((2, 3)), 2, keywords=False)
call("Tensor.unfold", X((2, 7)), 1, 3, 2, keywords=False)
call("Tensor.sum_to_size", X((2, 3)), 2, 1, keywords=False)
call("Tensor.t Tensor.contiguous Tensor.detach Tensor.cpu Tensor.sgn t", X((2, 3)), keywords=False)
call("Tensor.t", X((2, 3, 4)), keywords=False)
call("Tensor.t_ Tensor.squeeze_ Tensor.detach_ Tensor.zero_", X((2, 3)), keywords=False, grad=False)
call("Tensor.bool Tensor.byte Tensor.char Tensor.short Tensor.int Tensor.long Tensor.half Tensor.float Tensor.double",
     X((2, 3), "positive"), keywords=False, dtypes=("float64", "int64", "bool"), second=False)  # fmt: skip
call("Tensor.to Tensor.type", X((2, 3)), "dtype:float64", keywords=False)
call("Tensor.to Tensor.type_as Tensor.copy_", X((2, 3)), X((4,)), keywords=False, grad=False)
call("Tensor.fill_", X((2, 3)), 2, keywords=False, grad=False)
call("Tensor.dim Tensor.numel Tensor.nelement Tensor.element_size Tensor.size Tensor.stride Tensor.tolist "
     "Tensor.storage_offset Tensor.get_device Tensor.is_complex Tensor.is_contiguous Tensor.is_pinned Tensor.type",
     X((2, 3)), keywords=False, grad=False, layout=False)  # fmt: skip
call("Tensor.item", X(()), keywords=False, grad=False)
call("Tensor.item", X((2, 3)), keywords=False, grad=False)
call("Tensor.size Tensor.stride", X((2, 3)), -1, keywords=False, grad=False, layout=False)
call("Tensor.is_same_size", X((2, 3)), X((2, 3)), keywords=False, grad=False)
call("Tensor.new_zeros Tensor.new_ones", X((2, 3)), (2, 2), keywords=False, grad=False)
call("Tensor.new_zeros Tensor.new_ones", X((2, 3)), 2, 2, keywords=False, grad=False)
call("Tensor.new_full", X((2, 3)), (2, 2), 1, keywords=False, grad=False)
call("Tensor.new_tensor", X((2, 3)), [1, 0], keywords=False, grad=False)
call("Tensor.numpy", X((2, 3)), keywords=False, grad=False)
for name in ("shape", "dtype", "ndim", "device", "is_leaf", "is_cuda", "itemsize", "nbytes", "requires_grad", "T", "mT",
             "H", "mH", "data", "grad", "grad_fn"):  # fmt: skip
    call("getattr", X((2, 3)), name, method=False, keywords=False, grad=name in ("T", "mT", "H", "mH"), layout=False)
