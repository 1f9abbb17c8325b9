// Convolution of float32 on a matrix unit (split.h): windows are gathered from the padded copies of x and split at once.
#pragma once
#include "gather.h"
#include "split_tiles.h"

namespace tge {
namespace TGE_ISA {
namespace {

using FloatPlan = Plan<float>;

// Whether splitting the windows is made up for by the outputs that use them.
inline bool is_worth_splitting(const FloatPlan& p) { return p.c.outputs >= 32 && p.rows >= 64 && p.positions >= 32; }

// 16 positions of the windows' matrix: of any row, told where the row begins. Most are of one line of the output or two.
class Sixteen {
public:
    // Where there are no positions, those before them.
    Sixteen(const Gather<float>& gather, i64 vector)
        : gather_(gather), v_(gather.stride == 1 && gather.parts[vector] == 0 ? 0 : vector),
          is_usual_(gather.stride == 1 && gather.parts[v_] <= 2) {
        if (!is_usual_) return;
        const auto &first = gather.part[v_][0], &last = gather.part[v_][gather.parts[v_] - 1];
        first_ = first.from, last_ = last.from;
        for (int i = 0; i < FloatPlan::W; ++i)
            if (last.inside[i] != 0) mask_ = static_cast<uint16_t>(mask_ | 1u << i);
    }
    bool is_usual() const { return is_usual_; }
    template <bool usual>
    TGE_INLINE F row(const float* x) const {
        if constexpr (!usual) return gather_.vector(x, v_);
        return __builtin_ia32_loadups512_mask(x + last_, Direct<float>::load(x + first_), mask_);
    }

private:
    const Gather<float>& gather_;
    i64 v_, first_ = 0, last_ = 0;
    bool is_usual_;
    uint16_t mask_ = 0;
};

// Where the rows of the windows' matrix begin, whole steps of the unit: what comes after the last row is multiplied by
// zeros, so it may be anything that is in range.
inline i64 offsets_size(const FloatPlan& p) { return round_up(p.rows, panel_lines); }
inline void padded_offsets(const FloatPlan& p, i64* offsets) {
    row_offsets(p, offsets);
    for (i64 i = p.rows; i < offsets_size(p); ++i) offsets[i] = 0;
}

// Padded copies of so many images are one piece of work: their outputs are dealt into panels as if they were one image's.
struct Together {
    i64 images, batches, image_size;
    explicit Together(const FloatPlan& p) {
        image_size = round_up(p.image_elements(), p.W);
        images = p.blocks > 1 ? 1 : least(block_numbers / (p.positions * least(p.rows, most_depth) + 1), block_elements / 2 / image_size);
        if (images < 1) images = 1;
        batches = round_up((p.c.images + images - 1) / images, 4);  // as many for each thread
        images = (p.c.images + batches - 1) / batches;
        batches = (p.c.images + images - 1) / images;
    }
    i64 copies() const { return 2 * FloatPlan::W + images * image_size; }
};

// y = w · windows + bias, C's rows being outputs and its columns positions.
struct SplitConvolution {
    Job<float> job;
    Together together;
    i64 depth;         // of a block of rows of the windows' matrix
    i64 columns;       // split at a time, whole panels
    i64 weight_bytes;  // of one group
    char* weights = nullptr;  // for each group and block the panels
    i64* offsets = nullptr;
    Exponents* exponents = nullptr;  // of each group's weights
    bool* left = nullptr;            // images and groups that are left to float32

    explicit SplitConvolution(const Convolution& c) : job(c), together(job.plan) {
        const FloatPlan& p = job.plan;
        depth = depth_of_block(p.rows);
        columns = least(round_up(block_numbers / depth, panel_lines), round_up(together.images * p.columns, panel_lines));
        weight_bytes = (p.rows + depth - 1) / depth * panels_bytes(c.outputs, depth);
    }
    char* panels(i64 group, i64 k0) const {
        return weights + group * weight_bytes + k0 / depth * panels_bytes(job.plan.c.outputs, depth);
    }
    void prepare() {
        const FloatPlan& p = job.plan;
        padded_offsets(p, offsets);
        for (i64 group = 0; group < p.c.groups; ++group) {
            exponents[group] = exponents_of(p.w(group), p.c.outputs * p.rows);
            for (i64 k0 = 0; k0 < p.rows; k0 += depth)
                Splitter<Side::a>(p.w(group) + k0, p.rows, 1, p.c.outputs, least(depth, p.rows - k0)).split(panels(group, k0));
        }
    }
    // The panel of columns [j, j + n), rows [k0, k0 + steps) of the windows' matrix.
    void split_windows(const float* copies, i64 block, i64 j, i64 n, i64 k0, i64 steps, char* panel) const {
        const Gather<float> gather(job.plan, block, together.image_size, j, n, n <= lines ? lines : panel_lines);
        for (i64 v = 0; v < gather.vectors; ++v) {
            const Sixteen columns_of(gather, v);
            (columns_of.is_usual() ? split_sixteen<true> : split_sixteen<false>)(columns_of, copies, offsets + k0, steps,
                                                                                panel + v * tile_bytes, bytes_apart(0, n));
        }
    }
    template <bool usual>
    static void split_sixteen(const Sixteen& of, const float* copies, const i64* offset, i64 steps, char* tiles, i64 apart) {
        Range range;  // what the images hold has been looked at
        for (i64 k = 0; k < steps; k += depth_of_step, offset += depth_of_step, tiles += step_bytes(apart))
            for (i64 i = 0; i < lines; ++i)
                Split(of.row<usual>(copies + offset[i]), of.row<usual>(copies + offset[i + lines]), range)
                    .store(tiles + i * 64, apart);
    }
    void run(i64 batch, i64 group, i64 block, float* copies, char* b_panels) const {
        const FloatPlan& p = job.plan;
        const Convolution& c = p.c;
        const i64 first = batch * together.images, images = least(together.images, c.images - first);
        for (i64 i = 0; i < images; ++i) {
            p.padded(first + i, group, block, copies + i * together.image_size);
            if (!in_range(exponents[group], exponents_of(copies + i * together.image_size, p.image_elements()), p.rows))
                __atomic_store_n(&left[(first + i) * c.groups + group], true, __ATOMIC_RELAXED);
        }
        const i64 outputs = images * p.count(block) * p.line;
        for (i64 j0 = 0; j0 < outputs; j0 += columns)
            for (i64 k0 = 0; k0 < p.rows; k0 += depth) {
                const i64 steps = least(depth, p.rows - k0), j1 = least(j0 + columns, outputs);
                const i64 panel = panel_bytes(panel_lines, steps);
                for (i64 j = j0; j < j1; j += panel_lines) {
                    const i64 n = least(panel_lines, j1 - j);
                    split_windows(copies, block, j, n, k0, steps, b_panels + (j - j0) / panel_lines * panel);
                }
                for (i64 o = 0; o < c.outputs; o += panel_lines)
                    for (i64 j = j0; j < j1; j += panel_lines)
                        multiply(first, group, block, o, j, least(panel_lines, j1 - j), k0, steps,
                                 b_panels + (j - j0) / panel_lines * panel);
            }
    }
    // Outputs [o, o + 32) of columns [j, j + n).
    void multiply(i64 first, i64 group, i64 block, i64 o, i64 j, i64 n, i64 k0, i64 steps, const char* b) const {
        const FloatPlan& p = job.plan;
        const i64 m = least(panel_lines, p.c.outputs - o);
        alignas(64) float sums[panel_lines * panel_lines];
        split_tile(m, n, (steps + depth_of_step - 1) / depth_of_step,
                   panels(group, k0) + o / panel_lines * panel_bytes(panel_lines, steps), b, sums, panel_lines * sizeof(float));
        const float* bias = p.c.bias && k0 + steps >= p.rows ? static_cast<const float*>(p.c.bias) + group * p.c.outputs + o : nullptr;
        for_images(p, first, group, block, j, n, [&](i64 e, float* y, i64 count) {
            finish_tile(sums + e, m, count, y + o * p.positions, p.positions, k0 > 0, nullptr, bias);
        });
    }
};

// `in_float32` computes what the unit cannot: images with special numbers, one by one.
inline bool split_convolve(const Convolution& c, bool (*in_float32)(const Convolution&)) {
    SplitConvolution s(c);
    const FloatPlan& p = s.job.plan;
    const Scratch weights(static_cast<unsigned long>(c.groups * s.weight_bytes)), offsets(bytes<i64>(offsets_size(p))),
        exponents(bytes<Exponents>(c.groups)), left(bytes<bool>(c.images * c.groups));
    if (!weights || !offsets || !exponents || !left) return false;
    s.weights = weights.data();
    s.offsets = reinterpret_cast<i64*>(offsets.data());
    s.exponents = reinterpret_cast<Exponents*>(exponents.data());
    s.left = reinterpret_cast<bool*>(left.data());
    for (i64 i = 0; i < c.groups; ++i) s.exponents[i] = Exponents();
    for (i64 i = 0; i < c.images * c.groups; ++i) s.left[i] = false;
    s.prepare();
    parallel_for(s.together.batches * c.groups * p.blocks, grain(p, s.together.images * p.columns),
                 [](void* context, i64 begin, i64 end, int) {
        auto& v = *static_cast<SplitConvolution*>(context);
        const FloatPlan& plan = v.job.plan;
        const Scratch memory(bytes<float>(v.together.copies()) + static_cast<unsigned long>(panels_bytes(v.columns, v.depth)));
        if (!v.job.take(memory)) return;
        float* const copies = reinterpret_cast<float*>(memory.data());
        const Unit unit;
        for (i64 i = begin; i < end; ++i)
            v.run(i / plan.blocks / plan.c.groups, i / plan.blocks % plan.c.groups, i % plan.blocks, copies + plan.W,
                  reinterpret_cast<char*>(copies + v.together.copies()));
    }, &s);
    if (s.job.failed) return false;
    for (i64 i = 0; i < c.images * c.groups; ++i) {
        if (!s.left[i]) continue;
        const i64 group = i % c.groups;
        Convolution one = c;
        one.images = one.groups = 1;
        one.x = p.x(i / c.groups, group), one.y = p.y(i / c.groups, group), one.w = p.w(group);
        if (c.bias) one.bias = static_cast<const float*>(c.bias) + group * c.outputs;
        if (!in_float32(one)) return false;
    }
    return true;
}

// The weight gradient's part of a batch of images: sum (rows, outputs) += windows · gᵀ, C's rows being rows of the windows'
// matrix, and k positions.
struct SplitGradient {
    const FloatPlan& p;
    Together together;
    i64 depth;  // positions at a time
    i64* offsets = nullptr;

    explicit SplitGradient(const FloatPlan& plan) : p(plan), together(plan) {
        depth = depth_of_block(together.images * p.columns);
    }
    i64 g_size() const { return p.c.outputs * together.images * p.columns + p.W; }
    unsigned long memory() const {
        return bytes<float>(together.copies() + g_size()) +
               static_cast<unsigned long>(panels_bytes(p.c.outputs, depth) + panels_bytes(p.rows, depth));
    }

    // False: there are special numbers, and nothing has been added.
    bool add(i64 first, i64 images, i64 group, i64 block, float* sum, char* memory) const {
        float* const copies = reinterpret_cast<float*>(memory) + p.W;
        float* const g = copies - p.W + together.copies();
        char *const b_panels = reinterpret_cast<char*>(g + g_size()), *const a_panels = b_panels + panels_bytes(p.c.outputs, depth);
        const i64 outputs = p.c.outputs, count = p.count(block) * p.line, positions = images * count;
        Exponents seen_x, seen_g;
        for (i64 i = 0; i < images; ++i) {
            p.padded(first + i, group, block, copies + i * together.image_size);
            seen_x.see(exponents_of(copies + i * together.image_size, p.image_elements()));
            const float* from = p.y(first + i, group) + p.first(block) * p.line;
            for (i64 o = 0; o < outputs; ++o)
                __builtin_memcpy(g + o * positions + i * count, from + o * p.positions, bytes<float>(count));
        }
        seen_g = exponents_of(g, outputs * positions);
        // What is added up is longer than this batch, but it is added in float32.
        if (!in_range(seen_x, seen_g, positions)) return false;
        for (i64 k0 = 0; k0 < positions; k0 += depth) {
            const i64 steps = least(depth, positions - k0);
            Splitter<Side::b>(g + k0, positions, 1, outputs, steps).split(b_panels);
            split_windows(copies, block, k0, steps, a_panels);
            for (i64 r = 0; r < p.rows; r += panel_lines)
                for (i64 o = 0; o < outputs; o += panel_lines) {
                    alignas(64) float sums[panel_lines * panel_lines];
                    const i64 m = least(panel_lines, p.rows - r), n = least(panel_lines, outputs - o);
                    split_tile(m, n, (steps + depth_of_step - 1) / depth_of_step,
                               a_panels + r / panel_lines * panel_bytes(panel_lines, steps),
                               b_panels + o / panel_lines * panel_bytes(panel_lines, steps), sums, panel_lines * sizeof(float));
                    finish_tile(sums, m, n, sum + r * outputs + o, outputs, true, nullptr, nullptr);
                }
        }
        return true;
    }
    // 32 positions of all rows of the windows' matrix: those that are not there are zeros in g, and so may be anything here.
    template <bool usual>
    static void split_rows(const SplitGradient& s, const Sixteen& left, const Sixteen& right, const float* copies, char* panels,
                           i64 k, i64 steps) {
        Range range;  // what the images hold has been looked at
        for (i64 r = 0; r < s.p.rows; r += lines) {
            const i64 apart = bytes_apart(r, s.p.rows);
            char* row = tiles_of(panels, r, k, s.p.rows, steps);
            for (i64 i = 0; i < lines; ++i, row += 64) {
                const float* x = copies + s.offsets[r + i];
                Split(left.row<usual>(x), right.row<usual>(x), range).store(row, apart);
            }
        }
    }
    // All rows of the windows' matrix, positions [k0, k0 + steps).
    void split_windows(const float* copies, i64 block, i64 k0, i64 steps, char* panels) const {
        for (i64 k = 0; k < steps; k += depth_of_step) {
            const i64 n = least(depth_of_step, steps - k);
            const Gather<float> gather(p, block, together.image_size, k0 + k, n, depth_of_step);
            const Sixteen left(gather, 0), right(gather, 1);
            (left.is_usual() && right.is_usual() ? split_rows<true> : split_rows<false>)(*this, left, right, copies,
                                                                                        panels, k, steps);
        }
    }
};

// Images [first, last). `in_float32` adds a block of an image that the unit cannot.
template <class Fn>
bool split_gradient(const FloatPlan& p, i64 first, i64 last, i64 group, float* sum, const Fn& in_float32) {
    SplitGradient s(p);
    const Scratch memory(s.memory()), offsets(bytes<i64>(offsets_size(p)));
    if (!memory || !offsets) return false;
    s.offsets = reinterpret_cast<i64*>(offsets.data());
    padded_offsets(p, s.offsets);
    for (i64 image = first; image < last; image += s.together.images)
        for (i64 block = 0; block < p.blocks; ++block) {
            const i64 images = least(s.together.images, last - image);
            bool added;
            {
                const Unit unit;  // the other way uses it too
                added = s.add(image, images, group, block, sum, memory.data());
            }
            for (i64 i = image; i < image + images && !added; ++i) in_float32(i, block);
        }
    return true;
}

}  // namespace
}  // namespace TGE_ISA
}  // namespace tge
