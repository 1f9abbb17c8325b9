"""tinygrad_edu: reverse-mode automatic differentiation to read, to measure and to do exercises on.

`import tinygrad_edu as tg`; names are PyTorch's. Importing it loads NumPy and this package alone.
"""

from __future__ import annotations

import math as _math
import os as _os

if _os.environ.get("TGE_PURE", "") not in ("", "0"):
    from . import _pure as _pure  # before anything that Cython compiles is imported

from . import (
    amp,
    autograd,
    backends,
    compat,
    cuda,
    data,
    distributions,
    envs,
    func,
    jit,
    kernels,
    linalg,
    nn,
    ops,
    optim,
    serialization,
    train,
    utils,
)
from .amp import GradScaler, autocast
from .autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .backends import accelerator, mps, xpu
from .creation import (
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    arange,
    as_tensor,
    bernoulli,
    empty,
    empty_like,
    eye,
    from_dlpack,
    from_numpy,
    frombuffer,
    full,
    full_like,
    linspace,
    logspace,
    multinomial,
    normal,
    ones,
    ones_like,
    poisson,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from .errors import TinygradError
from .func import compile
from .kernels import get_num_threads, set_num_threads
from .linalg import cholesky, det, matrix_power, qr, slogdet, svd
from .linalg import inv as inverse
from .linalg import pinv as pinverse
from .nn.functional import (
    adaptive_avg_pool1d,
    avg_pool1d,
    bilinear,
    celu,
    celu_,
    channel_shuffle,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    cosine_embedding_loss,
    cosine_similarity,
    group_norm,
    hinge_embedding_loss,
    layer_norm,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    pairwise_distance,
    pixel_shuffle,
    pixel_unshuffle,
    prelu,
    relu_,
    rms_norm,
    rrelu,
    selu,
    selu_,
    threshold,
    triplet_margin_loss,
)
from .ops import (
    abs,
    add,
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    cat,
    clamp,
    clone,
    cos,
    div,
    dropout,
    eq,
    erf,
    exp,
    flatten,
    gather,
    ge,
    gt,
    isclose,
    le,
    log,
    log1p,
    log_softmax,
    logsumexp,
    lt,
    matmul,
    maximum,
    mean,
    minimum,
    mul,
    ne,
    neg,
    norm,
    pow,
    promote_types,
    relu,
    result_type,
    sigmoid,
    sign,
    sin,
    softmax,
    split,
    sqrt,
    squeeze,
    stack,
    std,
    std_mean,
    sub,
    sum,
    tanh,
    transpose,
    true_divide,
    unbind,
    unflatten,
    unsqueeze,
    var,
    var_mean,
    where,
)
from .ops import take_flat as take
from .ops.arrangement import *
from .ops.decomposition import logdet
from .ops.functions import *
from .ops.products import *
from .ops.scan import *
from .ops.scatter import *
from .random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, set_rng_state
from .serialization import load, save
from .settings import *
from .tensor import Tensor, is_floating_point, is_tensor, numel
from .types import (
    Size,
    bfloat16,
    device,
    finfo,
    float16,
    float32,
    float64,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from .types import bool_ as bool

__version__ = "0.1.0"
inf, nan, pi, e, newaxis = _math.inf, _math.nan, _math.pi, _math.e, None
divide, multiply, subtract, negative, absolute, clip = div, mul, sub, neg, abs, clamp
arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh
flip, permute, reshape, t, tile = Tensor.flip, Tensor.permute, Tensor.reshape, Tensor.t, Tensor.tile
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
half, float, double, short, int, long = float16, float32, float64, int16, int32, int64  # PyTorch's other names
ops.take_numpy_words(globals())
