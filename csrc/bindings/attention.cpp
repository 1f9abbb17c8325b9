// Attention and its gradients: the arrays around the kernels.
#include <optional>

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
        a.q = matrices_of(q);
        a.k = matrices_of(k);
        a.v = matrices_of(v);
        if (masked) {
            a.mask = matrices_of(mask);
            a.masks = mask.shape[0];
        }
        a.causal = call.truth(at + 4);
        a.scale = call.number(at + 5);
        return true;
    }
    Matrices matrices_of(const View& view) const {
        const i64 size = float_size(floating);
        Matrices matrices{view.data, view.nd > 3 ? view.strides[0] / size : 0, {}};
        for (int d = 0; d < 3; ++d) matrices.step[d] = view.strides[view.nd - 3 + d] / size;
        return matrices;
    }
    // (B, rows, columns), or B and heads in front of them; without columns, one number a row.
    py::object like(i64 rows, i64 columns = -1) const {
        Py_ssize_t shape[4] = {};
        for (int d = 0; d < lead; ++d) shape[d] = q.shape[d];
        shape[lead] = rows;
        shape[lead + 1] = columns;
        return new_array(float_type(floating), columns < 0 ? lead + 1 : lead + 2, shape);
    }
    // The same, in memory as `model` is: if there a row's heads lie beside each other, before the next row, here as well.
    // What splits rows into heads and joins them again needs no copy then.
    py::object as(const View& model, i64 rows, i64 columns) const {
        if (lead == 1 || model.strides[1] >= model.strides[2]) return like(rows, columns);
        const Py_ssize_t memory[] = {q.shape[0], rows, q.shape[1], columns};
        return part(new_array(float_type(floating), 4, memory), 0, rows, columns, q.shape[1] * columns);
    }
    // Heads of `columns` numbers beside each other from element `first` of `whole` on, rows `row` elements apart.
    py::object part(const py::object& whole, i64 first, i64 rows, i64 columns, i64 row) const {
        const i64 size = float_size(floating);
        const Py_ssize_t shape[] = {q.shape[0], q.shape[1], rows, columns};
        const Py_ssize_t strides[] = {rows * row * size, columns * size, row * size, size};
        return part_of(whole, first * size, 4, shape, strides);
    }
    // Whether q, k and v are neighbours in the rows of one array, as a layer that computes all three leaves them.
    bool are_neighbours() const {
        if (lead == 1 || a.queries != a.keys || a.depth != a.width) return false;
        const i64 size = float_size(floating), heads = q.shape[1] * a.depth * size;
        for (const View* view : {&q, &k, &v})
            if (view->strides[3] != size || view->strides[1] != a.depth * size || view->strides[2] != 3 * heads ||
                view->strides[0] != a.queries * 3 * heads)
                return false;
        return k.data == q.data + heads && v.data == k.data + heads;
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

// x itself if the numbers of a row are neighbours, else a copy.
const View& with_rows_of_neighbours(const View& x, std::optional<LastAxes>& copy) {
    if (x.strides[x.nd - 1] == x.item_size || x.shape[x.nd - 1] == 1) return x;
    copy.emplace(x, in_order);
    copy->read();
    return copy->view();
}

py::object attention(Call& call) {
    Inputs in;
    if (!in.take(call, 0)) return {};
    if (in.is_empty()) return call.decline("no elements");
    py::object y = in.as(in.q, in.a.queries, in.a.width), lse = in.like(in.a.queries);
    in.a.y = in.matrices_of(view(y.ptr(), call.name(), "y"));
    in.a.lse = view(lse.ptr(), call.name(), "lse").data;
    in.run(kernels().attention[in.floating]);
    return py::make_tuple(y, lse);
}

py::object attention_backward(Call& call) {
    Inputs in;
    if (!in.take(call, 1)) return {};
    const View g_given = call.array(0, "g"), y_given = call.array(7, "y"), lse_given = call.array(8, "lse");
    for (const View* view : {&g_given, &y_given, &lse_given})
        if (view->floating() != in.floating) return call.decline_dtype(*view);
    Attention& a = in.a;
    require(in.is_like(g_given, a.queries, a.width) && in.is_like(y_given, a.queries, a.width), call,
            "g has shape " + shape_text(g_given) + ", y " + shape_text(y_given) + ": (B, T, E) is needed, with q of shape " +
                shape_text(in.q) + " and v " + shape_text(in.v));
    require(in.is_like(lse_given, a.queries), call,
            "lse has shape " + shape_text(lse_given) + ", q " + shape_text(in.q) + ": (B, T) is needed");
    if (in.is_empty()) return call.decline("no elements");
    std::optional<LastAxes> g, y;
    a.g = in.matrices_of(with_rows_of_neighbours(g_given, g));
    a.y = in.matrices_of(with_rows_of_neighbours(y_given, y));
    LastAxes lse(lse_given, in_order);
    lse.read();
    a.lse = lse.view().data;
    py::object dq, dk, dv;
    if (in.are_neighbours()) {  // and so are their gradients
        const i64 heads = in.q.shape[1] * a.depth;
        const Py_ssize_t shape[] = {in.q.shape[0], a.queries, 3 * heads};
        const py::object whole = new_array(float_type(in.floating), 3, shape);
        dq = in.part(whole, 0, a.queries, a.depth, 3 * heads);
        dk = in.part(whole, heads, a.queries, a.depth, 3 * heads);
        dv = in.part(whole, 2 * heads, a.queries, a.depth, 3 * heads);
    } else {
        dq = in.as(in.q, a.queries, a.depth);
        dk = in.as(in.k, a.keys, a.depth);
        dv = in.as(in.v, a.keys, a.width);
    }
    a.dq = in.matrices_of(view(dq.ptr(), call.name(), "dq"));
    a.dk = in.matrices_of(view(dk.ptr(), call.name(), "dk"));
    a.dv = in.matrices_of(view(dv.ptr(), call.name(), "dv"));
    in.run(kernels().attention_backward[in.floating]);
    return py::make_tuple(dq, dk, dv);
}

}  // namespace

void add_attention(std::vector<Kernel>& list) {
    list.push_back({"attention", "q, k, v, mask, causal, scale", attention});
    list.push_back({"attention_backward", "g, q, k, v, mask, causal, scale, y, lse", attention_backward});
}

}  // namespace tge
