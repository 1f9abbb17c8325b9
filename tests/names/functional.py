"""One line for every function of nn.functional; see `harness`."""

from __future__ import annotations

from harness import FLOATS, Call, X
from operators import CALLS as OPERATORS
from operators import call

START = len(OPERATORS)
ROWS, IMAGE = X((2, 3)), X((2, 4, 6, 6), "distinct")
f: dict[str, object] = {"dtypes": FLOATS, "method": False}

# -- activations -----------------------------------------------------------------------------------------------
call("F.relu F.relu6 F.elu F.selu F.celu F.gelu F.silu F.mish F.softplus F.softsign F.tanhshrink F.hardsigmoid "
     "F.hardswish F.hardtanh F.hardshrink F.softshrink F.logsigmoid F.sigmoid F.tanh F.leaky_relu", X(kind="away"),
     shapes=((2, 3), (), (0, 3)), **f)  # fmt: skip
call("F.gelu", ROWS, approximate="tanh", **f)
call("F.leaky_relu", X((2, 3), "away"), 0.2, **f)
call("F.elu F.celu", X((2, 3), "away"), 0.7, **f)
call("F.hardtanh", X((2, 3), "away"), -0.4, 0.6, **f)
call("F.threshold", X((2, 3), "away"), 0.1, 20.0, **f)
call("F.softplus", X((2, 3)), 2, 1, **f)
call("F.prelu", X((2, 3, 4), "away"), X((3,)), **f)
call("F.prelu", X((2, 3), "away"), X((1,)), **f)
call("F.glu", X((2, 6)), **f)
call("F.glu", X((4, 3)), 0, **f)
call("F.softmax F.log_softmax F.softmin", X((2, 3, 4)), 1, **f)
call("F.softmax F.log_softmax F.softmin", X((2, 3, 4)), dim=-1, dtype="dtype:float64", **f)
call("F.normalize", X((2, 3)), **f)
call("F.normalize", X((2, 3)), 1.0, 0, **f)

# -- linear, embedding, distances ------------------------------------------------------------------------------
call("F.linear", X((2, 3)), X((4, 3)), X((4,)), **f)
call("F.linear", X((2, 5, 3)), X((4, 3)), **f)
call("F.linear", X((2, 3)), X((4, 5)), **f)
call("F.bilinear", X((2, 3)), X((2, 4)), X((5, 3, 4)), X((5,)), **f)
call("F.embedding", X((2, 3), "index:5"), X((5, 4)), **f)
call("F.embedding", X((2, 3), "index:5"), X((5, 4)), padding_idx=1, **f)
call("F.one_hot", X((2, 3), "index:5"), grad=False, dtypes=("int64",), method=False)
call("F.one_hot", X((2, 3), "index:5"), 7, grad=False, dtypes=("int64",), method=False)
call("F.cosine_similarity F.pairwise_distance", X((2, 3)), X((2, 3)), keywords=False, **f)
call("F.cosine_similarity", X((2, 3)), X((2, 3)), dim=0, **f)

# -- convolution, pooling, padding, resampling -----------------------------------------------------------------
for n in (1, 2, 3):
    image = X((2, 4, *(6, 5, 4)[:n]), "distinct")
    call(f"F.conv{n}d", image, X((6, 4, *(3,) * n)), X((6,)), **f)
    call(f"F.conv{n}d", image, X((6, 2, *(2,) * n)), None, 2, 1, 2, 2, **f)
    call(f"F.conv_transpose{n}d", image, X((4, 3, *(3,) * n)), X((3,)), **f)
    call(f"F.conv_transpose{n}d", image, X((4, 2, *(3,) * n)), None, 2, 1, 1, 2, 1, **f)
    call(f"F.max_pool{n}d F.avg_pool{n}d", image, 2, **f)
    call(f"F.max_pool{n}d", image, 3, 2, 1, 1, True, **f)
    call(f"F.avg_pool{n}d", image, 3, 2, 1, True, False, **f)
    call(f"F.lp_pool{n}d", X((2, 4, *(6, 5, 4)[:n]), "positive"), 2, 2, **f)
    call(f"F.adaptive_avg_pool{n}d F.adaptive_max_pool{n}d", image, 3, **f)
    call(f"F.max_pool{n}d", image, 2, return_indices=True, **f)
    call(f"F.max_unpool{n}d", X((1, 2, *(2,) * n)), X((1, 1, *(1,) * n), "index:1"), 2, keywords=False, **f)
    pads = (1, 2) * n
    for mode in ("reflect", "replicate", "circular"):
        call("F.pad", image, pads, mode, **f)
call("F.conv2d", IMAGE, X((4, 1, 3, 3)), None, 1, "same", 1, 4, **f)
call("F.conv2d", IMAGE, X((6, 5, 3, 3)), **f)
call("F.pad", X((2, 3)), (1, -1, 0, 2), "constant", 0.5, **f)
call("F.unfold", IMAGE, 3, 1, 1, 2, **f)
call("F.fold", X((2, 12, 9)), (4, 4), 2, **f)
call("F.interpolate F.upsample", IMAGE, scale_factor=2, **f)
call("F.interpolate", IMAGE, (9, 4), mode="bilinear", align_corners=True, **f)
call("F.interpolate", IMAGE, (3, 11), mode="bilinear", **f)
call("F.interpolate", IMAGE, (3, 11), mode="nearest-exact", **f)
call("F.pixel_shuffle", X((2, 8, 3, 3)), 2, **f)
call("F.pixel_unshuffle", X((2, 2, 4, 4)), 2, **f)
call("F.channel_shuffle", IMAGE, 2, **f)

# -- normalisation ---------------------------------------------------------------------------------------------
call("F.batch_norm", IMAGE, X((4,)), X((4,), "positive"), X((4,)), X((4,)), grad=False, **f)
call("F.batch_norm", IMAGE, None, None, X((4,)), X((4,)), True, **f)
call("F.instance_norm", IMAGE, weight=X((4,)), bias=X((4,)), **f)
call("F.group_norm", IMAGE, 2, X((4,)), X((4,)), **f)
call("F.layer_norm", X((2, 3, 4)), (4,), X((4,)), X((4,)), **f)
call("F.layer_norm", X((2, 3, 4)), (3, 4), **f)
call("F.layer_norm", X((2, 3, 4)), (3,), **f)
call("F.rms_norm", X((2, 3, 4)), (4,), X((4,)), **f)
call("F.local_response_norm", IMAGE, 3, **f)

# -- losses ----------------------------------------------------------------------------------------------------
for reduction in ("mean", "sum", "none"):
    call("F.mse_loss F.l1_loss F.smooth_l1_loss F.huber_loss", X((2, 3)), X((2, 3)), reduction=reduction, **f)
    call("F.poisson_nll_loss", X((2, 3)), X((2, 3)), reduction=reduction, **f)
    call("F.kl_div", X((2, 3)), X((2, 3), "probability"), reduction=reduction, **f)
    call("F.binary_cross_entropy", X((2, 3), "probability"), X((2, 3), "probability"), reduction=reduction, **f)
    call("F.binary_cross_entropy_with_logits", X((2, 3)), X((2, 3), "probability"), reduction=reduction, **f)
    call("F.cross_entropy F.nll_loss F.multi_margin_loss", X((4, 5)), X((4,), "index:5"), reduction=reduction, **f)
    call("F.multilabel_soft_margin_loss", X((2, 3)), X((2, 3), "probability"), reduction=reduction, **f)
    call("F.gaussian_nll_loss", X((2, 3)), X((2, 3)), X((2, 3), "positive"), reduction=reduction, **f)
    call("F.triplet_margin_loss", X((2, 3)), X((2, 3)), X((2, 3)), reduction=reduction, **f)
    call("F.soft_margin_loss", X((2, 3)), X((2, 3), "sign", False), reduction=reduction, **f)
call("F.smooth_l1_loss", X((2, 3)), X((2, 3)), beta=0.5, **f)
call("F.huber_loss", X((2, 3)), X((2, 3)), delta=0.5, **f)
call("F.kl_div", X((2, 3)), X((2, 3)), reduction="batchmean", log_target=True, **f)
call("F.cross_entropy", X((4, 5)), X((4,), "index:5"), weight=X((5,), "positive", grad=False), label_smoothing=0.1, **f)
call("F.cross_entropy", X((4, 5)), X((4,), "index:5"), ignore_index=2, **f)
call("F.cross_entropy", X((4, 5)), X((4, 5), "probability"), **f)
call("F.cross_entropy", X((2, 5, 3)), X((2, 3), "index:5"), **f)
call("F.nll_loss", X((2, 5, 3)), X((2, 3), "index:5"), weight=X((5,), "positive", grad=False), ignore_index=1, **f)
call("F.binary_cross_entropy_with_logits", X((2, 3)), X((2, 3), "probability"),
     X((3,), "positive", False), pos_weight=X((3,), "positive", False), **f)  # fmt: skip
call("F.binary_cross_entropy", X((2, 3), "probability"), X((2, 3), "probability"), X((3,), "positive", False), **f)
call("F.binary_cross_entropy", X((2, 3)), X((2, 3)), **f)
call("F.cosine_embedding_loss", X((2, 3)), X((2, 3)), X((2,), "sign"), 0.1, **f)
call("F.margin_ranking_loss", X((4,)), X((4,)), X((4,), "sign"), 0.1, **f)
call("F.hinge_embedding_loss", X((2, 3)), X((2, 3), "sign"), **f)
call("F.multilabel_margin_loss", X((2, 3)), X((2, 3), "index:3"), **f)
call("F.triplet_margin_with_distance_loss", X((2, 3)), X((2, 3)), X((2, 3)), **f)
call("F.mse_loss", X((2, 3)), X((2, 4)), **f)
call("F.cross_entropy", X((4, 5)), X((3,), "index:5"), **f)

# -- attention -------------------------------------------------------------------------------------------------
call("F.scaled_dot_product_attention", X((2, 2, 3, 4)), X((2, 2, 5, 4)), X((2, 2, 5, 6)), **f)
call("F.scaled_dot_product_attention", X((2, 3, 4)), X((2, 3, 4)), X((2, 3, 4)), is_causal=True, **f)
call("F.scaled_dot_product_attention", X((2, 3, 4)), X((2, 5, 4)), X((2, 5, 4)), X((3, 5), "mask"), scale=0.3, **f)

# random, or tested by what they do: tests/nn
ELSEWHERE = {"F.dropout", "F.dropout1d", "F.dropout2d", "F.dropout3d", "F.alpha_dropout", "F.gumbel_softmax",
             "F.multi_head_attention_forward", "F.affine_grid", "F.grid_sample", "F.ctc_loss", "F.embedding_bag",
             "F.rrelu", "F.celu_", "F.elu_", "F.hardtanh_", "F.leaky_relu_", "F.relu_", "F.rrelu_", "F.selu_",
             "F.threshold_"}  # fmt: skip
CALLS: list[Call] = OPERATORS[START:]
del OPERATORS[START:]
