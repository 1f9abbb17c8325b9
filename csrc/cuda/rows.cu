// Rows: of a table by number, or normalised. Sums are made in float64 and in a fixed order.

// ---- rows of a table: y (count, width) = table[index], and back
template <class T>
__device__ void take(T* y, const T* table, const i64* index, i64* fault, i64 count, i64 rows, i64 width) {
    FOR_EACH(i, count * width) {
        const i64 row = index[i / width];
        const bool known = 0 <= row && row < rows;
        if (!known && i % width == 0) report(fault, TAKE, i / width, row);
        y[i] = known ? table[row * width + i % width] : (T)not_a_number();
    }
}
// Zeros (rows, width) with g (count, width) added at `index`. A thread has one column of the rows r ≡ blockIdx.y: it
// looks at all numbers in order and adds what is its own, so that equal ones are summed in order.
template <class T>
__device__ void take_backward(T* d, const T* g, const i64* index, i64* fault, i64 count, i64 rows, i64 width,
                              i64 padding) {
    const i64 column = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (column >= width) return;
    for (i64 r = blockIdx.y; r < rows; r += gridDim.y) d[r * width + column] = 0;
    for (i64 i = 0; i < count; ++i) {
        const i64 row = index[i];
        if (row < 0 || row >= rows) {
            if (column == 0 && blockIdx.y == 0) report(fault, TAKE, i, row);
        } else if (row % gridDim.y == blockIdx.y && row != padding) {
            d[row * width + column] += g[i * width + column];
        }
    }
}

// ---- normalisation of `groups` sets of entries. Set r of x (outer, sets, inner) is x[:, r, :]: for the rows of a
// matrix outer = 1 and inner is their length, for the channels of (N, C, L) they are N and L.
struct Sets {
    i64 outer, sets, inner;
    __device__ i64 count() const { return outer * inner; }
    __device__ i64 at(i64 r, i64 i) const { return (i / inner * sets + r) * inner + i % inner; }
};
// weight and bias have one entry for each set (by_set) or for each place within one.
template <class T>
__device__ void normalize(T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, f64 eps, bool by_set,
                          bool centred, Sets s) {
    const f64 n = (f64)s.count();
    for (i64 r = blockIdx.x; r < s.sets; r += gridDim.x) {
        f64 sum = 0, square = 0;
        if (centred) {
            for (i64 i = threadIdx.x; i < s.count(); i += blockDim.x) sum += x[s.at(r, i)];
            sum = block_reduce(sum, Plus());
        }
        const f64 middle = centred ? sum / n : 0;
        for (i64 i = threadIdx.x; i < s.count(); i += blockDim.x) {
            const f64 d = x[s.at(r, i)] - middle;
            square += d * d;
        }
        square = block_reduce(square, Plus());
        const f64 scale = 1 / sqrt(square / n + eps);
        for (i64 i = threadIdx.x; i < s.count(); i += blockDim.x) {
            const i64 at = s.at(r, i), p = by_set ? r : i;
            const f64 xhat = (x[at] - middle) * scale;
            y[at] = (T)(xhat * (weight ? (f64)weight[p] : 1.0) + (bias ? (f64)bias[p] : 0.0));
        }
        if (threadIdx.x == 0) {
            if (centred) mean[r] = (T)middle;
            rstd[r] = (T)scale;
        }
    }
}
// dx = rstd·(h − mean(h) − x̂·mean(h·x̂)) with h = weight·g. Weights by set: their gradients are sums over the set, and
// come with it; else `product` gets g·x̂, to be summed over the sets.
template <class T>
__device__ void normalize_backward(T* dx, T* dweight, T* dbias, T* product, const T* g, const T* x, const T* mean,
                                   const T* rstd, const T* weight, bool by_set, Sets s) {
    const f64 n = (f64)s.count();
    for (i64 r = blockIdx.x; r < s.sets; r += gridDim.x) {
        const f64 middle = mean ? (f64)mean[r] : 0, scale = rstd[r];
        f64 sum = 0, dot = 0;
        for (i64 i = threadIdx.x; i < s.count(); i += blockDim.x) {
            const i64 at = s.at(r, i);
            const f64 h = g[at] * (weight && !by_set ? (f64)weight[i] : 1.0);
            sum += h;
            dot += h * (x[at] - middle) * scale;
        }
        sum = block_reduce(sum, Plus());
        dot = block_reduce(dot, Plus());
        const f64 factor = weight && by_set ? (f64)weight[r] : 1.0, shift = mean ? sum / n : 0;
        for (i64 i = threadIdx.x; i < s.count(); i += blockDim.x) {
            const i64 at = s.at(r, i);
            const f64 xhat = (x[at] - middle) * scale, h = g[at] * (weight && !by_set ? (f64)weight[i] : 1.0);
            dx[at] = (T)(factor * scale * (h - shift - xhat * (dot / n)));
            if (product) product[at] = (T)(g[at] * xhat);
        }
        if (by_set && threadIdx.x == 0) {
            dweight[r] = (T)dot;
            dbias[r] = (T)sum;
        }
    }
}

#define KERNELS(T)                                                                                                   \
    extern "C" __global__ void take_##T(T* y, const T* table, const i64* index, i64* fault, i64 count, i64 rows,     \
                                        i64 width) {                                                                 \
        take<T>(y, table, index, fault, count, rows, width);                                                         \
    }                                                                                                                \
    extern "C" __global__ void take_backward_##T(T* d, const T* g, const i64* index, i64* fault, i64 count,          \
                                                 i64 rows, i64 width, i64 padding) {                                 \
        take_backward<T>(d, g, index, fault, count, rows, width, padding);                                           \
    }                                                                                                                \
    extern "C" __global__ void normalize_##T(T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias,     \
                                             f64 eps, i32 by_set, i32 centred, i64 outer, i64 sets, i64 inner) {     \
        normalize<T>(y, mean, rstd, x, weight, bias, eps, by_set != 0, centred != 0, {outer, sets, inner});          \
    }                                                                                                                \
    extern "C" __global__ void normalize_backward_##T(T* dx, T* dweight, T* dbias, T* product, const T* g,           \
                                                      const T* x, const T* mean, const T* rstd, const T* weight,     \
                                                      i32 by_set, i64 outer, i64 sets, i64 inner) {                  \
        normalize_backward<T>(dx, dweight, dbias, product, g, x, mean, rstd, weight, by_set != 0,                    \
                              {outer, sets, inner});                                                                 \
    }
KERNELS(f32)
KERNELS(f64)
