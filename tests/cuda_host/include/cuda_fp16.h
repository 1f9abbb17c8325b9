// float16 as a storage type.
#pragma once

struct __half {
  _Float16 value;
};
using half = __half;
inline __half __float2half(float f) { return {_Float16(f)}; }
inline __half __float2half_rn(float f) { return {_Float16(f)}; }
inline float __half2float(__half h) { return float(h.value); }
