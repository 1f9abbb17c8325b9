// Step 4 of the ladder in gemm.cu: tensor cores, of sm_80 and later. A warp multiplies 16 × 16 tiles in one instruction;
// operands are rounded to TF32 (10 bits behind the point) or bfloat16 (7) on their way into shared memory, products are
// summed in float32. Only where `set_float32_matmul_precision` allows it; `products.py` looks at that.
//
// 128 × 128 entries of C for each block of 8 warps, 32 × 64 for each warp: 2 × 4 tiles. Operands, batches and sizes are as
// in gemm128.cu, and a tile lies in shared memory as [k][row] too. The next tiles are read while this one is computed.
#include <cuda_bf16.h>
#include <mma.h>

#define TENSOR_PARAMETERS                                                                                         \
    f32 *c, const f32 *a, const f32 *b, const f32 *bias, i32 m, i32 n, i32 k, i64 am, i64 ak, i64 bk, i64 bn, \
        i64 a_batch, i64 b_batch

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
using namespace nvcuda;

constexpr int TILE = 128, DEPTH = 16, WARP_ROWS = 2, WARP_COLUMNS = 4;

struct Tf32 {
    using Stored = f32;
    using Used = wmma::precision::tf32;
    static constexpr int K = 8, WIDE = TILE + 4;  // of one instruction; a row of a tile, padded
    __device__ static f32 rounded(f32 x) { return wmma::__float_to_tf32(x); }
};
struct Bf16 {
    using Stored = __nv_bfloat16;
    using Used = __nv_bfloat16;
    static constexpr int K = 16, WIDE = TILE + 8;
    __device__ static __nv_bfloat16 rounded(f32 x) { return __float2bfloat16(x); }
};
template <class T> struct alignas(4 * sizeof(T)) Four {
    T x, y, z, w;
};

// Thread t's share of the tiles: twice four entries of each.
template <class Format, bool AlongK> struct Loader {
    using Stored = typename Format::Stored;
    Operand o;
    i32 row0, k;
    float4 held[2];
    __device__ static int row(int t, int part) { return AlongK ? t / 4 + part * 64 : t % 32 * 4; }
    __device__ static int depth(int t, int part) { return AlongK ? t % 4 * 4 : t / 32 + part * 8; }
    __device__ void begin(i32 k0, int t) {
#pragma unroll
        for (int part = 0; part < 2; ++part) {
            const i32 r = row0 + row(t, part), l = k0 + depth(t, part);
            const bool inside = r < o.rows && l < k;
            held[part] = inside ? get(o.x + r * o.by_row + l * o.by_k) : make_float4(0.f, 0.f, 0.f, 0.f);
        }
    }
    __device__ void finish(Stored (*tile)[Format::WIDE], int t) const {
#pragma unroll
        for (int part = 0; part < 2; ++part) {
            const float4 v = held[part];
            const Four<Stored> four = {Format::rounded(v.x), Format::rounded(v.y), Format::rounded(v.z),
                                       Format::rounded(v.w)};
            Stored* const to = &tile[depth(t, part)][row(t, part)];
            if (AlongK) {
                to[0] = four.x;
                to[Format::WIDE] = four.y;
                to[2 * Format::WIDE] = four.z;
                to[3 * Format::WIDE] = four.w;
            } else {
                *reinterpret_cast<Four<Stored>*>(to) = four;
            }
        }
    }
};

template <class Format, bool AAlongK, bool BAlongK>
__device__ void tensor128(f32* c, const f32* bias, Operand a, Operand b, i32 k, i64 a_batch, i64 b_batch) {
    typedef typename Format::Stored Tile[DEPTH][Format::WIDE];
    __shared__ __align__(32) Tile as[2], bs[2];
    const int t = threadIdx.x, warp = t / 32, lane = t % 32;
    const int row = warp / 2 * 16 * WARP_ROWS, column = warp % 2 * 16 * WARP_COLUMNS;  // of the warp, in the block
    const i32 m0 = blockIdx.y * TILE, n0 = blockIdx.x * TILE;
    a.x += blockIdx.z * a_batch;
    b.x += blockIdx.z * b_batch;
    c += blockIdx.z * (i64)a.rows * b.rows;
    Loader<Format, AAlongK> la = {a, m0, k};
    Loader<Format, BAlongK> lb = {b, n0, k};
    wmma::fragment<wmma::accumulator, 16, 16, Format::K, f32> sum[WARP_ROWS][WARP_COLUMNS];
#pragma unroll
    for (int i = 0; i < WARP_ROWS; ++i)
#pragma unroll
        for (int j = 0; j < WARP_COLUMNS; ++j) wmma::fill_fragment(sum[i][j], 0.f);
    la.begin(0, t);
    lb.begin(0, t);
    la.finish(as[0], t);
    lb.finish(bs[0], t);
    __syncthreads();
    for (i32 k0 = 0, now = 0; k0 < k; k0 += DEPTH, now ^= 1) {
        const bool more = k0 + DEPTH < k;
        if (more) {
            la.begin(k0 + DEPTH, t);
            lb.begin(k0 + DEPTH, t);
        }
#pragma unroll 1
        for (int l = 0; l < DEPTH; l += Format::K) {
            wmma::fragment<wmma::matrix_a, 16, 16, Format::K, typename Format::Used, wmma::col_major> left[WARP_ROWS];
#pragma unroll
            for (int i = 0; i < WARP_ROWS; ++i)
                wmma::load_matrix_sync(left[i], &as[now][l][row + 16 * i], Format::WIDE);
#pragma unroll
            for (int j = 0; j < WARP_COLUMNS; ++j) {
                wmma::fragment<wmma::matrix_b, 16, 16, Format::K, typename Format::Used, wmma::row_major> right;
                wmma::load_matrix_sync(right, &bs[now][l][column + 16 * j], Format::WIDE);
#pragma unroll
                for (int i = 0; i < WARP_ROWS; ++i) wmma::mma_sync(sum[i][j], left[i], right, sum[i][j]);
            }
        }
        if (more) {
            la.finish(as[now ^ 1], t);
            lb.finish(bs[now ^ 1], t);
        }
        __syncthreads();
    }
    // Where a tile's entries lie in registers is not specified: they go through shared memory, where tiles were.
    f32* const part = reinterpret_cast<f32*>(as) + warp * 256;
#pragma unroll
    for (int i = 0; i < WARP_ROWS; ++i)
#pragma unroll
        for (int j = 0; j < WARP_COLUMNS; ++j) {
            wmma::store_matrix_sync(part, sum[i][j], 16, wmma::mem_row_major);
            __syncwarp();
#pragma unroll 1
            for (int e = lane; e < 64; e += 32) {
                const i32 r = m0 + row + 16 * i + e / 4, s = n0 + column + 16 * j + e % 4 * 4;
                if (r >= a.rows || s >= b.rows) continue;
                float4 v = get(part + 4 * e);
                if (bias) {
                    const float4 more = get(bias + s);
                    v = make_float4(v.x + more.x, v.y + more.y, v.z + more.z, v.w + more.w);
                }
                put(c + r * (i64)b.rows + s, v);
            }
            __syncwarp();
        }
}
#define TENSOR_BODY(Format, a_along_k, b_along_k) \
    tensor128<Format, a_along_k, b_along_k>(c, bias, {a, am, ak, m}, {b, bn, bk, n}, k, a_batch, b_batch);
#else
#define TENSOR_BODY(Format, a_along_k, b_along_k)  // no such instructions; never launched there
#endif

// grid.z is the batch. Named by what is transposed in memory: A (am = 1), B (bk = 1). An activation is a kernel of its own.
#define TENSOR(name, Format, a_along_k, b_along_k)                                       \
    extern "C" __global__ void __launch_bounds__(256, 2) name(TENSOR_PARAMETERS) {       \
        TENSOR_BODY(Format, a_along_k, b_along_k)                                        \
    }
#define TENSORS(format, Format)                       \
    TENSOR(gemm_##format##_nn, Format, true, false)   \
    TENSOR(gemm_##format##_nt, Format, true, true)    \
    TENSOR(gemm_##format##_tn, Format, false, false)  \
    TENSOR(gemm_##format##_tt, Format, false, true)
TENSORS(tf32, Tf32)
TENSORS(bf16, Bf16)
