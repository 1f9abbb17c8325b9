// Vectors of one instruction set, with GCC's vector extensions: +, *, comparison and ?: work on whole vectors.
//
// Every file in this folder is compiled once per instruction set, into the namespace TGE_ISA. Nothing here may come
// from the C++ standard library: the linker would keep one copy of an inline function for all of them, maybe one with
// instructions that the processor lacks.
#pragma once
#include <stdint.h>

#if !defined(TGE_ISA)
#error "compile with -DTGE_ISA=<namespace> -DTGE_VECTOR_BYTES=<16, 32 or 64>"
#endif
#define TGE_INLINE inline __attribute__((always_inline))

namespace tge {
namespace TGE_ISA {

using i64 = int64_t;

template <class T>
struct Simd;

template <>
struct Simd<float> {
    static constexpr int W = TGE_VECTOR_BYTES / 4;
    typedef float V __attribute__((vector_size(TGE_VECTOR_BYTES)));
    typedef int32_t I __attribute__((vector_size(TGE_VECTOR_BYTES)));
    typedef float Unaligned __attribute__((vector_size(TGE_VECTOR_BYTES), aligned(4), may_alias));
};

template <>
struct Simd<double> {
    static constexpr int W = TGE_VECTOR_BYTES / 8;
    typedef double V __attribute__((vector_size(TGE_VECTOR_BYTES)));
    typedef int64_t I __attribute__((vector_size(TGE_VECTOR_BYTES)));
    typedef double Unaligned __attribute__((vector_size(TGE_VECTOR_BYTES), aligned(8), may_alias));
};

using D = Simd<double>::V;    // doubles
using DI = Simd<double>::I;   // 64-bit integers, and masks of D
using F = Simd<float>::V;     // floats
using FI = Simd<float>::I;    // 32-bit integers, and masks of F
constexpr int DW = Simd<double>::W, FW = Simd<float>::W;
typedef float FHalf __attribute__((vector_size(TGE_VECTOR_BYTES / 2)));  // as many floats as D has doubles
typedef float FHalfUnaligned __attribute__((vector_size(TGE_VECTOR_BYTES / 2), aligned(4), may_alias));

// Exact. GCC 12 makes four instructions of __builtin_convertvector where the processor has one.
TGE_INLINE D widened(FHalf v) {
#if defined(__AVX512F__)
    return __builtin_ia32_cvtps2pd512_mask(v, D{}, static_cast<uint8_t>(-1), 4);
#elif defined(__AVX__)
    return __builtin_ia32_cvtps2pd256(v);
#else
    return __builtin_convertvector(v, D);
#endif
}

// How a kernel sees n elements of a float type S: as vectors V of W elements, computed in the type T.
template <class S>
struct Direct {
    using Store = S;
    using V = typename Simd<S>::V;
    static constexpr int W = Simd<S>::W;
    static TGE_INLINE V load(const S* p) { return *reinterpret_cast<const typename Simd<S>::Unaligned*>(p); }
    static TGE_INLINE void store(S* p, V v) { *reinterpret_cast<typename Simd<S>::Unaligned*>(p) = v; }
};

// float32 in memory, float64 in registers: the result is rounded once, so it is correct to a little over half a unit.
struct Widened {
    using Store = float;
    using V = D;
    static constexpr int W = DW;
    static TGE_INLINE V load(const float* p) {
        return widened(*reinterpret_cast<const FHalfUnaligned*>(p));
    }
    static TGE_INLINE void store(float* p, V v) {
        *reinterpret_cast<FHalfUnaligned*>(p) = __builtin_convertvector(v, FHalf);
    }
};

// Copies n < W elements as blocks of 8, 4, 2, 1 elements: n is not known, but the size of each copy is.
template <class T, int W>
TGE_INLINE void copy_part(T* to, const T* from, i64 n) {
#pragma GCC unroll 4
    for (int block = W / 2; block > 0; block /= 2)
        if (n & block) {
            __builtin_memcpy(to, from, static_cast<unsigned long>(block) * sizeof(T));
            to += block;
            from += block;
        }
}

// Whether a lane of a mask is set.
TGE_INLINE bool any(FI mask) {
#if defined(__AVX512F__)
    typedef int Wide __attribute__((vector_size(64)));
    return __builtin_ia32_ptestmd512(reinterpret_cast<Wide>(mask), reinterpret_cast<Wide>(mask),
                                     static_cast<uint16_t>(-1)) != 0;
#elif defined(__AVX__)
    return __builtin_ia32_movmskps256(reinterpret_cast<F>(mask)) != 0;
#else
    int all = 0;
    for (int i = 0; i < FW; ++i) all |= mask[i];
    return all != 0;
#endif
}

// Asks for what lies a page behind p: the processor fetches ahead by itself, but stops at the end of a page.
constexpr unsigned long page = 4096;
template <class T>
TGE_INLINE void fetch(const T* p) { __builtin_prefetch(p + page / sizeof(T)); }
template <class T>
TGE_INLINE void fetch_to_write(T* p) { __builtin_prefetch(p + page / sizeof(T), 1); }

// The first n < W elements, the others `pad`: the tail of an array goes through the same instructions as the rest, so a
// value's result does not depend on its position. AVX-512 has instructions for it, others take a padded buffer.
#ifdef __AVX512F__
TGE_INLINE uint16_t first_lanes(i64 n) { return static_cast<uint16_t>((1u << n) - 1); }
TGE_INLINE F load_first(const float* p, i64 n, F pad) { return __builtin_ia32_loadups512_mask(p, pad, first_lanes(n)); }
TGE_INLINE D load_first(const double* p, i64 n, D pad) {
    return __builtin_ia32_loadupd512_mask(p, pad, static_cast<uint8_t>(first_lanes(n)));
}
TGE_INLINE FHalf load_first(const float* p, i64 n, FHalf pad) {
    return __builtin_ia32_loadups256_mask(p, pad, static_cast<uint8_t>(first_lanes(n)));
}
TGE_INLINE void store_first(float* p, i64 n, F v) { __builtin_ia32_storeups512_mask(p, v, first_lanes(n)); }
TGE_INLINE void store_first(double* p, i64 n, D v) {
    __builtin_ia32_storeupd512_mask(p, v, static_cast<uint8_t>(first_lanes(n)));
}
TGE_INLINE void store_first(float* p, i64 n, FHalf v) {
    __builtin_ia32_storeups256_mask(p, v, static_cast<uint8_t>(first_lanes(n)));
}
TGE_INLINE F in_memory(Direct<float>, F v) { return v; }
TGE_INLINE D in_memory(Direct<double>, D v) { return v; }
TGE_INLINE FHalf in_memory(Widened, D v) { return __builtin_convertvector(v, FHalf); }
TGE_INLINE F in_registers(Direct<float>, F v) { return v; }
TGE_INLINE D in_registers(Direct<double>, D v) { return v; }
TGE_INLINE D in_registers(Widened, FHalf v) { return widened(v); }

template <class L>
TGE_INLINE typename L::V load_part(const typename L::Store* p, i64 n, typename L::Store pad) {
    const decltype(in_memory(L(), typename L::V{})) zero{};
    return in_registers(L(), load_first(p, n, pad - zero));  // pad − 0 keeps −0 and NaN
}
template <class L>
TGE_INLINE void store_part(typename L::Store* p, i64 n, typename L::V v) {
    store_first(p, n, in_memory(L(), v));
}
#else
template <class L>
TGE_INLINE typename L::V load_part(const typename L::Store* p, i64 n, typename L::Store pad) {
    typename L::Store buffer[L::W];
    for (int i = 0; i < L::W; ++i) buffer[i] = pad;
    copy_part<typename L::Store, L::W>(buffer, p, n);
    return L::load(buffer);
}
template <class L>
TGE_INLINE void store_part(typename L::Store* p, i64 n, typename L::V v) {
    typename L::Store buffer[L::W];
    L::store(buffer, v);
    copy_part<typename L::Store, L::W>(p, buffer, n);
}
#endif

template <class V>
struct Element;
template <>
struct Element<F> {
    using T = float;
    using I = FI;
};
template <>
struct Element<D> {
    using T = double;
    using I = DI;
};

template <class V, class S>
TGE_INLINE V splat(S x) {
    return static_cast<typename Element<V>::T>(x) - V{};  // x − 0 keeps −0 and NaN
}
template <class V>
TGE_INLINE V vabs(V x) {
    using I = typename Element<V>::I;
    constexpr int bits = sizeof(typename Element<V>::T) * 8;
    return reinterpret_cast<V>(reinterpret_cast<I>(x) & ~(I{} + (decltype(I{}[0] + 0))(1ull << (bits - 1))));
}
// |x| with the sign of y.
template <class V>
TGE_INLINE V copysign(V x, V y) {
    using I = typename Element<V>::I;
    constexpr int bits = sizeof(typename Element<V>::T) * 8;
    const I sign = I{} + (decltype(I{}[0] + 0))(1ull << (bits - 1));
    return reinterpret_cast<V>((reinterpret_cast<I>(x) & ~sign) | (reinterpret_cast<I>(y) & sign));
}
// NaN if either is NaN.
template <class V>
TGE_INLINE V vmax(V a, V b) {
    return ((a > b) | (a != a)) ? a : b;
}
template <class V>
TGE_INLINE V vmin(V a, V b) {
    return ((a < b) | (a != a)) ? a : b;
}
// A function of the C library for each lane, for which the compiler knows an instruction on vectors.
#define TGE_BY_LANE(name, function)                                       \
    TGE_INLINE F name(F x) {                                              \
        for (int i = 0; i < FW; ++i) x[i] = __builtin_##function##f(x[i]); \
        return x;                                                         \
    }                                                                     \
    TGE_INLINE D name(D x) {                                              \
        for (int i = 0; i < DW; ++i) x[i] = __builtin_##function(x[i]);   \
        return x;                                                         \
    }
TGE_BY_LANE(vsqrt, sqrt)
TGE_BY_LANE(vfloor, floor)
TGE_BY_LANE(vceil, ceil)
TGE_BY_LANE(vtrunc, trunc)
TGE_BY_LANE(vround, rint)
#undef TGE_BY_LANE

}  // namespace TGE_ISA
}  // namespace tge
