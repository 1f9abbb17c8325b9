#include "call.h"

#include <sstream>

namespace tge {

std::vector<Kernel>& all_kernels() {
    static std::vector<Kernel>& list = *[] {
        auto* kernels = new std::vector<Kernel>;  // lives as long as the functions that point into it: for ever
        add_elementwise(*kernels);
        add_memory(*kernels);
        add_reductions(*kernels);
        add_softmax(*kernels);
        add_losses(*kernels);
        add_matmul(*kernels);
        add_linear(*kernels);
        add_convolution(*kernels);
        add_pooling(*kernels);
        add_lookup(*kernels);
        add_norms(*kernels);
        add_attention(*kernels);
        add_recurrent(*kernels);
        add_random(*kernels);
        add_optimisers(*kernels);
        return kernels;
    }();
    return list;
}

namespace {

// Numbers are converted without running Python code, which could reshape or free the arrays that the kernel has looked at
// by then: of subclasses of int and float their value is taken, not their __float__, __index__ or __bool__. TypeError for
// what is neither of these nor a number of NumPy's.
void require_plain(const Call& call, PyObject* object) {
    static PyObject* const generic = py::object(py::module_::import("numpy").attr("generic")).release().ptr();
    PyTypeObject* const type = Py_TYPE(object);
    const bool plain = PyLong_Check(object) || PyFloat_Check(object) || type == &PyUnicode_Type || object == Py_None ||
                       (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE) &&
                        PyType_IsSubtype(type, reinterpret_cast<PyTypeObject*>(generic)));
    if (!plain)
        throw py::type_error(std::string(call.name()) + ": a plain number is needed, not " + type->tp_name +
                             "; use int(…), float(…) or bool(…)");
}

}  // namespace

double Call::number(std::size_t i) const {
    require_plain(*this, slot[i]);
    const double value = PyLong_Check(slot[i]) ? PyLong_AsDouble(slot[i]) : PyFloat_AsDouble(slot[i]);
    if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
    return value;
}
bool Call::truth(std::size_t i) const {
    PyObject* const x = slot[i];
    require_plain(*this, x);
    int value, overflow = 0;
    if (PyLong_Check(x)) value = PyLong_AsLongAndOverflow(x, &overflow) != 0;
    else if (PyFloat_Check(x)) value = PyFloat_AS_DOUBLE(x) != 0;
    else value = PyObject_IsTrue(x);
    if (value < 0) throw py::error_already_set();
    return value != 0;
}
i64 Call::integer(std::size_t i) const {
    require_plain(*this, slot[i]);
    auto index = py::reinterpret_steal<py::object>(PyNumber_Index(slot[i]));
    if (!index) throw py::error_already_set();
    const i64 value = PyLong_AsLongLong(index.ptr());
    if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
    return value;
}
std::uint64_t Call::word(std::size_t i) const {
    require_plain(*this, slot[i]);
    auto index = py::reinterpret_steal<py::object>(PyNumber_Index(slot[i]));
    if (!index) throw py::error_already_set();
    const std::uint64_t value = PyLong_AsUnsignedLongLongMask(index.ptr());
    if (PyErr_Occurred()) throw py::error_already_set();
    return value;
}
std::string Call::text(std::size_t i) const {
    if (!PyUnicode_Check(slot[i]))
        throw py::type_error(std::string(name()) + ": expected a string, not " + Py_TYPE(slot[i])->tp_name);
    const char* utf8 = PyUnicode_AsUTF8(slot[i]);
    if (!utf8) throw py::error_already_set();
    return utf8;
}
std::vector<Py_ssize_t> Call::shape(std::size_t i) const {
    PyObject* const items = slot[i];
    if (!PyTuple_Check(items) && !PyList_Check(items))
        throw py::type_error(std::string(name()) + ": expected a tuple of integers, not " + Py_TYPE(items)->tp_name);
    std::vector<Py_ssize_t> result;
    for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(items); ++k) {
        PyObject* const item = PySequence_Fast_GET_ITEM(items, k);
        require_plain(*this, item);
        const Py_ssize_t size = PyNumber_AsSsize_t(item, PyExc_OverflowError);
        if (size == -1 && PyErr_Occurred()) throw py::error_already_set();
        result.push_back(size);
    }
    return result;
}
int Call::floating_dtype(std::size_t i) const {
    PyObject* const given = slot[i];
    const bool plain = py::isinstance<py::dtype>(given) || PyUnicode_CheckExact(given) ||
                       (PyType_Check(given) && !(reinterpret_cast<PyTypeObject*>(given)->tp_flags & Py_TPFLAGS_HEAPTYPE));
    if (!plain) throw py::type_error(std::string(name()) + ": expected a dtype, not " + Py_TYPE(given)->tp_name);
    const auto dtype = py::dtype::from_args(py::reinterpret_borrow<py::object>(slot[i]));
    if (dtype.byteorder() != '=') return -1;
    return dtype.num() == type_float ? 0 : dtype.num() == type_double ? 1 : -1;
}

py::object Call::decline_dtype(const View& v) {
    static const char* const names[] = {"bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
                                        "int64", "uint64", "float32", "float64"};
    if (v.type_num < 0 || v.type_num > 12) return decline("another dtype");
    if (!v.usable) return decline("unaligned or byte-swapped");
    return decline(std::string("dtype ") + names[v.type_num] + (v.floating() >= 0 ? ", mixed" : ""));
}

namespace {

constexpr const char* capsule_name = "tinygrad_edu.kernel";

// Sorts positional and keyword arguments into slots, as Python does for a def with this signature.
void bind(Call& call, PyObject* const* arguments, std::size_t given, PyObject* keywords) {
    const Kernel& kernel = call.kernel;
    const std::size_t count = kernel.names.size();
    for (std::size_t i = 0; i < count; ++i) call.slot[i] = nullptr;
    if (given > kernel.positional)
        throw py::type_error(std::string(kernel.name) + "(" + kernel.signature + ") takes " +
                             std::to_string(kernel.positional) + " positional arguments, not " + std::to_string(given));
    for (std::size_t i = 0; i < given; ++i) call.slot[i] = arguments[i];
    const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
    for (Py_ssize_t k = 0; k < named; ++k) {
        PyObject* key = PyTuple_GET_ITEM(keywords, k);
        std::size_t i = 0;
        while (i < count && kernel.names[i] != key) ++i;  // nearly always the same object
        if (i == count)
            for (i = 0; i < count && PyUnicode_Compare(kernel.names[i], key) != 0;) ++i;
        if (i == count || call.slot[i])
            throw py::type_error(std::string(kernel.name) + "(" + kernel.signature + "): argument " +
                                 (PyUnicode_AsUTF8(key) ? PyUnicode_AsUTF8(key) : "?") +
                                 (i == count ? " is unknown" : " is given twice"));
        call.slot[i] = arguments[given + static_cast<std::size_t>(k)];
    }
    for (std::size_t i = 0; i < count; ++i)
        if (!call.slot[i] && kernel.required[i])
            throw py::type_error(std::string(kernel.name) + "(" + kernel.signature + "): argument " +
                                 PyUnicode_AsUTF8(kernel.names[i]) + " is missing");
}

/** Make a ValueError, TypeError or IndexError that is set into our own kind of it, which is a TinygradError too. */
void own_kind_of_error() {
    PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
    PyErr_Fetch(&type, &value, &trace);
    py::object own;
    try {
        own = py::module_::import("tinygrad_edu.errors").attr("KINDS").attr("get")(py::handle(type), py::handle(type));
    } catch (py::error_already_set&) {
        own = py::reinterpret_borrow<py::object>(type);  // it stays what it was
    }
    Py_DECREF(type);
    PyErr_Restore(own.release().ptr(), value, trace);
}

PyObject* enter(PyObject* self, PyObject* const* arguments, Py_ssize_t given, PyObject* keywords) {
    auto* kernel = static_cast<Kernel*>(PyCapsule_GetPointer(self, capsule_name));
    if (!kernel) return nullptr;
    try {
        Call call{*kernel, {}, {}};
        bind(call, arguments, static_cast<std::size_t>(given), keywords);
        py::object result;
        try {
            result = kernel->run(call);
        } catch (const Foreign& argument) {
            call.declined = argument.what;
        }
        if (result) {
            ++kernel->served;
            return result.release().ptr();
        }
        ++kernel->fallbacks[call.declined];
        if (!kernel->fallback)
            throw py::type_error(std::string(kernel->name) + ": no compiled kernel for " + call.declined);
        return PyObject_Vectorcall(kernel->fallback, arguments, static_cast<std::size_t>(given), keywords);
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const py::builtin_exception& error) {
        error.set_error();
        own_kind_of_error();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return nullptr;
}

void parse_signature(Kernel& kernel) {
    std::istringstream stream(kernel.signature);
    std::string part;
    bool keyword_only = false;
    while (std::getline(stream, part, ',')) {
        part.erase(0, part.find_first_not_of(' '));
        if (part == "*") {
            keyword_only = true;
            continue;
        }
        const std::size_t equals = part.find('=');
        kernel.names.push_back(PyUnicode_InternFromString(part.substr(0, equals).c_str()));
        kernel.required.push_back(equals == std::string::npos);
        if (!keyword_only) kernel.positional = kernel.names.size();
    }
    if (kernel.names.size() > max_arguments) throw std::logic_error("too many arguments");
}

}  // namespace

void define_kernels(py::module_& module) {
    for (Kernel& kernel : all_kernels()) {
        parse_signature(kernel);
        // "name(signature)\n--\n\n" is how CPython tells inspect.signature() about a C function.
        auto* text = new std::string(std::string(kernel.name) + "(" + kernel.signature +
                                     ")\n--\n\nCompiled kernel; see tinygrad_edu.kernels.protocol.");
        auto* definition = new PyMethodDef{kernel.name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(enter)),
                                           METH_FASTCALL | METH_KEYWORDS, text->c_str()};
        const py::capsule self(&kernel, capsule_name);
        auto function =
            py::reinterpret_steal<py::object>(PyCFunction_NewEx(definition, self.ptr(), module.attr("__name__").ptr()));
        if (!function) throw py::error_already_set();
        module.attr(kernel.name) = function;
    }
}

}  // namespace tge
