// The Python module tinygrad_edu.kernels._native.
#include "../cpu/allocator.h"
#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include <pybind11/stl.h>

#include "call.h"

namespace tge {
namespace {

void set_fallbacks(const py::object& reference) {
    for (Kernel& kernel : all_kernels()) {
        Py_XDECREF(kernel.fallback);
        kernel.fallback = py::object(reference.attr(kernel.name)).release().ptr();
    }
}

py::dict counters() {
    py::dict result;
    for (const Kernel& kernel : all_kernels()) {
        py::dict fallbacks;
        for (const auto& [reason, count] : kernel.fallbacks) fallbacks[reason.c_str()] = count;
        result[kernel.name] = py::make_tuple(kernel.served, fallbacks);
    }
    return result;
}

py::dict memory_stats() {
    const MemoryStats stats = pool_stats();
    py::dict result;
    result["live_bytes"] = stats.live_bytes;
    result["peak_bytes"] = stats.peak_bytes;
    result["cached_bytes"] = stats.cached_bytes;
    result["cache_limit"] = stats.cache_limit;
    result["allocations"] = stats.allocations;
    result["cache_hits"] = stats.cache_hits;
    return result;
}

void choose_isa(const std::string& name) {
    if (use_isa(name)) return;
    std::string choices;
    for (const std::string& isa : available_isas()) choices += (choices.empty() ? "" : ", ") + isa;
    throw py::value_error("the instruction set \"" + name + "\" is not available here; choices: " + choices);
}

void choose_num_threads(i64 n) {
    if (n < 1 || n > max_threads)
        throw py::value_error("set_num_threads: " + std::to_string(n) + " is not in [1, " +
                              std::to_string(max_threads) + "]");
    set_num_threads(static_cast<int>(n));
}

// Whether two arrays are one: the same memory, seen in the same way.
bool same_places(const py::array& a, const py::array& b) {
    if (a.data() != b.data() || a.ndim() != b.ndim() || !a.dtype().is(b.dtype())) return false;
    for (py::ssize_t d = 0; d < a.ndim(); ++d)
        if (a.shape(d) != b.shape(d) || a.strides(d) != b.strides(d)) return false;
    return true;
}

}  // namespace

PYBIND11_MODULE(_native, module) {
    module.doc() = "Compiled kernels; the signatures are those of tinygrad_edu.kernels.protocol.";
    define_kernels(module);
    define_collector(module);
    define_checks(module);
    define_modules(module);
    module.def("set_fallbacks", set_fallbacks, "Takes the functions that serve what no compiled kernel does.");
    module.def("counters", counters, "Kernel → (calls served here, {reason: calls handed to the reference}).");
    module.def("same_places", same_places, "Whether two arrays are the same memory, seen in the same way.");
    module.def("isa", [] { return std::string(kernels().name); });
    module.def("available_isas", available_isas);
    module.def("use_isa", choose_isa, py::arg("name"));
    module.def("set_num_threads", choose_num_threads, py::arg("n"));
    module.def("get_num_threads", num_threads);
    module.def("memory_stats", memory_stats);
    module.def("empty_cache", pool_empty_cache);
}

}  // namespace tge
