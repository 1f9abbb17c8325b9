// The largest and the mean of every window of a plane. A row of results is made at a time: each entry of the kernel goes
// through the columns of which it sees an entry of x, so that padding is never read.
#include "kernels.h"

namespace tge {
namespace TGE_ISA {
namespace {

constexpr i64 most_columns = 512;  // made at a time

TGE_INLINE i64 least(i64 a, i64 b) { return a < b ? a : b; }
TGE_INLINE i64 most(i64 a, i64 b) { return a > b ? a : b; }

// Results [begin, end) of one dimension whose entry k of the kernel lies within x.
struct Seen {
    i64 begin, end;
    TGE_INLINE Seen(const Pool& p, int d, i64 k) {
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
                const Seen seen(p, 2, kw);
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
struct Two {
    constexpr operator i64() const { return 2; }
};
struct One {
    constexpr operator i64() const { return 1; }
};

template <class T>
void max_pool(const Pool& p, i64 begin, i64 end) {
    each_row(p, begin, end, [&p](i64 plane, i64 od, i64 oh, i64 y, i64 from, i64 to) {
        const T* x = static_cast<const T*>(p.x) + plane * plane_size(p.in);
        T best[most_columns];
        int32_t place[most_columns];
        for (i64 o = 0; o < to - from; ++o) best[o] = static_cast<T>(-__builtin_inf()), place[o] = -1;
        each_entry(p, od, oh, from, to, [&](i64 first, i64 b, i64 e) {
            if (p.stride[2] == 2) take_larger(x, first, b, e, Two{}, from, best, place);
            else if (p.stride[2] == 1) take_larger(x, first, b, e, One{}, from, best, place);
            else take_larger(x, first, b, e, p.stride[2], from, best, place);
        });
        for (i64 o = from; o < to; ++o) {
            static_cast<T*>(p.y)[y + o] = best[o - from];
            p.places[y + o] = place[o - from];
        }
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

template <class T>
void avg_pool(const Pool& p, i64 begin, i64 end) {
    each_row(p, begin, end, [&p](i64 plane, i64 od, i64 oh, i64 y, i64 from, i64 to) {
        const T* x = static_cast<const T*>(p.x) + plane * plane_size(p.in);
        double total[most_columns] = {};
        each_entry(p, od, oh, from, to, [&](i64 first, i64 b, i64 e) {
            for (i64 o = b; o < e; ++o) total[o - from] += static_cast<double>(x[first + o * p.stride[2]]);
        });
        for (i64 o = from; o < to; ++o)
            static_cast<T*>(p.y)[y + o] = static_cast<T>(total[o - from] / divisor(p, od, oh, o));
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

}  // namespace

void fill_pooling(Table& t) {
#define BOTH(kernel)              \
    t.kernel[0] = kernel<float>;  \
    t.kernel[1] = kernel<double>;
    BOTH(max_pool) BOTH(avg_pool) BOTH(avg_pool_backward)
#undef BOTH
}

}  // namespace TGE_ISA
}  // namespace tge
