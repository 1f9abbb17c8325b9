// wmma: a warp as one. Lane l holds elements l, l + 32, …; the mapping of the hardware is unspecified, so that no kernel
// may rely on one.
#pragma once
#include <type_traits>

#include "cuda_bf16.h"
#include "cuda_fp16.h"

namespace nvcuda {
namespace wmma {
struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
namespace precision {
struct tf32;
}
enum layout_t { mem_row_major, mem_col_major };

template <class T>
struct element {
  using type = T;
};
template <>
struct element<precision::tf32> {
  using type = float;
};

template <class Use, int M, int N, int K, class T, class Layout = void>
struct fragment {
  static constexpr int rows = std::is_same<Use, matrix_b>::value ? K : M;
  static constexpr int cols = std::is_same<Use, matrix_a>::value ? K : N;
  static constexpr int num_elements = rows * cols / 32;
  using element_type = typename element<T>::type;
  element_type x[num_elements];
};

template <class T>
inline float widened(typename element<T>::type v) {
  if constexpr (std::is_same<T, precision::tf32>::value) return ch_bits<float>(ch_bits<unsigned>(v) & 0xffffe000u);
  else if constexpr (std::is_same<T, __nv_bfloat16>::value) return __bfloat162float(v);
  else if constexpr (std::is_same<T, __half>::value) return __half2float(v);
  else return v;
}
inline float __float_to_tf32(float f) { return ch_bits<float>((ch_bits<unsigned>(f) + 0x1000u) & 0xffffe000u); }

template <class F>
inline void fill_fragment(F& f, typename F::element_type v) {
  for (auto& e : f.x) e = v;
}

template <class Use, int M, int N, int K, class T, class L>
inline void load_matrix_sync(fragment<Use, M, N, K, T, L>& f, const typename element<T>::type* p, unsigned stride) {
  ch_syncwarp(~0u, "wmma::load_matrix_sync", 1);
  for (int i = 0; i < f.num_elements; ++i) {
    const int e = ch_now.lane + 32 * i, r = e / f.cols, c = e % f.cols;
    f.x[i] = std::is_same<L, col_major>::value ? p[c * stride + r] : p[r * stride + c];
  }
}
template <int M, int N, int K, class T>
inline void load_matrix_sync(fragment<accumulator, M, N, K, T>& f, const T* p, unsigned stride, layout_t layout) {
  ch_syncwarp(~0u, "wmma::load_matrix_sync", 2);
  for (int i = 0; i < f.num_elements; ++i) {
    const int e = ch_now.lane + 32 * i, r = e / N, c = e % N;
    f.x[i] = p[layout == mem_row_major ? r * stride + c : c * stride + r];
  }
}
template <int M, int N, int K, class T>
inline void store_matrix_sync(T* p, const fragment<accumulator, M, N, K, T>& f, unsigned stride, layout_t layout) {
  ch_syncwarp(~0u, "wmma::store_matrix_sync", 3);  // the warp comes together; who reads what was stored waits himself
  for (int i = 0; i < f.num_elements; ++i) {
    const int e = ch_now.lane + 32 * i, r = e / N, c = e % N;
    p[layout == mem_row_major ? r * stride + c : c * stride + r] = f.x[i];
  }
}

template <class A, class B, class C>
struct operands {
  C* d;
  const A* a;
  const B* b;
  const C* c;
};
template <int M, int N, int K, class T, class LA, class LB>
CUDA_HOST_UNCHECKED void multiply(void** lanes) {
  using A = fragment<matrix_a, M, N, K, T, LA>;
  using B = fragment<matrix_b, M, N, K, T, LB>;
  using C = fragment<accumulator, M, N, K, float>;
  const auto of = [&](int e) { return static_cast<operands<A, B, C>*>(lanes[e % 32]); };
  float a[M][K], b[K][N], d[M * N];
  for (int e = 0; e < M * K; ++e) a[e / K][e % K] = widened<T>(of(e)->a->x[e / 32]);
  for (int e = 0; e < K * N; ++e) b[e / N][e % N] = widened<T>(of(e)->b->x[e / 32]);
  for (int e = 0; e < M * N; ++e) {
    d[e] = of(e)->c->x[e / 32];
    for (int k = 0; k < K; ++k) d[e] += a[e / N][k] * b[k][e % N];
  }
  for (int e = 0; e < M * N; ++e) of(e)->d->x[e / 32] = d[e];
}
template <int M, int N, int K, class T, class LA, class LB>
CUDA_HOST_UNCHECKED void mma_sync(fragment<accumulator, M, N, K, float>& d,
                                  const fragment<matrix_a, M, N, K, T, LA>& a,
                                  const fragment<matrix_b, M, N, K, T, LB>& b,
                                  const fragment<accumulator, M, N, K, float>& c) {
  operands<fragment<matrix_a, M, N, K, T, LA>, fragment<matrix_b, M, N, K, T, LB>,
           fragment<accumulator, M, N, K, float>>
      mine{&d, &a, &b, &c};
  ch_collective(&mine, &multiply<M, N, K, T, LA, LB>, "wmma::mma_sync", 4);
}
}  // namespace wmma
}  // namespace nvcuda
