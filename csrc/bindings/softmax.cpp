// Softmax, log-softmax and their derivatives along any axis.
#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include "reductions.h"

namespace tge {
namespace {

using OneInput = void (*)(i64, i64, const void*, void*);
using TwoInputs = void (*)(i64, i64, const void*, const void*, void*);

struct Rows {
    OneInput one;
    TwoInputs two;
    i64 n, row_bytes;
    const char *a, *b;
    char* out;

    static void run(void* context, i64 begin, i64 end, int) {
        const auto& r = *static_cast<Rows*>(context);
        const i64 at = begin * r.row_bytes, rows = end - begin;
        if (r.one) r.one(rows, r.n, r.a + at, r.out + at);
        else r.two(rows, r.n, r.a + at, r.b + at, r.out + at);
    }
};

py::object rowwise(Call& call, const OneInput* one, const TwoInputs* two) {
    const int inputs = one ? 1 : 2;
    const View a = call.array(0, one ? "x" : "g"), b = one ? a : call.array(1, "y");
    const int floating = a.floating();
    if (floating < 0) return call.decline_dtype(a);
    if (b.floating() != floating) return call.decline_dtype(b);
    if (!same_shape(a, b))
        throw py::value_error(std::string(call.name()) + ": g has shape " + shape_text(a) + ", y " + shape_text(b));
    i64 axis = call.integer(static_cast<std::size_t>(inputs));
    if (axis < 0) axis += a.nd;
    if (axis < 0 || axis >= a.nd)
        throw py::value_error(std::string(call.name()) + ": there is no axis " + std::to_string(axis) + " in shape " +
                              shape_text(a));
    py::object result =
        result_array(call.slot[inputs + 1], call.name(), float_type(floating), a.nd, a.shape);
    const i64 size = a.size();
    if (size == 0) return result;
    bool last[max_dims] = {};
    last[axis] = true;
    LastAxes first(a, last), second(b, last), out(view(result.ptr(), call.name(), "out"), last);
    first.read();
    if (two) second.read();
    const i64 n = a.shape[axis], rows = size / n;
    Rows job{one ? one[floating] : nullptr, two ? two[floating] : nullptr, n, n * float_size(floating),
             first.view().data, second.view().data, out.view().data};
    {
        const Unlocked unlocked(size > 16384);
        parallel_for(rows, n >= 16384 ? 1 : 16384 / n + 1, Rows::run, &job);
    }
    out.write_back();
    return result;
}

py::object softmax(Call& call) { return rowwise(call, kernels().softmax, nullptr); }
py::object log_softmax(Call& call) { return rowwise(call, kernels().log_softmax, nullptr); }
py::object softmax_backward(Call& call) { return rowwise(call, nullptr, kernels().softmax_backward); }
py::object log_softmax_backward(Call& call) { return rowwise(call, nullptr, kernels().log_softmax_backward); }

}  // namespace

void add_softmax(std::vector<Kernel>& list) {
    list.push_back({"softmax", "x, axis, *, out=None", softmax});
    list.push_back({"softmax_backward", "g, y, axis, *, out=None", softmax_backward});
    list.push_back({"log_softmax", "x, axis, *, out=None", log_softmax});
    list.push_back({"log_softmax_backward", "g, y, axis, *, out=None", log_softmax_backward});
}

}  // namespace tge
