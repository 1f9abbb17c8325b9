// Layer, RMS and batch norm: the arrays around the kernels.
#include <algorithm>

#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include "windows.h"

namespace tge {
namespace {

constexpr i64 rows_of_block = 64;  // whose gradients of weight and bias are summed before they are added to the others'

// An optional vector of n entries of x's dtype.
struct Vector {
    View view;
    bool given;

    Vector(const Call& call, std::size_t at, const char* name, i64 n, const View& x) : given(call.given(at)) {
        view = given ? call.array(at, name) : x;
        require(!given || (view.nd == 1 && view.shape[0] == n), call,
                std::string(name) + " has shape " + (given ? shape_text(view) : "") + ", x " + shape_text(x) + ": " +
                    std::to_string(n) + " entries are needed");
    }
    bool fits(int floating) const { return !given || view.floating() == floating; }
};

// One number for each row of x, as layer_norm returns them.
void require_rows(const Call& call, const View& v, const char* name, const View& x) {
    require(v.nd == x.nd - 1 && std::equal(v.shape, v.shape + v.nd, x.shape), call,
            std::string(name) + " has shape " + shape_text(v) + ", x " + shape_text(x) + ": one number a row is needed");
}

template <class Job>
void over(i64 items, i64 cost, Job& job) {
    const Unlocked unlocked(items * cost > 16384);
    parallel_for(items, 16384 / cost + 1,
                 [](void* context, i64 begin, i64 end, int) { (*static_cast<Job*>(context))(begin, end); }, &job);
}

py::object array_of(int floating, int nd, const Py_ssize_t* shape, void** data) {
    py::object result = new_array(float_type(floating), nd, shape);
    *data = view(result.ptr(), "norm", "out").data;
    return result;
}

// layer_norm(x, weight, bias, eps) with `centred`, else rms_norm(x, weight, eps).
py::object rows_forward(Call& call, bool centred) {
    const View x = call.array(0, "x");
    const int floating = x.floating();
    if (floating < 0) return call.decline_dtype(x);
    require(x.nd >= 1, call, "x has no axis");
    const i64 n = x.shape[x.nd - 1];
    const Vector weight(call, 1, "weight", n, x), bias(call, centred ? 2 : 1, "bias", n, x);
    if (!weight.fits(floating) || !bias.fits(floating)) return call.decline_dtype(weight.view);
    if (x.size() == 0) return call.decline("no elements");
    const Contiguous xs(x), ws(weight.view), bs(bias.view);
    Norm a{};
    a.n = n;
    a.x = xs.data();
    a.weight = weight.given ? ws.data() : nullptr;
    a.bias = centred && bias.given ? bs.data() : nullptr;
    a.eps = call.number(centred ? 3 : 2);
    py::object y = array_of(floating, x.nd, x.shape, &a.y), mean, rstd = array_of(floating, x.nd - 1, x.shape, &a.rstd);
    if (centred) mean = array_of(floating, x.nd - 1, x.shape, &a.mean);
    auto run = [&a, floating](i64 begin, i64 end) { kernels().layer_norm[floating](a, begin, end); };
    over(x.size() / n, 4 * n, run);
    if (!centred) return py::make_tuple(y, rstd);
    return py::make_tuple(y, mean, rstd);
}
py::object layer_norm(Call& call) { return rows_forward(call, true); }
py::object rms_norm(Call& call) { return rows_forward(call, false); }

// The sums of all blocks, in order, in float64: (2, n) → dweight and dbias.
template <class T>
void add_blocks(i64 blocks, i64 n, const T* sums, void* dweight, void* dbias) {
    std::vector<double> all(static_cast<std::size_t>(2 * n));
    for (i64 block = 0; block < blocks; ++block)
        for (i64 i = 0; i < 2 * n; ++i) all[static_cast<std::size_t>(i)] += static_cast<double>(sums[block * 2 * n + i]);
    for (i64 i = 0; i < n; ++i) {
        static_cast<T*>(dweight)[i] = static_cast<T>(all[static_cast<std::size_t>(i)]);
        if (dbias) static_cast<T*>(dbias)[i] = static_cast<T>(all[static_cast<std::size_t>(n + i)]);
    }
}

// layer_norm_backward(g, x, mean, rstd, weight) with `centred`, else rms_norm_backward(g, x, rstd, weight).
py::object rows_backward(Call& call, bool centred) {
    const View g = call.array(0, "g"), x = call.array(1, "x"), rstd = call.array(centred ? 3 : 2, "rstd"),
               mean = centred ? call.array(2, "mean") : rstd;
    const int floating = x.floating();
    for (const View* v : {&x, &g, &rstd, &mean})
        if (v->floating() < 0 || v->floating() != floating) return call.decline_dtype(*v);
    require(x.nd >= 1 && same_shape(g, x), call, "g has shape " + shape_text(g) + ", x " + shape_text(x));
    require_rows(call, mean, "mean", x);
    require_rows(call, rstd, "rstd", x);
    const i64 n = x.shape[x.nd - 1];
    const Vector weight(call, centred ? 4 : 3, "weight", n, x);
    if (!weight.fits(floating)) return call.decline_dtype(weight.view);
    if (x.size() == 0) return call.decline("no elements");
    const Contiguous gs(g), xs(x), means(mean), rstds(rstd), ws(weight.view);
    const i64 rows = x.size() / n, blocks = (rows + rows_of_block - 1) / rows_of_block;
    Norm a{};
    a.n = n;
    a.rows = rows;
    a.x = xs.data();
    a.g = gs.data();
    a.mean = centred ? means.data() : nullptr;
    a.rstd = rstds.data();
    a.weight = weight.given ? ws.data() : nullptr;
    const i64 bytes = checked(checked(2 * float_size(floating), n, 0), weight.given ? blocks : 0, 1);
    const Scratch memory(static_cast<std::size_t>(bytes));
    if (!memory) throw std::bad_alloc();
    py::object dx = array_of(floating, x.nd, x.shape, &a.y), dweight = py::none(), dbias = py::none();
    void *dw = nullptr, *db = nullptr;
    const Py_ssize_t columns[] = {n};
    if (weight.given) dweight = array_of(floating, 1, columns, &dw);
    if (weight.given && centred) dbias = array_of(floating, 1, columns, &db);
    auto run = [&a, &memory, dw, n, rows, floating](i64 begin, i64 end) {
        for (i64 block = begin; block < end; ++block) {
            const i64 first = block * rows_of_block, last = first + rows_of_block < rows ? first + rows_of_block : rows;
            char* sums = dw ? memory.data() + block * 2 * n * float_size(floating) : nullptr;
            kernels().layer_norm_backward[floating](a, first, last, sums);
        }
    };
    over(blocks, 6 * n * rows_of_block, run);
    if (dw && floating == 0) add_blocks(blocks, n, reinterpret_cast<const float*>(memory.data()), dw, db);
    if (dw && floating == 1) add_blocks(blocks, n, reinterpret_cast<const double*>(memory.data()), dw, db);
    if (!centred) return py::make_tuple(dx, dweight);
    return py::make_tuple(dx, dweight, dbias);
}
py::object layer_norm_backward(Call& call) { return rows_backward(call, true); }
py::object rms_norm_backward(Call& call) { return rows_backward(call, false); }

// Arrays (N, C, L) as batch norm takes them: runs of L entries, or, if those are short, the N·L of a channel in one run; of
// one entry, as they are.
constexpr i64 short_run = 16;
bool is_short(const View& x) { return 1 < x.shape[2] && x.shape[2] < short_run; }
// Channels next to each other in memory are taken many at a time, as vectors.
constexpr i64 channels_together = 64;
template <class Job>
void over_channels(const Norm& a, i64 cost, Job& job) {
    const i64 many = a.n == 1 ? channels_together : 1;
    auto pieces = [&job, &a, many](i64 begin, i64 end) { job(begin * many, std::min(end * many, a.channels)); };
    over((a.channels + many - 1) / many, cost * many * a.rows * a.n, pieces);
}
struct Runs : LastAxes {
    static constexpr bool as_it_is[max_dims] = {}, channels_first[max_dims] = {true, false, true};
    explicit Runs(const View& x) : LastAxes(x, is_short(x) ? channels_first : as_it_is) {}
    Runs& filled() { return read(), *this; }
    void* data() const { return LastAxes::view().data; }
};
void sizes_of(Norm& a, const View& x) {
    const bool whole = is_short(x);
    a.rows = whole ? 1 : x.shape[0];
    a.channels = x.shape[1];
    a.n = whole ? x.shape[0] * x.shape[2] : x.shape[2];
}

py::object batch_norm(Call& call) {
    const View x = call.array(0, "x");
    const int floating = x.floating();
    if (floating < 0) return call.decline_dtype(x);
    require(x.nd == 3, call, "x has shape " + shape_text(x) + ": (N, C, L) is needed");
    const Vector weight(call, 1, "weight", x.shape[1], x), bias(call, 2, "bias", x.shape[1], x);
    if (!weight.fits(floating) || !bias.fits(floating)) return call.decline_dtype(weight.view);
    if (x.size() == 0) return call.decline("no elements");
    const Contiguous ws(weight.view), bs(bias.view);
    Norm a{};
    sizes_of(a, x);
    a.weight = weight.given ? ws.data() : nullptr;
    a.bias = bias.given ? bs.data() : nullptr;
    a.eps = call.number(3);
    py::object y = new_array(float_type(floating), 3, x.shape), mean = array_of(floating, 1, x.shape + 1, &a.mean),
               rstd = array_of(floating, 1, x.shape + 1, &a.rstd);
    Runs xs(x), ys(view(y.ptr(), call.name(), "y"));
    a.x = xs.filled().data();
    a.y = ys.data();
    auto run = [&a, floating](i64 begin, i64 end) { kernels().batch_norm[floating](a, begin, end); };
    over_channels(a, 4, run);
    ys.write_back();
    return py::make_tuple(y, mean, rstd);
}

py::object batch_norm_backward(Call& call) {
    const View g = call.array(0, "g"), x = call.array(1, "x"), mean = call.array(2, "mean"), rstd = call.array(3, "rstd");
    const int floating = x.floating();
    for (const View* v : {&x, &g, &rstd, &mean})
        if (v->floating() < 0 || v->floating() != floating) return call.decline_dtype(*v);
    require(x.nd == 3 && same_shape(g, x), call,
            "g has shape " + shape_text(g) + ", x " + shape_text(x) + ": both are (N, C, L)");
    for (const View* v : {&mean, &rstd})
        require(v->nd == 1 && v->shape[0] == x.shape[1], call,
                "mean has shape " + shape_text(mean) + ", rstd " + shape_text(rstd) + ": one number a channel is needed");
    const Vector weight(call, 4, "weight", x.shape[1], x);
    if (!weight.fits(floating)) return call.decline_dtype(weight.view);
    if (x.size() == 0) return call.decline("no elements");
    const Contiguous means(mean), rstds(rstd), ws(weight.view);
    Norm a{};
    sizes_of(a, x);
    a.mean = means.data();
    a.rstd = rstds.data();
    a.weight = weight.given ? ws.data() : nullptr;
    void *dw, *db;
    py::object dx = new_array(float_type(floating), 3, x.shape), dweight = array_of(floating, 1, x.shape + 1, &dw),
               dbias = array_of(floating, 1, x.shape + 1, &db);
    Runs xs(x), gs(g), dxs(view(dx.ptr(), call.name(), "dx"));
    a.x = xs.filled().data();
    a.g = gs.filled().data();
    a.y = dxs.data();
    auto run = [&a, floating, dw, db](i64 begin, i64 end) {
        kernels().batch_norm_backward[floating](a, begin, end, dw, db);
    };
    over_channels(a, 6, run);
    dxs.write_back();
    return py::make_tuple(dx, dweight, dbias);
}

}  // namespace

void add_norms(std::vector<Kernel>& list) {
    list.push_back({"layer_norm", "x, weight, bias, eps", layer_norm});
    list.push_back({"layer_norm_backward", "g, x, mean, rstd, weight", layer_norm_backward});
    list.push_back({"rms_norm", "x, weight, eps", rms_norm});
    list.push_back({"rms_norm_backward", "g, x, rstd, weight", rms_norm_backward});
    list.push_back({"batch_norm", "x, weight, bias, eps", batch_norm});
    list.push_back({"batch_norm_backward", "g, x, mean, rstd, weight", batch_norm_backward});
}

}  // namespace tge
