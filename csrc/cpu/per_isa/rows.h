// What softmax and cross-entropy do with a row of logits.
#pragma once
#include "vmath.h"

namespace tge {
namespace TGE_ISA {

// Terms of a softmax: what is below the smallest normal number is 0 beside the largest term, and to round a result to a
// subnormal number takes a processor a hundred cycles, for every key that a mask hides.
TGE_INLINE F vexp(F x) { return x < -87.0f ? F{} : exp32(at_least(x, -87.0f)); }
TGE_INLINE D vexp(D x) { return Full::exp(x); }
// A vector's lanes brought together by f, one half with the other, until one is left.
template <class T, int n>
struct Fold {
    typedef T V __attribute__((vector_size(n * sizeof(T))));
    typedef T Half __attribute__((vector_size(n / 2 * sizeof(T))));
    template <class Fn>
    static TGE_INLINE T of(V v, const Fn& f) {
        Half halves[2];
        __builtin_memcpy(halves, &v, sizeof v);
        return Fold<T, n / 2>::of(f(halves[0], halves[1]), f);
    }
};
template <class T>
struct Fold<T, 2> {
    typedef T V __attribute__((vector_size(2 * sizeof(T))));
    template <class Fn>
    static TGE_INLINE T of(V v, const Fn& f) { return f(v[0], v[1]); }
};
TGE_INLINE double sum_lanes(D v) {
    return Fold<double, DW>::of(v, [](auto a, auto b) __attribute__((always_inline)) { return a + b; });
}
template <class T>
TGE_INLINE T max_lanes(typename Direct<T>::V v) {
    return Fold<T, Direct<T>::W>::of(v, [](auto a, auto b) __attribute__((always_inline)) { return vmax(a, b); });
}
// A vector's elements added into float64 accumulators.
TGE_INLINE D add_lanes(D sum, D v) { return sum + v; }
TGE_INLINE D add_lanes(D sum, F v) {
    FHalf halves[2];
    __builtin_memcpy(halves, &v, sizeof v);
    return sum + (widened(halves[0]) + widened(halves[1]));
}

template <class T>
TGE_INLINE T row_max(i64 n, const T* x) {
    using L = Direct<T>;
    using V = typename L::V;
    V top = splat<V>(-__builtin_inf());
    i64 i = 0;
    for (; i + L::W <= n; i += L::W) {
        fetch(x + i);
        top = vmax(top, L::load(x + i));
    }
    if (i < n) top = vmax(top, load_part<L>(x + i, n - i, static_cast<T>(-__builtin_inf())));
    return max_lanes<T>(top);
}

// Σ exp(x − top) but for the element `without` (−1: all of them), in float64 over runs of 8 vectors; with y, the terms are
// also written there.
template <class T>
TGE_INLINE double exp_sum(i64 n, const T* x, T top, T* y, i64 without = -1) {
    using L = Direct<T>;
    using V = typename L::V;
    using Index = decltype(typename Simd<T>::I{}[0] + 0);
    typename Simd<T>::I lane{};
    for (int j = 0; j < L::W; ++j) lane[j] = j;
    D sum{};
    V part{};
    i64 i = 0;
    for (; i + L::W <= n; i += L::W) {
        const V e = vexp(L::load(x + i) - top);
        if (y) fetch_to_write(y + i), L::store(y + i, e);
        part += without < 0 ? e : lane == static_cast<Index>(without - i) ? V{} : e;
        if (i / L::W % 8 == 7) sum = add_lanes(sum, part), part = V{};
    }
    if (i < n) {
        const V e = vexp(load_part<L>(x + i, n - i, T(0)) - top);
        if (y) store_part<L>(y + i, n - i, e);
        part += (lane >= static_cast<Index>(n - i)) | (lane == static_cast<Index>(without - i)) ? V{} : e;
    }
    return sum_lanes(add_lanes(sum, part));
}

// Rows whose logarithms are taken together, as vectors; few enough to be in the cache when they are read again.
constexpr i64 most_rows_together = 32;
TGE_INLINE i64 rows_together(i64 n) {
    const i64 fit = 4096 / (n + 1) + 1;
    return fit < most_rows_together ? fit : most_rows_together;
}
// x = f(x) for `most_rows_together` numbers: as vectors where the result will be rounded to float32, else exactly.
template <class T, class Vector, class Scalar>
TGE_INLINE void together(i64 n, double* x, const Vector& vector, const Scalar& scalar) {
    if (sizeof(T) == 4) {
        for (i64 i = 0; i < n; i += DW) Direct<double>::store(x + i, vector(Direct<double>::load(x + i)));
    } else {
        for (i64 i = 0; i < n; ++i) x[i] = scalar(x[i]);
    }
}
template <class T>
TGE_INLINE void logs(i64 n, double* x) {
    together<T>(n, x, [](D v) __attribute__((always_inline)) { return Lite::log(v); }, [](double v) __attribute__((always_inline)) { return __builtin_log(v); });
}

// y[i] = f(x[i], z[i]) along a row, all contiguous.
template <class T, class Fn>
TGE_INLINE void row_map(i64 n, const T* x, const T* z, T* y, const Fn& f) {
    using L = Direct<T>;
    i64 i = 0;
    for (; i + L::W <= n; i += L::W) {
        fetch(x + i);
        fetch(z + i);
        fetch_to_write(y + i);
        L::store(y + i, f(L::load(x + i), L::load(z + i)));
    }
    if (i < n)
        store_part<L>(y + i, n - i, f(load_part<L>(x + i, n - i, T(0)), load_part<L>(z + i, n - i, T(0))));
}

// Σ f(x[i], z[i]), in float64 over runs of 8 vectors; f(0, 0) is 0.
template <class T, class Fn>
TGE_INLINE double row_sum(i64 n, const T* x, const T* z, const Fn& f) {
    using L = Direct<T>;
    D sum{};
    typename L::V part{};
    i64 i = 0;
    for (; i + L::W <= n; i += L::W) {
        fetch(x + i);
        fetch(z + i);
        part += f(L::load(x + i), L::load(z + i));
        if (i / L::W % 8 == 7) sum = add_lanes(sum, part), part = typename L::V{};
    }
    if (i < n) part += f(load_part<L>(x + i, n - i, T(0)), load_part<L>(z + i, n - i, T(0)));
    return sum_lanes(add_lanes(sum, part));
}

}  // namespace TGE_ISA
}  // namespace tge
