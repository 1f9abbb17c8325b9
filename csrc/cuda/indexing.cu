// Index arrays. They become `position`s first: where in x's memory each selected entry begins, in elements. The other
// dimensions of x, which are taken whole, are a layout of four sizes and steps from there.

constexpr i64 NOWHERE = -0x7fffffffffffffff - 1;  // the position of an index that is out of range

// position = before + index·step; a negative index counts from the end. `before` may be null.
extern "C" __global__ void position(i64* y, const i64* before, const i64* index, i64* fault, i64 size, i64 step, SHAPE,
                                    STEPS(y), STEPS(a), STEPS(b)) {
    const Shape n{n0, n1, n2, n3};
    FOR_EACH(i, n.count()) {
        const Place p = place(i, n);
        const i64 given = index[p.in({b0, b1, b2, b3})], known = given < 0 ? given + size : given;
        const i64 start = before ? before[p.in({a0, a1, a2, a3})] : 0;
        const bool inside = 0 <= known && known < size;
        if (!inside) report(fault, POSITION, size, given);
        y[p.in({y0, y1, y2, y3})] = inside && start != NOWHERE ? start + known * step : NOWHERE;
    }
}

// y (count, rest) = x[position]
template <class T>
__device__ void pick(T* y, const T* x, const i64* position, i64 count, Shape rest, Steps steps) {
    const i64 width = rest.count();
    FOR_EACH(i, count * width) {
        const i64 at = position[i / width];
        y[i] = at == NOWHERE ? T(0) : x[at + place(i % width, rest).in(steps)];
    }
}
// x[position] = values (count, rest), or += them. `order` puts the positions in order; the first of equal ones does it
// for all of them, so that they are written (added) in the order in which they were given.
template <bool ADD, class T>
__device__ void spread(T* x, const T* values, const i64* position, const i64* order, i64 count, Shape rest,
                       Steps steps) {
    const i64 width = rest.count();
    FOR_EACH(i, count * width) {
        i64 k = i / width;
        const i64 at = position[order[k]];
        if (at == NOWHERE || (k > 0 && position[order[k - 1]] == at)) continue;
        const i64 j = i % width, to = at + place(j, rest).in(steps);
        T value = x[to];
        for (; k < count && position[order[k]] == at; ++k) {
            const T given = values[order[k] * width + j];
            value = ADD ? (T)(value + given) : given;
        }
        x[to] = value;
    }
}

#define PICK(size, T)                                                                                                \
    extern "C" __global__ void pick_##size(void* y, const void* x, const i64* position, i64 count, SHAPE, STEPS(x)) {  \
        pick<T>((T*)y, (const T*)x, position, count, {n0, n1, n2, n3}, {x0, x1, x2, x3});                                          \
    }                                                                                                                \
    extern "C" __global__ void put_##size(void* x, const void* values, const i64* position, const i64* order,        \
                                          i64 count, SHAPE, STEPS(x)) {                                              \
        spread<false, T>((T*)x, (const T*)values, position, order, count, {n0, n1, n2, n3}, {x0, x1, x2, x3});                     \
    }
PICK(1, u8)
PICK(2, i16)
PICK(4, i32)
PICK(8, i64)
#define ADD_AT(T)                                                                                                    \
    extern "C" __global__ void add_at_##T(T* x, const T* values, const i64* position, const i64* order, i64 count,   \
                                          SHAPE, STEPS(x)) {                                                         \
        spread<true, T>(x, values, position, order, count, {n0, n1, n2, n3}, {x0, x1, x2, x3});                      \
    }
ADD_AT(f32)
ADD_AT(f64)
ADD_AT(i8)
ADD_AT(i16)
ADD_AT(i32)
ADD_AT(i64)
ADD_AT(u8)
