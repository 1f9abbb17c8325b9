// The gradients of a layer y = f(x·wᵀ + b) on a matrix unit, all three in one walk over the rows. Some rows at a time, f's
// slope, both forms in which it is split, the sums of its columns and what it is multiplied by stay in the second cache;
// three passes over all rows would fetch the slope from further away three times, and write it there once.
//
// The products' numbers are those of split_gemm.cpp, sums in the same order.
#ifdef TGE_SPLIT
#include <atomic>

#include "../allocator.h"
#include "../threads.h"
#include "kernels.h"
#include "split_tiles.h"

namespace tge {
namespace TGE_ISA {
namespace {

constexpr i64 band_rows = 2 * panel_lines;
constexpr i64 most_weights = i64{3} << 15;  // numbers of w: split 590 KB, and as much again for what is written
constexpr i64 sums_of_panel = panel_lines * panel_lines;

struct LayerGradients {
    const LinearBackward& l;
    const i64 rows = depth_of_block(l.rows);  // of a chunk: what is added up in the unit
    const i64 chunks = (l.rows + rows - 1) / rows;
    const i64 tall = (l.outputs + panel_lines - 1) / panel_lines, wide = (l.inputs + panel_lines - 1) / panel_lines;
    i64 first = 0;              // of the chunks that are being computed
    float* dw = nullptr;        // of each of these the sums, 32 × 32 at a time
    double* db = nullptr;       // and the sums of its slopes
    Seen seen_slopes{}, seen_w{}, seen_x{};
    std::atomic<bool> failed{false};  // no memory, or no numbers for the unit: then the rest need not be computed

    bool stands() const {
        return in_range(seen_slopes.all(), seen_w.all(), log2_above(l.outputs)) &&
               in_range(seen_slopes.all(), seen_x.all(), log2_above(l.rows));
    }
    i64 sums_of_chunk() const { return tall * wide * sums_of_panel; }
    const float* row(const void* matrix, i64 r) const { return static_cast<const float*>(matrix) + r * l.outputs; }

    // Where what one thread works with lies.
    struct Memory {
        i64 w, x, slopes_split, turned_split, slopes;
        explicit Memory(const LayerGradients& g)
            : w(panels_bytes(g.l.inputs, g.l.outputs)),
              x(panels_bytes(g.l.inputs, band_rows)),
              slopes_split(panels_bytes(band_rows, g.l.outputs)),
              turned_split(panels_bytes(g.l.outputs, band_rows)),
              slopes(g.l.derivative ? band_rows * g.l.outputs * static_cast<i64>(sizeof(float)) : 0) {}
        unsigned long bytes() const { return static_cast<unsigned long>(w + x + slopes_split + turned_split + slopes); }
    };

    // What comes next is split while the unit multiplies.
    void compute(i64 chunk, const Memory& size, char* memory, bool w_is_split) {
        char *const w = memory, *const x = w + size.w, *const split = x + size.x, *const turned = split + size.slopes_split;
        float* const slopes = reinterpret_cast<float*>(turned + size.turned_split);
        const i64 begin = chunk * rows, end = least(begin + rows, l.rows);
        double* const totals = db + (chunk - first) * l.outputs;
        for (i64 i = 0; i < l.outputs; ++i) totals[i] = 0;
        const Unit unit;
        if (!w_is_split)
            seen_w.see(Splitter<Side::b>(static_cast<const float*>(l.w), l.w_col, l.w_row, l.inputs, l.outputs, w).finish());
        Splitter<Side::a> next;
        const auto begin_band = [&](i64 r) {
            const i64 count = least(band_rows, end - r);
            const float* const g = slopes_of(r, count, slopes);
            if (l.db) add_columns(g, count, totals);
            next.start(g, l.outputs, 1, count, l.outputs, split);
            return g;
        };
        const float* g = begin_band(begin);
        for (i64 r = begin; r < end && !failed; r += band_rows) {
            const i64 count = least(band_rows, end - r);
            seen_slopes.see(next.finish());
            Splitter<Side::a> next_turned(g, 1, l.outputs, l.outputs, count, turned);
            Splitter<Side::b> next_x(static_cast<const float*>(l.x) + r * l.x_row, 1, l.x_row, l.inputs, count, x);
            multiply(count, l.inputs, l.outputs, split, w, [&](const Place& p, i64 steps, const Tiles& a, const Tiles& b) {
                Beside* const beside = next_turned.more ? static_cast<Beside*>(&next_turned) : &next_x;
                float* const dx = static_cast<float*>(l.dx) + (r + p.i) * l.inputs + p.j;
                if (p.m % lines == 0 && p.n % lines == 0)
                    return split_tile(p.m, p.n, steps, a, b, dx, l.inputs * static_cast<i64>(sizeof(float)), beside);
                alignas(64) float sums[sums_of_panel];
                split_tile(p.m, p.n, steps, a, b, sums, panel_lines * sizeof(float), beside);
                finish_tile(sums, p.m, p.n, dx, l.inputs, false, nullptr, nullptr);
            });
            next_turned.finish();
            seen_x.see(next_x.finish());
            if (r + band_rows < end) g = begin_band(r + band_rows);
            float* const sums = dw + (chunk - first) * sums_of_chunk();
            multiply(l.outputs, l.inputs, count, turned, x, [&](const Place& p, i64 steps, const Tiles& a, const Tiles& b) {
                float* const c = sums + (p.i / panel_lines * wide + p.j / panel_lines) * sums_of_panel;
                (r == begin ? split_tile<false> : split_tile<true>)(p.m, p.n, steps, a, b, c, panel_lines * sizeof(float), &next);
            });
            if (!stands()) failed = true;
        }
    }
    // The derivative of rows [r, r + count).
    const float* slopes_of(i64 r, i64 count, float* slopes) const {
        if (!l.derivative) return row(l.g, r);
        char* const p[] = {reinterpret_cast<char*>(slopes), const_cast<char*>(reinterpret_cast<const char*>(row(l.g, r))),
                           const_cast<char*>(reinterpret_cast<const char*>(row(l.saved, r)))};
        const i64 steps[] = {sizeof(float), sizeof(float), sizeof(float)};
        l.derivative(count * l.outputs, p, steps, l.parameters);
        return slopes;
    }
    void add_columns(const float* g, i64 count, double* totals) const {
        constexpr i64 some = 256;
        double sums[some];
        for (i64 i = 0; i < l.outputs; i += some) {
            const i64 n = least(some, l.outputs - i);
            l.sum_columns(count, n, g + i, l.outputs * static_cast<i64>(sizeof(float)), sums);
            for (i64 j = 0; j < n; ++j) totals[i + j] += sums[j];
        }
    }
    // A tile of a product: m rows and n columns from (i, j) on.
    struct Place {
        i64 i, j, m, n;
    };
    // All tiles of the product of what was split, m and n lines of `depth` numbers.
    template <class Compute>
    static void multiply(i64 m, i64 n, i64 depth, const char* a, const char* b, const Compute& compute) {
        const i64 panel = panel_bytes(panel_lines, depth), steps = (depth + depth_of_step - 1) / depth_of_step;
        for (i64 j = 0; j < n; j += panel_lines)
            for (i64 i = 0; i < m; i += panel_lines) {
                const Place place = {i, j, least(panel_lines, m - i), least(panel_lines, n - j)};
                compute(place, steps, tiles_of_panel(a + panel * (i / panel_lines), place.m),
                        tiles_of_panel(b + panel * (j / panel_lines), place.n));
            }
    }
    // The sums of the chunks become dw and db, chunk by chunk.
    void add_chunk(i64 chunk, double* totals) const {
        const float* sums = dw + (chunk - first) * sums_of_chunk();
        for (i64 i = 0; i < l.outputs; i += panel_lines)
            for (i64 j = 0; j < l.inputs; j += panel_lines, sums += sums_of_panel)
                finish_tile(sums, least(panel_lines, l.outputs - i), least(panel_lines, l.inputs - j),
                            static_cast<float*>(l.dw) + i * l.inputs + j, l.inputs, chunk > 0, nullptr, nullptr);
        for (i64 i = 0; i < l.outputs; ++i) totals[i] += db[(chunk - first) * l.outputs + i];
    }
    // What one thread does. If it is the only one, it adds up as well.
    void work(i64 begin, i64 end, double* all) {
        const Memory size(*this);
        const Scratch memory(size.bytes());
        if (!memory) failed = true;
        for (i64 chunk = begin; chunk < end && !failed; ++chunk) {
            if (all) first = chunk;
            compute(chunk, size, memory.data(), chunk > begin);
            if (all && !failed) add_chunk(chunk, all);
        }
    }
    bool run() {
        const i64 at_once = least(num_threads(), chunks);
        const Scratch sums(static_cast<unsigned long>(at_once * sums_of_chunk()) * sizeof(float));
        const Scratch totals(static_cast<unsigned long>((at_once + 1) * l.outputs) * sizeof(double));
        if (!sums || !totals) return false;
        dw = reinterpret_cast<float*>(sums.data());
        double* const all = reinterpret_cast<double*>(totals.data());
        db = all + l.outputs;
        for (i64 i = 0; i < l.outputs; ++i) all[i] = 0;
        if (at_once == 1) work(0, chunks, all);
        else
            for (first = 0; first < chunks && !failed; first += at_once) {
                parallel_for(least(at_once, chunks - first), 1, [](void* context, i64 begin, i64 end, int) {
                    LayerGradients& g = *static_cast<LayerGradients*>(context);
                    g.work(g.first + begin, g.first + end, nullptr);
                }, this);
                for (i64 chunk = first; chunk < least(first + at_once, chunks) && !failed; ++chunk) add_chunk(chunk, all);
            }
        for (i64 i = 0; l.db && i < l.outputs; ++i) static_cast<float*>(l.db)[i] = static_cast<float>(all[i]);
        return !failed;
    }
};

}  // namespace

bool split_linear_backward(const LinearBackward& l) {
    const bool fits = l.outputs >= panel_lines && l.outputs <= most_depth && l.inputs >= panel_lines &&
                      l.outputs * l.inputs >= worth_splitting && l.outputs * l.inputs <= most_weights;
    return fits && l.rows > band_rows && LayerGradients{l}.run();
}

}  // namespace TGE_ISA
}  // namespace tge
#endif
