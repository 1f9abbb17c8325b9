// What the kernels share: types, strided layouts, a loop over a grid, reductions within a block, elementary functions.
// It is put before each .cu file when that is compiled; nothing here needs a header of the host's.

typedef long long i64;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char i8;
typedef short i16;
typedef int i32;
typedef unsigned char u8;
typedef bool b8;
typedef float f32;
typedef double f64;

constexpr int MAX_THREADS = 256;  // of a block that reduces; each such block has a power of two of them, at least 32

// ---- a loop over a grid: correct for any number of blocks and threads
#define FOR_EACH(i, count)                                                                       \
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x, step_ = (i64)gridDim.x * blockDim.x; \
         i < (count); i += step_)

// ---- layouts: four sizes, and for each array four distances in elements (0: broadcast)
#define SHAPE i64 n0, i64 n1, i64 n2, i64 n3
#define STEPS(a) i64 a##0, i64 a##1, i64 a##2, i64 a##3

struct Shape {
    i64 n0, n1, n2, n3;
    __device__ i64 count() const { return n0 * n1 * n2 * n3; }
};
struct Steps {
    i64 s0, s1, s2, s3;
};
struct Place {
    i64 i0, i1, i2, i3;
    __device__ i64 in(Steps s) const { return i0 * s.s0 + i1 * s.s1 + i2 * s.s2 + i3 * s.s3; }
};
template <class N> __device__ Place split(N i, N n1, N n2, N n3) {
    const N i3 = i % n3, a = i / n3, i2 = a % n2, b = a / n2;
    return {(i64)(b / n1), (i64)(b % n1), (i64)i2, (i64)i3};
}
// The place of entry i of a shape: no division for a flat one, 32-bit divisions for one that allows them.
__device__ inline Place place(i64 i, Shape n) {
    if (n.n0 * n.n1 * n.n2 == 1) return {0, 0, 0, i};
    if (n.count() < 0x7fffffff) return split<u32>((u32)i, (u32)n.n1, (u32)n.n2, (u32)n.n3);
    return split<i64>(i, n.n1, n.n2, n.n3);
}

// ---- a fixed tree over the threads of a block: every thread gets the result
template <class State, class Merge> __device__ State block_reduce(State mine, Merge merge) {
    __shared__ State slots[MAX_THREADS];
    const int t = threadIdx.x;
    __syncthreads();  // the slots may still be read by the call before
    slots[t] = mine;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t < half) slots[t] = merge(slots[t], slots[t + half]);
    }
    __syncthreads();
    return slots[0];
}
struct Plus {
    template <class T> __device__ T operator()(T a, T b) const { return a + b; }
};
struct Larger {  // NaN if either is
    template <class T> __device__ T operator()(T a, T b) const { return a > b || a != a ? a : b; }
};
struct Smaller {
    template <class T> __device__ T operator()(T a, T b) const { return a < b || a != a ? a : b; }
};

// ---- what is wrong with an input: told in `fault`, {what, where, number}, which is looked at when results are read
enum { CROSS_ENTROPY = 1, TAKE, SCATTER, POSITION };
__device__ inline void report(i64* fault, i64 what, i64 where, i64 number) {
    if (atomicCAS((u64*)fault, (u64)0, (u64)what) != 0) return;  // the first one stays
    fault[1] = where;
    fault[2] = number;
}

// ---- elementary functions, overloaded by dtype
#define OVERLOAD(name, single, twice)                                 \
    __device__ inline f32 name(f32 x) { return single(x); }           \
    __device__ inline f64 name(f64 x) { return twice(x); }
OVERLOAD(exp_of, expf, exp)
OVERLOAD(expm1_of, expm1f, expm1)
OVERLOAD(exp2_of, exp2f, exp2)
OVERLOAD(log_of, logf, log)
OVERLOAD(log1p_of, log1pf, log1p)
OVERLOAD(log2_of, log2f, log2)
OVERLOAD(log10_of, log10f, log10)
OVERLOAD(sqrt_of, sqrtf, sqrt)
OVERLOAD(sin_of, sinf, sin)
OVERLOAD(cos_of, cosf, cos)
OVERLOAD(tan_of, tanf, tan)
OVERLOAD(asin_of, asinf, asin)
OVERLOAD(acos_of, acosf, acos)
OVERLOAD(atan_of, atanf, atan)
OVERLOAD(sinh_of, sinhf, sinh)
OVERLOAD(cosh_of, coshf, cosh)
OVERLOAD(tanh_of, tanhf, tanh)
OVERLOAD(asinh_of, asinhf, asinh)
OVERLOAD(acosh_of, acoshf, acosh)
OVERLOAD(atanh_of, atanhf, atanh)
OVERLOAD(erf_of, erff, erf)
OVERLOAD(erfc_of, erfcf, erfc)
OVERLOAD(floor_of, floorf, floor)
OVERLOAD(ceil_of, ceilf, ceil)
OVERLOAD(trunc_of, truncf, trunc)
OVERLOAD(rint_of, rintf, rint)
OVERLOAD(abs_of, fabsf, fabs)
__device__ inline f32 pow_of(f32 a, f32 b) { return powf(a, b); }
__device__ inline f64 pow_of(f64 a, f64 b) { return pow(a, b); }
__device__ inline f32 atan2_of(f32 a, f32 b) { return atan2f(a, b); }
__device__ inline f64 atan2_of(f64 a, f64 b) { return atan2(a, b); }
__device__ inline f32 fma_of(f32 a, f32 b, f32 c) { return fmaf(a, b, c); }
__device__ inline f64 fma_of(f64 a, f64 b, f64 c) { return fma(a, b, c); }
__device__ inline f32 infinity() { return __int_as_float(0x7f800000); }
__device__ inline f32 not_a_number() { return __int_as_float(0x7fc00000); }

// ---- activations: elementwise kernels and epilogues of products have them from here
constexpr f64 SQRT_2_OVER_PI = 0.79788456080286535588, SQRT_HALF = 0.70710678118654752440;
constexpr f64 NORMAL_DENSITY_0 = 0.39894228040143267794;

template <class T> __device__ T relu_of(T x) { return x > 0 || x != x ? x : T(0); }  // NaN stays NaN
template <class T> __device__ T sigmoid_of(T x) {
    const T z = exp_of(-abs_of(x));  // never overflows
    return (x >= 0 ? T(1) : z) / (1 + z);
}
template <class T> __device__ T gelu_of(T x, bool tanh_form) {
    const T phi = tanh_form ? T(0.5) * (1 + tanh_of(T(SQRT_2_OVER_PI) * (x + T(0.044715) * x * x * x)))
                            : T(0.5) * erfc_of(-x * T(SQRT_HALF));
    return phi == 0 ? T(0) : x * phi;  // −inf · 0 is 0 here: the limit
}
template <class T> __device__ T gelu_slope(T x, bool tanh_form) {
    T phi, density;
    if (tanh_form) {
        const T t = tanh_of(T(SQRT_2_OVER_PI) * (x + T(0.044715) * x * x * x));
        phi = T(0.5) * (1 + t);
        density = T(0.5) * (1 - t * t) * T(SQRT_2_OVER_PI) * (1 + T(3 * 0.044715) * x * x);
    } else {
        phi = T(0.5) * erfc_of(-x * T(SQRT_HALF));
        density = exp_of(T(-0.5) * x * x) * T(NORMAL_DENSITY_0);
    }
    return phi + (abs_of(x) == infinity() ? T(0) : x * density);
}
template <class T> __device__ T silu_of(T x) { return x == -infinity() ? T(0) : x * sigmoid_of(x); }
template <class T> __device__ T silu_slope(T x) {
    const T s = sigmoid_of(x);
    return s + (abs_of(x) == infinity() ? T(0) : x * s * (1 - s));
}

// ---- wide products: an operand of a matrix product that is read 128 bits at a time
struct Operand {  // entry (row, l) at x[row · by_row + l · by_k]; one of the steps is 1
    const f32* x;
    i64 by_row, by_k;
    i32 rows;
};
__device__ inline void put(f32* to, float4 v) { *reinterpret_cast<float4*>(to) = v; }
__device__ inline float4 get(const f32* from) { return *reinterpret_cast<const float4*>(from); }
