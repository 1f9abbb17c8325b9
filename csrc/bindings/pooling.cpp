// Pools: the arrays and sizes around the kernels, and the way back of the maxima.
#include <atomic>
#include <limits>

#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include "windows.h"

namespace tge {
namespace {

using PoolKernel = void (*)(const Pool&, i64, i64);

i64 volume(const i64* n) { return n[0] * n[1] * n[2]; }

// The sizes of a pool over planes (N, C, *in); kernel, stride, padding, [dilation,] ceil_mode begin at argument `at`.
struct Windows {
    Pool p{};
    std::vector<Py_ssize_t> y;  // (N, C, *out)

    Windows(const Call& call, std::size_t at, bool dilated, Py_ssize_t images, Py_ssize_t channels,
            const std::vector<Py_ssize_t>& in) {
        const std::size_t dims = in.size();
        const auto kernel = setting(call, at, "kernel", dims, 1), stride = setting(call, at + 1, "stride", dims, 1),
                   padding = setting(call, at + 2, "padding", dims, 0),
                   dilation = dilated ? setting(call, at + 3, "dilation", dims, 1) : std::vector<Py_ssize_t>(dims, 1);
        const bool ceil_mode = call.truth(at + 3 + (dilated ? 1 : 0));
        p.planes = checked(images, channels, 0);
        y = {images, channels};
        for (int i = 0; i < 3; ++i) {
            p.in[i] = p.out[i] = p.kernel[i] = p.stride[i] = p.dilation[i] = 1;
            p.padding[i] = 0;
        }
        for (std::size_t d = 0; d < dims; ++d) {
            const std::size_t i = 3 - dims + d;
            const i64 padded = checked(2, padding[d], in[d]), extent = checked(dilation[d], kernel[d] - 1, 1);
            require(padded >= extent, call,
                    "a window of " + std::to_string(extent) + " does not fit into " + std::to_string(in[d]) +
                        " entries and " + std::to_string(padding[d]) + " of padding on both sides");
            p.in[i] = in[d], p.kernel[i] = kernel[d], p.stride[i] = stride[d];
            p.padding[i] = padding[d], p.dilation[i] = dilation[d];
            const i64 span = padded - extent;
            p.out[i] = span / stride[d] + 1;
            // A last window may stick out, if it starts within x or the padding before.
            if (ceil_mode && span % stride[d] && checked(p.out[i], stride[d], 0) < checked(1, in[d], padding[d])) ++p.out[i];
            checked(p.out[i], stride[d], extent);
            y.push_back(p.out[i]);
        }
    }
    void run(PoolKernel kernel) const {
        struct Job {
            const Pool& p;
            PoolKernel kernel;
        } job{p, kernel};
        const i64 size = volume(p.in) + volume(p.out);
        const Unlocked unlocked(p.planes * size > 16384);
        parallel_for(p.planes, 16384 / size + 1, [](void* context, i64 begin, i64 end, int) {
            const Job& j = *static_cast<Job*>(context);
            j.kernel(j.p, begin, end);
        }, &job);
    }
};

// x (N, C, *S) with one to three spatial dimensions and fewer than 2³¹ entries in a plane; else the reference serves it.
bool take(Call& call, const View& x) {
    require(x.nd >= 3, call, "x has shape " + shape_text(x) + ": (N, C, *S) is needed");
    if (x.floating() < 0) return call.decline_dtype(x), false;
    if (x.nd > 2 + most_dims) return call.decline("more than three spatial dimensions"), false;
    i64 plane = 1;
    for (int d = 2; d < x.nd; ++d) plane = checked(plane, x.shape[d], 0);
    if (plane > std::numeric_limits<std::int32_t>::max()) return call.decline("a very large plane"), false;
    return true;
}

py::object max_pool(Call& call) {
    const View x = call.array(0, "x");
    if (!take(call, x)) return {};
    Windows windows(call, 1, true, x.shape[0], x.shape[1], shape_of(x, 2));
    if (x.size() == 0) return call.decline("no elements");
    py::object y = new_array(float_type(x.floating()), x.nd, windows.y.data()),
               places = new_array(type_long, x.nd, windows.y.data());
    const Contiguous xs(x);
    windows.p.x = xs.data();
    windows.p.y = view(y.ptr(), call.name(), "y").data;
    windows.p.places = reinterpret_cast<i64*>(view(places.ptr(), call.name(), "indices").data);
    windows.run(kernels().max_pool[x.floating()]);
    return py::make_tuple(y, places);
}

i64 divisor(const Call& call, std::size_t at) {
    if (!call.given(at)) return 0;
    const i64 value = call.integer(at);
    require(value != 0, call, "divisor is 0");
    return value;
}

py::object avg_pool(Call& call) {
    const View x = call.array(0, "x");
    if (!take(call, x)) return {};
    Windows windows(call, 1, false, x.shape[0], x.shape[1], shape_of(x, 2));
    windows.p.include_pad = call.truth(5);
    windows.p.divisor = divisor(call, 6);
    if (x.size() == 0) return call.decline("no elements");
    py::object y = new_array(float_type(x.floating()), x.nd, windows.y.data());
    const Contiguous xs(x);
    windows.p.x = xs.data();
    windows.p.y = view(y.ptr(), call.name(), "y").data;
    windows.run(kernels().avg_pool[x.floating()]);
    return y;
}

py::object avg_pool_backward(Call& call) {
    const View g = call.array(0, "g");
    if (!take(call, g)) return {};
    const auto spatial = setting(call, 1, "spatial", static_cast<std::size_t>(g.nd - 2), 0);
    Windows windows(call, 2, false, g.shape[0], g.shape[1], spatial);
    windows.p.include_pad = call.truth(6);
    windows.p.divisor = divisor(call, 7);
    require(windows.y == shape_of(g), call,
            text(spatial) + " gives results of shape " + text(windows.y) + ", g has " + shape_text(g));
    if (g.size() == 0 || volume(windows.p.in) == 0) return call.decline("no elements");
    std::vector<Py_ssize_t> shape = {g.shape[0], g.shape[1]};
    shape.insert(shape.end(), spatial.begin(), spatial.end());
    py::object dx = new_array(float_type(g.floating()), g.nd, shape.data());
    const Contiguous gs(g);
    windows.p.y = gs.data();
    windows.p.x = view(dx.ptr(), call.name(), "dx").data;
    windows.run(kernels().avg_pool_backward[g.floating()]);
    return dx;
}

py::object scatter_planes(Call& call) {
    const View g = call.array(0, "g"), indices = call.array(1, "indices");
    if (g.floating() < 0) return call.decline_dtype(g);
    if (!indices.is_int64()) return call.decline_dtype(indices);
    require(g.nd >= 2 && same_shape(g, indices), call,
            "g has shape " + shape_text(g) + ", indices " + shape_text(indices) + ": both are (N, C, *S')");
    const auto spatial = setting(call, 2, "spatial", call.shape(2).size(), 0);
    std::vector<Py_ssize_t> shape = {g.shape[0], g.shape[1]};
    shape.insert(shape.end(), spatial.begin(), spatial.end());
    if (shape.size() > max_dims || g.size() == 0) return call.decline("no elements");
    i64 size = 1;
    for (const Py_ssize_t n : spatial) size = checked(size, n, 0);
    py::object result = new_array(float_type(g.floating()), static_cast<int>(shape.size()), shape.data());
    const Contiguous gs(g), places(indices);
    const i64 planes = g.shape[0] * g.shape[1];
    Scatter s{};
    s.n = g.size() / planes;
    s.size = size;
    s.places = static_cast<const i64*>(places.data());
    s.g = gs.data();
    s.out = view(result.ptr(), call.name(), "out").data;
    if (g.nd == 4 && spatial.size() == 2) {
        s.rows = g.shape[2], s.columns = g.shape[3], s.width = spatial[1];
        s.cells = s.rows <= spatial[0] / 2 && s.columns <= s.width / 2;
    }
    std::atomic<i64> wrong{-1};  // a place that lies outside
    {
        struct Job {
            const Scatter& s;
            i64 (*kernel)(const Scatter&, i64, i64);
            std::atomic<i64>& wrong;
        } job{s, kernels().scatter[g.floating()], wrong};
        const Unlocked unlocked(g.size() + planes * size > 16384);
        parallel_for(planes, 16384 / (s.n + size) + 1, [](void* context, i64 begin, i64 end, int) {
            const Job& j = *static_cast<Job*>(context);
            const i64 found = j.kernel(j.s, begin, end);
            if (found >= 0) j.wrong = found;
        }, &job);
    }
    if (wrong >= 0)
        throw py::index_error("scatter_planes: index " + std::to_string(s.places[wrong]) +
                              " lies outside a plane of " + text(spatial) + ", " + std::to_string(size) + " entries");
    return result;
}

}  // namespace

void add_pooling(std::vector<Kernel>& list) {
    list.push_back({"max_pool", "x, kernel, stride, padding, dilation, ceil_mode", max_pool});
    list.push_back({"avg_pool", "x, kernel, stride, padding, ceil_mode, count_include_pad, divisor", avg_pool});
    list.push_back({"avg_pool_backward", "g, spatial, kernel, stride, padding, ceil_mode, count_include_pad, divisor",
                    avg_pool_backward});
    list.push_back({"scatter_planes", "g, indices, spatial", scatter_planes});
}

}  // namespace tge
