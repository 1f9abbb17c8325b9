// The innermost part of a matrix product: tiles of C that stay in registers, and how a product is cut into them.
#pragma once
#include "pack.h"

namespace tge {
namespace TGE_ISA {
namespace {

// Block sizes, by vector width.
struct Blocks {
    i64 kc;             // steps of k: kc × (rows of a tile) of A stay in the first-level cache …
    i64 nc;             // … and kc × nc of B in the second
    i64 direct_rows;    // with no more rows than this B is read where it lies: packing would not pay …
    i64 resident_rows;  // … or with no more than this, if all of B stays in the second cache
    i64 row_columns;    // with no more columns than this A is, if its rows lie in one piece …
    i64 panel_columns;  // … or if its columns do
};
#if TGE_VECTOR_BYTES == 64
constexpr int registers = 32;
constexpr Blocks blocks_of_float = {256, 1024, 28, 70, 128, 256}, blocks_of_double = {192, 512, 28, 56, 64, 128};
#elif TGE_VECTOR_BYTES == 32
constexpr int registers = 16;
constexpr Blocks blocks_of_float = {256, 1024, 24, 24, 64, 64}, blocks_of_double = {192, 512, 24, 24, 32, 32};
#else
constexpr int registers = 16;
constexpr Blocks blocks_of_float = {256, 1024, 16, 16, 16, 16}, blocks_of_double = {192, 512, 16, 16, 8, 8};
#endif
// Bytes from one row of a matrix to the next. What lies nearer than this is quickly read a few columns of each row at a
// time, if it is fetched early; what lies further asks for another page of memory, and the same few places of the caches,
// with each row. With short vectors there is no time between the multiplications for fetching A.
constexpr bool fetches_a = TGE_VECTOR_BYTES == 64;
constexpr i64 near = fetches_a ? 1024 : 0, far = 4096;
constexpr i64 resident = i64{13} << 17;  // bytes that stay in the second cache
template <class T>
constexpr Blocks blocks = sizeof(T) == 4 ? blocks_of_float : blocks_of_double;

// A tile is up to `tile_rows(nv)` rows of nv = 1, 2, 4 or 8 vectors: high for many rows, wide for few. Its sums, a row of
// B and an element of A fill the registers.
constexpr int usual = 2, widest = 8;
constexpr i64 most_band = 4;  // tiles below each other in one piece of work
constexpr int tile_rows(int nv) {
    return nv < usual ? tile_rows(usual) : nv + nv + 1 > registers ? 1 : (registers - 1 - nv) / nv;
}

// How a tile reads A: `panel`: a[k·a_step + i], so packed, or a transposed matrix; `rows`: a[i·a_step + k].
enum class A { panel, rows };

// What happens to a tile's sums: they are added to what C holds if `add`, and to the biases that are there.
template <class T>
struct Finish {
    bool add;
    const T *bias, *row_bias;
};

// Writes a tile's sums: R rows of n ≤ NV·W columns.
template <class T, int R, int NV>
TGE_INLINE void write(typename Direct<T>::V (&sum)[R][NV], T* c, i64 c_row, i64 n, const Finish<T>& finish) {
    using L = Direct<T>;
    constexpr int W = L::W;
    if (n >= NV * W) {  // nearly always; nothing is asked for each vector then
        const auto for_all = [&](auto f) __attribute__((always_inline)) {
#pragma GCC unroll 16
            for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
                for (int j = 0; j < NV; ++j) f(sum[i][j], i, j);
        };
        using V = typename L::V;
        if (finish.add) for_all([&](V& v, int i, int j) __attribute__((always_inline)) { v = L::load(c + i * c_row + j * W) + v; });
        if (finish.bias) for_all([&](V& v, int, int j) __attribute__((always_inline)) { v += L::load(finish.bias + j * W); });
        if (finish.row_bias) for_all([&](V& v, int i, int) __attribute__((always_inline)) { v += finish.row_bias[i]; });
        for_all([&](V& v, int i, int j) __attribute__((always_inline)) { L::store(c + i * c_row + j * W, v); });
        return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
            T* to = c + i * c_row + j * W;
            typename L::V v = sum[i][j];
            if (n >= (j + 1) * W) {
                if (finish.add) v = L::load(to) + v;
                if (finish.bias) v += L::load(finish.bias + j * W);
                if (finish.row_bias) v += finish.row_bias[i];
                L::store(to, v);
            } else if (n > j * W) {
                const i64 m = n - j * W;
                if (finish.add) v = load_part<L>(to, m, T(0)) + v;
                if (finish.bias) v += load_part<L>(finish.bias + j * W, m, T(0));
                if (finish.row_bias) v += finish.row_bias[i];
                store_part<L>(to, m, v);
            }
        }
}

// R rows of C, n ≤ NV·W columns: C = Σ_k A[i, k]·b[k·b_step + j]. If `packs`, the strip of B is also copied to `packed`:
// there is room for these stores between the multiplications.
template <class T, int R, int NV, A a_form, bool packs>
void tile(i64 k, const T* a, i64 a_step, const T* b, i64 b_step, T* c, i64 c_row, i64 n, const Finish<T>& finish,
          [[maybe_unused]] T* packed) {
    using L = Direct<T>;
    using V = typename L::V;
    constexpr int W = L::W, line = 64 / sizeof(T);
    constexpr i64 ahead = 8, far_ahead = packs ? 16 : ahead;  // steps of A and B that are fetched early
    V sum[R][NV];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
            sum[i][j] = V{};
            __builtin_prefetch(c + i * c_row + j * W, 1);
        }
    const T* third[(R + 2) / 3];  // every third row: the two between are reached from it, which saves registers
#pragma GCC unroll 16
    for (int i = 0; i < (R + 2) / 3; ++i) third[i] = a + 3 * i * a_step;
    const auto step = [&](i64 s) __attribute__((always_inline)) {
        V row[NV];
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
            row[j] = L::load(b + j * W);
            __builtin_prefetch(b + far_ahead * b_step + j * W);
            if constexpr (packs) L::store(packed + j * W, row[j]);
        }
        if constexpr (packs) packed += NV * W;
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
            const V x = (a_form == A::panel ? a[i] : third[i / 3][(i % 3) * a_step + s]) - V{};
#pragma GCC unroll 8
            for (int j = 0; j < NV; ++j) sum[i][j] += x * row[j];
        }
        b += b_step;
    };
    if constexpr (a_form == A::panel) {
        for (i64 s = 0; s < k; ++s, a += a_step) {
            if constexpr (fetches_a) {
                __builtin_prefetch(a + ahead * a_step);
                __builtin_prefetch(a + ahead * a_step + R - 1);
            }
            step(0);
        }
    } else {
        for (i64 start = 0; start < k; start += line) {
            if (start + 4 * line < k)
#pragma GCC unroll 16
                for (int i = 0; i < R; ++i) __builtin_prefetch(third[i / 3] + (i % 3) * a_step + start + 4 * line);
            const i64 end = least(start + line, k);
            for (i64 s = start; s < end; ++s) step(s);
        }
    }
    write<T, R, NV>(sum, c, c_row, n, finish);
}

// R rows and n ≤ W columns of C for a B whose columns lie in memory as rows, read and transposed W × W at a time in
// registers: for so few rows, packing would take longer than multiplying. A has any strides.
template <class T, int R>
void tile_transposing(i64 k, const T* a, i64 a_row, i64 a_col, const T* b, i64 b_col, T* c, i64 c_row, i64 n,
                      const Finish<T>& finish) {
    using L = Direct<T>;
    using V = typename L::V;
    constexpr int W = L::W, line = 64 / sizeof(T);
    V sum[R][1];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) sum[i][0] = V{};
    for (i64 s = 0; s < k; s += W, a += W * a_col, b += W) {
        const i64 steps = least(k - s, W);
        V r[W];
        if (steps == W && n >= W) {
#pragma GCC unroll 16
            for (int j = 0; j < W; ++j) {
                r[j] = L::load(b + j * b_col);
                __builtin_prefetch(b + j * b_col + 4 * line);
            }
        } else {
            for (int j = 0; j < W; ++j)
                r[j] = j >= n ? V{} : steps == W ? L::load(b + j * b_col) : load_part<L>(b + j * b_col, steps, T(0));
        }
        transpose(r);
        if (steps == W) {
#pragma GCC unroll 16
            for (int t = 0; t < W; ++t)
#pragma GCC unroll 8
                for (int i = 0; i < R; ++i) sum[i][0] += (a[i * a_row + t * a_col] - V{}) * r[t];
        } else {
            for (int t = 0; t < steps; ++t)
#pragma GCC unroll 8
                for (int i = 0; i < R; ++i) sum[i][0] += (a[i * a_row + t * a_col] - V{}) * r[t];
        }
    }
    write<T, R, 1>(sum, c, c_row, n, finish);
}

template <class T>
using Tile = void (*)(i64, const T*, i64, const T*, i64, T*, i64, i64, const Finish<T>&, T*);

template <class T, int R, int NV, A a_form, bool packs>
Tile<T> tile_of(i64 rows) {
    if constexpr (R > 1)
        if (rows < R) return tile_of<T, R - 1, NV, a_form, packs>(rows);
    return tile<T, R, NV, a_form, packs>;
}
template <class T, int NV, bool packs = false>
Tile<T> tile_of(i64 rows, A a_form) {
    return a_form == A::rows ? tile_of<T, tile_rows(NV), NV, A::rows, packs>(rows)
                             : tile_of<T, tile_rows(NV), NV, A::panel, packs>(rows);
}
// The kernel for exactly `rows` rows and nv vectors of columns.
template <class T>
Tile<T> tile_of(i64 rows, int nv, A a_form) {
    return nv == 1   ? tile_of<T, 1>(rows, a_form)
           : nv == 2 ? tile_of<T, 2>(rows, a_form)
           : nv == 4 ? tile_of<T, 4>(rows, a_form)
                     : tile_of<T, 8>(rows, a_form);
}

template <class T>
using TransposingTile = void (*)(i64, const T*, i64, i64, const T*, i64, T*, i64, i64, const Finish<T>&);
constexpr int transposing_rows = 8;
template <class T, int R = transposing_rows>
TransposingTile<T> transposing_tile_of(i64 rows) {
    if constexpr (R > 1)
        if (rows < R) return transposing_tile_of<T, R - 1>(rows);
    return tile_transposing<T, R>;
}

}  // namespace
}  // namespace TGE_ISA
}  // namespace tge
