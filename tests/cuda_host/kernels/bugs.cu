// Kernels with one mistake each. A comment with an arrow (<-) marks the line that the check build must name and what it must call it; a
// second mark in a kernel is another line that it may name. All take the same arguments; y is written by nobody before
// the launch, n is 64 (and the block has 64 threads, the grid two blocks) unless the test says otherwise.
#include <cuda_pipeline.h>
#define KERNEL(name) extern "C" __global__ void name(const float* __restrict__ x, float* y, int n)

KERNEL(no_barrier_after_store) {
  __shared__ float s[64];
  const int t = threadIdx.x, i = blockIdx.x * 64 + t;
  s[t] = x[i];                  // <- race
  y[i] = s[(t + 1) % 64];       // <- race
}

KERNEL(no_barrier_before_overwriting) {
  __shared__ float s[64];
  const int t = threadIdx.x;
  float sum = 0.f;
  for (int k = 0; k < 2; ++k) {
    s[t] = x[64 * k + t];       // <- race
    __syncthreads();
    sum += s[(t + 33) % 64];    // <- race
  }
  y[blockIdx.x * 64 + t] = sum;
}

KERNEL(off_by_one_store) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i == 0) y[128] = 0.f;     // <- out-of-bounds
}

KERNEL(off_by_one_load) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i] = x[i] - x[i + 1];       // <- out-of-bounds
}

KERNEL(negative_index) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i] = x[i - 1];              // <- out-of-bounds
}

KERNEL(shared_slot_never_written) {
  __shared__ float part[32];
  const int t = threadIdx.x;
  if (t % 32 == 0) part[t / 32] = x[t];
  __syncthreads();
  if (t < 32) y[blockIdx.x * 64 + t] = part[t];  // <- uninitialised
}

KERNEL(dynamic_slot_never_written) {
  extern __shared__ float dynamic[];
  const int t = threadIdx.x;
  if (t != 5) dynamic[t] = x[t];
  __syncthreads();
  y[blockIdx.x * 64 + t] = dynamic[63 - t];  // <- uninitialised
}

KERNEL(beyond_dynamic_shared_memory) {
  extern __shared__ float dynamic[];
  dynamic[threadIdx.x + 1] = x[threadIdx.x];  // <- out-of-bounds
}

__device__ __forceinline__ float warp_sum(float v) {
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
  return v;
}
KERNEL(reduction_buffer_used_again) {
  __shared__ float part[32];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  for (int r = 0; r < 4; ++r) {
    float v = warp_sum(x[(r * 64 + threadIdx.x) % 128]);
    if (lane == 0) part[warp] = v;                  // <- race
    __syncthreads();
    v = warp_sum(lane < 2 ? part[lane] : 0.f);      // <- race
    if (threadIdx.x == 0) y[blockIdx.x * 4 + r] = v;
  }
}

KERNEL(return_before_barrier) {
  __shared__ float s[64];
  const int t = threadIdx.x;
  if (t >= n - 5) return;
  s[t] = x[t];
  __syncthreads();              // <- divergent-barrier
  y[blockIdx.x * 64 + t] = s[0];
}

KERNEL(two_barriers_for_one) {
  if (threadIdx.x < 32) {
    __syncthreads();            // <- divergent-barrier
  } else {
    __syncthreads();            // <- divergent-barrier
  }
  y[blockIdx.x * 64 + threadIdx.x] = 0.f;
}

KERNEL(plus_for_atomic_add) {
  __shared__ float sum;
  if (threadIdx.x == 0) sum = 0.f;
  __syncthreads();
  sum += x[threadIdx.x];        // <- race
}

KERNEL(plus_across_blocks) {
  if (threadIdx.x == 0) y[0] = x[blockIdx.x];  // <- race
}

KERNEL(atomic_and_plain_write) {
  if (threadIdx.x == 0) y[0] = 0.f;  // <- race
  __syncthreads();
  if (blockIdx.x == 1) atomicAdd(&y[0], x[threadIdx.x]);  // <- race uninitialised
}

KERNEL(reads_what_another_block_writes) {
  const int i = blockIdx.x * 64 + threadIdx.x;
  y[i] = x[i];                  // <- race uninitialised
  __syncthreads();
  y[i] = y[127 - i];            // <- race uninitialised
}

KERNEL(misaligned_float4) {
  const int i = threadIdx.x;
  if (i * 4 + 4 < n) {
    const float4 v = *reinterpret_cast<const float4*>(x + 1 + i * 4);  // <- misaligned
    y[i] = v.x + v.w;
  }
}

KERNEL(misaligned_asynchronous_copy) {
  __shared__ __align__(16) float s[68];
  __pipeline_memcpy_async(&s[threadIdx.x], x + threadIdx.x, 16);  // <- misaligned
}

KERNEL(row_beyond_the_last) {  // stays inside shared memory
  __shared__ float a[4][64];
  __shared__ float other[64];
  const int t = threadIdx.x;
  other[t] = 0.f;
  for (int r = 0; r < 4; ++r) a[r][t] = x[t];
  __syncthreads();
  float sum = other[t];
  for (int r = 0; r <= n / 16; ++r) sum += a[r][t];  // <- index
  y[blockIdx.x * 64 + t] = sum;
}

KERNEL(column_beyond_the_row) {  // stays inside the array
  __shared__ float a[4][64];
  const int t = threadIdx.x;
  for (int r = 0; r < 4; ++r) a[r][t] = x[t];
  __syncthreads();
  y[blockIdx.x * 64 + t] = a[1][t + 1];  // <- index
}

KERNEL(no_syncwarp) {  // as if the lanes of a warp went in step
  __shared__ float s[64];
  const int t = threadIdx.x;
  s[t] = x[t];                  // <- race
  if (t < 32) {
    for (int o = 16; o; o >>= 1)
      if (t < o) s[t] += s[t + o];  // <- race
    if (t == 0) y[blockIdx.x] = s[0];  // <- race
  }
}

KERNEL(mask_of_lanes_that_stay_away) {
  const int t = threadIdx.x;
  float v = x[t];
  if (t % 32 < 16) {
    for (int o = 8; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);  // <- divergent-warp
    y[blockIdx.x * 64 + t] = v;
  }
}

KERNEL(mask_without_the_caller) {
  const int t = threadIdx.x;
  y[blockIdx.x * 64 + t] = __shfl_down_sync(0x0000ffffu, x[t], 1);  // <- warp-mask
}

KERNEL(shuffle_from_outside_the_mask) {
  const int t = threadIdx.x;
  if (t % 32 < 16) y[blockIdx.x * 64 + t] = __shfl_down_sync(0x0000ffffu, x[t], 1);  // <- shuffle
}

KERNEL(asynchronous_copy_without_wait) {
  __shared__ float s[64];
  const int t = threadIdx.x;
  __pipeline_memcpy_async(&s[t], x + t, 4);
  __pipeline_commit();
  __syncthreads();
  y[blockIdx.x * 64 + t] = s[63 - t];  // <- uninitialised
}

KERNEL(wait_for_too_few_groups) {
  __shared__ float s[64];
  const int t = threadIdx.x;
  __pipeline_memcpy_async(&s[t], x + t, 4);
  __pipeline_commit();
  __pipeline_wait_prior(1);
  __syncthreads();
  y[blockIdx.x * 64 + t] = s[63 - t];  // <- uninitialised
}

KERNEL(wait_without_barrier) {
  __shared__ float s[64];
  const int t = threadIdx.x;
  __pipeline_memcpy_async(&s[t], x + t, 4);  // <- race uninitialised
  __pipeline_commit();
  __pipeline_wait_prior(0);
  y[blockIdx.x * 64 + t] = s[63 - t];  // <- race uninitialised
}

KERNEL(adds_to_memory_never_written) {
  y[blockIdx.x * 64 + threadIdx.x] += 1.f;  // <- uninitialised
}

KERNEL(shift_by_too_much) {
  y[blockIdx.x * 64 + threadIdx.x] = 1 << (threadIdx.x + n - 64);  // <- arithmetic
}

KERNEL(division_by_zero) {
  y[blockIdx.x * 64 + threadIdx.x] = n / (int)threadIdx.x;  // <- arithmetic
}

KERNEL(product_beyond_int) {
  y[blockIdx.x * 64 + threadIdx.x] = n * 33554432;  // <- arithmetic
}
