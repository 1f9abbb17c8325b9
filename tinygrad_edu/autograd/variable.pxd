# Types for the compiled form of variable.py; without a compiler nothing reads them.

cimport cython

cdef object _tensor_class

cdef class Version:
    cdef public Py_ssize_t changes


cdef class View:
    cdef public Variable base
    cdef public object steps, refusal
    cdef public Node node
    cdef public bint required
    cpdef bint stale(self)


cdef class Variable:
    cdef object __weakref__
    cdef public object _array, _grad, _hooks, _post_hooks
    cdef public Py_ssize_t _index
    cdef public Node _node
    cdef public bint _requires_grad
    cdef public Version _version
    cdef public View _view
    cpdef _adopt(self, object array, Version version=*)


cdef class Saved:
    cdef public Node node
    cdef public Py_ssize_t changes, index
    cdef public object value
    cdef public Version version
    @cython.locals(leaf=Variable)
    cpdef array(self)
    cpdef tensor(self, Node holder)


@cython.final  # its methods are called without a look for others of their name
cdef class Node:
    cdef dict __dict__
    cdef object __weakref__
    cdef public object _operation, _hooks, _retained, _trace
    cdef public object constants  # where most operations keep what they need: no dictionary is made for it
    cdef public tuple needs_input_grad, non_differentiable, _dirty, _edges, _outputs, _saved
    cdef public Py_ssize_t _sequence
    cdef public bint _is_view, _hidden, materialize_grads
    cpdef _begin(self, object operation, tuple needs_input_grad)
    @cython.locals(edge=tuple, node=Node, leaf=Variable)
    cpdef input_like(self, Py_ssize_t i)
    cpdef tuple input_shape(self, Py_ssize_t i)
    @cython.locals(saved=Saved, arrays=list)
    cpdef tuple _arrays(self)
    @cython.locals(saved=Saved, position=Py_ssize_t)
    cpdef tuple _checked(self)


@cython.locals(saved=Saved)
cpdef Saved save(object value, Variable owner, Py_ssize_t output)

@cython.locals(tensor=Variable, kind=type)
cpdef wrapped(object array, Version version=*)

@cython.locals(node=Node)
cpdef Node new_node(object operation, tuple needs_input_grad)

@cython.locals(x=Variable, chosen=list)
cpdef list with_gradient(list tensors)

@cython.locals(x=Variable, arrays=list)
cpdef list arrays_of(list tensors)

@cython.locals(x=Variable, gradient=Variable, arrays=list)
cpdef list gradients_of(list tensors)

@cython.locals(x=Variable)
cpdef count_changes(list tensors)

@cython.locals(x=Variable)
cpdef forget_gradients(list tensors)
