"""The methods of a tensor that are operations: each name, and the function of `ops` that gets the tensor first.

A name that ends in _ puts the result into the tensor's own memory, under its version counter, and returns the tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import ops
from .autograd.variable import Variable


def in_place(operation: Callable[..., Any], name: str) -> Any:
    """The method that replaces a tensor by the result of an operation on it."""

    def method(self: Any, *args: Any, **options: Any) -> Any:
        before = self._before_change(name, *args, *options.values())
        return self._replace(name, operation(before, *args, **options))

    method.__name__ = name
    method.__doc__ = f"In place: {operation.__doc__}"
    return method


def listed(operation: Callable[..., Any], name: str, keyword: str) -> Any:
    """The method of an operation on a tensor and a list of integers, which come one by one or as one sequence."""

    def method(input: Any, *numbers: Any, **options: Any) -> Any:
        if keyword in options:
            numbers = (options.pop(keyword),)
        first = numbers[0] if len(numbers) == 1 else None
        return operation(input, tuple(first) if isinstance(first, Sequence) else numbers, **options)

    method.__name__, method.__doc__ = name, operation.__doc__
    return method


class OperationMethods(Variable):
    """What `Tensor` inherits: the operations as methods."""

    __slots__ = ()

    # -- arithmetic --------------------------------------------------------------------------------------------
    add = ops.add
    sub = ops.sub
    subtract = ops.sub
    mul = ops.mul
    multiply = ops.mul
    div = ops.div
    divide = ops.div
    true_divide = ops.true_divide
    floor_divide = ops.floor_divide
    remainder = ops.remainder
    fmod = ops.fmod
    pow = ops.pow
    neg = ops.neg
    negative = ops.neg
    abs = ops.abs
    absolute = ops.abs
    sign = ops.sign
    sgn = ops.sign
    reciprocal = ops.reciprocal
    square = ops.square
    positive = ops.positive
    addcmul = ops.addcmul
    addcdiv = ops.addcdiv
    lerp = ops.lerp
    clamp = ops.clamp
    clip = ops.clamp
    clamp_min = ops.clamp_min
    clamp_max = ops.clamp_max
    maximum = ops.maximum
    minimum = ops.minimum
    fmax = ops.fmax
    fmin = ops.fmin
    # -- elementary functions ----------------------------------------------------------------------------------
    exp = ops.exp
    exp2 = ops.exp2
    expm1 = ops.expm1
    log = ops.log
    log1p = ops.log1p
    log2 = ops.log2
    log10 = ops.log10
    sqrt = ops.sqrt
    rsqrt = ops.rsqrt
    sin = ops.sin
    cos = ops.cos
    tan = ops.tan
    asin = ops.asin
    arcsin = ops.asin
    acos = ops.acos
    arccos = ops.acos
    atan = ops.atan
    arctan = ops.atan
    atan2 = ops.atan2
    arctan2 = ops.atan2
    sinh = ops.sinh
    cosh = ops.cosh
    tanh = ops.tanh
    asinh = ops.asinh
    arcsinh = ops.asinh
    acosh = ops.acosh
    arccosh = ops.acosh
    atanh = ops.atanh
    arctanh = ops.atanh
    erf = ops.erf
    erfc = ops.erfc
    erfinv = ops.erfinv
    sigmoid = ops.sigmoid
    logit = ops.logit
    relu = ops.relu
    hypot = ops.hypot
    copysign = ops.copysign
    xlogy = ops.xlogy
    logaddexp = ops.logaddexp
    logaddexp2 = ops.logaddexp2
    floor = ops.floor
    ceil = ops.ceil
    round = ops.round
    trunc = ops.trunc
    fix = ops.trunc
    frac = ops.frac
    nan_to_num = ops.nan_to_num
    # -- comparisons and logic ---------------------------------------------------------------------------------
    eq = ops.eq
    ne = ops.ne
    not_equal = ops.ne
    lt = ops.lt
    less = ops.lt
    le = ops.le
    less_equal = ops.le
    gt = ops.gt
    greater = ops.gt
    ge = ops.ge
    greater_equal = ops.ge
    isclose = ops.isclose
    allclose = ops.allclose
    equal = ops.equal
    isnan = ops.isnan
    isinf = ops.isinf
    isfinite = ops.isfinite
    isposinf = ops.isposinf
    isneginf = ops.isneginf
    isreal = ops.isreal
    signbit = ops.signbit
    logical_and = ops.logical_and
    logical_or = ops.logical_or
    logical_xor = ops.logical_xor
    logical_not = ops.logical_not
    bitwise_and = ops.bitwise_and
    bitwise_or = ops.bitwise_or
    bitwise_xor = ops.bitwise_xor
    bitwise_not = ops.bitwise_not
    bitwise_left_shift = ops.bitwise_left_shift
    bitwise_right_shift = ops.bitwise_right_shift
    # -- reductions, running results, order --------------------------------------------------------------------
    sum = ops.sum
    nansum = ops.nansum
    mean = ops.mean
    nanmean = ops.nanmean
    var = ops.var
    std = ops.std
    prod = ops.prod
    all = ops.all
    any = ops.any
    max = ops.max
    min = ops.min
    aminmax = ops.aminmax
    amax = ops.amax
    amin = ops.amin
    argmax = ops.argmax
    argmin = ops.argmin
    logsumexp = ops.logsumexp
    norm = ops.norm
    count_nonzero = ops.count_nonzero
    softmax = ops.softmax
    log_softmax = ops.log_softmax
    cumsum = ops.cumsum
    cumprod = ops.cumprod
    cummax = ops.cummax
    cummin = ops.cummin
    logcumsumexp = ops.logcumsumexp
    sort = ops.sort
    argsort = ops.argsort
    topk = ops.topk
    kthvalue = ops.kthvalue
    median = ops.median
    mode = ops.mode
    unique = ops.unique
    unique_consecutive = ops.unique_consecutive
    bincount = ops.bincount
    histc = ops.histc
    diff = ops.diff
    # -- products and decompositions ---------------------------------------------------------------------------
    matmul = ops.matmul
    mm = ops.mm
    bmm = ops.bmm
    mv = ops.mv
    dot = ops.dot
    vdot = ops.vdot
    inner = ops.inner
    outer = ops.outer
    ger = ops.outer
    addmm = ops.addmm
    addmv = ops.addmv
    addbmm = ops.addbmm
    baddbmm = ops.baddbmm
    addr = ops.addr
    kron = ops.kron
    trace = ops.trace
    cross = ops.cross
    cholesky = ops.cholesky
    qr = ops.qr
    svd = ops.svd
    det = ops.det
    slogdet = ops.slogdet
    logdet = ops.logdet
    inverse = ops.inv
    pinverse = ops.pinv
    matrix_power = ops.matrix_power
    # -- shape -------------------------------------------------------------------------------------------------
    flatten = ops.flatten
    ravel = ops.ravel
    unflatten = ops.unflatten
    transpose = ops.transpose
    swapaxes = ops.swapaxes
    swapdims = ops.transpose
    movedim = ops.movedim
    moveaxis = ops.movedim
    squeeze = ops.squeeze
    unsqueeze = ops.unsqueeze
    narrow = ops.narrow
    select = ops.select
    unbind = ops.unbind
    chunk = ops.chunk
    tensor_split = ops.tensor_split
    unfold = ops.unfold
    expand_as = ops.expand_as
    broadcast_to = ops.broadcast_to
    repeat_interleave = ops.repeat_interleave
    roll = ops.roll
    rot90 = ops.rot90
    fliplr = ops.fliplr
    flipud = ops.flipud
    diag = ops.diag
    diagonal = ops.diagonal
    diag_embed = ops.diag_embed
    diagflat = ops.diagflat
    tril = ops.tril
    triu = ops.triu
    # -- positions ---------------------------------------------------------------------------------------------
    gather = ops.gather
    scatter = ops.scatter
    scatter_add = ops.scatter_add
    scatter_reduce = ops.scatter_reduce
    index_select = ops.index_select
    index_add = ops.index_add
    index_copy = ops.index_copy
    index_fill = ops.index_fill
    index_put = ops.index_put
    take = ops.take_flat
    take_along_dim = ops.take_along_dim
    masked_fill = ops.masked_fill
    masked_select = ops.masked_select
    masked_scatter = ops.masked_scatter
    nonzero = ops.nonzero
    argwhere = ops.argwhere
    # -- lists of integers, which may also come one by one ----------------------------------------------------
    reshape = listed(ops.reshape, "reshape", "shape")
    permute = listed(ops.permute, "permute", "dims")
    expand = listed(ops.expand, "expand", "size")
    repeat = listed(ops.repeat, "repeat", "repeats")
    tile = listed(ops.tile, "tile", "dims")
    flip = listed(ops.flip, "flip", "dims")
    # -- in place ----------------------------------------------------------------------------------------------
    add_ = in_place(ops.add, "add_")
    sub_ = in_place(ops.sub, "sub_")
    subtract_ = in_place(ops.sub, "subtract_")
    mul_ = in_place(ops.mul, "mul_")
    multiply_ = in_place(ops.mul, "multiply_")
    div_ = in_place(ops.div, "div_")
    divide_ = in_place(ops.div, "divide_")
    true_divide_ = in_place(ops.true_divide, "true_divide_")
    floor_divide_ = in_place(ops.floor_divide, "floor_divide_")
    remainder_ = in_place(ops.remainder, "remainder_")
    fmod_ = in_place(ops.fmod, "fmod_")
    pow_ = in_place(ops.pow, "pow_")
    neg_ = in_place(ops.neg, "neg_")
    negative_ = in_place(ops.neg, "negative_")
    abs_ = in_place(ops.abs, "abs_")
    absolute_ = in_place(ops.abs, "absolute_")
    sign_ = in_place(ops.sign, "sign_")
    reciprocal_ = in_place(ops.reciprocal, "reciprocal_")
    square_ = in_place(ops.square, "square_")
    addcmul_ = in_place(ops.addcmul, "addcmul_")
    addcdiv_ = in_place(ops.addcdiv, "addcdiv_")
    lerp_ = in_place(ops.lerp, "lerp_")
    clamp_ = in_place(ops.clamp, "clamp_")
    clip_ = in_place(ops.clamp, "clip_")
    clamp_min_ = in_place(ops.clamp_min, "clamp_min_")
    clamp_max_ = in_place(ops.clamp_max, "clamp_max_")
    exp_ = in_place(ops.exp, "exp_")
    exp2_ = in_place(ops.exp2, "exp2_")
    expm1_ = in_place(ops.expm1, "expm1_")
    log_ = in_place(ops.log, "log_")
    log1p_ = in_place(ops.log1p, "log1p_")
    log2_ = in_place(ops.log2, "log2_")
    log10_ = in_place(ops.log10, "log10_")
    sqrt_ = in_place(ops.sqrt, "sqrt_")
    rsqrt_ = in_place(ops.rsqrt, "rsqrt_")
    sin_ = in_place(ops.sin, "sin_")
    cos_ = in_place(ops.cos, "cos_")
    tan_ = in_place(ops.tan, "tan_")
    asin_ = in_place(ops.asin, "asin_")
    acos_ = in_place(ops.acos, "acos_")
    atan_ = in_place(ops.atan, "atan_")
    atan2_ = in_place(ops.atan2, "atan2_")
    sinh_ = in_place(ops.sinh, "sinh_")
    cosh_ = in_place(ops.cosh, "cosh_")
    tanh_ = in_place(ops.tanh, "tanh_")
    asinh_ = in_place(ops.asinh, "asinh_")
    acosh_ = in_place(ops.acosh, "acosh_")
    atanh_ = in_place(ops.atanh, "atanh_")
    erf_ = in_place(ops.erf, "erf_")
    erfc_ = in_place(ops.erfc, "erfc_")
    erfinv_ = in_place(ops.erfinv, "erfinv_")
    sigmoid_ = in_place(ops.sigmoid, "sigmoid_")
    logit_ = in_place(ops.logit, "logit_")
    relu_ = in_place(ops.relu, "relu_")
    hypot_ = in_place(ops.hypot, "hypot_")
    copysign_ = in_place(ops.copysign, "copysign_")
    xlogy_ = in_place(ops.xlogy, "xlogy_")
    floor_ = in_place(ops.floor, "floor_")
    ceil_ = in_place(ops.ceil, "ceil_")
    sgn_ = in_place(ops.sign, "sgn_")
    round_ = in_place(ops.round, "round_")
    trunc_ = in_place(ops.trunc, "trunc_")
    frac_ = in_place(ops.frac, "frac_")
    nan_to_num_ = in_place(ops.nan_to_num, "nan_to_num_")
    eq_ = in_place(ops.eq, "eq_")
    ne_ = in_place(ops.ne, "ne_")
    lt_ = in_place(ops.lt, "lt_")
    le_ = in_place(ops.le, "le_")
    gt_ = in_place(ops.gt, "gt_")
    ge_ = in_place(ops.ge, "ge_")
    logical_and_ = in_place(ops.logical_and, "logical_and_")
    logical_or_ = in_place(ops.logical_or, "logical_or_")
    logical_xor_ = in_place(ops.logical_xor, "logical_xor_")
    logical_not_ = in_place(ops.logical_not, "logical_not_")
    bitwise_and_ = in_place(ops.bitwise_and, "bitwise_and_")
    bitwise_or_ = in_place(ops.bitwise_or, "bitwise_or_")
    bitwise_xor_ = in_place(ops.bitwise_xor, "bitwise_xor_")
    bitwise_not_ = in_place(ops.bitwise_not, "bitwise_not_")
    bitwise_left_shift_ = in_place(ops.bitwise_left_shift, "bitwise_left_shift_")
    bitwise_right_shift_ = in_place(ops.bitwise_right_shift, "bitwise_right_shift_")
    cumsum_ = in_place(ops.cumsum, "cumsum_")
    cumprod_ = in_place(ops.cumprod, "cumprod_")
    addmm_ = in_place(ops.addmm, "addmm_")
    addmv_ = in_place(ops.addmv, "addmv_")
    addbmm_ = in_place(ops.addbmm, "addbmm_")
    baddbmm_ = in_place(ops.baddbmm, "baddbmm_")
    tril_ = in_place(ops.tril, "tril_")
    triu_ = in_place(ops.triu, "triu_")
    scatter_ = in_place(ops.scatter, "scatter_")
    scatter_add_ = in_place(ops.scatter_add, "scatter_add_")
    scatter_reduce_ = in_place(ops.scatter_reduce, "scatter_reduce_")
    index_add_ = in_place(ops.index_add, "index_add_")
    index_copy_ = in_place(ops.index_copy, "index_copy_")
    index_fill_ = in_place(ops.index_fill, "index_fill_")
    index_put_ = in_place(ops.index_put, "index_put_")
    masked_fill_ = in_place(ops.masked_fill, "masked_fill_")
    masked_scatter_ = in_place(ops.masked_scatter, "masked_scatter_")
    not_equal_ = in_place(ops.ne, "not_equal_")
    less_ = in_place(ops.lt, "less_")
    less_equal_ = in_place(ops.le, "less_equal_")
    greater_ = in_place(ops.gt, "greater_")
    greater_equal_ = in_place(ops.ge, "greater_equal_")
    arctan2_ = in_place(ops.atan2, "arctan2_")
    arcsin_ = in_place(ops.asin, "arcsin_")
    arccos_ = in_place(ops.acos, "arccos_")
    arctan_ = in_place(ops.atan, "arctan_")
    arcsinh_ = in_place(ops.asinh, "arcsinh_")
    arccosh_ = in_place(ops.acosh, "arccosh_")
    arctanh_ = in_place(ops.atanh, "arctanh_")
    fix_ = in_place(ops.trunc, "fix_")
    addr_ = in_place(ops.addr, "addr_")

    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_
    __ifloordiv__, __imod__, __ipow__ = floor_divide_, remainder_, pow_
    __iand__, __ior__, __ixor__ = bitwise_and_, bitwise_or_, bitwise_xor_
