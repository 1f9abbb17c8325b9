"""tinygrad_edu: reverse-mode automatic differentiation to read, to measure and to do exercises on.

`import tinygrad_edu as tg`; names are PyTorch's. Importing it loads NumPy and this package alone.
"""

from __future__ import annotations

import os as _os

if _os.environ.get("TGE_PURE", "") not in ("", "0"):
    from . import _pure as _pure  # before anything that Cython compiles is imported

from . import autograd, compat, data, distributions, func, kernels, nn, ops, optim, serialization, train, utils
from .autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .creation import (
    arange,
    as_tensor,
    empty,
    eye,
    from_dlpack,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from .errors import TinygradError
from .kernels import get_num_threads, set_num_threads
from .ops import (
    abs,
    add,
    amax,
    amin,
    argmax,
    argmin,
    cat,
    clamp,
    cos,
    div,
    erf,
    exp,
    flatten,
    flip,
    gather,
    isclose,
    log,
    log1p,
    log_softmax,
    logsumexp,
    matmul,
    maximum,
    mean,
    minimum,
    mul,
    norm,
    permute,
    pow,
    relu,
    reshape,
    sigmoid,
    sign,
    sin,
    softmax,
    split,
    sqrt,
    squeeze,
    stack,
    std,
    sub,
    sum,
    tanh,
    transpose,
    unflatten,
    unsqueeze,
    var,
    where,
)
from .random import Generator, default_generator, manual_seed
from .serialization import load, save
from .tensor import Tensor, float32, float64, int8, int16, int32, int64, uint8
from .tensor import bool_ as bool

__version__ = "0.1.0"
mm = matmul
long, double, float = int64, float64, float32  # PyTorch's other names for dtypes
