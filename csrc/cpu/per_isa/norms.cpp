// Normalisation of rows (layer and RMS norm) and of channels (batch norm), in two passes: the mean, then squares of the
// distances from it, so that a large mean costs no digits.
#include "kernels.h"
#include "rows.h"

namespace tge {
namespace TGE_ISA {
namespace {

// Σ (x − m)², in float64 over runs of 8 vectors.
template <class T>
double squares(i64 n, const T* x, T m) {
    using L = Direct<T>;
    D sum{};
    typename L::V part{};
    i64 i = 0;
    for (; i + L::W <= n; i += L::W) {
        const auto v = L::load(x + i) - m;
        part += v * v;
        if (i / L::W % 8 == 7) sum = add_lanes(sum, part), part = typename L::V{};
    }
    if (i < n) {
        const auto v = load_part<L>(x + i, n - i, m) - m;
        part += m == m ? v * v : v;  // the padding must not be the only NaN
    }
    return sum_lanes(add_lanes(sum, part));
}

template <class T>
TGE_INLINE double total(i64 n, const T* x) {
    return row_sum(n, x, x, [](auto a, auto) { return a; });
}

// Calls f(i, lanes) for every vector of a row: all lanes but for the last call.
template <class T, class Fn>
TGE_INLINE void each_vector(i64 n, const Fn& f) {
    i64 i = 0;
    for (; i + Direct<T>::W <= n; i += Direct<T>::W) f(i, Direct<T>::W);
    if (i < n) f(i, n - i);
}
template <class T>
TGE_INLINE typename Direct<T>::V load(const T* p, i64 lanes) {
    return lanes == Direct<T>::W ? Direct<T>::load(p) : load_part<Direct<T>>(p, lanes, T(0));
}
template <class T>
TGE_INLINE void store(T* p, i64 lanes, typename Direct<T>::V v) {
    if (lanes == Direct<T>::W) Direct<T>::store(p, v);
    else store_part<Direct<T>>(p, lanes, v);
}

template <class T>
void layer_norm(const Norm& a, i64 begin, i64 end) {
    const i64 n = a.n;
    const T *w = static_cast<const T*>(a.weight), *b = static_cast<const T*>(a.bias);
    for (i64 row = begin; row < end; ++row) {
        const T* x = static_cast<const T*>(a.x) + row * n;
        T* y = static_cast<T*>(a.y) + row * n;
        const T m = a.mean ? static_cast<T>(total(n, x) / static_cast<double>(n)) : T(0);
        const T r = static_cast<T>(1 / __builtin_sqrt(squares(n, x, m) / static_cast<double>(n) + a.eps));
        if (a.mean) static_cast<T*>(a.mean)[row] = m;
        static_cast<T*>(a.rstd)[row] = r;
        each_vector<T>(n, [=](i64 i, i64 lanes) {
            auto v = (load(x + i, lanes) - m) * r;
            if (w) v *= load(w + i, lanes);
            if (b) v += load(b + i, lanes);
            store(y + i, lanes, v);
        });
    }
}

// Rows [begin, end); Σ g·x̂ and Σ g of each column go to `sums` (2, n) if there are any.
template <class T>
void layer_norm_backward(const Norm& a, i64 begin, i64 end, void* sums) {
    using V = typename Direct<T>::V;
    const i64 n = a.n;
    const T* w = static_cast<const T*>(a.weight);
    T *dw = static_cast<T*>(sums), *db = dw + n;
    for (i64 i = 0; sums && i < 2 * n; ++i) dw[i] = 0;
    for (i64 row = begin; row < end; ++row) {
        const T *x = static_cast<const T*>(a.x) + row * n, *g = static_cast<const T*>(a.g) + row * n;
        T* dx = static_cast<T*>(a.y) + row * n;
        const T m = a.mean ? static_cast<const T*>(a.mean)[row] : T(0), r = static_cast<const T*>(a.rstd)[row];
        D sum{}, product{};
        V part{}, products{};
        each_vector<T>(n, [&](i64 i, i64 lanes) {
            const V h = w ? load(g + i, lanes) * load(w + i, lanes) : load(g + i, lanes);
            part += h;
            products += h * (load(x + i, lanes) - m);
            if (i / Direct<T>::W % 8 == 7) {
                sum = add_lanes(sum, part), product = add_lanes(product, products);
                part = products = V{};
            }
        });
        const double scale = 1 / static_cast<double>(n);
        const T mean_h = a.mean ? static_cast<T>(sum_lanes(add_lanes(sum, part)) * scale) : T(0);
        const T mean_hx = static_cast<T>(sum_lanes(add_lanes(product, products)) * static_cast<double>(r) * scale);
        each_vector<T>(n, [=](i64 i, i64 lanes) {
            const V v = load(g + i, lanes), xhat = (load(x + i, lanes) - m) * r, h = w ? v * load(w + i, lanes) : v;
            store(dx + i, lanes, (h - mean_h - xhat * mean_hx) * r);
            if (dw) {
                store(dw + i, lanes, load(dw + i, lanes) + v * xhat);
                store(db + i, lanes, load(db + i, lanes) + v);
            }
        });
    }
}

// Where the entries of channel c in one image begin.
template <class T>
TGE_INLINE T* run(const void* x, const Norm& a, i64 row, i64 c) {
    return const_cast<T*>(static_cast<const T*>(x)) + (row * a.channels + c) * a.n;
}

// ---- batch norm of (N, C): channels are columns, several vectors of them at a time, in float64
template <class T>
struct InDoubles {
    using L = Direct<double>;
};
template <>
struct InDoubles<float> {
    using L = Widened;
};
// `count` vectors next to each other, whole ones or one of some lanes.
template <class L, int count, bool whole>
struct Columns {
    using T = typename L::Store;
    i64 c, lanes;
    TGE_INLINE D load(const void* p, i64 at, int j) const {
        const T* from = static_cast<const T*>(p) + at + c + j * L::W;
        return whole ? L::load(from) : load_part<L>(from, lanes, 0);
    }
    TGE_INLINE void store(void* p, i64 at, int j, D v) const {
        T* to = static_cast<T*>(p) + at + c + j * L::W;
        if (whole) L::store(to, v);
        else store_part<L>(to, lanes, v);
    }
    // f(j) for each vector.
    template <class Fn>
    static TGE_INLINE void each(const Fn& f) {
#pragma GCC unroll 4
        for (int j = 0; j < count; ++j) f(j);
    }

    void forward(const Norm& a) const {
        const i64 rows = a.rows, step = a.channels;
        const double n = static_cast<double>(rows);
        const void* x = a.x;
        D sum[count] = {}, square[count] = {}, m[count], scale[count], shift[count];
        for (i64 r = 0; r < rows; ++r) each([&](int j) __attribute__((always_inline)) { sum[j] += load(x, r * step, j); });
        each([&](int j) __attribute__((always_inline)) {
            store(a.mean, 0, j, sum[j] / n);
            m[j] = load(a.mean, 0, j);  // as it is rounded
        });
        for (i64 r = 0; r < rows; ++r)
            each([&](int j) __attribute__((always_inline)) {
                const D v = load(x, r * step, j) - m[j];
                square[j] += v * v;
            });
        each([&](int j) __attribute__((always_inline)) {
            const D r = 1 / vsqrt(square[j] / n + a.eps);
            store(a.rstd, 0, j, r);
            scale[j] = a.weight ? r * load(a.weight, 0, j) : r;
            shift[j] = a.bias ? load(a.bias, 0, j) : D{};
        });
        void* y = a.y;
        for (i64 r = 0; r < rows; ++r)
            each([&](int j) __attribute__((always_inline)) { store(y, r * step, j, (load(x, r * step, j) - m[j]) * scale[j] + shift[j]); });
    }

    void backward(const Norm& a, void* dw, void* db) const {
        const i64 rows = a.rows, step = a.channels;
        const double n = static_cast<double>(rows);
        const void *x = a.x, *g = a.g;
        D sum[count] = {}, product[count] = {}, m[count], scale[count], slope[count];
        each([&](int j) __attribute__((always_inline)) { m[j] = load(a.mean, 0, j); });
        for (i64 r = 0; r < rows; ++r)
            each([&](int j) __attribute__((always_inline)) {
                const D v = load(g, r * step, j);
                sum[j] += v;
                product[j] += v * (load(x, r * step, j) - m[j]);
            });
        each([&](int j) __attribute__((always_inline)) {
            const D r = load(a.rstd, 0, j);
            store(dw, 0, j, product[j] * r);
            store(db, 0, j, sum[j]);
            scale[j] = a.weight ? r * load(a.weight, 0, j) : r;
            slope[j] = product[j] / n * r * r;
            sum[j] = sum[j] / n;
        });
        void* dx = a.y;
        for (i64 r = 0; r < rows; ++r)
            each([&](int j) __attribute__((always_inline)) {
                const D xhat = load(x, r * step, j) - m[j];
                store(dx, r * step, j, (load(g, r * step, j) - sum[j] - xhat * slope[j]) * scale[j]);
            });
    }
};
template <class T, class Fn>
TGE_INLINE void each_columns(i64 begin, i64 end, const Fn& f) {
    using L = typename InDoubles<T>::L;
    i64 c = begin;
    for (; c + 4 * L::W <= end; c += 4 * L::W) f(Columns<L, 4, true>{c, L::W});
    for (; c + L::W <= end; c += L::W) f(Columns<L, 1, true>{c, L::W});
    if (c < end) f(Columns<L, 1, false>{c, end - c});
}

template <class T>
void batch_norm(const Norm& a, i64 begin, i64 end) {
    if (a.n == 1) return each_columns<T>(begin, end, [&a](auto columns) { columns.forward(a); });
    const double count = static_cast<double>(a.rows * a.n);
    for (i64 c = begin; c < end; ++c) {
        double sum = 0, square = 0;
        for (i64 row = 0; row < a.rows; ++row) sum += total(a.n, run<T>(a.x, a, row, c));
        const T m = static_cast<T>(sum / count);
        for (i64 row = 0; row < a.rows; ++row) square += squares(a.n, run<T>(a.x, a, row, c), m);
        const double r = 1 / __builtin_sqrt(square / count + a.eps);
        const T scale = static_cast<T>(a.weight ? r * static_cast<double>(static_cast<const T*>(a.weight)[c]) : r);
        const T shift = a.bias ? static_cast<const T*>(a.bias)[c] : T(0);
        static_cast<T*>(a.mean)[c] = m;
        static_cast<T*>(a.rstd)[c] = static_cast<T>(r);
        for (i64 row = 0; row < a.rows; ++row) {
            const T* x = run<T>(a.x, a, row, c);
            row_map(a.n, x, x, run<T>(a.y, a, row, c), [=](auto v, auto) { return (v - m) * scale + shift; });
        }
    }
}

template <class T>
void batch_norm_backward(const Norm& a, i64 begin, i64 end, void* dw, void* db) {
    if (a.n == 1)
        return each_columns<T>(begin, end, [&a, dw, db](auto columns) { columns.backward(a, dw, db); });
    const double count = static_cast<double>(a.rows * a.n);
    for (i64 c = begin; c < end; ++c) {
        const T m = static_cast<const T*>(a.mean)[c], r = static_cast<const T*>(a.rstd)[c];
        const double rstd = static_cast<double>(r);
        double sum = 0, product = 0;
        for (i64 row = 0; row < a.rows; ++row) {
            const T *x = run<T>(a.x, a, row, c), *g = run<T>(a.g, a, row, c);
            sum += total(a.n, g);
            product += row_sum(a.n, g, x, [m](auto u, auto v) { return u * (v - m); });  // g is 0 where a row is padded
        }
        static_cast<T*>(dw)[c] = static_cast<T>(product * rstd);
        static_cast<T*>(db)[c] = static_cast<T>(sum);
        const double w = a.weight ? static_cast<double>(static_cast<const T*>(a.weight)[c]) : 1;
        const T scale = static_cast<T>(w * rstd), mean_g = static_cast<T>(sum / count),
                slope = static_cast<T>(product / count * rstd * rstd);
        for (i64 row = 0; row < a.rows; ++row) {
            const T *x = run<T>(a.x, a, row, c), *g = run<T>(a.g, a, row, c);
            row_map(a.n, g, x, run<T>(a.y, a, row, c),
                    [=](auto u, auto v) { return (u - mean_g - (v - m) * slope) * scale; });
        }
    }
}

}  // namespace

void fill_norms(Table& t) {
#define BOTH(kernel)              \
    t.kernel[0] = kernel<float>;  \
    t.kernel[1] = kernel<double>;
    BOTH(layer_norm) BOTH(layer_norm_backward) BOTH(batch_norm) BOTH(batch_norm_backward)
#undef BOTH
}

}  // namespace TGE_ISA
}  // namespace tge
