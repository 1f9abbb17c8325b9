// Softmax, log-softmax, cross-entropy: one block for each row.
//
// An array is seen as (outer, n, inner), softmax runs along n: row r starts at r / inner · n · inner + r % inner, and
// its entries are `inner` apart.

template <class T> struct Row {
    i64 start, n, inner;
    __device__ Row(i64 r, i64 n, i64 inner) : start(r / inner * n * inner + r % inner), n(n), inner(inner) {}
    __device__ i64 at(i64 c) const { return start + c * inner; }
};
// (max, Σ e^{x − max}): where the maximum is infinite or NaN, so is the sum, as in NumPy.
template <class T> struct Peak {
    T top, sum;
};
template <class T> __device__ Peak<T> peak(const T* x, Row<T> row) {
    T top = -infinity();
    for (i64 c = threadIdx.x; c < row.n; c += blockDim.x) top = Larger()(top, x[row.at(c)]);
    top = block_reduce(top, Larger());
    T sum = 0;
    for (i64 c = threadIdx.x; c < row.n; c += blockDim.x) sum += exp_of(x[row.at(c)] - top);
    return {top, block_reduce(sum, Plus())};
}

template <class T> __device__ void softmax(T* y, const T* x, i64 rows, i64 n, i64 inner) {
    for (i64 r = blockIdx.x; r < rows; r += gridDim.x) {
        const Row<T> row(r, n, inner);
        const Peak<T> p = peak(x, row);
        for (i64 c = threadIdx.x; c < n; c += blockDim.x) y[row.at(c)] = exp_of(x[row.at(c)] - p.top) / p.sum;
    }
}
template <class T> __device__ void log_softmax(T* y, const T* x, i64 rows, i64 n, i64 inner) {
    for (i64 r = blockIdx.x; r < rows; r += gridDim.x) {
        const Row<T> row(r, n, inner);
        const Peak<T> p = peak(x, row);
        const T log_sum = log_of(p.sum);
        for (i64 c = threadIdx.x; c < n; c += blockDim.x) y[row.at(c)] = (x[row.at(c)] - p.top) - log_sum;
    }
}
// y · (g − Σ g·y), or g − e^y · Σ g
template <class T, bool Log> __device__ void backward(T* dx, const T* g, const T* y, i64 rows, i64 n, i64 inner) {
    for (i64 r = blockIdx.x; r < rows; r += gridDim.x) {
        const Row<T> row(r, n, inner);
        T sum = 0;
        for (i64 c = threadIdx.x; c < n; c += blockDim.x) sum += Log ? g[row.at(c)] : g[row.at(c)] * y[row.at(c)];
        sum = block_reduce(sum, Plus());
        for (i64 c = threadIdx.x; c < n; c += blockDim.x) {
            const i64 i = row.at(c);
            dx[i] = Log ? g[i] - exp_of(y[i]) * sum : y[i] * (g[i] - sum);
        }
    }
}
#define SOFTMAX(T)                                                                                             \
    extern "C" __global__ void softmax_##T(T* y, const T* x, i64 rows, i64 n, i64 inner) {                     \
        softmax<T>(y, x, rows, n, inner);                                                                      \
    }                                                                                                          \
    extern "C" __global__ void log_softmax_##T(T* y, const T* x, i64 rows, i64 n, i64 inner) {                 \
        log_softmax<T>(y, x, rows, n, inner);                                                                  \
    }                                                                                                          \
    extern "C" __global__ void softmax_backward_##T(T* dx, const T* g, const T* y, i64 rows, i64 n, i64 inner) { \
        backward<T, false>(dx, g, y, rows, n, inner);                                                          \
    }                                                                                                          \
    extern "C" __global__ void log_softmax_backward_##T(T* dx, const T* g, const T* y, i64 rows, i64 n,        \
                                                        i64 inner) {                                           \
        backward<T, true>(dx, g, y, rows, n, inner);                                                           \
    }
SOFTMAX(f32)
SOFTMAX(f64)

// ---- cross-entropy of logits x (N, C) with classes (N,); weight (C,) may be null
// A class outside [0, C) leaves its row NaN and is reported.
template <class T>
__device__ void cross_entropy(T* loss, T* lse, f64* share, const T* x, const i64* target, const T* weight, i64* fault,
                              i64 rows, i64 classes, i64 ignore, T smoothing) {
    for (i64 r = blockIdx.x; r < rows; r += gridDim.x) {
        const i64 t = target[r];
        const bool counts = t != ignore, known = counts && 0 <= t && t < classes;
        if (counts && !known && threadIdx.x == 0) report(fault, CROSS_ENTROPY, r, t);
        const T* row = x + r * classes;
        const Peak<T> p = peak(x, Row<T>(r, classes, 1));
        const T l = p.top + log_of(p.sum);
        T others = 0, spread = 0;  // Σ e^{x − max} without class t, and Σ w·(L − x)
        for (i64 c = threadIdx.x; c < classes; c += blockDim.x) {
            if (c != t) others += exp_of(row[c] - p.top);
            spread += (weight ? weight[c] : T(1)) * (l - row[c]);
        }
        others = block_reduce(others, Plus());
        spread = block_reduce(spread, Plus());
        if (threadIdx.x == 0) {
            const T w = known && weight ? weight[t] : T(1);
            T value = counts ? not_a_number() : T(0);
            if (known) {
                value = w * (row[t] == p.top ? log1p_of(others) : l - row[t]);
                if (smoothing != 0) value = (1 - smoothing) * value + smoothing / classes * spread;
            }
            loss[r] = value;
            lse[r] = l;
            share[r] = counts ? (f64)w : 0.0;
        }
    }
}
// Row loss = Σ_c q_c·(L − x_c) with q the (smoothed, weighted) target, so d/dx_c = (Σq)·softmax_c − q_c. g is one
// number (each = 0) or one for each row (each = 1); `total`, where it is not null, divides it.
template <class T>
__device__ void cross_entropy_backward(T* dx, const T* g, const T* x, const i64* target, const T* lse, const T* weight,
                                       const f64* total, i64 rows, i64 classes, i64 ignore, T smoothing, int each) {
    for (i64 r = blockIdx.x; r < rows; r += gridDim.x) {
        const i64 t = target[r];
        const bool counts = t != ignore, known = 0 <= t && t < classes;
        T sum = 0;
        if (smoothing != 0) {
            for (i64 c = threadIdx.x; c < classes; c += blockDim.x) sum += weight ? weight[c] : T(1);
            sum = smoothing / classes * block_reduce(sum, Plus());
        }
        const T hit = known ? (1 - smoothing) * (weight ? weight[t] : T(1)) : (T)not_a_number();
        const f64 scale = (f64)g[each ? r : 0] / (total ? *total : 1.0);
        for (i64 c = threadIdx.x; c < classes; c += blockDim.x) {
            const i64 i = r * classes + c;
            const T q = smoothing / classes * (weight ? weight[c] : T(1)) + (c == t || !known ? hit : T(0));
            dx[i] = counts ? (T)(scale * (f64)((sum + hit) * exp_of(x[i] - lse[r]) - q)) : T(0);
        }
    }
}
#define LOSSES(T)                                                                                            \
    extern "C" __global__ void cross_entropy_##T(T* loss, T* lse, f64* share, const T* x, const i64* target,        \
                                                 const T* weight, i64* fault, i64 rows, i64 classes, i64 ignore,    \
                                                 f64 smoothing) {                                                   \
        cross_entropy<T>(loss, lse, share, x, target, weight, fault, rows, classes, ignore, (T)smoothing);          \
    }                                                                                                               \
    extern "C" __global__ void cross_entropy_backward_##T(T* dx, const T* g, const T* x, const i64* target,         \
                                                          const T* lse, const T* weight, const f64* total,          \
                                                          i64 rows, i64 classes, i64 ignore, f64 smoothing,         \
                                                          int each) {                                               \
        cross_entropy_backward<T>(dx, g, x, target, lse, weight, total, rows, classes, ignore, (T)smoothing, each); \
    }                                                                                                               \
    extern "C" __global__ void quotient_##T(T* y, const f64* sum, const f64* total, f64 number) {                   \
        if (threadIdx.x == 0) *y = (T)(*sum / (total ? *total : number));                                           \
    }
LOSSES(f32)
LOSSES(f64)
