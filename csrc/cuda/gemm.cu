// Products of matrices, C = f(A·B + bias), as a ladder of steps.
//
// A is M × K, B is K × N, C is M × N and contiguous; A and B lie as their steps say, so that transposed operands are
// read in place. grid.z runs over a batch. `bias` (N,) and `before` (M × N: what f gets) may be null.

enum { NONE, RELU, SIGMOID, TANH, GELU, GELU_TANH, SILU };
template <class T> __device__ T activated(T z, int f) {
    switch (f) {
        case RELU: return relu_of(z);
        case SIGMOID: return sigmoid_of(z);
        case TANH: return tanh_of(z);
        case GELU: return gelu_of(z, false);
        case GELU_TANH: return gelu_of(z, true);
        case SILU: return silu_of(z);
    }
    return z;
}

#define PRODUCT(T)                                                                                               \
    T *c, T *before, const T *a, const T *b, const T *bias, i32 m, i32 n, i32 k, i64 am, i64 ak, i64 bk, i64 bn, \
        i64 a_batch, i64 b_batch, i64 batch, i32 f
template <class T> struct Problem {
    T *c, *before;
    const T *a, *b, *bias;
    i32 m, n, k;
    i64 am, ak, bk, bn, a_batch, b_batch, batch;
    i32 f;
    __device__ T left(i32 row, i32 l) const { return row < m && l < k ? a[row * am + l * ak] : T(0); }
    __device__ T right(i32 l, i32 column) const { return l < k && column < n ? b[l * bk + column * bn] : T(0); }
    __device__ void store(i32 row, i32 column, T sum) const {
        if (row >= m || column >= n) return;
        const T z = bias ? sum + bias[column] : sum;
        if (before) before[row * (i64)n + column] = z;
        c[row * (i64)n + column] = activated(z, f);
    }
    __device__ void advance(i64 entries) {  // to another product of the batch
        a += entries * a_batch;
        b += entries * b_batch;
        c += entries * m * n;
        if (before) before += entries * m * n;
    }
};
#define PROBLEM(T) {c, before, a, b, bias, m, n, k, am, ak, bk, bn, a_batch, b_batch, batch, f}

// ---- step 1: tiles of 16 × 16 in shared memory; each thread one entry of C. A value that is loaded serves 16 times.
template <class T> __device__ void tile16(Problem<T> p) {
    __shared__ T as[16][16], bs[16][17];
    const int tx = threadIdx.x, ty = threadIdx.y;
    const i32 row = blockIdx.y * 16 + ty, column = blockIdx.x * 16 + tx;
    p.advance(blockIdx.z);
    for (i64 entry = blockIdx.z; entry < p.batch; entry += gridDim.z) {
        T sum = 0;
        for (i32 k0 = 0; k0 < p.k; k0 += 16) {
            as[ty][tx] = p.left(row, k0 + tx);
            bs[ty][tx] = p.right(k0 + ty, column);
            __syncthreads();
            for (int l = 0; l < 16; ++l) sum = fma_of(as[ty][l], bs[l][tx], sum);
            __syncthreads();
        }
        p.store(row, column, sum);
        p.advance(gridDim.z);
    }
}

// ---- step 2: a block of 64 × 64, each of its 16 × 16 threads 4 × 4 entries in registers. A value that is loaded from
// shared memory serves four times, and from global memory 64 times. Threads load along whichever direction is
// contiguous, so that a transposed operand costs nothing more.
constexpr int BM = 64, BN = 64, BK = 16, TM = 4, TN = 4, BLOCK = (BM / TM) * (BN / TN);
template <class T> __device__ void block64(Problem<T> p) {
    __shared__ __align__(16) T as[BK][BM + 4], bs[BK][BN + 4];  // A transposed; padded against bank conflicts
    const int t = threadIdx.x, tx = t % (BN / TN), ty = t / (BN / TN);
    const i32 m0 = blockIdx.y * BM, n0 = blockIdx.x * BN;
    const bool a_along_k = p.ak == 1, b_along_n = p.bn == 1;
    p.advance(blockIdx.z);
    for (i64 entry = blockIdx.z; entry < p.batch; entry += gridDim.z) {
        T sum[TM][TN] = {};
        for (i32 k0 = 0; k0 < p.k; k0 += BK) {
#pragma unroll
            for (int e = t; e < BM * BK; e += BLOCK) {
                const int r = a_along_k ? e / BK : e % BM, l = a_along_k ? e % BK : e / BM;
                as[l][r] = p.left(m0 + r, k0 + l);
            }
#pragma unroll
            for (int e = t; e < BK * BN; e += BLOCK) {
                const int c = b_along_n ? e % BN : e / BK, l = b_along_n ? e / BN : e % BK;
                bs[l][c] = p.right(k0 + l, n0 + c);
            }
            __syncthreads();
#pragma unroll
            for (int l = 0; l < BK; ++l)
#pragma unroll
                for (int i = 0; i < TM; ++i)
#pragma unroll
                    for (int j = 0; j < TN; ++j) sum[i][j] = fma_of(as[l][ty * TM + i], bs[l][tx * TN + j], sum[i][j]);
            __syncthreads();
        }
#pragma unroll
        for (int i = 0; i < TM; ++i)
#pragma unroll
            for (int j = 0; j < TN; ++j) p.store(m0 + ty * TM + i, n0 + tx * TN + j, sum[i][j]);
        p.advance(gridDim.z);
    }
}

// Two blocks of `block64` on a multiprocessor: up to 128 registers. Asked for nothing, the compiler takes fewer and spills.
#define STEPS_OF_LADDER(T)                                                                                \
    extern "C" __global__ void __launch_bounds__(256) gemm_tile16_##T(PRODUCT(T)) { tile16<T>(PROBLEM(T)); } \
    extern "C" __global__ void __launch_bounds__(256, 2) gemm_block64_##T(PRODUCT(T)) { block64<T>(PROBLEM(T)); }
STEPS_OF_LADDER(f32)
STEPS_OF_LADDER(f64)
