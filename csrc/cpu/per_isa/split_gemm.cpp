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

constexpr i64 band_numbers = i64{1} << 16;   // of A: 393 KB when split
constexpr i64 ahead_numbers = i64{1} << 20;  // of A, split ahead for several blocks of B: 6 MB

struct SplitProduct {
    const Gemm& g;
    i64 depth, blocks;       // of a block of k, whole steps; and how many there are
    i64 band;                // rows of A that are split at a time, whole panels
    i64 columns, rows;       // of a piece of C: what one thread computes, all of k, whole panels
    i64 across, down;        // pieces beside and below each other
    bool by_depth;           // or the blocks are the pieces, each with sums of its own …
    float* sums = nullptr;   // … here, one C behind the other
    i64 rows_ahead = 0;      // rows of A that are split once for all blocks of B, whole panels; or each piece splits its own
    char* ahead = nullptr;   // their panels
    i64 first_row = 0, first_k = 0;  // where these begin
    Seen seen_a, seen_b;
    std::atomic<bool> failed{false};

    explicit SplitProduct(const Gemm& gemm) : g(gemm) {
        depth = depth_of_block(g.k);
        blocks = (g.k + depth - 1) / depth;
        // Of a transposed A long pieces of its rows are read. B is split beside the first band: low ones are a single band.
        const i64 low_rows = 4 * panel_lines;
        band = g.a_col == 1 ? 0 : band_numbers / depth / panel_lines * panel_lines;
        if (band < low_rows) band = g.m <= low_rows ? low_rows : 2 * panel_lines;
        // A low A costs little to split again, and next to it a smaller block of B is nearer.
        const i64 low = 4 * g.m * depth, block = low < block_numbers / 4 ? block_numbers / 4 : least(low, block_numbers);
        across = (g.n * depth + block - 1) / block;
        // Every piece more means that A or B is split once more; not so for blocks of k, whose sums have to be added up
        // instead: that pays if they are much smaller. How the work is cut does not change what comes out.
        const i64 threads = g.m * g.n * g.k <= (i64{1} << 21) ? 1 : num_threads();
        by_depth = across < threads && blocks >= 2 * threads && depth >= 3 * g.n && blocks * g.m * g.n <= block_numbers;
        down = 1;
        if (by_depth) across = 1;
        else if (across < threads && g.m >= g.n) down = (threads + across - 1) / across;
        else if (across % threads > 0) across = round_up(across, threads);
        columns = round_up((g.n + across - 1) / across, panel_lines);
        rows = round_up((g.m + down - 1) / down, panel_lines);
        across = (g.n + columns - 1) / columns;
        down = (g.m + rows - 1) / rows;
        // Split once, for all blocks of B, A comes from further away: that pays beside several blocks, or if it is small.
        if (down == 1 && (across > 3 || (across > threads && g.m * depth <= band_numbers)))
            rows_ahead = least(ahead_numbers / depth / panel_lines * panel_lines, rows);
    }
    i64 b_bytes() const { return panels_bytes(columns, depth); }
    i64 a_bytes() const { return panels_bytes(least(rows, band), depth); }  // of one band
    i64 memory() const { return b_bytes() + (rows_ahead ? 0 : rows > band ? 2 * a_bytes() : a_bytes()); }
    i64 pieces() const { return by_depth ? blocks : across * down; }

    // Where a part of C is computed, and how it is finished.
    struct Target {
        float* c;
        i64 row;
        bool add;
        const float *bias, *row_bias;
    };
    Target target(i64 i, i64 j, i64 k0, i64 steps) const {
        if (by_depth) return {sums + (k0 / depth * g.m + i) * g.n + j, g.n, false, nullptr, nullptr};
        const bool ends = k0 + steps >= g.k;
        return {c(i, j), g.c_row, k0 > 0 || g.accumulate, ends ? bias(j) : nullptr, ends ? row_bias(i) : nullptr};
    }
    float* c(i64 i, i64 j) const { return static_cast<float*>(g.c) + i * g.c_row + j; }
    const float* bias(i64 j) const { return g.bias ? static_cast<const float*>(g.bias) + j : nullptr; }
    const float* row_bias(i64 i) const { return g.row_bias ? static_cast<const float*>(g.row_bias) + i : nullptr; }

    void compute(i64 piece, char* memory) {
        const Unit unit;
        if (by_depth) return compute(0, g.m, 0, g.n, piece * depth, memory);
        const i64 i0 = piece % down * rows, j0 = piece / down * columns, j1 = least(j0 + columns, g.n);
        if (rows_ahead) return compute(first_row, least(first_row + rows_ahead, g.m), j0, j1, first_k, memory);
        for (i64 k0 = 0; k0 < g.k; k0 += depth) compute(i0, least(i0 + rows, g.m), j0, j1, k0, memory);
    }
    i64 steps_from(i64 k0) const { return least(depth, g.k - k0); }
    // Band number n of the rows that are split ahead.
    void split_ahead(i64 n) {
        const i64 steps = steps_from(first_k);
        Splitter<Side::a> splitter;
        start(splitter, first_row + n * band, least(first_row + rows_ahead, g.m), first_k, steps,
              ahead + panel_bytes(panel_lines, steps) * (n * band / panel_lines));
        seen_a.see(splitter.finish());
    }
    // Of rows [i0, i1) and columns [j0, j1) the block of k that begins at k0. A panel of B and a band of A have to be there
    // before their first tile; the next ones are split while the unit multiplies.
    void compute(i64 i0, i64 i1, i64 j0, i64 j1, i64 k0, char* memory) {
        const i64 steps = steps_from(k0);
        const i64 panel = panel_bytes(panel_lines, steps);
        const auto b_panel = [&](i64 j) { return memory + panel * ((j - j0) / panel_lines); };
        const auto a_band = [&](i64 b) {
            return rows_ahead ? ahead + panel * ((b - i0) / panel_lines) : memory + b_bytes() + (b - i0) / band % 2 * a_bytes();
        };
        Splitter<Side::a> next_a;
        Splitter<Side::b> next_b;
        if (!rows_ahead) start(next_a, i0, i1, k0, steps, a_band(i0));
        start(next_b, j0, j1, k0, steps, b_panel(j0));
        for (i64 b0 = i0; b0 < i1; b0 += band) {
            const i64 b1 = least(b0 + band, i1);
            if (!rows_ahead) seen_a.see(next_a.finish());
            if (!rows_ahead && b1 < i1) start(next_a, b1, i1, k0, steps, a_band(b1));
            for (i64 j = j0; j < j1; j += panel_lines) {
                Beside* beside = &next_a;
                if (b0 == i0) {
                    seen_b.see(next_b.finish());
                    if (j + panel_lines < j1) {
                        start(next_b, j + panel_lines, j1, k0, steps, b_panel(j + panel_lines));
                        beside = &next_b;
                    }
                }
                for (i64 i = b0; i < b1; i += panel_lines)
                    multiply(least(panel_lines, b1 - i), least(panel_lines, j1 - j), target(i, j, k0, steps), steps,
                             a_band(b0) + panel * ((i - b0) / panel_lines), b_panel(j), beside);
            }
            if (g.activation && !by_depth && k0 + steps >= g.k) activate<float>(g, b0, b1, j0, j1 - j0);
        }
    }
    // One band of A, or one panel of B, of the rows or columns up to `end`.
    void start(Splitter<Side::a>& splitter, i64 i, i64 end, i64 k0, i64 steps, char* to) const {
        splitter.start(static_cast<const float*>(g.a) + i * g.a_row + k0 * g.a_col, g.a_row, g.a_col, least(band, end - i),
                       steps, to);
    }
    void start(Splitter<Side::b>& splitter, i64 j, i64 end, i64 k0, i64 steps, char* to) const {
        splitter.start(static_cast<const float*>(g.b) + k0 * g.b_row + j * g.b_col, g.b_col, g.b_row,
                       least(panel_lines, end - j), steps, to);
    }
    // m rows and n columns of C.
    static void multiply(i64 m, i64 n, const Target& to, i64 steps, const char* a_panel, const char* b_panel,
                         Beside* beside) {
        const Tiles a = tiles_of_panel(a_panel, m), b = tiles_of_panel(b_panel, n);
        const i64 unit_steps = (steps + depth_of_step - 1) / depth_of_step;
        if (!to.add && !to.bias && !to.row_bias && m % lines == 0 && n % lines == 0) {
            split_tile(m, n, unit_steps, a, b, to.c, to.row * static_cast<i64>(sizeof(float)), beside);
            return;
        }
        if (to.add)
            for (i64 r = 0; r < m; ++r) {
                __builtin_prefetch(to.c + r * to.row, 1);
                __builtin_prefetch(to.c + r * to.row + n - 1, 1);
            }
        alignas(64) float tile[panel_lines * panel_lines];
        split_tile(m, n, unit_steps, a, b, tile, panel_lines * sizeof(float), beside);
        finish_tile(tile, m, n, to.c, to.row, to.add, to.bias, to.row_bias);
    }
    // C from the sums of the blocks, in the order in which one thread adds them.
    void add_up() const {
        using L = Direct<float>;
        for (i64 i = 0; i < g.m; ++i) {
            for (i64 j = 0; j < g.n; j += L::W) {
                const i64 n = least(L::W, g.n - j);
                const float* block = sums + i * g.n + j;
                F sum = load_part<L>(block, n, 0.0f);
                if (g.accumulate) sum = load_part<L>(c(i, j), n, 0.0f) + sum;
                for (i64 b = 1; b < blocks; ++b) sum += load_part<L>(block + b * g.m * g.n, n, 0.0f);
                if (g.bias) sum += load_part<L>(bias(j), n, 0.0f);
                if (g.row_bias) sum += *row_bias(i);
                store_part<L>(c(i, j), n, sum);
            }
            if (g.activation) activate<float>(g, i, i + 1, 0, g.n);
        }
    }
    void run() {
        const Scratch own(by_depth ? static_cast<unsigned long>(blocks * g.m * g.n) * sizeof(float) : 0);
        const Scratch split(rows_ahead ? static_cast<unsigned long>(panels_bytes(rows_ahead, depth)) : 0);
        if ((by_depth && !own) || (rows_ahead && !split)) failed = true;
        sums = reinterpret_cast<float*>(own.data());
        ahead = split.data();
        if (!rows_ahead) compute_pieces();
        else
            for (first_row = 0; first_row < g.m; first_row += rows_ahead)
                for (first_k = 0; first_k < g.k; first_k += depth) {
                    const i64 bands = (least(rows_ahead, g.m - first_row) + band - 1) / band;
                    parallel_for(bands, 1, [](void* context, i64 begin, i64 end, int) {
                        for (i64 n = begin; n < end; ++n) static_cast<SplitProduct*>(context)->split_ahead(n);
                    }, this);
                    compute_pieces();
                }
        if (by_depth && !failed) add_up();
    }
    void compute_pieces() {
        if (failed) return;
        parallel_for(pieces(), 1, [](void* context, i64 begin, i64 end, int) {
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
