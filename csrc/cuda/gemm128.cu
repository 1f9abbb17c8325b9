// Step 3 of the ladder in gemm.cu: 128 × 128 entries of C for each block, 8 × 8 for each of its 256 threads. Everything
// moves 128 bits at a time, and the next tiles are on their way while this one is computed with (cp.async where the
// GPU has it): two buffers in shared memory.
//
// For float32 whose sizes and steps are multiples of 4 (K: of 8); `products.py` looks at that, and at alignment. A tile
// lies in shared memory as [k][row]. An operand that is contiguous along its rows is copied there as it is; one that is
// contiguous along k goes through registers, which turn it.
#include <cuda_pipeline.h>

constexpr int TILE = 128, DEPTH = 8, WIDE = TILE + 4;  // padded: a column of a turned tile is stored without conflicts

// Thread t's share of the tiles, one after the other along k: four entries of each.
template <bool AlongK> struct Loader {
    const f32* from;
    i64 step;  // to the next tile
    bool inside;
    float4 held;
    __device__ static int row(int t) { return AlongK ? t / 2 : t % 32 * 4; }
    __device__ static int depth(int t) { return AlongK ? t % 2 * 4 : t / 32; }
    __device__ Loader(Operand o, i32 row0, int t) {
        const i32 r = row0 + row(t);
        inside = r < o.rows;
        from = o.x + (inside ? r * o.by_row + depth(t) * o.by_k : 0);
        step = inside ? DEPTH * o.by_k : 0;
    }
    // Begin to load the next tile: into `held`, or straight into shared memory.
    __device__ void begin(f32 (*tile)[WIDE], int t) {
        if (AlongK) held = inside ? get(from) : make_float4(0.f, 0.f, 0.f, 0.f);
        else if (inside) __pipeline_memcpy_async(&tile[depth(t)][row(t)], from, 16);
        else put(&tile[depth(t)][row(t)], make_float4(0.f, 0.f, 0.f, 0.f));
        from += step;
    }
    __device__ void finish(f32 (*tile)[WIDE], int t) const {
        if (!AlongK) return;
        f32* const to = &tile[depth(t)][row(t)];
        to[0] = held.x;
        to[WIDE] = held.y;
        to[2 * WIDE] = held.z;
        to[3 * WIDE] = held.w;
    }
};

template <bool AAlongK, bool BAlongK>
__device__ void block128(f32* c, const f32* bias, Operand a, Operand b, i32 k, i64 a_batch, i64 b_batch) {
    __shared__ __align__(16) f32 as[2][DEPTH][WIDE], bs[2][DEPTH][WIDE];
    const int t = threadIdx.x, tx = t % 16 * 4, ty = t / 16 * 4;
    const i32 m0 = blockIdx.y * TILE, n0 = blockIdx.x * TILE;
    a.x += blockIdx.z * a_batch;
    b.x += blockIdx.z * b_batch;
    c += blockIdx.z * (i64)a.rows * b.rows;
    Loader<AAlongK> la(a, m0, t);
    Loader<BAlongK> lb(b, n0, t);
    f32 sum[8][8] = {};
    la.begin(as[0], t);
    lb.begin(bs[0], t);
    __pipeline_commit();
    la.finish(as[0], t);
    lb.finish(bs[0], t);
    __pipeline_wait_prior(0);
    __syncthreads();
    for (i32 k0 = 0, now = 0; k0 < k; k0 += DEPTH, now ^= 1) {
        const bool more = k0 + DEPTH < k;
        if (more) {
            la.begin(as[now ^ 1], t);
            lb.begin(bs[now ^ 1], t);
            __pipeline_commit();
        }
#pragma unroll
        for (int l = 0; l < DEPTH; ++l) {
            const float4 a0 = get(&as[now][l][ty]), a1 = get(&as[now][l][64 + ty]);
            const float4 b0 = get(&bs[now][l][tx]), b1 = get(&bs[now][l][64 + tx]);
            const f32 av[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
            const f32 bv[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
            for (int i = 0; i < 8; ++i)
#pragma unroll
                for (int j = 0; j < 8; ++j) sum[i][j] = fma_of(av[i], bv[j], sum[i][j]);
        }
        if (more) {
            la.finish(as[now ^ 1], t);
            lb.finish(bs[now ^ 1], t);
            __pipeline_wait_prior(0);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const i32 row = m0 + ty + (i & 3) + (i >> 2) * 64;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const i32 column = n0 + tx + half * 64;
            if (row >= a.rows || column >= b.rows) continue;
            f32* const s = &sum[i][half * 4];
            float4 v = make_float4(s[0], s[1], s[2], s[3]);
            if (bias) {
                const float4 more = get(bias + column);
                v = make_float4(v.x + more.x, v.y + more.y, v.z + more.z, v.w + more.w);
            }
            put(c + row * (i64)b.rows + column, v);
        }
    }
}

// grid.z is the batch. Named by what is transposed in memory: A (am = 1), B (bk = 1). An activation is a kernel of its
// own. At most 128 registers a thread, so that two blocks share a multiprocessor.
#define BLOCK128(name, a_along_k, b_along_k)                                                                          \
    extern "C" __global__ void __launch_bounds__(256, 2)                                                              \
        name(f32* c, const f32* a, const f32* b, const f32* bias, i32 m, i32 n, i32 k, i64 am, i64 ak, i64 bk,        \
             i64 bn, i64 a_batch, i64 b_batch) {                                                                      \
        block128<a_along_k, b_along_k>(c, bias, {a, am, ak, m}, {b, bn, bk, n}, k, a_batch, b_batch);                 \
    }
BLOCK128(gemm_block128_nn, true, false)
BLOCK128(gemm_block128_nt, true, true)
BLOCK128(gemm_block128_tn, false, false)
BLOCK128(gemm_block128_tt, false, true)
