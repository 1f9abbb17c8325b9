// Elementary functions of float32 in float32: twice the lanes of float64, and no conversions.
//
// A result is kept as a large part that is exact and a small rest until one last addition, so that its rounding is
// almost the only one: errors stay below one unit in the last place (tests/kernels/test_accuracy.py; every float32 by
// tools/accuracy.py). That takes fused multiply–add; without it vmath.h computes in float64.
#pragma once
#include "tables.h"
#include "vec.h"

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define TGE_SINGLE 1
#endif

namespace tge {
namespace TGE_ISA {

// -- what the vector extensions cannot say ------------------------------------------------------------------------
// x·2ᵏ for a whole number k in [−300, 300], rounded once, also to subnormal numbers.
TGE_INLINE F scale(F x, F k) {
#ifdef __AVX512F__
    return __builtin_ia32_scalefps512_mask(x, k, x, static_cast<uint16_t>(-1), 4);
#else
    const FI whole = __builtin_convertvector(k, FI), first = whole >> 1, second = whole - first;
    return x * reinterpret_cast<F>((first + 127) << 23) * reinterpret_cast<F>((second + 127) << 23);
#endif
}
// 1/x to fourteen bits or more.
TGE_INLINE F rough_reciprocal(F x) {
#if defined(__AVX512F__)
    return __builtin_ia32_rcp14ps512_mask(x, x, static_cast<uint16_t>(-1));
#elif defined(__AVX__)
    const F y = __builtin_ia32_rcpps256(x);  // twelve bits
    return y + y * (1.0f - x * y);
#else
    return 1.0f / x;
#endif
}
// table[index mod 32] in every lane.
TGE_INLINE F lookup(const float (&table)[32], FI index) {
#if TGE_VECTOR_BYTES == 64
    return __builtin_shuffle(Direct<float>::load(table), Direct<float>::load(table + 16), index);
#elif TGE_VECTOR_BYTES == 32
    const F low = __builtin_shuffle(Direct<float>::load(table), Direct<float>::load(table + 8), index);
    const F high = __builtin_shuffle(Direct<float>::load(table + 16), Direct<float>::load(table + 24), index);
    return (index & 16) != 0 ? high : low;
#else
    F y;
    for (int i = 0; i < FW; ++i) y[i] = table[index[i] & 31];
    return y;
#endif
}

#ifdef TGE_SINGLE
// a·b + c rounded once, always: the compiler makes one from a * b + c only where it sees no other use of a * b.
TGE_INLINE F fused(F a, F b, F c) {
#if defined(__AVX512F__)
    return __builtin_ia32_vfmaddps512_mask(a, b, c, static_cast<uint16_t>(-1), 4);
#elif defined(__FMA__)
    return __builtin_ia32_vfmaddps256(a, b, c);
#else
    for (int i = 0; i < FW; ++i) a[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return a;
#endif
}
// c − a·b rounded once: for −a the compiler spends an instruction.
TGE_INLINE F fused_minus(F a, F b, F c) {
#if defined(__AVX512F__)
    return __builtin_ia32_vfnmaddps512_mask(a, b, c, static_cast<uint16_t>(-1), 4);
#else
    return fused(-a, b, c);
#endif
}
#endif

// -- building blocks ----------------------------------------------------------------------------------------------
template <int N>
TGE_INLINE F polynomial(F x, const float (&c)[N]) {
    F y = splat<F>(c[N - 1]);
#pragma GCC unroll 20
    for (int i = N - 2; i >= 0; --i) y = y * x + c[i];
    return y;
}
// NaN passes: the processor's minimum and maximum are their second operand unless the first one is smaller, or larger.
#if defined(__AVX512F__)
TGE_INLINE F at_most(F x, float bound) {
    return __builtin_ia32_minps512_mask(F{} + bound, x, x, static_cast<uint16_t>(-1), 4);
}
TGE_INLINE F at_least(F x, float bound) {
    return __builtin_ia32_maxps512_mask(F{} + bound, x, x, static_cast<uint16_t>(-1), 4);
}
#elif defined(__AVX__)
TGE_INLINE F at_most(F x, float bound) { return __builtin_ia32_minps256(F{} + bound, x); }
TGE_INLINE F at_least(F x, float bound) { return __builtin_ia32_maxps256(F{} + bound, x); }
#else
TGE_INLINE F at_most(F x, float bound) { return bound < x ? F{} + bound : x; }
TGE_INLINE F at_least(F x, float bound) { return bound > x ? F{} + bound : x; }
#endif
// −|x|
TGE_INLINE F below_zero(F x) { return reinterpret_cast<F>(reinterpret_cast<FI>(x) | (FI{} + INT32_MIN)); }

// e^(x + low) = 2ᵏ·(1 + r·q) with |r| ≤ ln 2 / 2 (Cody & Waite 1980); adding 1.5·2²³ rounds to a whole number.
struct Reduced {
    F k, r, q;
};
TGE_INLINE Reduced reduce(F x) {
    const float magic = 12582912.0f;
    const F k = (x * 1.44269504f + magic) - magic;
    const F r = (x - k * 0.693359375f) - k * -2.12194440e-4f;
    return {k, r, polynomial(r, exp_coefficients)};
}
TGE_INLINE Reduced reduce(F x, F low) {
    const float magic = 12582912.0f;
    const F k = (x * 1.44269504f + magic) - magic;
    const F r = low + ((x - k * 0.693359375f) - k * -2.12194440e-4f);
    return {k, r, polynomial(r, exp_coefficients)};
}

// e^−104 rounds to 0, e^89 overflows.
TGE_INLINE F exp32(F x) {
    const Reduced e = reduce(at_most(at_least(x, -104.0f), 89.0f));
    return scale(e.r * e.q + 1.0f, e.k);
}

#ifdef TGE_SINGLE
// f(a) for a ≥ 0 from a table of tools/make_tables.py: the interval around a point c is told by the exponent and two
// binary digits of a, and f(a) = f(c) + (a − c)·polynomial. With `odd`, f(a) = a + a·polynomial in the first one.
template <bool odd, int N>
TGE_INLINE F piecewise(F a, const float (&table)[N][32]) {
    const FI bits = reinterpret_cast<FI>(a), first = FI{} + 0x3D800000;  // 2⁻⁴
    const FI index = (bits > first ? bits : first) >> 21;
    const F h = a - lookup(table[0], index);
    F base = lookup(table[1], index), q = lookup(table[N - 1], index);
    if (odd) base = a < 0.078125f ? h : base;
#pragma GCC unroll 8
    for (int i = N - 2; i > 1; --i) q = q * h + lookup(table[i], index);
    return base + h * q;
}

// n/(1 + z) for z = e^x, x ≤ 0. Numbers named _low are the small rests of others.
struct Logistic {
    F p, p_low, z, z_low;
    explicit TGE_INLINE Logistic(const Reduced& e) {
        p = fused(e.r, e.q, F{} + 1.0f);
        p_low = fused(e.r, e.q, 1.0f - p);
        z = scale(p, e.k);
        z_low = scale(p_low, e.k);
    }
    TGE_INLINE F over(F n, F n_low) const {
        const F s = 1.0f + z, s_low = z - (s - 1.0f);  // z_low is too little for it
        const F rough = rough_reciprocal(s), y = n * rough;
        const F rest = fused_minus(y, s_low, fused_minus(y, s, n) + n_low);
        return fused(rest, rough, y);
    }
};

// ln((s + low)·2^−shift): s = 2ᵏ·(1 + m) with m in [√½ − 1, √2 − 1).
TGE_INLINE F log_series(F k, F m, F low) {
    // The sum of k·ln 2, whose first part has few digits, and m, in two parts; then the rest of the series.
    const F r = m + low, sum = k * 0.693359375f + m, rest = (k * 0.693359375f - sum) + m;
    const F series = polynomial(r, log_coefficients) * r - 0.5f;
    return sum + (r * r * series + (k * -2.12194440e-4f + (rest + low)));
}
TGE_INLINE F log_of(F s, float shift) {
    const FI u = reinterpret_cast<FI>(s) - 0x3F3504F3;  // √½
    const F k = __builtin_convertvector(u >> 23, F) - shift;
    return log_series(k, reinterpret_cast<F>((u & 0x007FFFFF) + 0x3F3504F3) - 1.0f, F{});
}
TGE_INLINE F log_of_sum(F s, F low) {
    const FI u = reinterpret_cast<FI>(s) - 0x3F3504F3, whole = u >> 23;
    const F m = reinterpret_cast<F>((u & 0x007FFFFF) + 0x3F3504F3) - 1.0f;
    return log_series(__builtin_convertvector(whole, F), m, low * reinterpret_cast<F>((127 - whole) << 23));
}

struct Single {
    using V = F;
    static constexpr float far = 104.0f;  // beyond, e^−x is 0

    static TGE_INLINE F exp(F x) { return exp32(x); }
    // For x ≤ 0.
    static TGE_INLINE F expm1(F x) {
        const Reduced e = reduce(at_least(x, -30.0f));
        const F power = scale(F{} + 1.0f, e.k);
        return power * (e.r * e.q) + (power - 1.0f);
    }
    static TGE_INLINE F log(F x) {
        const FI bits = reinterpret_cast<FI>(x), special = (bits < 0x00800000) | (bits > 0x7F7FFFFF);
        F y = log_of(x, 0.0f);
        if (__builtin_expect(any(special), 0)) {
            y = bits < 0x00800000 ? log_of(x * 8388608.0f, 23.0f) : y;  // subnormal numbers become normal
            y = x > 0.0f ? y : (x == 0.0f ? F{} - __builtin_inff() : F{} + __builtin_nanf(""));
            y = x == __builtin_inff() ? x : y;
        }
        return y;
    }
    static TGE_INLINE F log1p(F x) {
        const F s = 1.0f + x;
        const F low = vabs(x) < 1.0f ? x - (s - 1.0f) : 1.0f - (s - x);
        F y = log_of_sum(s, low);
        const FI usual = (s > 0.0f) & (s < 1e37f);
        if (__builtin_expect(any(~usual), 0)) {
            y = x < 1e37f ? y : log_of(x, 0.0f);
            y = x > -1.0f ? y : (x == -1.0f ? F{} - __builtin_inff() : F{} + __builtin_nanf(""));
            y = x == __builtin_inff() ? x : y;
        }
        return x == 0.0f ? x : y;
    }
    // 1/√x: an estimate with fourteen bits or more, and the series of (1 − error)^−½ with the error in two parts.
    static TGE_INLINE F rsqrt(F x) {
#ifdef __AVX512F__
        const F y = __builtin_ia32_rsqrt14ps512_mask(x, x, static_cast<uint16_t>(-1));
#else
        const F y = 1.0f / vsqrt(x);
#endif
        const F h = x * y, error = fused(-h, y, F{} + 1.0f) - fused(x, y, -h) * y;
        const F better = y + (y * error) * (0.5f + 0.375f * error);
        return (x > 0.0f) & (x < __builtin_inff()) ? better : y;
    }

    // x = k·π/2 + (r + low); π/2 in three parts (Cody & Waite 1980), and no product but k times the first is rounded
    // without the rest being kept: next to multiples of π/2 there is little left of x.
    template <bool cosine>
    static TGE_INLINE F trigonometric(F x) {
        const float magic = 12582912.0f;
        const F shifted = x * 0.636619772f + magic, k = shifted - magic;
        const F first = fused(-k, F{} + 1.57079637f, x);  // exact
        const F second = k * -4.37113883e-8f, second_low = fused(k, F{} - 4.37113883e-8f, -second);
        const F r = first - second, moved = r - first;
        const F low = ((first - (r - moved)) - (second + moved)) - (second_low + k * -1.71512451e-15f);
        static constexpr float sine[] = {-1.0f / 6, 1.0f / 120, -1.0f / 5040, 1.0f / 362880},
                               cosines[] = {1.0f / 24, -1.0f / 720, 1.0f / 40320, -1.0f / 3628800};
        const F z = r * r, z_low = fused(r, r, -z), top = 1.0f - 0.5f * z;
        const F s = r + (low + r * z * polynomial(z, sine));
        const F c = top + ((((1.0f - top) - 0.5f * z) - 0.5f * z_low) + (z * z * polynomial(z, cosines) - r * low));
        FI quadrant = reinterpret_cast<FI>(shifted);
        if (cosine) quadrant = quadrant + 1;
        F y = (quadrant & 1) != 0 ? c : s;
        y = (quadrant & 2) != 0 ? -y : y;
        if (!cosine) y = x == 0.0f ? x : y;
        const FI far = ~(vabs(x) < 1e5f);  // too far for that reduction, infinite or NaN
        if (__builtin_expect(any(far), 0))
            for (int i = 0; i < FW; ++i)
                if (far[i]) y[i] = static_cast<float>(cosine ? __builtin_cos(static_cast<double>(x[i]))
                                                             : __builtin_sin(static_cast<double>(x[i])));
        return y;
    }
    static TGE_INLINE F sin(F x) { return trigonometric<false>(x); }
    static TGE_INLINE F cos(F x) { return trigonometric<true>(x); }

    static TGE_INLINE F tanh(F x) { return copysign(piecewise<true>(at_most(vabs(x), 9.02f), tanh_table), x); }
    static TGE_INLINE F erf(F x) { return copysign(piecewise<true>(at_most(vabs(x), 3.95f), erf_table), x); }
    static TGE_INLINE F sigmoid(F x) {
        const Logistic e(reduce(at_least(below_zero(x), -far)));
        const F y = e.over(e.z, e.z_low);
        return x >= 0.0f ? 1.0f - y : y;
    }

    // The smooth rectifiers are x₊ − a·σ(−a) with a = |x|, for their σ that tends to 0 and 1.
    static TGE_INLINE F rectified(F x, F minus_a, const Reduced& power) {
        const Logistic e(power);
        return at_least(x, 0.0f) + scale(minus_a * e.over(e.p, e.p_low), power.k);  // scaled last: σ may be subnormal
    }
    // σ(w) + x·σ(w)·(1 − σ(w))·slope, given e^−|w| and the slope of w(x).
    static TGE_INLINE F rectified_slope(F x, F a, const Reduced& power, F slope) {
        const Logistic e(power);
        const F s = e.over(e.z, e.z_low);
        return (x < 0.0f ? s : 1.0f - s) + copysign(a, x) * ((s - s * s) * slope);
    }
    static TGE_INLINE F silu(F x) {
        const F minus_a = at_least(below_zero(x), -far - 5.0f);
        return rectified(x, minus_a, reduce(minus_a));
    }
    static TGE_INLINE F silu_slope(F x) {
        const F a = at_most(vabs(x), far);
        return rectified_slope(x, a, reduce(-a), F{} + 1.0f);
    }
    // e^−|z| for z = x·(beta + beta_low): the power would magnify the rounding of the product.
    static TGE_INLINE Reduced power_of_product(F x, F z, F beta, F beta_low) {
        const F low = fused(x, beta, -z) + x * beta_low, toward_0 = z > 0.0f ? -low : low;
        return reduce(at_least(-vabs(z), -far), vabs(z) < far ? toward_0 : F{});
    }
    static TGE_INLINE F softplus(F x, F beta, F beta_low) {
        const F z = x * beta;
        const Reduced e = power_of_product(x, z, beta, beta_low);
        const F y = scale(e.r * e.q + 1.0f, e.k), s = 1.0f + y;
        return at_least(z, 0.0f) + log_of_sum(s, y - (s - 1.0f));
    }
    static TGE_INLINE F sigmoid(F x, F beta, F beta_low) {
        const F z = x * beta;
        const Logistic e(power_of_product(x, z, beta, beta_low));
        return e.over(z >= 0.0f ? F{} + 1.0f : e.z, z >= 0.0f ? F{} : e.z_low);
    }
    // 1 − Φ(a) = e^(−a²/2)·R(a) = 2ᵏ·tail, and e^(−a²/2) = 2ᵏ·density.
    struct Normal {
        F k, tail, density;
        explicit TGE_INLINE Normal(F a) {
            const F square = a * a, low = fused(a, a, -square);
            const Reduced e = reduce(-0.5f * square, -0.5f * low);
            const F t = e.r * e.q, r = piecewise<false>(a, tail_table);
            k = e.k;
            tail = fused(r, t, r);
            density = t + 1.0f;
        }
    };
    static TGE_INLINE F gelu(F x) {
        const F a = at_most(vabs(x), 14.4f);
        const Normal normal(a);
        return at_least(x, 0.0f) - scale(a * normal.tail, normal.k);
    }
    static TGE_INLINE F gelu_slope(F x) {
        const F a = at_most(vabs(x), 14.4f);
        const Normal normal(a);
        const F tail = scale(normal.tail, normal.k), density = scale(normal.density, normal.k);
        return (x < 0.0f ? tail : 1.0f - tail) + copysign(a, x) * (density * 0.398942280f);
    }
    // e^−w for w = 2√(2/π)·(a + 0.044715 a³), in two parts because the power magnifies its error.
    static TGE_INLINE Reduced gelu_tanh_power(F a) {
        const float linear = -1.59576917f, linear_low = 4.53406804e-8f, cubic = -0.0713548139f, cubic_low = -2.4e-9f;
        const F square = a * a, square_low = fused(a, a, -square);
        const F p = fused(square, F{} + cubic, F{} + linear);
        // What p lacks of the exact sum, larger part first.
        const F bend = fused(square, F{} + cubic, F{}), bend_low = fused(square, F{} + cubic, -bend);
        const FI steep = bend < linear;
        const F large = steep ? bend : F{} + linear, small = steep ? F{} + linear : bend;
        const F p_low = ((large - p) + small) + (bend_low + (square * cubic_low + (square_low * cubic + linear_low)));
        const F w = a * p, w_low = fused(a, p, -w) + a * p_low;
        return reduce(w, w_low);
    }
    static TGE_INLINE F gelu_tanh(F x) {
        const F a = at_most(vabs(x), 12.0f);
        return rectified(x, -a, gelu_tanh_power(a));
    }
    static TGE_INLINE F gelu_tanh_slope(F x) {
        const F a = at_most(vabs(x), 12.0f);
        return rectified_slope(x, a, gelu_tanh_power(a), a * a * (3 * 0.0713548139f) + 1.59576912f);
    }
};
#endif

}  // namespace TGE_ISA
}  // namespace tge
