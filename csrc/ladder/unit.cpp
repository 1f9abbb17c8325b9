// The last step of the matrix product's ladder: a matrix unit (Intel's AMX), where the processor has one. It multiplies
// bfloat16, numbers of 8 significant bits, tile by tile: 16 rows of 32 numbers with 32 rows of 16 columns. A float32 is the sum
// of three of them. What the library does about infinite and tiny numbers, and the caches, is left out here.
#include <cstring>
#include <thread>
#include <vector>

#include "ladder.h"

#if defined(__AMX_BF16__) && defined(__AVX512F__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using Half = std::uint16_t;
constexpr long lines = 16, depth = 32, parts = 3, tile = lines * depth;  // numbers of a tile

// Sixteen pairs (x, y) in three parts: the nearest bfloat16, then the nearest to what that leaves, and again. To 64 bytes in
// each of three tiles.
void split(V x, V y, Half* to) {
    for (long part = 0; part < parts; ++part, to += tile) {
        const VI top = VI{} + static_cast<int>(0xFFFF0000);
        const VI bx = (reinterpret_cast<VI>(x) + 0x8000) & top, by = (reinterpret_cast<VI>(y) + 0x8000) & top;
        store(reinterpret_cast<float*>(to), reinterpret_cast<V>(((bx >> 16) & 0xFFFF) | by));
        x -= reinterpret_cast<V>(bx);
        y -= reinterpret_cast<V>(by);
    }
}

// A matrix with zeros around it, so that both sizes are whole steps.
std::vector<float> padded(long rows, long columns, long row, const float* from) {
    const long across = (columns + depth - 1) / depth * depth, down = (rows + depth - 1) / depth * depth;
    std::vector<float> copy(static_cast<std::size_t>(down * across));
    for (long r = 0; r < rows; ++r)
        std::memcpy(copy.data() + r * across, from + r * row, static_cast<std::size_t>(columns) * sizeof(float));
    return copy;
}

// Tiles of 16 rows of A, or 16 columns of B, three for each 32 steps of k. Numbers k and k + 16 of a step are neighbours: a row
// of a tile of A is a row's 32 numbers, one of B is numbers k and k + 16 of 16 columns.
std::vector<Half> split_a(long m, long k, const float* a) {
    const std::vector<float> from = padded(m, k, k, a);
    const long steps = (k + depth - 1) / depth, rows = static_cast<long>(from.size()) / (steps * depth);
    std::vector<Half> tiles(from.size() * parts);
    for (long i = 0; i < rows; ++i)
        for (long s = 0; s < steps; ++s) {
            const float* p = from.data() + (i * steps + s) * depth;
            split(load(p), load(p + lines), tiles.data() + (i / lines * steps + s) * parts * tile + i % lines * depth);
        }
    return tiles;
}
std::vector<Half> split_b(long k, long n, const float* b) {
    const std::vector<float> from = padded(k, n, n, b);
    const long steps = (k + depth - 1) / depth, columns = static_cast<long>(from.size()) / (steps * depth);
    std::vector<Half> tiles(from.size() * parts);
    for (long s = 0; s < steps; ++s)
        for (long i = 0; i < lines; ++i)
            for (long j = 0; j < columns; j += lines) {
                const float* p = from.data() + (s * depth + i) * columns + j;
                split(load(p), load(p + lines * columns), tiles.data() + (j / lines * steps + s) * parts * tile + i * depth);
            }
    return tiles;
}

#define LOAD(t, p) asm volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"(p), "r"(64L) : "memory")
#define STORE(t, p) asm volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"(p), "r"(128L) : "memory")

// 32 × 32 sums: the six products of parts that matter, 11, 12, 13, 21, 22 and 31, of two tiles of A with two of B.
void multiply(long steps, const Half* a, const Half* b, long next, float* sums) {
    asm volatile("tilezero %tmm0\n\ttilezero %tmm1\n\ttilezero %tmm2\n\ttilezero %tmm3");
    constexpr int pairs[][2] = {{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}};
    for (long s = 0; s < steps; ++s, a += parts * tile, b += parts * tile)
        for (const auto& pair : pairs) {
            LOAD(4, a + pair[0] * tile);
            LOAD(5, a + next + pair[0] * tile);
            LOAD(6, b + pair[1] * tile);
            LOAD(7, b + next + pair[1] * tile);
            asm volatile("tdpbf16ps %tmm6, %tmm4, %tmm0\n\ttdpbf16ps %tmm7, %tmm4, %tmm1\n\t"
                         "tdpbf16ps %tmm6, %tmm5, %tmm2\n\ttdpbf16ps %tmm7, %tmm5, %tmm3");
        }
    STORE(0, sums);
    STORE(1, sums + lines);
    STORE(2, sums + 2 * lines * lines);
    STORE(3, sums + 2 * lines * lines + lines);
}

// Rows [first, last) of C.
void rows(long first, long last, long n, long k, const Half* a, const Half* b, float* c) {
    struct alignas(64) {
        unsigned char palette = 1, start = 0, reserved[14] = {};
        unsigned short row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        unsigned char rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } const shape;
    asm volatile("ldtilecfg %0" ::"m"(shape) : "memory");
    const long steps = (k + depth - 1) / depth, next = steps * parts * tile;  // from 16 lines to the next 16
    alignas(64) float sums[4 * lines * lines];
    // Four tiles of columns stay in the second cache while all rows pass by.
    for (long j0 = 0; j0 < n; j0 += 8 * lines)
        for (long i = first; i < last; i += 2 * lines)
            for (long j = j0; j < least(j0 + 8 * lines, n); j += 2 * lines) {
                multiply(steps, a + i / lines * next, b + j / lines * next, next, sums);
                for (long r = 0; r < least(2 * lines, last - i); ++r)
                    for (long s = 0; s < least(2 * lines, n - j); ++s) c[(i + r) * n + j + s] = sums[r * 2 * lines + s];
            }
    asm volatile("tilerelease" ::: "memory");
}

}  // namespace

extern "C" {

// Linux gives a process the unit's registers when it asks for them.
int unit_is_there() { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }

// 8. A matrix unit: each number in three parts, six products of these for one.
void matmul_8_unit(long m, long n, long k, const float* a, const float* b, float* c, int threads) {
    const std::vector<Half> of_a = split_a(m, k, a), of_b = split_b(k, n, b);
    const long share = ((m + threads - 1) / threads + 2 * lines - 1) / (2 * lines) * 2 * lines;
    std::vector<std::thread> others;
    for (long first = share; first < m; first += share)
        others.emplace_back(rows, first, least(first + share, m), n, k, of_a.data(), of_b.data(), c);
    rows(0, least(share, m), n, k, of_a.data(), of_b.data(), c);
    for (std::thread& other : others) other.join();
}

}  // extern "C"

#else

extern "C" int unit_is_there() { return 0; }

#endif
