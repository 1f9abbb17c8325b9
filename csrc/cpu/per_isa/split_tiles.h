// Tiles of C on the matrix unit (Intel's AMX): 32 × 32 sums from panels of numbers that were split into parts.
#pragma once
#include "split.h"

namespace tge {
namespace TGE_ISA {
namespace {

// The unit's eight registers hold tiles of 16 rows of 64 bytes; each thread says so before it uses them, and that it is
// done. A register is a part of the instruction's name, so macros.
class Unit {
public:
    Unit() {
        struct alignas(64) {
            uint8_t palette = 1, start = 0, reserved[14] = {};
            uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
            uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
        } const shape;
        asm volatile("ldtilecfg %0" ::"m"(shape) : "memory");
    }
    ~Unit() { asm volatile("tilerelease" ::: "memory"); }
    Unit(const Unit&) = delete;
    Unit& operator=(const Unit&) = delete;
};
#define TGE_ZERO(t) asm volatile("tilezero %%tmm" #t ::: "memory")
#define TGE_LOAD(t, p, row) asm volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"(p), "r"(row) : "memory")
#define TGE_STORE(t, p, row) asm volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"(p), "r"(row) : "memory")
#define TGE_MULTIPLY(c, a, b) asm volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::: "memory")

// Where the unit finds the tiles of A or of B: of each step of 32 in k three parts, and of each the first 16 lines and, for
// more, the next 16. Distances are in bytes.
struct Tiles {
    const char* first;
    i64 step, part, half, row;  // from a step, a part, a half, a row of a tile to the next
    const i64* steps = nullptr;  // or each step's distance from `first`

    const char* at(i64 s) const { return first + (steps ? steps[s] : s * step); }
};
// A panel of n lines.
TGE_INLINE Tiles tiles_of_panel(const char* panel, i64 n) {
    const i64 part = n <= lines ? tile_bytes : 2 * tile_bytes;
    return {panel, step_bytes(part), part, tile_bytes, 64};
}

// c (16·M, 16·N), its rows `c_row` bytes apart, = the sum over `steps` of a (16·M lines) times b (16·N lines), or this goes
// on with the sum that c holds. The six products of a step come in such an order that each needs one new part. The same
// order for every size: an element's sum does not depend on where it lies.
template <int M, int N, bool goes_on, bool busy>
void split_tile(i64 steps, const Tiles& a, const Tiles& b, float* c, i64 c_row, [[maybe_unused]] Beside* beside) {
    const i64 a_row = a.row, b_row = b.row, a_part = a.part, b_part = b.part, a_half = a.half, b_half = b.half;
    char* const bottom = reinterpret_cast<char*>(c) + lines * c_row;
    char* const right = reinterpret_cast<char*>(c + lines);
    if constexpr (goes_on) {
        TGE_LOAD(0, c, c_row);
        if constexpr (N > 1) TGE_LOAD(1, right, c_row);
        if constexpr (M > 1) TGE_LOAD(2, bottom, c_row);
        if constexpr (M > 1 && N > 1) TGE_LOAD(3, bottom + tile_row, c_row);
    } else {
        TGE_ZERO(0);
        if constexpr (N > 1) TGE_ZERO(1);
        if constexpr (M > 1) TGE_ZERO(2);
        if constexpr (M > 1 && N > 1) TGE_ZERO(3);
    }
    const auto load_a = [&](const char* p) __attribute__((always_inline)) {
        TGE_LOAD(4, p, a_row);
        if constexpr (M > 1) TGE_LOAD(5, p + a_half, a_row);
    };
    const auto load_b = [&](const char* p) __attribute__((always_inline)) {
        TGE_LOAD(6, p, b_row);
        if constexpr (N > 1) TGE_LOAD(7, p + b_half, b_row);
    };
    const char* ahead = nullptr;
    const char *fetched = reinterpret_cast<const char*>(c), *const all = fetched + 16 * M * c_row;
    Beside::Run run;
    if constexpr (busy) run = beside->run;
    const auto multiply = [&]() __attribute__((always_inline)) {
        TGE_MULTIPLY(0, 4, 6);
        if constexpr (busy) {
            if (run.left) run.next();
            else if (beside->more) {
                beside->run = run;
                beside->refill();
                run = beside->run;
            }
        }
        if constexpr (N > 1) TGE_MULTIPLY(1, 4, 7);
        if constexpr (M > 1) TGE_MULTIPLY(2, 5, 6);
        if constexpr (M > 1 && N > 1) TGE_MULTIPLY(3, 5, 7);
        // C will be written, whatever lies there.
        if (!goes_on && fetched < all) {
            __builtin_prefetch(fetched, 0, 2);
            if (N > 1) __builtin_prefetch(fetched + tile_row, 0, 2);
            __builtin_prefetch(fetched + c_row, 0, 2);
            if (N > 1) __builtin_prefetch(fetched + c_row + tile_row, 0, 2);
            fetched += 2 * c_row;
        }
        // The next step of a panel of B comes to the first cache while the unit multiplies.
        if (!ahead) return;
#pragma GCC unroll 16
        for (int i = 0; i < N * lines / 2; ++i) __builtin_prefetch(ahead + i * 64);
        ahead += N * lines / 2 * 64;
    };
    for (i64 s = 0; s < steps; ++s) {
        const char *const p = a.at(s), *const q = b.at(s);
        if (!b.steps) ahead = q + b.step;
        load_a(p), load_b(q + 2 * b_part), multiply();
        load_b(q + b_part), multiply();
        load_a(p + a_part), multiply();
        load_b(q), multiply();
        load_a(p + 2 * a_part), multiply();
        load_a(p), multiply();
    }
    if constexpr (busy) beside->run = run;
    TGE_STORE(0, c, c_row);
    if constexpr (N > 1) TGE_STORE(1, right, c_row);
    if constexpr (M > 1) TGE_STORE(2, bottom, c_row);
    if constexpr (M > 1 && N > 1) TGE_STORE(3, bottom + tile_row, c_row);
}
#undef TGE_ZERO
#undef TGE_LOAD
#undef TGE_STORE
#undef TGE_MULTIPLY

// The kernel for m and n lines, 32 at most.
template <bool goes_on = false>
TGE_INLINE void split_tile(i64 m, i64 n, i64 steps, const Tiles& a, const Tiles& b, float* c, i64 c_row,
                           Beside* beside = nullptr) {
    if (m > lines && n > lines && beside && beside->more) return split_tile<2, 2, goes_on, true>(steps, a, b, c, c_row, beside);
    const auto kernel = m > lines ? (n > lines ? split_tile<2, 2, goes_on, false> : split_tile<2, 1, goes_on, false>)
                                  : (n > lines ? split_tile<1, 2, goes_on, false> : split_tile<1, 1, goes_on, false>);
    kernel(steps, a, b, c, c_row, nullptr);
}

// A tile of sums, rows of 32, becomes a part of C: m rows and n columns. Biases are there or not.
inline void finish_tile(const float* sums, i64 m, i64 n, float* c, i64 c_row, bool add, const float* bias,
                        const float* row_bias) {
    using L = Direct<float>;
    for (i64 i = 0; i < m; ++i, sums += panel_lines, c += c_row)
        for (i64 v = 0; v < n; v += L::W) {
            F sum = L::load(sums + v);
            if (v + L::W <= n) {
                if (add) sum = L::load(c + v) + sum;
                if (bias) sum += L::load(bias + v);
                if (row_bias) sum += row_bias[i];
                L::store(c + v, sum);
            } else {
                if (add) sum = load_part<L>(c + v, n - v, 0.0f) + sum;
                if (bias) sum += load_part<L>(bias + v, n - v, 0.0f);
                if (row_bias) sum += row_bias[i];
                store_part<L>(c + v, n - v, sum);
            }
        }
}

}  // namespace
}  // namespace TGE_ISA
}  // namespace tge
