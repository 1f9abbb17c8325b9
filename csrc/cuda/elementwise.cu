// Floats, entry by entry, with broadcasting: arithmetic, elementary functions, activations and their derivatives.
//
// One kernel for each operation and dtype, named <operation>_<dtype>. The arrays lie in memory as their steps say; an
// operand whose pointer is null is the number p.

template <class Op, class T>
__device__ void map1(T* y, const T* x, T p, T q, Shape n, Steps sy, Steps sx) {
    FOR_EACH(i, n.count()) {
        const Place at = place(i, n);
        y[at.in(sy)] = Op::of(x[at.in(sx)], p, q);
    }
}
template <class Op, class R, class T>
__device__ void map2(R* y, const T* a, const T* b, T p, T q, Shape n, Steps sy, Steps sa, Steps sb) {
    FOR_EACH(i, n.count()) {
        const Place at = place(i, n);
        y[at.in(sy)] = Op::of(a ? a[at.in(sa)] : p, b ? b[at.in(sb)] : p, p, q);
    }
}

#define KERNEL1(name, T)                                                                                        \
    extern "C" __global__ void name##_##T(T* y, const T* x, f64 p, f64 q, SHAPE, STEPS(y), STEPS(x)) {          \
        map1<Op_##name, T>(y, x, (T)p, (T)q, {n0, n1, n2, n3}, {y0, y1, y2, y3}, {x0, x1, x2, x3});             \
    }
#define KERNEL2(name, R, T)                                                                                     \
    extern "C" __global__ void name##_##T(R* y, const T* a, const T* b, f64 p, f64 q, SHAPE, STEPS(y), STEPS(a), \
                                          STEPS(b)) {                                                           \
        map2<Op_##name, R, T>(y, a, b, (T)p, (T)q, {n0, n1, n2, n3}, {y0, y1, y2, y3}, {a0, a1, a2, a3},        \
                              {b0, b1, b2, b3});                                                                \
    }
#define UNARY(name, value)                                                      \
    struct Op_##name {                                                          \
        template <class T> static __device__ T of(T x, T p, T q) { return value; } \
    };                                                                          \
    KERNEL1(name, f32) KERNEL1(name, f64)
#define BINARY(name, value)                                                          \
    struct Op_##name {                                                               \
        template <class T> static __device__ T of(T a, T b, T p, T q) { return value; } \
    };                                                                               \
    KERNEL2(name, f32, f32) KERNEL2(name, f64, f64)
#define COMPARISON(name, value)                                               \
    struct Op_##name {                                                        \
        template <class T> static __device__ bool of(T a, T b, T, T) { return value; } \
    };                                                                        \
    KERNEL2(name, b8, f32) KERNEL2(name, b8, f64)

// ---- arithmetic
BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a * b)
BINARY(div, a / b)
BINARY(pow, pow_of(a, b))
BINARY(atan2, atan2_of(a, b))
BINARY(maximum, Larger()(a, b))
BINARY(minimum, Smaller()(a, b))
COMPARISON(eq, a == b)
COMPARISON(ne, a != b)
COMPARISON(lt, a < b)
COMPARISON(le, a <= b)
COMPARISON(gt, a > b)
COMPARISON(ge, a >= b)

// ---- functions of one argument
// Winitzki's closed formula (2008), right to 0.4 %, then Halley's steps on erfc, which has all digits near ±1.
__device__ inline f64 erfinv_of(f64 x) {
    const f64 y = fabs(x), l = log1p(-y * y), half = 2 / (3.14159265358979323846 * 0.147) + l / 2;
    f64 z = sqrt(sqrt(half * half - l / 0.147) - half);
    for (int i = 0; i < 3; ++i) {
        const f64 e = (y < 0.5 ? y - erf(z) : erfc(z) - (1 - y)) * 0.88622692545275801365 * exp(z * z);
        if (fabs(e) < (f64)infinity()) z += e / (1 + z * e);
    }
    return x < 0 ? -z : z;
}
UNARY(neg, -x)
UNARY(abs, abs_of(x))
UNARY(sign, x > 0 ? T(1) : x < 0 ? T(-1) : x != x ? x : T(0))
UNARY(exp, exp_of(x))
UNARY(expm1, expm1_of(x))
UNARY(exp2, exp2_of(x))
UNARY(log, log_of(x))
UNARY(log1p, log1p_of(x))
UNARY(log2, log2_of(x))
UNARY(log10, log10_of(x))
UNARY(sqrt, sqrt_of(x))
UNARY(rsqrt, 1 / sqrt_of(x))
UNARY(sin, sin_of(x))
UNARY(cos, cos_of(x))
UNARY(tan, tan_of(x))
UNARY(asin, asin_of(x))
UNARY(acos, acos_of(x))
UNARY(atan, atan_of(x))
UNARY(sinh, sinh_of(x))
UNARY(cosh, cosh_of(x))
UNARY(asinh, asinh_of(x))
UNARY(acosh, acosh_of(x))
UNARY(atanh, atanh_of(x))
UNARY(erf, erf_of(x))
UNARY(erfc, erfc_of(x))
UNARY(erfinv, (T)erfinv_of((f64)x))
UNARY(floor, floor_of(x))
UNARY(ceil, ceil_of(x))
UNARY(trunc, trunc_of(x))
UNARY(round, rint_of(x))

// ---- activations; in a derivative a is the gradient of the result, b what the forward pass kept
UNARY(relu, relu_of(x))
UNARY(leaky_relu, x > 0 ? x : x * p)
UNARY(sigmoid, sigmoid_of(x))
UNARY(tanh, tanh_of(x))
UNARY(gelu, gelu_of(x, p != 0))
UNARY(silu, silu_of(x))
UNARY(softplus, x * p > q ? x : ((x * p > 0 ? x * p : x * p != x * p ? x : T(0)) + log1p_of(exp_of(-abs_of(x * p)))) / p)
UNARY(elu, x > 0 ? x : p * expm1_of(x))
BINARY(relu_backward, b > 0 ? a : T(0))
BINARY(leaky_relu_backward, b > 0 ? a : a * p)
BINARY(sigmoid_backward, a * b * (1 - b))
BINARY(tanh_backward, a * (1 - b * b))
BINARY(gelu_backward, a * gelu_slope(b, p != 0))
BINARY(silu_backward, a * silu_slope(b))
BINARY(softplus_backward, b * p > q ? a : a * sigmoid_of(b * p))
BINARY(elu_backward, b > 0 ? a : a * p * exp_of(b))

// ---- squared differences
BINARY(mse, (a - b) * (a - b))

// dx = g · p · (x − y)
#define MSE_BACKWARD(T)                                                                                            \
    extern "C" __global__ void mse_backward_##T(T* d, const T* g, const T* x, const T* y, f64 p, SHAPE, STEPS(d),  \
                                                STEPS(g), STEPS(x), STEPS(y)) {                                    \
        const Shape n = {n0, n1, n2, n3};                                                                          \
        FOR_EACH(i, n.count()) {                                                                                   \
            const Place at = place(i, n);                                                                          \
            d[at.in({d0, d1, d2, d3})] = g[at.in({g0, g1, g2, g3})] * (T)p *                                       \
                                         (x[at.in({x0, x1, x2, x3})] - y[at.in({y0, y1, y2, y3})]);                \
        }                                                                                                          \
    }
MSE_BACKWARD(f32)
MSE_BACKWARD(f64)
