// The largest and the mean of every window of a plane. A row of results is made at a time: each entry of the kernel goes
// through the columns of which it sees an entry of x, so that padding is never read. And the way back of the largest.
#include "kernels.h"

namespace tge {
namespace TGE_ISA {
namespace {

constexpr i64 most_columns = 512;  // made at a time

TGE_INLINE i64 least(i64 a, i64 b) { return a < b ? a : b; }
TGE_INLINE i64 most(i64 a, i64 b) { return a > b ? a : b; }

// Results [begin, end) of one dimension; made of a kernel's entry k: those for which it lies within x.
struct Columns {
    i64 begin, end;
    TGE_INLINE Columns(i64 b, i64 e) : begin(b), end(e) {}
    TGE_INLINE Columns(const Pool& p, int d, i64 k) {
        const i64 before = p.padding[d] - k * p.dilation[d], s = p.stride[d];
        begin = before > 0 ? (before + s - 1) / s : 0;
        const i64 last = p.in[d] - 1 + before;
        end = last < 0 ? 0 : least(last / s + 1, p.out[d]);
    }
};

// Calls f(first, begin, end) for every entry of the kernel and row (od, oh) of results: column o of [begin, end) ⊂ [from,
// to) sees entry first + o·stride of the plane.
template <class Fn>
TGE_INLINE void each_entry(const Pool& p, i64 od, i64 oh, i64 from, i64 to, const Fn& f) {
    for (i64 kd = 0; kd < p.kernel[0]; ++kd) {
        const i64 d = od * p.stride[0] + kd * p.dilation[0] - p.padding[0];
        if (d < 0 || d >= p.in[0]) continue;
        for (i64 kh = 0; kh < p.kernel[1]; ++kh) {
            const i64 h = oh * p.stride[1] + kh * p.dilation[1] - p.padding[1];
            if (h < 0 || h >= p.in[1]) continue;
            for (i64 kw = 0; kw < p.kernel[2]; ++kw) {
                const Columns seen(p, 2, kw);
                f((d * p.in[1] + h) * p.in[2] + kw * p.dilation[2] - p.padding[2], most(seen.begin, from),
                  least(seen.end, to));
            }
        }
    }
}

// Calls f(plane, row (od, oh), row's first element of y, columns [from, to)) for all rows of planes [begin, end).
template <class Fn>
TGE_INLINE void each_row(const Pool& p, i64 begin, i64 end, const Fn& f) {
    for (i64 plane = begin; plane < end; ++plane)
        for (i64 od = 0; od < p.out[0]; ++od)
            for (i64 oh = 0; oh < p.out[1]; ++oh)
                for (i64 from = 0; from < p.out[2]; from += most_columns)
                    f(plane, od, oh, ((plane * p.out[0] + od) * p.out[1] + oh) * p.out[2], from,
                      least(from + most_columns, p.out[2]));
}

TGE_INLINE i64 plane_size(const i64* n) { return n[0] * n[1] * n[2]; }

// What x is larger, or the first NaN, or the first at all replaces. `stride` is a constant where that helps.
template <class T, class Stride>
TGE_INLINE void take_larger(const T* __restrict x, i64 first, i64 begin, i64 end, Stride stride, i64 from,
                            T* __restrict best, int32_t* __restrict place) {
    for (i64 o = begin; o < end; ++o) {
        const T v = x[first + o * stride], b = best[o - from];
        const bool wins = (v > b) | (place[o - from] < 0) | ((v != v) & (b == b));
        best[o - from] = wins ? v : b;
        place[o - from] = wins ? static_cast<int32_t>(first + o * stride) : place[o - from];
    }
}
template <int N> struct Constant {
    constexpr operator int() const { return N; }
};

// Elements p[0], p[Step], p[2·Step] … as a vector.
template <int Step, class T>
TGE_INLINE typename Simd<T>::V every(const T* p) {
    using L = Direct<T>;
    if constexpr (Step == 1) return L::load(p);
    typename Simd<T>::I even{};
    for (int i = 0; i < L::W; ++i) even[i] = 2 * i;
    return __builtin_shuffle(L::load(p), L::load(p + L::W), even);
}

// first + offset for n ≤ W lanes.
TGE_INLINE void store_places(i64* places, i64 n, i64 first, DI offset) {
    using L = Direct<double>;
    const D bits = reinterpret_cast<D>(offset + first);  // moved, never computed with
    if (n >= DW) L::store(reinterpret_cast<double*>(places), bits);
    else if (n > 0) store_part<L>(reinterpret_cast<double*>(places), n, bits);
}
TGE_INLINE void store_places(i64* places, i64 n, i64 first, FI offset) {
    typedef int32_t Half __attribute__((vector_size(TGE_VECTOR_BYTES / 2)));
    Half halves[2];
    __builtin_memcpy(halves, &offset, sizeof halves);
    store_places(places, n, first, __builtin_convertvector(halves[0], DI));
    store_places(places + DW, n - DW, first, __builtin_convertvector(halves[1], DI));
}

// The largest entries of n ≤ W windows, K × K, given the K rows of x where the first begins, its entry `first`; and the
// entry where each is first, in rows of `row` elements.
template <int K, int Step, class T>
TGE_INLINE void largest(const T* const* rows, i64 row, i64 first, T* y, i64* places, i64 n) {
    using L = Direct<T>;
    using I = typename Simd<T>::I;
    typename L::V best = every<Step>(rows[0]);
    I place{};
    for (int i = 1; i < K * K; ++i) {
        const typename L::V v = every<Step>(rows[i / K] + i % K);
        const auto wins = (v > best) | ((v != v) & (best == best));
        best = wins ? v : best;
        place = wins ? I{} + static_cast<decltype(place[0] + 0)>(i / K * row + i % K) : place;
    }
    I steps{};
    for (int o = 0; o < L::W; ++o) steps[o] = o * Step;
    store_places(places, n, first, place + steps);
    if (n == L::W) L::store(y, best);
    else store_part<L>(y, n, best);
}

// Results [begin, end) of a row, of windows that lie in the plane whole; o's begins at entry first + o·Step. x has
// `readable` entries, of this plane and those behind.
template <int K, int Step, class T>
TGE_INLINE void whole_windows(const T* x, i64 readable, i64 row, i64 first, i64 begin, i64 end, T* y, i64* places) {
    constexpr int W = Direct<T>::W, reach = Step * W + K;  // elements of a row that are read for W windows
    for (i64 o = begin; o < end; o += W) {
        const i64 n = least(W, end - o), at = first + o * Step;
        const T* rows[K];
        T copies[K][reach];  // of the last windows: beyond them is nothing to read
        for (int k = 0; k < K; ++k) {
            rows[k] = x + at + k * row;
            if (at + k * row + reach <= readable) continue;
            for (i64 i = 0; i < (n - 1) * Step + K; ++i) copies[k][i] = rows[k][i];
            for (i64 i = (n - 1) * Step + K; i < reach; ++i) copies[k][i] = 0;
            rows[k] = copies[k];
        }
        largest<K, Step>(rows, row, at, y + o, places + o, n);
    }
}

// Of results [from, to) of row (od, oh), those of windows 2 × 2 or 3 × 3 that lie in the plane whole; says which they are.
template <class T>
TGE_INLINE Columns common_windows(const Pool& p, const Columns& whole, const T* x, i64 readable, i64 od, i64 oh, i64 y,
                                  i64 from, i64 to) {
    const i64 size = p.kernel[2], h = oh * p.stride[1] - p.padding[1], d = od * p.stride[0] - p.padding[0];
    const i64 begin = most(whole.begin, from), end = least(whole.end, to);
    const bool square = p.kernel[0] == 1 && p.kernel[1] == size && p.dilation[1] == 1 && p.dilation[2] == 1;
    if (square && begin < end && h >= 0 && h + size <= p.in[1] && d >= 0 && d < p.in[0]) {
        const i64 row = p.in[2], first = (d * p.in[1] + h) * row - p.padding[2];
        const auto run = [&](auto kernel, auto step) {
            whole_windows<kernel, step>(x, readable, row, first, begin, end, static_cast<T*>(p.y) + y, p.places + y);
            return Columns(begin, end);
        };
        if (size == 2 && p.stride[2] == 2) return run(Constant<2>{}, Constant<2>{});
        if (size == 3 && p.stride[2] == 2) return run(Constant<3>{}, Constant<2>{});
        if (size == 3 && p.stride[2] == 1) return run(Constant<3>{}, Constant<1>{});
    }
    return Columns(from, from);
}

// Results [from, to) of row (od, oh), whatever the windows.
template <class T>
TGE_INLINE void any_windows(const Pool& p, const T* x, i64 od, i64 oh, i64 y, i64 from, i64 to) {
    T best[most_columns];
    int32_t place[most_columns];
    for (i64 o = 0; o < to - from; ++o) best[o] = static_cast<T>(-__builtin_inf()), place[o] = -1;
    each_entry(p, od, oh, from, to, [&](i64 first, i64 b, i64 e) {
        if (p.stride[2] == 2) take_larger(x, first, b, e, Constant<2>{}, from, best, place);
        else if (p.stride[2] == 1) take_larger(x, first, b, e, Constant<1>{}, from, best, place);
        else take_larger(x, first, b, e, p.stride[2], from, best, place);
    });
    for (i64 o = from; o < to; ++o) {
        static_cast<T*>(p.y)[y + o] = best[o - from];
        p.places[y + o] = place[o - from];
    }
}

// The same for a pool without padding whose windows all lie in the plane whole: nothing is left to ask for each row.
template <int K, int Step, class T>
void whole_planes(const Pool& p, i64 begin, i64 end) {
    const i64 size = plane_size(p.in), row = p.in[2];
    T* y = static_cast<T*>(p.y) + begin * plane_size(p.out);
    i64* places = p.places + begin * plane_size(p.out);
    for (i64 plane = begin; plane < end; ++plane)
        for (i64 od = 0; od < p.out[0]; ++od)
            for (i64 oh = 0; oh < p.out[1]; ++oh, y += p.out[2], places += p.out[2])
                whole_windows<K, Step>(static_cast<const T*>(p.x) + plane * size, (p.planes - plane) * size, row,
                                       (od * p.stride[0] * p.in[1] + oh * p.stride[1]) * row, 0, p.out[2], y, places);
}

template <class T>
void max_pool(const Pool& p, i64 begin, i64 end) {
    bool plain = p.kernel[0] == 1 && p.kernel[1] == p.kernel[2];
    for (int d = 0; d < 3; ++d)
        plain = plain && p.padding[d] == 0 && p.dilation[d] == 1 && (p.out[d] - 1) * p.stride[d] + p.kernel[d] <= p.in[d];
    if (plain && p.kernel[2] == 2 && p.stride[2] == 2) return whole_planes<2, 2, T>(p, begin, end);
    if (plain && p.kernel[2] == 3 && p.stride[2] == 2) return whole_planes<3, 2, T>(p, begin, end);
    const Columns whole(Columns(p, 2, 0).begin, Columns(p, 2, p.kernel[2] - 1).end);  // windows, along a row
    each_row(p, begin, end, [&p, &whole](i64 plane, i64 od, i64 oh, i64 y, i64 from, i64 to) {
        const i64 size = plane_size(p.in);
        const T* x = static_cast<const T*>(p.x) + plane * size;
        const Columns done = common_windows(p, whole, x, (p.planes - plane) * size, od, oh, y, from, to);
        if (from < done.begin) any_windows(p, x, od, oh, y, from, done.begin);
        if (done.end < to) any_windows(p, x, od, oh, y, done.end, to);
    });
}

// How many entries the window of result o has along a dimension.
TGE_INLINE i64 entries(const Pool& p, int d, i64 o) {
    const i64 first = o * p.stride[d] - p.padding[d], last = least(first + p.kernel[d], p.in[d] + p.padding[d]);
    return p.include_pad ? last - first : least(last, p.in[d]) - most(first, 0);
}
TGE_INLINE double divisor(const Pool& p, i64 od, i64 oh, i64 ow) {
    const i64 n = p.divisor ? p.divisor : entries(p, 0, od) * entries(p, 1, oh) * entries(p, 2, ow);
    return static_cast<double>(n);
}

// Sums in float64 of the windows of results [from, to) of a row, whatever the windows.
template <class T>
TGE_INLINE void any_sums(const Pool& p, const T* x, i64 od, i64 oh, i64 from, i64 to, double* total) {
    for (i64 o = 0; o < to - from; ++o) total[o] = 0;
    each_entry(p, od, oh, from, to, [&](i64 first, i64 b, i64 e) {
        for (i64 o = b; o < e; ++o) total[o - from] += static_cast<double>(x[first + o * p.stride[2]]);
    });
}

template <class T>
struct InDoubles {
    using L = Direct<double>;
};
template <>
struct InDoubles<float> {
    using L = Widened;
};
constexpr i64 most_reach = 2048;  // entries of a row of x that `near_sums` takes at a time

template <class Stride>
TGE_INLINE void add_along(const Pool& p, const double* sums, i64 n, Stride stride, double* total) {
    for (i64 o = 0; o < n; ++o) total[o] = sums[o * stride];
    for (i64 k = 1; k < p.kernel[2]; ++k)
        for (i64 o = 0; o < n; ++o) total[o] += sums[o * stride + k * p.dilation[2]];
}
// The same for windows that are near each other: first the rows that they see are added up, then each window's part.
template <class T>
TGE_INLINE void near_sums(const Pool& p, const T* x, i64 od, i64 oh, i64 from, i64 to, i64 reach, double* total) {
    using L = typename InDoubles<T>::L;
    using A = Direct<double>;
    double sums[most_reach + DW];  // zero where there is padding
    for (i64 i = 0; i < reach + DW; ++i) sums[i] = 0;
    const i64 start = from * p.stride[2] - p.padding[2], begin = most(start, 0), end = least(start + reach, p.in[2]);
    for (i64 kd = 0; kd < p.kernel[0]; ++kd)
        for (i64 kh = 0; kh < p.kernel[1]; ++kh) {
            const i64 d = od * p.stride[0] + kd * p.dilation[0] - p.padding[0];
            const i64 h = oh * p.stride[1] + kh * p.dilation[1] - p.padding[1];
            if (d < 0 || d >= p.in[0] || h < 0 || h >= p.in[1]) continue;
            const T* row = x + (d * p.in[1] + h) * p.in[2];
            i64 i = begin;
            for (; i + L::W <= end; i += L::W) A::store(sums + i - start, A::load(sums + i - start) + L::load(row + i));
            if (i < end) A::store(sums + i - start, A::load(sums + i - start) + load_part<L>(row + i, end - i, 0));
        }
    if (p.stride[2] == 1) add_along(p, sums, to - from, Constant<1>{}, total);
    else if (p.stride[2] == 2) add_along(p, sums, to - from, Constant<2>{}, total);
    else add_along(p, sums, to - from, p.stride[2], total);
}

template <class T>
void avg_pool(const Pool& p, i64 begin, i64 end) {
    each_row(p, begin, end, [&p](i64 plane, i64 od, i64 oh, i64 y, i64 from, i64 to) {
        const T* x = static_cast<const T*>(p.x) + plane * plane_size(p.in);
        double total[most_columns];
        const i64 reach = (to - from - 1) * p.stride[2] + (p.kernel[2] - 1) * p.dilation[2] + 1;
        const bool near = p.stride[2] < most_reach && p.kernel[2] < most_reach && p.dilation[2] < most_reach;
        if (near && reach <= most_reach) near_sums(p, x, od, oh, from, to, reach, total);
        else any_sums(p, x, od, oh, from, to, total);
        const i64 others = p.divisor ? 1 : entries(p, 0, od) * entries(p, 1, oh);
        T* const results = static_cast<T*>(p.y) + y;
        for (i64 o = from; o < to; ++o) {
            const i64 n = p.divisor ? p.divisor : others * entries(p, 2, o);
            results[o] = static_cast<T>(total[o - from] / static_cast<double>(n));
        }
    });
}

template <class T>
void avg_pool_backward(const Pool& p, i64 begin, i64 end) {
    T* dx = static_cast<T*>(p.x);
    for (i64 i = begin * plane_size(p.in); i < end * plane_size(p.in); ++i) dx[i] = 0;
    each_row(p, begin, end, [&p, dx](i64 plane, i64 od, i64 oh, i64 y, i64 from, i64 to) {
        T* plane_dx = dx + plane * plane_size(p.in);
        T share[most_columns];
        for (i64 o = from; o < to; ++o)
            share[o - from] = static_cast<T>(static_cast<double>(static_cast<const T*>(p.y)[y + o]) /
                                             divisor(p, od, oh, o));
        each_entry(p, od, oh, from, to, [&](i64 first, i64 b, i64 e) {
            for (i64 o = b; o < e; ++o) plane_dx[first + o * p.stride[2]] += share[o - from];
        });
    });
}

// -- the gradient of maxima -------------------------------------------------------------------------------------------

// n ≤ W places less `first`, one for each lane of a vector of T; −1 for what 31 bits do not hold. Each is read once:
// another Python thread might change it.
TGE_INLINE void relative(const i64* places, i64 n, i64 first, DI& cells) {
    using L = Direct<double>;
    const double* bits = reinterpret_cast<const double*>(places);  // moved, never computed with
    cells = reinterpret_cast<DI>(n >= DW ? L::load(bits) : n <= 0 ? D{} : load_part<L>(bits, n, 0)) - first;
}
TGE_INLINE void relative(const i64* places, i64 n, i64 first, FI& cells) {
    DI one, two;
    relative(places, n, first, one);
    relative(places + DW, n - DW, first, two);
    FI low{};
    for (int i = 0; i < FW; ++i) low[i] = 2 * i;
    const FI a = reinterpret_cast<FI>(one), b = reinterpret_cast<FI>(two);
    cells = __builtin_shuffle(a, b, low) | (__builtin_shuffle(a, b, low + 1) != 0);
}

// a[0], b[0], a[1], b[1] …, the first n < 2W or all of them, to p.
template <class T>
TGE_INLINE void store_in_turn(T* p, i64 n, typename Simd<T>::V a, typename Simd<T>::V b) {
    using L = Direct<T>;
    typename Simd<T>::I low{}, high{};
    for (int i = 0; i < L::W; ++i) low[i] = i / 2 + i % 2 * L::W, high[i] = low[i] + L::W / 2;
    const auto first = __builtin_shuffle(a, b, low), second = __builtin_shuffle(a, b, high);
    if (n >= L::W) L::store(p, first);
    else store_part<L>(p, n, first);
    if (n >= 2 * L::W) L::store(p + L::W, second);
    else if (n > L::W) store_part<L>(p + L::W, n - L::W, second);
}

// A plane whose g has each its own cell of 2 × 2 entries, as those of a 2 × 2 pool have: written whole, without zeros
// first. False, and the plane is yet to be written, if a place is elsewhere.
template <class T>
TGE_INLINE bool scatter_cells(const Scatter& s, const T* g, const i64* places, T* out) {
    using L = Direct<T>;
    using I = typename Simd<T>::I;
    I twice{};
    for (int i = 0; i < L::W; ++i) twice[i] = 2 * i;
    const i64 width = s.width, columns = s.columns;
    for (i64 r = 0; r < s.rows; ++r, g += columns, places += columns) {
        const i64 top = 2 * r * width;
        fetch(g), fetch(places), fetch(places + L::W / 2);
        for (i64 c = 0; c < columns; c += L::W) {
            const i64 n = least(L::W, columns - c), base = top + 2 * c;
            I cells;
            relative(places + c, n, base, cells);
            cells = twice < I{} + static_cast<int>(2 * n) ? cells - twice : I{};
            const I at0 = cells == 0, at1 = cells == 1, at2 = cells == I{} + static_cast<int>(width),
                    at3 = cells == I{} + static_cast<int>(width + 1);
            if (any(reinterpret_cast<FI>(~(at0 | at1 | at2 | at3)))) return false;
            const typename L::V value = (n == L::W ? L::load(g + c) : load_part<L>(g + c, n, 0)) + 0;  // −0 + 0 is 0
            const typename L::V zero{};
            store_in_turn(out + base, 2 * n, at0 ? value : zero, at1 ? value : zero);
            store_in_turn(out + base + width, 2 * n, at2 ? value : zero, at3 ? value : zero);
        }
        for (i64 i = 2 * columns; i < width; ++i) out[top + i] = out[top + width + i] = 0;
    }
    for (i64 i = 2 * s.rows * width; i < s.size; ++i) out[i] = 0;
    return true;
}

template <class T>
i64 scatter(const Scatter& s, i64 begin, i64 end) {
    i64 wrong = -1;
    for (i64 plane = begin; plane < end; ++plane) {
        T* const out = static_cast<T*>(s.out) + plane * s.size;
        const T* const g = static_cast<const T*>(s.g) + plane * s.n;
        const i64* const places = s.places + plane * s.n;
        if (s.cells && scatter_cells(s, g, places, out)) continue;
        for (i64 i = 0; i < s.size; ++i) out[i] = 0;
        for (i64 i = 0; i < s.n; ++i) {
            const i64 place = places[i];  // read once, as above
            if (place >= 0 && place < s.size) out[place] += g[i];
            else wrong = plane * s.n + i;
        }
    }
    return wrong;
}

}  // namespace

void fill_pooling(Table& t) {
#define BOTH(kernel)              \
    t.kernel[0] = kernel<float>;  \
    t.kernel[1] = kernel<double>;
    BOTH(max_pool) BOTH(avg_pool) BOTH(avg_pool_backward) BOTH(scatter)
#undef BOTH
}

}  // namespace TGE_ISA
}  // namespace tge
