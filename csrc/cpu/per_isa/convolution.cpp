// Convolution and its two gradients as matrix products. The windows of a block of outputs are laid out as a matrix that
// stays in the second-level cache (plan.h), or strip by strip in the first-level cache.
#include "../threads.h"
#include "gather.h"
#ifdef TGE_SPLIT
#include "split_convolution.h"
#endif

namespace tge {
namespace TGE_ISA {
namespace {

// The same for many outputs: one strip of the windows at a time, which stays in the first-level cache while all outputs are
// computed from it.
template <class T>
struct Striped {
    Job<T> job;
    Strips<T> strips;
    i64 size;         // of a group's panels
    i64 together;     // small images, whose outputs are dealt into strips as if they were one's
    i64 batches;      // of so many images
    i64 image_size;   // of a padded copy
    T* panels = nullptr;
    i64* offsets = nullptr;  // of the rows of the windows' matrix in a padded copy of x

    explicit Striped(const Convolution& c) : job(c), strips(c.outputs, job.plan.rows) {
        const Plan<T>& p = job.plan;
        size = round_up(strips.panels_size(), p.W);
        image_size = round_up(p.image_elements(), p.W);
        together = p.blocks > 1 ? 1 : least(768 / p.positions + 1, block_elements / 2 / image_size + 1);
        batches = round_up((c.images + together - 1) / together, 4);  // as many for each thread
        together = (c.images + batches - 1) / batches;
        batches = (c.images + together - 1) / together;
    }
    // All that does not depend on x.
    void prepare() {
        const Plan<T>& p = job.plan;
        const Convolution& c = p.c;
        for (i64 group = 0; group < c.groups; ++group) strips.pack(p.w(group), p.rows, 1, panels + group * size);
        row_offsets(p, offsets);
    }
    // Adds rows [first_row, last_row) of the windows' matrix to columns [j, j + columns).
    TGE_INLINE void add(const T* copies, i64 first, i64 group, i64 block, i64 j, i64 columns, i64 first_row, i64 last_row, T* strip,
             T* apart) const {
        const Plan<T>& p = job.plan;
        const Convolution& c = p.c;
        const Gather<T> gather(p, block, image_size, j, columns, strips.width(columns));
        T* y = nullptr;
        for_images(p, first, group, block, j, columns, [&](i64, T* to, i64 n) { y = n == columns ? to : nullptr; });
        const i64 row = y ? p.positions : strips.columns;  // columns of several images are computed apart from these
        const auto exchange = [&](bool back) {
            for_images(p, first, group, block, j, columns, [&](i64 e, T* to, i64 n) {
                for (i64 o = 0; o < c.outputs; ++o, to += p.positions)
                    for (i64 i = 0; i < n; ++i)
                        if (back) to[i] = apart[o * row + e + i];
                        else apart[o * row + e + i] = to[i];
            });
        };
        if (!y && first_row > 0) exchange(false);
        for (i64 k0 = first_row; k0 < last_row; k0 += strips.steps) {
            gather.lay_out(copies, offsets, k0, least(k0 + strips.steps, last_row), strip);
            strips.multiply(panels + group * size, k0, strip, columns, y ? y : apart, row,
                            c.bias ? static_cast<const T*>(c.bias) + group * c.outputs : nullptr);
        }
        if (!y) exchange(true);
    }
    // A block of a batch of images.
    void run(i64 batch, i64 group, i64 block, T* copies, T* strip, T* apart) const {
        const Plan<T>& p = job.plan;
        const i64 first = batch * together, images = least(together, p.c.images - first);
        for (i64 i = 0; i < images; ++i) p.padded(first + i, group, block, copies + i * image_size);
        const i64 outputs = images * p.count(block) * p.line;
        // Weights that the second-level cache does not hold serve a part at a time all strips.
        const i64 rows = size > block_elements && outputs >= 8 * strips.columns ? strips.steps : p.rows;
        for (i64 row = 0; row < p.rows; row += rows)
            for (i64 j = 0; j < outputs; j += strips.columns)
                add(copies, first, group, block, j, least(strips.columns, outputs - j), row, least(row + rows, p.rows), strip,
                    apart);
    }
};

template <class T>
bool convolve_strips(const Convolution& c) {
    Striped<T> striped(c);
    const Plan<T>& p = striped.job.plan;
    const Scratch panels(bytes<T>(c.groups * striped.size)), offsets(bytes<i64>(p.rows));
    if (!panels || !offsets) return false;
    striped.panels = reinterpret_cast<T*>(panels.data());
    striped.offsets = reinterpret_cast<i64*>(offsets.data());
    striped.prepare();
    parallel_for(striped.batches * c.groups * p.blocks, grain(p, striped.together * p.columns),
                 [](void* context, i64 begin, i64 end, int) {
        auto& s = *static_cast<Striped<T>*>(context);
        const Plan<T>& plan = s.job.plan;
        const i64 copies = plan.W + s.together * s.image_size, strip = s.strips.steps * s.strips.columns;
        const Scratch memory(bytes<T>(copies + strip + plan.c.outputs * s.strips.columns));
        if (!s.job.take(memory)) return;
        T* const begins = reinterpret_cast<T*>(memory.data());
        for (i64 i = begin; i < end; ++i)
            s.run(i / plan.blocks / plan.c.groups, i / plan.blocks % plan.c.groups, i % plan.blocks, begins + plan.W,
                  begins + copies, begins + copies + strip);
    }, &striped);
    return !striped.job.failed;
}

// Outputs (image, group, block): y = w · windows + bias.
template <class T>
bool convolve_vectors(const Convolution& c) {
    Job<T> job(c);
    const Plan<T>& p = job.plan;
    if (p.by_strips()) return convolve_strips<T>(c);
    parallel_for(c.images * c.groups * p.blocks, grain(p, p.columns), [](void* context, i64 begin, i64 end, int) {
        auto& j = *static_cast<Job<T>*>(context);
        const Plan<T>& plan = j.plan;
        const Convolution& v = plan.c;
        const i64 image_size = round_up(plan.image_elements(), plan.W);
        const Scratch memory(bytes<T>(image_size + plan.window_elements()));
        if (!j.take(memory)) return;
        T* copy = reinterpret_cast<T*>(memory.data());
        for (i64 i = begin; i < end; ++i) {
            const i64 block = i % plan.blocks, group = i / plan.blocks % v.groups, image = i / plan.blocks / v.groups;
            i64 distance;
            const T* windows = plan.windows(image, group, block, copy + image_size, copy, distance);
            Gemm g = {v.outputs, plan.count(block) * plan.line, plan.rows, plan.w(group), windows, nullptr,
                      plan.y(image, group) + plan.first(block) * plan.line, plan.rows, 1, distance, 1, plan.positions};
            if (v.bias) g.row_bias = static_cast<const T*>(v.bias) + group * v.outputs;
            j.run(g);
        }
    }, &job);
    return !job.failed;
}

// Whether the matrix unit takes it.
template <class T>
bool is_for_unit(const Plan<T>& p) {
#ifdef TGE_SPLIT
    if constexpr (sizeof(T) == sizeof(float)) return is_worth_splitting(p);
#endif
    return static_cast<void>(p), false;
}
template <class T>
bool convolve(const Convolution& c) {
#ifdef TGE_SPLIT
    if constexpr (sizeof(T) == sizeof(float))
        if (is_for_unit(Plan<T>(c))) return split_convolve(c, convolve_vectors<float>);
#endif
    return convolve_vectors<T>(c);
}

// With steps of 1 the gradient of x is a convolution of y's gradient as well, with the weights turned round and the two kinds
// of channels exchanged. This is all of it but the weights; false where the other way is the better or the only one.
template <class T>
bool turn(const Convolution& c, Convolution& turned) {
    turned = c;
    turned.channels = c.outputs, turned.outputs = c.channels, turned.x = c.y, turned.y = c.x, turned.bias = nullptr;
    for (int d = 0; d < 3; ++d) {
        turned.in[d] = c.out[d], turned.out[d] = c.in[d], turned.padding[d] = c.dilation[d] * (c.kernel[d] - 1) - c.padding[d];
        if (c.stride[d] != 1 || turned.padding[d] < 0) return false;
    }
    const Plan<T> p(turned);
    return p.by_strips() || is_for_unit(p);
}
template <class T>
bool convolve_turned(const Convolution& c, Convolution& turned) {
    const Plan<T> p(c);
    const Scratch weights(bytes<T>(c.groups * c.outputs * p.rows));
    if (!weights) return false;
    turned.w = weights.data();
    T* to = reinterpret_cast<T*>(weights.data());
    for (i64 group = 0; group < c.groups; ++group)
        for (i64 channel = 0; channel < c.channels; ++channel)
            for (i64 output = 0; output < c.outputs; ++output)
                for (i64 tap = p.taps - 1; tap >= 0; --tap) *to++ = p.w(group)[(output * c.channels + channel) * p.taps + tap];
    return convolve<T>(turned);
}

// Inputs (image, group): windows' gradient wᵀ · g, its overlaps added up.
template <class T>
bool convolve_input_gradient(const Convolution& c) {
    Convolution turned;
    if (turn<T>(c, turned)) return convolve_turned<T>(c, turned);
    Job<T> job(c);
    const Plan<T>& p = job.plan;
    parallel_for(c.images * c.groups, grain(p, p.positions), [](void* context, i64 begin, i64 end, int) {
        auto& j = *static_cast<Job<T>*>(context);
        const Plan<T>& plan = j.plan;
        const Convolution& v = plan.c;
        const i64 image_size = round_up(plan.image_elements(), plan.W);
        const Scratch memory(bytes<T>(image_size + plan.window_elements()));
        if (!j.take(memory)) return;
        T *copy = reinterpret_cast<T*>(memory.data()), *matrix = copy + image_size;
        for (i64 i = begin; i < end; ++i) {
            T* dx = plan.x(i / v.groups, i % v.groups);
            if (!plan.pointwise)
                for (i64 e = 0; e < v.channels * plan.pixels; ++e) dx[e] = 0;
            for (i64 block = 0; block < plan.blocks; ++block) {
                const i64 start = plan.first(block) * plan.line, n = plan.count(block) * plan.line;
                j.run({plan.rows, n, v.outputs, plan.w(i % v.groups), plan.y(i / v.groups, i % v.groups) + start, nullptr,
                       plan.pointwise ? dx + start : matrix, 1, plan.rows, plan.positions, 1,
                       plan.pointwise ? plan.positions : plan.step});
                if (plan.pointwise) continue;
                for (i64 e = 0; e < image_size; ++e) copy[e] = 0;
                plan.overlap_add(matrix, copy, block);
                plan.for_overlaps(copy, dx, block, [](const T* from, T* to, i64 count) {
                    for (i64 e = 0; e < count; ++e) to[e] += from[e];
                });
            }
        }
    }, &job);
    return !job.failed;
}

// sum (rows, outputs) += windows · gᵀ of a block of one image. `copy` has room for a padded copy and the windows.
template <class T>
void add_windows(Job<T>& j, i64 image, i64 group, i64 block, T* sum, T* copy) {
    const Plan<T>& plan = j.plan;
    i64 distance;
    const T* windows = plan.windows(image, group, block, copy + round_up(plan.image_elements(), plan.W), copy, distance);
    Gemm g = {plan.rows, plan.c.outputs, plan.count(block) * plan.line, windows,
              plan.y(image, group) + plan.first(block) * plan.line, nullptr, sum,
              distance, 1, 1, plan.positions, plan.c.outputs};
    g.accumulate = true;
    j.run(g);
}

// Each part sums over its share of the images: sums[part, group] = Σ windows · gᵀ, so that neither operand of the
// product, which has few columns, needs to be transposed. Then the parts are added in order.
template <class T>
bool convolve_weight_gradient(const Convolution& c) {
    Job<T> job(c);
    const Plan<T>& p = job.plan;
    const i64 size = p.rows * c.outputs, room = (i64{1} << 22) / (size * c.groups + 1) + 1;
    job.parts = least(least(c.images < 1 ? 1 : c.images, partial_sums), room);
    const Scratch sums(bytes<T>(job.parts * c.groups * size)), bias_sums(bytes<double>(job.parts * c.groups * c.outputs));
    if (!sums || !bias_sums) return false;
    job.sums = reinterpret_cast<T*>(sums.data());
    job.bias_sums = reinterpret_cast<double*>(bias_sums.data());
    parallel_for(job.parts * c.groups, 1, [](void* context, i64 begin, i64 end, int) {
        auto& j = *static_cast<Job<T>*>(context);
        const Plan<T>& plan = j.plan;
        const Convolution& v = plan.c;
        const i64 image_size = round_up(plan.image_elements(), plan.W);
        const Scratch memory(bytes<T>(image_size + plan.window_elements()));
        if (!j.take(memory)) return;
        T* copy = reinterpret_cast<T*>(memory.data());
        for (i64 i = begin; i < end; ++i) {
            const i64 part = i / v.groups, group = i % v.groups;
            T* sum = j.sums + i * plan.rows * v.outputs;
            double* bias_sum = j.bias_sums + i * v.outputs;
            for (i64 e = 0; e < plan.rows * v.outputs; ++e) sum[e] = 0;
            for (i64 o = 0; o < v.outputs; ++o) bias_sum[o] = 0;
            const i64 first = v.images * part / j.parts, last = v.images * (part + 1) / j.parts;
            for (i64 image = first; image < last; ++image)
                for (i64 block = 0; v.bias_gradient && block < plan.blocks; ++block)
                    for (i64 o = 0; o < v.outputs; ++o) {
                        const T* row = plan.y(image, group) + o * plan.positions + plan.first(block) * plan.line;
                        bias_sum[o] += row_sum(plan.count(block) * plan.line, row, row, [](auto x, auto) { return x; });
                    }
#ifdef TGE_SPLIT
            if constexpr (sizeof(T) == sizeof(float))
                if (is_for_unit(plan)) {
                    if (!split_gradient(plan, first, last, group, sum, [&](i64 image, i64 block) {
                            add_windows(j, image, group, block, sum, copy);
                        })) j.failed = true;
                    continue;
                }
#endif
            for (i64 image = first; image < last; ++image)
                for (i64 block = 0; block < plan.blocks; ++block) add_windows(j, image, group, block, sum, copy);
        }
    }, &job);
    if (job.failed) return false;
    parallel_for(c.groups * size, i64{1} << 15, [](void* context, i64 begin, i64 end, int) {
        auto& j = *static_cast<Job<T>*>(context);
        const i64 all = j.plan.c.groups * j.plan.rows * j.plan.c.outputs;
        for (i64 part = 1; part < j.parts; ++part)
            for (i64 i = begin; i < end; ++i) j.sums[i] += j.sums[part * all + i];
    }, &job);
    if (c.bias_gradient)
        for (i64 o = 0; o < c.groups * c.outputs; ++o) {
            double total = 0;
            for (i64 part = 0; part < job.parts; ++part) total += job.bias_sums[part * c.groups * c.outputs + o];
            static_cast<T*>(c.bias_gradient)[o] = static_cast<T>(total);
        }
    for (i64 group = 0; group < c.groups; ++group) {
        const T* sum = job.sums + group * size;
        if (p.rows >= p.W) pack(c.outputs, p.rows, p.rows, sum, c.outputs, 1, p.w(group));  // transposed
        else
            for (i64 i = 0; i < size; ++i) p.w(group)[i] = sum[i % p.rows * c.outputs + i / p.rows];
    }
    return true;
}

}  // namespace

void fill_convolution(Table& t) {
#define BOTH(kernel)             \
    t.kernel[0] = kernel<float>; \
    t.kernel[1] = kernel<double>;
    BOTH(convolve) BOTH(convolve_input_gradient) BOTH(convolve_weight_gradient)
#undef BOTH
}

}  // namespace TGE_ISA
}  // namespace tge
