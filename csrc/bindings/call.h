// How Python calls a kernel: a light layer on CPython's fast calling convention, shared by all kernels.
#pragma once
#include <map>

#include "array.h"

namespace tge {

struct Call;
struct Kernel {
    const char* name;
    const char* signature;           // as Python writes it: "a, b, *, out=None"
    py::object (*run)(Call& call);
    int op = -1;                     // which elementwise kernel
    // Filled at import:
    std::vector<PyObject*> names{};  // interned argument names
    std::vector<bool> required{};
    std::size_t positional = 0;      // arguments before *
    PyObject* fallback = nullptr;    // the reference implementation
    std::uint64_t served = 0;
    std::map<std::string, std::uint64_t> fallbacks{};
};

constexpr std::size_t max_arguments = 16;

struct Call {
    Kernel& kernel;
    PyObject* slot[max_arguments];  // borrowed; nullptr where not given
    std::string declined;           // why the reference has to serve this call

    const char* name() const { return kernel.name; }
    View array(std::size_t i, const char* argument) const { return view(slot[i], kernel.name, argument); }
    bool given(std::size_t i) const { return slot[i] && slot[i] != Py_None; }
    double number(std::size_t i) const;
    bool truth(std::size_t i) const;
    i64 integer(std::size_t i) const;          // OverflowError outside int64
    std::uint64_t word(std::size_t i) const;   // the low 64 bits of an integer
    std::string text(std::size_t i) const;
    std::vector<Py_ssize_t> shape(std::size_t i) const;
    int floating_dtype(std::size_t i) const;   // of a dtype argument: 0, 1 or −1

    // Hands the call to the reference implementation.
    py::object decline(const std::string& reason) {
        declined = reason;
        return {};
    }
    py::object decline_dtype(const View& v);
};

// ValueError, in the kernel's name, unless something holds. A macro, so that the text is only put together when it is
// needed: that took longer than a small kernel.
#define require(holds, call, ...) ((holds) ? void() : refuse(call, __VA_ARGS__))
[[noreturn]] inline void refuse(const Call& call, const std::string& what) {
    throw py::value_error(std::string(call.name()) + ": " + what);
}

std::vector<Kernel>& all_kernels();
void add_elementwise(std::vector<Kernel>& list);
void add_memory(std::vector<Kernel>& list);
void add_reductions(std::vector<Kernel>& list);
void add_softmax(std::vector<Kernel>& list);
void add_losses(std::vector<Kernel>& list);
void add_matmul(std::vector<Kernel>& list);
void add_linear(std::vector<Kernel>& list);
void add_convolution(std::vector<Kernel>& list);
void add_pooling(std::vector<Kernel>& list);
void add_lookup(std::vector<Kernel>& list);
void add_norms(std::vector<Kernel>& list);
void add_attention(std::vector<Kernel>& list);
void add_recurrent(std::vector<Kernel>& list);
void add_random(std::vector<Kernel>& list);
void add_optimisers(std::vector<Kernel>& list);

// Creates one Python function per kernel in the module.
void define_kernels(py::module_& module);
// A function of METH_FASTCALL, as a table of methods takes it.
inline PyCFunction as_method(PyObject* (*function)(PyObject*, PyObject* const*, Py_ssize_t)) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}
void define_collector(py::module_& module);
void define_checks(py::module_& module);
void define_modules(py::module_& module);

}  // namespace tge
