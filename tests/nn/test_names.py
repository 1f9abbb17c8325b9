"""The names of `nn`, and what their constructors and functions take: PyTorch's, in order, with the same defaults."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

#: What programs use; PyTorch's other names are welcome, these must be there.
MODULES = """
    BCELoss BCEWithLogitsLoss BatchNorm1d BatchNorm2d BatchNorm3d Bilinear Buffer CELU ChannelShuffle Conv1d Conv2d
    Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d CosineEmbeddingLoss CosineSimilarity CrossEntropyLoss
    DataParallel Dropout Dropout1d Dropout2d Dropout3d ELU Embedding Flatten Fold GELU GLU GRU GRUCell
    GaussianNLLLoss GroupNorm Hardshrink Hardsigmoid Hardswish Hardtanh HingeEmbeddingLoss HuberLoss Identity
    InstanceNorm1d InstanceNorm2d InstanceNorm3d KLDivLoss L1Loss LSTM LSTMCell LayerNorm LeakyReLU Linear
    LocalResponseNorm LogSigmoid LogSoftmax MSELoss MarginRankingLoss MaxPool1d MaxPool2d MaxPool3d MaxUnpool2d Mish
    Module ModuleDict ModuleList MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss MultiheadAttention
    NLLLoss PReLU PairwiseDistance Parameter ParameterDict ParameterList PixelShuffle PixelUnshuffle PoissonNLLLoss
    RMSNorm RNN RNNBase RNNCell ReLU ReLU6 ReflectionPad1d ReflectionPad2d ReplicationPad2d SELU Sequential SiLU
    Sigmoid SmoothL1Loss SoftMarginLoss Softmax Softmax2d Softmin Softplus Softshrink Softsign Tanh Tanhshrink
    Threshold Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer
    TripletMarginLoss Unflatten Unfold Upsample ZeroPad2d
"""
FUNCTIONS = """
    adaptive_avg_pool2d avg_pool2d avg_pool3d batch_norm binary_cross_entropy binary_cross_entropy_with_logits celu
    conv1d conv2d conv3d conv_transpose2d conv_transpose3d cosine_similarity cross_entropy dropout elu embedding
    gelu glu group_norm gumbel_softmax hardsigmoid hardswish hardtanh instance_norm interpolate kl_div l1_loss
    layer_norm leaky_relu linear log_softmax logsigmoid max_pool2d max_unpool2d mish mse_loss
    multi_head_attention_forward nll_loss normalize one_hot pad pixel_shuffle prelu relu relu6 rms_norm
    scaled_dot_product_attention selu sigmoid silu smooth_l1_loss softmax softmin softplus softsign tanh
    triplet_margin_loss unfold upsample
"""
INIT = """
    calculate_gain constant_ dirac_ eye_ kaiming_normal_ kaiming_uniform_ normal_ ones_ orthogonal_ sparse_
    trunc_normal_ uniform_ xavier_normal_ xavier_uniform_ zeros_
"""
UTILS = """
    clip_grad_norm_ clip_grad_value_ clip_grads_with_norm_ get_total_norm parameters_to_vector remove_spectral_norm
    remove_weight_norm spectral_norm vector_to_parameters weight_norm
"""
TOP = """
    adaptive_avg_pool1d avg_pool1d bilinear celu celu_ channel_shuffle conv1d conv2d conv3d conv_transpose1d
    conv_transpose2d conv_transpose3d cosine_embedding_loss cosine_similarity group_norm hinge_embedding_loss
    layer_norm max_pool1d max_pool2d max_pool3d pairwise_distance pixel_shuffle pixel_unshuffle prelu relu_ rms_norm
    rrelu selu selu_ threshold triplet_margin_loss
"""
RNN = (
    "PackedSequence pack_padded_sequence pack_sequence pad_packed_sequence pad_sequence unpack_sequence unpad_sequence"
)

#: Arguments of our own, by keyword only, at the end.
EXTRA = {"generator", "batch_first"}
#: PyTorch's `Module(*args, **kwargs)` and its like say nothing; `out=` has no use where results are new.
OURS_ALONE = {"out"}


def taken(thing: Any) -> list[tuple[Any, ...]] | None:
    """(name, kind, default) of all arguments; None if the signature says nothing."""
    try:
        parameters = list(inspect.signature(thing.__init__ if inspect.isclass(thing) else thing).parameters.values())
    except (TypeError, ValueError):
        return None
    parameters = [p for p in parameters if p.name not in ("self", *OURS_ALONE)]
    if {p.kind for p in parameters} == {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return None
    return [(p.name, p.kind.name, getattr(p.default, "__name__", repr(p.default))) for p in parameters]


def test_every_name_is_there() -> None:
    for home, names in ((nn, MODULES), (nn.functional, FUNCTIONS), (nn.init, INIT), (nn.utils, UTILS)):
        assert [name for name in names.split() if not hasattr(home, name)] == []
    assert [name for name in RNN.split() if not hasattr(nn.utils.rnn, name)] == []


def test_functions_that_pytorch_has_on_its_top_level_too() -> None:
    torch = pytest.importorskip("torch")
    for name in TOP.split():
        assert getattr(tg, name) is getattr(nn.functional, name)
        assert hasattr(torch, name)


@pytest.mark.parametrize("path", ["nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn", "optim"])
def test_arguments_have_the_names_order_and_defaults_of_pytorch(path: str) -> None:
    theirs: Any = pytest.importorskip("torch")
    ours: Any = tg
    for part in path.split("."):
        ours, theirs = getattr(ours, part), getattr(theirs, part)
    compared, wrong = 0, {}
    for name in dir(ours):
        if name.startswith("_") or not hasattr(theirs, name) or not callable(getattr(ours, name)):
            continue
        mine, others = taken(getattr(ours, name)), taken(getattr(theirs, name))
        if mine is None or others is None or isinstance(getattr(ours, name), ModuleType):
            continue
        if inspect.isbuiltin(getattr(theirs, name)) or getattr(theirs, name).__module__.startswith("typing"):
            continue
        own = [argument for argument in mine if argument[0] not in EXTRA or argument in others]
        compared += 1
        if own != others:
            wrong[name] = (own, others)
    assert wrong == {}
    assert compared >= 5


def test_recurrent_modules_take_what_their_documentation_says() -> None:
    options = ["num_layers", "bias", "batch_first", "dropout", "bidirectional", "device", "dtype"]
    for name, more in (("GRU", []), ("LSTM", ["proj_size"]), ("RNN", ["nonlinearity"])):
        arguments = list(inspect.signature(getattr(nn, name)).parameters)
        assert sorted(arguments) == sorted(["input_size", "hidden_size", *options, *more])
