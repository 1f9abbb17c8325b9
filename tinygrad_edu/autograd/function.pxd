# Types for the compiled form of function.py; without a compiler nothing reads them.

cimport cython

from .collector cimport hide, reveal
from .grad_mode cimport is_grad_enabled
from .variable cimport Node, Saved, Variable, View, new_node, save, wrapped


cdef Saved _NOTHING

@cython.locals(node=Node, x=Variable, recording=bint, wanted=bint, needed=bint, inputs=list, needs=list)
cpdef applied(object operation, tuple args)

cpdef needed_gradients(tuple args)

@cython.locals(tensor=Variable, whole=Variable, before=View)
cpdef _output(object operation, Node node, tuple args, object value)

@cython.locals(x=Variable, i=Py_ssize_t, y=Variable, needed=bint, edges=list, outputs=list, saved=list)
cpdef record(Node node, tuple args, object inputs, tuple values, tuple tensors)

@cython.locals(owner=Variable, i=Py_ssize_t)
cpdef _saved(object value, Node node, tuple args, object inputs, tuple values, tuple tensors)

cpdef refresh(Variable x)
