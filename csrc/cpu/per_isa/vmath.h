// Elementary functions on vectors.
//
// Single (single.h): float32 all the way, where the processor has fused multiply–add.
// Lite: float64 arithmetic with a relative error near 1e-11, to be rounded to float32 once: well below one unit.
// Full: the C library's float64 functions, lane by lane.
#pragma once
#include "single.h"

namespace tge {
namespace TGE_ISA {

// Polynomial c[0] + c[1] x + … by Horner's rule.
template <int N>
TGE_INLINE D horner(D x, const double (&c)[N]) {
    D y = splat<D>(c[N - 1]);
#pragma GCC unroll 20
    for (int i = N - 2; i >= 0; --i) y = y * x + c[i];
    return y;
}

constexpr double log2_e = 1.4426950408889634, ln_2 = 0.6931471805599453, inf = __builtin_inf();

struct Lite {
    // 1/x for x in the range of float32: one Newton step from a float32 division.
    static TGE_INLINE D reciprocal(D x) {
        const FHalf rough = 1.0f / __builtin_convertvector(x, FHalf);
        const D y = widened(rough);
        return y * (2.0 - x * y);
    }

    // eˣ = scale·(1 + q)
    static TGE_INLINE D reduced_exp(D x, D& scale) {
        x = x < -700.0 ? D{} - 700.0 : x;
        x = x > 700.0 ? D{} + 700.0 : x;
        const double magic = 6755399441055744.0;  // 1.5·2⁵²
        const D t = x * log2_e + magic;
        const D r = x - (t - magic) * ln_2;
        scale = reinterpret_cast<D>((reinterpret_cast<DI>(t) + 1023) << 52);
        static constexpr double taylor[] = {1.0,       1.0 / 2,    1.0 / 6,     1.0 / 24,    1.0 / 120,
                                            1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880};
        return r * horner(r, taylor);
    }
    static TGE_INLINE D exp(D x) {
        D scale;
        const D q = reduced_exp(x, scale);
        return x < -700.0 ? D{} : scale + scale * q;  // exactly 0 far out: times infinity that is NaN
    }
    static TGE_INLINE D expm1(D x) {
        D scale;
        const D q = reduced_exp(x, scale);
        return scale * q + (scale - 1.0);
    }

    // x = 2ᵏ·m with m in [√½, √2); ln m = 2 artanh s with s = (m − 1)/(m + 1).
    static TGE_INLINE D log(D x) {
        typedef uint64_t U __attribute__((vector_size(TGE_VECTOR_BYTES)));
        const uint64_t root_half = 0x3fe6a09e667f3bcdull;
        const U u = reinterpret_cast<U>(x) + (0x3ff0000000000000ull - root_half);
        const D k = reinterpret_cast<D>((u >> 52) | 0x4330000000000000ull) - (4503599627370496.0 + 1023);
        const D m = reinterpret_cast<D>((u & 0x000fffffffffffffull) + root_half);
        const D s = (m - 1.0) * reciprocal(m + 1.0);
        static constexpr double artanh[] = {2.0, 2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13, 2.0 / 15};
        D y = k * ln_2 + s * horner(s * s, artanh);
        y = x > 0.0 ? y : (x == 0.0 ? D{} - inf : D{} + __builtin_nan(""));
        return x == inf ? x : y;
    }
    static TGE_INLINE D log1p(D x) {
        const D series = x * (1.0 - x * (0.5 - x * (1.0 / 3 - x * 0.25)));
        return vabs(x) < 1e-4 ? series : log(1.0 + x);
    }
    static TGE_INLINE D tanh(D x) {
        D a = vabs(x);
        a = a > 20.0 ? D{} + 20.0 : a;
        const D e = expm1(a + a);
        return copysign(e * reciprocal(e + 2.0), x);
    }

    // erfc a for a ≥ 0: e^{−a²}·P(t)/(1 + 2a), t = (a − 3.75)/(a + 3.75) (the form of Shepherd & Laframboise 1981);
    // P fitted at Chebyshev points on 0 ≤ a ≤ 12, relative error 4e-12.
    static TGE_INLINE D erfc_positive(D given) {
        const D a = given > 12.0 ? D{} + 12.0 : given;
        static constexpr double fit[] = {
            1.237512630841966,     -0.1402405985914687,  0.0035854145919570063, 0.08227673853142825,
            -0.1088038985432428,   0.09230433975552327,  -0.058693809339397184, 0.02836182211623995,
            -0.0097442360077902,   0.0017594930380484706, 0.00028849815340548465, -0.00030389154702419605,
            5.082961615933071e-05, 3.957440153548382e-05, 2.0483872025103455e-06};
        const D both = reciprocal((a + 3.75) * (1.0 + a + a));
        const D t = (a - 3.75) * (1.0 + a + a) * both;
        const D y = exp(-a * a) * horner(t, fit) * ((a + 3.75) * both);
        return given > 12.0 ? D{} : y;  // 1e-64 times a large number would not be 0
    }
    static TGE_INLINE D erfc(D x) {
        const D y = erfc_positive(vabs(x));
        return x < 0.0 ? 2.0 - y : y;
    }
    static TGE_INLINE D erf(D x) {
        const D a = vabs(x);
        // 2/√π Σ (−1)ⁿ x²ⁿ⁺¹ / (n! (2n + 1)): 1 − erfc would lose digits near 0
        static constexpr double s = 1.1283791670955126;
        static constexpr double series[] = {s,           -s / 3,       s / 10,       -s / 42,      s / 216,
                                            -s / 1320,   s / 9360,     -s / 75600,   s / 685440};
        return a < 0.5 ? x * horner(x * x, series) : copysign(1.0 - erfc_positive(a), x);
    }

    // x = k·π/2 + r; π/2 in two parts, the first with 33 bits, so that k times it is exact.
    template <bool cosine>
    static TGE_INLINE D trigonometric(D x) {
        const double magic = 6755399441055744.0;
        const D t = x * 0.6366197723675814 + magic, k = t - magic;
        const D r = (x - k * 1.57079632673412561417) - k * 6.07710050650619224932e-11;
        static constexpr double sine[] = {1.0,           -1.0 / 6,        1.0 / 120,         -1.0 / 5040,
                                          1.0 / 362880,  -1.0 / 39916800, 1.0 / 6227020800.0};
        static constexpr double cosines[] = {1.0,          -1.0 / 2,         1.0 / 24,          -1.0 / 720,
                                             1.0 / 40320,  -1.0 / 3628800,   1.0 / 479001600.0};
        const D z = r * r, s = r * horner(z, sine), c = horner(z, cosines);
        DI quadrant = reinterpret_cast<DI>(t);
        if (cosine) quadrant = quadrant + 1;
        D y = (quadrant & 1) != 0 ? c : s;
        y = (quadrant & 2) != 0 ? -y : y;
        const DI far = vabs(x) > 1e6;  // too far for that reduction, or infinite
        for (int i = 0; i < DW; ++i)
            if (far[i]) y[i] = cosine ? __builtin_cos(x[i]) : __builtin_sin(x[i]);
        return y;
    }
    static TGE_INLINE D rsqrt(D x) { return 1.0 / vsqrt(x); }

    // aᵇ for numbers of float32.
    static TGE_INLINE D pow(D a, D b) {
        const double magic = 6755399441055744.0;
        const D shifted = b + magic;
        const DI even = vabs(b) >= 16777216.0;  // all numbers so large are, and infinity counts as such
        const DI whole = even | (shifted - magic == b), odd = ~even & whole & ((reinterpret_cast<DI>(shifted) & 1) != 0);
        const D size = exp(b * log(vabs(a)));
        D y = reinterpret_cast<DI>(a) < 0 ? (odd ? -size : size) : size;
        y = (a < 0.0) & (a > -inf) & ~whole ? D{} + __builtin_nan("") : y;
        y = b == 2.0 ? a * a : y;
        return (b == 0.0) | (a == 1.0) | ((a == -1.0) & (vabs(b) == inf)) ? D{} + 1.0 : y;
    }
    static TGE_INLINE D sin(D x) { return trigonometric<false>(x); }
    static TGE_INLINE D cos(D x) { return trigonometric<true>(x); }
};

struct Full {
#define TGE_BY_LANE(name)                                                 \
    static TGE_INLINE D name(D x) {                                       \
        for (int i = 0; i < DW; ++i) x[i] = __builtin_##name(x[i]);       \
        return x;                                                         \
    }
    TGE_BY_LANE(exp) TGE_BY_LANE(expm1) TGE_BY_LANE(log) TGE_BY_LANE(log1p) TGE_BY_LANE(tanh)
    TGE_BY_LANE(erf) TGE_BY_LANE(erfc) TGE_BY_LANE(sin) TGE_BY_LANE(cos)
#undef TGE_BY_LANE
    static TGE_INLINE D reciprocal(D x) { return 1.0 / x; }
    static TGE_INLINE D rsqrt(D x) { return 1.0 / vsqrt(x); }
};

// The number whose erf is x: the polynomials of Giles (2012), right to six digits, then Halley's steps on erfc, which
// has all digits near ±1.
template <class M, int steps>
TGE_INLINE D inverse_erf(D x) {
    static constexpr double near[] = {1.50140941,      0.246640727,    -0.00417768164, -0.00125372503, 0.00021858087,
                                      -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08};
    static constexpr double far[] = {2.83297682,    1.00167406,     0.00943887047,  -0.0076224613,  0.00573950773,
                                     -0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257};
    const D a = vabs(x), w = -M::log((1.0 - a) * (1.0 + a));
    D z = a * (w < 5.0 ? horner(w - 2.5, near) : horner(vsqrt(w) - 3.0, far));
#pragma GCC unroll 3
    for (int i = 0; i < steps; ++i) {
        const D miss = a < 0.5 ? M::erf(z) - a : (1.0 - a) - M::erfc(z);
        const D error = miss * 0.8862269254527580 * M::exp(z * z);  // √π/2
        z = z - error * M::reciprocal(1.0 + z * error);
    }
    z = a < 1.0 ? z : (a == 1.0 ? D{} + inf : D{} + __builtin_nan(""));
    return copysign(z, x);
}

// What activations are made of, on the elementary functions of M, in float64.
template <class M>
struct Smooth : M {
    using V = D;
    static constexpr double root_half = 0.7071067811865476, root_2_over_pi = 0.7978845608028654, cubic = 0.044715;

    // 1/(1 + e⁻ˣ) without overflow.
    static TGE_INLINE D sigmoid(D x) {
        const D z = M::exp(-vabs(x)), r = M::reciprocal(1.0 + z);
        return x >= 0.0 ? r : z * r;  // NaN: z is NaN
    }
    // x·σ(x) tends to 0 on the left, also at −∞.
    static TGE_INLINE D silu(D x) { return x == -inf ? D{} : x * sigmoid(x); }
    static TGE_INLINE D silu_slope(D x) {
        const D s = sigmoid(x);
        return s + (vabs(x) == inf ? D{} : x * s * (1.0 - s));
    }
    // ln(1 + e^{beta·x}) and σ(beta·x); float64 needs no rest of beta.
    static TGE_INLINE D softplus(D x, D beta, D) {
        const D z = x * beta;
        return (z < 0.0 ? D{} : z) + M::log1p(M::exp(-vabs(z)));
    }
    static TGE_INLINE D sigmoid(D x, D beta, D) { return sigmoid(x * beta); }
    // Φ(x) = erfc(−x/√2)/2 keeps its digits where x is very negative.
    static TGE_INLINE D gelu(D x) { return x == -inf ? D{} : x * (0.5 * M::erfc(-x * root_half)); }
    static TGE_INLINE D gelu_slope(D x) {
        const D tail = x * M::exp(-0.5 * x * x) * 0.3989422804014327;  // 1/√(2π)
        return 0.5 * M::erfc(-x * root_half) + (vabs(x) > 1e3 ? D{} : tail);
    }
    // (1 + tanh z)/2 = σ(2z), which does not cancel.
    static TGE_INLINE D gelu_tanh_sigmoid(D x) { return sigmoid(2 * root_2_over_pi * (x + cubic * x * x * x)); }
    static TGE_INLINE D gelu_tanh(D x) { return x == -inf ? D{} : x * gelu_tanh_sigmoid(x); }
    static TGE_INLINE D gelu_tanh_slope(D x) {
        const D s = gelu_tanh_sigmoid(x);
        const D tail = x * s * (1.0 - s) * (2 * root_2_over_pi) * (1.0 + 3 * cubic * x * x);
        return s + (vabs(x) > 1e3 ? D{} : tail);
    }
};

// How each dtype computes, and how it is held in registers.
using Smooth64 = Smooth<Full>;
#ifdef TGE_SINGLE
using Smooth32 = Single;
using Layout32 = Direct<float>;
#else
using Smooth32 = Smooth<Lite>;
using Layout32 = Widened;
#endif

}  // namespace TGE_ISA
}  // namespace tge
