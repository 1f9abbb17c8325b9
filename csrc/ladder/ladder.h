// What the steps of the ladder share: a vector as wide as the machine's registers, and the exported signatures.
// Compiled for the machine at hand (-march=native) by bench/native.py, apart from the library.
#pragma once
#include <cstdint>

#if defined(__AVX512F__)
#define LADDER_VECTOR_BYTES 64
#elif defined(__AVX__)
#define LADDER_VECTOR_BYTES 32
#else
#define LADDER_VECTOR_BYTES 16
#endif

typedef float V __attribute__((vector_size(LADDER_VECTOR_BYTES)));
typedef std::int32_t VI __attribute__((vector_size(LADDER_VECTOR_BYTES)));
typedef float Unaligned __attribute__((vector_size(LADDER_VECTOR_BYTES), aligned(4), may_alias));
constexpr int W = LADDER_VECTOR_BYTES / 4;

static inline V load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
static inline void store(float* p, V v) { *reinterpret_cast<Unaligned*>(p) = v; }

static inline long least(long a, long b) { return a < b ? a : b; }
