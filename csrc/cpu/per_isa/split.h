// float32 as the sum of three bfloat16, for matrix units that multiply bfloat16 and add up in float32 (Intel's AMX).
//
// A float32 has 24 significant bits, a bfloat16 has 8 and the same exponents: x = x₁ + x₂ + x₃, each the nearest bfloat16
// to what the ones before have left, is exact. Of the nine products of two such sums six are computed: what is left out,
// x₂y₃ + x₃y₂ + x₃y₃, is below 2⁻²⁶·|xy|, a quarter of what rounding xy to float32 may cost (Henry, Tang & Heinecke 2019).
//
// The unit takes subnormal numbers for zeros, and ∞ − ∞ is no part of ∞: `Range` tells whether any number is so large or
// so small that it would matter. Then float32 arithmetic has to do it (split_gemm.cpp).
#pragma once
#include <atomic>

#include "pack.h"

namespace tge {
namespace TGE_ISA {
namespace {

constexpr int parts = 3;
constexpr i64 lines = 16;        // rows of a unit's tile, or columns: of a matrix's rows or columns so many lie in one piece
constexpr i64 depth_of_step = 32;  // of k, in one tile
constexpr i64 tile_bytes = 1024, tile_row = 64;
constexpr i64 bytes_per_number = 2 * parts;

typedef uint32_t Words __attribute__((vector_size(64)));      // two bfloat16 in each
typedef uint16_t Halves __attribute__((vector_size(64)));
typedef uint32_t WordsInMemory __attribute__((vector_size(64), aligned(4), may_alias));

// The numbers seen so far: upper halves, which begin with the exponent, of the smallest and largest magnitudes, zero left
// out; and whether there was one too small for its parts.
struct Range {
    Halves low = ~Halves{}, high{};
    Words rest{};

    TGE_INLINE void see(Words first_parts, Words left_x, Words left_y) {
        const Halves magnitude = reinterpret_cast<Halves>(first_parts & 0x7FFF7FFF), below = magnitude - 1;
        high = magnitude > high ? magnitude : high;
        low = below < low ? below : low;
        rest |= left_x | left_y;
    }
};

// The same for a whole matrix, in exponents: 2^low ≤ |x| < 2^(high + 1) for all x ≠ 0.
struct Exponents {
    int low = 1000, high = -1000;
    void see(const Range& range) {
        unsigned smallest = 0xFFFF, largest = 0, rest = 0;
        for (int i = 0; i < 32; ++i) {
            if (range.low[i] < smallest) smallest = range.low[i];
            if (range.high[i] > largest) largest = range.high[i];
        }
        for (int i = 0; i < 16; ++i) rest |= range.rest[i] & 0xFFFF;
        if (smallest != 0xFFFF) see(static_cast<int>((smallest + 1) >> 7) - 127);
        if (largest != 0) see(static_cast<int>(largest >> 7) - 127);
        if (rest != 0) see(-1000), see(1000);  // a subnormal number, or NaN
    }
    void see(int exponent) {
        if (exponent < low) low = exponent;
        if (exponent > high) high = exponent;
    }
    void see(const Exponents& other) {
        if (other.low < low) low = other.low;
        if (other.high > high) high = other.high;
    }
};

// Exponents that several threads have seen.
struct Seen {
    std::atomic<int> low{1000}, high{-1000};
    void see(const Range& range) {
        Exponents e;
        e.see(range);
        for (int old = low.load(); e.low < old && !low.compare_exchange_weak(old, e.low);) {}
        for (int old = high.load(); e.high > old && !high.compare_exchange_weak(old, e.high);) {}
    }
    Exponents all() const { return {low.load(), high.load()}; }
};

inline int log2_above(i64 k) {
    int log = 0;
    while ((i64{1} << log) < k) ++log;
    return log;
}
// Whether products of numbers in these ranges, up to 2^log_k of them added up, come out of the parts: none is infinite, and no sum …
inline bool fits_above(const Exponents& a, const Exponents& b, int log_k) {
    return a.high <= 126 && b.high <= 126 && a.high + b.high + log_k <= 123;
}
// … none is subnormal, and a product that is taken for zero is below a rounding error.
inline bool fits_below(const Exponents& a, const Exponents& b) {
    return a.low >= -103 && b.low >= -103 && a.low + b.low >= -96;
}
inline bool in_range(const Exponents& a, const Exponents& b, int log_k) { return fits_above(a, b, log_k) && fits_below(a, b); }
// The exponent of a sum beside which all that the unit may have taken for zeros, k·2⁻¹²⁶ times the largest number and as much
// six times over, is below a rounding error.
inline int large_enough(const Exponents& a, const Exponents& b, int log_k) {
    const int high = a.high > b.high ? a.high : b.high;
    return -98 + log_k + (high + 1 > 0 ? high + 1 : 0);
}
// Whether the unit's sum c of products of numbers in these ranges is as it should be.
inline bool may_stand(const Exponents& a, const Exponents& b, int log_k, float c) {
    if (!fits_above(a, b, log_k)) return false;
    if (fits_below(a, b) || a.low > a.high || b.low > b.high) return true;  // also where all numbers of one are zeros
    uint32_t bits;
    __builtin_memcpy(&bits, &c, sizeof bits);
    return static_cast<int>(bits >> 23 & 255) - 127 >= large_enough(a, b, log_k);
}

// The extremes of sixteen lanes, each on its own.
struct Extremes {
    Words low = ~Words{}, high{};
    TGE_INLINE void see(F v) {
        const Words magnitude = reinterpret_cast<Words>(v) & 0x7FFFFFFF, below = magnitude - 1;
        high = magnitude > high ? magnitude : high;
        low = below < low ? below : low;
    }
    void tell(int lane, Exponents& exponents) const {
        if (high[lane] == 0) return;
        exponents.see(static_cast<int>(high[lane] >> 23) - 127);
        exponents.see(static_cast<int>((low[lane] + 1) >> 23) - 127);
    }
};
// Of n numbers that lie side by side.
inline Exponents exponents_of(const float* x, i64 n) {
    using L = Direct<float>;
    Extremes extremes;
    for (i64 i = 0; i < n; i += L::W)
        extremes.see(i + L::W <= n ? L::load(x + i) : load_part<L>(x + i, n - i, 0.0f));
    Exponents result;
    for (int lane = 0; lane < L::W; ++lane) extremes.tell(lane, result);
    return result;
}
// Of `count` lines of n numbers; number k of line l is x[l·across + k·along].
inline void exponents_of_lines(const float* x, i64 count, i64 across, i64 n, i64 along, Exponents* result) {
    using L = Direct<float>;
    for (i64 l = 0; l < count; l += along == 1 ? 1 : L::W) {
        const float* line = x + l * across;
        if (along == 1) {
            result[l] = exponents_of(line, n);
            continue;
        }
        const i64 lanes = least(count - l, L::W);
        Extremes extremes;
        for (i64 k = 0; k < n; ++k, line += along) {
            F v{};
            if (across == 1) v = lanes == L::W ? L::load(line) : load_part<L>(line, lanes, 0.0f);
            else
                for (i64 i = 0; i < lanes; ++i) v[i] = line[i * across];
            extremes.see(v);
        }
        for (int i = 0; i < lanes; ++i) {
            result[l + i] = Exponents();
            extremes.tell(i, result[l + i]);
        }
    }
}

// Three times 16 pairs (x, y) of bfloat16.
struct Split {
    Words part[parts];
    TGE_INLINE Split(F x, F y, Range& range) {
#pragma GCC unroll 3
        for (int p = 0; p < parts; ++p) {
            // To nearest: half a unit is added to the magnitude, then cut off. The last part is exact without.
            const unsigned half = p + 1 < parts ? 0x8000 : 0;
            const Words wx = reinterpret_cast<Words>(x) + half, wy = (reinterpret_cast<Words>(y) + half) & 0xFFFF0000;
            part[p] = wx >> 16 | wy;
            if (p + 1 == parts) break;
            x -= reinterpret_cast<F>(wx & 0xFFFF0000);
            y -= reinterpret_cast<F>(wy);
        }
        range.see(part[0], reinterpret_cast<Words>(x), reinterpret_cast<Words>(y));
    }
    // To a row of three tiles that lie `apart` bytes apart.
    TGE_INLINE void store(char* row, i64 apart) const {
#pragma GCC unroll 3
        for (int p = 0; p < parts; ++p) *reinterpret_cast<WordsInMemory*>(row + p * apart) = part[p];
    }
};

// A panel is 32 lines, rows of A or columns of B, as the tiles that the unit reads: step by step of 32 in k, part by part, the
// first 16 lines and the last; a last panel that 16 lines are enough for has no others. Numbers k and k + 16 of a step are
// neighbours. Where there are no more lines, or no more steps, there are zeros.
//
// A tile of A has a line in each of its rows. A tile of B has its lines side by side: row i is numbers i and i + 16 of each.
enum class Side { a, b };
constexpr i64 panel_lines = 2 * lines;
// From one step's tiles to the next one's: not a multiple of what the first cache has of lines with the same place in it.
TGE_INLINE i64 step_bytes(i64 apart) { return parts * apart + 128; }
TGE_INLINE i64 panel_bytes(i64 count, i64 depth) {
    return (depth + depth_of_step - 1) / depth_of_step * step_bytes(count <= lines ? tile_bytes : 2 * tile_bytes);
}

// Beyond the second cache (2 MB where there is such a unit) memory is too slow for it. So there lie a block of B, split, and
// what multiplies it, some panels of A at a time, while A (split already, if there are several blocks) and C come and go once
// for each block.
constexpr i64 most_depth = 512;             // of a block of k
constexpr i64 block_numbers = i64{1} << 17;  // of B: 786 KB when split
// Nearly equal blocks, whole steps.
inline i64 depth_of_block(i64 k) {
    const i64 blocks = (k + most_depth - 1) / most_depth;
    return round_up((k + blocks - 1) / blocks, depth_of_step);
}
inline i64 panels_bytes(i64 count, i64 depth) {
    return (count + panel_lines - 1) / panel_lines * panel_bytes(panel_lines, depth);
}

// Where line l and step k of `count` lines and `depth` steps are, and how far apart the same tile's parts.
TGE_INLINE i64 bytes_apart(i64 l, i64 count) {
    return count - l / panel_lines * panel_lines > lines ? 2 * tile_bytes : tile_bytes;
}
TGE_INLINE char* tiles_of(char* panels, i64 l, i64 k, i64 count, i64 depth) {
    const i64 step = step_bytes(bytes_apart(l, count));
    return panels + l / panel_lines * panel_bytes(panel_lines, depth) + k / depth_of_step * step +
           l % panel_lines / lines * tile_bytes;
}

// What the vector units do while the matrix unit multiplies: a little between some of its instructions. The unit is held
// back by its power (all zeros take a fifth less time), so that one piece for four tiles' products costs next to nothing.
class Beside {
public:
    // 16 pairs of vectors, evenly apart, that become the rows of three tiles.
    struct Run {
        const float *x = nullptr, *y = nullptr;
        i64 step = 0;                // from a pair to the next
        char* row = nullptr;
        i64 apart = 0;               // from a tile to the next
        const float* ahead = nullptr;  // what comes to the cache meanwhile, two lines for each pair
        i64 ahead_step = 0, ahead_other = 0;
        i64 left = 0;
        Range range;                 // of this run and those before

        TGE_INLINE void next() {
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + ahead_other);
            Split(Direct<float>::load(x), Direct<float>::load(y), range).store(row, apart);
            x += step, y += step, row += tile_row, ahead += ahead_step;
            --left;
        }
    } run;
    bool more = false;  // may there be another run?

    // Begins the next run, if there is one.
    virtual void refill() = 0;

protected:
    ~Beside() = default;
};

// The panels of `count` lines, one behind the other; number k of line l is from[l·across + k·along].
template <Side side>
class Splitter final : public Beside {
public:
    Splitter() = default;
    Splitter(const float* from, i64 across, i64 along, i64 count, i64 depth, char* to) {
        start(from, across, along, count, depth, to);
    }
    Splitter(const Splitter&) = delete;  // a run may be of numbers that lie here
    Splitter& operator=(const Splitter&) = delete;

    // Only now the last such work's range is forgotten.
    void start(const float* from, i64 across, i64 along, i64 count, i64 depth, char* to) {
        from_ = from, across_ = across, along_ = along, count_ = count, depth_ = depth, to_ = to;
        turned_ = (side == Side::a ? along : across) != 1;
        l_ = k_ = 0;
        run.left = 0;
        run.range = Range();
        more = true;
    }
    // Does what is left, and returns what was seen of all.
    Range finish() {
        for (;;) {
            Run rest = run;  // here it stays in registers
            while (rest.left) rest.next();
            run = rest;
            refill();
            if (!more) return run.range;
        }
    }
    void refill() override {
        more = k_ < depth_ && l_ < count_;
        if (!more) return;
        if (turned_) refill_turned();
        else refill_straight();
    }

private:
    static constexpr int W = Direct<float>::W;
    // n numbers, at most 16, of those that lie side by side; zeros for the others.
    static TGE_INLINE F first(const float* p, i64 n) {
        return n >= W ? Direct<float>::load(p) : n <= 0 ? F{} : load_first(p, n, F{});
    }
    const float* at(i64 line, i64 k) const { return from_ + line * across_ + k * along_; }
    i64 apart(i64 l) const { return bytes_apart(l, count_); }
    char* tiles(i64 l, i64 k) const { return tiles_of(to_, l, k, count_, depth_); }
    // From a row of a tile to the next, or with turned ones from one of what becomes its columns.
    i64 step() const { return (side == Side::a) != turned_ ? across_ : along_; }
    void begin(const float* x, const float* y, i64 step, char* row) {
        run.x = x, run.y = y, run.step = step, run.row = row, run.apart = apart(l_), run.left = W;
    }
    void begin_here(char* row) {
        begin(reinterpret_cast<const float*>(x_), reinterpret_cast<const float*>(y_), W, row);
    }
    // The next run's numbers.
    void fetch() { run.ahead = at(l_, k_), run.ahead_step = step(), run.ahead_other = W * along_; }

    // Sixteen lines and a step of 32, as they lie: rows of a tile are lines of A, or of B the numbers in the same place …
    void refill_straight() {
        const i64 n = count_ - l_, have = depth_ - k_;
        char* const row = tiles(l_, k_);
        if (n >= lines && have >= depth_of_step) begin(at(l_, k_), at(l_, k_ + W), step(), row);
        else {
            for (i64 i = 0; i < W; ++i) {
                const float *x = at(l_, k_) + i * step(), *y = at(l_, k_ + W) + i * step();
                const i64 in_x = side == Side::a ? (i < n ? have : 0) : i < have ? n : 0;
                const i64 in_y = side == Side::a ? (i < n ? have - W : 0) : i + W < have ? n : 0;
                x_[i] = first(x, in_x), y_[i] = first(y, in_y);
            }
            begin_here(row);
        }
        // B's next lines lie beside these, A's next numbers.
        const bool other_half = side == Side::b && l_ % panel_lines == 0 && l_ + lines < count_;
        if (other_half) l_ += lines;
        else {
            if (side == Side::b) l_ -= l_ % panel_lines;
            advance(side == Side::b ? panel_lines : lines);
        }
        fetch();
    }
    // … or turned.
    void refill_turned() {
        load_turned(l_, k_, x_);
        load_turned(l_, k_ + W, y_);
        begin_here(tiles(l_, k_));
        advance(lines);
        fetch();
    }
    // To the next step and then the next `by` lines, or the other way round: in the order in which the numbers lie, as far as
    // panels allow, so that the processor fetches ahead.
    void advance(i64 by) {
        if (side == Side::a && turned_) {
            l_ += by;
            if (l_ < count_) return;
            l_ = 0;
            k_ += depth_of_step;
        } else {
            k_ += depth_of_step;
            if (k_ < depth_) return;
            l_ += by;
            if (l_ < count_) k_ = 0;
        }
    }
    // Numbers [k, k + 16) of lines [l, l + 16), in rows of what a tile has in its columns.
    TGE_INLINE void load_turned(i64 l, i64 k, F (&v)[W]) const {
        constexpr bool by_line = side == Side::b;  // each vector is of one line, or of one number
        const float* p = at(l, k);
        const i64 n = depth_ - k, have = count_ - l;
        const i64 vectors = by_line ? have : n, inside = by_line ? n : have;
        const i64 step = by_line ? across_ : along_, within = by_line ? along_ : across_;
        if (within == 1 && vectors >= W && inside >= W) {
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i) v[i] = Direct<float>::load(p + i * step);
        } else
            for (i64 i = 0; i < W; ++i, p += step) {
                if (within == 1 || i >= vectors) v[i] = first(p, i < vectors ? inside : 0);
                else
                    for (i64 j = 0; j < W; ++j) v[i][j] = j < inside ? p[j * within] : 0.0f;
            }
        transpose(v);
    }

    const float* from_ = nullptr;
    i64 across_ = 0, along_ = 0, count_ = 0, depth_ = 0;
    char* to_ = nullptr;
    bool turned_ = false;
    i64 l_ = 0, k_ = 0;  // where the next run begins
    F x_[W], y_[W];      // a run's numbers, unless they are taken from where they lie
};

}  // namespace
}  // namespace TGE_ISA
}  // namespace tge
