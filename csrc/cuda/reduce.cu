// Sums, extrema and their positions. An input is seen as rows × columns, each of two dimensions with steps of their
// own; the columns of a row are reduced. Two schedules, and both add in an order that depends on the shape alone:
//   along   a block for each row, its threads side by side along the columns: for columns that lie side by side
//   across  32 rows for each block, its threads side by side across them: for rows that lie side by side
// Long rows are cut into `parts` (grid.y): the result is then rows × parts, to be reduced once more.

template <class T> struct Wide { typedef i64 type; };
template <> struct Wide<f32> { typedef f64 type; };
template <> struct Wide<f64> { typedef f64 type; };

// In float64: as good as pairwise summation or better. Memory is the limit, not the arithmetic.
template <class T> struct Total {
    typedef typename Wide<T>::type State;
    static __device__ State first(T x, i64) { return (State)x; }
    static __device__ State none() { return 0; }
    static __device__ State merge(State a, State b) { return a + b; }
    static __device__ State result(State s) { return s; }
};
// The best value with its position, −1 for nothing yet: NaN is better than anything, the first of equals wins.
template <class T, bool Largest> struct Best {
    struct State {
        typename Wide<T>::type value;
        i64 at;
    };
    static __device__ State first(T x, i64 i) { return {(typename Wide<T>::type)x, i}; }
    static __device__ State none() { return {0, -1}; }
    static __device__ State merge(State a, State b) {
        if (a.at < 0 || b.at < 0) return a.at < 0 ? b : a;
        const bool nan_a = a.value != a.value, nan_b = b.value != b.value;
        if (nan_a != nan_b) return nan_a ? a : b;
        if (nan_a || a.value == b.value) return a.at < b.at ? a : b;
        return (Largest ? a.value > b.value : a.value < b.value) ? a : b;
    }
};
template <class T, bool Largest> struct Extreme : Best<T, Largest> {
    typedef typename Best<T, Largest>::State State;
    static __device__ typename Wide<T>::type result(State s) { return s.value; }
};
template <class T, bool Largest> struct Position : Best<T, Largest> {
    typedef typename Best<T, Largest>::State State;
    static __device__ i64 result(State s) { return s.at; }
};

#define ROWS_AND_COLUMNS i64 rows, i64 columns, i64 row_n, i64 row_outer, i64 row_inner, i64 col_n, i64 col_outer, \
    i64 col_inner
struct Matrix {
    i64 rows, columns, row_n, row_outer, row_inner, col_n, col_outer, col_inner;
    __device__ i64 row(i64 r) const { return r / row_n * row_outer + r % row_n * row_inner; }
    __device__ i64 column(i64 c) const { return c / col_n * col_outer + c % col_n * col_inner; }
};
struct Slice {  // the columns of this block's part
    i64 begin, end;
    __device__ explicit Slice(i64 columns) {
        const i64 each = (columns + gridDim.y - 1) / gridDim.y;
        begin = blockIdx.y * each < columns ? blockIdx.y * each : columns;
        end = begin + each < columns ? begin + each : columns;
    }
};

template <class Op, class R, class T> __device__ void along(R* y, const T* x, Matrix m) {
    typedef typename Op::State State;
    const Slice part(m.columns);
    for (i64 r = blockIdx.x; r < m.rows; r += gridDim.x) {
        const T* row = x + m.row(r);
        State mine = Op::none();
        for (i64 c = part.begin + threadIdx.x; c < part.end; c += blockDim.x)
            mine = Op::merge(mine, Op::first(row[m.column(c)], c));
        const State all = block_reduce(mine, [](State a, State b) { return Op::merge(a, b); });
        if (threadIdx.x == 0) y[r * gridDim.y + blockIdx.y] = (R)Op::result(all);
    }
}

constexpr int ACROSS = 8;  // threads that share a row
template <class Op, class R, class T> __device__ void across(R* y, const T* x, Matrix m) {
    typedef typename Op::State State;
    __shared__ State slots[ACROSS][32];
    const Slice part(m.columns);
    const i64 r = blockIdx.x * (i64)32 + threadIdx.x;
    State mine = Op::none();
    if (r < m.rows) {
        const T* row = x + m.row(r);
        for (i64 c = part.begin + threadIdx.y; c < part.end; c += ACROSS)
            mine = Op::merge(mine, Op::first(row[m.column(c)], c));
    }
    slots[threadIdx.y][threadIdx.x] = mine;
    __syncthreads();
    if (threadIdx.y == 0 && r < m.rows) {
        for (int k = 1; k < ACROSS; ++k) mine = Op::merge(mine, slots[k][threadIdx.x]);
        y[r * gridDim.y + blockIdx.y] = (R)Op::result(mine);
    }
}

#define BOTH(name, R, T, ...)                                                                                  \
    extern "C" __global__ void name##_along(R* y, const T* x, ROWS_AND_COLUMNS) {                              \
        along<__VA_ARGS__, R, T>(y, x, {rows, columns, row_n, row_outer, row_inner, col_n, col_outer, col_inner}); \
    }                                                                                                          \
    extern "C" __global__ void name##_across(R* y, const T* x, ROWS_AND_COLUMNS) {                             \
        across<__VA_ARGS__, R, T>(y, x, {rows, columns, row_n, row_outer, row_inner, col_n, col_outer, col_inner}); \
    }
#define SUM(T, R) BOTH(sum_##T##_##R, R, T, Total<T>)
SUM(f32, f32)
SUM(f32, f64)
SUM(f64, f32)
SUM(f64, f64)
SUM(i8, i64)
SUM(i16, i64)
SUM(i32, i64)
SUM(i64, i64)
SUM(u8, i64)
SUM(b8, i64)
#define EXTREMA(T)                               \
    BOTH(amax_##T, T, T, Extreme<T, true>)       \
    BOTH(amin_##T, T, T, Extreme<T, false>)      \
    BOTH(argmax_##T, i64, T, Position<T, true>)  \
    BOTH(argmin_##T, i64, T, Position<T, false>)
EXTREMA(f32)
EXTREMA(f64)
EXTREMA(i8)
EXTREMA(i16)
EXTREMA(i32)
EXTREMA(i64)
EXTREMA(u8)
EXTREMA(b8)
