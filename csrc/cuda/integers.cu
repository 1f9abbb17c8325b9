// Integers and booleans, entry by entry, with broadcasting: see elementwise.cu. Sums wrap around as in C.

template <class Op, class R, class T>
__device__ void map2(R* y, const T* a, const T* b, T p, Shape n, Steps sy, Steps sa, Steps sb) {
    FOR_EACH(i, n.count()) {
        const Place at = place(i, n);
        y[at.in(sy)] = (R)Op::of(a ? a[at.in(sa)] : p, b ? b[at.in(sb)] : p);
    }
}
#define KERNEL2(name, R, T)                                                                                     \
    extern "C" __global__ void name##_##T(R* y, const T* a, const T* b, f64 p, f64 q, SHAPE, STEPS(y), STEPS(a), \
                                          STEPS(b)) {                                                           \
        map2<Op_##name, R, T>(y, a, b, (T)p, {n0, n1, n2, n3}, {y0, y1, y2, y3}, {a0, a1, a2, a3}, {b0, b1, b2, b3}); \
    }
#define OPERATION(name, value)                                            \
    struct Op_##name {                                                    \
        template <class T> static __device__ T of(T a, T b) { return value; } \
    };
#define WHOLE(name) KERNEL2(name, i8, i8) KERNEL2(name, i16, i16) KERNEL2(name, i32, i32) KERNEL2(name, i64, i64) \
    KERNEL2(name, u8, u8)
#define COMPARISON(name, value)                                              \
    struct Op_##name {                                                       \
        template <class T> static __device__ bool of(T a, T b) { return value; } \
    };                                                                       \
    KERNEL2(name, b8, i8) KERNEL2(name, b8, i16) KERNEL2(name, b8, i32) KERNEL2(name, b8, i64) KERNEL2(name, b8, u8) \
    KERNEL2(name, b8, b8)

OPERATION(add, (T)(a + b))
OPERATION(sub, (T)(a - b))
OPERATION(mul, (T)(a * b))
OPERATION(maximum, a > b ? a : b)
OPERATION(minimum, a < b ? a : b)
OPERATION(bitand, (T)(a & b))
OPERATION(bitor, (T)(a | b))
OPERATION(bitxor, (T)(a ^ b))
WHOLE(add)
WHOLE(sub)
WHOLE(mul)
WHOLE(maximum)
WHOLE(minimum)
WHOLE(bitand)
WHOLE(bitor)
WHOLE(bitxor)
KERNEL2(maximum, b8, b8)
KERNEL2(minimum, b8, b8)
KERNEL2(bitand, b8, b8)
KERNEL2(bitor, b8, b8)
KERNEL2(bitxor, b8, b8)
COMPARISON(eq, a == b)
COMPARISON(ne, a != b)
COMPARISON(lt, a < b)
COMPARISON(le, a <= b)
COMPARISON(gt, a > b)
COMPARISON(ge, a >= b)

#define KERNEL1(name, T, value)                                                                         \
    extern "C" __global__ void name##_##T(T* y, const T* x, f64 p, f64 q, SHAPE, STEPS(y), STEPS(x)) {  \
        const Shape n = {n0, n1, n2, n3};                                                               \
        FOR_EACH(i, n.count()) {                                                                        \
            const Place at = place(i, n);                                                               \
            const T v = x[at.in({x0, x1, x2, x3})];                                                     \
            y[at.in({y0, y1, y2, y3})] = (T)(value);                                                    \
        }                                                                                               \
    }
#define SIGNED(name, value) KERNEL1(name, i8, value) KERNEL1(name, i16, value) KERNEL1(name, i32, value) \
    KERNEL1(name, i64, value)
SIGNED(neg, -v)
SIGNED(abs, v < 0 ? -v : v)
SIGNED(sign, (v > 0) - (v < 0))
KERNEL1(neg, u8, -v)
KERNEL1(abs, u8, v)
KERNEL1(sign, u8, v > 0)
