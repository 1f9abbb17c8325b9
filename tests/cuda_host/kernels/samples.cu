// Small correct kernels: each uses one part of CUDA that the host execution must get right.
#include <cuda_pipeline.h>

extern "C" __global__ void scale_add(const float* __restrict__ x, const float* __restrict__ y, float* __restrict__ out,
                                     float a, long long n) {
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
    out[i] = a * x[i] + y[i];
}

// Rows of float4, guarded at the end.
extern "C" __global__ void scale4(const float* x, float* out, float a, int n) {
  const int i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
  if (i + 3 < n) {
    const float4 v = *reinterpret_cast<const float4*>(x + i);
    *reinterpret_cast<float4*>(out + i) = make_float4(a * v.x, a * v.y, a * v.z, a * v.w);
  } else {
    for (int j = i; j < n; ++j) out[j] = a * x[j];
  }
}

// C[M, N] = A[M, K] B[K, N] with 16 × 16 tiles in shared memory.
extern "C" __global__ void matmul_tile16(const float* __restrict__ A, const float* __restrict__ B, float* __restrict__ C,
                                         int M, int N, int K) {
  __shared__ float As[16][16];
  __shared__ float Bs[16][16];
  const int tx = threadIdx.x, ty = threadIdx.y;
  const int row = blockIdx.y * 16 + ty, col = blockIdx.x * 16 + tx;
  float sum = 0.f;
  for (int k0 = 0; k0 < K; k0 += 16) {
    As[ty][tx] = row < M && k0 + tx < K ? A[row * K + k0 + tx] : 0.f;
    Bs[ty][tx] = k0 + ty < K && col < N ? B[(k0 + ty) * N + col] : 0.f;
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 16; ++k) sum = fmaf(As[ty][k], Bs[k][tx], sum);
    __syncthreads();
  }
  if (row < M && col < N) C[row * N + col] = sum;
}

// A tree in dynamic shared memory: one sum a block.
extern "C" __global__ void block_sums(const float* x, float* sums, int n) {
  extern __shared__ float part[];
  const int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
  part[t] = i < n ? x[i] : 0.f;
  __syncthreads();
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    if (t < half) part[t] += part[t + half];
    __syncthreads();
  }
  if (t == 0) sums[blockIdx.x] = part[0];
}

template <bool Max>
__device__ __forceinline__ float combine(float a, float b) {
  return Max ? fmaxf(a, b) : a + b;
}
template <bool Max>
__device__ __forceinline__ float warp_reduce(float v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v = combine<Max>(v, __shfl_xor_sync(0xffffffffu, v, o));
  return v;
}
// The result in every thread; the block is a multiple of 32 threads.
template <bool Max>
__device__ __forceinline__ float block_reduce(float v) {
  __shared__ float part[32];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  v = warp_reduce<Max>(v);
  __syncthreads();  // an earlier call may still read `part`
  if (lane == 0) part[warp] = v;
  __syncthreads();
  v = lane < warps ? part[lane] : Max ? -3.402823466e38f : 0.f;
  return warp_reduce<Max>(v);
}
extern "C" __global__ void softmax_rows(const float* x, float* y, int rows, int cols) {
  for (int r = blockIdx.x; r < rows; r += gridDim.x) {
    const float* xr = x + (long long)r * cols;
    float m = -3.402823466e38f, s = 0.f;
    for (int c = threadIdx.x; c < cols; c += blockDim.x) m = fmaxf(m, xr[c]);
    m = block_reduce<true>(m);
    for (int c = threadIdx.x; c < cols; c += blockDim.x) s += expf(xr[c] - m);
    s = block_reduce<false>(s);
    for (int c = threadIdx.x; c < cols; c += blockDim.x) y[(long long)r * cols + c] = expf(xr[c] - m) / s;
  }
}

// Sums of 32 values in shared memory by one warp, which takes its own barriers.
extern "C" __global__ void warp_tree(const float* x, float* y, int n) {
  __shared__ float s[32];
  const int t = threadIdx.x;
  s[t] = t < n ? x[t] : 0.f;
  __syncwarp();
  for (int o = 16; o; o >>= 1) {
    const float v = t < o ? s[t + o] : 0.f;
    __syncwarp();
    if (t < o) s[t] += v;
    __syncwarp();
  }
  if (t == 0) y[0] = s[0];
}

extern "C" __global__ void histogram(const int* x, int* counts, float* total, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  atomicAdd(&counts[x[i]], 1);
  atomicAdd(total, float(x[i]));
}

// What every kind of shuffle and vote gives, a row of 32 each.
extern "C" __global__ void warp_words(const int* x, int* out) {
  const int lane = threadIdx.x;
  const int v = x[lane];
  const unsigned all = 0xffffffffu;
  out[lane] = __shfl_sync(all, v, 5);
  out[32 + lane] = __shfl_sync(all, v, lane + 1, 8);
  out[64 + lane] = __shfl_up_sync(all, v, 3);
  out[96 + lane] = __shfl_up_sync(all, v, 3, 8);
  out[128 + lane] = __shfl_down_sync(all, v, 3);
  out[160 + lane] = __shfl_down_sync(all, v, 3, 8);
  out[192 + lane] = __shfl_xor_sync(all, v, 9);
  out[224 + lane] = __shfl_xor_sync(all, v, 9, 8);
  out[256 + lane] = (int)__ballot_sync(all, v % 3 == 0);
  out[288 + lane] = __any_sync(all, v == 7) + 2 * __all_sync(all, v == 7);
  out[320 + lane] = lane < 16 ? __shfl_sync(0xffffu, v, 15) : -1;
}

extern "C" __global__ void votes(const int* x, int* out) {
  const int p = x[threadIdx.x] > 0;
  const int count = __syncthreads_count(p), any = __syncthreads_or(p), every = __syncthreads_and(p);
  out[threadIdx.x] = count + 1000 * any + 10000 * every;
}

// Two stages of asynchronous copies: out = x, each block of four floats one place on.
extern "C" __global__ void async_rotate(const float* x, float* out, int stages) {
  __shared__ __align__(16) float buffer[2][128];
  const int t = threadIdx.x;
  __pipeline_memcpy_async(&buffer[0][4 * t], x + 4 * t, 16);
  __pipeline_commit();
  for (int s = 0; s < stages; ++s) {
    if (s + 1 < stages) __pipeline_memcpy_async(&buffer[(s + 1) & 1][4 * t], x + 128 * (s + 1) + 4 * t, 16);
    __pipeline_commit();
    __pipeline_wait_prior(1);
    __syncthreads();
    for (int i = 0; i < 4; ++i) out[128 * s + 4 * t + i] = buffer[s & 1][(4 * (t + 1) + i) % 128];
    __syncthreads();
  }
}

#define UNARY(name, expression)                                          \
  extern "C" __global__ void unary_##name(const float* in, float* out) { \
    const float x = in[threadIdx.x];                                     \
    out[threadIdx.x] = expression;                                       \
  }
UNARY(expf, expf(x))
UNARY(fast_exp, __expf(x))
UNARY(tanhf, tanhf(x))
UNARY(erff, erff(x))
UNARY(rsqrtf, rsqrtf(x))
UNARY(relu_c, fmaxf(x, 0.f))
UNARY(max_overload, max(x, 0.f))
UNARY(divide, __fdividef(1.f, x))
UNARY(to_int, (float)__float2int_rz(x))
UNARY(saturate, __saturatef(x))
UNARY(bits, __int_as_float(__float_as_int(x) & 0x7fffffff))

extern "C" __global__ void where_am_i(int* out) {
  const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  out[block * (blockDim.x * blockDim.y * blockDim.z) + thread] = 1000 * block + thread;
}

extern "C" __global__ void every_type(const double* d, const long long* l, const unsigned char* b, float f, double g, int i,
                                      long long j, unsigned u, unsigned long long v, bool flag, double* out) {
  out[0] = d[0] + l[0] + b[0] + f + g + i + j + u + v + (flag ? 0.5 : 0.25);
}
