# Types for the compiled form of _common.py; without a compiler nothing reads them.

cimport cython

from ..autograd.variable cimport Variable

cdef dict _ONE


@cython.locals(x=Variable, y=Variable)
cpdef operands(object a, object b, int at_least=*)
