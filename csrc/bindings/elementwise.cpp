// Elementwise kernels and memory: empty, full, copy, cast.
#include "../cpu/isa.h"
#include "call.h"

namespace tge {
namespace {

struct OpShape {
    int inputs, parameters;
    bool to_bool, costly;
};
#define X(name, inputs, parameters, result, costly) {inputs, parameters, result != 0, costly != 0},
const OpShape op_shapes[] = {TGE_ELEMENTWISE(X)};
#undef X

// The shape that the inputs broadcast to.
int broadcast_shape(const Call& call, int count, const View* inputs, Py_ssize_t* shape) {
    int nd = 0;
    for (int i = 0; i < count; ++i)
        if (inputs[i].nd > nd) nd = inputs[i].nd;
    for (int d = 0; d < nd; ++d) shape[d] = 1;
    for (int i = 0; i < count; ++i)
        for (int d = 0; d < inputs[i].nd; ++d) {
            Py_ssize_t& size = shape[d + nd - inputs[i].nd];
            const Py_ssize_t own = inputs[i].shape[d];
            if (own == size || own == 1) continue;
            if (size != 1) {
                std::string shapes = shape_text(inputs[0]);
                for (int k = 1; k < count; ++k) shapes += " and " + shape_text(inputs[k]);
                throw py::value_error(std::string(call.name()) + ": shapes " + shapes +
                                      " do not broadcast: sizes must be equal or 1, counted from the last");
            }
            size = own;
        }
    return nd;
}

// Runs op on the inputs; `decline` has been ruled out.
py::object run_op(const Call& call, int op, int floating, int count, const View* inputs, const double* parameters,
                  PyObject* out) {
    const OpShape& spec = op_shapes[op];
    Py_ssize_t shape[max_dims];
    const int nd = broadcast_shape(call, count, inputs, shape);
    const int type_num = spec.to_bool ? type_bool : float_type(floating);
    py::object result = result_array(out, call.name(), type_num, nd, shape);
    const View to = view(result.ptr(), call.name(), "out");
    Operand operands[4];
    operands[0] = broadcast(to, nd);
    for (int i = 0; i < count; ++i) operands[i + 1] = broadcast(inputs[i], nd);
    run_loop(kernels().elementwise[op][floating], count + 1, operands, nd, shape, parameters, spec.costly ? 8 : 1);
    return result;
}

// A Python number beside arrays: an array of one entry in their dtype.
struct Number {
    float single;
    double twice;

    static bool is(PyObject* object) { return object && (PyFloat_CheckExact(object) || PyLong_CheckExact(object)); }
    View view(double value, int floating) {
        single = static_cast<float>(value);
        twice = value;
        View v;
        v.data = floating == 0 ? reinterpret_cast<char*>(&single) : reinterpret_cast<char*>(&twice);
        v.type_num = float_type(floating);
        v.item_size = float_size(floating);
        v.usable = v.contiguous = true;
        return v;
    }
};

py::object elementwise(Call& call) {
    const int op = call.kernel.op;
    const OpShape& spec = op_shapes[op];
    static const char* const letters[] = {"argument 1", "argument 2", "argument 3"};
    View inputs[3];
    Number numbers[3];
    const int first = op == op_where ? 1 : 0;  // before it there is the condition
    int floating = -2;                         // of the arrays: all the same
    for (int i = 0; i < spec.inputs; ++i) {
        const auto slot = static_cast<std::size_t>(i);
        if (i >= first && Number::is(call.slot[slot]) && (i + 1 < spec.inputs || floating != -2)) continue;
        inputs[i] = call.array(slot, letters[i]);
        if (i < first) {
            if (!inputs[i].usable || inputs[i].type_num != type_bool) return call.decline_dtype(inputs[i]);
            continue;
        }
        if (floating == -2) floating = inputs[i].floating();
        if (floating < 0 || inputs[i].floating() != floating) return call.decline_dtype(inputs[i]);
    }
    for (int i = first; i < spec.inputs; ++i)
        if (const auto slot = static_cast<std::size_t>(i); inputs[i].type_num < 0)
            inputs[i] = numbers[i].view(call.number(slot), floating);
    double parameters[2];
    const auto count = static_cast<std::size_t>(spec.inputs), extra = static_cast<std::size_t>(spec.parameters);
    for (std::size_t i = 0; i < extra; ++i) parameters[i] = call.number(count + i);
    return run_op(call, op, floating, spec.inputs, inputs, parameters, call.slot[count + extra]);
}

// g · 2/n · (x − y)
py::object mse_backward(Call& call) {
    const View inputs[] = {call.array(0, "g"), call.array(1, "x"), call.array(2, "y")};
    const int floating = inputs[1].floating();
    for (const View& v : inputs)
        if (v.floating() < 0 || v.floating() != floating) return call.decline_dtype(v);
    if (!same_shape(inputs[1], inputs[2]))
        throw py::value_error("mse_backward: x has shape " + shape_text(inputs[1]) + ", y " + shape_text(inputs[2]));
    const i64 n = inputs[1].size();
    const double scale = call.text(3) == "mean" && n > 0 ? 2.0 / static_cast<double>(n) : 2.0;
    return run_op(call, op_mse_backward, floating, 3, inputs, &scale, nullptr);
}

py::object empty(Call& call) {
    const int floating = call.floating_dtype(1);
    if (floating < 0) return call.decline("not a float dtype");
    const auto shape = call.shape(0);
    return new_array(float_type(floating), static_cast<int>(shape.size()), shape.data());
}

py::object full(Call& call) {
    const int floating = call.floating_dtype(2);
    if (floating < 0) return call.decline("not a float dtype");
    if (!PyFloat_Check(call.slot[1]) && !PyLong_Check(call.slot[1])) return call.decline("not a plain number");
    const double value = call.number(1);
    const auto shape = call.shape(0);
    const int nd = static_cast<int>(shape.size());
    py::object result = new_array(float_type(floating), nd, shape.data());
    const View to = view(result.ptr(), call.name(), "out");
    float single = static_cast<float>(value);
    double twice = value;
    Operand operands[] = {broadcast(to, nd), {floating == 0 ? reinterpret_cast<char*>(&single)
                                                            : reinterpret_cast<char*>(&twice), {}}};
    run_loop(kernels().copy[floating == 0 ? 2 : 3], 2, operands, nd, shape.data(), nullptr, 1);
    return result;
}

py::object copied(const Call& call, const View& x, PyObject* out) {
    if (!out) {
        py::object result = new_array(x.type_num, x.nd, x.shape);
        copy_into(view(result.ptr(), call.name(), "out"), x);
        return result;
    }
    const View to = view(out, call.name(), "out");
    Py_ssize_t shape[max_dims];
    const View both[] = {to, x};
    const int nd = broadcast_shape(call, 2, both, shape);
    py::object result = result_array(out, call.name(), x.type_num, nd, shape);  // x may not be the larger one
    copy_into(to, x);
    return result;
}

py::object copy(Call& call) {
    const View x = call.array(0, "x");
    const bool known = x.type_num == type_bool || x.is_int64() || x.floating() >= 0;
    if (!known || !x.usable) return call.decline_dtype(x);
    if (!call.given(1)) return copied(call, x, nullptr);
    if (call.array(1, "out").type_num != x.type_num || !call.array(1, "out").usable) return call.decline("a cast");
    return copied(call, x, call.slot[1]);
}

py::object cast(Call& call) {
    const View x = call.array(0, "x");
    if (x.floating() < 0 || call.floating_dtype(1) != x.floating()) return call.decline("a cast");
    return copied(call, x, nullptr);
}

const char* signature_of(const OpShape& spec, const char* name) {
    const std::string text = name;
    if (text == "where") return "condition, a, b, *, out=None";
    if (text.rfind("gelu", 0) == 0) return spec.inputs == 1 ? "x, tanh_form, *, out=None" : "g, x, tanh_form, *, out=None";
    if (text.rfind("softplus", 0) == 0)
        return spec.inputs == 1 ? "x, beta, threshold, *, out=None" : "g, x, beta, threshold, *, out=None";
    if (text.rfind("elu", 0) == 0) return spec.inputs == 1 ? "x, alpha, *, out=None" : "g, x, alpha, *, out=None";
    if (text.rfind("leaky", 0) == 0) return spec.inputs == 1 ? "x, slope, *, out=None" : "g, x, slope, *, out=None";
    if (spec.inputs == 1) return "x, *, out=None";
    if (text == "silu_backward") return "g, x, *, out=None";
    return text.find("_backward") != std::string::npos ? "g, y, *, out=None" : "a, b, *, out=None";
}

}  // namespace

void add_elementwise(std::vector<Kernel>& list) {
#define X(name, ...) #name,
    static const char* const names[] = {TGE_ELEMENTWISE(X)};
#undef X
    for (int op = 0; op < op_count; ++op) {
        if (op == op_mse_backward) list.push_back({names[op], "g, x, y, reduction", mse_backward});
        else list.push_back({names[op], signature_of(op_shapes[op], names[op]), elementwise, op});
    }
}

void add_memory(std::vector<Kernel>& list) {
    list.push_back({"empty", "shape, dtype", empty});
    list.push_back({"full", "shape, value, dtype", full});
    list.push_back({"copy", "x, *, out=None", copy});
    list.push_back({"cast", "x, dtype", cast});
}

}  // namespace tge
