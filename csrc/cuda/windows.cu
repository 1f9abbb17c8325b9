// Convolutions and pools over 1, 2 or 3 spatial dimensions; fewer are led by sizes of 1.
//
// A convolution is a matrix product: `columns` lays out what each output is made of, the product is gemm.cu's, and
// `overlap` adds up, for each entry of x, what its windows send back. Everything gathers, so that the order of each sum
// is fixed: nothing is added from two threads.

#define WINDOWS                                                                                                   \
    i64 planes, i64 n0, i64 n1, i64 n2, i64 k0, i64 k1, i64 k2, i64 m0, i64 m1, i64 m2, i64 s0, i64 s1, i64 s2,   \
        i64 p0, i64 p1, i64 p2, i64 d0, i64 d1, i64 d2
struct Side {  // one spatial dimension: n entries, window k, m outputs, stride, padding, dilation
    i64 n, k, m, s, p, d;
    __device__ i64 at(i64 output, i64 tap) const { return output * s - p + tap * d; }
    // The output whose tap lies at entry i, or −1.
    __device__ i64 output(i64 i, i64 tap) const {
        const i64 far = i + p - tap * d;
        return far >= 0 && far % s == 0 && far / s < m ? far / s : -1;
    }
    // Entries of window `output`, within x or (all) with the padding around it.
    __device__ i64 entries(i64 output, bool all) const {
        const i64 first = output * s - p, last = first + k < n + p ? first + k : n + p;
        return all ? last - first : (last < n ? last : n) - (first > 0 ? first : 0);
    }
};
struct Windows {
    i64 planes;
    Side a, b, c;
    __device__ i64 size() const { return a.n * b.n * c.n; }
    __device__ i64 taps() const { return a.k * b.k * c.k; }
    __device__ i64 outputs() const { return a.m * b.m * c.m; }
};
#define GEOMETRY {planes, {n0, k0, m0, s0, p0, d0}, {n1, k1, m1, s1, p1, d1}, {n2, k2, m2, s2, p2, d2}}
struct Triple {
    i64 a, b, c;
};
__device__ inline Triple triple(i64 i, i64 b, i64 c) { return {i / c / b, i / c % b, i % c}; }
__device__ inline bool within(i64 i, i64 n) { return 0 <= i && i < n; }

// x (planes, *S) → (planes, *k, *S')
template <class T> __device__ void columns(T* y, const T* x, Windows w) {
    const i64 taps = w.taps(), outputs = w.outputs();
    FOR_EACH(i, w.planes * taps * outputs) {
        const Triple o = triple(i % outputs, w.b.m, w.c.m), j = triple(i / outputs % taps, w.b.k, w.c.k);
        const i64 u = w.a.at(o.a, j.a), v = w.b.at(o.b, j.b), t = w.c.at(o.c, j.c);
        const bool inside = within(u, w.a.n) && within(v, w.b.n) && within(t, w.c.n);
        y[i] = inside ? x[((i / outputs / taps * w.a.n + u) * w.b.n + v) * w.c.n + t] : T(0);
    }
}
// The transpose: (planes, *k, *S') → (planes, *S)
template <class T> __device__ void overlap(T* x, const T* y, Windows w) {
    const i64 size = w.size();
    FOR_EACH(i, w.planes * size) {
        const Triple e = triple(i % size, w.b.n, w.c.n);
        const T* plane = y + i / size * w.taps() * w.outputs();
        T sum = 0;
        for (i64 j = 0; j < w.taps(); ++j) {
            const Triple tap = triple(j, w.b.k, w.c.k);
            const i64 u = w.a.output(e.a, tap.a), v = w.b.output(e.b, tap.b), t = w.c.output(e.c, tap.c);
            if (u >= 0 && v >= 0 && t >= 0) sum += plane[((j * w.a.m + u) * w.b.m + v) * w.c.m + t];
        }
        x[i] = sum;
    }
}
// The largest entry of each window and its place in the plane: the first of equals, the first NaN.
template <class T> __device__ void max_pool(T* y, i64* places, const T* x, Windows w) {
    const i64 outputs = w.outputs();
    FOR_EACH(i, w.planes * outputs) {
        const Triple o = triple(i % outputs, w.b.m, w.c.m);
        const T* plane = x + i / outputs * w.size();
        T best = 0;
        i64 place = -1;
        for (i64 j = 0; j < w.taps(); ++j) {
            const Triple tap = triple(j, w.b.k, w.c.k);
            const i64 u = w.a.at(o.a, tap.a), v = w.b.at(o.b, tap.b), t = w.c.at(o.c, tap.c);
            if (!within(u, w.a.n) || !within(v, w.b.n) || !within(t, w.c.n)) continue;
            const i64 here = (u * w.b.n + v) * w.c.n + t;
            const T value = plane[here];
            if (place < 0 || value > best || (value != value && best == best)) best = value, place = here;
        }
        y[i] = best;
        places[i] = place;
    }
}
// What a window's sum is divided by: `divisor`, or where that is 0 the number of its entries.
__device__ inline f64 share(Windows w, Triple o, i64 divisor, bool all) {
    return divisor ? (f64)divisor : (f64)(w.a.entries(o.a, all) * w.b.entries(o.b, all) * w.c.entries(o.c, all));
}
template <class T> __device__ void avg_pool(T* y, const T* x, i64 divisor, bool all, Windows w) {
    const i64 outputs = w.outputs();
    FOR_EACH(i, w.planes * outputs) {
        const Triple o = triple(i % outputs, w.b.m, w.c.m);
        const T* plane = x + i / outputs * w.size();
        f64 sum = 0;
        for (i64 j = 0; j < w.taps(); ++j) {
            const Triple tap = triple(j, w.b.k, w.c.k);
            const i64 u = w.a.at(o.a, tap.a), v = w.b.at(o.b, tap.b), t = w.c.at(o.c, tap.c);
            if (within(u, w.a.n) && within(v, w.b.n) && within(t, w.c.n)) sum += plane[(u * w.b.n + v) * w.c.n + t];
        }
        y[i] = (T)(sum / share(w, o, divisor, all));
    }
}
template <class T> __device__ void avg_pool_backward(T* dx, const T* g, i64 divisor, bool all, Windows w) {
    const i64 size = w.size();
    FOR_EACH(i, w.planes * size) {
        const Triple e = triple(i % size, w.b.n, w.c.n);
        const T* plane = g + i / size * w.outputs();
        T sum = 0;
        for (i64 j = 0; j < w.taps(); ++j) {
            const Triple tap = triple(j, w.b.k, w.c.k);
            const i64 u = w.a.output(e.a, tap.a), v = w.b.output(e.b, tap.b), t = w.c.output(e.c, tap.c);
            if (u < 0 || v < 0 || t < 0) continue;
            sum += (T)((f64)plane[(u * w.b.m + v) * w.c.m + t] / share(w, {u, v, t}, divisor, all));
        }
        dx[i] = sum;
    }
}
// Zeros (planes, size) with g (planes, each) added at `places`: one thread for each plane, in order.
template <class T>
__device__ void scatter(T* y, const T* g, const i64* places, i64* fault, i64 planes, i64 size, i64 each) {
    FOR_EACH(plane, planes) {
        for (i64 j = 0; j < size; ++j) y[plane * size + j] = 0;
        for (i64 j = plane * each; j < (plane + 1) * each; ++j)
            if (within(places[j], size)) y[plane * size + places[j]] += g[j];
            else report(fault, SCATTER, j, places[j]);
    }
}

#define KERNELS(T)                                                                                                    \
    extern "C" __global__ void columns_##T(T* y, const T* x, WINDOWS) { columns<T>(y, x, GEOMETRY); }                 \
    extern "C" __global__ void overlap_##T(T* x, const T* y, WINDOWS) { overlap<T>(x, y, GEOMETRY); }                 \
    extern "C" __global__ void max_pool_##T(T* y, i64* places, const T* x, WINDOWS) {                                 \
        max_pool<T>(y, places, x, GEOMETRY);                                                                          \
    }                                                                                                                 \
    extern "C" __global__ void avg_pool_##T(T* y, const T* x, i64 divisor, i32 all, WINDOWS) {                        \
        avg_pool<T>(y, x, divisor, all != 0, GEOMETRY);                                                               \
    }                                                                                                                 \
    extern "C" __global__ void avg_pool_backward_##T(T* dx, const T* g, i64 divisor, i32 all, WINDOWS) {              \
        avg_pool_backward<T>(dx, g, divisor, all != 0, GEOMETRY);                                                     \
    }                                                                                                                 \
    extern "C" __global__ void scatter_##T(T* y, const T* g, const i64* places, i64* fault, i64 planes, i64 size,     \
                                           i64 each) {                                                                \
        scatter<T>(y, g, places, fault, planes, size, each);                                                          \
    }
KERNELS(f32)
KERNELS(f64)
