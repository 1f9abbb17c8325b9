// Attention and its gradients: the arrays around the kernels.
#include "../cpu/isa.h"
#include "reductions.h"
#include "windows.h"

namespace tge {
namespace {

constexpr bool in_order[max_dims] = {};


// q, k, v and the mask, checked; arguments begin at `at`.
struct Inputs {
    View q, k, v, mask;
    bool masked = false;
    int floating = -1, lead = 1;  // dimensions of the batch
    Attention a{};

    // False: not for these kernels, and the call has been declined.
    bool take(Call& call, std::size_t at) {
        q = call.array(at, "q");
        k = call.array(at + 1, "k");
        v = call.array(at + 2, "v");
        masked = call.given(at + 3);
        mask = masked ? call.array(at + 3, "mask") : q;
        floating = q.floating();
        for (const View* view : {&q, &k, &v, &mask})
            if (view->floating() < 0 || view->floating() != floating) return call.decline_dtype(*view), false;
        const std::string shapes = "q has shape " + shape_text(q) + ", k " + shape_text(k) + ", v " + shape_text(v);
        require((q.nd == 3 || q.nd == 4) && k.nd == q.nd && v.nd == q.nd, call,
                shapes + ": (B, T, D), (B, S, D) and (B, S, E) are needed, or B and heads in front of them");
        lead = q.nd - 2;
        bool agree = q.shape[lead + 1] == k.shape[lead + 1] && k.shape[lead] == v.shape[lead];
        for (int d = 0; d < lead; ++d) agree = agree && q.shape[d] == k.shape[d] && k.shape[d] == v.shape[d];
        require(agree, call, shapes + ": B, D and S must agree");
        a.heads = q.shape[lead - 1];
        a.batch = lead > 1 ? checked(q.shape[0], a.heads, 0) : a.heads;
        if (lead == 1 || a.heads == 0) a.heads = a.batch > 0 ? a.batch : 1;
        a.queries = q.shape[lead];
        a.keys = k.shape[lead];
        a.depth = q.shape[lead + 1];
        a.width = v.shape[lead + 1];
        require(!masked || (mask.nd == 3 && mask.shape[1] == a.queries && mask.shape[2] == a.keys &&
                            (mask.shape[0] > 0 ? a.batch % mask.shape[0] == 0 : a.batch == 0)), call,
                "mask has shape " + shape_text(mask) + ", " + shapes + ": (M, T, S) with M dividing B is needed");
        a.q = q.data;
        a.k = k.data;
        a.v = v.data;
        a.q_sample = steps(q, a.q_step);
        a.k_sample = steps(k, a.k_step);
        a.v_sample = steps(v, a.v_step);
        if (masked) {
            a.mask = mask.data;
            a.masks = mask.shape[0];
            steps(mask, a.mask_step);
        }
        a.causal = call.truth(at + 4);
        a.scale = call.number(at + 5);
        return true;
    }
    // The last three; returns the one in front of them.
    i64 steps(const View& view, i64 (&step)[3]) const {
        const i64 size = float_size(floating);
        for (int d = 0; d < 3; ++d) step[d] = view.strides[view.nd - 3 + d] / size;
        return view.nd > 3 ? view.strides[0] / size : 0;
    }
    // (B, rows, columns), or B and heads in front of them; without columns, one number a row.
    py::object like(i64 rows, i64 columns = -1) const {
        Py_ssize_t shape[4] = {};
        for (int d = 0; d < lead; ++d) shape[d] = q.shape[d];
        shape[lead] = rows;
        shape[lead + 1] = columns;
        return new_array(float_type(floating), columns < 0 ? lead + 1 : lead + 2, shape);
    }
    bool is_like(const View& v, i64 rows, i64 columns = -1) const {
        bool fits = v.nd == (columns < 0 ? lead + 1 : lead + 2) && v.shape[lead] == rows;
        for (int d = 0; fits && d < lead; ++d) fits = v.shape[d] == q.shape[d];
        return fits && (columns < 0 || v.shape[lead + 1] == columns);
    }
    void run(bool (*kernel)(const Attention&)) const {
        const Unlocked unlocked(a.batch * a.queries * a.keys > 4096);
        if (!kernel(a)) throw std::bad_alloc();
    }
    bool is_empty() const { return a.batch == 0 || a.queries == 0 || a.keys == 0 || a.depth == 0 || a.width == 0; }
};

void* memory(const py::object& array) { return view(array.ptr(), "attention", "out").data; }

py::object attention(Call& call) {
    Inputs in;
    if (!in.take(call, 0)) return {};
    if (in.is_empty()) return call.decline("no elements");
    py::object y = in.like(in.a.queries, in.a.width), lse = in.like(in.a.queries);
    in.a.y = memory(y);
    in.a.lse = memory(lse);
    in.run(kernels().attention[in.floating]);
    return py::make_tuple(y, lse);
}

py::object attention_backward(Call& call) {
    Inputs in;
    if (!in.take(call, 1)) return {};
    const View g_given = call.array(0, "g"), y_given = call.array(7, "y"), lse_given = call.array(8, "lse");
    for (const View* view : {&g_given, &y_given, &lse_given})
        if (view->floating() != in.floating) return call.decline_dtype(*view);
    const Attention& sizes = in.a;
    require(in.is_like(g_given, sizes.queries, sizes.width) && in.is_like(y_given, sizes.queries, sizes.width), call,
            "g has shape " + shape_text(g_given) + ", y " + shape_text(y_given) + ": (B, T, E) is needed, with q of shape " +
                shape_text(in.q) + " and v " + shape_text(in.v));
    require(in.is_like(lse_given, sizes.queries), call,
            "lse has shape " + shape_text(lse_given) + ", q " + shape_text(in.q) + ": (B, T) is needed");
    if (in.is_empty()) return call.decline("no elements");
    LastAxes g(g_given, in_order), y(y_given, in_order), lse(lse_given, in_order);
    g.read();
    y.read();
    lse.read();
    py::object dq = in.like(sizes.queries, sizes.depth), dk = in.like(sizes.keys, sizes.depth),
               dv = in.like(sizes.keys, sizes.width);
    in.a.g = g.view().data;
    in.a.g_sample = in.steps(g.view(), in.a.g_step);
    in.a.y = y.view().data;
    in.a.lse = lse.view().data;
    in.a.dq = memory(dq);
    in.a.dk = memory(dk);
    in.a.dv = memory(dv);
    in.run(kernels().attention_backward[in.floating]);
    return py::make_tuple(dq, dk, dv);
}

}  // namespace

void add_attention(std::vector<Kernel>& list) {
    list.push_back({"attention", "q, k, v, mask, causal, scale", attention});
    list.push_back({"attention_backward", "g, q, k, v, mask, causal, scale, y, lse", attention_backward});
}

}  // namespace tge
