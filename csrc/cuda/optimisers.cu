// Steps of optimisers, in place, one parameter tensor for each launch.

#define SGD(T)                                                                                                        \
    extern "C" __global__ void sgd_##T(T* p, const T* grad, T* m, i64 count, f64 lr, f64 momentum, f64 dampening,     \
                                       f64 decay, i32 nesterov, i32 maximize, i32 first) {                            \
        FOR_EACH(i, count) {                                                                                          \
            T g = maximize ? -grad[i] : grad[i];                                                                      \
            if (decay != 0) g += (T)decay * p[i];                                                                     \
            if (m) {                                                                                                  \
                const T next = first ? g : (T)momentum * m[i] + (T)(1 - dampening) * g;                               \
                m[i] = next;                                                                                          \
                g = nesterov ? g + (T)momentum * next : next;                                                         \
            }                                                                                                         \
            p[i] -= (T)lr * g;                                                                                        \
        }                                                                                                             \
    }
SGD(f32)
SGD(f64)

// step = lr / (1 − β₁ᵗ), root = √(1 − β₂ᵗ)
#define ADAM(T)                                                                                                       \
    extern "C" __global__ void adam_##T(T* p, const T* grad, T* m, T* v, T* largest, i64 count, f64 step, f64 root,   \
                                        f64 beta1, f64 beta2, f64 eps, f64 shrink, f64 decay, i32 maximize) {         \
        FOR_EACH(i, count) {                                                                                          \
            T g = maximize ? -grad[i] : grad[i], x = p[i];                                                            \
            if (shrink != 1) x *= (T)shrink;                                                                          \
            if (decay != 0) g += (T)decay * x;                                                                        \
            const T mean = (T)beta1 * m[i] + (T)(1 - beta1) * g;                                                      \
            T square = (T)beta2 * v[i] + (T)(1 - beta2) * g * g;                                                      \
            m[i] = mean;                                                                                              \
            v[i] = square;                                                                                            \
            if (largest) largest[i] = square = Larger()(largest[i], square);                                          \
            p[i] = x - (T)step * mean / (sqrt_of(square) / (T)root + (T)eps);                                         \
        }                                                                                                             \
    }
ADAM(f32)
ADAM(f64)
