"""The kernel table: every computation on numbers that the library does, one signature each.

A *backend* is any object with these functions. `reference.py` implements all of them in plain NumPy and is the
specification; `native.py` serves the same calls from compiled C++. Nothing above this floor computes on its own.

Conventions, for every kernel:

* Arrays may have any strides (transposed, sliced, negative, zero), be read-only, or have no elements.
* Floating arguments of one call share one dtype; the caller has promoted them.
* `out`, where it is taken, is an array of the result's shape and dtype that receives the result. It may *be* one of
  the inputs (the same array object) in elementwise kernels; it must not overlap them in any other way.
* Inputs are never written to, except the ones a docstring names as updated in place.
* NaN is never swallowed: it comes out wherever mathematics does not say otherwise.
* Results do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]
Axes = tuple[int, ...]


class Kernels(Protocol):
    """What a backend offers. Shapes: `N` rows, `C` classes, `(…)` any shape; `u` is one unit in the last place."""

    name: str

    # -- memory ----------------------------------------------------------------------------------------------
    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An uninitialised C-contiguous array."""

    def full(self, shape: tuple[int, ...], value: Any, dtype: Any) -> Array:
        """An array filled with `value`."""

    def copy(self, x: Array, *, out: Array | None = None) -> Array:
        """A C-contiguous copy of `x`; with `out`, `x` broadcast and cast into `out`."""

    def cast(self, x: Array, dtype: Any) -> Array:
        """A C-contiguous copy of `x` converted to `dtype`; floats are truncated towards zero on the way to integers."""

    # -- elementwise, two arguments, broadcasting ------------------------------------------------------------
    # Beside an array, the other argument may be a Python number: one of the array's dtype. (Not of pow.)
    def add(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """a + b (or, for booleans)."""
    def sub(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """a − b."""
    def mul(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """a · b (and, for booleans)."""
    def div(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """a / b, floats only, exactly rounded."""
    def pow(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """aᵇ (of integers: cut to whole)."""
    def maximum(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """The larger; NaN if either is."""
    def minimum(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """The smaller; NaN if either is."""
    def eq(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """a = b, as bool."""
    def ne(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """a ≠ b, as bool."""
    def lt(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """a < b, as bool."""
    def le(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """a ≤ b, as bool."""
    def gt(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """a > b, as bool."""
    def ge(self, a: Array, b: Array, *, out: Array | None = None) -> Array: """a ≥ b, as bool."""

    def where(self, condition: Array, a: Array, b: Array, *, out: Array | None = None) -> Array:
        """a where the boolean `condition` holds, b elsewhere; all three broadcast. a or b may be a number."""

    # -- elementwise, one argument ---------------------------------------------------------------------------
    def neg(self, x: Array, *, out: Array | None = None) -> Array: """−x."""
    def abs(self, x: Array, *, out: Array | None = None) -> Array: """|x|."""
    def sign(self, x: Array, *, out: Array | None = None) -> Array: """−1, 0 or 1; NaN stays NaN."""
    def exp(self, x: Array, *, out: Array | None = None) -> Array: """eˣ, ≤ 1 u."""
    def log(self, x: Array, *, out: Array | None = None) -> Array: """Natural logarithm, ≤ 1 u; −inf at 0, NaN below."""
    def log1p(self, x: Array, *, out: Array | None = None) -> Array: """ln(1 + x), accurate near 0."""
    def sqrt(self, x: Array, *, out: Array | None = None) -> Array: """√x, exactly rounded; NaN below 0."""
    def sin(self, x: Array, *, out: Array | None = None) -> Array: """Sine of radians."""
    def cos(self, x: Array, *, out: Array | None = None) -> Array: """Cosine of radians."""
    def erf(self, x: Array, *, out: Array | None = None) -> Array: """Error function 2/√π · ∫₀ˣ e^{−t²} dt, ≤ 1 u."""

    def erfc(self, x: Array, *, out: Array | None = None) -> Array: """1 − erf(x), accurate where erf is near 1."""
    def erfinv(self, x: Array, *, out: Array | None = None) -> Array: """The number whose erf is x."""
    def exp2(self, x: Array, *, out: Array | None = None) -> Array: """2ˣ."""
    def expm1(self, x: Array, *, out: Array | None = None) -> Array: """eˣ − 1, accurate near 0."""
    def log2(self, x: Array, *, out: Array | None = None) -> Array: """Logarithm to the base 2."""
    def log10(self, x: Array, *, out: Array | None = None) -> Array: """Logarithm to the base 10."""
    def rsqrt(self, x: Array, *, out: Array | None = None) -> Array: """1/√x; inf at 0, NaN below."""
    def tan(self, x: Array, *, out: Array | None = None) -> Array: """Tangent of radians."""
    def asin(self, x: Array, *, out: Array | None = None) -> Array: """The angle whose sine is x; NaN beyond ±1."""
    def acos(self, x: Array, *, out: Array | None = None) -> Array: """The angle whose cosine is x; NaN beyond ±1."""
    def atan(self, x: Array, *, out: Array | None = None) -> Array: """The angle whose tangent is x."""
    def atan2(self, y: Array, x: Array, *, out: Array | None = None) -> Array: """The angle of the point (x, y)."""
    def sinh(self, x: Array, *, out: Array | None = None) -> Array: """(eˣ − e⁻ˣ)/2."""
    def cosh(self, x: Array, *, out: Array | None = None) -> Array: """(eˣ + e⁻ˣ)/2."""
    def asinh(self, x: Array, *, out: Array | None = None) -> Array: """The inverse of sinh."""
    def acosh(self, x: Array, *, out: Array | None = None) -> Array: """The inverse of cosh; NaN below 1."""
    def atanh(self, x: Array, *, out: Array | None = None) -> Array: """The inverse of tanh; NaN beyond ±1."""
    def floor(self, x: Array, *, out: Array | None = None) -> Array: """The largest whole number not above x."""
    def ceil(self, x: Array, *, out: Array | None = None) -> Array: """The smallest whole number not below x."""
    def trunc(self, x: Array, *, out: Array | None = None) -> Array: """The whole number next towards zero."""
    def round(self, x: Array, *, out: Array | None = None) -> Array: """The nearest whole number, halves to even."""

    # -- activations and their derivatives: dx from the upstream gradient g and what the forward pass knew ---
    def relu(self, x: Array, *, out: Array | None = None) -> Array: """max(x, 0); NaN stays NaN."""
    def relu_backward(self, g: Array, y: Array, *, out: Array | None = None) -> Array: """g where y > 0, else 0."""

    def leaky_relu(self, x: Array, slope: float, *, out: Array | None = None) -> Array:
        """x where x > 0, else slope · x."""

    def leaky_relu_backward(self, g: Array, x: Array, slope: float, *, out: Array | None = None) -> Array:
        """g where x > 0, else slope · g."""

    def sigmoid(self, x: Array, *, out: Array | None = None) -> Array: """1 / (1 + e⁻ˣ), no overflow."""
    def sigmoid_backward(self, g: Array, y: Array, *, out: Array | None = None) -> Array: """g · y · (1 − y)."""
    def tanh(self, x: Array, *, out: Array | None = None) -> Array: """Hyperbolic tangent, ≤ 1 u."""
    def tanh_backward(self, g: Array, y: Array, *, out: Array | None = None) -> Array: """g · (1 − y²)."""

    def gelu(self, x: Array, tanh_form: bool, *, out: Array | None = None) -> Array:
        """x · Φ(x) with the normal distribution function Φ, or, `tanh_form`,
        x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))). Hendrycks & Gimpel 2016. gelu(+inf) = inf, gelu(−inf) = 0."""

    def gelu_backward(self, g: Array, x: Array, tanh_form: bool, *, out: Array | None = None) -> Array:
        """g times the derivative of `gelu` at x."""

    def silu(self, x: Array, *, out: Array | None = None) -> Array: """x · sigmoid(x); silu(−inf) = 0."""
    def silu_backward(self, g: Array, x: Array, *, out: Array | None = None) -> Array: """g · s·(1 + x·(1 − s))."""

    def softplus(self, x: Array, beta: float, threshold: float, *, out: Array | None = None) -> Array:
        """ln(1 + e^{beta·x}) / beta; x itself where beta·x > threshold."""

    def softplus_backward(self, g: Array, x: Array, beta: float, threshold: float, *,
                          out: Array | None = None) -> Array:
        """g · sigmoid(beta·x); g itself where beta·x > threshold."""

    def elu(self, x: Array, alpha: float, *, out: Array | None = None) -> Array:
        """x where x > 0, else alpha · (eˣ − 1). Clevert et al. 2015."""

    def elu_backward(self, g: Array, x: Array, alpha: float, *, out: Array | None = None) -> Array:
        """g where x > 0, else g · alpha · eˣ."""

    # -- reductions: `axes` are distinct, sorted and not negative; a fixed tree of partial results -----------
    def sum(self, x: Array, axes: Axes, keepdims: bool, *, out: Array | None = None) -> Array:
        """Sum over `axes`: float32 with the error of pairwise summation or better; integers and booleans in int64."""

    def amax(self, x: Array, axes: Axes, keepdims: bool, *, out: Array | None = None) -> Array:
        """Maximum over `axes`, none of them empty; NaN if one is among them."""

    def amin(self, x: Array, axes: Axes, keepdims: bool, *, out: Array | None = None) -> Array:
        """Minimum over `axes`, none of them empty; NaN if one is among them."""

    def argmax(self, x: Array, axis: int, keepdims: bool) -> Array:
        """int64 position of the first maximum along `axis` (not empty); the first NaN counts as the maximum."""

    def argmin(self, x: Array, axis: int, keepdims: bool) -> Array:
        """int64 position of the first minimum along `axis` (not empty); the first NaN counts as the minimum."""

    # -- along an axis: running sums and order -----------------------------------------------------------------
    def cumsum(self, x: Array, axis: int) -> Array:
        """y[i] = x[0] + … + x[i] along `axis`, with the error of adding in order or less; integers and booleans in
        int64."""

    def argsort(self, x: Array, axis: int, descending: bool) -> Array:
        """int64 positions that put `axis` in order, equal entries in their old order; NaN counts as the largest."""

    # -- softmax family --------------------------------------------------------------------------------------
    def softmax(self, x: Array, axis: int, *, out: Array | None = None) -> Array:
        """eˣ / Σeˣ along `axis`, shifted by the maximum."""

    def softmax_backward(self, g: Array, y: Array, axis: int, *, out: Array | None = None) -> Array:
        """y · (g − Σ g·y) along `axis`."""

    def log_softmax(self, x: Array, axis: int, *, out: Array | None = None) -> Array:
        """x − ln Σeˣ along `axis`, shifted by the maximum."""

    def log_softmax_backward(self, g: Array, y: Array, axis: int, *, out: Array | None = None) -> Array:
        """g − eʸ · Σ g along `axis`."""

    # -- losses ----------------------------------------------------------------------------------------------
    def cross_entropy(self, x: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float,
                      reduction: str) -> tuple[Array, Array, float]:
        """Cross-entropy of logits x (N, C) with class indices `target` (N,) int64.

        Row loss: w[t]·(1−s)·(L − x[t]) + s/C · Σ_c w[c]·(L − x[c]) with L = ln Σeˣ; 0 where t = ignore_index.
        Where t is the row's maximum, L − x[t] is computed as log1p of the other classes' share.
        Returns the loss ((N,) for reduction "none", else 0-d "sum" or "mean"), L (N,), and the Σ w[t] that "mean"
        divided by (0 rows give NaN, as a mean of nothing). IndexError for a class outside [0, C).
        """

    def cross_entropy_backward(self, g: Array, x: Array, target: Array, lse: Array, weight: Array | None,
                               ignore_index: int, smoothing: float, reduction: str, total: float) -> Array:
        """dx (N, C) of `cross_entropy`, from g with the shape of its loss."""

    def mse(self, x: Array, y: Array, reduction: str) -> Array:
        """(x − y)² for equal shapes; "none", "sum" or "mean" over all elements."""

    def mse_backward(self, g: Array, x: Array, y: Array, reduction: str) -> Array:
        """dx = g · 2(x − y), over the number of elements for "mean"; dy is its negative."""

    # -- matrix products -------------------------------------------------------------------------------------
    def matmul(self, a: Array, b: Array, *, out: Array | None = None) -> Array:
        """a (…, M, K) times b (…, K, N); leading dimensions broadcast. K = 0 gives zeros. 0 · NaN = NaN. Transposed
        operands are read in place. A row of the result does not depend on the other rows (on a matrix unit: but for
        whether there are 64)."""

    def linear(self, x: Array, w: Array, b: Array | None, *, out: Array | None = None) -> Array:
        """x (…, I) · wᵀ + b, with w (O, I) and b (O,), in one pass."""

    def linear_activation(self, x: Array, w: Array, b: Array | None, activation: str) -> tuple[Array, Array | None]:
        """f(z) (…, O) of z = `linear`(x, w, b) in one pass, with f "none", "relu", "sigmoid", "tanh", "gelu",
        "gelu_tanh" or "silu": the same bits as the two kernels give. Returns it and, for the last three, whose
        derivative needs it, z."""

    def linear_backward(self, g: Array, x: Array | None, w: Array | None, saved: Array | None, activation: str,
                        bias: bool) -> tuple[Array | None, Array | None, Array | None]:
        """(dx, dw, db) of `linear_activation` from g (…, O) and `saved`, its z if it gave one, else its result (None
        for "none"): s = g·f′, dx = s·w if w is given, dw = sᵀ·x if x is, db = Σ s over rows if `bias`."""

    # -- attention -------------------------------------------------------------------------------------------
    def attention(self, q: Array, k: Array, v: Array, mask: Array | None, causal: bool,
                  scale: float) -> tuple[Array, Array]:
        """Scaled dot-product attention (Vaswani et al. 2017) of q (B, T, D), k (B, S, D), v (B, S, E). B may be two
        sizes, of samples and of their heads, in all arrays but the mask.

        P = softmax over S of scale·q·kᵀ + mask;  y = P·v (B, T, E);  L = ln Σ_S e^{scale·q·kᵀ + mask} (B, T).
        The additive mask (M, T, S) has M dividing B: entry b uses mask b·M div B, so that the heads of one sample may
        share theirs; its strides may be 0. `causal`: row t sees the keys s ≤ t alone. A row that sees no key (each
        score −inf, or S = 0) has y = 0 and L = −inf. Returns (y, L). y, and the gradients, may lie in memory as the
        arguments do, a row's heads beside each other.
        """

    def attention_backward(self, g: Array, q: Array, k: Array, v: Array, mask: Array | None, causal: bool,
                           scale: float, y: Array, lse: Array) -> tuple[Array, Array, Array]:
        """(dq, dk, dv) of `attention` from g (B, T, E): with P = e^{scale·q·kᵀ + mask − L} computed again from L,
        dv = Pᵀ·g, dS = P·(g·vᵀ − Σ_E g·y), dq = scale·dS·k, dk = scale·dSᵀ·q."""

    # -- recurrent cells, between their matrix products gx = x·w_ihᵀ + b and gh = h·w_hhᵀ + b ------------------
    def lstm_cell(self, gx: Array, gh: Array, c: Array) -> tuple[Array, Array, Array]:
        """One step of an LSTM (Hochreiter & Schmidhuber 1997): i, f, g, o = σ, σ, tanh, σ of gx + gh (N, 4H);
        c' = f·c + i·g (N, H); h' = o·tanh c'. Returns (h', c', [i f g o] (N, 4H))."""

    def lstm_cell_backward(self, dh: Array, dc: Array, gates: Array, c: Array, new: Array) -> tuple[Array, Array]:
        """(d(gx + gh) (N, 4H), dc (N, H)) from dh', dc', the gates, and c before and after the step."""

    def gru_cell(self, gx: Array, gh: Array, h: Array) -> tuple[Array, Array]:
        """One step of a GRU (Cho et al. 2014), gx and gh (N, 3H): r, z = σ(gx + gh); n = tanh(gx + r·gh);
        h' = (1 − z)·n + z·h (N, H). Returns (h', [r z n gh_n] (N, 4H))."""

    def gru_cell_backward(self, dh: Array, gates: Array, h: Array) -> tuple[Array, Array, Array]:
        """(d gx (N, 3H), d gh (N, 3H), z·dh' (N, H)) from dh', what `gru_cell` returned, and h before the step."""

    # -- decompositions of matrices (…, M, N), by LAPACK; numpy.linalg.LinAlgError for singular ones ----------
    def solve(self, a: Array, b: Array) -> Array: """X with A·X = B, for A (…, N, N) and B (…, N, K)."""
    def inverse(self, a: Array) -> Array: """A⁻¹."""
    def slogdet(self, a: Array) -> tuple[Array, Array]: """Sign of the determinant, and ln of its absolute value."""
    def cholesky(self, a: Array) -> Array: """The lower triangle L with A = L·Lᵀ; only the lower half of A is read."""

    def qr(self, a: Array, complete: bool) -> tuple[Array, Array]:
        """Q with orthonormal columns and an upper triangle R, A = Q·R; `complete` makes Q square."""

    def svd(self, a: Array, full_matrices: bool) -> tuple[Array, Array, Array]:
        """U, the singular values from large to small, and Vᵀ: A = U·diag(s)·Vᵀ."""

    def eigh(self, a: Array, lower: bool) -> tuple[Array, Array]:
        """Eigenvalues from small to large and eigenvectors (columns) of a symmetric matrix; one half of it is read."""

    # -- indexing --------------------------------------------------------------------------------------------
    def index_add(self, target: Array, index: Any, values: Array) -> None:
        """target[index] += values, in place, repeated positions summed in order."""

    # -- convolution: tuples have one entry per spatial dimension (1, 2 or 3 of them); S → S' is `geometry.convolved`
    def convolve(self, x: Array, w: Array, bias: Array | None, stride: Axes, padding: Axes, dilation: Axes,
                 groups: int) -> Array:
        """y (N, O, *S') from x (N, C, *S), w (O, C/groups, *k), bias (O,): the sum over channels c of the output's
        group and window positions j of w[o, c, j] · x[n, c, s·stride + j·dilation − padding], zero outside x."""

    def convolve_input_gradient(self, g: Array, w: Array, spatial: Axes, stride: Axes, padding: Axes,
                                dilation: Axes, groups: int) -> Array:
        """dx (N, C, *spatial) of `convolve` from g (N, O, *S'): its transpose as a linear map of x, and so the
        transposed convolution of g. ValueError unless `convolve` takes `spatial` to S'."""

    def convolve_weight_gradient(self, g: Array, x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes,
                                 groups: int) -> Array:
        """dw (O, C/groups, *kernel) of `convolve` from g (N, O, *S') and x (N, C, *S)."""

    def convolve_parameter_gradients(self, g: Array, x: Array, kernel: Axes, stride: Axes, padding: Axes,
                                     dilation: Axes, groups: int) -> tuple[Array, Array]:
        """dw as `convolve_weight_gradient` gives it, and db (O,), the sum of g over N and *S', in one pass over g."""

    # -- pooling: windows over the spatial dimensions of x (N, C, *S); S → S' is `geometry.pooled` -----------
    def max_pool(self, x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes,
                 ceil_mode: bool) -> tuple[Array, Array]:
        """The largest entry of each window and its int64 position in the flattened plane *S: the first of equal
        ones, the first NaN if there is one. Padding never wins: each window has an entry of x."""

    def scatter_planes(self, g: Array, indices: Array, spatial: Axes) -> Array:
        """Zeros (N, C, *spatial) with g (N, C, *S') added, in order, at `indices` (int64, g's shape) within each
        flattened plane. IndexError for a position outside it, before anything is added."""

    def avg_pool(self, x: Array, kernel: Axes, stride: Axes, padding: Axes, ceil_mode: bool, count_include_pad: bool,
                 divisor: int | None) -> Array:
        """Each window's sum over `divisor`, or over how many entries it has: those of x, or with `count_include_pad`
        those of x and its padding (but not what a last window sticks out beyond that)."""

    def avg_pool_backward(self, g: Array, spatial: Axes, kernel: Axes, stride: Axes, padding: Axes, ceil_mode: bool,
                          count_include_pad: bool, divisor: int | None) -> Array:
        """dx (N, C, *spatial) of `avg_pool`."""

    # -- normalisation: x̂ = (x − mean)·rstd with rstd = 1/√(variance + eps); mean, rstd in x's dtype ---------
    def layer_norm(self, x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
        """(weight·x̂ + bias, mean (…), rstd (…)) over the last axis of x (…, D); weight, bias (D,). The variance is
        the mean square of x − mean (two passes, or as good). Ba, Kiros & Hinton 2016."""

    def layer_norm_backward(self, g: Array, x: Array, mean: Array, rstd: Array,
                            weight: Array | None) -> tuple[Array, Array | None, Array | None]:
        """(dx, dweight, dbias), the last two (D,), or None without a weight: with h = weight·g,
        dx = rstd·(h − mean(h) − x̂·mean(h·x̂)), dweight = Σ g·x̂, dbias = Σ g."""

    def rms_norm(self, x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
        """(weight·x·rstd, rstd (…)), rstd = 1/√(mean(x²) + eps) over the last axis. Zhang & Sennrich 2019."""

    def rms_norm_backward(self, g: Array, x: Array, rstd: Array, weight: Array | None) -> tuple[Array, Array | None]:
        """(dx, dweight (D,) or None): with h = weight·g and x̂ = x·rstd, dx = rstd·(h − x̂·mean(h·x̂))."""

    def batch_norm(self, x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
        """(weight·x̂ + bias, mean (C,), rstd (C,)) of x (N, C, L), statistics over N and L of each channel, the
        variance over their number; weight, bias (C,). Ioffe & Szegedy 2015."""

    def batch_norm_backward(self, g: Array, x: Array, mean: Array, rstd: Array,
                            weight: Array | None) -> tuple[Array, Array, Array]:
        """(dx, dweight (C,), dbias (C,)) of `batch_norm`: `layer_norm_backward` with means over N and L."""

    # -- rows of a table -------------------------------------------------------------------------------------
    def take(self, weight: Array, index: Array) -> Array:
        """Rows of weight (R, D) at index (…) int64, as (…, D). IndexError for a row outside [0, R)."""

    def take_backward(self, g: Array, index: Array, rows: int, padding_idx: int) -> Array:
        """dweight (rows, D) of `take`: the sum of g (…, D) over equal indices, in order; the row padding_idx stays
        zero (−1: none does). IndexError for an index outside [0, rows)."""

    # -- random numbers: Philox 4×32-10 (Salmon et al. 2011), key = seed, counter = (block, block, stream, 0)
    def philox(self, n: int, seed: int, stream: int, offset: int) -> Array:
        """n uint32 words: word i is word i mod 4 of block offset + i div 4. seed is 64-bit: its low word is key 0."""

    def uniform(self, shape: tuple[int, ...], low: float, high: float, dtype: Any, seed: int, stream: int,
                offset: int) -> Array:
        """low + (high − low)·u, element i from word i: u = (word >> 8) · 2⁻²⁴, the same u in float32 and float64;
        computed in float64, rounded once."""

    def normal(self, shape: tuple[int, ...], mean: float, std: float, dtype: Any, seed: int, stream: int,
               offset: int) -> Array:
        """Normal numbers by Box–Muller: elements 2j, 2j+1 are mean + std·r·cos θ, mean + std·r·sin θ with
        r = √(−2 ln((word₂ⱼ + 1)·2⁻³²)), θ = 2π·word₂ⱼ₊₁·2⁻³²; computed in float64, rounded once."""

    def dropout(self, x: Array, p: float, seed: int, stream: int, offset: int, *, out: Array | None = None) -> Array:
        """x / (1 − p) where uniform u (element i in C order from word i) is ≥ p, else 0. The same call on a gradient
        is the backward pass: the mask is computed again, never stored."""

    # -- optimisers: one call for a whole list of parameters, updated in place -------------------------------
    def sgd(self, params: Sequence[Array], grads: Sequence[Array], momenta: Sequence[Array] | None, *, lr: float,
            momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool,
            first: bool) -> None:
        """Stochastic gradient descent as PyTorch defines it: g ← ±g + weight_decay·p; with momentum
        m ← g on the `first` step, else momentum·m + (1 − dampening)·g; g ← g + momentum·m (nesterov) or m;
        p ← p − lr·g."""

    def adam(self, params: Sequence[Array], grads: Sequence[Array], exp_avgs: Sequence[Array],
             exp_avg_sqs: Sequence[Array], max_exp_avg_sqs: Sequence[Array] | None, *, lr: float, beta1: float,
             beta2: float, eps: float, weight_decay: float, step: int, decoupled: bool, maximize: bool) -> None:
        """Adam (Kingma & Ba 2015), with `decoupled` weight decay AdamW (Loshchilov & Hutter 2019), with
        `max_exp_avg_sqs` AMSGrad; `step` counts from 1. p ← p − lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + eps)."""

    def total_norm(self, arrays: Sequence[Array]) -> Array:
        """√Σx² over all entries of all arrays (at least one), as if they were one vector: squared and added in float64.
        0-d, in the first one's dtype."""

    def limit_norm(self, arrays: Sequence[Array], norm: Array, most: float) -> None:
        """Multiply all arrays by most/(norm + 1e-6), in place, unless that is ≥ 1. `norm` is 0-d."""


KERNELS: tuple[str, ...] = tuple(name for name in vars(Kernels) if not name.startswith("_"))
