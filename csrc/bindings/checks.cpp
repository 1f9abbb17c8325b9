// What is nearly always so, asked without making an object of each shape and dtype. A "no" says only that it is for the
// caller to find out, and to put into words.
#include <algorithm>

#include "call.h"

namespace tge {
namespace {

const py::detail::PyArray_Proxy* array_of(PyObject* object) {
    return py::detail::npy_api::get().PyArray_Check_(object) ? py::detail::array_proxy(object) : nullptr;
}

bool have_one_shape(const py::detail::PyArray_Proxy* a, const py::detail::PyArray_Proxy* b) {
    return a->nd == b->nd && std::equal(a->dimensions, a->dimensions + a->nd, b->dimensions);
}

bool is_floating(const py::detail::PyArray_Proxy* array) {
    const int type = py::detail::array_descriptor1_proxy(array->descr)->type_num;
    return type == type_float || type == type_double;
}

// The layer's input (…, inputs), weight (outputs, inputs) and bias (outputs) or None, of one float dtype.
PyObject* linear_fits(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "expected x, w and b");
        return nullptr;
    }
    const auto *x = array_of(args[0]), *w = array_of(args[1]), *b = array_of(args[2]);
    if (!x || !w || (!b && args[2] != Py_None)) Py_RETURN_FALSE;
    const bool fits = is_floating(x) && w->descr == x->descr && x->nd >= 1 && w->nd == 2 &&
                      x->dimensions[x->nd - 1] == w->dimensions[1] &&
                      (!b || (b->descr == x->descr && b->nd == 1 && b->dimensions[0] == w->dimensions[0]));
    return PyBool_FromLong(fits);
}

// Whether the arrays in two lists are all of the same dtype, and there are some.
PyObject* of_one_dtype(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 2 || !PyList_CheckExact(args[0]) || !PyList_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "expected two lists of arrays");
        return nullptr;
    }
    const PyObject* dtype = nullptr;
    for (int list = 0; list < 2; ++list)
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(args[list]); ++i) {
            const auto* array = array_of(PyList_GET_ITEM(args[list], i));
            if (!array || (dtype && array->descr != dtype)) Py_RETURN_FALSE;
            dtype = array->descr;
        }
    return PyBool_FromLong(dtype != nullptr);
}

// Whether two arrays have one shape and one float dtype.
PyObject* alike(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "expected two arrays");
        return nullptr;
    }
    const auto *a = array_of(args[0]), *b = array_of(args[1]);
    if (!a || !b || a->descr != b->descr || !is_floating(a)) Py_RETURN_FALSE;
    return PyBool_FromLong(have_one_shape(a, b));
}

// Whether the first array has the shape of the second, or is of the shape that the second is.
PyObject* same_shape(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "expected an array, and another or a shape");
        return nullptr;
    }
    const auto* a = array_of(args[0]);
    if (!a) Py_RETURN_FALSE;
    if (const auto* b = array_of(args[1]))
        return PyBool_FromLong(have_one_shape(a, b));
    if (!PyTuple_CheckExact(args[1]) || PyTuple_GET_SIZE(args[1]) != a->nd) Py_RETURN_FALSE;
    for (int d = 0; d < a->nd; ++d) {
        PyObject* size = PyTuple_GET_ITEM(args[1], d);
        if (!PyLong_CheckExact(size) || PyLong_AsSsize_t(size) != a->dimensions[d]) {
            PyErr_Clear();  // of a number too large
            Py_RETURN_FALSE;
        }
    }
    Py_RETURN_TRUE;
}

PyMethodDef functions[] = {
    {"alike", as_method(alike), METH_FASTCALL,
     "alike(a, b)\n--\n\nTrue if these are arrays of one shape and one float dtype; False if that is to be found out."},
    {"linear_fits", as_method(linear_fits), METH_FASTCALL,
     "linear_fits(x, w, b)\n--\n\nTrue if these are arrays of a layer, of one float dtype; False if that is to be found out."},
    {"of_one_dtype", as_method(of_one_dtype), METH_FASTCALL,
     "of_one_dtype(arrays, others)\n--\n\nTrue if all are arrays of one dtype; False if that is to be found out."},
    {"same_shape", as_method(same_shape), METH_FASTCALL,
     "same_shape(array, like)\n--\n\nTrue if an array has the shape `like`, or that of the array `like`; False if that is to "
     "be found out."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void define_checks(py::module_& module) {
    if (PyModule_AddFunctions(module.ptr(), functions) != 0) throw py::error_already_set();
}

}  // namespace tge
