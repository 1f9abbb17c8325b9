// Arithmetic, comparisons, where, copies, and the elementary functions of one argument.
#include "kernels.h"
#include "map.h"
#include "vmath.h"

namespace tge {
namespace TGE_ISA {
namespace {

struct NoParameters {
    explicit NoParameters(const double*) {}
};

#define TGE_FUNCTOR(name, expression)                    \
    struct name : NoParameters {                         \
        using NoParameters::NoParameters;                \
        template <class V>                               \
        TGE_INLINE V operator()(const V* v) const {      \
            return expression;                           \
        }                                                \
    };
TGE_FUNCTOR(Add, v[0] + v[1])
TGE_FUNCTOR(Sub, v[0] - v[1])
TGE_FUNCTOR(Mul, v[0] * v[1])
TGE_FUNCTOR(Div, v[0] / v[1])
TGE_FUNCTOR(Maximum, vmax(v[0], v[1]))
TGE_FUNCTOR(Minimum, vmin(v[0], v[1]))
TGE_FUNCTOR(Neg, -v[0])
TGE_FUNCTOR(Abs, vabs(v[0]))
TGE_FUNCTOR(Sign, v[0] > V{} ? V{} + 1 : (v[0] < V{} ? V{} - 1 : v[0]))
TGE_FUNCTOR(Sqrt, vsqrt(v[0]))
TGE_FUNCTOR(Floor, vfloor(v[0]))
TGE_FUNCTOR(Ceil, vceil(v[0]))
TGE_FUNCTOR(Trunc, vtrunc(v[0]))
TGE_FUNCTOR(Round, vround(v[0]))
TGE_FUNCTOR(Square, v[0] * v[0])
TGE_FUNCTOR(Cube, v[0] * v[0] * v[0])
TGE_FUNCTOR(Root, v[0] == -inf ? V{} + inf : vsqrt(v[0] + V{}))  // as pow says: √−0 is 0, √−∞ is ∞
TGE_FUNCTOR(Inverse, 1 / v[0])
TGE_FUNCTOR(Power, Lite::pow(v[0], v[1]))
#undef TGE_FUNCTOR

#define TGE_FUNCTION(name, function)                     \
    template <class M>                                   \
    struct name : NoParameters {                         \
        using NoParameters::NoParameters;                \
        template <class V>                               \
        TGE_INLINE V operator()(const V* v) const {      \
            return M::function(v[0]);                    \
        }                                                \
    };
TGE_FUNCTION(Exp, exp)
TGE_FUNCTION(Log, log)
TGE_FUNCTION(Log1p, log1p)
TGE_FUNCTION(Sin, sin)
TGE_FUNCTION(Cos, cos)
TGE_FUNCTION(Erf, erf)
TGE_FUNCTION(Erfc, erfc)
TGE_FUNCTION(Rsqrt, rsqrt)
#undef TGE_FUNCTION

// x^−½ as pow says: ∞ at −0, 0 at −∞.
template <class M>
struct InverseRoot : NoParameters {
    using NoParameters::NoParameters;
    template <class V>
    TGE_INLINE V operator()(const V* v) const {
        return v[0] == -inf ? V{} : M::rsqrt(v[0] + V{});
    }
};
template <class M, int steps>
struct ErfInverse : NoParameters {
    using NoParameters::NoParameters;
    TGE_INLINE D operator()(const D* v) const { return inverse_erf<M, steps>(v[0]); }
};

// The exponents that programs write; cubes only where float64 rounds nothing that float32 shows.
template <class T>
Inner simple_power(T exponent) {
    if (exponent == 2) return map<Direct<T>, 1, Square>;
    if (exponent == static_cast<T>(0.5)) return map<Direct<T>, 1, Root>;
    if (exponent == -1) return map<Direct<T>, 1, Inverse>;
    return nullptr;
}

void pow_single(i64 n, char* const* p, const i64* stride, const double* parameters) {
    if (n > 0 && stride[2] == 0) {
        const float exponent = *reinterpret_cast<const float*>(p[2]);
        if (const Inner simple = simple_power(exponent)) return simple(n, p, stride, parameters);
        if (exponent == -0.5f) return map<Layout32, 1, InverseRoot<Smooth32>>(n, p, stride, parameters);
        if (exponent == 3) return map<Widened, 1, Cube>(n, p, stride, parameters);
    }
    map<Widened, 2, Power>(n, p, stride, parameters);
}

// The C library's pow for each pair.
template <class T>
void pow_elements(i64 n, char* const* p, const i64* stride, const double* parameters) {
    if (n > 0 && stride[2] == 0)
        if (const Inner simple = simple_power(*reinterpret_cast<const T*>(p[2])))
            return simple(n, p, stride, parameters);
    for (i64 i = 0; i < n; ++i) {
        const double a = *reinterpret_cast<const T*>(p[1] + i * stride[1]);
        const double b = *reinterpret_cast<const T*>(p[2] + i * stride[2]);
        *reinterpret_cast<T*>(p[0] + i * stride[0]) = static_cast<T>(b == 2 ? a * a : __builtin_pow(a, b));
    }
}

struct Equal {
    template <class T>
    static TGE_INLINE bool holds(T a, T b) { return a == b; }
};
struct NotEqual {
    template <class T>
    static TGE_INLINE bool holds(T a, T b) { return a != b; }
};
struct Less {
    template <class T>
    static TGE_INLINE bool holds(T a, T b) { return a < b; }
};
struct LessEqual {
    template <class T>
    static TGE_INLINE bool holds(T a, T b) { return a <= b; }
};
struct Greater {
    template <class T>
    static TGE_INLINE bool holds(T a, T b) { return a > b; }
};
struct GreaterEqual {
    template <class T>
    static TGE_INLINE bool holds(T a, T b) { return a >= b; }
};

// Exact, so that nothing depends on how the compiler vectorises these plain loops.
template <class T, class Relation>
void compare(i64 n, char* const* p, const i64* stride, const double*) {
    constexpr i64 size = sizeof(T);
    auto* out = reinterpret_cast<uint8_t*>(p[0]);
    const T* a = reinterpret_cast<const T*>(p[1]);
    const T* b = reinterpret_cast<const T*>(p[2]);
    if (stride[0] == 1 && stride[1] == size && stride[2] == size) {
        for (i64 i = 0; i < n; ++i) out[i] = Relation::holds(a[i], b[i]);
    } else if (stride[0] == 1 && stride[1] == size && stride[2] == 0) {
        const T value = *b;
        for (i64 i = 0; i < n; ++i) out[i] = Relation::holds(a[i], value);
    } else {
        for (i64 i = 0; i < n; ++i)
            *reinterpret_cast<uint8_t*>(p[0] + i * stride[0]) =
                Relation::holds(*reinterpret_cast<const T*>(p[1] + i * stride[1]),
                                *reinterpret_cast<const T*>(p[2] + i * stride[2]));
    }
}

// a and b are arrays (step 1) or one value (step 0), as in clamp and in masks.
template <class T, int StepA, int StepB>
void choose_run(i64 n, T* out, const uint8_t* condition, const T* a, const T* b) {
    const T first_a = a[0], first_b = b[0];  // not read again: `out` may be where they are
    for (i64 i = 0; i < n; ++i) {
        const T x = StepA ? a[i] : first_a, y = StepB ? b[i] : first_b;  // both are read, so that this can be a blend
        out[i] = condition[i] ? x : y;
    }
}

template <class T>
void choose(i64 n, char* const* p, const i64* stride, const double*) {
    constexpr i64 size = sizeof(T);
    const auto dense = [&](int j) { return stride[j] == size || stride[j] == 0; };
    if (n > 0 && stride[0] == size && stride[1] == 1 && dense(2) && dense(3)) {
        T* out = reinterpret_cast<T*>(p[0]);
        const auto* condition = reinterpret_cast<const uint8_t*>(p[1]);
        const T *a = reinterpret_cast<const T*>(p[2]), *b = reinterpret_cast<const T*>(p[3]);
        if (stride[2] && stride[3]) return choose_run<T, 1, 1>(n, out, condition, a, b);
        if (stride[2]) return choose_run<T, 1, 0>(n, out, condition, a, b);
        return stride[3] ? choose_run<T, 0, 1>(n, out, condition, a, b) : choose_run<T, 0, 0>(n, out, condition, a, b);
    }
    for (i64 i = 0; i < n; ++i)
        *reinterpret_cast<T*>(p[0] + i * stride[0]) =
            *reinterpret_cast<const uint8_t*>(p[1] + i * stride[1])
                ? *reinterpret_cast<const T*>(p[2] + i * stride[2])
                : *reinterpret_cast<const T*>(p[3] + i * stride[3]);
}

template <class Bits>
void copy_elements(i64 n, char* const* p, const i64* stride, const double*) {
    constexpr i64 size = sizeof(Bits);
    if (stride[0] == size && stride[1] == size) {
        __builtin_memmove(p[0], p[1], static_cast<unsigned long>(n * size));
    } else if (stride[0] == size && stride[1] == 0) {
        Bits* out = reinterpret_cast<Bits*>(p[0]);
        const Bits value = *reinterpret_cast<const Bits*>(p[1]);
        for (i64 i = 0; i < n; ++i) out[i] = value;
    } else {
        for (i64 i = 0; i < n; ++i)
            *reinterpret_cast<Bits*>(p[0] + i * stride[0]) = *reinterpret_cast<const Bits*>(p[1] + i * stride[1]);
    }
}

typedef uint8_t Byte __attribute__((may_alias));
typedef uint16_t Two __attribute__((may_alias));
typedef uint32_t Four __attribute__((may_alias));
typedef uint64_t Eight __attribute__((may_alias));

}  // namespace

void fill_elementwise(Table& table) {
    auto& t = table.elementwise;
#define BOTH(op, inputs, functor)                             \
    t[op_##op][0] = map<Direct<float>, inputs, functor>;      \
    t[op_##op][1] = map<Direct<double>, inputs, functor>;
    BOTH(add, 2, Add) BOTH(sub, 2, Sub) BOTH(mul, 2, Mul) BOTH(div, 2, Div)
    BOTH(maximum, 2, Maximum) BOTH(minimum, 2, Minimum)
    BOTH(neg, 1, Neg) BOTH(abs, 1, Abs) BOTH(sign, 1, Sign) BOTH(sqrt, 1, Sqrt)
    BOTH(floor, 1, Floor) BOTH(ceil, 1, Ceil) BOTH(trunc, 1, Trunc) BOTH(round, 1, Round)
#undef BOTH
#define RELATION(op, relation)                \
    t[op_##op][0] = compare<float, relation>; \
    t[op_##op][1] = compare<double, relation>;
    RELATION(eq, Equal) RELATION(ne, NotEqual) RELATION(lt, Less)
    RELATION(le, LessEqual) RELATION(gt, Greater) RELATION(ge, GreaterEqual)
#undef RELATION
#define FUNCTION(op, functor)                              \
    t[op_##op][0] = map<Layout32, 1, functor<Smooth32>>;   \
    t[op_##op][1] = map<Direct<double>, 1, functor<Full>>;
    FUNCTION(exp, Exp) FUNCTION(log, Log) FUNCTION(log1p, Log1p) FUNCTION(erf, Erf)
    FUNCTION(sin, Sin) FUNCTION(cos, Cos) FUNCTION(rsqrt, Rsqrt)
#undef FUNCTION
    t[op_erfc][0] = map<Widened, 1, Erfc<Lite>>;
    t[op_erfc][1] = map<Direct<double>, 1, Erfc<Full>>;
    t[op_erfinv][0] = map<Widened, 1, ErfInverse<Lite, 1>>;
    t[op_erfinv][1] = map<Direct<double>, 1, ErfInverse<Full, 3>>;
    t[op_pow][0] = pow_single;
    t[op_pow][1] = pow_elements<double>;
    t[op_where][0] = choose<float>;
    t[op_where][1] = choose<double>;
    table.copy[0] = copy_elements<Byte>;
    table.copy[1] = copy_elements<Two>;
    table.copy[2] = copy_elements<Four>;
    table.copy[3] = copy_elements<Eight>;
}

}  // namespace TGE_ISA
}  // namespace tge
