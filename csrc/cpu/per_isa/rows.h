// What softmax and cross-entropy do with a row of logits.
#pragma once
#include "vmath.h"

namespace tge {
namespace TGE_ISA {

// Terms of a softmax: what is below the smallest normal number is 0 beside the largest term, and to round a result to a
// subnormal number takes a processor a hundred cycles, for every key that a mask hides.
TGE_INLINE F vexp(F x) { return x < -87.0f ? F{} : exp32(at_least(x, -87.0f)); }
TGE_INLINE D vexp(D x) { return Full::exp(x); }
TGE_INLINE double sum_lanes(D v) {
    double s = v[0];
    for (int i = 1; i < DW; ++i) s += v[i];
    return s;
}
// A vector's elements added into float64 accumulators.
TGE_INLINE D add_lanes(D sum, D v) { return sum + v; }
TGE_INLINE D add_lanes(D sum, F v) {
    FHalf halves[2];
    __builtin_memcpy(halves, &v, sizeof v);
    return sum + (__builtin_convertvector(halves[0], D) + __builtin_convertvector(halves[1], D));
}

template <class T>
TGE_INLINE T row_max(i64 n, const T* x) {
    using L = Direct<T>;
    using V = typename L::V;
    V top = splat<V>(-__builtin_inf());
    i64 i = 0;
    for (; i + L::W <= n; i += L::W) top = vmax(top, L::load(x + i));
    if (i < n) top = vmax(top, load_part<L>(x + i, n - i, static_cast<T>(-__builtin_inf())));
    T result = top[0];
    for (int j = 1; j < L::W; ++j) result = result > top[j] || result != result ? result : top[j];
    return result;
}

// Σ exp(x − top); with y, the terms are also written there.
template <class T>
TGE_INLINE double exp_sum(i64 n, const T* x, T top, T* y) {
    using L = Direct<T>;
    using V = typename L::V;
    D sum{};
    i64 i = 0;
    for (; i + L::W <= n; i += L::W) {
        const V e = vexp(L::load(x + i) - top);
        if (y) L::store(y + i, e);
        sum = add_lanes(sum, e);
    }
    if (i < n) {
        V e = vexp(load_part<L>(x + i, n - i, T(0)) - top);
        if (y) store_part<L>(y + i, n - i, e);
        for (i64 j = n - i; j < L::W; ++j) e[j] = 0;
        sum = add_lanes(sum, e);
    }
    return sum_lanes(sum);
}

// y[i] = f(x[i], z[i]) along a row, all contiguous.
template <class T, class Fn>
TGE_INLINE void row_map(i64 n, const T* x, const T* z, T* y, const Fn& f) {
    using L = Direct<T>;
    i64 i = 0;
    for (; i + L::W <= n; i += L::W) L::store(y + i, f(L::load(x + i), L::load(z + i)));
    if (i < n)
        store_part<L>(y + i, n - i, f(load_part<L>(x + i, n - i, T(0)), load_part<L>(z + i, n - i, T(0))));
}

// Σ f(x[i], z[i]), in float64; f(0, 0) is 0.
template <class T, class Fn>
TGE_INLINE double row_sum(i64 n, const T* x, const T* z, const Fn& f) {
    using L = Direct<T>;
    D sum{};
    i64 i = 0;
    for (; i + L::W <= n; i += L::W) sum = add_lanes(sum, f(L::load(x + i), L::load(z + i)));
    if (i < n)
        sum = add_lanes(sum, f(load_part<L>(x + i, n - i, T(0)), load_part<L>(z + i, n - i, T(0))));
    return sum_lanes(sum);
}

}  // namespace TGE_ISA
}  // namespace tge
