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
    constexpr int lanes = 8, W = L::W;
    const auto pad = static_cast<typename L::Store>(R::neutral);
    V all = splat<V>(pad);
    i64 i = 0;
    if (n >= lanes * W) {
        V a[lanes];
        for (V& lane : a) lane = splat<V>(pad);
        for (; i + lanes * W <= n; i += lanes * W) {
#pragma GCC unroll 8
            for (int j = 0; j < lanes; ++j) {
                if (j * W * sizeof(typename L::Store) % 64 == 0) fetch(x + i + j * W);
                a[j] = R::combine(a[j], L::load(x + i + j * W));
            }
        }
#pragma GCC unroll 8
        for (int half = lanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
            for (int j = 0; j < half; ++j) a[j] = R::combine(a[j], a[j + half]);
        }
        all = a[0];
    }
    for (; i + W <= n; i += W) all = R::combine(all, L::load(x + i));
    if (i < n) all = R::combine(all, load_part<L>(x + i, n - i, pad));
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

// `group` rows into the accumulators of n columns, whose number has been rounded up to whole vectors.
template <class L, class R, int group>
TGE_INLINE void add_rows(i64 n, const char* base, i64 row_stride, typename Element<typename L::V>::T* accumulators) {
    using S = typename L::Store;
    using A = Direct<typename Element<typename L::V>::T>;
    const auto row = [=](int k) { return reinterpret_cast<const S*>(base + k * row_stride); };
    i64 c = 0;
    for (; c + L::W <= n; c += L::W) {
        typename L::V a = A::load(accumulators + c);
#pragma GCC unroll 8
        for (int k = 0; k < group; ++k) a = R::combine(a, L::load(row(k) + c));
        A::store(accumulators + c, a);
    }
    if (c == n) return;
    typename L::V a = A::load(accumulators + c);
#pragma GCC unroll 8
    for (int k = 0; k < group; ++k) a = R::combine(a, load_part<L>(row(k) + c, n - c, S(0)));
    A::store(accumulators + c, a);
}

template <class L, class R>
void reduce_columns(i64 rows, i64 columns, const void* x, i64 row_stride, double* accumulators) {
    constexpr i64 tile = 512, group = 8;  // columns whose accumulators stay in the nearest cache; rows read side by side
    typename Element<typename L::V>::T part[tile];
    for (i64 c = 0; c < columns; c += tile) {
        const char* base = static_cast<const char*>(x) + c * static_cast<i64>(sizeof(typename L::Store));
        const i64 n = columns - c < tile ? columns - c : tile;
        for (i64 i = 0; i < (n + L::W - 1) / L::W * L::W; ++i) part[i] = static_cast<typename Element<typename L::V>::T>(R::neutral);
        i64 r = 0;
        for (; r + group <= rows; r += group) add_rows<L, R, group>(n, base + r * row_stride, row_stride, part);
        for (; r < rows; ++r) add_rows<L, R, 1>(n, base + r * row_stride, row_stride, part);
        for (i64 i = 0; i < n; ++i) accumulators[c + i] = static_cast<double>(part[i]);
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

// v moved up by `by` lanes. What comes in is −0, which changes no number that it is added to.
template <int by>
TGE_INLINE D moved_up(D v) {
    DI from{};
    for (int i = 0; i < DW; ++i) from[i] = i < by ? DW : i - by;
    return __builtin_shuffle(v, splat<D>(-0.0), from);
}
// A line of float32, W sums at a time in log₂ W steps: one after the other, each would wait for the one before.
TGE_INLINE void running_line(i64 n, const float* x, float* y) {
    using L = Widened;
    D before = splat<D>(-0.0);
    const auto sums = [&before](D v) __attribute__((always_inline)) {
        v += moved_up<1>(v);
        if (DW > 2) v += moved_up<2>(v);
        if (DW > 4) v += moved_up<4>(v);
        const D all = before + v;
        before = before + __builtin_shuffle(v, DI{} + (DW - 1));
        return all;
    };
    i64 i = 0;
    for (; i + L::W <= n; i += L::W) L::store(y + i, sums(L::load(x + i)));
    if (i < n) store_part<L>(y + i, n - i, sums(load_part<L>(x + i, n - i, 0)));
}
// Lines next to each other, in tiles whose sums stay in the nearest cache.
template <class L>
TGE_INLINE void running_columns(i64 n, i64 step, i64 lines, const typename L::Store* data, typename L::Store* to) {
    constexpr i64 tile = 512;
    for (i64 line = 0; line < lines; line += tile) {
        const auto* x = data + line;
        auto* y = to + line;
        const i64 width = lines - line < tile ? lines - line : tile;
        double sums[tile];
        for (i64 i = 0; i < (width + L::W - 1) / L::W * L::W; ++i) sums[i] = -0.0;
        for (i64 r = 0; r < n; ++r, x += step, y += step) {
            i64 i = 0;
            for (; i + L::W <= width; i += L::W) {
                const D sum = Direct<double>::load(sums + i) + L::load(x + i);
                Direct<double>::store(sums + i, sum);
                L::store(y + i, sum);
            }
            if (i == width) continue;
            const D sum = Direct<double>::load(sums + i) + load_part<L>(x + i, width - i, 0);
            Direct<double>::store(sums + i, sum);
            store_part<L>(y + i, width - i, sum);
        }
    }
}

// All in float64; of float64 itself one addition after the other, of several lines at a time.
void running_sums(i64 n, i64 step, i64 lines, i64 line_step, const void* data, void* to) {
    const float* x = static_cast<const float*>(data);
    float* y = static_cast<float*>(to);
    if (line_step == 1 && lines > 1) return running_columns<Widened>(n, step, lines, x, y);
    for (i64 line = 0; line < lines; ++line) running_line(n, x + line * line_step, y + line * line_step);
}
void running_sums_double(i64 n, i64 step, i64 lines, i64 line_step, const void* data, void* to) {
    const double* x = static_cast<const double*>(data);
    double* y = static_cast<double*>(to);
    if (line_step == 1 && lines > 1) return running_columns<Direct<double>>(n, step, lines, x, y);
    constexpr i64 most = 8;
    for (i64 line = 0; line < lines; line += most) {
        const i64 together = lines - line < most ? lines - line : most, start = line * line_step;
        double sums[most];
        for (double& sum : sums) sum = -0.0;
        for (i64 i = start; i < start + n; ++i)
            for (i64 j = 0; j < together; ++j) y[i + j * line_step] = sums[j] += x[i + j * line_step];
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
    t.running_sums[0] = running_sums;
    t.running_sums[1] = running_sums_double;
}

}  // namespace TGE_ISA
}  // namespace tge
