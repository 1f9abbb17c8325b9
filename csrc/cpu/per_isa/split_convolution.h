// Convolution of float32 on a matrix unit (split.h). The unit reads its tiles in rows of 64 bytes any distance apart, so it
// reads windows where they lie: a padded copy of x is split once, and each window position is a shift of it.
//
// Positions are counted in the padded copy, line after line. Those at the end of a line, whose windows would reach into
// the next one, are computed and left out.
#pragma once
#include "plan.h"
#include "split_tiles.h"

namespace tge {
namespace TGE_ISA {
namespace {

using FloatPlan = Plan<float>;
constexpr i64 word = 4;  // two bfloat16

// The unit's steps are 32 channels long, and only neighbouring positions lie side by side.
inline bool is_worth_splitting(const FloatPlan& p) {
    return p.c.channels >= 24 && p.c.outputs >= 16 && p.taps > 1 && p.c.stride[0] == 1 && p.c.stride[1] == 1 &&
           p.c.stride[2] == 1 && p.positions >= 32;
}

// The padded copy of x and its parts. A plane is a channel's positions, or those of two channels.
struct Copies {
    const FloatPlan& p;
    i64 size;         // positions of the copy
    i64 plane, part;  // bytes

    // Room behind a plane for tiles that begin in it, and rows of a tile in different places of the first cache.
    Copies(const FloatPlan& plan, i64 planes) : p(plan), size(p.reach[0] * p.reach[1] * p.reach[2]) {
        plane = (round_up(size + 3 * panel_lines, 2 * FloatPlan::W) + FloatPlan::W) * word;
        part = planes * plane;
    }
    i64 bytes() const { return parts * part; }
    i64 copy_elements() const { return round_up(p.image_elements() + 4 * FloatPlan::W, FloatPlan::W); }
    // How many positions of a block are computed: up to the last output's.
    i64 positions(i64 block) const {
        return ((p.outputs_in(0, block) - 1) * p.reach[1] + p.outputs_in(1, block) - 1) * p.reach[2] + p.outputs_in(2, block);
    }
    // Where a window position lies.
    i64 shift(i64 tap) const {
        const Convolution& c = p.c;
        const i64 k2 = tap % c.kernel[2], k1 = tap / c.kernel[2] % c.kernel[1], k0 = tap / c.kernel[2] / c.kernel[1];
        return (k0 * c.dilation[0] * p.reach[1] + k1 * c.dilation[1]) * p.reach[2] + k2 * c.dilation[2];
    }
    // Calls f(first position in the copy, first position in y, n) for the lines of a block's positions [q, q + n).
    template <class Fn>
    void for_lines(i64 block, i64 q, i64 n, const Fn& f) const {
        const i64 lines1 = p.outputs_in(1, block), across = p.outputs_in(2, block);
        for (i64 at = q; at < q + n;) {
            const i64 line = at / p.reach[2], x = at % p.reach[2], y = line % p.reach[1], z = line / p.reach[1];
            const i64 end = least(q + n, (line + 1) * p.reach[2]);
            if (x < across && y < lines1)
                f(at, p.first(block) * p.line + (z * lines1 + y) * across + x, least(end - at, across - x));
            at = end;
        }
    }

    // Channels c and c + 16 of each 32 share a plane: a tile of B is rows of 16 positions. Zeros for missing channels.
    Exponents split_pairs(const float* copy, char* planes) const {
        const i64 channels = p.c.channels;
        Range range;
        for (i64 c = 0, at = 0; c < channels; at += lines, c += depth_of_step)
            for (i64 i = 0; i < lines; ++i) {
                const float *x = copy + (c + i) * size, *y = x + lines * size;
                split_plane(c + i < channels ? x : nullptr, c + i + lines < channels ? y : nullptr, planes + (at + i) * plane,
                            range);
            }
        Exponents seen;
        seen.see(range);
        return seen;
    }
private:
    // Some positions more than a channel has are read: they are the next one's, or of the room behind the last one.
    void split_plane(const float* x, const float* y, char* to, Range& seen) const {
        using L = Direct<float>;
        Range range = seen;  // here it stays in registers
        for (i64 q = 0; q < size; q += L::W)
            Split(x ? L::load(x + q) : F{}, y ? L::load(y + q) : F{}, range).store(to + q * word, part);
        seen = range;
    }
};

// y = w · windows + bias: C's rows are outputs, its columns positions, and k goes through the taps, and 32 channels of each
// at a time.
struct SplitConvolution {
    Job<float> job;
    Copies copies;
    i64 channels, depth;  // of one tap; of a block of k
    i64 together;         // images in one piece of work
    i64 weight_bytes;     // of one group
    char* weights = nullptr;  // for each group and block of k the panels
    i64* steps = nullptr;     // where the unit's steps begin in the planes
    Exponents* exponents = nullptr;  // of each group's weights
    bool* left = nullptr;            // images and groups that are left to float32

    explicit SplitConvolution(const Convolution& c)
        : job(c), copies(job.plan, round_up(c.channels, depth_of_step) / 2), channels(round_up(c.channels, depth_of_step)) {
        depth = depth_of_block(k());
        weight_bytes = (k() + depth - 1) / depth * panels_bytes(c.outputs, depth);
        together = least(block_numbers * bytes_per_number / 2 / copies.bytes(), (c.images + 7) / 8);
        if (together < 1 || job.plan.blocks > 1) together = 1;
    }
    i64 k() const { return job.plan.taps * channels; }
    i64 batches() const { return (job.plan.c.images + together - 1) / together; }
    char* panels(i64 group, i64 k0) const {
        return weights + group * weight_bytes + k0 / depth * panels_bytes(job.plan.c.outputs, depth);
    }
    // `by_tap`: memory for a group's weights, zeros.
    void prepare(float* by_tap) {
        const FloatPlan& p = job.plan;
        for (i64 tap = 0, s = 0; tap < p.taps; ++tap)
            for (i64 c = 0; c < channels; c += depth_of_step)
                steps[s++] = c / 2 * copies.plane + copies.shift(tap) * word;
        for (i64 group = 0; group < p.c.groups; ++group) {
            exponents[group] = exponents_of(p.w(group), p.c.outputs * p.rows);
            for (i64 o = 0; o < p.c.outputs; ++o)
                for (i64 c = 0; c < p.c.channels; ++c)
                    for (i64 tap = 0; tap < p.taps; ++tap)
                        by_tap[(o * p.taps + tap) * channels + c] = p.w(group)[(o * p.c.channels + c) * p.taps + tap];
            for (i64 k0 = 0; k0 < k(); k0 += depth)
                Splitter<Side::a>(by_tap + k0, k(), 1, p.c.outputs, least(depth, k() - k0), panels(group, k0)).finish();
        }
    }
    void run(i64 batch, i64 group, i64 block, float* copy, char* planes) const {
        const FloatPlan& p = job.plan;
        const Convolution& c = p.c;
        const i64 first = batch * together, images = least(together, c.images - first), positions = copies.positions(block);
        for (i64 i = 0; i < images; ++i) {
            p.padded(first + i, group, block, copy);
            if (!in_range(exponents[group], copies.split_pairs(copy, planes + i * copies.bytes()), log2_above(p.rows)))
                __atomic_store_n(&left[(first + i) * c.groups + group], true, __ATOMIC_RELAXED);
        }
        for (i64 k0 = 0; k0 < k(); k0 += depth)
            for (i64 o = 0; o < c.outputs; o += panel_lines)
                for (i64 i = 0; i < images; ++i)
                    for (i64 q = 0; q < positions; q += panel_lines)
                        multiply(first + i, group, block, o, q, least(panel_lines, positions - q), k0, planes + i * copies.bytes());
    }
    // Outputs [o, o + 32) of positions [q, q + n) of an image.
    void multiply(i64 image, i64 group, i64 block, i64 o, i64 q, i64 n, i64 k0, const char* planes) const {
        const FloatPlan& p = job.plan;
        const i64 m = least(panel_lines, p.c.outputs - o), length = least(depth, k() - k0);
        const Tiles a = tiles_of_panel(panels(group, k0) + o / panel_lines * panel_bytes(panel_lines, length), m);
        const Tiles b = {planes + q * word, 0, copies.part, lines * word, copies.plane, steps + k0 / depth_of_step};
        alignas(64) float sums[panel_lines * panel_lines + FloatPlan::W];  // whole vectors are read, from any column on
        split_tile(m, n, length / depth_of_step, a, b, sums, panel_lines * sizeof(float));
        const float* bias = p.c.bias && k0 + depth >= k() ? static_cast<const float*>(p.c.bias) + group * p.c.outputs + o : nullptr;
        float* const y = p.y(image, group) + o * p.positions;
        copies.for_lines(block, q, n, [&](i64 from, i64 to, i64 count) {
            finish_tile(sums + from - q, m, count, y + to, p.positions, k0 > 0, nullptr, bias);
        });
    }
};

// `in_float32` computes what the unit cannot: images with special numbers, one by one.
inline bool split_convolve(const Convolution& c, bool (*in_float32)(const Convolution&)) {
    SplitConvolution s(c);
    const FloatPlan& p = s.job.plan;
    const Scratch weights(static_cast<unsigned long>(c.groups * s.weight_bytes)), by_tap(bytes<float>(c.outputs * s.k())),
        steps(bytes<i64>(s.k() / depth_of_step)), exponents(bytes<Exponents>(c.groups)), left(bytes<bool>(c.images * c.groups));
    if (!weights || !by_tap || !steps || !exponents || !left) return false;
    s.weights = weights.data();
    s.steps = reinterpret_cast<i64*>(steps.data());
    s.exponents = reinterpret_cast<Exponents*>(exponents.data());
    s.left = reinterpret_cast<bool*>(left.data());
    for (i64 i = 0; i < c.images * c.groups; ++i) s.left[i] = false;
    __builtin_memset(by_tap.data(), 0, bytes<float>(c.outputs * s.k()));
    s.prepare(reinterpret_cast<float*>(by_tap.data()));
    parallel_for(s.batches() * c.groups * p.blocks, grain(p, s.together * p.columns),
                 [](void* context, i64 begin, i64 end, int) {
        auto& v = *static_cast<SplitConvolution*>(context);
        const FloatPlan& plan = v.job.plan;
        const Scratch memory(bytes<float>(v.copies.copy_elements()) + static_cast<unsigned long>(v.together * v.copies.bytes()));
        if (!v.job.take(memory)) return;
        float* const copy = reinterpret_cast<float*>(memory.data());
        const Unit unit;
        for (i64 i = begin; i < end; ++i)
            v.run(i / plan.blocks / plan.c.groups, i / plan.blocks % plan.c.groups, i % plan.blocks, copy,
                  reinterpret_cast<char*>(copy + v.copies.copy_elements()));
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

// The weight gradient: for each tap C's rows are outputs, its columns channels, and k goes through positions. A is y's
// gradient, with zeros for the positions that are left out; B is x, position after position, so that each tap is a shift
// by whole rows.
struct SplitGradient {
    const FloatPlan& p;
    Copies copies;
    i64 length;    // of an image's line of g: positions, whole steps
    i64 images;    // whose positions make one sum
    i64 row, part; // bytes of a position's channels; of all

    explicit SplitGradient(const FloatPlan& plan)
        : p(plan), copies(p, 0), length(round_up(copies.positions(0), depth_of_step)) {
        images = p.blocks > 1 || length > most_depth / 2 ? 1 : most_depth / length;
        row = round_up(p.c.channels, lines) * word;
        if (row % 1024 == 0) row += 64;  // rows of a tile in different places of the first cache
        part = (copies.size + 2 * panel_lines) * row;
    }
    i64 size() const { return p.c.outputs * p.rows; }
    i64 g_elements() const { return p.c.outputs * images * length; }
    i64 copy_elements() const { return round_up(p.c.channels, lines) * copies.size + 4 * p.W; }
    unsigned long memory() const {
        return bytes<float>(round_up(copy_elements(), p.W) + g_elements()) + bytes<i64>(round_up(images * length / depth_of_step, 8)) +
               static_cast<unsigned long>(images * parts * part + panels_bytes(p.c.outputs, images * length));
    }

    // What lies where in the memory.
    struct Places {
        float *copy, *g;
        i64* steps;
        char *positions, *panels;
    };
    Places places(char* memory) const {
        float *const copy = reinterpret_cast<float*>(memory), *const g = copy + round_up(copy_elements(), p.W);
        i64* const steps = reinterpret_cast<i64*>(g + g_elements());
        char* const positions = reinterpret_cast<char*>(steps + round_up(images * length / depth_of_step, 8));
        return {copy, g, steps, positions, positions + images * parts * part};
    }
    // Zeros where nothing is written and something is read: behind the images, and between the lines of g.
    void prepare(char* memory) const {
        const Places m = places(memory);
        for (i64 i = p.image_elements(); i < copy_elements(); ++i) m.copy[i] = 0;
        for (i64 i = 0; i < g_elements(); ++i) m.g[i] = 0;
        for (i64 i = 1; i <= images * parts; ++i)
            __builtin_memset(m.positions + i * part - 2 * panel_lines * row, 0, static_cast<unsigned long>(2 * panel_lines * row));
    }

    // Adds a block of some images to sum (taps, outputs, channels). False: there are special numbers, and nothing was added.
    bool add(i64 first, i64 count, i64 group, i64 block, float* sum, char* memory) const {
        using L = Direct<float>;
        const Places at = places(memory);
        float *const copy = at.copy, *const g = at.g;
        char *const positions = at.positions, *const panels = at.panels;
        i64* const steps = at.steps;
        const i64 outputs = p.c.outputs, channels = p.c.channels, taps = p.taps, k = count * length, line = images * length;
        Exponents seen_x, seen_g;
        for (i64 i = 0; p.blocks > 1 && i < g_elements(); ++i) g[i] = 0;  // other lines than the block before
        for (i64 i = 0; i < count; ++i) {
            p.padded(first + i, group, block, copy);
            seen_x.see(turn(copy, positions + i * parts * part));
            copies.for_lines(block, 0, copies.positions(block), [&](i64 to, i64 from, i64 n) {
                float* row = g + i * length + to;
                const float* y = p.y(first + i, group) + from;
                for (i64 o = 0; o < outputs; ++o, row += line, y += p.positions) {
                    i64 e = 0;
                    for (; e + L::W <= n; e += L::W) L::store(row + e, L::load(y + e));
                    if (e < n) store_part<L>(row + e, n - e, load_part<L>(y + e, n - e, 0.0f));
                }
            });
        }
        seen_g.see(Splitter<Side::a>(g, line, 1, outputs, k, panels).finish());
        if (!in_range(seen_x, seen_g, log2_above(k))) return false;
        for (i64 s = 0; s < k / depth_of_step; ++s)
            steps[s] = s * depth_of_step / length * parts * part + s * depth_of_step % length * row;
        for (i64 tap = 0; tap < taps; ++tap)
            for (i64 c = 0; c < channels; c += panel_lines)
                for (i64 o = 0; o < outputs; o += panel_lines) {
                    const i64 m = least(panel_lines, outputs - o), n = least(panel_lines, channels - c);
                    const Tiles a = tiles_of_panel(panels + o / panel_lines * panel_bytes(panel_lines, k), m);
                    const Tiles b = {positions + copies.shift(tap) * row + c * word, 0, part, lines * word, row, steps};
                    alignas(64) float sums[panel_lines * panel_lines];
                    split_tile(m, n, k / depth_of_step, a, b, sums, panel_lines * sizeof(float));
                    finish_tile(sums, m, n, sum + (tap * outputs + o) * channels + c, channels, true, nullptr, nullptr);
                }
        return true;
    }
    // Positions q and q + 16 share a word: a tile of B is rows of 16 channels.
    Range turn(const float* copy, char* positions) const {
        using L = Direct<float>;
        Range range;
        for (i64 c = 0; c < p.c.channels; c += lines) {
            F x[L::W], y[L::W];
            const auto fetch = [&](F (&v)[L::W], i64 q) __attribute__((always_inline)) {
                for (i64 i = 0; i < L::W; ++i) v[i] = c + i < p.c.channels ? L::load(copy + (c + i) * copies.size + q) : F{};
                transpose(v);
            };
            fetch(x, 0);
            for (i64 q = 0; q < copies.size; q += L::W) {
                fetch(y, q + L::W);
                for (i64 i = 0; i < L::W; ++i) {
                    Split(x[i], y[i], range).store(positions + (q + i) * row + c * word, part);
                    x[i] = y[i];
                }
            }
        }
        return range;
    }
    // sum (channels, taps, outputs) += by_tap (taps, outputs, channels).
    void add_turned(const float* by_tap, float* sum) const {
        using L = Direct<float>;
        const i64 outputs = p.c.outputs, channels = p.c.channels;
        for (i64 tap = 0; tap < p.taps; ++tap)
            for (i64 o = 0; o < outputs; o += L::W)
                for (i64 c = 0; c < channels; c += L::W) {
                    const i64 m = least(outputs - o, L::W), n = least(channels - c, L::W);
                    F v[L::W];
                    for (i64 i = 0; i < L::W; ++i)
                        v[i] = i < m ? load_part<L>(by_tap + (tap * outputs + o + i) * channels + c, n, 0.0f) : F{};
                    transpose(v);
                    for (i64 i = 0; i < n; ++i) {
                        float* const to = sum + ((c + i) * p.taps + tap) * outputs + o;
                        store_part<L>(to, m, load_part<L>(to, m, 0.0f) + v[i]);
                    }
                }
    }
};

// Adds images [first, last) to sum (channels, taps, outputs). `in_float32` adds a block of one that the unit cannot.
template <class Fn>
bool split_gradient(const FloatPlan& p, i64 first, i64 last, i64 group, float* sum, const Fn& in_float32) {
    const SplitGradient s(p);
    const Scratch memory(s.memory()), own(bytes<float>(s.size()));
    if (!memory || !own) return false;
    s.prepare(memory.data());
    float* const by_tap = reinterpret_cast<float*>(own.data());
    __builtin_memset(by_tap, 0, bytes<float>(s.size()));
    for (i64 image = first; image < last; image += s.images)
        for (i64 block = 0; block < p.blocks; ++block) {
            const i64 count = least(s.images, last - image);
            bool added;
            {
                const Unit unit;  // the other way uses it too
                added = s.add(image, count, group, block, by_tap, memory.data());
            }
            for (i64 i = 0; i < count && !added; ++i) in_float32(image + i, block);
        }
    s.add_turned(by_tap, sum);
    return true;
}

}  // namespace
}  // namespace TGE_ISA
}  // namespace tge
