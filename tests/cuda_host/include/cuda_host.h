// CUDA C++ on a CPU: force-included when g++ compiles a .cu file. Every CUDA thread is a fiber of one operating system
// thread; the scheduler, the device memory and the checks are in ../runtime.
#pragma once
#include <algorithm>
#include <cassert>
#include <climits>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "cuda_host_abi.h"
#include "cuda_host_math.h"
#include "cuda_host_vectors.h"

#define threadIdx ch_now.thread
#define blockIdx ch_now.block
#define blockDim ch_now.block_dim
#define gridDim ch_now.grid_dim
#define warpSize 32

#ifndef CUDA_HOST_FIND_KERNELS  // the build looks for this word in the preprocessed text
#define __global__
#endif
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// The library's .bss is the shared memory of the block that runs: nothing else in a kernel library is writable.
#define __shared__ static
#define CUDA_HOST_DYNAMIC_SHARED(T, name) T* name = static_cast<T*>(ch_dynamic_shared())  // extern __shared__ T name[]

#ifdef __SANITIZE_THREAD__
#define CUDA_HOST_UNCHECKED __attribute__((no_sanitize("thread", "undefined"), noinline))
#else
#define CUDA_HOST_UNCHECKED inline
#endif

// ---- barriers and fences
#define __syncthreads() ch_syncthreads(__FILE__, __LINE__)
#define __syncthreads_count(p) int(ch_syncthreads_count((p) != 0, __FILE__, __LINE__))
#define __syncthreads_or(p) int(ch_syncthreads_count((p) != 0, __FILE__, __LINE__) != 0)
#define __syncthreads_and(p) int(ch_syncthreads_count((p) == 0, __FILE__, __LINE__) == 0)
#define __syncwarp(...) ch_syncwarp(ch_mask(__VA_ARGS__), __FILE__, __LINE__)
inline unsigned ch_mask(unsigned mask = 0xffffffffu) { return mask; }
#define __threadfence() ((void)0)
#define __threadfence_block() ((void)0)
#define __threadfence_system() ((void)0)

// ---- warp shuffles and votes
template <class T>
inline T ch_exchange(unsigned mask, T value, unsigned source, const char* file, int line) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = ch_shuffle(mask, bits, source, file, line);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
// The lane that a shuffle reads, in segments of `width` lanes; a lane out of the segment means the caller's own.
inline unsigned ch_from_idx(unsigned lane, int width = 32) {
  return (ch_now.lane & ~(width - 1u)) + (lane & (width - 1u));
}
inline unsigned ch_from_xor(unsigned bits, int width = 32) {
  const unsigned lane = ch_now.lane, other = lane ^ bits;
  return other < (lane & ~(width - 1u)) + width ? other : lane;
}
inline unsigned ch_from_down(unsigned delta, int width = 32) {
  const unsigned lane = ch_now.lane, other = lane + delta;
  return other < (lane & ~(width - 1u)) + width ? other : lane;
}
inline unsigned ch_from_up(unsigned delta, int width = 32) {
  const unsigned lane = ch_now.lane;
  return lane >= (lane & ~(width - 1u)) + delta ? lane - delta : lane;
}
#define __shfl_sync(mask, value, ...) ch_exchange(mask, value, ch_from_idx(__VA_ARGS__), __FILE__, __LINE__)
#define __shfl_xor_sync(mask, value, ...) ch_exchange(mask, value, ch_from_xor(__VA_ARGS__), __FILE__, __LINE__)
#define __shfl_down_sync(mask, value, ...) ch_exchange(mask, value, ch_from_down(__VA_ARGS__), __FILE__, __LINE__)
#define __shfl_up_sync(mask, value, ...) ch_exchange(mask, value, ch_from_up(__VA_ARGS__), __FILE__, __LINE__)
#define __ballot_sync(mask, p) ch_ballot(mask, (p) != 0, __FILE__, __LINE__)
#define __any_sync(mask, p) int(ch_ballot(mask, (p) != 0, __FILE__, __LINE__) != 0)
#define __all_sync(mask, p) int(ch_ballot(mask, (p) == 0, __FILE__, __LINE__) == 0)

// ---- atomics, for the types that CUDA has them for
template <class T, class... Ts>
constexpr bool ch_one_of = (std::is_same<T, Ts>::value || ...);
template <class T>
using ch_same = typename std::common_type<T>::type;  // the pointer alone decides on T
#define CUDA_HOST_ATOMIC(name, result, ...)                                          \
  template <class T>                                                                 \
  __forceinline__ T name(T* address, ch_same<T> value) {                             \
    static_assert(ch_one_of<T, __VA_ARGS__>, "CUDA has no " #name " for this type"); \
    T old;                                                                           \
    ch_atomic_load(address, &old, sizeof(T));                                        \
    const T changed = T(result);                                                     \
    ch_atomic_store(address, &changed, sizeof(T));                                   \
    return old;                                                                      \
  }
using ch_ull = unsigned long long;
CUDA_HOST_ATOMIC(atomicAdd, old + value, int, unsigned, ch_ull, float, double)
CUDA_HOST_ATOMIC(atomicSub, old - value, int, unsigned)
CUDA_HOST_ATOMIC(atomicMax, old < value ? value : old, int, unsigned, long long, ch_ull)
CUDA_HOST_ATOMIC(atomicMin, value < old ? value : old, int, unsigned, long long, ch_ull)
CUDA_HOST_ATOMIC(atomicExch, value, int, unsigned, ch_ull, float)
CUDA_HOST_ATOMIC(atomicAnd, old & value, int, unsigned, ch_ull)
CUDA_HOST_ATOMIC(atomicOr, old | value, int, unsigned, ch_ull)
CUDA_HOST_ATOMIC(atomicXor, old ^ value, int, unsigned, ch_ull)
CUDA_HOST_ATOMIC(atomicInc, old >= value ? 0 : old + 1, unsigned)
template <class T>
__forceinline__ T atomicCAS(T* address, ch_same<T> expected, ch_same<T> value) {
  static_assert(ch_one_of<T, int, unsigned, ch_ull, unsigned short>, "CUDA has no atomicCAS for this type");
  T old;
  ch_atomic_load(address, &old, sizeof(T));
  ch_atomic_store(address, old == expected ? &value : &old, sizeof(T));
  return old;
}

// ---- asynchronous copies: they happen only at the wait, the latest moment that the hardware may make them visible
#define __pipeline_memcpy_async(to, from, ...) ch_async(to, from, __FILE__, __LINE__, __VA_ARGS__)
__forceinline__ void ch_async(void* to, const void* from, const char* file, int line, size_t size, size_t zeros = 0) {
  ch_async_copy(to, from, unsigned(size), unsigned(zeros), file, line);
}
inline void __pipeline_commit() { ch_async_commit(); }
inline void __pipeline_wait_prior(int groups_left) { ch_async_wait(groups_left); }

// ---- loads and stores with a cache hint
template <class T>
inline T __ldg(const T* p) { return *p; }
template <class T>
inline T __ldcs(const T* p) { return *p; }
template <class T>
inline T __ldcg(const T* p) { return *p; }
template <class T>
inline void __stcs(T* p, ch_same<T> v) { *p = v; }
template <class T>
inline void __stcg(T* p, ch_same<T> v) { *p = v; }

// ---- the launch table: one CUDA_HOST_KERNEL(name) for each kernel, written by the build
template <class A>
constexpr char ch_kind() {
  using T = std::remove_cv_t<A>;
  return std::is_void<T>::value                ? 'v'
         : std::is_pointer<T>::value           ? 'p'
         : std::is_floating_point<T>::value    ? 'f'
         : std::is_same<T, bool>::value        ? 'b'
         : !std::is_integral<T>::value         ? 's'
         : std::is_signed<T>::value            ? 'i'
                                               : 'u';
}
template <class A>
constexpr uint16_t ch_size() {
  if constexpr (std::is_void<A>::value) return 0;
  else return sizeof(A);
}
template <class A>
constexpr ch_param ch_describe() {
  using To = std::remove_pointer_t<A>;
  return {ch_kind<A>(), ch_size<A>(), ch_kind<To>(), ch_size<To>()};
}
template <auto F>
struct ch_entry;
template <class... A, void (*F)(A...)>
struct ch_entry<F> {
  static constexpr int count = sizeof...(A);
  static constexpr ch_param params[count + 1] = {ch_describe<A>()..., {0, 0, 0, 0}};
  template <size_t... I>
  CUDA_HOST_UNCHECKED static void unpack(void** a, std::index_sequence<I...>) {
    F(*static_cast<std::remove_cv_t<A>*>(a[I])...);
  }
  CUDA_HOST_UNCHECKED static void call(void** a) { unpack(a, std::index_sequence_for<A...>{}); }
};
// Constant-initialised: it lives in .data.rel.ro, never in .bss.
#define CUDA_HOST_KERNEL(k) {#k, &ch_entry<&k>::call, ch_entry<&k>::count, ch_entry<&k>::params}
