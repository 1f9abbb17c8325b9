// Sums, maxima, minima and their positions. The order of additions is a fixed tree, the same for every thread count.
#include "kernels.h"
#include "vmath.h"

namespace tge {
namespace TGE_ISA {
namespace {

// How values are combined. Sums of float32 are kept in float64: more exact than pairwise, and rounded once.
struct Sum {
    static constexpr double neutral = 0;
    template <class V>
    static TGE_INLINE V combine(V a, V b) { return a + b; }
};
struct Max {
    static constexpr double neutral = -inf;
    template <class V>
    static TGE_INLINE V combine(V a, V b) { return vmax(a, b); }
};
struct Min {
    static constexpr double neutral = inf;
    template <class V>
    static TGE_INLINE V combine(V a, V b) { return vmin(a, b); }
};

TGE_INLINE double combine_scalar(Sum, double a, double b) { return a + b; }
TGE_INLINE double combine_scalar(Max, double a, double b) { return a > b || a != a ? a : b; }
TGE_INLINE double combine_scalar(Min, double a, double b) { return a < b || a != a ? a : b; }

template <class L, class R>
double reduce_block(i64 n, const typename L::Store* x) {
    using V = typename L::V;
    constexpr int lanes = 4, W = L::W;
    const auto pad = static_cast<typename L::Store>(R::neutral);
    V a[lanes];
    for (V& lane : a) lane = splat<V>(pad);
    i64 i = 0;
    for (; i + lanes * W <= n; i += lanes * W)
        for (int j = 0; j < lanes; ++j) a[j] = R::combine(a[j], L::load(x + i + j * W));
    int j = 0;
    for (; i + W <= n; i += W, ++j) a[j] = R::combine(a[j], L::load(x + i));
    if (i < n) a[j] = R::combine(a[j], load_part<L>(x + i, n - i, pad));
    const V all = R::combine(R::combine(a[0], a[1]), R::combine(a[2], a[3]));
    double result = all[0];
    for (int k = 1; k < W; ++k) result = combine_scalar(R(), result, static_cast<double>(all[k]));
    return result;
}

template <class L, class R>
double reduce_tree(i64 n, const typename L::Store* x) {
    constexpr i64 leaf = 4096;
    if (n <= leaf) return reduce_block<L, R>(n, x);
    const i64 half = (n / 2 + leaf - 1) / leaf * leaf;
    const double left = reduce_tree<L, R>(half, x), right = reduce_tree<L, R>(n - half, x + half);
    return combine_scalar(R(), left, right);
}

template <class L, class R>
double reduce_row(i64 n, const void* x) {
    return reduce_tree<L, R>(n, static_cast<const typename L::Store*>(x));
}

// L has W doubles a vector: Widened for float32, Direct<double> for float64.
template <class L, class R>
void reduce_columns(i64 rows, i64 columns, const void* x, i64 row_stride, double* accumulators) {
    const char* base = static_cast<const char*>(x);
    using S = typename L::Store;
    i64 c = 0;
    for (; c + 4 * L::W <= columns; c += 4 * L::W) {
        D a[4];
        for (int j = 0; j < 4; ++j) a[j] = splat<D>(R::neutral);
        for (i64 r = 0; r < rows; ++r) {
            const S* row = reinterpret_cast<const S*>(base + r * row_stride) + c;
            for (int j = 0; j < 4; ++j) a[j] = R::combine(a[j], L::load(row + j * L::W));
        }
        for (int j = 0; j < 4; ++j) Direct<double>::store(accumulators + c + j * L::W, a[j]);
    }
    for (; c < columns; ++c) {
        double a = R::neutral;
        for (i64 r = 0; r < rows; ++r)
            a = combine_scalar(R(), a, static_cast<double>(reinterpret_cast<const S*>(base + r * row_stride)[c]));
        accumulators[c] = a;
    }
}

// The first NaN, or else the first element equal to the best.
template <class T, class R>
i64 position(i64 n, const void* data) {
    const T* x = static_cast<const T*>(data);
    const T best = static_cast<T>(reduce_tree<Direct<T>, R>(n, x));
    for (i64 i = 0; i < n; ++i)
        if (best != best ? x[i] != x[i] : x[i] == best) return i;
    return 0;
}

template <class L>
double squared_distance(i64 n, const void* x, const void* y) {
    using S = typename L::Store;
    const S *p = static_cast<const S*>(x), *q = static_cast<const S*>(y);
    D a[2] = {D{}, D{}};
    i64 i = 0;
    for (int j = 0; i + L::W <= n; i += L::W, j ^= 1) {
        const D d = L::load(p + i) - L::load(q + i);
        a[j] += d * d;
    }
    if (i < n) {
        const D d = load_part<L>(p + i, n - i, S(0)) - load_part<L>(q + i, n - i, S(0));
        a[0] += d * d;
    }
    const D all = a[0] + a[1];
    double result = 0;
    for (int k = 0; k < DW; ++k) result += all[k];
    return result;
}

}  // namespace

void fill_reductions(Table& t) {
    t.reduce_row[reduce_sum][0] = reduce_row<Widened, Sum>;
    t.reduce_row[reduce_sum][1] = reduce_row<Direct<double>, Sum>;
    t.reduce_row[reduce_max][0] = reduce_row<Direct<float>, Max>;
    t.reduce_row[reduce_max][1] = reduce_row<Direct<double>, Max>;
    t.reduce_row[reduce_min][0] = reduce_row<Direct<float>, Min>;
    t.reduce_row[reduce_min][1] = reduce_row<Direct<double>, Min>;
    t.reduce_columns[reduce_sum][0] = reduce_columns<Widened, Sum>;
    t.reduce_columns[reduce_sum][1] = reduce_columns<Direct<double>, Sum>;
    t.reduce_columns[reduce_max][0] = reduce_columns<Widened, Max>;
    t.reduce_columns[reduce_max][1] = reduce_columns<Direct<double>, Max>;
    t.reduce_columns[reduce_min][0] = reduce_columns<Widened, Min>;
    t.reduce_columns[reduce_min][1] = reduce_columns<Direct<double>, Min>;
    t.argmax_row[0] = position<float, Max>;
    t.argmax_row[1] = position<double, Max>;
    t.argmin_row[0] = position<float, Min>;
    t.argmin_row[1] = position<double, Min>;
    t.squared_distance[0] = squared_distance<Widened>;
    t.squared_distance[1] = squared_distance<Direct<double>>;
}

}  // namespace TGE_ISA
}  // namespace tge
