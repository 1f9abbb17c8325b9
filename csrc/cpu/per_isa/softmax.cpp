// Softmax and log-softmax over rows, and their derivatives. A row's result does not depend on the other rows.
#include "kernels.h"
#include "rows.h"

namespace tge {
namespace TGE_ISA {
namespace {

template <class T>
void softmax(i64 rows, i64 n, const void* input, void* output) {
    for (i64 r = 0; r < rows; ++r) {
        const T* x = static_cast<const T*>(input) + r * n;
        T* y = static_cast<T*>(output) + r * n;
        const T scale = static_cast<T>(1 / exp_sum<T>(n, x, row_max(n, x), y));
        row_map(n, y, y, y, [scale](auto e, auto) { return e * scale; });
    }
}

template <class T>
void log_softmax(i64 rows, i64 n, const void* input, void* output) {
    for (i64 start = 0, block = rows_together(n); start < rows; start += block) {
        const i64 count = block < rows - start ? block : rows - start;
        T tops[most_rows_together];
        double shifts[most_rows_together];
        for (double& s : shifts) s = 1;
        for (i64 r = 0; r < count; ++r) {
            const T* x = static_cast<const T*>(input) + (start + r) * n;
            tops[r] = row_max(n, x);
            shifts[r] = exp_sum<T>(n, x, tops[r], nullptr);
        }
        logs<T>(count, shifts);
        for (i64 r = 0; r < count; ++r) {
            const T* x = static_cast<const T*>(input) + (start + r) * n;
            const T top = tops[r], shift = static_cast<T>(shifts[r]);
            row_map(n, x, x, static_cast<T*>(output) + (start + r) * n,
                    [top, shift](auto v, auto) { return (v - top) - shift; });
        }
    }
}

template <class T>
void softmax_backward(i64 rows, i64 n, const void* upstream, const void* output, void* result) {
    for (i64 r = 0; r < rows; ++r) {
        const T* g = static_cast<const T*>(upstream) + r * n;
        const T* y = static_cast<const T*>(output) + r * n;
        const T dot = static_cast<T>(row_sum(n, g, y, [](auto a, auto b) { return a * b; }));
        row_map(n, g, y, static_cast<T*>(result) + r * n, [dot](auto a, auto b) { return b * (a - dot); });
    }
}

template <class T>
void log_softmax_backward(i64 rows, i64 n, const void* upstream, const void* output, void* result) {
    for (i64 r = 0; r < rows; ++r) {
        const T* g = static_cast<const T*>(upstream) + r * n;
        const T* y = static_cast<const T*>(output) + r * n;
        const T sum = static_cast<T>(row_sum(n, g, g, [](auto a, auto) { return a; }));
        row_map(n, g, y, static_cast<T*>(result) + r * n, [sum](auto a, auto b) { return a - vexp(b) * sum; });
    }
}

}  // namespace

void fill_softmax(Table& t) {
#define BOTH(kernel)                \
    t.kernel[0] = kernel<float>;    \
    t.kernel[1] = kernel<double>;
    BOTH(softmax) BOTH(log_softmax) BOTH(softmax_backward) BOTH(log_softmax_backward)
#undef BOTH
}

}  // namespace TGE_ISA
}  // namespace tge
