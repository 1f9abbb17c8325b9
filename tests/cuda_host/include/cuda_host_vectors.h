// float4 and its relatives, with CUDA's sizes and alignments.
#pragma once

#define CUDA_HOST_VECTOR(T, name, align2, align4)                             \
  struct alignas(align2) name##2 { T x, y; };                                 \
  struct name##3 { T x, y, z; };                                              \
  struct alignas(align4) name##4 { T x, y, z, w; };                           \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }                  \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }          \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
#define uint3 ch_uint3  // the builtins have it already
CUDA_HOST_VECTOR(float, float, 8, 16)
CUDA_HOST_VECTOR(int, int, 8, 16)
CUDA_HOST_VECTOR(unsigned, uint, 8, 16)
CUDA_HOST_VECTOR(signed char, char, 2, 4)
CUDA_HOST_VECTOR(unsigned char, uchar, 2, 4)
CUDA_HOST_VECTOR(short, short, 4, 8)
CUDA_HOST_VECTOR(unsigned short, ushort, 4, 8)
CUDA_HOST_VECTOR(double, double, 16, 16)
CUDA_HOST_VECTOR(long long, longlong, 16, 16)
CUDA_HOST_VECTOR(unsigned long long, ulonglong, 16, 16)
#undef uint3
#undef CUDA_HOST_VECTOR
