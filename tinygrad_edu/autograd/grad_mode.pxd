# Types for the compiled form of grad_mode.py; without a compiler nothing reads them.

cimport cython

cdef set _off, _known

cpdef bint is_grad_enabled()

@cython.locals(before=bint)
cpdef bint switch_grad(bint enabled)
