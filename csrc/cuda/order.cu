// Along the rows of a contiguous (rows, n): running sums, and the order of entries.

// ---- y[i] = x[0] + … + x[i]: a block for each row, 256 entries at a time, each wave on top of what came before.
// Partial sums by doubling distances (Hillis & Steele 1986), in float64 or int64: one rounding, the same each time.
template <class T> struct Wide { typedef i64 type; };
template <> struct Wide<f32> { typedef f64 type; };
template <> struct Wide<f64> { typedef f64 type; };

template <class R, class T> __device__ void running_sum(R* y, const T* x, i64 rows, i64 n) {
    typedef typename Wide<T>::type Sum;
    __shared__ Sum sums[2][MAX_THREADS];
    const int t = threadIdx.x;
    for (i64 r = blockIdx.x; r < rows; r += gridDim.x) {
        Sum before = 0;
        for (i64 from = 0; from < n; from += MAX_THREADS) {
            int now = 0;
            __syncthreads();  // the sums of the wave before have been read
            sums[0][t] = from + t < n ? (Sum)x[r * n + from + t] : Sum(0);
            for (int distance = 1; distance < MAX_THREADS; distance *= 2) {
                __syncthreads();
                sums[1 - now][t] = t < distance ? sums[now][t] : sums[now][t - distance] + sums[now][t];
                now = 1 - now;
            }
            __syncthreads();
            if (from + t < n) y[r * n + from + t] = (R)(before + sums[now][t]);
            before += sums[now][MAX_THREADS - 1];
        }
    }
}
#define CUMSUM(T, R)                                                                              \
    extern "C" __global__ void cumsum_##T(R* y, const T* x, i64 rows, i64 n) { running_sum<R, T>(y, x, rows, n); }
CUMSUM(f32, f32)
CUMSUM(f64, f64)
CUMSUM(i8, i64)
CUMSUM(i16, i64)
CUMSUM(i32, i64)
CUMSUM(i64, i64)
CUMSUM(u8, i64)
CUMSUM(b8, i64)

// ---- order. NaN counts as the largest; entries that are equal keep their order.
// Runs of 256 are put in order by counting, for each entry, those that come before it; then neighbouring runs are
// merged, again and again: an entry's place is its place in its own run and how many of the other run precede it.
template <class T> __device__ bool before(T a, T b, bool descending) {
    const bool nan_a = a != a, nan_b = b != b;
    if (nan_a || nan_b) return descending ? nan_a && !nan_b : nan_b && !nan_a;
    return descending ? a > b : a < b;
}
template <class T> __device__ void sort_runs(i64* order, const T* x, i64 rows, i64 n, bool descending) {
    __shared__ T keys[MAX_THREADS];
    const i64 runs = (n + MAX_THREADS - 1) / MAX_THREADS;
    const int t = threadIdx.x;
    for (i64 b = blockIdx.x; b < rows * runs; b += gridDim.x) {
        const i64 begin = b / runs * n, first = b % runs * MAX_THREADS;
        const int count = (int)(n - first < MAX_THREADS ? n - first : MAX_THREADS);
        __syncthreads();
        if (t < count) keys[t] = x[begin + first + t];
        __syncthreads();
        if (t < count) {
            int rank = 0;
            for (int k = 0; k < count; ++k)
                rank += before(keys[k], keys[t], descending) || (k < t && !before(keys[t], keys[k], descending));
            order[begin + first + rank] = first + t;
        }
    }
}
template <class T>
__device__ void merge_runs(i64* to, const i64* from, const T* x, i64 rows, i64 n, i64 width, bool descending) {
    FOR_EACH(i, rows * n) {
        const T* row = x + i / n * n;
        const i64* order = from + i / n * n;
        const i64 p = i % n, run = p / width, left = run / 2 * 2 * width, mine = order[p];
        const bool second = run % 2;
        const i64 other = second ? left : left + width;  // where the other run begins
        i64 low = other < n ? other : n, high = other + width < n ? other + width : n;
        while (low < high) {  // how many of it come before this entry: of equal ones those of the first run do
            const i64 middle = (low + high) / 2;
            const T key = row[order[middle]];
            if (second ? !before(row[mine], key, descending) : before(key, row[mine], descending))
                low = middle + 1;
            else
                high = middle;
        }
        to[i / n * n + left + (p - run * width) + (low - (other < n ? other : n))] = mine;
    }
}
#define SORT(T)                                                                                                       \
    extern "C" __global__ void sort_runs_##T(i64* order, const T* x, i64 rows, i64 n, i32 descending) {               \
        sort_runs<T>(order, x, rows, n, descending != 0);                                                             \
    }                                                                                                                 \
    extern "C" __global__ void merge_runs_##T(i64* to, const i64* from, const T* x, i64 rows, i64 n, i64 width,       \
                                              i32 descending) {                                                       \
        merge_runs<T>(to, from, x, rows, n, width, descending != 0);                                                  \
    }
SORT(f32)
SORT(f64)
SORT(i8)
SORT(i16)
SORT(i32)
SORT(i64)
SORT(u8)
SORT(b8)
