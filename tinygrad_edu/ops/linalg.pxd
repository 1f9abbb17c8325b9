# Types for the compiled form of linalg.py; without a compiler nothing reads them.

cimport cython

from ..autograd.function cimport applied
from ..autograd.variable cimport Variable


cpdef linear(object input, object weight, object bias=*)

@cython.locals(x=Variable, w=Variable, b=Variable)
cpdef _check_linear(object input, object weight, object bias)
