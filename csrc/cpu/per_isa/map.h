// One loop for all elementwise kernels: inputs and result with any byte strides, a functor on vectors.
#pragma once
#include "vec.h"

namespace tge {
namespace TGE_ISA {

// Calls f on vectors of N inputs that are contiguous (step 1) or one repeated value (step 0).
template <class L, int N, class Fn>
TGE_INLINE void map_contiguous(const Fn& f, i64 n, typename L::Store* out, const typename L::Store* const* in,
                               const int* step) {
    using S = typename L::Store;
    S repeated[N][L::W];
    const S* p[N];
    for (int j = 0; j < N; ++j) {
        p[j] = in[j];
        if (step[j]) continue;
        for (int i = 0; i < L::W; ++i) repeated[j][i] = in[j][0];
        p[j] = repeated[j];
    }
    const i64 advance0 = step[0] * L::W, advance1 = step[N > 1 ? 1 : 0] * L::W, advance2 = step[N > 2 ? 2 : 0] * L::W;
    typename L::V v[3];
    i64 i = 0;
    for (; i + L::W <= n; i += L::W) {
        for (int j = 0; j < N; ++j)
            if (step[j]) fetch(p[j]);
        fetch_to_write(out + i);
        v[0] = L::load(p[0]);
        p[0] += advance0;
        if (N > 1) v[1] = L::load(p[N > 1 ? 1 : 0]), p[N > 1 ? 1 : 0] += advance1;
        if (N > 2) v[2] = L::load(p[N > 2 ? 2 : 0]), p[N > 2 ? 2 : 0] += advance2;
        L::store(out + i, f(v));
    }
    if (i < n) {
        for (int j = 0; j < N; ++j)
            v[j] = step[j] ? load_part<L>(p[j], n - i, S(1)) : L::load(repeated[j]);
        store_part<L>(out + i, n - i, f(v));
    }
}

constexpr i64 map_block = 256;  // elements gathered at a time from other strides

template <class T>
TGE_INLINE void gather(i64 n, const char* p, i64 stride, T* to) {
    for (i64 i = 0; i < n; ++i) to[i] = *reinterpret_cast<const T*>(p + i * stride);
}

// The Inner of table.h for the functor Fn, which is made from the parameters.
template <class L, int N, class Fn>
void map(i64 n, char* const* p, const i64* stride, const double* parameters) {
    using S = typename L::Store;
    constexpr i64 size = sizeof(S);
    const Fn f(parameters);
    const S* in[N];
    int step[N];
    bool direct = stride[0] == size || n == 1;
    for (int j = 0; j < N; ++j) {
        in[j] = reinterpret_cast<const S*>(p[j + 1]);
        step[j] = stride[j + 1] != 0;
        direct = direct && (stride[j + 1] == size || stride[j + 1] == 0 || n == 1);
    }
    if (direct) return map_contiguous<L, N>(f, n, reinterpret_cast<S*>(p[0]), in, step);
    S gathered[N][map_block], result[map_block];
    for (i64 i = 0; i < n; i += map_block) {
        const i64 m = n - i < map_block ? n - i : map_block;
        for (int j = 0; j < N; ++j) {
            const char* from = p[j + 1] + i * stride[j + 1];
            in[j] = reinterpret_cast<const S*>(from);
            if (stride[j + 1] == size || stride[j + 1] == 0) continue;
            gather(m, from, stride[j + 1], gathered[j]);
            in[j] = gathered[j];
        }
        char* to = p[0] + i * stride[0];
        if (stride[0] == size) {
            map_contiguous<L, N>(f, m, reinterpret_cast<S*>(to), in, step);
        } else {
            map_contiguous<L, N>(f, m, result, in, step);
            for (i64 k = 0; k < m; ++k) *reinterpret_cast<S*>(to + k * stride[0]) = result[k];
        }
    }
}

}  // namespace TGE_ISA
}  // namespace tge
