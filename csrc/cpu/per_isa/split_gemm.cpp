// The matrix product of float32 on a matrix unit for bfloat16: each number split into three (split.h), six times as many
// multiplications, on a unit that is sixteen times as fast. Only for instruction sets with such a unit.
//
// An element of C is a sum in an order that depends on k alone, as in gemm.cpp; the sums of 32 steps are added up in the
// unit before they come to the others, so rounding errors are smaller than one sum's over all of k.
#ifdef TGE_SPLIT
#include "../allocator.h"
#include "../threads.h"
#include "kernels.h"
#include "split_tiles.h"

namespace tge {
namespace TGE_ISA {
namespace {

constexpr i64 band_numbers = i64{1} << 16;  // of A: 393 KB when split

struct SplitProduct {
    const Gemm& g;
    i64 depth;               // of a block of k, whole steps
    i64 band;                // rows of A that are split at a time, whole panels
    i64 columns, rows;       // of a piece of C: what one thread computes, all of k, whole panels
    i64 across, down;        // pieces beside and below each other
    Seen seen_a, seen_b;
    std::atomic<bool> failed{false};

    explicit SplitProduct(const Gemm& gemm) : g(gemm) {
        depth = depth_of_block(g.k);
        // Of a transposed A long pieces of its rows are read.
        band = g.a_col == 1 ? 0 : band_numbers / depth / panel_lines * panel_lines;
        if (band < 2 * panel_lines) band = 2 * panel_lines;
        across = (g.n * depth + block_numbers - 1) / block_numbers;
        // Every piece more means that A or B is split once more. How C is cut does not change what comes out.
        const i64 threads = g.m * g.n * g.k < (i64{1} << 21) ? 1 : num_threads();
        down = 1;
        if (across < threads && g.m >= g.n) down = (threads + across - 1) / across;
        else if (across % threads > 0) across = round_up(across, threads);
        columns = round_up((g.n + across - 1) / across, panel_lines);
        rows = round_up((g.m + down - 1) / down, panel_lines);
        across = (g.n + columns - 1) / columns;
        down = (g.m + rows - 1) / rows;
    }
    i64 b_bytes() const { return panels_bytes(columns, depth); }
    i64 memory() const { return b_bytes() + panels_bytes(least(rows, band), depth); }
    float* c(i64 i, i64 j) const { return static_cast<float*>(g.c) + i * g.c_row + j; }

    void compute(i64 piece, char* memory) {
        const i64 i0 = piece % down * rows, i1 = least(i0 + rows, g.m);
        const i64 j0 = piece / down * columns, j1 = least(j0 + columns, g.n);
        char* const a_panels = memory + b_bytes();
        const Unit unit;
        for (i64 k0 = 0; k0 < g.k; k0 += depth) {
            const i64 steps = least(depth, g.k - k0);
            const i64 panel = panel_bytes(panel_lines, steps);
            seen_b.see(Splitter<Side::b>(static_cast<const float*>(g.b) + k0 * g.b_row + j0 * g.b_col, g.b_col, g.b_row, j1 - j0,
                                         steps).split(memory));
            for (i64 b0 = i0; b0 < i1; b0 += band) {
                const i64 b1 = least(b0 + band, i1);
                seen_a.see(Splitter<Side::a>(static_cast<const float*>(g.a) + b0 * g.a_row + k0 * g.a_col, g.a_row, g.a_col,
                                             b1 - b0, steps).split(a_panels));
                for (i64 j = j0; j < j1; j += panel_lines)
                    for (i64 i = b0; i < b1; i += panel_lines)
                        multiply(i, least(panel_lines, b1 - i), j, least(panel_lines, j1 - j), k0, steps,
                                 a_panels + panel * ((i - b0) / panel_lines), memory + panel * ((j - j0) / panel_lines));
                if (g.activation && k0 + steps >= g.k) activate<float>(g, b0, b1, j0, j1 - j0);
            }
        }
    }
    // m rows and n columns of C from (i, j) on, steps [k0, k0 + steps).
    void multiply(i64 i, i64 m, i64 j, i64 n, i64 k0, i64 steps, const char* a_panel, const char* b_panel) const {
        const Tiles a = tiles_of_panel(a_panel, m), b = tiles_of_panel(b_panel, n);
        const bool ends = k0 + steps >= g.k, add = k0 > 0 || g.accumulate;
        const i64 unit_steps = (steps + depth_of_step - 1) / depth_of_step;
        if (!add && !(ends && (g.bias || g.row_bias)) && m % lines == 0 && n % lines == 0) {
            split_tile(m, n, unit_steps, a, b, c(i, j), g.c_row * static_cast<i64>(sizeof(float)));
            return;
        }
        if (add)
            for (i64 r = 0; r < m; ++r) {
                __builtin_prefetch(c(i + r, j), 1);
                __builtin_prefetch(c(i + r, j + n - 1), 1);
            }
        alignas(64) float sums[panel_lines * panel_lines];
        split_tile(m, n, unit_steps, a, b, sums, panel_lines * sizeof(float));
        finish_tile(sums, m, n, c(i, j), g.c_row, add, ends && g.bias ? static_cast<const float*>(g.bias) + j : nullptr,
                    ends && g.row_bias ? static_cast<const float*>(g.row_bias) + i : nullptr);
    }
    void run() {
        parallel_for(across * down, 1, [](void* context, i64 begin, i64 end, int) {
            SplitProduct& p = *static_cast<SplitProduct*>(context);
            alignas(64) char little[65536];
            const bool is_little = p.memory() <= static_cast<i64>(sizeof little);
            const Scratch much(is_little ? 0 : static_cast<unsigned long>(p.memory()));
            if (!is_little && !much) p.failed = true;
            else
                for (i64 piece = begin; piece < end; ++piece) p.compute(piece, is_little ? little : much.data());
        }, this);
    }
};

// What the unit cannot do is done again in float32 arithmetic. Which elements that are is decided by their row of A, their
// column of B and what the unit gave alone. `before`: what C held, if it is to be added to.
struct Mending {
    const Gemm& g;
    const float* before;
    Exponents *a, *b;
    uint32_t* at_least;  // for each column bits that no |c| in it is below, if its numbers are all zeros, else 0
    Exponents every_b = {};
    int log_k = log2_above(g.k);
    static constexpr i64 block = 64;  // rows, at a time

    float& c(i64 i, i64 j) const { return static_cast<float*>(g.c)[i * g.c_row + j]; }
    bool stands(i64 i, i64 j) const { return may_stand(a[i], b[j], log_k, c(i, j)); }

    bool row_stands(i64 i) const {
        if (in_range(a[i], every_b, log_k)) return true;
        if (fits_above(a[i], every_b, log_k)) {
            if (a[i].low > a[i].high) return true;  // zeros
            // Nearly always all elements are large beside what is missing.
            uint32_t smallest = 0x7FFFFFFF;
            for (i64 j = 0; j < g.n; ++j) {
                uint32_t bits;
                __builtin_memcpy(&bits, &c(i, j), sizeof bits);
                bits &= 0x7FFFFFFF;
                if (bits < at_least[j]) bits = at_least[j];
                smallest = bits < smallest ? bits : smallest;
            }
            if (static_cast<int>(smallest >> 23) - 127 >= large_enough(a[i], every_b, log_k)) return true;
        }
        for (i64 j = 0; j < g.n; ++j)
            if (!stands(i, j)) return false;
        return true;
    }
    // Rows [i, i + rows).
    bool again(i64 i, i64 rows) const {
        const Scratch memory(static_cast<unsigned long>(2 * rows * g.n) * sizeof(float));
        if (!memory) return false;
        float *sums = reinterpret_cast<float*>(memory.data()), *activated = sums + rows * g.n;
        Gemm part = g;
        part.m = rows;
        part.a = static_cast<const float*>(g.a) + i * g.a_row;
        if (g.row_bias) part.row_bias = static_cast<const float*>(g.row_bias) + i;
        part.c = sums, part.activated = activated;
        part.c_row = part.activated_row = g.n;
        for (i64 e = 0; before && e < rows * g.n; ++e) sums[e] = before[i * g.n + e];
        if (!vector_gemm<float>(part)) return false;
        for (i64 r = 0; r < rows; ++r)
            for (i64 j = 0; j < g.n && !in_range(a[i + r], every_b, log_k); ++j) {
                if (stands(i + r, j)) continue;
                c(i + r, j) = sums[r * g.n + j];
                if (g.activation) static_cast<float*>(g.activated)[(i + r) * g.activated_row + j] = activated[r * g.n + j];
            }
        return true;
    }
    bool run() {
        exponents_of_lines(static_cast<const float*>(g.a), g.m, g.a_row, g.k, g.a_col, a);
        exponents_of_lines(static_cast<const float*>(g.b), g.n, g.b_col, g.k, g.b_row, b);
        for (i64 j = 0; j < g.n; ++j) {
            every_b.see(b[j]);
            at_least[j] = b[j].low > b[j].high ? 0x7F000000 : 0;
        }
        for (i64 start = 0; start < g.m; start += block) {
            i64 first = start, last = least(start + block, g.m);
            while (first < last && row_stands(first)) ++first;
            while (last > first + 1 && row_stands(last - 1)) --last;
            if (first < last && !again(first, last - first)) return false;
        }
        return true;
    }
};

}  // namespace

bool split_gemm(const Gemm& g) {
    const Scratch kept(g.accumulate ? static_cast<unsigned long>(g.m * g.n) * sizeof(float) : 0);
    if (g.accumulate && !kept) return false;
    float* const before = g.accumulate ? reinterpret_cast<float*>(kept.data()) : nullptr;
    SplitProduct p(g);
    for (i64 i = 0; before && i < g.m; ++i)
        __builtin_memcpy(before + i * g.n, p.c(i, 0), static_cast<unsigned long>(g.n) * sizeof(float));
    p.run();
    if (p.failed) return false;
    if (in_range(p.seen_a.all(), p.seen_b.all(), log2_above(g.k))) return true;
    const Scratch seen(static_cast<unsigned long>(g.m + g.n) * sizeof(Exponents) +
                       static_cast<unsigned long>(g.n) * sizeof(uint32_t));
    if (!seen) return false;
    Exponents* const lines_seen = reinterpret_cast<Exponents*>(seen.data());
    return Mending{g, before, lines_seen, lines_seen + g.m, reinterpret_cast<uint32_t*>(lines_seen + g.m + g.n)}.run();
}

}  // namespace TGE_ISA
}  // namespace tge
#endif
