// Convolution and its gradients: the arrays and sizes around the kernels.
#include "../cpu/isa.h"
#include "windows.h"

namespace tge {
namespace {

// The sizes of a convolution of x (N, C, *in) with w (O, C/groups, *kernel); the settings begin at argument `at`.
struct Sizes {
    Convolution c{};
    std::vector<Py_ssize_t> y;  // (N, O, *out)

    Sizes(const Call& call, std::size_t at, Py_ssize_t images, const std::vector<Py_ssize_t>& in,
          const std::vector<Py_ssize_t>& w) {
        const std::size_t dims = in.size();
        const auto stride = setting(call, at, "stride", dims, 1), padding = setting(call, at + 1, "padding", dims, 0),
                   dilation = setting(call, at + 2, "dilation", dims, 1);
        const i64 groups = call.integer(at + 3);
        require(groups >= 1 && w[0] % groups == 0, call,
                "groups is " + std::to_string(groups) + ": it must divide the number of outputs, " + std::to_string(w[0]));
        c.images = images;
        c.groups = groups;
        c.channels = w[1];
        c.outputs = w[0] / groups;
        y = {images, w[0]};
        for (std::size_t i = 0; i < 3; ++i) {
            c.in[i] = c.out[i] = c.kernel[i] = c.stride[i] = c.dilation[i] = 1;
            c.padding[i] = 0;
        }
        for (std::size_t d = 0; d < dims; ++d) {
            const std::size_t i = 3 - dims + d;
            c.in[i] = in[d];
            c.kernel[i] = w[2 + d];
            c.stride[i] = stride[d];
            c.padding[i] = padding[d];
            c.dilation[i] = dilation[d];
            const i64 padded = checked(2, padding[d], in[d]), extent = checked(dilation[d], w[2 + d] - 1, 1);
            require(w[2 + d] >= 1 && padded >= extent, call,
                    "a window of " + std::to_string(extent) + " does not fit into " + std::to_string(in[d]) +
                        " entries and " + std::to_string(padding[d]) + " of padding on both sides");
            c.out[i] = (padded - extent) / stride[d] + 1;
            y.push_back(c.out[i]);
        }
        // Of the memory that the kernels use, in elements: the windows of one step of a block, and their copy of x.
        i64 windows = 8, copy = 8;
        for (int i = 0; i < 3; ++i) {
            windows = checked(windows, checked(c.kernel[i], c.out[i], 64), 0);
            copy = checked(copy, checked(c.stride[i], c.out[i], c.dilation[i] * c.kernel[i]), 0);
        }
        checked(checked(windows, c.channels + 1, 0), 8, 0);
        checked(checked(copy, c.channels + 1, 0), 8, 0);
    }
    bool empty() const {
        return c.images * c.groups * c.outputs == 0 || c.channels == 0 || c.in[0] * c.in[1] * c.in[2] == 0;
    }
};

py::object zeros(int floating, const std::vector<Py_ssize_t>& shape) {
    py::object result = new_array(float_type(floating), static_cast<int>(shape.size()), shape.data());
    const View v = view(result.ptr(), "convolve", "out");
    std::fill_n(v.data, v.size() * float_size(floating), char{0});
    return result;
}

void run(bool (*kernel)(const Convolution&), const Convolution& c) {
    const double work = 1.0 * static_cast<double>(c.images * c.groups * c.outputs * c.channels) *
                        static_cast<double>(c.out[0] * c.out[1] * c.out[2]);
    const Unlocked unlocked(work > 1 << 15);
    if (!kernel(c)) throw std::bad_alloc();
}

bool fits(const View& v, int spatial) { return v.nd == spatial + 2; }

py::object convolve(Call& call) {
    const View x = call.array(0, "x"), w = call.array(1, "w");
    const bool biased = call.given(2);
    const View bias = biased ? call.array(2, "bias") : w;
    const int floating = x.floating(), dims = x.nd - 2;
    if (floating < 0) return call.decline_dtype(x);
    if (w.floating() != floating || bias.floating() != floating) return call.decline_dtype(w);
    require(dims >= 1 && fits(w, dims), call,
            "x has shape " + shape_text(x) + ", w " + shape_text(w) + ": (N, C, *S) and (O, C/groups, *k) are needed");
    if (dims > most_dims) return call.decline("more than three spatial dimensions");
    Sizes sizes(call, 3, x.shape[0], shape_of(x, 2), shape_of(w));
    require(x.shape[1] == checked(sizes.c.channels, sizes.c.groups, 0), call,
            "x has " + std::to_string(x.shape[1]) + " channels, w is made for " + std::to_string(sizes.c.groups) +
                " groups of " + std::to_string(sizes.c.channels));
    require(!biased || (bias.nd == 1 && bias.shape[0] == w.shape[0]), call,
            "bias has shape " + (biased ? shape_text(bias) : "") + ", w " + shape_text(w) + ": one bias per output");
    if (sizes.empty()) return call.decline("no elements");
    py::object result = new_array(float_type(floating), x.nd, sizes.y.data());
    const Contiguous xs(x), ws(w), biases(bias);
    sizes.c.x = xs.data();
    sizes.c.w = ws.data();
    sizes.c.y = view(result.ptr(), call.name(), "out").data;
    sizes.c.bias = biased ? biases.data() : nullptr;
    run(kernels().convolve[floating], sizes.c);
    return result;
}

py::object convolve_input_gradient(Call& call) {
    const View g = call.array(0, "g"), w = call.array(1, "w");
    const int floating = g.floating(), dims = g.nd - 2;
    if (floating < 0) return call.decline_dtype(g);
    if (w.floating() != floating) return call.decline_dtype(w);
    require(dims >= 1 && fits(w, dims), call,
            "g has shape " + shape_text(g) + ", w " + shape_text(w) + ": (N, O, *S') and (O, C/groups, *k) are needed");
    if (dims > most_dims) return call.decline("more than three spatial dimensions");
    const auto spatial = setting(call, 2, "spatial", static_cast<std::size_t>(dims), 0);
    Sizes sizes(call, 3, g.shape[0], spatial, shape_of(w));
    require(sizes.y == shape_of(g), call,
            text(spatial) + " gives outputs of shape " + text(sizes.y) + ", g has " + shape_text(g));
    std::vector<Py_ssize_t> shape = {g.shape[0], checked(sizes.c.channels, sizes.c.groups, 0)};
    shape.insert(shape.end(), spatial.begin(), spatial.end());
    if (sizes.empty()) return zeros(floating, shape);
    py::object result = new_array(float_type(floating), g.nd, shape.data());
    const Contiguous gs(g), ws(w);
    sizes.c.y = gs.data();
    sizes.c.w = ws.data();
    sizes.c.x = view(result.ptr(), call.name(), "out").data;
    run(kernels().convolve_input_gradient[floating], sizes.c);
    return result;
}

// The gradients of the weight and, where it is asked for, of the bias.
py::object parameter_gradients(Call& call, bool bias) {
    const View g = call.array(0, "g"), x = call.array(1, "x");
    const int floating = g.floating(), dims = g.nd - 2;
    if (floating < 0) return call.decline_dtype(g);
    if (x.floating() != floating) return call.decline_dtype(x);
    require(dims >= 1 && fits(x, dims), call,
            "g has shape " + shape_text(g) + ", x " + shape_text(x) + ": (N, O, *S') and (N, C, *S) are needed");
    if (dims > most_dims) return call.decline("more than three spatial dimensions");
    const i64 groups = call.integer(6);
    require(groups >= 1 && x.shape[1] % groups == 0, call,
            "groups is " + std::to_string(groups) + ": it must divide the number of channels, " + std::to_string(x.shape[1]));
    std::vector<Py_ssize_t> shape = {g.shape[1], x.shape[1] / groups};
    const auto kernel = setting(call, 2, "kernel", static_cast<std::size_t>(dims), 1);
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    Sizes sizes(call, 3, x.shape[0], shape_of(x, 2), shape);
    require(sizes.y == shape_of(g), call,
            "a window " + text(kernel) + " on x " + shape_text(x) + " gives outputs of shape " + text(sizes.y) +
                ", g has " + shape_text(g));
    if (sizes.empty() && bias) return call.decline("no elements");
    if (sizes.empty()) return zeros(floating, shape);
    py::object result = new_array(float_type(floating), g.nd, shape.data()), sums = py::none();
    const Contiguous gs(g), xs(x);
    if (bias) {
        sums = new_array(float_type(floating), 1, shape.data());
        sizes.c.bias_gradient = view(sums.ptr(), call.name(), "out").data;
    }
    sizes.c.y = gs.data();
    sizes.c.x = xs.data();
    sizes.c.w = view(result.ptr(), call.name(), "out").data;
    run(kernels().convolve_weight_gradient[floating], sizes.c);
    return bias ? py::make_tuple(result, sums) : result;
}
py::object convolve_weight_gradient(Call& call) { return parameter_gradients(call, false); }
py::object convolve_parameter_gradients(Call& call) { return parameter_gradients(call, true); }

}  // namespace

void add_convolution(std::vector<Kernel>& list) {
    list.push_back({"convolve", "x, w, bias, stride, padding, dilation, groups", convolve});
    list.push_back({"convolve_input_gradient", "g, w, spatial, stride, padding, dilation, groups",
                    convolve_input_gradient});
    list.push_back({"convolve_weight_gradient", "g, x, kernel, stride, padding, dilation, groups",
                    convolve_weight_gradient});
    list.push_back({"convolve_parameter_gradients", "g, x, kernel, stride, padding, dilation, groups",
                    convolve_parameter_gradients});
}

}  // namespace tge
