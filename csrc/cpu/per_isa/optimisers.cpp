// One optimiser step over n contiguous elements of one parameter, in place.
#include "kernels.h"
#include "vmath.h"

namespace tge {
namespace TGE_ISA {
namespace {

// Calls f(i, load, store) for every vector; the tail works through padded buffers.
template <class T, class Fn>
TGE_INLINE void for_vectors(i64 n, const Fn& f) {
    using L = Direct<T>;
    using V = typename L::V;
    i64 i = 0;
    for (; i + L::W <= n; i += L::W)
        f([i](const T* p) { return L::load(p + i); }, [i](T* p, V v) { L::store(p + i, v); });
    if (i < n)
        f([i, n](const T* p) { return load_part<L>(p + i, n - i, T(1)); },
          [i, n](T* p, V v) { store_part<L>(p + i, n - i, v); });
}

template <class T>
void sgd(const Sgd& s, i64 n, void* parameter, const void* gradient, void* momentum) {
    using V = typename Direct<T>::V;
    T *p = static_cast<T*>(parameter), *m = static_cast<T*>(momentum);
    const T* g = static_cast<const T*>(gradient);
    const T lr = static_cast<T>(s.lr), mu = static_cast<T>(s.momentum), decay = static_cast<T>(s.weight_decay);
    const T fresh = static_cast<T>(1 - s.dampening), sign = s.maximize ? T(-1) : T(1);
    for_vectors<T>(n, [&](auto load, auto store) {
        const V x = load(p);
        V d = load(g) * sign;
        if (decay != 0) d = d + decay * x;
        if (m) {
            const V v = s.first ? d : mu * load(m) + fresh * d;
            store(m, v);
            d = s.nesterov ? d + mu * v : v;
        }
        store(p, x - lr * d);
    });
}

template <class T>
void adam(const Adam& s, i64 n, void* parameter, const void* gradient, void* first, void* second, void* largest) {
    using V = typename Direct<T>::V;
    T *p = static_cast<T*>(parameter), *m = static_cast<T*>(first), *v = static_cast<T*>(second);
    T* top = static_cast<T*>(largest);
    const T* g = static_cast<const T*>(gradient);
    const T b1 = static_cast<T>(s.beta1), b2 = static_cast<T>(s.beta2);
    const T c1 = static_cast<T>(1 - s.beta1), c2 = static_cast<T>(1 - s.beta2), eps = static_cast<T>(s.eps);
    const T step = static_cast<T>(s.step_size), inverse_root = static_cast<T>(1 / s.root_correction2);
    const T decay = static_cast<T>(s.weight_decay), shrink = static_cast<T>(s.decay_factor);
    const T sign = s.maximize ? T(-1) : T(1);
    for_vectors<T>(n, [&](auto load, auto store) {
        V x = load(p) * shrink;
        V d = load(g) * sign;
        if (decay != 0) d = d + decay * x;
        const V mean = b1 * load(m) + c1 * d;
        V square = b2 * load(v) + c2 * d * d;
        store(m, mean);
        store(v, square);
        if (top) {
            square = vmax(load(top), square);
            store(top, square);
        }
        store(p, x - step * mean / (vsqrt(square) * inverse_root + eps));
    });
}

}  // namespace

void fill_optimisers(Table& t) {
    t.sgd[0] = sgd<float>;
    t.sgd[1] = sgd<double>;
    t.adam[0] = adam<float>;
    t.adam[1] = adam<double>;
}

}  // namespace TGE_ISA
}  // namespace tge
