// Products of 32 × 32 tiles on tensor cores (sm_80 and later), each warp one 16 × 16 part; no guards at the edges.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>
using namespace nvcuda;

template <class Stored, class Used, int K>
__device__ void product(const Stored* a, const Stored* b, float* c, int m, int n, int k) {
  const int warp = threadIdx.x / 32, row = blockIdx.y * 32 + warp / 2 * 16, column = blockIdx.x * 32 + warp % 2 * 16;
  wmma::fragment<wmma::matrix_a, 16, 16, K, Used, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, 16, 16, K, Used, wmma::row_major> right;
  wmma::fragment<wmma::accumulator, 16, 16, K, float> sum;
  wmma::fill_fragment(sum, 0.f);
  for (int l = 0; l < k; l += K) {
    wmma::load_matrix_sync(left, a + row * k + l, k);
    wmma::load_matrix_sync(right, b + l * n + column, n);
    wmma::mma_sync(sum, left, right, sum);
  }
  wmma::store_matrix_sync(c + row * n + column, sum, n, wmma::mem_row_major);
}
extern "C" __global__ void product_bf16(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int m, int n, int k) {
  product<__nv_bfloat16, __nv_bfloat16, 16>(a, b, c, m, n, k);
}
extern "C" __global__ void product_f16(const __half* a, const __half* b, float* c, int m, int n, int k) {
  product<__half, __half, 16>(a, b, c, m, n, k);
}
extern "C" __global__ void product_tf32(const float* a, const float* b, float* c, int m, int n, int k) {
  product<float, wmma::precision::tf32, 8>(a, b, c, m, n, k);
}
// A column-major right operand: C = A Bᵀ.
extern "C" __global__ void product_transposed(const __half* a, const __half* b, float* c, int k) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::col_major> right;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  wmma::load_matrix_sync(sum, c, 16, wmma::mem_row_major);
  wmma::load_matrix_sync(left, a, k);
  wmma::load_matrix_sync(right, b, k);
  wmma::mma_sync(sum, left, right, sum);
  wmma::store_matrix_sync(c, sum, 16, wmma::mem_col_major);
}
extern "C" __global__ void to_bf16(const float* x, __nv_bfloat16* y, float* back) {
  y[threadIdx.x] = __float2bfloat16(x[threadIdx.x]);
  back[threadIdx.x] = __bfloat162float(y[threadIdx.x]);
}
