"""The differentiable operations, one file per family: forward and its derivative on one screen.

`elementwise` · `functions` · `activation` · `reduce` · `scan` · `shape` · `indexing` · `arrangement` · `scatter` ·
`linalg` · `products` · `decomposition` · `convolution` · `pooling` · `padding` · `normalization` · `resampling` ·
`lookup` · `attention` · `loss`. Functions take and give tensors; the classes behind them are the nodes of the graph.
"""

from ._common import ShapeError, check_writeable, per_dimension, promote_types, result_type, unbroadcast
from .activation import dropout, elu, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, softplus, tanh
from .arrangement import *
from .attention import scaled_dot_product_attention
from .convolution import conv, conv_transpose
from .decomposition import *
from .decomposition import any_norm as norm
from .devices import to_device
from .elementwise import (
    abs,
    add,
    cast,
    clamp,
    clone,
    compare,
    cos,
    eq,
    erf,
    exp,
    ge,
    gt,
    isclose,
    le,
    log,
    log1p,
    logical,
    lt,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    pow,
    sign,
    sin,
    sqrt,
    sub,
    where,
)
from .elementwise import div as true_divide
from .functions import *
from .functions import divide as div
from .indexing import flip, gather, getitem, setitem
from .linalg import linear, linear_activation, matmul
from .lookup import take
from .loss import check_reduction, check_same_shape, cross_entropy, mse_loss
from .normalization import batch_norm, channel_affine, layer_norm, rms_norm
from .padding import pad
from .pooling import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    gather_planes,
    max_pool,
    scatter_planes,
    window_positions,
)
from .products import *
from .recurrent import recurrent
from .reduce import all, amax, amin, any, argmax, argmin, logsumexp, mean, std, std_mean, sum, var, var_mean
from .resampling import pixel_shuffle, pixel_unshuffle, resample
from .scan import *
from .scatter import *
from .shape import (
    cat,
    expand,
    flatten,
    permute,
    reshape,
    reversed_dims,
    split,
    squeeze,
    stack,
    transpose,
    unbind,
    unflatten,
    unsqueeze,
)
from .words import take_numpy_words

take_numpy_words(globals())
