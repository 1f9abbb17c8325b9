# Types for the compiled form of engine.py; without a compiler nothing reads them.

cimport cython

from .collector cimport reveal
from .function cimport refresh
from .grad_mode cimport switch_grad
from .variable cimport Node, Variable, wrapped


cdef class Arithmetic:
    cdef public object add, add_into, copy, has_nan, is_own, ones, own, same_shape, stack, zeros

cdef Arithmetic _arithmetic


cdef class _Pass:
    cdef public bint create_graph, into_grad, hooked, recording, switched
    cdef public object targets
    cdef public dict nodes, leaves, waiting, found

    @cython.locals(node=Node, root=Variable, leaf=Variable, arrival=tuple, slots=list, i=Py_ssize_t)
    cpdef run(self, object roots, object seeds, bint retain_graph)

    cpdef set_recording(self)

    @cython.locals(node=Node, seen=set, stack=list, order=list, edge=tuple, leaf=Variable, sorted_already=bint,
                   last=Py_ssize_t)
    cpdef list order(self)

    cpdef visit(self, Node node, list slots, bint needed)

    @cython.locals(i=Py_ssize_t, slot=tuple)
    cpdef complete(self, Node node, list slots)

    @cython.locals(i=Py_ssize_t, slot=tuple, edge=tuple)
    cpdef propagate(self, Node node, list slots)

    @cython.locals(node=Node, slots=list, held=tuple, index=Py_ssize_t)
    cpdef send(self, tuple edge, object gradient, bint fresh)

    cpdef sum(self, tuple held, object gradient, bint fresh)
    @cython.locals(node=Node, edge=tuple, leaf=Variable)
    cpdef count_hooked(self, list order)
    cpdef settle(self, Node node)


cpdef list _seeds(object grads, Py_ssize_t count)

cpdef _seed(Variable root, object gradient, bint create_graph)

cpdef _key(Variable x)

cpdef Variable _wanting(object x, str operation, Py_ssize_t position)

@cython.locals(i=Py_ssize_t, slot=tuple)
cpdef bint _is_fresh(object value, Py_ssize_t position, tuple results, list slots)

cpdef _accumulate(Variable leaf, object gradient, bint fresh, bint create_graph)
