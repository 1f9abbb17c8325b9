// CUDA's mathematical functions that <cmath> does not have. The fast variants (__expf, …) are computed exactly here: what
// they lose on a GPU is bounded by CUDA's own tables, and no test may depend on it.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

// ---- min and max: on floats they ignore a NaN, as fminf and fmaxf do
#define CUDA_HOST_MINMAX(A, B, R)  \
  inline R min(A a, B b) {         \
    const R x = a, y = b;          \
    return x < y ? x : y;          \
  }                                \
  inline R max(A a, B b) {         \
    const R x = a, y = b;          \
    return x > y ? x : y;          \
  }
CUDA_HOST_MINMAX(int, int, int)
CUDA_HOST_MINMAX(unsigned, unsigned, unsigned)
CUDA_HOST_MINMAX(int, unsigned, unsigned)
CUDA_HOST_MINMAX(unsigned, int, unsigned)
CUDA_HOST_MINMAX(long, long, long)
CUDA_HOST_MINMAX(unsigned long, unsigned long, unsigned long)
CUDA_HOST_MINMAX(long long, long long, long long)
CUDA_HOST_MINMAX(unsigned long long, unsigned long long, unsigned long long)
#undef CUDA_HOST_MINMAX
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
inline double min(double a, double b) { return std::fmin(a, b); }
inline double max(double a, double b) { return std::fmax(a, b); }
inline double min(float a, double b) { return std::fmin(double(a), b); }
inline double max(float a, double b) { return std::fmax(double(a), b); }
inline double min(double a, float b) { return std::fmin(a, double(b)); }
inline double max(double a, float b) { return std::fmax(a, double(b)); }

// ---- functions of float and of double
inline float rsqrtf(float x) { return float(1 / std::sqrt(double(x))); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline float rcbrtf(float x) { return float(1 / std::cbrt(double(x))); }
inline float fdividef(float a, float b) { return a / b; }
inline float normcdff(float x) { return float(0.5 * std::erfc(-double(x) * 0.70710678118654752440)); }
inline double normcdf(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }
inline float sinpif(float x) { return float(std::sin(M_PI * std::fmod(double(x), 2.0))); }
inline float cospif(float x) { return float(std::cos(M_PI * std::fmod(double(x), 2.0))); }
inline double sinpi(double x) { return std::sin(M_PI * std::fmod(x, 2.0)); }
inline double cospi(double x) { return std::cos(M_PI * std::fmod(x, 2.0)); }
inline void sincospif(float x, float* s, float* c) { *s = sinpif(x), *c = cospif(x); }

// ---- fast variants and those with a fixed rounding
inline float __saturatef(float x) { return x > 0.f ? (x < 1.f ? x : 1.f) : 0.f; }  // NaN becomes 0
inline float __expf(float x) { return std::exp(x); }
inline float __exp10f(float x) { return float(std::pow(10.0, double(x))); }
inline float __logf(float x) { return std::log(x); }
inline float __log2f(float x) { return std::log2(x); }
inline float __log10f(float x) { return std::log10(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __sinf(float x) { return std::sin(x); }
inline float __cosf(float x) { return std::cos(x); }
inline float __tanf(float x) { return std::tan(x); }
inline void __sincosf(float x, float* s, float* c) { *s = std::sin(x), *c = std::cos(x); }
inline float __fdividef(float a, float b) { return std::fabs(b) > 0x1p126f ? 0.f * a : a / b; }
inline float __frcp_rn(float x) { return 1.f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __frsqrt_rn(float x) { return rsqrtf(x); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
// noinline: the compiler must not join these to a fused multiply-add, which is what they are called for
#define CUDA_HOST_ROUNDED(T, add, sub, mul, div)                                  \
  __attribute__((noinline, unused)) static T add(T a, T b) { return a + b; }      \
  __attribute__((noinline, unused)) static T sub(T a, T b) { return a - b; }      \
  __attribute__((noinline, unused)) static T mul(T a, T b) { return a * b; }      \
  __attribute__((noinline, unused)) static T div(T a, T b) { return a / b; }
CUDA_HOST_ROUNDED(float, __fadd_rn, __fsub_rn, __fmul_rn, __fdiv_rn)
CUDA_HOST_ROUNDED(double, __dadd_rn, __dsub_rn, __dmul_rn, __ddiv_rn)
#undef CUDA_HOST_ROUNDED

// ---- bits
template <class To, class From>
inline To ch_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "the same number of bits");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
inline float __int_as_float(int i) { return ch_bits<float>(i); }
inline float __uint_as_float(unsigned u) { return ch_bits<float>(u); }
inline int __float_as_int(float f) { return ch_bits<int>(f); }
inline unsigned __float_as_uint(float f) { return ch_bits<unsigned>(f); }
inline long long __double_as_longlong(double d) { return ch_bits<long long>(d); }
inline double __longlong_as_double(long long l) { return ch_bits<double>(l); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(unsigned(x)); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll((unsigned long long)x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) r |= (x >> i & 1u) << (31 - i);
  return r;
}
inline int __mulhi(int a, int b) { return int((int64_t(a) * b) >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}

// ---- conversions: those from a float saturate, and make 0 of a NaN
template <class I>
inline I ch_to_int(double x) {
  constexpr I low = std::numeric_limits<I>::min(), high = std::numeric_limits<I>::max();
  if (std::isnan(x)) return 0;
  if (x <= double(low)) return low;
  if (x >= double(high)) return high;  // for 64 bits, double(high) is one more than high
  return I(x);
}
inline int __float2int_rz(float x) { return ch_to_int<int>(std::trunc(x)); }
inline int __float2int_rn(float x) { return ch_to_int<int>(std::nearbyint(x)); }
inline int __float2int_rd(float x) { return ch_to_int<int>(std::floor(x)); }
inline int __float2int_ru(float x) { return ch_to_int<int>(std::ceil(x)); }
inline unsigned __float2uint_rz(float x) { return ch_to_int<unsigned>(std::trunc(x)); }
inline unsigned __float2uint_rn(float x) { return ch_to_int<unsigned>(std::nearbyint(x)); }
inline long long __float2ll_rz(float x) { return ch_to_int<long long>(std::trunc(x)); }
inline long long __double2ll_rz(double x) { return ch_to_int<long long>(std::trunc(x)); }
inline int __double2int_rz(double x) { return ch_to_int<int>(std::trunc(x)); }
inline float __int2float_rn(int x) { return float(x); }
inline float __uint2float_rn(unsigned x) { return float(x); }
inline float __ll2float_rn(long long x) { return float(x); }
inline float __ull2float_rn(unsigned long long x) { return float(x); }
inline double __int2double_rn(int x) { return x; }
inline double __ll2double_rn(long long x) { return double(x); }
inline float __double2float_rn(double x) { return float(x); }
