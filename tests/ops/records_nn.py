"""Records (see `records.py`) of what layers are made of: convolutions, pools, norms, padding, activations, losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from records import Record, away, is_random, normal, positive

import tinygrad_edu as tg
from tinygrad_edu.nn import functional as F


def same(name: str, samples: list[Any], *args: Any, suffix: str = "", **options: Any) -> Record:
    """A function that both libraries have under one name, with the same further arguments; arrays become tensors."""

    def call(functional: Any, tensor: Any, inputs: Any) -> Any:
        def like(value: Any) -> Any:
            if not isinstance(value, np.ndarray):
                return value
            made = tensor(value)
            return made.to(inputs[0].dtype) if value.dtype.kind == "f" else made

        arguments = [like(value) for value in args]
        return getattr(functional, name)(*inputs, *arguments, **{k: like(v) for k, v in options.items()})

    return Record(
        name + suffix,
        lambda *inputs: call(F, tg.tensor, inputs),
        lambda torch, *inputs: call(torch.nn.functional, torch.tensor, inputs),
        [(sample,) if is_random(sample) else sample for sample in samples],
    )


def conv(d: int, samples: list[tuple[tuple[int, ...], tuple[int, ...]]], *args: Any, suffix: str = "") -> Record:
    """A convolution with bias."""
    shapes = [(normal(*x), normal(*w), normal(w[0])) for x, w in samples]
    return same(f"conv{d}d", shapes, *args, suffix=suffix)


def up(d: int, x: tuple[int, ...], w: tuple[int, ...], *args: Any, groups: int = 1, suffix: str = "") -> Record:
    """A transposed convolution with bias."""
    sample = (normal(*x), normal(*w), normal(w[1] * groups))
    return same(f"conv_transpose{d}d", [sample], *args, suffix=suffix)


IMAGE = normal(1, 2, 3, 4)
LABELS = np.array([0, 2, 1, 2])
STATISTICS = np.array([0.3, -0.2]), np.array([0.8, 1.7])
SIGNS = np.array([[1, -1, 1], [-1, -1, 1]])
ROWS = np.array([[1, 3, 1], [0, 3, 2]])
WEIGHT = np.array([0.7, 1.1, 0.4])

CONVOLUTIONS = [
    conv(1, [((2, 2, 7), (3, 2, 3)), ((2, 5), (1, 2, 2)), ((0, 2, 5), (3, 2, 2))]),
    conv(1, [((1, 4, 7), (2, 2, 3))], 2, 1, 2, 2, suffix="_options"),
    conv(2, [((2, 2, 3, 4), (2, 2, 2, 3)), ((2, 4, 4), (1, 2, 3, 1))]),
    conv(2, [((1, 2, 4, 5), (2, 1, 2, 2))], (2, 1), (1, 2), (1, 2), 2, suffix="_depthwise"),
    conv(2, [((1, 2, 4, 5), (2, 2, 1, 3))], 1, "same", 2, suffix="_same"),
    conv(3, [((1, 1, 2, 3, 2), (2, 1, 2, 3, 2))], 1, (0, 1, 0)),
    same("conv2d", [(normal(1, 2, 3, 4), normal(2, 2, 2, 2))], None, 2, "valid", suffix="_plain"),
    up(1, (2, 3, 4), (3, 2, 3)),
    up(2, (1, 2, 3, 2), (2, 3, 3, 2), (2, 1), 1, (1, 0)),
    up(2, (1, 4, 2, 3), (4, 1, 2, 2), 2, 0, 0, 2, groups=2, suffix="_groups"),
    up(2, (1, 2, 3, 2), (2, 1, 2, 2), 1, (1, 0), (2, 1), 1, 3, suffix="_dilated"),
    up(3, (1, 2, 2, 2, 2), (2, 1, 2, 2, 2), 2),
    same("unfold", [IMAGE, normal(2, 4, 4)], (2, 3), 1, (1, 0), 2),
    same("fold", [normal(2, 12, 4), normal(6, 4)], (3, 4), (2, 3), 1, (0, 1), (1, 2)),
]

POOLS = [
    same("max_pool1d", [normal(2, 2, 7), normal(2, 6)], 3, 2, 1),
    same("max_pool2d", [IMAGE, normal(2, 4, 5), normal(0, 2, 4, 4)], 2),
    same("max_pool2d", [IMAGE], (2, 3), (1, 2), (1, 0), 1, True, suffix="_options"),
    same("max_pool3d", [normal(1, 2, 4, 3, 4)], 2, 2, 1),
    same("avg_pool1d", [normal(2, 2, 7)], 3, 2, 1),
    same("avg_pool2d", [IMAGE, normal(2, 4, 5)], 2),
    same("avg_pool2d", [IMAGE], 3, 2, 1, True, False, suffix="_options"),
    same("avg_pool2d", [IMAGE], 2, 1, 0, False, True, 3, suffix="_divisor"),
    same("avg_pool3d", [normal(1, 2, 3, 4, 3)], 2, 1),
    same("adaptive_avg_pool1d", [normal(2, 2, 7)], 3),
    same("adaptive_avg_pool2d", [normal(1, 2, 5, 6), normal(2, 4, 4)], (2, 3)),
    same("adaptive_max_pool1d", [normal(2, 2, 7)], 3),
    same("adaptive_max_pool2d", [normal(1, 2, 5, 6)], (2, 4)),
    same("lp_pool1d", [positive(2, 2, 6)], 3, 2),
    same("lp_pool2d", [positive(1, 2, 4, 4)], 2, 2),
    Record("max_unpool2d", lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2),
           lambda torch, x: torch.nn.functional.max_unpool2d(
               *torch.nn.functional.max_pool2d(x, 2, return_indices=True), 2), [(normal(1, 2, 4, 4),)]),
    Record("max_unpool1d", lambda x: F.max_unpool1d(*F.max_pool1d(x, 2, 3, return_indices=True), 2, 3),
           lambda torch, x: torch.nn.functional.max_unpool1d(
               *torch.nn.functional.max_pool1d(x, 2, 3, return_indices=True), 2, 3), [(normal(2, 2, 8),)]),
]  # fmt: skip

NORMS = [
    Record("layer_norm", lambda x, w, b: F.layer_norm(x, (3, 4), w, b),
           lambda torch, x, w, b: torch.nn.functional.layer_norm(x, (3, 4), w, b),
           [(normal(2, 3, 4), normal(3, 4), normal(3, 4)), (normal(3, 4), normal(3, 4), normal(3, 4)),
            (normal(0, 3, 4), normal(3, 4), normal(3, 4))]),
    Record("layer_norm_plain", lambda x: F.layer_norm(x, (5,)),
           lambda torch, x: torch.nn.functional.layer_norm(x, (5,)), [(normal(2, 3, 5),)]),
    Record("layer_norm_bias", lambda x, b: F.layer_norm(x, (5,), None, b),
           lambda torch, x, b: torch.nn.functional.layer_norm(x, (5,), None, b), [(normal(3, 5), normal(5))]),
    Record("rms_norm", lambda x, w: F.rms_norm(x, (4,), w, 1e-3),
           lambda torch, x, w: torch.nn.functional.rms_norm(x, (4,), w, 1e-3),
           [(normal(2, 3, 4), normal(4)), (normal(0, 4), normal(4))]),
    Record("batch_norm", lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
           lambda torch, x, w, b: torch.nn.functional.batch_norm(x, None, None, w, b, True),
           [(normal(3, 2, 4), normal(2), normal(2)), (normal(5, 3), normal(3), normal(3)),
            (normal(2, 2, 2, 3), normal(2), normal(2))]),
    Record("batch_norm_eval", lambda x, w, b: F.batch_norm(x, *[tg.tensor(v).to(x.dtype) for v in STATISTICS], w, b),
           lambda torch, x, w, b: torch.nn.functional.batch_norm(
               x, *[torch.tensor(v).to(x.dtype) for v in STATISTICS], w, b),
           [(normal(3, 2, 4), normal(2), normal(2)), (normal(3, 2), normal(2), normal(2))]),
    Record("group_norm", lambda x, w, b: F.group_norm(x, 2, w, b),
           lambda torch, x, w, b: torch.nn.functional.group_norm(x, 2, w, b),
           [(normal(2, 4, 3), normal(4), normal(4)), (normal(2, 4, 2, 2), normal(4), normal(4))]),
    Record("instance_norm", lambda x, w, b: F.instance_norm(x, None, None, w, b),
           lambda torch, x, w, b: torch.nn.functional.instance_norm(x, None, None, w, b),
           [(normal(2, 3, 4), normal(3), normal(3))]),
    same("local_response_norm", [normal(2, 5, 3), normal(1, 4, 2, 2)], 3, 0.1),
    same("normalize", [normal(3, 4)]),
    same("cosine_similarity", [(normal(3, 4), normal(3, 4)), (normal(2, 3, 2), normal(2, 3, 2))]),
    same("pairwise_distance", [(normal(3, 4), normal(3, 4))]),
    same("pairwise_distance", [(normal(3, 4), normal(3, 4))], 1.0, 1e-6, True, suffix="_1"),
    Record("embedding", lambda w: F.embedding(tg.tensor(ROWS), w),
           lambda torch, w: torch.nn.functional.embedding(torch.tensor(ROWS), w), [(normal(5, 3),)]),
    same("bilinear", [(normal(2, 2), normal(2, 3), normal(2, 2, 3), normal(2)),
                      (normal(1, 2, 2), normal(1, 2, 3), normal(2, 2, 3), normal(2))]),
]  # fmt: skip

SHAPES = [
    same("pad", [normal(2, 3), normal(2, 3, 4)], (1, 2, 0, 3), value=1.5),
    same("pad", [normal(3, 4)], (-1, 2), suffix="_crop"),
    same("pad", [IMAGE], (2, 1, 1, 2), "reflect", suffix="_reflect"),
    same("pad", [IMAGE], (2, 6, 0, 3), "replicate", suffix="_replicate"),
    same("pad", [normal(2, 2, 4)], (2, 4), "circular", suffix="_circular"),
    same("interpolate", [normal(1, 2, 3), normal(2, 1, 3, 4)], scale_factor=2),
    same("interpolate", [normal(1, 2, 5, 4)], (3, 7), mode="nearest-exact", suffix="_exact"),
    same("interpolate", [normal(1, 2, 5)], 8, mode="linear", suffix="_linear"),
    same("interpolate", [IMAGE], (7, 3), mode="bilinear", suffix="_bilinear"),
    same("interpolate", [IMAGE], scale_factor=(1.7, 0.6), mode="bilinear", align_corners=True, suffix="_aligned"),
    same("interpolate", [IMAGE], scale_factor=1.6, mode="bilinear", suffix="_factor"),
    same("interpolate", [IMAGE], (6, 3), mode="bicubic", suffix="_bicubic"),
    same("interpolate", [IMAGE], (5, 2), mode="bicubic", align_corners=True, suffix="_bicubic_aligned"),
    same("interpolate", [normal(1, 1, 3, 2, 3)], (2, 3, 4), mode="trilinear", suffix="_trilinear"),
    same("interpolate", [IMAGE], (3, 2), mode="area", suffix="_area"),
    same("pixel_shuffle", [normal(2, 8, 2, 3), normal(4, 2, 1)], 2),
    same("pixel_unshuffle", [normal(2, 2, 4, 6)], 2),
]

ACTIVATIONS = [
    same("hardtanh", [normal(3, 4)], -0.5, 0.8),
    same("relu6", [away(3, 4)]),
    # PyTorch's own derivative multiplies by a float32 of 1/6, in float64 too
    Record("hardsigmoid", F.hardsigmoid, lambda torch, x: torch.nn.functional.relu6(x + 3) / 6, [(normal(3, 4),)]),
    same("hardswish", [normal(3, 4)]),
    same("celu", [away(3, 4)], 0.5),
    same("selu", [away(3, 4)]),
    same("mish", [normal(3, 4)]),
    same("softsign", [away(3, 4)]),
    same("logsigmoid", [normal(3, 4)]),
    same("prelu", [(away(2, 3), normal(1)), (away(2, 3, 2), normal(3)), (away(4), normal(1))]),
    same("threshold", [normal(3, 4)], 0.1, -2.0),
    same("tanhshrink", [normal(3, 4)]),
    same("softshrink", [normal(3, 4)], 0.3),
    same("hardshrink", [normal(3, 4)], 0.3),
    same("glu", [normal(3, 4)]),
    same("glu", [normal(4, 3)], 0, suffix="_0"),
    same("softmin", [normal(3, 4)], 1),
]


def pairs(name: str, *args: Any, suffix: str = "", **options: Any) -> Record:
    return same(name, [(away(2, 3), normal(2, 3))], *args, suffix=suffix, **options)


LOSSES = [
    pairs("l1_loss"),
    pairs("huber_loss", delta=0.4),
    pairs("smooth_l1_loss", beta=0.3, reduction="sum"),
    pairs("mse_loss", weight=SIGNS * 0.5 + 1.0, suffix="_weighted"),
    pairs("l1_loss", weight=SIGNS * 0.5 + 1.0, suffix="_weighted"),
    same("kl_div", [(normal(2, 3), positive(2, 3))], reduction="batchmean"),
    same("kl_div", [(normal(2, 3), normal(2, 3))], log_target=True, reduction="sum", suffix="_log"),
    same("poisson_nll_loss", [(normal(2, 3), positive(2, 3))]),
    same("poisson_nll_loss", [(positive(2, 3), positive(2, 3))], False, True, reduction="sum", suffix="_full"),
    same("gaussian_nll_loss", [(normal(2, 3), normal(2, 3), positive(2, 3)), (normal(2, 3), normal(2, 3), positive(2))],
         True),
    same("hinge_embedding_loss", [normal(2, 3)], SIGNS, 0.7),
    same("margin_ranking_loss", [(normal(2, 3), normal(2, 3))], SIGNS, 0.3),
    same("cosine_embedding_loss", [(normal(4, 3), normal(4, 3))], np.array([1, -1, -1, 1]), -0.2),
    same("triplet_margin_loss", [(normal(4, 3), normal(4, 3), normal(4, 3))]),
    same("triplet_margin_loss", [(normal(4, 3), normal(4, 3), normal(4, 3))], 2.0, swap=True, suffix="_swap"),
    same("multi_margin_loss", [normal(4, 3)], LABELS, 1, 0.8, WEIGHT),
    same("multi_margin_loss", [normal(4, 3)], LABELS, 2, reduction="none", suffix="_2"),
    same("soft_margin_loss", [normal(2, 3)], SIGNS),
    same("multilabel_soft_margin_loss", [normal(2, 3)], (SIGNS + 1.0) / 2, WEIGHT),
    same("nll_loss", [normal(4, 3)], LABELS, WEIGHT, ignore_index=1),
    same("binary_cross_entropy_with_logits", [(normal(2, 3), positive(2, 3))], WEIGHT, pos_weight=WEIGHT + 1),
]  # fmt: skip

RECORDS = [*CONVOLUTIONS, *POOLS, *NORMS, *SHAPES, *ACTIVATIONS, *LOSSES]
