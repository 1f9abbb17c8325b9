// Layers y = f(x·wᵀ + b) and their gradients, each in one call.
#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include "reductions.h"

namespace tge {
namespace {

constexpr bool in_order[max_dims] = {};
constexpr i64 worth_unlocking = i64{1} << 18;  // multiplications


// An array (…, n) as a matrix of `count` rows, `step` elements apart, whose elements are `along` apart.
class Rows {
public:
    explicit Rows(const View& v) : packed_(v, in_order) {
        const i64 size = v.item_size;
        data = v.data;
        along = v.strides[v.nd - 1] / size;
        bool even = true;  // do the leading dimensions step evenly through memory?
        for (int d = v.nd - 2; d >= 0; --d) {
            if (v.shape[d] == 1) continue;
            if (count == 1) step = v.strides[d] / size;
            even = even && v.strides[d] == step * count * size;
            count *= v.shape[d];
        }
        if (!even) {
            packed_.read();
            data = packed_.view().data;
            along = 1;
            step = v.shape[v.nd - 1];
        }
    }
    const void* data;
    i64 count = 1, step = 0, along;

private:
    LastAxes packed_;
};

struct Activation {
    const char* name;
    int forward, backward;  // elementwise kernels
    double parameter;
    bool from_input;        // the derivative needs the activation's input, else its output
};
constexpr Activation activations[] = {
    {"none", -1, -1, 0, false},
    {"relu", op_relu, op_relu_backward, 0, false},
    {"sigmoid", op_sigmoid, op_sigmoid_backward, 0, false},
    {"tanh", op_tanh, op_tanh_backward, 0, false},
    {"gelu", op_gelu, op_gelu_backward, 0, true},
    {"gelu_tanh", op_gelu, op_gelu_backward, 1, true},
    {"silu", op_silu, op_silu_backward, 0, true},
};
const Activation& activation_named(const Call& call, std::size_t at) {
    const std::string text = call.text(at);
    for (const Activation& a : activations)
        if (text == a.name) return a;
    throw py::value_error(std::string(call.name()) + ": activation is \"" + text +
                          "\": it can be none, relu, sigmoid, tanh, gelu, gelu_tanh or silu");
}

char* memory(const py::object& array) { return view(array.ptr(), "linear", "out").data; }

void run(int floating, const Gemm& g) {
    bool done;
    {
        const Unlocked unlocked(g.m * g.n * g.k > worth_unlocking);
        done = kernels().gemm[floating](g);
    }
    if (!done) throw std::bad_alloc();
}

// x, w and b of a layer, checked.
struct Layer {
    View x, w, b;
    bool biased = false;
    int floating = -1;

    // False: not for these kernels, and the call has been declined.
    bool take(Call& call) {
        x = call.array(0, "x");
        w = call.array(1, "w");
        biased = call.given(2);
        b = biased ? call.array(2, "b") : w;
        floating = x.floating();
        if (floating < 0) return call.decline_dtype(x), false;
        if (w.floating() != floating || b.floating() != floating) return call.decline_dtype(w), false;
        require(x.nd >= 1 && w.nd == 2 && x.shape[x.nd - 1] == w.shape[1], call,
                "x has shape " + shape_text(x) + ", w " + shape_text(w) +
                    ": the last size of x must be the number of columns of w (outputs, inputs)");
        require(!biased || (b.nd == 1 && b.shape[0] == w.shape[0]), call,
                "b has shape " + shape_text(b) + ", w " + shape_text(w) + ": one bias per row of w");
        return true;
    }
    std::vector<Py_ssize_t> output_shape() const {
        std::vector<Py_ssize_t> shape(x.shape, x.shape + x.nd);
        shape.back() = w.shape[0];
        return shape;
    }
    // z = x·wᵀ + b and, where there is an activation, y = f(z).
    void compute(char* z, char* y, const Activation& f) const {
        const Rows rows(x);
        LastAxes bias(b, in_order);
        if (biased) bias.read();
        const i64 size = float_size(floating), outputs = w.shape[0];
        Gemm g = {rows.count, outputs, w.shape[1], rows.data, w.data, biased ? bias.view().data : nullptr, z, rows.step,
                  rows.along, w.strides[1] / size, w.strides[0] / size, outputs};
        if (f.forward >= 0) {
            g.activation = kernels().elementwise[f.forward][floating];
            g.parameters = &f.parameter;
            g.activated = y;
            g.activated_row = outputs;
        }
        run(floating, g);
    }
};

py::object linear(Call& call) {
    Layer layer;
    if (!layer.take(call)) return {};
    const auto shape = layer.output_shape();
    const int nd = static_cast<int>(shape.size()), type = float_type(layer.floating);
    py::object result = result_array(call.slot[3], call.name(), type, nd, shape.data());
    const View out = view(result.ptr(), call.name(), "out");
    const py::object target = out.contiguous ? result : new_array(type, nd, shape.data());
    layer.compute(memory(target), nullptr, activations[0]);
    if (!target.is(result)) copy_into(out, view(target.ptr(), call.name(), "out"));
    return result;
}

py::object linear_activation(Call& call) {
    Layer layer;
    if (!layer.take(call)) return {};
    const Activation& f = activation_named(call, 3);
    const auto shape = layer.output_shape();
    const auto fresh = [&] { return new_array(float_type(layer.floating), layer.x.nd, shape.data()); };
    py::object y = fresh(), z = f.from_input ? fresh() : py::none();
    layer.compute(memory(f.from_input ? z : y), memory(y), f);
    return py::make_tuple(y, z);
}

// Sums of the columns of a contiguous matrix, each over all rows in order.
void sum_columns(int floating, i64 rows, i64 columns, const char* x, char* sums) {
    struct Job {
        int floating;
        i64 rows, columns;
        const char* x;
        char* sums;
    } job{floating, rows, columns, x, sums};
    constexpr i64 width = 256;
    const Unlocked unlocked(rows * columns > worth_unlocking);
    parallel_for(columns, rows * columns > worth_unlocking ? width : columns,
                 [](void* context, i64 begin, i64 end, int) {
                     const Job& j = *static_cast<Job*>(context);
                     double totals[width];
                     const i64 size = float_size(j.floating);
                     for (i64 c = begin; c < end; c += width) {
                         const i64 n = end - c < width ? end - c : width;
                         kernels().reduce_columns[reduce_sum][j.floating](j.rows, n, j.x + c * size, j.columns * size,
                                                                          totals);
                         for (i64 i = 0; i < n; ++i)
                             if (j.floating == 0) reinterpret_cast<float*>(j.sums)[c + i] = static_cast<float>(totals[i]);
                             else reinterpret_cast<double*>(j.sums)[c + i] = totals[i];
                     }
                 }, &job);
}

// All gradients together, if there is a kernel for that and it takes these.
bool at_once(int floating, LinearBackward layer, const View& x) {
    const auto kernel = kernels().linear_backward[floating];
    if (!kernel) return false;
    const Rows rows(x);
    layer.x = rows.data;
    layer.x_row = rows.step;
    const Unlocked unlocked(layer.rows * layer.outputs * layer.inputs > worth_unlocking);
    return rows.along == 1 && kernel(layer);
}

py::object linear_backward(Call& call) {
    const View g_given = call.array(0, "g");
    const bool has_x = call.given(1), has_w = call.given(2), has_saved = call.given(3);
    const View x = has_x ? call.array(1, "x") : g_given, w = has_w ? call.array(2, "w") : g_given,
               saved = has_saved ? call.array(3, "saved") : g_given;
    const Activation& f = activation_named(call, 4);
    const bool bias = call.truth(5);
    const int floating = g_given.floating();
    for (const View* v : {&g_given, &x, &w, &saved})
        if (v->floating() < 0 || v->floating() != floating) return call.decline_dtype(*v);
    require(g_given.nd >= 1, call, "g has no dimensions; its last is the layer's outputs");
    const i64 outputs = g_given.shape[g_given.nd - 1], size = float_size(floating);
    require(!has_w || (w.nd == 2 && w.shape[0] == outputs), call,
            "g has shape " + shape_text(g_given) + ", w " + shape_text(w) + ": w is (outputs, inputs)");
    bool fits = x.nd == g_given.nd;
    for (int d = 0; fits && d < x.nd - 1; ++d) fits = x.shape[d] == g_given.shape[d];
    require(fits, call, "g has shape " + shape_text(g_given) + ", x " + shape_text(x) + ": they differ in rows");
    require((f.backward < 0) || (has_saved && same_shape(saved, g_given)), call,
            "the derivative of " + std::string(f.name) + " needs what was saved, in the shape of g, " +
                shape_text(g_given));

    LastAxes g(g_given, in_order);
    g.read();
    i64 rows = 1;
    for (int d = 0; d < g_given.nd - 1; ++d) rows *= g_given.shape[d];

    py::object dx = py::none(), dw = py::none(), db = py::none();
    const i64 inputs = has_x ? x.shape[x.nd - 1] : has_w ? w.shape[1] : 0;
    if (has_w) {
        std::vector<Py_ssize_t> shape(g_given.shape, g_given.shape + g_given.nd);
        shape.back() = w.shape[1];
        dx = new_array(float_type(floating), g_given.nd, shape.data());
    }
    if (has_x) {
        const Py_ssize_t shape[] = {outputs, inputs};
        dw = new_array(float_type(floating), 2, shape);
    }
    if (bias) {
        const Py_ssize_t shape[] = {outputs};
        db = new_array(float_type(floating), 1, shape);
    }
    const Inner derivative = f.backward < 0 ? nullptr : kernels().elementwise[f.backward][floating];
    if (has_w && has_x && w.shape[1] == inputs && (!derivative || saved.contiguous) &&
        at_once(floating, {rows, outputs, inputs, g.view().data, saved.data, nullptr, w.data, 0, w.strides[0] / size,
                           w.strides[1] / size, derivative, &f.parameter, kernels().reduce_columns[reduce_sum][floating],
                           memory(dx), memory(dw), bias ? memory(db) : nullptr}, x))
        return py::make_tuple(dx, dw, db);
    const char* slope = g.view().data;  // of the linear part
    py::object made;
    if (derivative) {
        made = new_array(float_type(floating), g_given.nd, g_given.shape);
        const View to = view(made.ptr(), call.name(), "g");
        const Operand operands[] = {broadcast(to, to.nd), broadcast(g.view(), to.nd), broadcast(saved, to.nd)};
        run_loop(derivative, 3, operands, to.nd, to.shape, &f.parameter, 8);
        slope = to.data;
    }
    if (has_w)
        run(floating, {rows, w.shape[1], outputs, slope, w.data, nullptr, memory(dx), outputs, 1, w.strides[0] / size,
                       w.strides[1] / size, w.shape[1]});
    if (has_x) {
        const Rows from(x);
        run(floating, {outputs, inputs, rows, slope, from.data, nullptr, memory(dw), 1, outputs, from.step, from.along,
                       inputs});
    }
    if (bias) sum_columns(floating, rows, outputs, slope, memory(db));
    return py::make_tuple(dx, dw, db);
}

}  // namespace

void add_linear(std::vector<Kernel>& list) {
    list.push_back({"linear", "x, w, b, *, out=None", linear});
    list.push_back({"linear_activation", "x, w, b, activation", linear_activation});
    list.push_back({"linear_backward", "g, x, w, saved, activation, bias", linear_backward});
}

}  // namespace tge
