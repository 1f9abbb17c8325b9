// What every use of a module asks of its dictionary. In Python each question would first be a look for an attribute,
// which is dear in a class that has a __getattr__. Where it is not nearly always so, the caller looks for itself.
#include "call.h"

namespace tge {
namespace {

PyObject* own_dictionary(PyObject* module) { return PyObject_GenericGetDict(module, nullptr); }

// Whether the module has neither hooks nor a forward of its own.
PyObject* is_plain(PyObject*, PyObject* module) {
    static PyObject* const kinds[] = {
        PyUnicode_InternFromString("_forward_hooks"), PyUnicode_InternFromString("_forward_pre_hooks"),
        PyUnicode_InternFromString("_backward_hooks"), PyUnicode_InternFromString("_backward_pre_hooks")};
    static PyObject* const forward = PyUnicode_InternFromString("forward");
    const auto own = py::reinterpret_steal<py::object>(own_dictionary(module));
    if (!own) return nullptr;
    for (PyObject* kind : kinds) {
        PyObject* hooks = PyDict_GetItemWithError(own.ptr(), kind);
        if (!hooks && PyErr_Occurred()) return nullptr;
        if (!hooks || !PyDict_Check(hooks) || PyDict_Size(hooks) != 0) Py_RETURN_FALSE;
    }
    const int replaced = PyDict_Contains(own.ptr(), forward);
    return replaced < 0 ? nullptr : PyBool_FromLong(!replaced);
}

// The parameters (weight, bias), or None if one of them is not a parameter of the module.
PyObject* weight_and_bias(PyObject*, PyObject* module) {
    static PyObject *const kind = PyUnicode_InternFromString("_parameters"),
                    *const weight = PyUnicode_InternFromString("weight"),
                    *const bias = PyUnicode_InternFromString("bias");
    const auto own = py::reinterpret_steal<py::object>(own_dictionary(module));
    if (!own) return nullptr;
    PyObject* parameters = PyDict_GetItemWithError(own.ptr(), kind);
    if (parameters && PyDict_Check(parameters)) {
        PyObject* w = PyDict_GetItemWithError(parameters, weight);
        PyObject* b = w ? PyDict_GetItemWithError(parameters, bias) : nullptr;
        if (b) return PyTuple_Pack(2, w, b);
    }
    if (PyErr_Occurred()) return nullptr;
    Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"is_plain", is_plain, METH_O,
     "is_plain(module, /)\n--\n\nTrue if the module has neither hooks nor a forward of its own; False if that is to be found "
     "out."},
    {"weight_and_bias", weight_and_bias, METH_O,
     "weight_and_bias(module, /)\n--\n\nThe module's parameters of these names; None if they are to be looked for."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void define_modules(py::module_& module) {
    if (PyModule_AddFunctions(module.ptr(), functions) != 0) throw py::error_already_set();
}

}  // namespace tge
