// Matrix product C (M, N) = A (M, K) · B (K, N) in steps, each one idea more than the one before. All row-major.
// The library's own is csrc/cpu/per_isa/gemm.cpp.
#include <thread>
#include <vector>

#include "ladder.h"

namespace {

// A block of C at a time: KC × NC of B stay in the second-level cache, a tile of C in registers.
constexpr long KC = 256, NC = 512;
constexpr int MR = 8, NV = 2, NR = NV * W;

// A strip of B: `depth` rows of NR columns, one behind the other, zeros where B has no more columns.
void pack_b(const float* b, long n, long depth, long columns, float* to) {
    for (long p = 0; p < depth; ++p)
        for (long j = 0; j < NR; ++j) *to++ = j < columns ? b[p * n + j] : 0.0f;
}

// A panel of A: MR rows, element by element in the order in which the tile reads them.
void pack_a(const float* a, long k, long depth, long rows, float* to) {
    for (long p = 0; p < depth; ++p)
        for (long i = 0; i < MR; ++i) *to++ = i < rows ? a[i * k + p] : 0.0f;
}

// Adds an MR × NR tile, computed beside C, to the part of it that C has.
void add_tile(const float (&sum)[MR][NR], float* c, long n, long rows, long columns) {
    for (long i = 0; i < rows; ++i)
        for (long j = 0; j < columns; ++j) c[i * n + j] += sum[i][j];
}

// The tile by plain loops over packed panels …
void tile_loops(long depth, const float* a, const float* b, float* c, long n, long rows, long columns) {
    float sum[MR][NR] = {};
    for (long p = 0; p < depth; ++p)
        for (int i = 0; i < MR; ++i)
            for (int j = 0; j < NR; ++j) sum[i][j] += a[p * MR + i] * b[p * NR + j];
    add_tile(sum, c, n, rows, columns);
}

// … and with MR × NV vectors that never leave the registers.
void tile_vectors(long depth, const float* a, const float* b, float* c, long n, long rows, long columns) {
    V sum[MR][NV] = {};
    for (long p = 0; p < depth; ++p, a += MR, b += NR) {
        V row[NV];
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) row[j] = load(b + j * W);
#pragma GCC unroll 8
        for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
            for (int j = 0; j < NV; ++j) sum[i][j] += a[i] * row[j];
    }
    float plain[MR][NR];
    for (int i = 0; i < MR; ++i)
        for (int j = 0; j < NV; ++j) store(&plain[i][j * W], sum[i][j]);
    add_tile(plain, c, n, rows, columns);
}

using Tile = void (*)(long, const float*, const float*, float*, long, long, long);

// Blocks, packing and tiles together, for the rows [first, last) of C.
void packed_rows(Tile tile, long first, long last, long n, long k, const float* a, const float* b, float* c) {
    std::vector<float> strips(static_cast<unsigned long>(KC * (NC + NR))), panel(KC * MR);
    for (long i = first * n; i < last * n; ++i) c[i] = 0;
    for (long j0 = 0; j0 < n; j0 += NC)
        for (long p0 = 0; p0 < k; p0 += KC) {
            const long width = least(NC, n - j0), depth = least(KC, k - p0);
            for (long j = 0; j < width; j += NR)
                pack_b(b + p0 * n + j0 + j, n, depth, least(NR, width - j), &strips[static_cast<unsigned long>(j * depth)]);
            for (long i = first; i < last; i += MR) {
                pack_a(a + i * k + p0, k, depth, least(MR, last - i), panel.data());
                for (long j = 0; j < width; j += NR)
                    tile(depth, panel.data(), &strips[static_cast<unsigned long>(j * depth)], c + i * n + j0 + j, n,
                         least(MR, last - i), least(NR, width - j));
            }
        }
}

}  // namespace

extern "C" {

// 1. The definition. The inner loop walks down a column of B: a new cache line for every number.
void matmul_1_naive(long m, long n, long k, const float* a, const float* b, float* c, int) {
    for (long i = 0; i < m; ++i)
        for (long j = 0; j < n; ++j) {
            float sum = 0;
            for (long p = 0; p < k; ++p) sum += a[i * k + p] * b[p * n + j];
            c[i * n + j] = sum;
        }
}

// 2. Loop order: the inner loop walks along rows of B and C, and the compiler makes vectors of it.
void matmul_2_order(long m, long n, long k, const float* a, const float* b, float* __restrict c, int) {
    for (long i = 0; i < m * n; ++i) c[i] = 0;
    for (long i = 0; i < m; ++i)
        for (long p = 0; p < k; ++p)
            for (long j = 0; j < n; ++j) c[i * n + j] += a[i * k + p] * b[p * n + j];
}

// 3. Register tile: four rows at once, so that each number loaded from B is used four times.
void matmul_3_rows(long m, long n, long k, const float* a, const float* b, float* __restrict c, int threads) {
    const long even = m / 4 * 4;
    for (long i = 0; i < even * n; ++i) c[i] = 0;
    for (long i = 0; i < even; i += 4)
        for (long p = 0; p < k; ++p)
            for (long j = 0; j < n; ++j)
#pragma GCC unroll 4
                for (long r = 0; r < 4; ++r) c[(i + r) * n + j] += a[(i + r) * k + p] * b[p * n + j];
    matmul_2_order(m - even, n, k, a + even * k, b, c + even * n, threads);
}

// 4. Cache blocks: the same loops over pieces of B that stay in the cache while all rows of A pass by.
void matmul_4_blocked(long m, long n, long k, const float* a, const float* b, float* __restrict c, int) {
    for (long i = 0; i < m * n; ++i) c[i] = 0;
    for (long j0 = 0; j0 < n; j0 += NC)
        for (long p0 = 0; p0 < k; p0 += KC)
            for (long i = 0; i < m; ++i)
                for (long p = p0; p < least(p0 + KC, k); ++p) {
                    const float x = a[i * k + p];
                    for (long j = j0; j < least(j0 + NC, n); ++j) c[i * n + j] += x * b[p * n + j];
                }
}

// 5. Packing: pieces of A and B are copied into the order in which a small tile of C reads them.
void matmul_5_packed(long m, long n, long k, const float* a, const float* b, float* c, int) {
    packed_rows(tile_loops, 0, m, n, k, a, b, c);
}

// 6. Vectors: the tile's sums are vector variables, so they stay in registers from the first step of k to the last.
void matmul_6_vectors(long m, long n, long k, const float* a, const float* b, float* c, int) {
    packed_rows(tile_vectors, 0, m, n, k, a, b, c);
}

// 7. Threads: each takes a share of the rows, so no two write the same number and no sum changes its order.
void matmul_7_threads(long m, long n, long k, const float* a, const float* b, float* c, int threads) {
    const long share = ((m + threads - 1) / threads + MR - 1) / MR * MR;
    std::vector<std::thread> others;
    for (long first = share; first < m; first += share)
        others.emplace_back(packed_rows, tile_vectors, first, least(first + share, m), n, k, a, b, c);
    packed_rows(tile_vectors, 0, least(share, m), n, k, a, b, c);
    for (std::thread& other : others) other.join();
}

}  // extern "C"
