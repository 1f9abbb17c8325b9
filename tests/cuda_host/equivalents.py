"""Changes of the kernels that `mutate.py` can make and no test can notice, and why: read by a person, one by one."""

from __future__ import annotations

_FLAT = "in a shape of one dimension the others' strides are 0"
_SAME = "equal numbers are the same"
_MORE = "shared memory that nobody uses"
EQUIVALENT: dict[str, dict[str, str]] = {  # file → changed line → why it means the same
    "common.cuh": {
        "template <class T> __device__ T operator()(T a, T b) const { return a <= b || a != a ? a : b; }": _SAME,
        "template <class T> __device__ T operator()(T a, T b) const { return a >= b || a != a ? a : b; }": _SAME,
        "if (n.n0 * n.n1 * n.n2 == 1) return {1, 0, 0, i};": _FLAT,
        "if (n.n0 * n.n1 * n.n2 == 1) return {0, 1, 0, i};": _FLAT,
        "if (n.n0 * n.n1 * n.n2 == 1) return {0, 0, 1, i};": _FLAT,
    },
    "elementwise.cu": {
        "for (int i = 0; i <= 3; ++i) {": "a step more of what has arrived",
    },
    "gemm.cu": {
        "__shared__ __align__(16) T as[BK][BM + 4], bs[BK][BN + 5];": _MORE,
        "__shared__ __align__(16) T as[BK][BM + 5], bs[BK][BN + 4];": _MORE,
        "const bool a_along_k = p.ak != 1, b_along_n = p.bn == 1;": "only the direction in which a tile is read",
        "const bool a_along_k = p.ak == 1, b_along_n = p.bn != 1;": "only the direction in which a tile is read",
        "for (i32 k0 = 0; k0 <= p.k; k0 += BK) {": "one tile more, all of it beyond the sum: zeros",
    },
    "gemm128.cu": {
        "__shared__ __align__(16) f32 as[3][DEPTH][WIDE], bs[2][DEPTH][WIDE];": _MORE,
        "__shared__ __align__(16) f32 as[2][DEPTH][WIDE], bs[3][DEPTH][WIDE];": _MORE,
    },
    "indexing.cu": {
        "y[i] = at == NOWHERE ? T(1) : x[at + place(i % width, rest).in(steps)];": "who reads it gets the error",
    },
    "integers.cu": {
        "SIGNED(abs, v <= 0 ? -v : v)": "−0 is 0",
        "SIGNED(abs, v < 1 ? -v : v)": "−0 is 0",
        "OPERATION(minimum, a <= b ? a : b)": _SAME,
        "OPERATION(maximum, a >= b ? a : b)": _SAME,
    },
    "optimisers.cu": {
        "if (threadIdx.x == 1) *norm = (T)sqrt(sum);": "every thread of the block has the sum",
    },
    "order.cu": {
        "for (i64 from = 0; from <= n; from += MAX_THREADS) {": "a wave more, all of it beyond the row",
    },
    "random.cu": {
        "const T scale = (T)(p < 2 ? 1 / (1 - p) : 0.0);": "at p = 1 nothing is kept that it would scale",
        "const T scale = (T)(p < 1 ? 1 / (1 - p) : 1.0);": "at p = 1 nothing is kept that it would scale",
    },
    "reduce.cu": {
        "__shared__ State slots[ACROSS][33];": _MORE,
        "return (Largest ? a.value >= b.value : a.value < b.value) ? a : b;": "equal numbers have been dealt with",
        "return (Largest ? a.value > b.value : a.value <= b.value) ? a : b;": "equal numbers have been dealt with",
    },
    "rows.cu": {
        "if (threadIdx.x == 1) {": "every thread of the block has the sums",
        "if (by_set && threadIdx.x == 1) {": "every thread of the block has the sums",
    },
    "softmax.cu": {
        "if (counts && !known && threadIdx.x != 0) report(fault, CROSS_ENTROPY, r, t);": "others tell it",
        "if (counts && !known && threadIdx.x == 1) report(fault, CROSS_ENTROPY, r, t);": "another tells it",
    },
    "windows.cu": {
        "return far >= 0 && far % s == 0 && far / s < m ? far / s : -2;": "below 0 is no place, whichever",
        "return all ? last - first : (last <= n ? last : n) - (first > 0 ? first : 0);": _SAME,
        "return all ? last - first : (last < n ? last : n) - (first >= 0 ? first : 0);": _SAME,
    },
}
