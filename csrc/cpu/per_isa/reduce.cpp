// Sums, maxima, minima and their positions. The order of additions is a fixed tree, the same for every thread count.
#include "kernels.h"
#include "rows.h"

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
    const auto combine = [](auto u, auto v) __attribute__((always_inline)) { return R::combine(u, v); };
    return static_cast<double>(Fold<decltype(all[0] + 0), W>::of(all, combine));
}

template <class L, class R>
double reduce_tree(i64 n, const typename L::Store* x) {
    constexpr i64 leaf = 4096;
    if (n <= leaf) return reduce_block<L, R>(n, x);
    const i64 half = (n / 2 + leaf - 1) / leaf * leaf;
    const double left = reduce_tree<L, R>(half, x), right = reduce_tree<L, R>(n - half, x + half);
    return R::combine(left, right);
}

template <class L, class R>
void reduce_rows(i64 rows, i64 n, const void* x, i64 row_stride, double* results) {
    for (i64 r = 0; r < rows; ++r)
        results[r] = reduce_tree<L, R>(
            n, reinterpret_cast<const typename L::Store*>(static_cast<const char*>(x) + r * row_stride));
}

TGE_INLINE void widen(double* to, D v) { Direct<double>::store(to, v); }
TGE_INLINE void widen(double* to, F v) {
    FHalf halves[2];
    __builtin_memcpy(halves, &v, sizeof v);
    for (int k = 0; k < 2; ++k) Direct<double>::store(to + k * DW, __builtin_convertvector(halves[k], D));
}

// `count` vectors of columns, from column c on.
template <class L, class R, int count>
TGE_INLINE void columns(i64 rows, const char* base, i64 row_stride, i64 c, double* accumulators) {
    typename L::V a[count];
    for (int j = 0; j < count; ++j) a[j] = splat<typename L::V>(R::neutral);
    for (i64 r = 0; r < rows; ++r) {
        const auto* row = reinterpret_cast<const typename L::Store*>(base + r * row_stride) + c;
        for (int j = 0; j < count; ++j) a[j] = R::combine(a[j], L::load(row + j * L::W));
    }
    for (int j = 0; j < count; ++j) widen(accumulators + c + j * L::W, a[j]);
}

template <class L, class R>
void reduce_columns(i64 rows, i64 n, const void* x, i64 row_stride, double* accumulators) {
    const char* base = static_cast<const char*>(x);
    i64 c = 0;
    for (; c + 8 * L::W <= n; c += 8 * L::W) columns<L, R, 8>(rows, base, row_stride, c, accumulators);
    for (; c + L::W <= n; c += L::W) columns<L, R, 1>(rows, base, row_stride, c, accumulators);
    for (; c < n; ++c) {
        double a = R::neutral;
        for (i64 r = 0; r < rows; ++r)
            a = R::combine(a, static_cast<double>(
                                  reinterpret_cast<const typename L::Store*>(base + r * row_stride)[c]));
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

template <class L>
double square_sum(i64 n, const void* data) {
    const auto* x = static_cast<const typename L::Store*>(data);
    D a[4] = {};
    i64 i = 0;
    for (; i + 4 * L::W <= n; i += 4 * L::W)
        for (int j = 0; j < 4; ++j) {
            const D v = L::load(x + i + j * L::W);
            a[j] += v * v;
        }
    for (; i < n; i += L::W) {
        const D v = i + L::W <= n ? L::load(x + i) : load_part<L>(x + i, n - i, 0);
        a[0] += v * v;
    }
    return sum_lanes((a[0] + a[1]) + (a[2] + a[3]));
}

// One addition after the other, in float64; many lines at a time, since each waits for the one before.
template <class L>
void running_sums(i64 n, i64 step, i64 lines, i64 line_step, const void* data, void* to) {
    using T = typename L::Store;
    const T* x = static_cast<const T*>(data);
    T* y = static_cast<T*>(to);
    i64 line = 0;
    for (; line_step == 1 && line + L::W <= lines; line += L::W) {
        D sum{};
        for (i64 i = 0; i < n; ++i) {
            sum += L::load(x + i * step + line);
            L::store(y + i * step + line, sum);
        }
    }
    constexpr int most = 8;
    for (; line + most <= lines; line += most) {
        double sums[most] = {};
        for (i64 i = 0; i < n; ++i)
            for (int j = 0; j < most; ++j) {
                const i64 at = i * step + (line + j) * line_step;
                y[at] = static_cast<T>(sums[j] += static_cast<double>(x[at]));
            }
    }
    for (; line < lines; ++line) {
        double sum = 0;
        for (i64 i = 0; i < n; ++i) {
            const i64 at = i * step + line * line_step;
            y[at] = static_cast<T>(sum += static_cast<double>(x[at]));
        }
    }
}

}  // namespace

void fill_reductions(Table& t) {
    t.reduce_rows[reduce_sum][0] = reduce_rows<Widened, Sum>;
    t.reduce_rows[reduce_sum][1] = reduce_rows<Direct<double>, Sum>;
    t.reduce_rows[reduce_max][0] = reduce_rows<Direct<float>, Max>;
    t.reduce_rows[reduce_max][1] = reduce_rows<Direct<double>, Max>;
    t.reduce_rows[reduce_min][0] = reduce_rows<Direct<float>, Min>;
    t.reduce_rows[reduce_min][1] = reduce_rows<Direct<double>, Min>;
    t.reduce_columns[reduce_sum][0] = reduce_columns<Widened, Sum>;
    t.reduce_columns[reduce_sum][1] = reduce_columns<Direct<double>, Sum>;
    t.reduce_columns[reduce_max][0] = reduce_columns<Direct<float>, Max>;
    t.reduce_columns[reduce_max][1] = reduce_columns<Direct<double>, Max>;
    t.reduce_columns[reduce_min][0] = reduce_columns<Direct<float>, Min>;
    t.reduce_columns[reduce_min][1] = reduce_columns<Direct<double>, Min>;
    t.argmax_row[0] = position<float, Max>;
    t.argmax_row[1] = position<double, Max>;
    t.argmin_row[0] = position<float, Min>;
    t.argmin_row[1] = position<double, Min>;
    t.squared_distance[0] = squared_distance<Widened>;
    t.squared_distance[1] = squared_distance<Direct<double>>;
    t.square_sum[0] = square_sum<Widened>;
    t.square_sum[1] = square_sum<Direct<double>>;
    t.running_sums[0] = running_sums<Widened>;
    t.running_sums[1] = running_sums<Direct<double>>;
}

}  // namespace TGE_ISA
}  // namespace tge
