// Steps of optimisers and the clipping of gradients, in place, over lists of tensors: one launch for all of a list.
//
// A list comes as a table with a row for each piece of a tensor: {how many entries, where they begin in the first
// list, in the second, …}; 0 where there is no such list. A block takes one piece at a time, so that a thousand biases
// and one large matrix keep a GPU equally busy. The table stays on the device while the tensors stay where they are.

template <int LISTS> struct Piece {
    const u64* row;
    __device__ Piece(const u64* table, i64 k) : row(table + k * (LISTS + 1)) {}
    __device__ i64 count() const { return (i64)row[0]; }
    template <class T> __device__ T* in(int list) const { return (T*)row[1 + list]; }
};
#define FOR_PIECES(k) for (i64 k = blockIdx.x; k < pieces; k += gridDim.x)
#define FOR_ENTRIES(i, n) for (i64 i = threadIdx.x; i < (n); i += blockDim.x)

#define SGD(T)                                                                                                        \
    extern "C" __global__ void sgd_##T(const u64* table, i64 pieces, f64 lr, f64 momentum, f64 dampening, f64 decay,  \
                                       i32 nesterov, i32 maximize, i32 first) {                                       \
        FOR_PIECES(k) {                                                                                               \
            const Piece<3> piece(table, k);                                                                           \
            T *p = piece.in<T>(0), *m = piece.in<T>(2);                                                               \
            const T* grad = piece.in<T>(1);                                                                           \
            FOR_ENTRIES(i, piece.count()) {                                                                           \
                T g = maximize ? -grad[i] : grad[i];                                                                  \
                if (decay != 0) g += (T)decay * p[i];                                                                 \
                if (m) {                                                                                              \
                    const T next = first ? g : (T)momentum * m[i] + (T)(1 - dampening) * g;                           \
                    m[i] = next;                                                                                      \
                    g = nesterov ? g + (T)momentum * next : next;                                                     \
                }                                                                                                     \
                p[i] -= (T)lr * g;                                                                                    \
            }                                                                                                         \
        }                                                                                                             \
    }
SGD(f32)
SGD(f64)

// step = lr / (1 − β₁ᵗ), root = √(1 − β₂ᵗ)
#define ADAM(T)                                                                                                       \
    extern "C" __global__ void adam_##T(const u64* table, i64 pieces, f64 step, f64 root, f64 beta1, f64 beta2,       \
                                        f64 eps, f64 shrink, f64 decay, i32 maximize) {                               \
        FOR_PIECES(k) {                                                                                               \
            const Piece<5> piece(table, k);                                                                           \
            T *p = piece.in<T>(0), *m = piece.in<T>(2), *v = piece.in<T>(3), *largest = piece.in<T>(4);               \
            const T* grad = piece.in<T>(1);                                                                           \
            FOR_ENTRIES(i, piece.count()) {                                                                           \
                T g = maximize ? -grad[i] : grad[i], x = p[i];                                                        \
                if (shrink != 1) x *= (T)shrink;                                                                      \
                if (decay != 0) g += (T)decay * x;                                                                    \
                const T mean = (T)beta1 * m[i] + (T)(1 - beta1) * g;                                                  \
                T square = (T)beta2 * v[i] + (T)(1 - beta2) * g * g;                                                  \
                m[i] = mean;                                                                                          \
                v[i] = square;                                                                                        \
                if (largest) largest[i] = square = Larger()(largest[i], square);                                      \
                p[i] = x - (T)step * mean / (sqrt_of(square) / (T)root + (T)eps);                                     \
            }                                                                                                         \
        }                                                                                                             \
    }
ADAM(f32)
ADAM(f64)

// The norm of a list as one long vector, in two launches: the sum of squares of each piece in float64, and the root of
// these sums' sum. Both add in an order that depends on the sizes alone.
#define NORM(T)                                                                                                       \
    extern "C" __global__ void squares_##T(f64* sums, const u64* table, i64 pieces) {                                 \
        FOR_PIECES(k) {                                                                                               \
            const Piece<1> piece(table, k);                                                                           \
            const T* x = piece.in<T>(0);                                                                              \
            f64 sum = 0;                                                                                              \
            FOR_ENTRIES(i, piece.count()) sum += (f64)x[i] * x[i];                                                    \
            sum = block_reduce(sum, Plus());                                                                          \
            if (threadIdx.x == 0) sums[k] = sum;                                                                      \
        }                                                                                                             \
    }                                                                                                                 \
    extern "C" __global__ void norm_##T(T* norm, const f64* sums, i64 count) {                                        \
        f64 sum = 0;                                                                                                  \
        FOR_ENTRIES(i, count) sum += sums[i];                                                                         \
        sum = block_reduce(sum, Plus());                                                                              \
        if (threadIdx.x == 0) *norm = (T)sqrt(sum);                                                                   \
    }                                                                                                                 \
    extern "C" __global__ void limit_norm_##T(const u64* table, i64 pieces, const T* norm, f64 most) {                \
        const f64 factor = most / ((f64)*norm + 1e-6);                                                                \
        if (factor >= 1) return; /* NaN is not */                                                                     \
        FOR_PIECES(k) {                                                                                               \
            const Piece<1> piece(table, k);                                                                           \
            T* x = piece.in<T>(0);                                                                                    \
            FOR_ENTRIES(i, piece.count()) x[i] *= (T)factor;                                                          \
        }                                                                                                             \
    }
NORM(f32)
NORM(f64)
