// Cross-entropy and mean squared error.
#include <atomic>

#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include "reductions.h"

namespace tge {
namespace {

constexpr bool in_order[max_dims] = {};

enum class Mean { none, sum, mean };
Mean reduction_of(const Call& call, std::size_t i) {
    const std::string text = call.text(i);
    if (text == "none") return Mean::none;
    if (text == "sum") return Mean::sum;
    if (text == "mean") return Mean::mean;
    throw py::value_error(std::string(call.name()) + ": reduction is \"" + text + "\": it can be none, sum or mean");
}

py::object scalar(int floating, double value) {
    py::object result = new_array(float_type(floating), 0, nullptr);
    char* data = view(result.ptr(), "scalar", "out").data;
    if (floating == 0) *reinterpret_cast<float*>(data) = static_cast<float>(value);
    else *reinterpret_cast<double*>(data) = value;
    return result;
}

// The arguments both directions share, checked and made contiguous.
struct Rows {
    View x, target, weight;
    int floating = -1;
    bool weighted = false;
    CrossEntropy problem{};

    // False: not for these kernels, and the call has been declined.
    bool take(Call& call, std::size_t x_at, std::size_t target_at, std::size_t weight_at) {
        x = call.array(x_at, "x");
        target = call.array(target_at, "target");
        floating = x.floating();
        weighted = call.given(weight_at);
        if (weighted) weight = call.array(weight_at, "weight");
        if (floating < 0 || (weighted && weight.floating() != floating)) return call.decline_dtype(x), false;
        if (!target.is_int64()) return call.decline_dtype(target), false;
        require(x.nd == 2, call, "x must have two dimensions (rows, classes), not shape " + shape_text(x));
        require(target.nd == 1 && target.shape[0] == x.shape[0], call,
                "target has shape " + shape_text(target) + ", x " + shape_text(x) + ": one target per row");
        require(!weighted || (weight.nd == 1 && weight.shape[0] == x.shape[1]), call,
                "weight has shape " + (weighted ? shape_text(weight) : "") + ", x " + shape_text(x) +
                    ": one weight per class");
        if (x.size() == 0) return call.decline("no elements"), false;
        return true;
    }
    void fill(const Call& call, const View& rows, const View& targets, const View& weights, std::size_t ignore_at) {
        problem = {x.shape[0], x.shape[1], rows.data, reinterpret_cast<const i64*>(targets.data),
                   weighted ? weights.data : nullptr, call.integer(ignore_at), call.number(ignore_at + 1), 0};
        problem.weight_sum = static_cast<double>(problem.classes);
        if (weighted)
            kernels().reduce_rows[reduce_sum][floating](1, problem.classes, weights.data, 0, &problem.weight_sum);
    }
    i64 grain() const { return problem.classes >= 8192 ? 1 : 8192 / problem.classes + 1; }
};

[[noreturn]] void wrong_class(const CrossEntropy& p, i64 row) {
    throw py::index_error("cross_entropy: target[" + std::to_string(row) + "] is " + std::to_string(p.target[row]) +
                          ", but the logits have " + std::to_string(p.classes) + " classes: targets must lie in [0, " +
                          std::to_string(p.classes - 1) + "] or be ignore_index " + std::to_string(p.ignore_index));
}

// Remembers the smallest row that was found to be wrong.
void note(std::atomic<i64>& first, i64 row) {
    i64 seen = first.load();
    while (row >= 0 && (seen < 0 || row < seen) && !first.compare_exchange_weak(seen, row)) {}
}

py::object cross_entropy(Call& call) {
    Rows rows;
    if (!rows.take(call, 0, 1, 2)) return {};
    const Mean reduction = reduction_of(call, 5);
    LastAxes x(rows.x, in_order), target(rows.target, in_order), weight(rows.weighted ? rows.weight : rows.x, in_order);
    x.read();
    target.read();
    if (rows.weighted) weight.read();
    rows.fill(call, x.view(), target.view(), weight.view(), 3);
    const i64 n = rows.problem.rows;
    const Py_ssize_t shape[] = {static_cast<Py_ssize_t>(n)};
    py::object lse = new_array(float_type(rows.floating), 1, shape);
    const Scratch memory(static_cast<std::size_t>(n) * 2 * sizeof(double));
    if (!memory) throw std::bad_alloc();
    struct Job {
        const Rows* rows;
        double *losses, *weights;
        char* lse;
        std::atomic<i64> wrong{-1};
    } job{&rows, reinterpret_cast<double*>(memory.data()), reinterpret_cast<double*>(memory.data()) + n,
          view(lse.ptr(), call.name(), "lse").data};
    {
        const Unlocked unlocked(n * rows.problem.classes > 8192);
        parallel_for(n, rows.grain(),
                     [](void* context, i64 begin, i64 end, int) {
                         auto& j = *static_cast<Job*>(context);
                         note(j.wrong, kernels().cross_entropy[j.rows->floating](j.rows->problem, begin, end, j.losses,
                                                                                j.weights, j.lse));
                     },
                     &job);
    }
    if (job.wrong >= 0) wrong_class(rows.problem, job.wrong);
    double total = 0, sum = 0;
    for (i64 r = 0; r < n; ++r) total += job.weights[r], sum += job.losses[r];
    py::object loss;
    if (reduction == Mean::none) {
        loss = new_array(float_type(rows.floating), 1, shape);
        char* to = view(loss.ptr(), call.name(), "loss").data;
        for (i64 r = 0; r < n; ++r)
            if (rows.floating == 0) reinterpret_cast<float*>(to)[r] = static_cast<float>(job.losses[r]);
            else reinterpret_cast<double*>(to)[r] = job.losses[r];
    } else {
        loss = scalar(rows.floating, reduction == Mean::mean ? sum / total : sum);
    }
    return py::make_tuple(loss, lse, total);
}

py::object cross_entropy_backward(Call& call) {
    Rows rows;
    if (!rows.take(call, 1, 2, 4)) return {};
    const View g_given = call.array(0, "g"), lse_given = call.array(3, "lse");
    if (g_given.floating() != rows.floating) return call.decline_dtype(g_given);
    if (lse_given.floating() != rows.floating) return call.decline_dtype(lse_given);
    const Mean reduction = reduction_of(call, 7);
    const i64 n = rows.x.shape[0];
    require(lse_given.nd == 1 && lse_given.shape[0] == n, call, "lse has shape " + shape_text(lse_given) +
                                                                    ", x " + shape_text(rows.x));
    require(g_given.size() == 1 || (g_given.nd == 1 && g_given.shape[0] == n), call,
            "g has shape " + shape_text(g_given) + ": one value, or one per row of x " + shape_text(rows.x));
    LastAxes x(rows.x, in_order), target(rows.target, in_order), weight(rows.weighted ? rows.weight : rows.x, in_order);
    LastAxes lse(lse_given, in_order), g(g_given, in_order);
    x.read();
    target.read();
    if (rows.weighted) weight.read();
    lse.read();
    g.read();
    rows.fill(call, x.view(), target.view(), weight.view(), 5);
    py::object result = new_array(float_type(rows.floating), 2, rows.x.shape);
    struct Job {
        const Rows* rows;
        const char *lse, *g;
        i64 g_step;
        double scale;
        char* dx;
        std::atomic<i64> wrong{-1};
    } job{&rows, lse.view().data, g.view().data, g_given.size() == 1 ? 0 : 1,
          reduction == Mean::mean ? 1 / call.number(8) : 1.0, view(result.ptr(), call.name(), "dx").data};
    {
        const Unlocked unlocked(n * rows.problem.classes > 8192);
        parallel_for(n, rows.grain(),
                     [](void* context, i64 begin, i64 end, int) {
                         auto& j = *static_cast<Job*>(context);
                         note(j.wrong, kernels().cross_entropy_backward[j.rows->floating](
                                           j.rows->problem, begin, end, j.lse, j.g, j.g_step, j.scale, j.dx));
                     },
                     &job);
    }
    if (job.wrong >= 0) wrong_class(rows.problem, job.wrong);
    return result;
}

py::object mse(Call& call) {
    const View x = call.array(0, "x"), y = call.array(1, "y");
    const int floating = x.floating();
    if (floating < 0) return call.decline_dtype(x);
    if (y.floating() != floating) return call.decline_dtype(y);
    require(same_shape(x, y), call, "x has shape " + shape_text(x) + ", y " + shape_text(y));
    const Mean reduction = reduction_of(call, 2);
    if (reduction == Mean::none) {
        py::object result = new_array(float_type(floating), x.nd, x.shape);
        const View to = view(result.ptr(), call.name(), "out");
        const Operand out = broadcast(to, x.nd), operands[] = {out, broadcast(x, x.nd), broadcast(y, x.nd)};
        run_loop(kernels().elementwise[op_sub][floating], 3, operands, x.nd, x.shape, nullptr, 1);
        const Operand again[] = {out, out, out};
        run_loop(kernels().elementwise[op_mul][floating], 3, again, x.nd, x.shape, nullptr, 1);
        return result;
    }
    const i64 n = x.size();
    LastAxes a(x, in_order), b(y, in_order);
    a.read();
    b.read();
    constexpr i64 chunk = 32768;
    struct Job {
        double (*distance)(i64, const void*, const void*);
        const char *a, *b;
        i64 n, size;
        std::vector<double> partial;
    } job{kernels().squared_distance[floating], a.view().data, b.view().data, n, float_size(floating),
          std::vector<double>(static_cast<std::size_t>((n + chunk - 1) / chunk))};
    {
        const Unlocked unlocked(n > 65536);
        parallel_for((n + chunk - 1) / chunk, 1,
                     [](void* context, i64 begin, i64 end, int) {
                         auto& j = *static_cast<Job*>(context);
                         for (i64 c = begin; c < end; ++c) {
                             const i64 start = c * chunk, count = j.n - start < chunk ? j.n - start : chunk;
                             j.partial[static_cast<std::size_t>(c)] =
                                 j.distance(count, j.a + start * j.size, j.b + start * j.size);
                         }
                     },
                     &job);
    }
    double sum = 0;
    for (const double part : job.partial) sum += part;
    return scalar(floating, reduction == Mean::mean ? sum / static_cast<double>(n) : sum);
}

}  // namespace

void add_losses(std::vector<Kernel>& list) {
    list.push_back({"cross_entropy", "x, target, weight, ignore_index, smoothing, reduction", cross_entropy});
    list.push_back({"cross_entropy_backward",
                    "g, x, target, lse, weight, ignore_index, smoothing, reduction, total", cross_entropy_backward});
    list.push_back({"mse", "x, y, reduction", mse});
}

}  // namespace tge
