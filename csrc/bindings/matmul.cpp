// Matrix products: shapes, batches and layouts around the one gemm kernel.
#include <atomic>

#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include "reductions.h"

namespace tge {
namespace {

struct Batch {
    Gemm gemm;
    int floating, dims;
    i64 shape[max_dims], a_strides[max_dims], b_strides[max_dims], c_strides[max_dims];  // bytes
    std::atomic<bool> failed{false};

    void run(i64 index) {
        Gemm g = gemm;
        i64 a = 0, b = 0, c = 0;
        for (int d = dims - 1; d >= 0; --d) {
            const i64 at = index % shape[d];
            index /= shape[d];
            a += at * a_strides[d], b += at * b_strides[d], c += at * c_strides[d];
        }
        g.a = static_cast<const char*>(g.a) + a;
        g.b = static_cast<const char*>(g.b) + b;
        g.c = static_cast<char*>(g.c) + c;
        if (!kernels().gemm[floating](g)) failed = true;
    }
};

void run_batch(Batch& batch) {
    // Leading dimensions of A that share one B and lie evenly are more rows of one product.
    Gemm& g = batch.gemm;
    const i64 size = float_size(batch.floating);
    while (batch.dims > 0) {
        const int d = batch.dims - 1;
        const i64 n = batch.shape[d];
        const bool even = batch.b_strides[d] == 0 && (g.m == 1 || batch.a_strides[d] == g.a_row * size * g.m) &&
                          (g.m == 1 || batch.c_strides[d] == g.c_row * size * g.m);
        if (n != 1 && !even) break;
        if (n != 1) {
            if (g.m == 1) g.a_row = batch.a_strides[d] / size, g.c_row = batch.c_strides[d] / size;
            g.m *= n;
        }
        --batch.dims;
    }
    i64 count = 1;
    for (int d = 0; d < batch.dims; ++d) count *= batch.shape[d];
    const i64 work = g.m * g.n * g.k;
    {
        const Unlocked unlocked(count * work > (i64{1} << 18));
        const auto piece = [](void* context, i64 begin, i64 end, int) {
            for (i64 i = begin; i < end; ++i) static_cast<Batch*>(context)->run(i);
        };
        if (count == 1 || count * work < (i64{1} << 19)) piece(&batch, 0, count, 0);
        else parallel_for(count, work >= (1 << 18) ? 1 : (1 << 18) / (work + 1) + 1, piece, &batch);
    }
    if (batch.failed) throw std::bad_alloc();
}

// Rows of C must have their columns side by side: a temporary stands in for an `out` that does not.
py::object product_array(const Call& call, PyObject* out, int floating, int nd, const Py_ssize_t* shape,
                         py::object& result) {
    result = result_array(out, call.name(), float_type(floating), nd, shape);
    const View v = view(result.ptr(), call.name(), "out");
    return v.contiguous ? result : new_array(float_type(floating), nd, shape);
}

py::object matmul(Call& call) {
    const View a = call.array(0, "a"), b = call.array(1, "b");
    const int floating = a.floating();
    if (floating < 0) return call.decline_dtype(a);
    if (b.floating() != floating) return call.decline_dtype(b);
    if (a.nd < 2 || b.nd < 2) return call.decline("a vector operand");
    const Py_ssize_t m = a.shape[a.nd - 2], k = a.shape[a.nd - 1], n = b.shape[b.nd - 1];
    if (b.shape[b.nd - 2] != k)
        throw py::value_error("matmul: " + shape_text(a) + " times " + shape_text(b) + ": the inner sizes " +
                              std::to_string(k) + " and " + std::to_string(b.shape[b.nd - 2]) + " differ" +
                              (b.shape[b.nd - 1] == k ? "; did you mean the transpose of b?" : ""));
    const int nd = a.nd > b.nd ? a.nd : b.nd, dims = nd - 2;
    Py_ssize_t shape[max_dims];
    for (int d = 0; d < dims; ++d) {
        const int da = d - (nd - a.nd), db = d - (nd - b.nd);
        const Py_ssize_t na = da < 0 ? 1 : a.shape[da], nb = db < 0 ? 1 : b.shape[db];
        if (na != nb && na != 1 && nb != 1)
            throw py::value_error("matmul: the leading dimensions of " + shape_text(a) + " and " + shape_text(b) +
                                  " do not broadcast");
        shape[d] = na == 1 ? nb : na;
    }
    shape[nd - 2] = m;
    shape[nd - 1] = n;
    py::object result;
    const py::object target = product_array(call, call.slot[2], floating, nd, shape, result);
    const View c = view(target.ptr(), call.name(), "out");
    if (c.size() > 0) {
        const i64 size = float_size(floating);
        Batch batch;
        batch.gemm = {m, n, k, a.data, b.data, nullptr, c.data, a.strides[a.nd - 2] / size, a.strides[a.nd - 1] / size,
                      b.strides[b.nd - 2] / size, b.strides[b.nd - 1] / size, n};
        batch.floating = floating;
        batch.dims = dims;
        const Operand a_steps = broadcast(a, nd), b_steps = broadcast(b, nd), c_steps = broadcast(c, nd);
        for (int d = 0; d < dims; ++d) {
            batch.shape[d] = shape[d];
            batch.a_strides[d] = a_steps.strides[d];
            batch.b_strides[d] = b_steps.strides[d];
            batch.c_strides[d] = c_steps.strides[d];
        }
        run_batch(batch);
    }
    if (!target.is(result)) copy_into(view(result.ptr(), call.name(), "out"), c);
    return result;
}

}  // namespace

void add_matmul(std::vector<Kernel>& list) {
    list.push_back({"matmul", "a, b, *, out=None", matmul});
}

}  // namespace tge
