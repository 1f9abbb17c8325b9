// Cross-entropy of rows of logits with class indices, and its derivative.
#include "kernels.h"
#include "rows.h"

namespace tge {
namespace TGE_ISA {
namespace {

template <class T>
TGE_INLINE double weight_of(const CrossEntropy& p, i64 c) {
    return p.weight ? static_cast<double>(static_cast<const T*>(p.weight)[c]) : 1.0;
}

template <class T>
i64 forward(const CrossEntropy& p, i64 begin, i64 end, double* losses, double* weights, void* lse_out) {
    const i64 n = p.classes;
    for (i64 r = begin; r < end; ++r) {
        const T* x = static_cast<const T*>(p.x) + r * n;
        const i64 t = p.target[r];  // read once: another Python thread might change it meanwhile
        const bool counts = t != p.ignore_index;
        if (counts && (t < 0 || t >= n)) return r;
        const T top = row_max(n, x);
        double lse, near = 0;
        if (counts) {
            // Without the target's own term, so that a near-certain row keeps the digits of its small loss.
            const double others = exp_sum<T>(t, x, top, nullptr) + exp_sum<T>(n - t - 1, x + t + 1, top, nullptr);
            lse = static_cast<double>(top) + __builtin_log(others + __builtin_exp(static_cast<double>(x[t] - top)));
            near = x[t] == top ? __builtin_log1p(others) : lse - static_cast<double>(x[t]);
        } else {
            lse = static_cast<double>(top) + __builtin_log(exp_sum<T>(n, x, top, nullptr));
        }
        double loss = 0, w = 0;
        if (counts) {
            w = weight_of<T>(p, t);
            loss = w * near;
            if (p.smoothing != 0) {
                double spread = 0;
                for (i64 c = 0; c < n; ++c) spread += weight_of<T>(p, c) * (lse - static_cast<double>(x[c]));
                loss = (1 - p.smoothing) * loss + p.smoothing / static_cast<double>(n) * spread;
            }
        }
        losses[r] = loss;
        weights[r] = w;
        static_cast<T*>(lse_out)[r] = static_cast<T>(lse);
    }
    return -1;
}

// Row loss = Σ_c q_c (L − x_c) with q the weighted, smoothed target: dx = g · ((Σ q) softmax − q).
template <class T>
i64 backward(const CrossEntropy& p, i64 begin, i64 end, const void* lse, const void* g, i64 g_step, double scale,
             void* result) {
    const i64 n = p.classes;
    const double even = p.smoothing / static_cast<double>(n);
    for (i64 r = begin; r < end; ++r) {
        const T* x = static_cast<const T*>(p.x) + r * n;
        T* dx = static_cast<T*>(result) + r * n;
        const i64 t = p.target[r];
        if (t == p.ignore_index) {
            for (i64 c = 0; c < n; ++c) dx[c] = 0;
            continue;
        }
        if (t < 0 || t >= n) return r;
        const double upstream = static_cast<double>(static_cast<const T*>(g)[r * g_step]) * scale;
        const double own = (1 - p.smoothing) * weight_of<T>(p, t), total = own + even * p.weight_sum;
        const T l = static_cast<const T*>(lse)[r], factor = static_cast<T>(upstream * total);
        const double own_softmax = __builtin_exp(static_cast<double>(x[t] - l));
        if (p.weight && even != 0) {
            const T every = static_cast<T>(upstream * even);
            row_map(n, x, static_cast<const T*>(p.weight), dx,
                    [l, factor, every](auto v, auto w) { return vexp(v - l) * factor - w * every; });
        } else {
            const T every = static_cast<T>(upstream * even);
            row_map(n, x, x, dx, [l, factor, every](auto v, auto) { return vexp(v - l) * factor - every; });
        }
        dx[t] = static_cast<T>(upstream * (total * own_softmax - own - even * weight_of<T>(p, t)));
    }
    return -1;
}

}  // namespace

void fill_cross_entropy(Table& t) {
    t.cross_entropy[0] = forward<float>;
    t.cross_entropy[1] = forward<double>;
    t.cross_entropy_backward[0] = backward<float>;
    t.cross_entropy_backward[1] = backward<double>;
}

}  // namespace TGE_ISA
}  // namespace tge
