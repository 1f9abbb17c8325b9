// Optimiser steps over lists of parameters: everything is checked before anything is changed.
#include <cmath>
#include <memory>

#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include "reductions.h"

namespace tge {
namespace {

constexpr i64 piece_size = 32768;

// Parameter i with its gradient and up to three states; arrays[1] is the gradient, the only one not written to.
struct Item {
    View arrays[5];
    std::unique_ptr<LastAxes> gradient;  // a contiguous copy, if it needs one
    i64 n = 0;
    char* at(int a, i64 bytes) const { return arrays[a].data ? arrays[a].data + bytes : nullptr; }
};

struct Step {
    std::vector<py::object> sequences;
    std::vector<Item> items;
    std::vector<i64> first_piece;  // of each item, and the number of all
    int floating = -1;
    bool is_adam = false;
    Sgd sgd{};
    Adam adam{};

    void run(i64 begin, i64 end) const {
        std::size_t item = 0;
        for (i64 piece = begin; piece < end; ++piece) {
            while (piece >= first_piece[item + 1]) ++item;
            const Item& it = items[item];
            const i64 start = (piece - first_piece[item]) * piece_size, bytes = start * float_size(floating);
            const i64 n = it.n - start < piece_size ? it.n - start : piece_size;
            if (is_adam)
                kernels().adam[floating](adam, n, it.at(0, bytes), it.at(1, bytes), it.at(2, bytes), it.at(3, bytes),
                                         it.at(4, bytes));
            else
                kernels().sgd[floating](sgd, n, it.at(0, bytes), it.at(1, bytes), it.at(2, bytes));
        }
    }

    // Runs the sub-steps of items of one dtype.
    void all() {
        for (floating = 0; floating < 2; ++floating) {
            std::vector<Item> others;
            first_piece.assign(1, 0);
            i64 total = 0;
            for (const Item& it : items) {
                const bool mine = it.arrays[0].floating() == floating;
                first_piece.push_back(first_piece.back() + (mine ? (it.n + piece_size - 1) / piece_size : 0));
                if (mine) total += it.n;
            }
            const Unlocked unlocked(total > 32768);
            parallel_for(first_piece.back(), total > 65536 ? 1 : first_piece.back(),
                         [](void* context, i64 begin, i64 end, int) { static_cast<Step*>(context)->run(begin, end); },
                         this);
        }
    }
};

// A list's or tuple's arrays, held while they are worked on: another thread of Python may change the list meanwhile.
py::object held(const Call& call, std::size_t at) {
    PyObject* const given = call.slot[at];
    if (!PyList_Check(given) && !PyTuple_Check(given))
        throw py::type_error(std::string(call.name()) + ": expected a list of arrays, not " + Py_TYPE(given)->tp_name);
    py::object tuple = py::reinterpret_steal<py::object>(PySequence_Tuple(given));
    if (!tuple) throw py::error_already_set();
    return tuple;
}

// False: the call has been declined. The first `required` lists are needed, others are states that may not be kept.
bool take(Call& call, Step& step, const std::vector<std::size_t>& lists, std::size_t required) {
    std::vector<py::object>& sequences = step.sequences;
    static const char* const roles[] = {"params", "grads", "state 1", "state 2", "state 3"};
    Py_ssize_t count = -1;
    for (const std::size_t at : lists) {
        if (!call.given(at) && sequences.size() >= required) {
            sequences.emplace_back();
            continue;
        }
        sequences.push_back(held(call, at));
        const Py_ssize_t n = PyTuple_GET_SIZE(sequences.back().ptr());
        if (count >= 0 && n != count)
            throw py::value_error(std::string(call.name()) + ": " + std::to_string(count) + " parameters, but " +
                                  std::to_string(n) + " entries in another list");
        count = n;
    }
    for (Py_ssize_t i = 0; i < count; ++i) {
        Item item;
        for (std::size_t a = 0; a < lists.size(); ++a) {
            if (!sequences[a]) continue;
            View& v = item.arrays[a];
            v = view(PyTuple_GET_ITEM(sequences[a].ptr(), i), call.name(), roles[a]);
            if (!same_shape(v, item.arrays[0]))
                throw py::value_error(std::string(call.name()) + ": parameter " + std::to_string(i) + " has shape " +
                                      shape_text(item.arrays[0]) + ", its " + roles[a] + " " + shape_text(v));
            if (v.floating() < 0 || v.floating() != item.arrays[0].floating()) return call.decline_dtype(v), false;
            if (a == 1) continue;
            if (!v.writable)
                throw py::value_error(std::string(call.name()) + ": " + roles[a] + "[" + std::to_string(i) +
                                      "] is read-only");
            if (!v.contiguous) return call.decline("not contiguous"), false;
        }
        item.n = item.arrays[0].size();
        if (!item.arrays[1].contiguous) {
            constexpr bool in_order[max_dims] = {};
            item.gradient = std::make_unique<LastAxes>(item.arrays[1], in_order);
            item.gradient->read();
            item.arrays[1].data = item.gradient->view().data;
        }
        step.items.push_back(std::move(item));
    }
    return true;
}

py::object none() { return py::none(); }

py::object sgd(Call& call) {
    Step step;
    if (!take(call, step, {0, 1, 2}, 2)) return {};
    step.sgd = {call.number(3), call.number(4), call.number(5), call.number(6),
                call.truth(7),  call.truth(8),  call.truth(9)};
    step.all();
    return none();
}

py::object adam(Call& call) {
    Step step;
    if (!take(call, step, {0, 1, 2, 3, 4}, 4)) return {};
    const double lr = call.number(5), beta1 = call.number(6), beta2 = call.number(7), decay = call.number(9);
    const double t = call.number(10);
    const bool decoupled = call.truth(11);
    step.is_adam = true;
    step.adam = {lr / (1 - std::pow(beta1, t)), beta1, beta2, call.number(8), decoupled ? 0 : decay,
                 decoupled ? 1 - lr * decay : 1, std::sqrt(1 - std::pow(beta2, t)), call.truth(12)};
    step.all();
    return none();
}

// ---- lists of arrays as one long vector
struct List {
    py::object arrays;
    std::vector<View> views;
    std::vector<std::unique_ptr<LastAxes>> copies;  // of those that are not contiguous
    std::vector<i64> first_piece;                   // of each array, and the number of all

    // False: the call has been declined.
    bool take(Call& call, bool in_place) {
        arrays = held(call, 0);
        first_piece.push_back(0);
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arrays.ptr()); ++i) {
            View v = view(PyTuple_GET_ITEM(arrays.ptr(), i), call.name(), "arrays");
            if (v.floating() < 0) return call.decline_dtype(v), false;
            if (in_place && !(v.writable && v.contiguous)) return call.decline("not contiguous"), false;
            if (!v.contiguous) {
                constexpr bool in_order[max_dims] = {};
                copies.push_back(std::make_unique<LastAxes>(v, in_order));
                copies.back()->read();
                v.data = copies.back()->view().data;
            }
            views.push_back(v);
            first_piece.push_back(first_piece.back() + (v.size() + piece_size - 1) / piece_size);
        }
        return true;
    }
    i64 pieces() const { return first_piece.back(); }

    // Calls f(piece, dtype, n, data) for every piece.
    template <class Fn>
    void each(Fn& f) {
        struct Job {
            const List& list;
            Fn& f;
        } job{*this, f};
        const Unlocked unlocked(pieces() > 1);
        parallel_for(pieces(), 1,
                     [](void* context, i64 begin, i64 end, int) {
                         const Job& j = *static_cast<Job*>(context);
                         std::size_t at = 0;
                         for (i64 piece = begin; piece < end; ++piece) {
                             while (piece >= j.list.first_piece[at + 1]) ++at;
                             const View& v = j.list.views[at];
                             const i64 start = (piece - j.list.first_piece[at]) * piece_size, left = v.size() - start;
                             j.f(piece, v.floating(), left < piece_size ? left : piece_size,
                                 v.data + start * float_size(v.floating()));
                         }
                     },
                     &job);
    }
};

py::object total_norm(Call& call) {
    List list;
    if (!list.take(call, false)) return {};
    if (list.views.empty()) return call.decline("no arrays");
    std::vector<double> sums(static_cast<std::size_t>(list.pieces()));
    auto add = [&sums](i64 piece, int floating, i64 n, const char* x) {
        sums[static_cast<std::size_t>(piece)] = kernels().square_sum[floating](n, x);
    };
    list.each(add);
    double total = 0;
    for (const double sum : sums) total += sum;
    const int floating = list.views[0].floating();
    py::object result = new_array(float_type(floating), 0, nullptr);
    char* to = view(result.ptr(), call.name(), "out").data;
    if (floating == 0) *reinterpret_cast<float*>(to) = static_cast<float>(std::sqrt(total));
    else *reinterpret_cast<double*>(to) = std::sqrt(total);
    return result;
}

py::object limit_norm(Call& call) {
    List list;
    if (!list.take(call, true)) return {};
    const View norm = call.array(1, "norm");
    if (norm.nd != 0 || norm.floating() < 0) return call.decline("norm");
    const double size = norm.floating() == 0 ? static_cast<double>(*reinterpret_cast<const float*>(norm.data))
                                             : *reinterpret_cast<const double*>(norm.data);
    const double factor = call.number(2) / (size + 1e-6);
    if (factor >= 1) return none();  // NaN is not
    auto shrink = [factor](i64, int floating, i64 n, char* x) {
        const auto single = static_cast<float>(factor);
        char* by = floating == 0 ? const_cast<char*>(reinterpret_cast<const char*>(&single))
                                 : const_cast<char*>(reinterpret_cast<const char*>(&factor));
        char* const arrays[] = {x, x, by};
        const i64 step = float_size(floating), strides[] = {step, step, 0};
        kernels().elementwise[op_mul][floating](n, arrays, strides, nullptr);
    };
    list.each(shrink);
    return none();
}

}  // namespace

void add_optimisers(std::vector<Kernel>& list) {
    list.push_back({"sgd",
                    "params, grads, momenta, *, lr, momentum, dampening, weight_decay, nesterov, maximize, first", sgd});
    list.push_back({"adam",
                    "params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, *, lr, beta1, beta2, eps, weight_decay, "
                    "step, decoupled, maximize",
                    adam});
    list.push_back({"total_norm", "arrays", total_norm});
    list.push_back({"limit_norm", "arrays, norm, most", limit_norm});
}

}  // namespace tge
