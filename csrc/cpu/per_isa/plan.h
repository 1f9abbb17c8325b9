// The sizes of a convolution, and the windows of its input laid out as a matrix: row (channel, window position), column
// (output position).
#pragma once
#include <atomic>

#include "../allocator.h"
#include "kernels.h"
#include "rows.h"

namespace tge {
namespace TGE_ISA {
namespace {

constexpr i64 block_elements = i64{1} << 18;  // of the windows' matrix
constexpr i64 partial_sums = 8;               // of the weight gradient, at most; added in order

// Sizes that follow from those of a convolution. Positions are (depth, height, width).
template <class T>
struct Plan {
    static constexpr int W = Direct<T>::W;
    const Convolution& c;
    i64 taps, rows, positions, pixels;  // window positions; rows of the windows' matrix; outputs and inputs per channel
    int axis;                           // blocks are cut along this dimension …
    i64 line, per_block, blocks;        // … of `line` outputs per step, `per_block` steps long
    i64 columns;                        // of a full block
    i64 step;                           // between the rows of the windows' matrix
    i64 reach[3];                       // the part of x that a full block of one channel looks at
    bool pointwise;                     // the windows' matrix is x itself

    explicit Plan(const Convolution& convolution) : c(convolution) {
        taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
        rows = c.channels * taps;
        positions = c.out[0] * c.out[1] * c.out[2];
        pixels = c.in[0] * c.in[1] * c.in[2];
        axis = c.out[0] > 1 || c.kernel[0] > 1 ? 0 : c.out[1] > 1 || c.kernel[1] > 1 ? 1 : 2;
        pointwise = taps == 1 && positions == pixels;
        for (int d = 0; d < 3; ++d) pointwise = pointwise && c.stride[d] == 1 && c.padding[d] == 0;
        line = positions / c.out[axis];
        per_block = least(block_elements / (rows * line + 1) + 1, c.out[axis]);
        blocks = (c.out[axis] + per_block - 1) / per_block;
        per_block = (c.out[axis] + blocks - 1) / blocks;
        blocks = (c.out[axis] + per_block - 1) / per_block;
        columns = per_block * line;
        step = round_up(columns, W);
        if (step * static_cast<i64>(sizeof(T)) % 1024 == 0) step += W;  // rows in different sets of the caches
        for (int d = 0; d < 3; ++d)
            reach[d] = ((d == axis ? per_block : c.out[d]) - 1) * c.stride[d] + (c.kernel[d] - 1) * c.dilation[d] + 1;
    }

    i64 first(i64 block) const { return block * per_block; }
    i64 count(i64 block) const { return least(per_block, c.out[axis] - first(block)); }
    i64 outputs_in(i64 d, i64 block) const { return d == axis ? count(block) : c.out[d]; }
    i64 window_elements() const { return pointwise ? 0 : rows * step + W; }
    i64 image_elements() const { return c.channels * reach[0] * reach[1] * reach[2] + W; }
    T* x(i64 image, i64 group) const {
        return static_cast<T*>(c.x) + (image * c.groups + group) * c.channels * pixels;
    }
    T* y(i64 image, i64 group) const {
        return static_cast<T*>(c.y) + (image * c.groups + group) * c.outputs * positions;
    }
    T* w(i64 group) const { return static_cast<T*>(c.w) + group * c.outputs * rows; }

    // Where x and a padded copy of what a block sees of it overlap: `size` entries from `from` in the copy, `to` in x.
    struct Overlap {
        i64 size, from, to;
    };
    Overlap overlap(int d, i64 block) const {
        const i64 start = (d == axis ? first(block) : 0) * c.stride[d] - c.padding[d];  // of the copy, in x
        const i64 from = start < 0 ? least(-start, reach[d]) : 0, end = least(c.in[d] - start, reach[d]);
        return {end > from ? end - from : 0, from, start + from};
    }

    // Calls f(part of the copy, part of x, n) for all runs of the overlap.
    template <class Fn>
    void for_overlaps(T* copy, T* image, i64 block, const Fn& f) const {
        const Overlap o[] = {overlap(0, block), overlap(1, block), overlap(2, block)};
        for (i64 channel = 0; channel < c.channels; ++channel)
            for (i64 i = 0; i < o[0].size; ++i)
                for (i64 j = 0; j < o[1].size; ++j)
                    f(copy + ((channel * reach[0] + o[0].from + i) * reach[1] + o[1].from + j) * reach[2] + o[2].from,
                      image + ((channel * c.in[0] + o[0].to + i) * c.in[1] + o[1].to + j) * c.in[2] + o[2].to,
                      o[2].size);
    }
    // Calls f(`lines` runs in the windows' matrix, where the first comes from in the copy) for all groups of runs that
    // are one line of the copy, `c.stride[1]` lines apart.
    template <class Fn>
    void for_lines(T* windows, T* copy, i64 block, const Fn& f) const {
        const i64 n0 = outputs_in(0, block), lines = outputs_in(1, block) * outputs_in(2, block);
        T* row = windows;
        for (i64 channel = 0; channel < c.channels; ++channel)
            for (i64 k0 = 0; k0 < c.kernel[0]; ++k0)
                for (i64 k1 = 0; k1 < c.kernel[1]; ++k1)
                    for (i64 k2 = 0; k2 < c.kernel[2]; ++k2, row += step)
                        for (i64 i = 0; i < n0; ++i)
                            f(row + i * lines, copy + ((channel * reach[0] + i * c.stride[0] + k0 * c.dilation[0]) * reach[1] +
                                                       k1 * c.dilation[1]) * reach[2] + k2 * c.dilation[2]);
    }

    // Is it worth while to lay out the windows strip by strip? For short columns, or few outputs to use them, it is not.
    bool by_strips() const { return !pointwise && rows >= 192 && c.outputs >= 8; }

    // What a block sees of x, zeros around it.
    void padded(i64 image, i64 group, i64 block, T* copy) const {
        using L = Direct<T>;
        for (i64 i = 0; i < image_elements(); ++i) copy[i] = 0;
        for_overlaps(copy, x(image, group), block, [](T* to, const T* from, i64 n) {
            i64 i = 0;
            for (; i + W <= n; i += W) L::store(to + i, L::load(from + i));
            if (i < n) store_part<L>(to + i, n - i, load_part<L>(from + i, n - i, T(0)));
        });
    }

    // The windows of a block, and the distance of their rows: (rows, count·line).
    const T* windows(i64 image, i64 group, i64 block, T* matrix, T* copy, i64& distance) const {
        distance = pointwise ? positions : step;
        if (pointwise) return x(image, group) + first(block) * line;
        using L = Direct<T>;
        padded(image, group, block, copy);
        const i64 lines = outputs_in(1, block), n = outputs_in(2, block), s = c.stride[2], down = c.stride[1] * reach[2];
        // Whole vectors only: what is written behind a run is written again by the next one.
        if (s == 1 && n <= W)
            for_lines(matrix, copy, block, [=](T* to, const T* from) {
                for (i64 j = 0; j < lines; ++j, to += n, from += down) L::store(to, L::load(from));
            });
        else if (s == 1)
            for_lines(matrix, copy, block, [=](T* to, const T* from) {
                for (i64 j = 0; j < lines; ++j, to += n, from += down)
                    for (i64 i = 0; i < n; i += W) L::store(to + i, L::load(from + i));
            });
        else
            for_lines(matrix, copy, block, [=](T* to, const T* from) {
                for (i64 j = 0; j < lines; ++j, to += n, from += down)
                    for (i64 i = 0; i < n; ++i) to[i] = from[i * s];
            });
        return matrix;
    }

    // Adds a windows' matrix to the copy, entries to where they came from.
    void overlap_add(T* matrix, T* copy, i64 block) const {
        using L = Direct<T>;
        using V = typename L::V;
        const i64 lines = outputs_in(1, block), n = outputs_in(2, block), s = c.stride[2], down = c.stride[1] * reach[2];
        const i64 whole = (n - 1) / W * W;  // of a run; its last vector may be a part of one
        T inside[W] = {};
        for (i64 i = whole; i < n; ++i) inside[i - whole] = 1;
        const auto last = L::load(inside) > V{};
        if (s == 1)
            for_lines(matrix, copy, block, [=](const T* from, T* to) {
                for (i64 j = 0; j < lines; ++j, from += n, to += down) {
                    for (i64 i = 0; i < whole; i += W) L::store(to + i, L::load(to + i) + L::load(from + i));
                    L::store(to + whole, L::load(to + whole) + (last ? L::load(from + whole) : V{}));
                }
            });
        else
            for_lines(matrix, copy, block, [=](const T* from, T* to) {
                for (i64 j = 0; j < lines; ++j, from += n, to += down)
                    for (i64 i = 0; i < n; ++i) to[i * s] += from[i];
            });
    }
};

// What the pieces of one convolution share.
template <class T>
struct Job {
    Plan<T> plan;
    std::atomic<bool> failed{false};
    T* sums = nullptr;  // of the weight gradient: (parts, groups, rows, outputs)
    double* bias_sums = nullptr;  // (parts, groups, outputs)
    i64 parts = 1;

    explicit Job(const Convolution& c) : plan(c) {}
    bool take(const Scratch& memory) {
        if (!memory) failed = true;
        return static_cast<bool>(memory);
    }
    void run(const Gemm& g) {
        if (!gemm<T>(g)) failed = true;
    }
};

template <class T>
unsigned long bytes(i64 elements) {
    return static_cast<unsigned long>(elements) * sizeof(T);
}

// Pieces of about 2¹⁸ multiplications.
template <class T>
i64 grain(const Plan<T>& plan, i64 work) { return (i64{1} << 18) / (work * plan.rows * plan.c.outputs + 1) + 1; }

}  // namespace
}  // namespace TGE_ISA
}  // namespace tge
