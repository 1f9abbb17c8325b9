# Types for the compiled form of module.py; without a compiler nothing reads them.

cimport cython


@cython.auto_pickle(False)  # like any object, by its __dict__
cdef class _Called:
    pass


cpdef bint is_plain(object module) except -1

@cython.locals(own=dict)
cpdef bint _is_watched(object module) except -1
