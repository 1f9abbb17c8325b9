// Strips of the windows' matrix of a convolution, gathered from padded copies of its input.
#pragma once
#include "pack.h"
#include "plan.h"

namespace tge {
namespace TGE_ISA {
namespace {

// Where the rows of the windows' matrix begin in a padded copy of x.
template <class T>
void row_offsets(const Plan<T>& p, i64* offset) {
    const Convolution& c = p.c;
    for (i64 channel = 0; channel < c.channels; ++channel)
        for (i64 k0 = 0; k0 < c.kernel[0]; ++k0)
            for (i64 k1 = 0; k1 < c.kernel[1]; ++k1)
                for (i64 k2 = 0; k2 < c.kernel[2]; ++k2)
                    *offset++ = ((channel * p.reach[0] + k0 * c.dilation[0]) * p.reach[1] + k1 * c.dilation[1]) * p.reach[2] +
                                k2 * c.dilation[2];
}

// A strip of the windows' matrix, `width` = W or 2W wide, for `n` output positions from j on. If the stride is 1, those of
// one output line lie side by side in x: a vector of a row is made of a few parts of lines, the same for all rows.
template <class T>
struct Gather {
    using L = Direct<T>;
    using V = typename L::V;
    static constexpr int W = L::W, widest = 2;
    using Inside = decltype(V{} > V{});
    struct Part {
        i64 from;       // where the vector's first entry would lie, in the padded copy
        Inside inside;  // which entries are of this line or a later one
    };
    i64 vectors, stride, parts[widest] = {};
    Part part[widest][W];
    i64 from[widest * W];  // for other strides: each entry's place

    // The outputs of a block of one image after the other, whose padded copies lie `image_size` apart.
    Gather(const Plan<T>& plan, i64 block, i64 image_size, i64 j, i64 n, i64 width)
        : vectors(width / W), stride(plan.c.stride[2]) {
        const Convolution& c = plan.c;
        const i64 lines = plan.outputs_in(1, block), across = plan.outputs_in(2, block), deep = plan.outputs_in(0, block);
        i64 x = j % across, y = j / across % lines, z = j / across / lines % deep, image = j / across / lines / deep;
        for (i64 i = 0; i < width; ++i) {
            from[i] = image * image_size + (z * c.stride[0] * plan.reach[1] + y * c.stride[1]) * plan.reach[2] + x * stride;
            if (i < n && (i % W == 0 || x == 0)) {
                T later[W];
                for (i64 e = 0; e < W; ++e) later[e] = e >= i % W ? T(1) : T(0);
                const i64 v = i / W;
                part[v][parts[v]++] = {from[i] - i % W, L::load(later) > V{}};
            }
            if (i + 1 >= n) continue;  // columns that are not used repeat the last one
            if (++x == across) x = 0, ++y;
            if (y == lines) y = 0, ++z;
            if (z == deep) z = 0, ++image;
        }
    }
    // Vector v of the row that begins at x.
    TGE_INLINE V vector(const T* x, i64 v) const {
        V entries;
        if (stride != 1) {
            for (i64 i = 0; i < W; ++i) entries[i] = x[from[v * W + i]];
            return entries;
        }
        entries = L::load(x + part[v][0].from);
        for (i64 q = 1; q < parts[v]; ++q) entries = part[v][q].inside ? L::load(x + part[v][q].from) : entries;
        return entries;
    }
    // Rows [first, last) of the strip. Parts are read as whole vectors, so up to W entries around a line.
    void lay_out(const T* copy, const i64* offsets, i64 first, i64 last, T* strip) const {
        if (stride != 1)
            for (i64 row = first; row < last; ++row)
                for (i64 i = 0; i < vectors * W; ++i) *strip++ = copy[offsets[row] + from[i]];
        else if (vectors == widest && parts[0] <= 2 && parts[1] <= 2) lay_out_two(copy, offsets, first, last, strip);
        else
            for (i64 row = first; row < last; ++row)
                for (i64 v = 0; v < vectors; ++v, strip += W) L::store(strip, vector(copy + offsets[row], v));
    }
    // The usual case: no more than two lines in a vector.
    void lay_out_two(const T* copy, const i64* offsets, i64 first, i64 last, T* strip) const {
        const Part &a = part[0][0], &b = part[0][parts[0] - 1], &c = part[1][0], &d = part[1][parts[1] - 1];
        const i64 at[] = {a.from, b.from, c.from, d.from};
        const Inside second = b.inside, fourth = d.inside;
        for (i64 row = first; row < last; ++row, strip += widest * W) {
            const T* x = copy + offsets[row];
            L::store(strip, second ? L::load(x + at[1]) : L::load(x + at[0]));
            L::store(strip + W, fourth ? L::load(x + at[3]) : L::load(x + at[2]));
        }
    }
};

// Calls f(entry, y, n) for the parts of columns [j, j + columns) of a batch of images, of which `first` is the first, that
// belong to one image.
template <class T, class Fn>
void for_images(const Plan<T>& p, i64 first, i64 group, i64 block, i64 j, i64 columns, const Fn& f) {
    const i64 outputs = p.count(block) * p.line;
    for (i64 e = 0; e < columns;) {
        const i64 at = (j + e) % outputs, n = least(outputs - at, columns - e);
        f(e, p.y(first + (j + e) / outputs, group) + p.first(block) * p.line + at, n);
        e += n;
    }
}

}  // namespace
}  // namespace TGE_ISA
}  // namespace tge
