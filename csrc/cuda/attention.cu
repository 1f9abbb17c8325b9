// Attention. y = P·v with P = softmax(scale·q·kᵀ + mask): q (B, T, D), k (B, S, D), v (B, S, E), y (B, T, E).
//
// P is T × S, and never stored: a block has some rows of q and looks at k and v tile by tile. What it has added up so
// far is scaled down whenever a larger score turns up (Milakov & Gimelshein 2018; Dao et al. 2022). Kept is only
// L = ln Σ e^score for each row, from which the backward pass computes P again: once by rows, for dq, and once by keys,
// for dk and dv, so that every sum is made by one block in one order.
// Heads wider than these kernels are made for go through matrix products, with the two kernels at the end.

constexpr int SIDE = 16;  // a block is 16 × 16 threads; a thread has R neighbouring rows of a tile, every 16th column

__device__ inline f32 dot(float4 a, float4 b, f32 s) { return s + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }
__device__ inline f64 dot(double2 a, double2 b, f64 s) { return s + a.x * b.x + a.y * b.y; }
template <class T> struct Lanes { typedef float4 type; };  // 16 bytes: one read of shared memory
template <> struct Lanes<f64> { typedef double2 type; };

// N rows of a matrix (rows, width ≤ W) in shared memory, 0 where there are none, columns up to a multiple of 16.
// Neighbouring rows begin in different banks.
template <class T, int W, int N> struct Tile {
    typedef typename Lanes<T>::type Lane;
    static constexpr int LANES = 16 / sizeof(T);
    alignas(16) T data[N][W + LANES];
    __device__ void load(const T* x, i64 first, i64 rows, int width) {
        const int padded = (width + SIDE - 1) / SIDE * SIDE;
        for (int i = threadIdx.x; i < N * W; i += SIDE * SIDE) {
            const int r = i / W, d = i % W;
            if (d < padded) data[r][d] = first + r < rows && d < width ? x[(first + r) * width + d] : T(0);
        }
    }
    __device__ Lane lane(int r, int d) const { return *reinterpret_cast<const Lane*>(&data[r][d]); }
};
// s = a·bᵀ for this thread's part of the tile
template <int R, int C, class T, class A, class B>
__device__ void products(T (&s)[R][C], const A& a, const B& b, int width) {
    const int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < C; ++j) s[i][j] = 0;
    for (int d = 0; d < width; d += A::LANES) {
        typename A::Lane right[C];
#pragma unroll
        for (int j = 0; j < C; ++j) right[j] = b.lane(tx + SIDE * j, d);
#pragma unroll
        for (int i = 0; i < R; ++i) {
            const typename A::Lane left = a.lane(ty * R + i, d);
#pragma unroll
            for (int j = 0; j < C; ++j) s[i][j] = dot(left, right[j], s[i][j]);
        }
    }
}
// sum += p·b: columns tx, tx + 16, … of the result, for this thread's rows
template <int R, int K, int COLUMNS, class T, class P, class B>
__device__ void add_product(T (&sum)[R][COLUMNS], const P& p, const B& b, int width) {
    const int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;
    for (int k = 0; k < K; ++k) {
        T left[R];
#pragma unroll
        for (int i = 0; i < R; ++i) left[i] = p.data[ty * R + i][k];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            if (c * SIDE >= width) break;
            const T right = b.data[k][c * SIDE + tx];
#pragma unroll
            for (int i = 0; i < R; ++i) sum[i][c] += left[i] * right;
        }
    }
}
// The same result in all 16 threads that share a row; they are half a warp.
template <class T, class Merge> __device__ T over_row(T x, Merge merge) {
    for (int half = SIDE / 2; half > 0; half /= 2) x = merge(x, __shfl_xor_sync(0xffffffff, x, half, SIDE));
    return x;
}
template <int R, int COLUMNS, class T> __device__ void clear(T (&sum)[R][COLUMNS]) {
    for (int i = 0; i < R; ++i)
        for (int c = 0; c < COLUMNS; ++c) sum[i][c] = 0;
}
template <int R, int COLUMNS, class T>
__device__ void store(T* y, const T (&sum)[R][COLUMNS], i64 first, i64 rows, int width) {
    const int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;
    for (int i = 0; i < R; ++i)
        for (int c = 0; c < COLUMNS; ++c)
            if (first + ty * R + i < rows && c * SIDE + tx < width)
                y[(first + ty * R + i) * width + c * SIDE + tx] = sum[i][c];
}

// What is asked: `mask` (B/heads, T, S) may be null, `causal` hides the keys s > t.
template <class T> struct Scores {
    const T* mask;
    T scale;
    bool causal;
    i64 rows, keys, heads;
    __device__ bool hidden(i64 t, i64 key) const { return t >= rows || key >= keys || (causal && key > t); }
    __device__ T score(T product, i64 b, i64 t, i64 key) const {
        if (hidden(t, key)) return -infinity();
        return product * scale + (mask ? mask[(b / heads * rows + t) * keys + key] : T(0));
    }
    __device__ T weight(T product, i64 b, i64 t, i64 key, T lse) const {
        return lse == -infinity() ? T(0) : exp_of(score(product, b, t, key) - lse);
    }
};

template <class T, int W, int R, int C>
__device__ void forward(T* y, T* lse, const T* q, const T* k, const T* v, Scores<T> n, int width, int depth) {
    __shared__ Tile<T, W, SIDE * R> own;
    __shared__ Tile<T, W, SIDE * C> other;  // keys, then values
    __shared__ Tile<T, SIDE * C, SIDE * R> p;
    const int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;
    const i64 blocks = (n.rows + SIDE * R - 1) / (SIDE * R), b = blockIdx.x / blocks;
    const i64 first = blockIdx.x % blocks * (SIDE * R);
    const i64 end = n.causal && first + SIDE * R < n.keys ? first + SIDE * R : n.keys;
    T top[R], total[R], sum[R][W / SIDE], s[R][C];
    for (int i = 0; i < R; ++i) top[i] = -infinity(), total[i] = 0;
    clear(sum);
    own.load(q + b * n.rows * width, first, n.rows, width);
    for (i64 from = 0; from < end; from += SIDE * C) {
        __syncthreads();  // the tile before is no longer needed
        other.load(k + b * n.keys * width, from, n.keys, width);
        __syncthreads();
        products(s, own, other, width);
        __syncthreads();
        other.load(v + b * n.keys * depth, from, n.keys, depth);
#pragma unroll
        for (int i = 0; i < R; ++i) {
            T best = top[i], here = 0;
#pragma unroll
            for (int j = 0; j < C; ++j) {
                s[i][j] = n.score(s[i][j], b, first + ty * R + i, from + tx + SIDE * j);
                best = Larger()(best, s[i][j]);
            }
            best = over_row(best, Larger());
            const T shift = best == -infinity() ? T(0) : best, fade = exp_of(top[i] - shift);
#pragma unroll
            for (int j = 0; j < C; ++j) {
                const T e = exp_of(s[i][j] - shift);
                p.data[ty * R + i][tx + SIDE * j] = e;
                here += e;
            }
            total[i] = total[i] * fade + over_row(here, Plus());
            top[i] = best;
#pragma unroll
            for (int c = 0; c < W / SIDE; ++c) sum[i][c] *= fade;
        }
        __syncthreads();
        add_product<R, SIDE * C>(sum, p, other, depth);
    }
    for (int i = 0; i < R; ++i) {
        const i64 t = first + ty * R + i;
        if (tx == 0 && t < n.rows)
            lse[b * n.rows + t] = total[i] == 0 ? (T)-infinity() : top[i] + log_of(total[i]);
        for (int c = 0; c < W / SIDE; ++c) sum[i][c] = total[i] == 0 ? T(0) : sum[i][c] / total[i];
    }
    store(y + b * n.rows * depth, sum, first, n.rows, depth);
}

// dq = dS·k with dS = P·(g·vᵀ − δ)·scale; δ (B, T) = Σ g·y is stored for the kernel below.
template <class T, int W, int R, int C>
__device__ void backward_rows(T* dq, T* delta, const T* g, const T* q, const T* k, const T* v, const T* y,
                              const T* lse, Scores<T> n, int width, int depth) {
    __shared__ Tile<T, W, SIDE * R> qs, gs;
    __shared__ Tile<T, W, SIDE * C> ks, vs;
    __shared__ Tile<T, SIDE * C, SIDE * R> ds;
    const int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;
    const i64 blocks = (n.rows + SIDE * R - 1) / (SIDE * R), b = blockIdx.x / blocks;
    const i64 first = blockIdx.x % blocks * (SIDE * R);
    const i64 end = n.causal && first + SIDE * R < n.keys ? first + SIDE * R : n.keys;
    T mean[R], log_sum[R], sum[R][W / SIDE], s[R][C], dp[R][C];
    clear(sum);
    for (int i = 0; i < R; ++i) {
        const i64 t = first + ty * R + i, row = b * n.rows + t;
        T dots = 0;
        for (int d = tx; d < depth && t < n.rows; d += SIDE) dots += g[row * depth + d] * y[row * depth + d];
        mean[i] = over_row(dots, Plus());
        log_sum[i] = t < n.rows ? lse[row] : (T)-infinity();
        if (tx == 0 && t < n.rows) delta[row] = mean[i];
    }
    qs.load(q + b * n.rows * width, first, n.rows, width);
    gs.load(g + b * n.rows * depth, first, n.rows, depth);
    for (i64 from = 0; from < end; from += SIDE * C) {
        __syncthreads();
        ks.load(k + b * n.keys * width, from, n.keys, width);
        vs.load(v + b * n.keys * depth, from, n.keys, depth);
        __syncthreads();
        products(s, qs, ks, width);
        products(dp, gs, vs, depth);
#pragma unroll
        for (int i = 0; i < R; ++i)
#pragma unroll
            for (int j = 0; j < C; ++j) {
                const T p = n.weight(s[i][j], b, first + ty * R + i, from + tx + SIDE * j, log_sum[i]);
                ds.data[ty * R + i][tx + SIDE * j] = p * (dp[i][j] - mean[i]) * n.scale;
            }
        __syncwarp();  // a row of dS belongs to half a warp
        add_product<R, SIDE * C>(sum, ds, ks, width);
    }
    store(dq + b * n.rows * width, sum, first, n.rows, width);
}

// dk = dSᵀ·q, dv = Pᵀ·g: the rows of these tiles are keys, the columns are rows of q.
template <class T, int W, int R, int C>
__device__ void backward_keys(T* dk, T* dv, const T* g, const T* q, const T* k, const T* v, const T* lse,
                              const T* delta, Scores<T> n, int width, int depth) {
    __shared__ Tile<T, W, SIDE * R> ks, vs;
    __shared__ Tile<T, W, SIDE * C> qs, gs;
    __shared__ Tile<T, SIDE * C, SIDE * R> p;  // P, then dS
    const int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;
    const i64 blocks = (n.keys + SIDE * R - 1) / (SIDE * R), b = blockIdx.x / blocks;
    const i64 first = blockIdx.x % blocks * (SIDE * R);
    T sum_k[R][W / SIDE], sum_v[R][W / SIDE], s[R][C], dp[R][C];
    clear(sum_k), clear(sum_v);
    ks.load(k + b * n.keys * width, first, n.keys, width);
    vs.load(v + b * n.keys * depth, first, n.keys, depth);
    for (i64 from = n.causal ? first / (SIDE * C) * (SIDE * C) : 0; from < n.rows; from += SIDE * C) {
        __syncthreads();
        qs.load(q + b * n.rows * width, from, n.rows, width);
        gs.load(g + b * n.rows * depth, from, n.rows, depth);
        __syncthreads();
        products(s, ks, qs, width);
        products(dp, vs, gs, depth);
#pragma unroll
        for (int j = 0; j < C; ++j) {
            const i64 t = from + tx + SIDE * j;
            const T log_sum = t < n.rows ? lse[b * n.rows + t] : (T)-infinity();
            const T mean = t < n.rows ? delta[b * n.rows + t] : T(0);
#pragma unroll
            for (int i = 0; i < R; ++i) {
                s[i][j] = n.weight(s[i][j], b, t, first + ty * R + i, log_sum);
                dp[i][j] = s[i][j] * (dp[i][j] - mean) * n.scale;
                p.data[ty * R + i][tx + SIDE * j] = s[i][j];
            }
        }
        __syncwarp();
        add_product<R, SIDE * C>(sum_v, p, gs, depth);
        __syncwarp();
#pragma unroll
        for (int i = 0; i < R; ++i)
#pragma unroll
            for (int j = 0; j < C; ++j) p.data[ty * R + i][tx + SIDE * j] = dp[i][j];
        __syncwarp();
        add_product<R, SIDE * C>(sum_k, p, qs, width);
    }
    store(dk + b * n.keys * width, sum_k, first, n.keys, width);
    store(dv + b * n.keys * depth, sum_v, first, n.keys, depth);
}

// Tiles of 16·R rows and 16·C columns, forward and backward, for heads up to W wide: what 48 KiB hold.
#define ATTENTION(T, W, R, C, BACK)                                                                                  \
    extern "C" __global__ void __launch_bounds__(256, 2)                                                              \
        attention##W##_##T(T* y, T* lse, const T* q, const T* k, const T* v, const T* mask, f64 scale, i32 causal,   \
                           i64 rows, i64 keys, i64 heads, i32 width, i32 depth) {                                    \
        forward<T, W, R, C>(y, lse, q, k, v, {mask, (T)scale, causal != 0, rows, keys, heads}, width, depth);        \
    }                                                                                                                \
    extern "C" __global__ void __launch_bounds__(256, 2)                                                              \
        attention_rows##W##_##T(T* dq, T* delta, const T* g, const T* q, const T* k, const T* v, const T* mask,      \
                                const T* y, const T* lse, f64 scale, i32 causal, i64 rows, i64 keys, i64 heads,      \
                                i32 width, i32 depth) {                                                              \
        backward_rows<T, W, BACK, BACK>(dq, delta, g, q, k, v, y, lse,                                               \
                                        {mask, (T)scale, causal != 0, rows, keys, heads}, width, depth);             \
    }                                                                                                                \
    extern "C" __global__ void __launch_bounds__(256, 2)                                                              \
        attention_keys##W##_##T(T* dk, T* dv, const T* g, const T* q, const T* k, const T* v, const T* mask,         \
                                const T* lse, const T* delta, f64 scale, i32 causal, i64 rows, i64 keys, i64 heads,  \
                                i32 width, i32 depth) {                                                              \
        backward_keys<T, W, BACK, BACK>(dk, dv, g, q, k, v, lse, delta,                                              \
                                        {mask, (T)scale, causal != 0, rows, keys, heads}, width, depth);             \
    }
ATTENTION(f32, 64, 4, 2, 2)
ATTENTION(f32, 128, 2, 2, 1)
ATTENTION(f64, 64, 2, 2, 1)

// ---- wide heads, between their products: scores (B, T, S) become softmax(scale·scores + mask), and lse their logarithm
// mask (M, T, S), M dividing B, may be null; `causal` hides the keys s > t. A row that sees no key gets zeros.
template <class T>
__device__ void attention_weights(T* scores, T* lse, const T* mask, f64 scale, bool causal, i64 batch, i64 rows,
                                  i64 keys, i64 heads) {
    for (i64 r = blockIdx.x; r < batch * rows; r += gridDim.x) {
        const i64 t = r % rows;
        T* row = scores + r * keys;
        const T* added = mask ? mask + (r / rows / heads * rows + t) * keys : nullptr;
        T top = -infinity();
        for (i64 k = threadIdx.x; k < keys; k += blockDim.x) {
            const T score = causal && k > t ? (T)-infinity() : row[k] * (T)scale + (added ? added[k] : T(0));
            row[k] = score;
            top = Larger()(top, score);
        }
        top = block_reduce(top, Larger());
        const T shift = top == -infinity() ? T(0) : top;
        T sum = 0;
        for (i64 k = threadIdx.x; k < keys; k += blockDim.x) sum += exp_of(row[k] - shift);
        sum = block_reduce(sum, Plus());
        for (i64 k = threadIdx.x; k < keys; k += blockDim.x) row[k] = sum == 0 ? T(0) : exp_of(row[k] - shift) / sum;
        if (threadIdx.x == 0) lse[r] = sum == 0 ? (T)-infinity() : shift + log_of(sum);
    }
}
// dS = P·(dP − Σ g·y)·scale, put in dP's place; g and y (rows, width)
template <class T>
__device__ void attention_slope(T* dp, const T* p, const T* g, const T* y, f64 scale, i64 rows, i64 keys, i64 width) {
    for (i64 r = blockIdx.x; r < rows; r += gridDim.x) {
        T sum = 0;
        for (i64 i = threadIdx.x; i < width; i += blockDim.x) sum += g[r * width + i] * y[r * width + i];
        sum = block_reduce(sum, Plus());
        for (i64 k = threadIdx.x; k < keys; k += blockDim.x)
            dp[r * keys + k] = p[r * keys + k] * (dp[r * keys + k] - sum) * (T)scale;
    }
}

#define WIDE(T)                                                                                                     \
    extern "C" __global__ void attention_weights_##T(T* scores, T* lse, const T* mask, f64 scale, i32 causal,        \
                                                     i64 batch, i64 rows, i64 keys, i64 heads) {                     \
        attention_weights<T>(scores, lse, mask, scale, causal != 0, batch, rows, keys, heads);                       \
    }                                                                                                                \
    extern "C" __global__ void attention_slope_##T(T* dp, const T* p, const T* g, const T* y, f64 scale, i64 rows,   \
                                                   i64 keys, i64 width) {                                            \
        attention_slope<T>(dp, p, g, y, scale, rows, keys, width);                                                   \
    }
WIDE(f32)
WIDE(f64)
