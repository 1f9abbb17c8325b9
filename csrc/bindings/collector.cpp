// What Python's cycle collector walks through, and what it is spared: see tinygrad_edu/autograd/collector.py.
#include "call.h"

namespace tge {
namespace {

using Change = void (*)(PyObject*);

void hide(PyObject* object) { if (PyObject_GC_IsTracked(object)) PyObject_GC_UnTrack(object); }
void show(PyObject* object) { if (!PyObject_GC_IsTracked(object)) PyObject_GC_Track(object); }

// A tuple and the tuples in it, but none of what these hold.
void change_tuple(PyObject* tuple, Change change) {
    const Py_ssize_t n = PyTuple_GET_SIZE(tuple);
    for (Py_ssize_t i = 0; i < n; ++i)
        if (PyTuple_CheckExact(PyTuple_GET_ITEM(tuple, i))) change_tuple(PyTuple_GET_ITEM(tuple, i), change);
    if (n > 0) change(tuple);  // there is one empty tuple for everybody
}

// A node, the tuples that it consists of, and the `Saved` in the last of them.
PyObject* change_node(PyObject* const* args, Py_ssize_t count, Change change) {
    bool fits = count == 3 && PyObject_IS_GC(args[0]);
    for (Py_ssize_t i = 1; i < count; ++i) fits = fits && PyTuple_CheckExact(args[i]);
    for (Py_ssize_t i = 0; fits && i < PyTuple_GET_SIZE(args[2]); ++i) fits = PyObject_IS_GC(PyTuple_GET_ITEM(args[2], i));
    if (!fits) {
        PyErr_SetString(PyExc_TypeError, "expected a node, its edges and what it has saved");
        return nullptr;
    }
    change(args[0]);
    for (Py_ssize_t i = 1; i < count; ++i) change_tuple(args[i], change);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args[2]); ++i) change(PyTuple_GET_ITEM(args[2], i));
    Py_RETURN_NONE;
}

PyObject* hide_node(PyObject*, PyObject* const* args, Py_ssize_t count) { return change_node(args, count, hide); }
PyObject* show_node(PyObject*, PyObject* const* args, Py_ssize_t count) { return change_node(args, count, show); }

PyMethodDef functions[] = {
    {"hide_node", as_method(hide_node), METH_FASTCALL,
     "hide_node(node, edges, saved)\n--\n\nLet the cycle collector pass over a node and what it consists of."},
    {"show_node", as_method(show_node), METH_FASTCALL,
     "show_node(node, edges, saved)\n--\n\nLet the cycle collector see them again."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void define_collector(py::module_& module) {
    if (PyModule_AddFunctions(module.ptr(), functions) != 0) throw py::error_already_set();
}

}  // namespace tge
