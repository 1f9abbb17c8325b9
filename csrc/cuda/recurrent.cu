// Recurrent cells between their matrix products: gates and the new state, one thread for each of the state's entries.

template <class T> struct Gates {  // `count` blocks of `hidden` columns in a row
    i64 hidden;
    int count;
    __device__ i64 at(i64 i, int gate) const { return (i / hidden * count + gate) * hidden + i % hidden; }
};

// h' (N, H), c' (N, H), gates (N, 4H) from gx, gh (N, 4H) and c (N, H)
template <class T>
__device__ void lstm(T* h, T* next, T* gates, const T* gx, const T* gh, const T* c, i64 rows, i64 hidden) {
    const Gates<T> of{hidden, 4};
    FOR_EACH(k, rows * hidden) {
        T a[4];
        for (int j = 0; j < 4; ++j) a[j] = gx[of.at(k, j)] + gh[of.at(k, j)];
        const T i = sigmoid_of(a[0]), f = sigmoid_of(a[1]), g = tanh_of(a[2]), o = sigmoid_of(a[3]);
        const T cell = f * c[k] + i * g;
        next[k] = cell;
        h[k] = o * tanh_of(cell);
        gates[of.at(k, 0)] = i;
        gates[of.at(k, 1)] = f;
        gates[of.at(k, 2)] = g;
        gates[of.at(k, 3)] = o;
    }
}
template <class T>
__device__ void lstm_backward(T* da, T* dc, const T* dh, const T* dnext, const T* gates, const T* c, const T* next,
                              i64 rows, i64 hidden) {
    const Gates<T> of{hidden, 4};
    FOR_EACH(k, rows * hidden) {
        const T i = gates[of.at(k, 0)], f = gates[of.at(k, 1)], g = gates[of.at(k, 2)], o = gates[of.at(k, 3)];
        const T t = tanh_of(next[k]), d = dnext[k] + dh[k] * o * (1 - t * t);
        da[of.at(k, 0)] = d * g * i * (1 - i);
        da[of.at(k, 1)] = d * c[k] * f * (1 - f);
        da[of.at(k, 2)] = d * i * (1 - g * g);
        da[of.at(k, 3)] = dh[k] * t * o * (1 - o);
        dc[k] = d * f;
    }
}

// h' (N, H), kept (N, 4H) = [r z n gh_n] from gx, gh (N, 3H) and h (N, H)
template <class T>
__device__ void gru(T* next, T* kept, const T* gx, const T* gh, const T* h, i64 rows, i64 hidden) {
    const Gates<T> in{hidden, 3}, out{hidden, 4};
    FOR_EACH(k, rows * hidden) {
        const T r = sigmoid_of(gx[in.at(k, 0)] + gh[in.at(k, 0)]), z = sigmoid_of(gx[in.at(k, 1)] + gh[in.at(k, 1)]);
        const T hn = gh[in.at(k, 2)], n = tanh_of(gx[in.at(k, 2)] + r * hn);
        next[k] = (1 - z) * n + z * h[k];
        kept[out.at(k, 0)] = r;
        kept[out.at(k, 1)] = z;
        kept[out.at(k, 2)] = n;
        kept[out.at(k, 3)] = hn;
    }
}
template <class T>
__device__ void gru_backward(T* dgx, T* dgh, T* dh, const T* d, const T* kept, const T* h, i64 rows, i64 hidden) {
    const Gates<T> in{hidden, 3}, out{hidden, 4};
    FOR_EACH(k, rows * hidden) {
        const T r = kept[out.at(k, 0)], z = kept[out.at(k, 1)], n = kept[out.at(k, 2)], hn = kept[out.at(k, 3)];
        const T dn = d[k] * (1 - z) * (1 - n * n), dz = d[k] * (h[k] - n) * z * (1 - z), dr = dn * hn * r * (1 - r);
        dgx[in.at(k, 0)] = dgh[in.at(k, 0)] = dr;
        dgx[in.at(k, 1)] = dgh[in.at(k, 1)] = dz;
        dgx[in.at(k, 2)] = dn;
        dgh[in.at(k, 2)] = dn * r;
        dh[k] = d[k] * z;
    }
}

#define CELLS(T)                                                                                                     \
    extern "C" __global__ void lstm_cell_##T(T* h, T* next, T* gates, const T* gx, const T* gh, const T* c,          \
                                             i64 rows, i64 hidden) {                                                 \
        lstm<T>(h, next, gates, gx, gh, c, rows, hidden);                                                            \
    }                                                                                                                \
    extern "C" __global__ void lstm_cell_backward_##T(T* da, T* dc, const T* dh, const T* dnext, const T* gates,     \
                                                      const T* c, const T* next, i64 rows, i64 hidden) {             \
        lstm_backward<T>(da, dc, dh, dnext, gates, c, next, rows, hidden);                                           \
    }                                                                                                                \
    extern "C" __global__ void gru_cell_##T(T* next, T* kept, const T* gx, const T* gh, const T* h, i64 rows,        \
                                            i64 hidden) {                                                            \
        gru<T>(next, kept, gx, gh, h, rows, hidden);                                                                 \
    }                                                                                                                \
    extern "C" __global__ void gru_cell_backward_##T(T* dgx, T* dgh, T* dh, const T* d, const T* kept, const T* h,   \
                                                     i64 rows, i64 hidden) {                                         \
        gru_backward<T>(dgx, dgh, dh, d, kept, h, rows, hidden);                                                     \
    }
CELLS(f32)
CELLS(f64)
