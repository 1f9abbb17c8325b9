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
    for (i64 start = begin, block = rows_together(n); start < end; start += block) {
        const i64 count = block < end - start ? block : end - start;
        i64 targets[most_rows_together];
        double tops[most_rows_together], others[most_rows_together], own[most_rows_together], all[most_rows_together];
        for (i64 i = 0; i < most_rows_together; ++i) others[i] = all[i] = 1, own[i] = 0;
        for (i64 r = 0; r < count; ++r) {
            const T* x = static_cast<const T*>(p.x) + (start + r) * n;
            const i64 t = p.target[start + r];  // read once: another Python thread might change it meanwhile
            const bool counts = t != p.ignore_index;
            if (counts && (t < 0 || t >= n)) return start + r;
            targets[r] = counts ? t : -1;
            const T top = row_max(n, x);
            tops[r] = static_cast<double>(top);
            // Without the target's own term, so that a near-certain row keeps the digits of its small loss.
            others[r] = exp_sum<T>(n, x, top, nullptr, targets[r]);
            own[r] = counts ? static_cast<double>(x[t] - top) : static_cast<double>(-__builtin_inff());
        }
        double gaps[most_rows_together];
        __builtin_memcpy(gaps, own, sizeof gaps);
        together<T>(count, own, [](D v) { return Lite::exp(v); }, [](double v) { return __builtin_exp(v); });
        for (i64 r = 0; r < count; ++r) all[r] = others[r] + own[r];
        logs<T>(count, all);
        together<T>(count, others, [](D v) { return Lite::log1p(v); }, [](double v) { return __builtin_log1p(v); });
        for (i64 r = 0; r < count; ++r) {
            const double lse = tops[r] + all[r];
            double loss = 0, w = 0;
            if (targets[r] >= 0) {
                w = weight_of<T>(p, targets[r]);
                loss = w * (gaps[r] == 0 ? others[r] : all[r] - gaps[r]);
                if (p.smoothing != 0) {
                    const T* x = static_cast<const T*>(p.x) + (start + r) * n;
                    double spread = 0;
                    for (i64 c = 0; c < n; ++c) spread += weight_of<T>(p, c) * (lse - static_cast<double>(x[c]));
                    loss = (1 - p.smoothing) * loss + p.smoothing / static_cast<double>(n) * spread;
                }
            }
            losses[start + r] = loss;
            weights[start + r] = w;
            static_cast<T*>(lse_out)[start + r] = static_cast<T>(lse);
        }
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
