// Filling, copying, converting, choosing: what moves entries without computing with them.

#define FILL(T, value)                                                            \
    extern "C" __global__ void fill_##T(T* y, f64 real, i64 whole, i64 count) {   \
        FOR_EACH(i, count) y[i] = (T)(value);                                     \
    }
FILL(f32, real)
FILL(f64, real)
FILL(i8, whole)
FILL(i16, whole)
FILL(i32, whole)
FILL(i64, whole)
FILL(u8, whole)
FILL(b8, whole != 0)

template <class R, class T> __device__ void convert(R* y, const T* x, Shape n, Steps sy, Steps sx) {
    FOR_EACH(i, n.count()) {
        const Place at = place(i, n);
        y[at.in(sy)] = (R)x[at.in(sx)];
    }
}
#define CONVERT(name, R, T)                                                                         \
    extern "C" __global__ void name(R* y, const T* x, SHAPE, STEPS(y), STEPS(x)) {                  \
        convert<R, T>(y, x, {n0, n1, n2, n3}, {y0, y1, y2, y3}, {x0, x1, x2, x3});                  \
    }
// Entries of 1, 2, 4 or 8 bytes as they are.
#define COPY(name, T)                                                                               \
    extern "C" __global__ void name(void* y, const void* x, SHAPE, STEPS(y), STEPS(x)) {            \
        convert<T, T>((T*)y, (const T*)x, {n0, n1, n2, n3}, {y0, y1, y2, y3}, {x0, x1, x2, x3});    \
    }
COPY(copy_1, u8)
COPY(copy_2, i16)
COPY(copy_4, u32)
COPY(copy_8, u64)

#define CAST_TO(R)                                                                                           \
    CONVERT(cast_f32_##R, R, f32) CONVERT(cast_f64_##R, R, f64) CONVERT(cast_i8_##R, R, i8)                  \
    CONVERT(cast_i16_##R, R, i16) CONVERT(cast_i32_##R, R, i32) CONVERT(cast_i64_##R, R, i64)                \
    CONVERT(cast_u8_##R, R, u8) CONVERT(cast_b8_##R, R, b8)
CAST_TO(f32)
CAST_TO(f64)
CAST_TO(i8)
CAST_TO(i16)
CAST_TO(i32)
CAST_TO(i64)
CAST_TO(u8)
CAST_TO(b8)

// a where the condition holds, else b; a null pointer stands for the number p.
#define WHERE(T)                                                                                                   \
    extern "C" __global__ void where_##T(T* y, const b8* c, const T* a, const T* b, f64 p, SHAPE, STEPS(y),        \
                                         STEPS(c), STEPS(a), STEPS(b)) {                                           \
        const Shape n = {n0, n1, n2, n3};                                                                          \
        FOR_EACH(i, n.count()) {                                                                                   \
            const Place at = place(i, n);                                                                          \
            const T* from = c[at.in({c0, c1, c2, c3})] ? (a ? a + at.in({a0, a1, a2, a3}) : a)                     \
                                                       : (b ? b + at.in({b0, b1, b2, b3}) : b);                    \
            y[at.in({y0, y1, y2, y3})] = from ? *from : (T)p;                                                      \
        }                                                                                                          \
    }
WHERE(f32)
WHERE(f64)
WHERE(i8)
WHERE(i16)
WHERE(i32)
WHERE(i64)
WHERE(u8)
WHERE(b8)
