// Copies of pieces of a matrix in the order in which a micro-kernel reads them, whatever the strides of the matrix.
#pragma once
#include "vec.h"

namespace tge {
namespace TGE_ISA {

TGE_INLINE i64 least(i64 a, i64 b) { return a < b ? a : b; }
TGE_INLINE i64 round_up(i64 a, i64 b) { return (a + b - 1) / b * b; }

// Which elements of two vectors make the lower and the upper half of (a0, b0, a1, b1, …).
template <class V>
struct Interleave;
#define TGE_INTERLEAVE(V, I, LOW, HIGH)                                                      \
    template <>                                                                              \
    struct Interleave<V> {                                                                   \
        static TGE_INLINE V low(V a, V b) { return __builtin_shuffle(a, b, I LOW); }         \
        static TGE_INLINE V high(V a, V b) { return __builtin_shuffle(a, b, I HIGH); }       \
    };
#define TGE_LIST(...) {__VA_ARGS__}
#if TGE_VECTOR_BYTES == 64
TGE_INTERLEAVE(F, FI, TGE_LIST(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
               TGE_LIST(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))
TGE_INTERLEAVE(D, DI, TGE_LIST(0, 8, 1, 9, 2, 10, 3, 11), TGE_LIST(4, 12, 5, 13, 6, 14, 7, 15))
#elif TGE_VECTOR_BYTES == 32
TGE_INTERLEAVE(F, FI, TGE_LIST(0, 8, 1, 9, 2, 10, 3, 11), TGE_LIST(4, 12, 5, 13, 6, 14, 7, 15))
TGE_INTERLEAVE(D, DI, TGE_LIST(0, 4, 1, 5), TGE_LIST(2, 6, 3, 7))
#else
TGE_INTERLEAVE(F, FI, TGE_LIST(0, 4, 1, 5), TGE_LIST(2, 6, 3, 7))
TGE_INTERLEAVE(D, DI, TGE_LIST(0, 2), TGE_LIST(1, 3))
#endif
#undef TGE_LIST
#undef TGE_INTERLEAVE

// W vectors of W elements become their columns: log₂ W rounds, each of which interleaves the first half with the second.
template <class V, int W>
TGE_INLINE void transpose(V (&r)[W]) {
#pragma GCC unroll 4
    for (int round = 1; round < W; round *= 2) {
        V t[W];
#pragma GCC unroll 8
        for (int i = 0; i < W / 2; ++i) {
            t[2 * i] = Interleave<V>::low(r[i], r[i + W / 2]);
            t[2 * i + 1] = Interleave<V>::high(r[i], r[i + W / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) r[i] = t[i];
    }
}

// to[d·width + w] = from[w·across + d] for w < count, 0 for the others. Where width < W, up to W − width elements behind
// the last row are written too; otherwise width is a multiple of W, or count is width.
template <class T>
void pack_transposed(i64 depth, i64 count, i64 width, const T* from, i64 across, T* to) {
    using L = Direct<T>;
    using V = typename L::V;
    constexpr int W = L::W;
    constexpr i64 ahead = 4, line = 64 / sizeof(T);
    for (i64 start = 0; start < width; start += W) {
        const i64 w0 = width < W ? 0 : least(start, width - W), rows = count - w0;
        // The last block begins earlier rather than end later: what lies twice in a block is written twice, the same.
        for (i64 start_d = 0; start_d < depth; start_d += W) {
            const i64 d0 = least(start_d, depth - W);
            const T* source = from + w0 * across + d0;
            V r[W];
            if (rows >= W) {
#pragma GCC unroll 16
                for (int i = 0; i < W; ++i) {
                    r[i] = L::load(source + i * across);
                    __builtin_prefetch(source + i * across + ahead * line);
                }
            } else
                for (int i = 0; i < W; ++i) r[i] = i < rows ? L::load(source + i * across) : V{};
            transpose(r);
            T* target = to + d0 * width + w0;
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i) L::store(target + i * width, r[i]);
        }
    }
}

// to[d·width + w] = from[w + d·along] for w < count, 0 for the others.
template <class T>
void pack_straight(i64 depth, i64 count, i64 width, const T* from, i64 along, T* to) {
    using L = Direct<T>;
    constexpr int W = L::W;
    constexpr i64 ahead = 8;
    for (i64 d = 0; d < depth; ++d, from += along, to += width) {
        i64 w = 0;
        __builtin_prefetch(from + ahead * along);
        for (; w + W <= count; w += W) L::store(to + w, L::load(from + w));
        if (w == width) continue;
        copy_part<T, W>(to + w, from + w, count - w);
        for (w = count; w < width; ++w) to[w] = 0;
    }
}

// `depth` steps of `count` values each, side by side: to[d·width + w] = from[w·across + d·along], 0 from w = count on.
// Room for a vector more than depth · width is needed.
template <class T>
void pack(i64 depth, i64 count, i64 width, const T* from, i64 across, i64 along, T* to) {
    constexpr int W = Direct<T>::W;
    if (across == 1) return pack_straight(depth, count, width, from, along, to);
    if (along == 1 && depth >= W && (count == width || width % W == 0))
        return pack_transposed(depth, count, width, from, across, to);
    for (i64 d = 0; d < depth; ++d, from += along, to += width) {
        for (i64 w = 0; w < count; ++w) to[w] = from[w * across];
        for (i64 w = count; w < width; ++w) to[w] = 0;
    }
}

}  // namespace TGE_ISA
}  // namespace tge
