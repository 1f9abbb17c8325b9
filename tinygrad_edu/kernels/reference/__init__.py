"""Every kernel of the table in plain NumPy, written to be read: the specification, and the oracle of the tests.

The package works on these files alone (`TGE_KERNELS=reference`); docstrings are in `protocol.py`.
"""

# ruff: noqa: F401, F403
from .attention import attention, attention_backward
from .basic import *
from .convolution import (
    convolve,
    convolve_input_gradient,
    convolve_parameter_gradients,
    convolve_weight_gradient,
)
from .functions import *
from .lookup import take, take_backward
from .matrices import cholesky, eigh, inverse, qr, slogdet, solve, svd
from .norms import (
    batch_norm,
    batch_norm_backward,
    layer_norm,
    layer_norm_backward,
    limit_norm,
    rms_norm,
    rms_norm_backward,
    total_norm,
)
from .pooling import avg_pool, avg_pool_backward, max_pool, scatter_planes
from .recurrent import gru_cell, gru_cell_backward, lstm_cell, lstm_cell_backward
